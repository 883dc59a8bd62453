//! Time limits: for the response's head, for each pause in its body, for the whole call.

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::response::Parts;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use vernal_commons::BoxError;
use vernal_commons::http::{Body, SharedTransport, TransportError, TransportErrorKind};

use crate::error::{Error, ErrorKind, Phase};
use crate::exchange::{ErrorResponse, RequestContext};

/// A time limit passed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Elapsed;

/// Waits for `future`, no longer than `limit`. The clock is read, and a timer made, only when `future` has to wait.
pub(crate) async fn within<F: Future + Unpin>(limit: Option<Duration>, mut future: F) -> Result<F::Output, Elapsed> {
    let Some(limit) = limit else { return Ok(future.await) };
    let mut timer = pin!(None);
    poll_fn(|context| {
        if let Poll::Ready(output) = Pin::new(&mut future).poll(context) {
            return Poll::Ready(Ok(output));
        }
        if timer.is_none() {
            // A future that uses up the task's budget at each poll must not keep the timer from being asked.
            timer.set(Some(tokio::task::unconstrained(tokio::time::sleep(limit))));
        }
        match timer.as_mut().as_pin_mut() {
            Some(timer) => timer.poll(context).map(|()| Err(Elapsed)),
            None => Poll::Pending,
        }
    })
    .await
}

/// Sends `request` and waits for the response's head, no longer than `limit`.
pub(crate) async fn send(
    transport: &SharedTransport,
    request: &mut Request<Body>,
    limit: Option<Duration>,
) -> Result<Response<Body>, TransportError> {
    let exchange = transport.send(std::mem::take(request));
    within(limit, exchange).await.unwrap_or_else(|Elapsed| Err(TransportError::new(TransportErrorKind::Timeout)))
}

/// Why a body could not be read.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// A pause was longer than the limit.
    TimedOut,
    /// It is larger than the limit.
    TooLarge(usize),
    /// The connection broke.
    Broken(BoxError),
}

impl BodyError {
    /// The error of a call whose response has this body.
    pub(crate) fn into_error(self, request: RequestContext, head: &Parts) -> Error {
        let (kind, text, source): (_, Cow<'static, str>, Option<BoxError>) = match self {
            Self::TimedOut => (ErrorKind::Timeout(Phase::Body), "Read timed out".into(), None),
            Self::TooLarge(limit) => (ErrorKind::TooLarge, format!("body is larger than {limit} bytes").into(), None),
            Self::Broken(error) => (ErrorKind::Io, "body ended early".into(), Some(error)),
        };
        let message = format!("{text} reading {} {}", request.method, request.url);
        let response = ErrorResponse::of(head, Bytes::new());
        let error = Error::new(kind, message).during(request).answered(response).unread();
        match source {
            Some(source) => error.because(source),
            None => error,
        }
    }
}

/// Reads `body` to its end: at most `cap` bytes, waiting at most `limit` for each part.
pub(crate) async fn read(mut body: Body, cap: usize, limit: Option<Duration>) -> Result<Bytes, BodyError> {
    if let Some(bytes) = body.in_memory() {
        return if bytes.len() > cap { Err(BodyError::TooLarge(cap)) } else { Ok(bytes) };
    }
    let declared = body.size_hint().lower();
    if declared > cap as u64 {
        return Err(BodyError::TooLarge(cap));
    }
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    loop {
        let Some(frame) = within(limit, body.frame()).await.map_err(|Elapsed| BodyError::TimedOut)? else { break };
        let Ok(data) = frame.map_err(BodyError::Broken)?.into_data() else { continue };
        if first.as_ref().map_or(0, Bytes::len) + rest.len() + data.len() > cap {
            return Err(BodyError::TooLarge(cap));
        }
        // A body that comes in one part is not copied.
        match first.take() {
            None if rest.is_empty() => first = Some(data),
            None => rest.extend_from_slice(&data),
            Some(head) => {
                rest.reserve(usize::try_from(declared).unwrap_or(0).max(head.len() + data.len()));
                rest.extend_from_slice(&head);
                rest.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| rest.freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_limit_ends_only_what_waits_longer() {
        let second = Duration::from_secs(1);
        let sleep = |seconds| Box::pin(tokio::time::sleep(second * seconds));
        assert_eq!(within(Some(second), sleep(2)).await, Err(Elapsed));
        assert_eq!(within(Some(second * 3), sleep(2)).await, Ok(()));
        assert_eq!(within(None, sleep(1000)).await, Ok(()));
        assert_eq!(within(Some(Duration::ZERO), std::future::ready(1)).await, Ok(1));
    }
}
