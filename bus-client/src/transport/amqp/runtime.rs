//! A runtime for lapin whose sockets can be cut off.

use std::future::Future;
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_rs::Tokio;
use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::Task;
use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

type TcpStream = <Tokio as Reactor>::TcpStream;

/// Tokio, with streams that fail as soon as a token is cancelled. lapin gives each connection a thread, which waits for
/// its socket whether or not somebody still wants the connection: a future that is dropped does not end it, an error on
/// the socket does.
#[derive(Debug, Clone)]
pub(super) struct CuttableTokio {
    tokio: Tokio,
    cut: CancellationToken,
}

/// A TCP stream until it is cut off.
pub(super) struct CuttableStream {
    stream: TcpStream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// What those see who still use a stream that was cut off.
pub(super) fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was given up")
}

impl CuttableTokio {
    /// The runtime that this is called in.
    pub(super) fn current(cut: CancellationToken) -> Self {
        Self { tokio: Tokio::current(), cut }
    }
}

impl RuntimeKit for CuttableTokio {}

impl Executor for CuttableTokio {
    type Task<T: Send + 'static> = <Tokio as Executor>::Task<T>;

    fn block_on<T, F: Future<Output = T>>(&self, future: F) -> T {
        self.tokio.block_on(future)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(&self, future: F) -> Task<Self::Task<T>> {
        self.tokio.spawn(future)
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(&self, work: F) -> Task<Self::Task<T>> {
        self.tokio.spawn_blocking(work)
    }
}

impl Reactor for CuttableTokio {
    type TcpStream = CuttableStream;
    type Sleep = <Tokio as Reactor>::Sleep;

    /// lapin connects by address and brings no sockets of its own.
    fn register<H: Read + Write + Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<CuttableStream, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, time: Duration) -> Self::Sleep {
        self.tokio.sleep(time)
    }

    fn interval(&self, time: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.tokio.interval(time)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<CuttableStream>> + Send + 'static {
        let connect = self.tokio.tcp_connect_addr(address);
        let cut = Box::pin(self.cut.clone().cancelled_owned());
        async move { Ok(CuttableStream { stream: connect.await?, cut }) }
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // Here the thread of a connection waits. When the token is cancelled it is woken, and comes here again.
        if this.cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(cut_off()));
        }
        Pin::new(&mut this.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, buffers)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_close(context)
    }
}
