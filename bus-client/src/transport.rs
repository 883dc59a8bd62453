//! The seam between the bus and a broker.

#[cfg(feature = "amqp")]
mod amqp;
mod memory;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

#[cfg(feature = "amqp")]
pub use self::amqp::AmqpTransport;
pub use self::memory::{MemoryHub, MemoryListener, MemoryTransport};
use crate::error::TransportError;
use crate::id::BusId;

/// A way to broadcast messages to all nodes. The bus decides when to subscribe, and again after a loss; a transport
/// makes one attempt per call and does not retry.
#[async_trait]
pub trait BusTransport: fmt::Debug + Send + Sync + 'static {
    /// The broker as logs and errors name it: no credentials.
    fn broker(&self) -> String;

    /// Makes a new subscription, from which on every message published on the node's topic is received. It must end
    /// by itself within a time limit of the transport.
    async fn subscribe(&self, node: &Node) -> Result<Box<dyn Subscription>, TransportError>;

    /// Publishes a message and waits until the broker has it, for at most `limit`.
    async fn publish(&self, node: &Node, message: &Message, limit: Duration) -> Result<(), TransportError>;

    /// Gives back what publishing has opened, within `limit`.
    async fn close(&self, limit: Duration);
}

/// One subscription. Dropping it ends it as well as it can be done without waiting.
#[async_trait]
pub trait Subscription: fmt::Debug + Send {
    /// The next message; `None` or an error when the subscription has ended.
    ///
    /// # Cancel safety
    ///
    /// A dropped future loses no message.
    async fn next(&mut self) -> Option<Result<Delivery, TransportError>>;

    /// Tells the broker that a message has been handed over.
    async fn acknowledge(&mut self, delivery: u64) -> Result<(), TransportError>;

    /// Ends the subscription, within `limit`.
    async fn close(self: Box<Self>, limit: Duration);
}

/// Who takes part, and where.
#[derive(Debug, Clone)]
pub struct Node {
    topic: String,
    id: BusId,
}

/// One message, in either direction.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Message {
    /// The media type, if there is one.
    pub content_type: Option<String>,
    /// How the body is compressed, if it is.
    pub content_encoding: Option<String>,
    /// The W3C trace context of the sender, if there is one.
    pub traceparent: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// A message that has come in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// What [`Subscription::acknowledge`] wants to have.
    pub tag: u64,
}

// ===== impl =====

impl Node {
    /// A node with the bus id `id` on the topic `topic` (`spring.cloud.bus.destination`).
    #[must_use]
    pub fn new(topic: impl Into<String>, id: BusId) -> Self {
        Self { topic: topic.into(), id }
    }

    /// `spring.cloud.bus.destination`.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The bus id.
    #[must_use]
    pub fn id(&self) -> &BusId {
        &self.id
    }
}

impl Message {
    /// A message with a JSON body. Spring 5 blocks a node for about 7 s on a message without `content_type`.
    #[must_use]
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self { content_type: Some("application/json".to_owned()), body: body.into(), ..Self::default() }
    }
}

impl Delivery {
    /// A message with the number by which it is acknowledged.
    #[must_use]
    pub fn new(message: Message, tag: u64) -> Self {
        Self { message, tag }
    }
}
