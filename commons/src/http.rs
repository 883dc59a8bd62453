//! The one seam through which all HTTP goes.
//!
//! A [`Transport`] turns a request into a response. Every tower service over [`Body`] that is
//! `Clone + Send + Sync` is one, so layers of tower and of users fit in; [`SharedTransport`] is the cheap handle
//! that the crates keep.

mod body;
mod pause;
#[cfg(feature = "reqwest")]
mod reqwest_transport;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::http::{Request, Response};
use tower_service::Service;

pub use body::{Body, ReadError};
#[cfg(feature = "reqwest")]
pub use reqwest_transport::{ReqwestTransport, TransportOptions};

use crate::{BoxError, BoxFuture};

/// Sends a request and returns the response, whatever its status.
///
/// Implemented for every tower service from `Request<Body>` to a response that is `Clone + Send + Sync`.
pub trait Transport: Send + Sync + 'static {
    /// Sends `request`, whose URI is absolute.
    ///
    /// # Cancel safety
    ///
    /// A dropped future abandons the exchange; the peer may have received the request.
    fn send(&self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, TransportError>>;
}

/// Why there was no response.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.describe())]
pub struct TransportError {
    kind: TransportErrorKind,
    #[source]
    source: Option<BoxError>,
}

/// What kind of failure a [`TransportError`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// No connection came about, so the request never left.
    Connect,
    /// No connection came about within its time limit, so the request never left.
    ConnectTimeout,
    /// The response did not arrive in time; the peer may have acted on the request.
    Timeout,
    /// The request could not be built or is not supported (for example `https` without TLS).
    Request,
    /// The connection broke after the request, or part of it, was sent.
    Io,
}

/// A cheap handle on a [`Transport`], and a tower service itself.
#[derive(Clone)]
pub struct SharedTransport(Arc<dyn Transport>);

// ===== impl Transport =====

impl<S, B> Transport for S
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn send(&self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, TransportError>> {
        let mut service = self.clone();
        Box::pin(async move {
            poll_fn(|context| service.poll_ready(context)).await.map_err(TransportError::from_service)?;
            let response = service.call(request).await.map_err(TransportError::from_service)?;
            Ok(response.map(Body::wrap))
        })
    }
}

// ===== impl TransportError =====

impl TransportError {
    /// An error of this kind without a cause.
    #[must_use]
    pub const fn new(kind: TransportErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// An error of this kind because of `source`.
    #[must_use]
    pub fn with_source(kind: TransportErrorKind, source: impl Into<BoxError>) -> Self {
        Self { kind, source: Some(source.into()) }
    }

    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Whether the request certainly never left, so that sending it elsewhere is safe.
    #[must_use]
    pub const fn never_sent(&self) -> bool {
        match self.kind {
            TransportErrorKind::Connect | TransportErrorKind::ConnectTimeout | TransportErrorKind::Request => true,
            TransportErrorKind::Timeout | TransportErrorKind::Io => false,
        }
    }

    /// Whether no connection came about.
    #[must_use]
    pub const fn is_connect(&self) -> bool {
        matches!(self.kind, TransportErrorKind::Connect | TransportErrorKind::ConnectTimeout)
    }

    /// Whether a time limit passed.
    #[must_use]
    pub const fn is_timeout(&self) -> bool {
        matches!(self.kind, TransportErrorKind::Timeout | TransportErrorKind::ConnectTimeout)
    }

    /// The `std::io::Error` in the chain of causes, if there is one.
    #[must_use]
    pub fn io_error(&self) -> Option<&std::io::Error> {
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref() {
                return Some(io);
            }
            cause = error.source();
        }
        None
    }

    fn describe(&self) -> &'static str {
        match self.kind {
            TransportErrorKind::Connect if self.is_refused() => "connection refused",
            TransportErrorKind::Connect => "could not connect",
            TransportErrorKind::ConnectTimeout => "timed out while connecting",
            TransportErrorKind::Timeout => "timed out while waiting for the response",
            TransportErrorKind::Request => "request could not be sent",
            TransportErrorKind::Io => "connection broke during the exchange",
        }
    }

    fn is_refused(&self) -> bool {
        self.io_error().is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    }

    fn from_service(error: impl Into<BoxError>) -> Self {
        match error.into().downcast::<Self>() {
            Ok(own) => *own,
            Err(other) => Self::with_source(TransportErrorKind::Io, other),
        }
    }
}

// ===== impl SharedTransport =====

impl SharedTransport {
    /// A handle on `transport`.
    pub fn new(transport: impl Transport) -> Self {
        Self(Arc::new(transport))
    }

    /// Sends `request`; see [`Transport::send`].
    pub fn send(&self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, TransportError>> {
        self.0.send(request)
    }
}

impl Service<Request<Body>> for SharedTransport {
    type Response = Response<Body>;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<Response<Body>, TransportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.send(request)
    }
}

impl fmt::Debug for SharedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedTransport")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower::service_fn;

    #[tokio::test]
    async fn any_tower_service_is_a_transport() {
        let service = service_fn(|request: Request<Body>| async move {
            Ok::<_, std::convert::Infallible>(Response::new(Body::from(request.uri().path().to_owned())))
        });
        let transport = SharedTransport::new(service);
        let response = transport.send(Request::get("http://h/x").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.into_body().read(16).await.unwrap(), "/x");
    }

    #[tokio::test]
    async fn the_kind_of_an_own_error_passes_through_layers() {
        let service = service_fn(|_: Request<Body>| async {
            Err::<Response<Body>, _>(TransportError::new(TransportErrorKind::ConnectTimeout))
        });
        let outer = SharedTransport::new(SharedTransport::new(service));
        let error = outer.send(Request::new(Body::empty())).await.unwrap_err();
        assert!(error.is_connect() && error.is_timeout() && error.never_sent());
    }
}
