//! A bus inside one process, for tests and for programs with several nodes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::{BusTransport, Delivery, Message, Node, Subscription};
use crate::error::TransportError;

/// Messages kept for a node that does not read. One that falls behind further loses its subscription, makes a new
/// one and catches up.
const CAPACITY: usize = 1024;

/// The broker of the in-memory bus. Clones share it; nodes with transports of the same hub hear each other.
#[derive(Debug, Clone, Default)]
pub struct MemoryHub {
    state: Arc<Mutex<State>>,
}

/// The [`BusTransport`] to a [`MemoryHub`].
#[derive(Debug, Clone)]
pub struct MemoryTransport {
    hub: MemoryHub,
}

/// Hears every message of a topic, without being a node.
#[derive(Debug)]
pub struct MemoryListener {
    receiver: broadcast::Receiver<Message>,
}

#[derive(Debug, Default)]
struct State {
    stopped: bool,
    topics: HashMap<String, broadcast::Sender<Message>>,
}

// ===== impl MemoryHub =====

impl MemoryHub {
    /// A hub nobody has joined yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens to a topic.
    ///
    /// # Errors
    ///
    /// If the hub is stopped.
    pub fn listen(&self, topic: &str) -> Result<MemoryListener, TransportError> {
        Ok(MemoryListener { receiver: self.topic(topic)?.subscribe() })
    }

    /// Sends a message to everybody on a topic.
    ///
    /// # Errors
    ///
    /// If the hub is stopped.
    pub fn publish(&self, topic: &str, message: Message) -> Result<(), TransportError> {
        // An error means that nobody listens, which is fine on a bus.
        drop(self.topic(topic)?.send(message));
        Ok(())
    }

    /// Ends all subscriptions and refuses new ones and messages, as a broker that went down.
    pub fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        state.topics.clear();
    }

    /// Takes subscriptions and messages again.
    pub fn restart(&self) {
        self.state().stopped = false;
    }

    /// Ends all subscriptions, as a broker whose queues were deleted.
    pub fn end_subscriptions(&self) {
        self.state().topics.clear();
    }

    /// How many subscriptions and listeners a topic has.
    #[must_use]
    pub fn subscribers(&self, topic: &str) -> usize {
        self.state().topics.get(topic).map_or(0, broadcast::Sender::receiver_count)
    }

    fn topic(&self, topic: &str) -> Result<broadcast::Sender<Message>, TransportError> {
        let mut state = self.state();
        if state.stopped {
            return Err(TransportError::Unavailable("the hub is stopped".into()));
        }
        let sender = state.topics.entry(topic.to_owned()).or_insert_with(|| broadcast::channel(CAPACITY).0);
        Ok(sender.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl MemoryListener =====

impl MemoryListener {
    /// The next message; none when the hub has stopped, or when so many came that some are lost.
    ///
    /// # Cancel safety
    ///
    /// A dropped future loses no message.
    pub async fn next(&mut self) -> Option<Message> {
        self.receiver.recv().await.ok()
    }
}

#[async_trait]
impl Subscription for MemoryListener {
    async fn next(&mut self) -> Option<Result<Delivery, TransportError>> {
        match self.receiver.recv().await {
            Ok(message) => Some(Ok(Delivery::new(message, 0))),
            Err(RecvError::Closed) => None,
            Err(RecvError::Lagged(lost)) => {
                Some(Err(TransportError::Unavailable(format!("{lost} messages came too fast").into())))
            }
        }
    }

    async fn acknowledge(&mut self, _: u64) -> Result<(), TransportError> {
        Ok(())
    }

    async fn close(self: Box<Self>, _: Duration) {}
}

// ===== impl MemoryTransport =====

impl MemoryTransport {
    /// A transport to `hub`.
    #[must_use]
    pub fn new(hub: &MemoryHub) -> Self {
        Self { hub: hub.clone() }
    }
}

#[async_trait]
impl BusTransport for MemoryTransport {
    fn broker(&self) -> String {
        "memory".to_owned()
    }

    async fn subscribe(&self, node: &Node) -> Result<Box<dyn Subscription>, TransportError> {
        Ok(Box::new(self.hub.listen(node.topic())?))
    }

    async fn publish(&self, node: &Node, message: &Message, _: Duration) -> Result<(), TransportError> {
        self.hub.publish(node.topic(), message.clone())
    }

    async fn close(&self, _: Duration) {}
}
