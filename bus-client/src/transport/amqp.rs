//! RabbitMQ, through lapin without its auto-recovery: that replays a queue by name, which a half-open connection still
//! owns, and is then deaf without a sign.

mod address;
mod connect;
mod publisher;
mod runtime;
mod subscription;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lapin::options::{ConfirmSelectOptions, ExchangeDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection, ExchangeKind};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use self::address::Addresses;
use self::connect::Connector;
use self::publisher::{Publisher, Share, Slot};
use self::subscription::AmqpSubscription;
use super::{BusTransport, Message, Node, Subscription};
use crate::error::{Error, TransportError};
use crate::settings::RabbitSettings;

/// Time limit of one request to the broker.
const RPC_LIMIT: Duration = Duration::from_secs(10);
const CONNECTION_FORCED: u16 = 320;
const NOT_FOUND: u16 = 404;
const ACCESS_REFUSED: u16 = 403;
const RESOURCE_LOCKED: u16 = 405;
const PRECONDITION_FAILED: u16 = 406;

/// The [`BusTransport`] to RabbitMQ. It holds two connections: a broker under a memory or disk alarm stops reading
/// from one that publishes, and would hold up what is received, too. The second is opened at the first publish.
pub struct AmqpTransport {
    connector: Connector,
    publisher: Slot,
    /// One opens a connection, the others wait for it.
    opening: Mutex<()>,
    /// The exchange was gone at the last publish.
    exchange_missing: AtomicBool,
}

impl AmqpTransport {
    /// A transport to the broker of these settings. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a value that cannot be used, [`Error::MissingFeature`] if TLS is asked for and the
    /// feature `amqps` is off.
    pub fn new(settings: RabbitSettings) -> Result<Self, Error> {
        let addresses = Addresses::new(&settings)?;
        let connector = Connector::new(addresses, &settings);
        let (publisher, opening) = (Slot::default(), Mutex::default());
        Ok(Self { connector, publisher, opening, exchange_missing: AtomicBool::new(false) })
    }

    async fn publisher(&self, node: &Node) -> Result<Share<'_>, TransportError> {
        if let Some(share) = self.publisher.share() {
            return Ok(share);
        }
        let _alone = self.opening.lock().await;
        match self.publisher.share() {
            Some(share) => Ok(share),
            None => Ok(self.publisher.put(self.open_publisher(node).await?)),
        }
    }

    async fn open_publisher(&self, node: &Node) -> Result<Publisher, TransportError> {
        let connection = self.connector.connect(&format!("{}#publish", node.id())).await?;
        let channel = rpc("channel.open", connection.create_channel()).await?;
        let channel = if self.exchange_missing.load(Ordering::Relaxed) {
            let channel = ensure_exchange(&connection, channel, node.topic()).await?;
            self.exchange_missing.store(false, Ordering::Relaxed);
            channel
        } else {
            channel
        };
        rpc("confirm.select", channel.confirm_select(ConfirmSelectOptions::default())).await?;
        Ok(Publisher::new(connection, channel))
    }
}

#[async_trait]
impl BusTransport for AmqpTransport {
    fn broker(&self) -> String {
        self.connector.broker()
    }

    async fn subscribe(&self, node: &Node) -> Result<Box<dyn Subscription>, TransportError> {
        let connection = self.connector.connect(&format!("{}#consume", node.id())).await?;
        Ok(Box::new(AmqpSubscription::open(connection, node).await?))
    }

    async fn publish(&self, node: &Node, message: &Message, limit: Duration) -> Result<(), TransportError> {
        let deadline = Instant::now() + limit;
        let timeout = |_| TransportError::Timeout { operation: "basic.publish", limit };
        let mut share = timeout_at(deadline, self.publisher(node)).await.map_err(timeout)??;
        if share.is_blocked() {
            // Who tries again without a pause must not keep the end of the alarm from being read.
            tokio::task::yield_now().await;
            return Err(TransportError::Unavailable("the broker has blocked publishing, see its alarms".into()));
        }
        timeout_at(deadline, share.send(node.topic(), message)).await.map_err(timeout)?.map_err(|error| {
            if code(&error) == Some(NOT_FOUND) {
                self.exchange_missing.store(true, Ordering::Relaxed);
            }
            failed("basic.publish", error)
        })
    }

