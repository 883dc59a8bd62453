//! What the broker knows of one client: its connection and its channels.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use amq_protocol::protocol::{AMQPClass, basic};
use bytes::BytesMut;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::fault::{Fault, UNEXPECTED_FRAME};
use super::frame::{self, ContentHeader, short};
use super::limits::{OUTBOX, UNACKED};
use super::message::Message;
use super::queue::Entry;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: SocketAddr,
    pub(super) phase: Phase,
    pub(super) user: String,
    /// The client property `connection_name`.
    pub(super) name: Option<String>,
    pub(super) can: Capabilities,
    pub(super) frame_max: u32,
    pub(super) channel_max: u16,
    /// Seconds; 0 for none.
    pub(super) heartbeat: u16,
    pub(super) channels: BTreeMap<u16, Channel>,
    /// Waits for the alarm to go off.
    pub(super) blocked: bool,
    /// A delivery was held back because the outbox was full.
    pub(super) stalled: bool,
    outbox: BytesMut,
    /// Nothing follows what is in the outbox.
    pub(super) finished: bool,
    /// Wakes the writer.
    pub(super) output: Arc<Notify>,
    /// Wakes the reader, to look at the phase again.
    pub(super) turn: Arc<Notify>,
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    ProtocolHeader,
    StartOk,
    TuneOk,
    Open,
    Running,
    /// The broker sent `connection.close` and waits for the answer until then.
    Closing(Instant),
}

/// What a client says it understands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Capabilities {
    pub(super) consumer_cancel_notify: bool,
    pub(super) connection_blocked: bool,
}

#[derive(Debug, Default)]
pub(super) struct Channel {
    /// The broker sent `channel.close`; everything but the answer is ignored.
    pub(super) closing: bool,
    pub(super) confirms: bool,
    /// Messages published since `confirm.select`.
    pub(super) published: u64,
    /// For consumers that start from now on.
    pub(super) prefetch: u16,
    /// For all consumers together.
    pub(super) prefetch_global: u16,
    pub(super) last_tag: u64,
    pub(super) last_queue: Option<String>,
    pub(super) unacked: BTreeMap<u64, Unacked>,
    pub(super) consumers: BTreeMap<String, Consumer>,
    pub(super) content: Option<Content>,
}

#[derive(Debug)]
pub(super) struct Consumer {
    pub(super) queue: String,
    pub(super) no_ack: bool,
    pub(super) prefetch: u16,
    pub(super) unacked: usize,
}

/// A delivery without an answer.
#[derive(Debug)]
pub(super) struct Unacked {
    pub(super) queue: String,
    pub(super) queue_id: u64,
    /// `None` for `basic.get`.
    pub(super) consumer: Option<String>,
    pub(super) entry: Entry,
}

/// A message on its way in.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) publish: basic::Publish,
    pub(super) header: Option<ContentHeader>,
    pub(super) body: BytesMut,
}

impl Connection {
    pub(super) fn new(peer: SocketAddr, frame_max: u32, channel_max: u16) -> Self {
        Self {
            peer,
            phase: Phase::ProtocolHeader,
            user: String::new(),
            name: None,
            can: Capabilities::default(),
            frame_max,
            channel_max,
            heartbeat: 0,
            channels: BTreeMap::new(),
            blocked: false,
            stalled: false,
            outbox: BytesMut::new(),
            finished: false,
            output: Arc::default(),
            turn: Arc::default(),
        }
    }

    pub(super) fn send(&mut self, channel: u16, class: AMQPClass) {
        frame::put_method(&mut self.outbox, channel, class);
        self.output.notify_one();
    }

    /// Sends a method that carries a message.
    pub(super) fn send_content(&mut self, channel: u16, method: basic::AMQPMethod, message: &Message) {
        frame::put_method(&mut self.outbox, channel, AMQPClass::Basic(method));
        frame::put_content(&mut self.outbox, channel, &message.raw_properties, &message.body, self.frame_max);
        self.output.notify_one();
    }

    pub(super) fn send_raw(&mut self, bytes: &[u8]) {
        self.outbox.extend_from_slice(bytes);
        self.output.notify_one();
    }

    pub(super) fn take_outbox(&mut self) -> BytesMut {
        self.outbox.split()
    }

    pub(super) fn is_full(&self) -> bool {
        self.outbox.len() >= OUTBOX
    }

    /// Whether this consumer may be given one message more.
    pub(super) fn may_take(&mut self, channel: u16, tag: &str) -> bool {
        if self.phase != Phase::Running {
            return false;
        }
        let Some(open) = self.channels.get(&channel) else { return false };
        let Some(consumer) = open.consumers.get(tag) else { return false };
        let within = |limit: u16, count: usize| limit == 0 || count < usize::from(limit);
        let wanted = consumer.no_ack
            || (within(consumer.prefetch, consumer.unacked)
                && within(open.prefetch_global, open.unacked.len())
                && open.unacked.len() < UNACKED);
        if wanted && self.is_full() {
            self.stalled = true;
            return false;
        }
        wanted
    }

    /// Gives a message to a consumer that may take it.
    pub(super) fn deliver(&mut self, channel: u16, tag: &str, (queue, queue_id): (&str, u64), entry: Entry) {
        let Some(open) = self.channels.get_mut(&channel) else { return };
        let Some(consumer) = open.consumers.get_mut(tag) else { return };
        open.last_tag += 1;
        let deliver = basic::Deliver {
            consumer_tag: short(tag),
            delivery_tag: open.last_tag,
            redelivered: entry.redelivered,
            exchange: entry.message.exchange.clone(),
            routing_key: entry.message.routing_key.clone(),
        };
        let message = Arc::clone(&entry.message);
        if !consumer.no_ack {
            consumer.unacked += 1;
            let unacked = Unacked { queue: queue.to_owned(), queue_id, consumer: Some(tag.to_owned()), entry };
            open.unacked.insert(open.last_tag, unacked);
        }
        self.send_content(channel, basic::AMQPMethod::Deliver(deliver), &message);
    }
}

impl Content {
    /// What comes next is not what the message needs.
    pub(super) fn unexpected(&self) -> Fault {
        Fault::hard(
            UNEXPECTED_FRAME,
            match self.header {
                None => "expected content header for class 60, got non content header frame instead",
                Some(_) => "expected content body, got non content body frame instead",
            },
        )
    }
}

impl Channel {
    /// Takes the deliveries that `tag` answers: one, all up to it, or (0 with `multiple`) all. `None` if there is no
    /// such delivery.
    pub(super) fn settle(&mut self, tag: u64, multiple: bool) -> Option<Vec<Unacked>> {
        let settled: Vec<Unacked> = match (tag, multiple) {
            (0, true) => std::mem::take(&mut self.unacked).into_values().collect(),
            (tag, _) if !self.unacked.contains_key(&tag) => return None,
            (tag, true) => {
                let rest = self.unacked.split_off(&(tag + 1));
                std::mem::replace(&mut self.unacked, rest).into_values().collect()
            }
            (tag, false) => self.unacked.remove(&tag).into_iter().collect(),
        };
        for delivery in &settled {
            if let Some(consumer) = delivery.consumer.as_ref().and_then(|tag| self.consumers.get_mut(tag)) {
                consumer.unacked = consumer.unacked.saturating_sub(1);
            }
        }
        Some(settled)
    }
}
