//! Queues: what waits, and who takes it.

use std::collections::VecDeque;
use std::sync::Arc;

use amq_protocol::types::FieldTable;

use super::limits::QUEUE_BYTES;
use super::message::Message;

#[derive(Debug)]
pub(super) struct Queue {
    /// Tells a queue from a later one of the same name.
    pub(super) id: u64,
    pub(super) durable: bool,
    pub(super) auto_delete: bool,
    /// The connection an exclusive queue belongs to.
    pub(super) owner: Option<u64>,
    pub(super) arguments: FieldTable,
    pub(super) max_length: usize,
    pub(super) overflow: Overflow,
    ready: VecDeque<Entry>,
    ready_bytes: usize,
    pub(super) consumers: Vec<ConsumerKey>,
    /// Whether the only consumer asked to be the only one.
    pub(super) exclusive_consumer: bool,
    /// Where the round over the consumers goes on.
    turn: usize,
    /// Messages dropped because the queue was full.
    pub(super) dropped: u64,
}

/// What a full queue does with one message more (`x-overflow`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overflow {
    DropHead,
    RejectPublish,
}

/// A message in a queue.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Its place in the order of publishing, to which it returns when it is requeued.
    pub(super) place: u64,
    pub(super) redelivered: bool,
    pub(super) message: Arc<Message>,
}

/// Names a consumer among all connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConsumerKey {
    pub(super) connection: u64,
    pub(super) channel: u16,
    pub(super) tag: String,
}

/// What became of a message that came to a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Yes,
    /// It was taken, and this many older ones were dropped.
    DroppingOld(u64),
    Refused,
}

impl Queue {
    pub(super) fn new(
        id: u64,
        (durable, auto_delete, owner): (bool, bool, Option<u64>),
        arguments: FieldTable,
        (max_length, overflow): (usize, Overflow),
    ) -> Self {
        Self {
            id,
            durable,
            auto_delete,
            owner,
            arguments,
            max_length,
            overflow,
            ready: VecDeque::new(),
            ready_bytes: 0,
            consumers: Vec::new(),
            exclusive_consumer: false,
            turn: 0,
            dropped: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ready.len()
    }

    pub(super) fn push(&mut self, entry: Entry) -> Taken {
        let size = entry.message.body.len();
        let fits = |queue: &Self| queue.ready.len() < queue.max_length && queue.ready_bytes + size <= QUEUE_BYTES;
        if !fits(self) && self.overflow == Overflow::RejectPublish {
            self.dropped += 1;
            return Taken::Refused;
        }
        let mut lost = 0;
        while !fits(self) && self.pop().is_some() {
            lost += 1;
        }
        if fits(self) {
            self.ready_bytes += size;
            self.ready.push_back(entry);
        } else {
            lost += 1;
        }
        self.dropped += lost;
        if lost == 0 { Taken::Yes } else { Taken::DroppingOld(lost) }
    }

    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = self.ready.pop_front()?;
        self.ready_bytes -= entry.message.body.len();
        Some(entry)
    }

    /// Puts a delivered message back where it was.
    pub(super) fn requeue(&mut self, mut entry: Entry) {
        entry.redelivered = true;
        let at = self.ready.partition_point(|waiting| waiting.place < entry.place);
        self.ready_bytes += entry.message.body.len();
        self.ready.insert(at, entry);
    }

    pub(super) fn purge(&mut self) -> usize {
        let count = self.ready.len();
        self.ready.clear();
        self.ready_bytes = 0;
        count
    }

    /// Keeps what survives a restart of a broker: persistent messages.
    pub(super) fn restart(&mut self) {
        self.ready.retain(|entry| *entry.message.properties.delivery_mode() == Some(2));
        self.ready_bytes = self.ready.iter().map(|entry| entry.message.body.len()).sum();
        self.consumers.clear();
        self.exclusive_consumer = false;
    }

    /// The next consumer in turn that may take a message.
    pub(super) fn next_consumer(&mut self, mut may_take: impl FnMut(&ConsumerKey) -> bool) -> Option<ConsumerKey> {
        let count = self.consumers.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            if may_take(&self.consumers[index]) {
                self.turn = index + 1;
                return Some(self.consumers[index].clone());
            }
        }
        None
    }

    /// Takes a consumer off; whether the queue shall now be deleted.
    pub(super) fn remove_consumer(&mut self, consumer: &ConsumerKey) -> bool {
        let before = self.consumers.len();
        self.consumers.retain(|other| other != consumer);
        if self.consumers.len() == before {
            return false;
        }
        if self.consumers.is_empty() {
            self.exclusive_consumer = false;
        }
        self.consumers.is_empty() && self.auto_delete
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::message::Properties;

    fn entry(place: u64) -> Entry {
        let message = Message::new("", "q", &Properties::default(), place.to_string().into_bytes().into());
        Entry { place, redelivered: false, message: Arc::new(message) }
    }

    fn queue(max_length: usize, overflow: Overflow) -> Queue {
        Queue::new(1, (false, true, None), FieldTable::default(), (max_length, overflow))
    }

    fn places(queue: &mut Queue) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop()).map(|entry| entry.place).collect()
    }

    #[test]
    fn a_full_queue_drops_its_oldest_message() {
        let mut queue = queue(2, Overflow::DropHead);
        assert_eq!([1, 2, 3].map(|place| queue.push(entry(place))), [Taken::Yes, Taken::Yes, Taken::DroppingOld(1)]);
        assert_eq!(queue.dropped, 1);
        assert_eq!(places(&mut queue), [2, 3]);
    }

    #[test]
    fn a_full_queue_refuses_when_it_was_declared_so() {
        let mut queue = queue(1, Overflow::RejectPublish);
        assert_eq!([1, 2].map(|place| queue.push(entry(place))), [Taken::Yes, Taken::Refused]);
        assert_eq!(places(&mut queue), [1]);
    }

    #[test]
    fn a_requeued_message_returns_to_its_place() {
        let mut queue = queue(10, Overflow::DropHead);
        for place in 1..=4 {
            queue.push(entry(place));
        }
        let (first, second) = (queue.pop().unwrap(), queue.pop().unwrap());
        queue.requeue(second);
        queue.requeue(first);
        assert!(queue.ready[0].redelivered && !queue.ready[2].redelivered);
        assert_eq!(places(&mut queue), [1, 2, 3, 4]);
    }

    #[test]
    fn consumers_take_turns() {
        let mut queue = queue(10, Overflow::DropHead);
        let consumer = |tag: &str| ConsumerKey { connection: 1, channel: 1, tag: tag.to_owned() };
        queue.consumers = vec![consumer("a"), consumer("b"), consumer("c")];
        let mut turns = Vec::new();
        for _ in 0..4 {
            turns.extend(queue.next_consumer(|who| who.tag != "b").map(|who| who.tag));
        }
        assert_eq!(turns, ["a", "c", "a", "c"]);
        assert!(!queue.remove_consumer(&consumer("a")) && !queue.remove_consumer(&consumer("x")));
        assert!(!queue.remove_consumer(&consumer("b")) && queue.remove_consumer(&consumer("c")));
    }
}
