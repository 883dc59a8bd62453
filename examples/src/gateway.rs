//! The gateway: `/{service}/**` goes to an instance of `{service}`, the path unchanged.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use vernal::Application;
use vernal::commons::balance::{Balance, P2c};
use vernal::commons::chain::Chain;
use vernal::commons::discover::{Candidate, Discover, ServiceView};
use vernal::commons::http::{Body, SharedTransport, TransportError};

use crate::problem::Problem;

/// The limit for the head of an answer; bodies may take longer.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// A body up to this size is kept, so that it can be sent again when a connection is refused.
const REPLAY_LIMIT: usize = 64 * 1024;
/// Headers that belong to one connection (RFC 9110 section 7.6.1).
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

#[derive(Clone)]
struct Gateway {
    discover: Arc<dyn Discover>,
    balance: Arc<P2c>,
    transport: SharedTransport,
}

/// The service as an application runs it.
///
/// # Errors
///
/// If the settings of `greeting` have another form.
pub fn service(app: &Application) -> Result<Router, vernal::Error> {
    let gateway = Gateway { discover: app.discovery(), balance: Arc::new(P2c::new()), transport: app.transport() };
    Ok(Router::new().fallback(forward).with_state(gateway).merge(crate::greeting::routes(app)?))
}

async fn forward(State(gateway): State<Gateway>, request: Request) -> Response {
    let uri = request.uri().clone();
    gateway
        .forward(request)
        .await
        .unwrap_or_else(|(status, message)| Problem::new(status, message, &uri).into_response())
}

impl Gateway {
    async fn forward(&self, request: Request) -> Result<Response, (StatusCode, String)> {
        let service = request.uri().path().split('/').nth(1).unwrap_or_default().to_owned();
        let unavailable = |reason: String| (StatusCode::SERVICE_UNAVAILABLE, reason);
        let view = self.discover.lookup(&service).map_err(|error| unavailable(error.to_string()))?;
        let (mut head, body) = request.into_parts();
        forwarded(&mut head.headers);
        let mut body = replayable(&head.headers, Body::wrap(body)).await?;
        let mut tried = Vec::new();
        while let Some(position) = self.balance.pick(&view, &tried) {
            tried.push(position);
            let candidate = &view.candidates()[position];
            let copy = body.try_clone();
            let once = copy.is_none();
            let attempt = copy.unwrap_or_else(|| std::mem::take(&mut body));
            match self.send(candidate, &head, attempt).await {
                Ok(response) => return Ok(response),
                // A request that never left can go elsewhere; one that only reads can too, since asking twice does no harm.
                Err(error) if !once && (error.is_connect() || reads_only(&head.method) && !error.is_timeout()) => {
                    tracing::warn!(
                        error = %Chain(&error),
                        service,
                        instance = candidate.instance().instance_id(),
                        "instance refused the connection"
                    );
                    if error.is_connect() {
                        candidate.avoid();
                        self.discover.suspect(candidate.instance());
                    }
                }
                Err(error) if error.is_timeout() => return Err((StatusCode::GATEWAY_TIMEOUT, error.to_string())),
                Err(error) => return Err((StatusCode::BAD_GATEWAY, error.to_string())),
            }
        }
        Err(unavailable(no_instance(&service, &view)))
    }

    async fn send(
        &self,
        candidate: &Candidate,
        head: &http::request::Parts,
        body: Body,
    ) -> Result<Response, TransportError> {
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let instance = candidate.instance();
        let unfit =
            |error: http::Error| TransportError::with_source(vernal::commons::http::TransportErrorKind::Request, error);
        let uri = Uri::builder().scheme(instance.scheme()).authority(instance.authority()).path_and_query(target);
        let mut request = http::Request::builder().method(head.method.clone()).uri(uri.build().map_err(unfit)?);
        if let Some(headers) = request.headers_mut() {
            *headers = head.headers.clone();
        }
        let request = request.body(body).map_err(unfit)?;
        let pending = candidate.begin();
        let answer = tokio::time::timeout(ANSWER_LIMIT, self.transport.send(request)).await;
        drop(pending);
        let timed_out = || TransportError::new(vernal::commons::http::TransportErrorKind::Timeout);
        let (mut head, body) = answer.unwrap_or_else(|_| Err(timed_out()))?.into_parts();
        remove_hop_by_hop(&mut head.headers);
        Ok(Response::from_parts(head, axum::body::Body::new(body)))
    }
}

const fn reads_only(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn no_instance(service: &str, view: &ServiceView) -> String {
    match view.len() {
        0 => format!("no instance of `{service}` is up"),
        count => format!("none of the {count} instances of `{service}` takes connections"),
    }
}

/// Small bodies are kept in memory, others stay a stream.
async fn replayable(headers: &HeaderMap, body: Body) -> Result<Body, (StatusCode, String)> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    match length {
        Some(length) if length <= REPLAY_LIMIT => {
            let bytes = body.read(REPLAY_LIMIT).await;
            bytes.map(Body::from).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
        }
        _ => Ok(body),
    }
}

/// What a proxy adds and takes away on the way in.
fn forwarded(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    if let Some(host) = headers.remove(header::HOST) {
        headers.insert(HeaderName::from_static("x-forwarded-host"), host);
    }
    headers.insert(HeaderName::from_static("x-forwarded-proto"), HeaderValue::from_static("http"));
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_connection_are_removed_and_named_ones_too() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("connection", "close, x-hop"), ("x-hop", "1"), ("keep-alive", "5"), ("te", "trailers"), ("x-end", "2")]
        {
            headers.insert(name, HeaderValue::from_static(value));
        }
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-end"]);
    }
}
