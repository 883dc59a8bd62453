//! The gateway: `/{service}/**` goes to an instance of `{service}`, the path unchanged.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use vernal::commons::balance::{Balance, P2c};
use vernal::commons::chain::Chain;
use vernal::commons::discover::{Candidate, Discover, ServiceView};
use vernal::commons::http::{
    Body, ReqwestTransport, SharedTransport, TransportError, TransportErrorKind, TransportOptions,
};
use vernal::commons::instance::ServiceInstance;
use vernal::{Application, BoxError};

use crate::problem::{Problem, wrong_method};

mod upload;

use upload::{Progress, Upload};

/// The limit for the head of an answer. It begins anew with every part of the request's body that an instance takes,
/// so that an upload may last longer.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// The limit for a pause within the body of an answer.
const PAUSE_LIMIT: Duration = Duration::from_secs(60);
const OUT_OF_REACH: Duration = Duration::from_secs(24 * 60 * 60);
/// The limit for finding out whether an instance takes connections.
const PROBE_LIMIT: Duration = Duration::from_secs(1);
/// A body up to this size is kept, so that it can be sent again when a connection is refused.
const REPLAY_LIMIT: usize = 64 * 1024;
/// Headers that belong to one connection (RFC 9110 section 7.6.1), and two older ones of that kind.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
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

/// What the gateway answers itself.
type Refusal = (StatusCode, String);

/// The service as an application runs it.
///
/// # Errors
///
/// If the settings of `greeting` have another form, or the HTTP client cannot be built.
pub fn service(app: &Application) -> Result<Router, BoxError> {
    // A transport's own limit counts the time of the upload too, so it is put out of reach; those above hold instead.
    let mut options = TransportOptions::default();
    options.read_timeout = OUT_OF_REACH;
    let transport = SharedTransport::new(ReqwestTransport::with_options(&options)?);
    let gateway = Gateway { discover: app.discovery(), balance: Arc::new(P2c::new()), transport };
    let own = crate::greeting::routes(app)?.method_not_allowed_fallback(wrong_method);
    Ok(Router::new().fallback(forward).with_state(gateway).merge(own))
}

async fn forward(State(gateway): State<Gateway>, request: Request) -> Response {
    let uri = request.uri().clone();
    gateway
        .forward(request)
        .await
        .unwrap_or_else(|(status, message)| Problem::new(status, message, &uri).into_response())
}

impl Gateway {
    async fn forward(&self, request: Request) -> Result<Response, Refusal> {
        let service = service_of(request.uri().path())?.to_owned();
        let unavailable = |reason: String| (StatusCode::SERVICE_UNAVAILABLE, reason);
        let view = self.discover.lookup(&service).map_err(|error| unavailable(error.to_string()))?;
        let (mut head, body) = request.into_parts();
        forwarded(&mut head.headers);
        let mut body = replayable(&head.headers, Body::wrap(body)).await?;
        let mut tried = Vec::new();
        let mut broken = None;
        while let Some(position) = self.balance.pick(&view, &tried) {
            tried.push(position);
            let candidate = &view.candidates()[position];
            let instance = candidate.instance();
            let copy = body.try_clone();
            let once = copy.is_none();
            // What can be sent only once is not wasted on an instance that is gone.
            if once && let Err(error) = probe(instance).await {
                tracing::warn!(error = %error, service, instance = instance.instance_id(), "instance took no connection");
                self.set_aside(candidate);
                continue;
            }
            let attempt = copy.unwrap_or_else(|| std::mem::take(&mut body));
            let (upload, progress) = Upload::new(attempt);
            let error = match self.send(candidate, &head, upload, progress.clone()).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let reason = format!("`{service}`: {}", Chain(&error));
            match error.kind() {
                TransportErrorKind::Connect | TransportErrorKind::ConnectTimeout => {
                    tracing::warn!(error = %Chain(&error), service, instance = instance.instance_id(), "instance took no connection");
                    self.set_aside(candidate);
                    if once {
                        return Err((StatusCode::BAD_GATEWAY, format!("{reason}; the request cannot be sent again")));
                    }
                }
                TransportErrorKind::Timeout => return Err((StatusCode::GATEWAY_TIMEOUT, reason)),
                TransportErrorKind::Request => return Err((StatusCode::BAD_REQUEST, reason)),
                _ if progress.borrow().broken => {
                    return Err((StatusCode::BAD_REQUEST, "the request's body ended early".to_owned()));
                }
                // A request that only reads can go elsewhere, since asking twice does no harm.
                _ if reads_only(&head.method) && !once => {
                    tracing::warn!(error = %Chain(&error), service, instance = instance.instance_id(), "instance broke the exchange off");
                    broken = Some(reason);
                }
                _ => return Err((StatusCode::BAD_GATEWAY, reason)),
            }
        }
        Err(broken
            .map_or_else(|| unavailable(no_instance(&service, &view)), |reason| (StatusCode::BAD_GATEWAY, reason)))
    }

