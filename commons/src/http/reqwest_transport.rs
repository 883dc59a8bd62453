use std::fmt;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::{Request, Response};
use tower_service::Service;

use super::{Body, TransportError, TransportErrorKind};
use crate::BoxFuture;

/// The default transport: a pooled reqwest client. Follows no redirect, re-sends nothing, adds no header of its own
/// but `Accept: */*` where there is none and what HTTP demands. Refuses a path with dot segments. Cheap to clone;
/// clones share the pool.
#[derive(Clone)]
pub struct ReqwestTransport {
    client: reqwest::Client,
}

/// Options of the default transport.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TransportOptions {
    /// Limit for establishing a connection. Default 10 s (Feign's `connectTimeout`).
    pub connect_timeout: Duration,
    /// Limit between two reads of a response. Default 60 s (Feign's `readTimeout`).
    pub read_timeout: Duration,
    /// How long an idle connection is kept; below a server's keep-alive. Default 15 s.
    pub pool_idle_timeout: Duration,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(60),
            pool_idle_timeout: Duration::from_secs(15),
        }
    }
}

impl ReqwestTransport {
    /// A transport with default options.
    ///
    /// # Errors
    ///
    /// See [`with_options`](Self::with_options).
    pub fn new() -> Result<Self, TransportError> {
        Self::with_options(&TransportOptions::default())
    }

    /// Whether `https://` URLs can be asked: whether the feature `rustls` is on.
    #[must_use]
    pub const fn has_tls() -> bool {
        cfg!(feature = "rustls")
    }

    /// A transport with these options.
    ///
    /// # Errors
    ///
    /// With the feature `rustls`, if the system's certificates cannot be read.
    pub fn with_options(options: &TransportOptions) -> Result<Self, TransportError> {
        let client = reqwest::Client::builder()
            .connect_timeout(options.connect_timeout)
            .read_timeout(options.read_timeout)
            .pool_idle_timeout(options.pool_idle_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()
            .map_err(|error| TransportError::with_source(TransportErrorKind::Request, error))?;
        Ok(Self { client })
    }
}

impl Service<Request<Body>> for ReqwestTransport {
    type Response = Response<Body>;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<Response<Body>, TransportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if let Some(error) = unsupported_scheme(request.uri()).or_else(|| changed_on_the_way(request.uri())) {
            return Box::pin(std::future::ready(Err(error)));
        }
        let exchange = convert(request).map(|request| self.client.execute(request));
        Box::pin(async move {
            let response = exchange?.await.map_err(classify)?;
            Ok(Response::from(response).map(Body::wrap))
        })
    }
}

fn unsupported_scheme(uri: &::http::Uri) -> Option<TransportError> {
    let reason = match uri.scheme_str() {
        Some("http") => return None,
        Some("https") if ReqwestTransport::has_tls() => return None,
        Some("https") => "`https://` needs the cargo feature `rustls`, which this program was built without",
        Some(_) => "the scheme of the URL is neither `http` nor `https`",
        None => "the URL is not absolute",
    };
    Some(TransportError::with_source(TransportErrorKind::Request, reason))
}

/// The URL type behind reqwest resolves dot segments and takes `\` for `/`, so that the server would be asked for
/// another path than the caller decided on. Such a path is refused; what is only encoded differently is let through.
fn changed_on_the_way(uri: &::http::Uri) -> Option<TransportError> {
    let is_dot = |segment: &str| {
        let segment = segment.to_ascii_lowercase().replace("%2e", ".");
        segment == "." || segment == ".."
    };
    let path = uri.path();
    let changed = path.contains('\\') || path.split('/').any(is_dot);
    let reason = "the path has a `.` or `..` segment or a `\\`, which would change it on the way";
    changed.then(|| TransportError::with_source(TransportErrorKind::Request, reason))
}

fn convert(request: Request<Body>) -> Result<reqwest::Request, TransportError> {
    let request = request.map(|body| match body.in_memory() {
        Some(bytes) => reqwest::Body::from(bytes),
        None => reqwest::Body::wrap(body),
    });
    reqwest::Request::try_from(request)
        .map_err(|error| TransportError::with_source(TransportErrorKind::Request, error.without_url()))
}

/// The URL may hold a token, so it is taken out of the cause.
fn classify(error: reqwest::Error) -> TransportError {
    let kind = match (error.is_connect(), error.is_timeout()) {
        (true, true) => TransportErrorKind::ConnectTimeout,
        (true, false) => TransportErrorKind::Connect,
        (false, true) => TransportErrorKind::Timeout,
        (false, false) if error.is_builder() => TransportErrorKind::Request,
        (false, false) => TransportErrorKind::Io,
    };
    TransportError::with_source(kind, error.without_url())
}

impl fmt::Debug for ReqwestTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReqwestTransport")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::SharedTransport;

    #[tokio::test]
    async fn a_refused_connection_never_sent_the_request() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let transport = SharedTransport::new(ReqwestTransport::new().unwrap());
        let request = Request::get(format!("http://{address}/?token=letmein")).body(Body::empty()).unwrap();
        let error = transport.send(request).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (TransportErrorKind::Connect, "connection refused"));
        assert!(error.never_sent() && !format!("{error:?}").contains("letmein"));
    }

    #[tokio::test]
    async fn a_path_that_would_change_on_the_way_is_refused() {
        let transport = SharedTransport::new(ReqwestTransport::new().unwrap());
        for path in ["/a/../b", "/a/%2E%2e/b", "/a/.%2e", "/./a", "/a\\b"] {
            let request = Request::get(format!("http://127.0.0.1:1{path}")).body(Body::empty()).unwrap();
            let error = transport.send(request).await.unwrap_err();
            assert_eq!(error.kind(), TransportErrorKind::Request, "{path}");
        }
        let request = Request::get("http://127.0.0.1:1/a/..b/c..").body(Body::empty()).unwrap();
        assert_eq!(transport.send(request).await.unwrap_err().kind(), TransportErrorKind::Connect);
    }

    #[cfg(not(feature = "rustls"))]
    #[tokio::test]
    async fn https_without_the_feature_names_it() {
        let transport = SharedTransport::new(ReqwestTransport::new().unwrap());
        let error = transport.send(Request::get("https://h/").body(Body::empty()).unwrap()).await.unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("feature `rustls`"));
    }
}
