//! The stack around the transport.

use http::header::{CONTENT_LENGTH, HeaderValue, USER_AGENT};
use http::{Method, Request, Response};
use http_body::Body as _;
use vernal_commons::BoxFuture;
use vernal_commons::http::{Body, Transport, TransportError};

use crate::call_info::CallInfo;
use crate::error::{Error, ErrorKind};
use crate::layer::{balance, intercept, log};

/// The end of the application's layers: where a request enters ours.
pub(crate) struct Inner;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("vernal-feign/", env!("CARGO_PKG_VERSION")));

/// Sends the request of a call through the stack. Outermost first:
///
/// 1. layers of the application around the call;
/// 2. layers of the application around each attempt: above the log, so that the log shows what they did;
/// 3. interceptors, then the settings' default headers and query pairs;
/// 4. the log, which shows the service's name;
/// 5. balancing, which goes to the next instance when no connection comes about;
/// 6. headers that belong to the transport, and the limit for the response's head;
/// 7. the transport.
pub(crate) async fn exchange(info: &CallInfo, request: &mut Request<Body>) -> Result<Response<Body>, TransportError> {
    match info.stack() {
        // Without layers nothing is boxed and nothing put into extensions.
        None => attempt(info, request).await,
        Some(stack) => {
            let mut request = std::mem::take(request);
            request.extensions_mut().insert(info.clone());
            stack.send(request).await
        }
    }
}

/// The layers pass the request on by reference and the last one takes it: it is large, and each future that owned it
/// would hold room for it.
async fn attempt(info: &CallInfo, request: &mut Request<Body>) -> Result<Response<Body>, TransportError> {
    intercept::apply(info, request).await?;
    let log = log::Attempt::begin(info, request);
    complete(request);
    let result = balance::send(info, request).await;
    match log {
        None => result,
        // Boxed, or the state of calls without log would be twice as large.
        Some(log) => Box::pin(log.end(result)).await,
    }
}

/// What the transport would have to add: an agent, and the length of a missing body, without which proxies answer
/// 411 (RFC 9110 8.6).
fn complete(request: &mut Request<Body>) {
    let needs_length = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH)
        && request.body().size_hint().exact() == Some(0);
    let headers = request.headers_mut();
    headers.entry(USER_AGENT).or_insert(AGENT);
    if needs_length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}

impl Transport for Inner {
    fn send(&self, mut request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, TransportError>> {
        Box::pin(async move {
            match request.extensions_mut().remove::<CallInfo>() {
                Some(info) => attempt(&info, &mut request).await,
                None => {
                    let message = "a layer did not pass on the extensions of the request";
                    Err(Error::new(ErrorKind::Interceptor, message).carried())
                }
            }
        })
    }
}
