//! The HTTP server behind [`Application::serve`](crate::Application::serve).

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower_service::Service;
use vernal_commons::BoxError;
use vernal_commons::http::Body;

/// A peer that sends no complete head within this time is dropped, so that idle sockets cannot pile up.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// A peer that falls silent in the middle of a body is dropped after this time.
const BODY_PAUSE_LIMIT: Duration = Duration::from_secs(30);
/// Further peers wait until one of the others has gone (Tomcat's `server.tomcat.max-connections`).
const MAX_CONNECTIONS: usize = 8192;
/// The pause after a failed accept, which is usually a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound listener.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { address: listener.local_addr()?, listener })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `stop` is cancelled, then closes the port and gives running requests `drain` to end.
    pub(crate) async fn run<S, B>(self, service: S, stop: CancellationToken, drain: Duration)
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = connections.join_next() => {
                    if ended.is_err_and(|error| error.is_panic()) {
                        tracing::error!("a request ended in a panic, its connection is closed");
                    }
                    continue;
                }
                accepted = self.listener.accept(), if connections.len() < MAX_CONNECTIONS => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let service = service.clone();
                    let connection = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(HEADER_READ_TIMEOUT)
                        .serve_connection(
                            io_of(stream),
                            hyper::service::service_fn(move |request: Request<Incoming>| {
                                answer(service.clone(), request)
                            }),
                        );
                    let watched = graceful.watch(connection);
                    connections.spawn(async move {
                        if let Err(error) = watched.await {
                            tracing::debug!(error = %error, "connection ended early");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(error = %error, "connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        if tokio::time::timeout(drain, pin!(graceful.shutdown())).await.is_err() {
            tracing::warn!(connections = connections.len(), "requests were still running at the end of the drain time");
        }
        connections.shutdown().await;
    }
}

fn io_of(stream: TcpStream) -> TokioIo<TcpStream> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = %error, "TCP_NODELAY could not be set");
    }
    TokioIo::new(stream)
}

async fn answer<S, B>(mut service: S, request: Request<Incoming>) -> Result<Response<Body>, Infallible>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    std::future::poll_fn(|context| service.poll_ready(context)).await?;
    Ok(service.call(request.map(|body| Body::wrap(body).limit_pauses(BODY_PAUSE_LIMIT))).await?.map(Body::wrap))
}
