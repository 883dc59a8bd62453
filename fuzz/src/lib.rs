//! What the fuzz targets share. Each target states in its module comment what must hold for every input.
//!
//! Answers and questions are written as HTTP is, so that an input can be read: a first line, headers, an empty line and
//! the body.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use tower::{Service, ServiceExt as _, service_fn};
use vernal_commons::http::{Body, SharedTransport};

/// Separates the parts of an input that is a sequence.
pub const SEPARATOR: u8 = 0;

/// No server here answers with more bytes.
const LARGEST: usize = 16 << 20;

thread_local! {
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
}

/// Runs `future` on this thread's runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// An answer as a hostile server may give it: `200`, headers, body.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as sent.
    pub body: Bytes,
}

impl Answer {
    /// None if HTTP does not allow it.
    #[must_use]
    pub fn parse(input: &[u8]) -> Option<Self> {
        let (first, headers, body) = message(input)?;
        Some(Self { status: first.parse().ok()?, headers, body: Bytes::copy_from_slice(body) })
    }

    /// A transport that gives this answer to every request.
    #[must_use]
    pub fn transport(&self) -> SharedTransport {
        let answer = self.clone();
        SharedTransport::new(service_fn(move |_: Request<Body>| {
            let mut response = Response::new(Body::from(answer.body.clone()));
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers.clone();
            async move { Ok::<_, Infallible>(response) }
        }))
    }

    /// Whether `text` occurs in it.
    #[must_use]
    pub fn holds(&self, text: &str) -> bool {
        let within = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        let named =
            |(name, value): (&HeaderName, &HeaderValue)| name.as_str().contains(text) || within(value.as_bytes());
        within(&self.body) || self.headers.iter().any(named)
    }
}

/// A request as a hostile client may make it: `GET /path`, headers, body.
#[derive(Debug)]
pub struct Question(Request<Body>);

impl Question {
    /// None if HTTP does not allow it.
    #[must_use]
    pub fn parse(input: &[u8]) -> Option<Self> {
        let (first, headers, body) = message(input)?;
        let (method, target) = first.split_once(' ')?;
        let mut request = Request::new(Body::from(body.to_vec()));
        *request.method_mut() = Method::try_from(method).ok()?;
        *request.uri_mut() = Uri::try_from(target).ok()?;
        *request.headers_mut() = headers;
        Some(Self(request))
    }

    /// The status and the body of what `service` answers.
    pub fn ask<S, B>(self, service: S) -> (StatusCode, Bytes)
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
        B: http_body::Body<Data = Bytes, Error: Into<vernal_commons::BoxError>> + Send + 'static,
    {
        let response = block_on(service.oneshot(self.0)).unwrap_or_else(|never| match never {});
        let (parts, body) = response.into_parts();
        (parts.status, block_on(Body::wrap(body).read(LARGEST)).expect("a whole answer"))
    }
}

/// The first line, the headers and the body.
fn message(input: &[u8]) -> Option<(&str, HeaderMap, &[u8])> {
    let end = input.windows(2).position(|window| window == b"\n\n")?;
    let mut lines = std::str::from_utf8(&input[..end]).ok()?.split('\n');
    let first = lines.next()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ")?;
        headers.append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    }
    Some((first, headers, &input[end + 2..]))
}
