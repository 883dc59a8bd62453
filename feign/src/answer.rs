//! From the response of a call to its result.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts as Head;
use http::{Request, StatusCode};
use vernal_commons::http::Body;

use crate::attempt;
use crate::call_info::CallInfo;
use crate::codec::{Reads, Reply, Shape};
use crate::decoder::Decoded;
use crate::error::{Error, Result};
use crate::exchange::ErrorResponse;
use crate::layer::timeout;

/// Bodies that nobody wants are read up to this length, so that the connection can be used again.
const DRAIN: usize = 64 << 10;

/// And no longer than this: a new connection costs less.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Sends the request and makes of the response what `shape` wants.
pub(crate) async fn finish<T: Send>(
    info: &CallInfo,
    request: &mut Request<Body>,
    shape: Shape<T>,
    span: &tracing::Span,
) -> Result<T> {
    let response = attempt::exchange(info, request).await;
    let response = response.map_err(|error| Error::of_transport(info.context(), error))?;
    let (head, body) = response.into_parts();
    span.record("http.response.status_code", head.status.as_u16());
    let answer = Answer { info, head };
    let success = answer.head.status.is_success();
    let not_found = answer.head.status == StatusCode::NOT_FOUND;
    match shape.reads {
        Reads::Raw => {
            let body = match info.read_timeout() {
                Some(limit) => body.limit_pauses(limit),
                None => body,
            };
            answer.value(shape, Bytes::new(), body)
        }
        Reads::Whole => {
            let bytes = answer.read(body).await?;
            answer.value(shape, bytes, Body::empty())
        }
        Reads::Value | Reads::Optional if success => {
            let bytes = answer.read(body).await?;
            answer.value(shape, bytes, Body::empty())
        }
        Reads::Nothing if success => {
            answer.drain(body).await;
            answer.value(shape, Bytes::new(), Body::empty())
        }
        Reads::Optional if not_found => {
            answer.drain(body).await;
            answer.absent(&shape)
        }
        // A type without an empty value keeps its error, as do methods that return nothing (Feign 9.4.1).
        Reads::Value if not_found && answer.dismisses_404() => match answer.absent(&shape) {
            Ok(value) => Ok(value),
            Err(_) => answer.fail(body, &shape).await,
        },
        Reads::Nothing | Reads::Value | Reads::Optional => answer.fail(body, &shape).await,
    }
}

/// A response whose body is not read yet.
struct Answer<'a> {
    info: &'a CallInfo,
    head: Head,
}

impl Answer<'_> {
    fn dismisses_404(&self) -> bool {
        let (client, method) = (self.info.client(), self.info.method());
        let settings = self.info.settings().values.dismiss_404;
        settings.or(method.dismiss_404).or(client.dismiss_404).unwrap_or(false)
    }

    async fn read(&self, body: Body) -> Result<Bytes> {
        let cap = self.info.settings().values.max_response;
        timeout::read(body, cap, self.info.read_timeout())
            .await
            .map_err(|failure| failure.into_error(self.info.context(), &self.head))
    }

    /// Reads a body that nobody wants. Failing costs the connection, nothing else.
    async fn drain(&self, body: Body) {
        let drained = timeout::within(Some(DRAIN_TIME), pin!(timeout::read(body, DRAIN, None))).await;
        if !matches!(drained, Ok(Ok(_))) {
            tracing::trace!(target: "vernal_feign", "the rest of a response was not read");
        }
    }

    fn value<T>(self, shape: Shape<T>, body: Bytes, stream: Body) -> Result<T> {
        let mut reply = Reply { parts: self.head, body, stream, absent: false };
        (shape.decode)(&mut reply).map_err(|error| {
            let response = ErrorResponse::of(&reply.parts, reply.body);
            Error::of_decode(self.info.context(), response, error)
        })
    }

    fn absent<T>(&self, shape: &Shape<T>) -> Result<T> {
        let (parts, ()) = http::Response::new(()).into_parts();
        let mut reply = Reply { parts, body: Bytes::new(), stream: Body::empty(), absent: true };
        (shape.decode)(&mut reply)
            .map_err(|error| Error::of_decode(self.info.context(), ErrorResponse::of(&self.head, Bytes::new()), error))
    }

    /// A status that is no success: the decoders decide what it means.
    async fn fail<T>(self, body: Body, shape: &Shape<T>) -> Result<T> {
        // As in Feign the status counts more than a body that cannot be read.
        let body = self.read(body).await.unwrap_or_default();
        let response = ErrorResponse::of(&self.head, body);
        let decoded = self.info.facts().core.decode(self.info.facts().method, &response);
        if let Decoded::Empty = decoded {
            return self.absent(shape);
        }
        Err(Error::of_status(self.info.context(), response, decoded))
    }
}
