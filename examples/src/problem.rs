//! Errors as Spring Boot answers them: `{"timestamp","status","error","message","path"}`.

use axum::extract::{FromRequest, FromRequestParts, OriginalUri, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use vernal::commons::chain::Chain;
use vernal::commons::clock;

/// An error answer.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    timestamp: String,
    status: u16,
    error: &'static str,
    message: String,
    path: String,
}

impl Problem {
    /// An answer of this status to a request for `path`.
    #[must_use]
    pub fn new(status: StatusCode, message: impl Into<String>, path: &Uri) -> Self {
        Self {
            timestamp: clock::iso_millis(clock::now_millis()),
            status: status.as_u16(),
            error: status.canonical_reason().unwrap_or("Error"),
            message: message.into(),
            path: path.path().to_owned(),
        }
    }

    /// 404.
    #[must_use]
    pub fn not_found(message: impl Into<String>, path: &Uri) -> Self {
        Self::new(StatusCode::NOT_FOUND, message, path)
    }

    /// 400.
    #[must_use]
    pub fn bad_request(message: impl Into<String>, path: &Uri) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message, path)
    }

    /// 500. The cause goes to the log, not to the caller.
    #[must_use]
    pub fn internal(error: &(dyn std::error::Error + 'static), path: &Uri) -> Self {
        tracing::error!(error = %Chain(error), path = path.path(), "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error", path)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self)).into_response()
    }
}

/// Routes that answer paths and methods which they do not know as Spring does.
pub fn answered(routes: Router) -> Router {
    routes.method_not_allowed_fallback(wrong_method).fallback(no_route)
}

/// The answer to a path that no route knows.
async fn no_route(OriginalUri(uri): OriginalUri) -> Problem {
    Problem::not_found("No message available", &uri)
}

/// The answer to a method that the route does not know; axum adds `Allow`.
pub async fn wrong_method(method: Method, OriginalUri(uri): OriginalUri) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("Method '{method}' is not supported."), &uri)
}

/// A JSON object as request body; anything else is answered with the reason: 400, or 413 and 415 where they fit.
#[derive(Debug, Clone)]
pub struct JsonBody<T>(pub T);

/// The values in the path; undecodable ones are answered with 400.
#[derive(Debug, Clone)]
pub struct InPath<T>(pub T);

/// The values of the query; unreadable ones are answered with 400.
#[derive(Debug, Clone)]
pub struct InQuery<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let uri = original(&head);
        let request = Request::from_parts(head, body);
        let value = match Json::<Value>::from_request(request, state).await {
            Ok(Json(value)) => value,
            Err(rejection) => return Err(Problem::new(rejection.status(), rejection.body_text(), &uri)),
        };
        // Derived readers take an array for an object, field by field.
        if !value.is_object() {
            return Err(Problem::bad_request("the request body must be a JSON object", &uri));
        }
        T::deserialize(value).map(Self).map_err(|error| Problem::bad_request(format!("request body: {error}"), &uri))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(head: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(head, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::new(rejection.status(), rejection.body_text(), &original(head))),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for InQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(head: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(head, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::new(rejection.status(), rejection.body_text(), &original(head))),
        }
    }
}

/// The URI as requested: below a nested router the request's own has lost its beginning.
fn original(head: &Parts) -> Uri {
    head.extensions.get().map_or_else(|| head.uri.clone(), |OriginalUri(uri)| uri.clone())
}