    fn set_aside(&self, candidate: &Candidate) {
        candidate.avoid();
        self.discover.suspect(candidate.instance());
    }

    async fn send(
        &self,
        candidate: &Candidate,
        head: &http::request::Parts,
        upload: Upload,
        progress: watch::Receiver<Progress>,
    ) -> Result<Response, TransportError> {
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let instance = candidate.instance();
        let unfit = |error: http::Error| TransportError::with_source(TransportErrorKind::Request, error);
        let uri = Uri::builder().scheme(instance.scheme()).authority(instance.authority()).path_and_query(target);
        let mut request = http::Request::builder().method(head.method.clone()).uri(uri.build().map_err(unfit)?);
        if let Some(headers) = request.headers_mut() {
            *headers = head.headers.clone();
        }
        let request = request.body(Body::wrap(upload)).map_err(unfit)?;
        let pending = candidate.begin();
        let answer = tokio::select! {
            answer = self.transport.send(request) => answer,
            () = silence(progress) => Err(TransportError::new(TransportErrorKind::Timeout)),
        };
        drop(pending);
        let (mut head, body) = answer?.into_parts();
        remove_hop_by_hop(&mut head.headers);
        Ok(Response::from_parts(head, axum::body::Body::new(body.limit_pauses(PAUSE_LIMIT))))
    }
}

/// The first segment of the path, which must be taken as it stands: what a client or server on the way would read as
/// another path could lead to another service than the one that was looked up.
fn service_of(path: &str) -> Result<&str, Refusal> {
    let is_dots = |segment: &str| matches!(&*segment.to_ascii_lowercase().replace("%2e", "."), "." | "..");
    if path.contains('\\') || path.split('/').any(is_dots) {
        return Err((StatusCode::BAD_REQUEST, "the path must not hold `.`, `..` or `\\`".to_owned()));
    }
    let service = path.split('/').nth(1).filter(|service| !service.is_empty());
    service.ok_or_else(|| (StatusCode::NOT_FOUND, "the path names no service, as in `/{service}/**`".to_owned()))
}

/// Whether the instance takes a connection now.
async fn probe(instance: &ServiceInstance) -> std::io::Result<()> {
    let connected = tokio::time::timeout(PROBE_LIMIT, TcpStream::connect(instance.authority())).await;
    connected.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?.map(drop)
}

/// Ends when an instance has neither answered nor taken anything for [`ANSWER_LIMIT`].
async fn silence(progress: watch::Receiver<Progress>) {
    loop {
        let until = progress.borrow().last + ANSWER_LIMIT;
        if until <= Instant::now() {
            return;
        }
        tokio::time::sleep_until(until).await;
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
async fn replayable(headers: &HeaderMap, body: Body) -> Result<Body, Refusal> {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_connection_are_removed_and_named_ones_too() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("proxy-connection", "close"),
            ("x-end", "2"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-end"]);
    }

    #[test]
    fn a_path_that_could_be_read_as_another_is_refused() {
        for path in ["/a/../b", "/a/./b", "/a/%2e%2E/b", "/a/.%2E", "/%2e/a", "/a\\b", "/.."] {
            assert_eq!(service_of(path).unwrap_err().0, StatusCode::BAD_REQUEST, "{path}");
        }
        for path in ["/", "//x", ""] {
            assert_eq!(service_of(path).unwrap_err().0, StatusCode::NOT_FOUND, "{path}");
        }
        assert_eq!(service_of("/a/..b/c../.d/%2e%2e%2e"), Ok("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_an_upload_does_not_count() {
        let (upload, progress) = Upload::new(Body::from("a body"));
        let mut upload = Box::pin(upload);
        let start = Instant::now();
        tokio::time::advance(Duration::from_secs(50)).await;
        std::future::poll_fn(|context| http_body::Body::poll_frame(upload.as_mut(), context)).await.unwrap().unwrap();
        silence(progress).await;
        assert_eq!(start.elapsed().as_secs(), 110);
    }
}
