//! Sockets: accepting, reading, writing, heartbeats.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::fault::{CONNECTION_FORCED, reply_text};
use super::frame::HEARTBEAT;
use super::limits::{CLOSING, SENDING};
use super::state::{Shared, Step, Wait};

/// Bytes read at once.
const CHUNK: usize = 16 << 10;

/// Serves clients until `stopped`, then closes their connections as a RabbitMQ that is shut down does.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener, stopped: impl Future<Output = ()>) {
    let mut clients = JoinSet::new();
    let mut stopped = pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => break,
            Some(_) = clients.join_next(), if !clients.is_empty() => {}
            accepted = accept(&shared, &listener) => match accepted {
                Ok((socket, peer)) => {
                    clients.spawn(serve_client(Arc::clone(&shared), socket, peer));
                }
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted");
                    sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    drop(listener);
    if !*shared.frozen.borrow() {
        let text = "broker forced connection closure with reason 'shutdown'";
        shared.update(|state| state.close_all(CONNECTION_FORCED, &reply_text(CONNECTION_FORCED, text)));
        if timeout(CLOSING, async { while clients.join_next().await.is_some() {} }).await.is_err() {
            tracing::debug!(clients = clients.len(), "clients did not answer the close");
        }
    }
    clients.shutdown().await;
}

async fn accept(shared: &Shared, listener: &TcpListener) -> std::io::Result<(TcpStream, SocketAddr)> {
    thawed(shared).await;
    listener.accept().await
}

async fn thawed(shared: &Shared) {
    // An error means that the sender is gone, but it lives in `shared`.
    let _ = shared.frozen.subscribe().wait_for(|frozen| !frozen).await;
}

async fn freezing(shared: &Shared) {
    let _ = shared.frozen.subscribe().wait_for(|frozen| *frozen).await;
}

/// Gives up what a client held, however its task ends.
struct Client {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.update(|state| state.disconnect(self.id));
    }
}

async fn serve_client(shared: Arc<Shared>, socket: TcpStream, peer: SocketAddr) {
    let Some((id, output, turn)) = shared.update(|state| state.connect(peer)) else { return };
    let client = Client { shared, id };
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%peer, %error, "TCP_NODELAY could not be set");
    }
    let (from_client, to_client) = socket.into_split();
    let mut writer = pin!(write(&client, to_client, &output));
    tokio::select! {
        () = read(&client, from_client, &turn) => {
            client.shared.update(|state| state.finish(id));
            if timeout(CLOSING, writer).await.is_err() {
                tracing::debug!(%peer, "client does not read the last frames");
            }
        }
        () = &mut writer => {}
    }
}

async fn read(client: &Client, mut socket: OwnedReadHalf, turn: &Notify) {
    let Client { shared, id } = client;
    let mut buffer = BytesMut::with_capacity(CHUNK);
    let mut heard = Instant::now();
    loop {
        if *shared.frozen.borrow() {
            thawed(shared).await;
            heard = Instant::now();
        }
        let until = match shared.with(|state| state.wait_of(*id)) {
            Wait::Gone => return,
            Wait::Turn => {
                turn.notified().await;
                heard = Instant::now();
                thawed(shared).await;
                if shared.update(|state| state.receive(*id, &mut buffer)) == Step::End {
                    return;
                }
                continue;
            }
            Wait::Forever => None,
            Wait::Silence(limit) => Some(heard + limit),
            Wait::Until(instant) => Some(instant),
        };
        buffer.reserve(CHUNK);
        let reading = async {
            match until {
                Some(until) => timeout_at(until, socket.read_buf(&mut buffer)).await.ok(),
                None => Some(socket.read_buf(&mut buffer).await),
            }
        };
        let read = tokio::select! {
            read = reading => read,
            // Frames may wait in the buffer that could not be taken while the outbox was full.
            () = turn.notified() => {
                if shared.update(|state| state.receive(*id, &mut buffer)) == Step::End {
                    return;
                }
                continue;
            }
            () = freezing(shared) => continue,
        };
        match read {
            None => {
                shared.update(|state| state.went_silent(*id));
                return;
            }
            Some(Ok(0)) => return,
            Some(Err(error)) => {
                tracing::debug!(%error, "client is gone");
                return;
            }
            Some(Ok(_)) => {}
        }
        thawed(shared).await;
        heard = Instant::now();
        if shared.update(|state| state.receive(*id, &mut buffer)) == Step::End {
            return;
        }
    }
}

async fn write(client: &Client, mut socket: OwnedWriteHalf, output: &Notify) {
    let Client { shared, id } = client;
    let mut spoken = Instant::now();
    loop {
        thawed(shared).await;
        let (chunk, finished, beat) = shared.with(|state| state.output_of(*id));
        let mut chunk = chunk.freeze();
        if chunk.is_empty() {
            if finished {
                if let Err(error) = socket.shutdown().await {
                    tracing::debug!(%error, "socket could not be shut down");
                }
                return;
            }
            if beat.is_some_and(|beat| spoken.elapsed() >= beat) {
                chunk = Bytes::from_static(&HEARTBEAT);
            } else {
                let idle = async {
                    match beat {
                        Some(beat) => sleep_until(spoken + beat).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = output.notified() => {}
                    () = idle => {}
                    () = freezing(shared) => {}
                }
                continue;
            }
        }
        while !chunk.is_empty() {
            match timeout(SENDING, socket.write(&chunk)).await {
                Ok(Ok(sent)) if sent > 0 => drop(chunk.split_to(sent)),
                Ok(Ok(_)) => return,
                Ok(Err(error)) => {
                    tracing::debug!(%error, "client is gone");
                    return;
                }
                Err(_) => {
                    tracing::warn!(limit_s = SENDING.as_secs(), "client does not read");
                    return;
                }
            }
        }
        spoken = Instant::now();
        shared.with(|state| state.sent(*id));
    }
}
