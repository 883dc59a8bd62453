//! The connection for what is published. All publishes that are under way share it, so that none waits for the confirm
//! of another.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lapin::options::BasicPublishOptions;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use uuid::Uuid;
use vernal_commons::clock::now_millis;

use super::{close_connection, short};
use crate::transport::Message;

/// A connection with a channel in confirm mode.
#[derive(Debug)]
pub(super) struct Publisher {
    connection: Connection,
    channel: Channel,
    under_way: TaskTracker,
}

/// The publisher that the next publish takes, if there is one.
#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<Option<Arc<Publisher>>>);

/// One publish's part in a publisher. If it ends without a confirm, or is dropped before, the next publish takes a
/// connection of its own: the state of this one is not known. Those under way on it go on.
#[derive(Debug)]
pub(super) struct Share<'a> {
    slot: &'a Slot,
    publisher: Arc<Publisher>,
    confirmed: bool,
    _under_way: TaskTrackerToken,
}

// ===== impl Publisher =====

impl Publisher {
    pub(super) fn new(connection: Connection, channel: Channel) -> Self {
        Self { connection, channel, under_way: TaskTracker::new() }
    }

    fn is_open(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }
}

// ===== impl Slot =====

impl Slot {
    /// A share in the publisher that is here and open.
    pub(super) fn share(&self) -> Option<Share<'_>> {
        let mut slot = self.lock();
        slot.take_if(|publisher| !publisher.is_open());
        slot.as_ref().map(|publisher| self.share_in(publisher))
    }

    /// Puts a publisher here.
    pub(super) fn put(&self, publisher: Publisher) -> Share<'_> {
        let mut slot = self.lock();
        self.share_in(slot.insert(Arc::new(publisher)))
    }

    /// Closes the publisher that is here, once all publishes on it have ended.
    pub(super) async fn close(&self, deadline: Instant) {
        let Some(publisher) = self.lock().take() else { return };
        publisher.under_way.close();
        // Those that are still under way then end with the connection.
        drop(timeout_at(deadline, publisher.under_way.wait()).await);
        if !publisher.connection.status().blocked() {
            close_connection(&publisher.connection, deadline).await;
        }
    }

    fn share_in(&self, publisher: &Arc<Publisher>) -> Share<'_> {
        let under_way = publisher.under_way.token();
        Share { slot: self, publisher: Arc::clone(publisher), confirmed: false, _under_way: under_way }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Publisher>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl Share =====

impl Share<'_> {
    /// Whether the broker takes no messages because of an alarm. What is sent waits for the end of it, a request to
    /// close the connection as well: it is kept, and used again when the broker takes messages again.
    pub(super) fn is_blocked(&self) -> bool {
        self.publisher.connection.status().blocked()
    }

    /// What Spring Cloud Stream 5.0.1 sends with a message (`fixtures/bus/messages`): persistent, priority 0, an id
    /// that is not the event's, the time in seconds, empty headers, not mandatory. Confirmed means that the broker has
    /// it, even if it went to no queue.
    pub(super) async fn send(&mut self, topic: &str, message: &Message) -> lapin::Result<()> {
        let mut properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_priority(0)
            .with_message_id(short(&Uuid::new_v4().to_string()))
            .with_timestamp(now_millis() / 1000)
            .with_headers(FieldTable::default());
        if let Some(content_type) = &message.content_type {
            properties = properties.with_content_type(short(content_type));
        }
        if let Some(encoding) = &message.content_encoding {
            properties = properties.with_content_encoding(short(encoding));
        }
        let options = BasicPublishOptions::default();
        let channel = &self.publisher.channel;
        let confirm = channel.basic_publish(short(topic), short(topic), options, &message.body, properties).await?;
        match confirm.await? {
            Confirmation::Ack(_) | Confirmation::NotRequested => {
                self.confirmed = true;
                Ok(())
            }
            Confirmation::Nack(_) => Err(std::io::Error::other("the broker could not keep the message").into()),
        }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if !self.confirmed && !self.is_blocked() {
            self.slot.lock().take_if(|publisher| Arc::ptr_eq(publisher, &self.publisher));
        }
    }
}
