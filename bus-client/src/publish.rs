//! What this node puts on the bus.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use vernal_commons::BoxError;
use vernal_commons::chain::Chain;

use crate::counters::Tally;
use crate::destination::Destination;
use crate::error::{Error, TransportError};
use crate::event::{Ack, Event, Kind, Naming};
use crate::inbox::{Receipt, SentIds};
use crate::transport::{BusTransport, Message, Node};

/// Time limit of one publish, retry included.
const LIMIT: Duration = Duration::from_secs(5);
/// Acks that wait to be sent. When full the oldest is dropped: acks are for consoles.
const MAX_ACKS: usize = 256;

/// Publishes events, and acks in the background.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) transport: Arc<dyn BusTransport>,
    pub(crate) node: Node,
    pub(crate) naming: Naming,
    /// Where acks are addressed to; none if this node sends no acks.
    pub(crate) ack_destination: Option<Destination>,
    pub(crate) sent: Arc<SentIds>,
    pub(crate) tally: Arc<Tally>,
    /// Those who listen to acks hear our own, too.
    pub(crate) heard: broadcast::Sender<Ack>,
    pub(crate) waiting: Mutex<VecDeque<Event>>,
    pub(crate) wake: Notify,
}

impl Outbox {
    /// Publishes an event that has been handled here before it is sent. Only a handled one is acknowledged when it
    /// comes back.
    pub(crate) async fn publish_handled(&self, event: &Event) -> Result<(), Error> {
        self.remember(event);
        if let Some(id) = event.id.as_deref() {
            self.sent.claim(id);
        }
        self.send(event).await
    }

    /// Publishes an event and waits until the broker has it; tries twice, with the same event id.
    pub(crate) async fn publish(&self, event: &Event) -> Result<(), Error> {
        self.remember(event);
        self.send(event).await
    }

    fn remember(&self, event: &Event) {
        if let Some(id) = event.id.as_deref() {
            self.sent.remember(id);
        }
    }

    async fn send(&self, event: &Event) -> Result<(), Error> {
        let (message, start) = (self.message(event), Instant::now());
        let mut result = self.transport.publish(&self.node, &message, LIMIT).await;
        let left = LIMIT.saturating_sub(start.elapsed());
        if result.as_ref().is_err_and(|error| !error.is_timeout() && !error.is_refused()) && !left.is_zero() {
            result = self.transport.publish(&self.node, &message, left).await;
        }
        match result {
            Ok(()) => {
                self.tally.published.one();
                tracing::debug!(event_type = event.kind.type_name(), event_id = event.id, "published a bus event");
                Ok(())
            }
            Err(error) => {
                self.tally.publish_failed.one();
                let broker = self.transport.broker();
                Err(match error {
                    TransportError::Timeout { .. } => Error::Timeout { broker, limit: LIMIT },
                    error => Error::Unavailable { broker, source: BoxError::from(error) },
                })
            }
        }
    }

    /// Queues an ack for a handled event.
    pub(crate) fn acknowledge(&self, receipt: Receipt) {
        let Some(destination) = &self.ack_destination else { return };
        let ack = Ack {
            node: Some(self.node.id().as_str().to_owned()),
            event_id: Some(receipt.event_id),
            event_destination: receipt.destination,
            event_class: Some(receipt.class.to_owned()),
        };
        // An error means that nobody listens.
        drop(self.heard.send(ack.clone()));
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() == MAX_ACKS {
            waiting.pop_front();
            self.tally.acks_dropped.one();
        }
        waiting.push_back(Event::ack(self.node.id(), destination, ack));
        drop(waiting);
        self.wake.notify_one();
    }

    /// Sends the queued acks, each once, until `token` is cancelled; then what is left, as far as the broker takes it.
    pub(crate) async fn send_acks(self: Arc<Self>, token: CancellationToken) {
        loop {
            while let Some(event) = self.next_ack() {
                self.send_ack(&event).await;
            }
            if token.is_cancelled() {
                return;
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = token.cancelled() => {}
            }
        }
    }

    async fn send_ack(&self, event: &Event) {
        match self.transport.publish(&self.node, &self.message(event), LIMIT).await {
            Ok(()) => self.tally.acks_sent.one(),
            Err(error) => {
                let mut dropped = 1;
                // A broker that does not answer would hold up each of them for the whole time limit.
                if error.is_timeout() {
                    let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    dropped += waiting.len();
                    waiting.clear();
                }
                self.tally.acks_dropped.add(dropped);
                tracing::debug!(error = %Chain(&error), dropped, "acks were not sent");
            }
        }
    }

    fn next_ack(&self) -> Option<Event> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn message(&self, event: &Event) -> Message {
        debug_assert!(!matches!(event.kind, Kind::Unknown(_)), "only known events are published");
        Message::json(event.encode(self.naming))
    }
}
