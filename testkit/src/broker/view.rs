//! What a test can see of a broker: snapshots, detached from it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::exchange::ExchangeKind;
use super::message::Field;

/// A queue.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct QueueView {
    /// Its name.
    pub name: String,
    /// Whether it outlives the broker.
    pub durable: bool,
    /// Whether it belongs to one connection and goes with it.
    pub exclusive: bool,
    /// Whether it goes with its last consumer.
    pub auto_delete: bool,
    /// The arguments of its declaration.
    pub arguments: BTreeMap<String, Field>,
    /// Messages that wait for a consumer.
    pub messages: usize,
    /// Messages delivered and not yet answered.
    pub unacknowledged: usize,
    /// Its consumers.
    pub consumers: usize,
    /// Messages lost because it was full.
    pub dropped: u64,
}

/// An exchange.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ExchangeView {
    /// Its name; empty for the default exchange.
    pub name: String,
    /// How it routes.
    pub kind: ExchangeKind,
    /// Whether it outlives the broker.
    pub durable: bool,
    /// Whether it goes with its last binding.
    pub auto_delete: bool,
    /// Whether clients may not publish to it.
    pub internal: bool,
    /// The arguments of its declaration.
    pub arguments: BTreeMap<String, Field>,
}

/// A binding of a queue to an exchange.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BindingView {
    /// The exchange; empty for the default one, to which every queue is bound by its name.
    pub exchange: String,
    /// The queue.
    pub queue: String,
    /// The routing key or pattern.
    pub routing_key: String,
    /// The arguments of the binding.
    pub arguments: BTreeMap<String, Field>,
}

/// A consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerView {
    /// The queue it consumes from.
    pub queue: String,
    /// Its tag.
    pub tag: String,
    /// Whether it acknowledges.
    pub ack_required: bool,
    /// Deliveries it takes without acknowledging; 0 for any number.
    pub prefetch: u16,
}

/// A client that finished the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionView {
    /// Where it comes from.
    pub peer: SocketAddr,
    /// Its login.
    pub user: String,
    /// The client property `connection_name`.
    pub name: Option<String>,
    /// Open channels.
    pub channels: usize,
    /// Heartbeat in seconds; 0 for none.
    pub heartbeat: u16,
    /// Largest frame in bytes.
    pub frame_max: u32,
    /// Largest channel number.
    pub channel_max: u16,
    /// Whether it waits for [`unblock`](super::Broker::unblock).
    pub blocked: bool,
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Messages that clients published.
    pub published: u64,
    /// Messages given to consumers or to `basic.get`.
    pub delivered: u64,
    /// Messages that reached no queue.
    pub unroutable: u64,
    /// Messages lost because a queue was full.
    pub dropped: u64,
    /// Messages that [`published`](super::Broker::published) no longer remembers.
    pub forgotten: u64,
    /// Connections closed because of bytes that are not AMQP or out of order.
    pub malformed: u64,
    /// Logins refused.
    pub refused: u64,
    /// Connections dropped because there were too many.
    pub turned_away: u64,
    /// Connections dropped because nothing was heard from them.
    pub silent: u64,
}
