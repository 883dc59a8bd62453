//! What both our service and the testkit's stand-ins for the Java peers answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use crate::peers::Seen;

/// Several values by name.
pub type Lists = BTreeMap<String, Vec<String>>;

/// What a service made of a request to `/echo/{value}`; the same as `EchoController` of the Java order service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// Method.
    pub method: String,
    /// Path and query as they came.
    pub target: String,
    /// `{value}`, decoded.
    pub path: String,
    /// The query, decoded.
    pub query: Lists,
    /// The headers.
    pub headers: Lists,
    /// The body, if there was one.
    pub body: Option<String>,
}

/// The requests that reached a service; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Journal(Arc<Mutex<Vec<Seen>>>);

impl Echo {
    /// The values of a header, whatever the case of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Vec<String> {
        let named = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.flat_map(|(_, values)| values.clone()).collect()
    }

    /// The values of a query parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Vec<String> {
        self.query.get(name).cloned().unwrap_or_default()
    }
}

impl Journal {
    /// The requests so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same routes, with every request noted.
    pub fn notes(&self, routes: Router) -> Router {
        routes.layer(from_fn_with_state(self.clone(), note))
    }
}

/// `/echo/{value}` for all methods, and `POST /mirror/{status}`, which answers with the body that came.
pub fn echo_routes() -> Router {
    Router::new().route("/echo/{value}", any(echo)).route("/mirror/{status}", post(mirror))
}

async fn mirror(Path(status): Path<u16>, body: String) -> Response {
    match StatusCode::from_u16(status) {
        Ok(status) => (status, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn echo(method: Method, uri: Uri, Path(value): Path<String>, headers: HeaderMap, body: String) -> Json<Echo> {
    let mut query = Lists::new();
    for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        query.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    Json(Echo {
        method: method.to_string(),
        target: target(&uri),
        path: value,
        query,
        headers: lists(&headers),
        body: (!body.is_empty()).then_some(body),
    })
}

async fn note(State(journal): State<Journal>, request: Request, next: Next) -> Response {
    let method = request.method().to_string();
    let (target, headers) = (target(request.uri()), lists(request.headers()));
    let response = next.run(request).await;
    let seen = Seen { method, target, headers, status: response.status().as_u16() };
    journal.0.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    response
}

fn target(uri: &Uri) -> String {
    uri.path_and_query().map(ToString::to_string).unwrap_or_default()
}

/// Headers as text; bytes that are none are read as Latin-1, as Tomcat does.
pub(crate) fn lists(headers: &HeaderMap) -> Lists {
    let mut lists = Lists::new();
    for (name, value) in headers {
        let text = value.as_bytes().iter().copied().map(char::from).collect();
        lists.entry(name.as_str().to_owned()).or_default().push(text);
    }
    lists
}
