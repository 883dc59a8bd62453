//! How much the broker takes before it says no.

use std::time::Duration;

/// Time a client has for the handshake, as RabbitMQ's `handshake_timeout`.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);
/// Time a client has to confirm that the broker closed the connection.
pub(super) const CLOSING: Duration = Duration::from_secs(2);
/// Time without any progress after which a client that does not read is given up.
pub(super) const SENDING: Duration = Duration::from_secs(30);
/// Output of one connection, in bytes, above which nothing more is delivered to it or read from it.
pub(super) const OUTBOX: usize = 1 << 20;
/// Deliveries that one channel may leave unacknowledged, whatever its prefetch says.
pub(super) const UNACKED: usize = 100_000;
/// Consumers of one channel.
pub(super) const CONSUMERS: usize = 10_000;
/// Nesting of tables and arrays in a frame; deeper ones are a syntax error.
pub(super) const NESTING: usize = 32;
/// Smallest frame size a client may ask for.
pub(super) const FRAME_MIN: u32 = 4096;
/// Bytes of bodies that wait in one queue.
pub(super) const QUEUE_BYTES: usize = 256 << 20;
/// Bytes of bodies that `published()` remembers.
pub(super) const RECORD_BYTES: usize = 64 << 20;

/// The limits that can be set.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) frame_max: u32,
    pub(super) channel_max: u16,
    /// Seconds; 0 switches heartbeats off.
    pub(super) heartbeat: u16,
    pub(super) body: usize,
    pub(super) queue_messages: usize,
    pub(super) connections: usize,
    pub(super) queues: usize,
    pub(super) exchanges: usize,
    pub(super) bindings: usize,
    pub(super) record: usize,
    /// What the name of an exchange or queue must begin with for a client to declare or delete it.
    pub(super) configure: Option<String>,
}

impl Default for Limits {
    /// `frame_max`, `channel_max` and `heartbeat` are RabbitMQ's (fixture `topology/consumer-connection-group`).
    fn default() -> Self {
        Self {
            frame_max: 131_072,
            channel_max: 2047,
            heartbeat: 60,
            body: 16 << 20,
            queue_messages: 100_000,
            connections: 4096,
            queues: 10_000,
            exchanges: 1000,
            bindings: 50_000,
            record: 10_000,
            configure: None,
        }
    }
}