    async fn close(&self, limit: Duration) {
        self.publisher.close(Instant::now() + limit).await;
    }
}

impl fmt::Debug for AmqpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpTransport").field("broker", &self.broker()).finish_non_exhaustive()
    }
}

/// Makes sure that there is an exchange, whatever its type and flags: an estate may have customised it, and we may not
/// have the right to declare one. Returns a channel that works, since an error closes the one it came on.
async fn ensure_exchange(connection: &Connection, channel: Channel, name: &str) -> Result<Channel, TransportError> {
    let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let error = match declare(&channel, name, passive).await {
        Ok(()) => return Ok(channel),
        Err(error) if error.code == Some(NOT_FOUND) => error,
        Err(error) => return Err(error.into()),
    };
    tracing::debug!(exchange = name, error = %error.cause, "declaring the exchange of the bus");
    let channel = rpc("channel.open", connection.create_channel()).await?;
    match declare(&channel, name, durable).await {
        Ok(()) => Ok(channel),
        Err(error) if error.code == Some(PRECONDITION_FAILED) => {
            tracing::warn!(exchange = name, "somebody else has just declared the exchange of the bus in another way");
            let channel = rpc("channel.open", connection.create_channel()).await?;
            declare(&channel, name, passive).await?;
            Ok(channel)
        }
        Err(error) => {
            if error.code == Some(ACCESS_REFUSED) {
                tracing::warn!(exchange = name, "the exchange of the bus does not exist, and we may not declare it");
            }
            Err(error.into())
        }
    }
}

async fn declare(channel: &Channel, name: &str, options: ExchangeDeclareOptions) -> Result<(), RpcError> {
    let declare = channel.exchange_declare(short(name), ExchangeKind::Topic, options, FieldTable::default());
    try_rpc("exchange.declare", declare).await
}

/// Why a request to the broker failed, with the code of its answer, if there was one.
#[derive(Debug)]
struct RpcError {
    code: Option<u16>,
    cause: TransportError,
}

impl From<RpcError> for TransportError {
    fn from(error: RpcError) -> Self {
        error.cause
    }
}

async fn rpc<T>(name: &'static str, request: impl Future<Output = lapin::Result<T>>) -> Result<T, TransportError> {
    Ok(try_rpc(name, request).await?)
}

/// Waits for the answer to a request for [`RPC_LIMIT`].
async fn try_rpc<T>(name: &'static str, request: impl Future<Output = lapin::Result<T>>) -> Result<T, RpcError> {
    match tokio::time::timeout(RPC_LIMIT, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(RpcError { code: code(&error), cause: failed(name, error) }),
        Err(_) => Err(RpcError { code: None, cause: TransportError::Timeout { operation: name, limit: RPC_LIMIT } }),
    }
}

/// The broker's reply code, such as 404.
fn code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        lapin::ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

fn failed(operation: &'static str, error: lapin::Error) -> TransportError {
    match code(&error) {
        Some(CONNECTION_FORCED) => TransportError::Closed(error.into()),
        Some(_) => TransportError::Protocol { operation, source: error.into() },
        None => TransportError::Unavailable(error.into()),
    }
}

async fn close_connection(connection: &Connection, deadline: Instant) {
    if !connection.status().connected() {
        return;
    }
    match timeout_at(deadline, connection.close(200, short("OK"))).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the connection to the broker had ended"),
        Err(_) => tracing::debug!("the broker did not answer to the end of the connection"),
    }
}

/// AMQP's short string holds 255 bytes; lapin panics above. A longer text is cut: names made here are short, and the
/// rest are the user's settings, which are checked.
fn short(text: &str) -> ShortString {
    let mut end = text.len().min(255);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    ShortString::from(&text[..end])
}
