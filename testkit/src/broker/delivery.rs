//! Publishing, routing, delivering and settling messages.

use std::collections::BTreeSet;
use std::sync::Arc;

use amq_protocol::protocol::{AMQPClass, basic};
use bytes::{Bytes, BytesMut};

use super::connection::{Consumer, Content, Phase, Unacked};
use super::fault::{
    ACCESS_REFUSED, COMMAND_INVALID, Fault, NOT_ALLOWED, NOT_IMPLEMENTED, PRECONDITION_FAILED, RESOURCE_ERROR,
    UNEXPECTED_FRAME,
};
use super::frame::{ContentHeader, short};
use super::limits::CONSUMERS;
use super::message::Message;
use super::queue::{ConsumerKey, Entry, Taken};
use super::session::no_route;
use super::state::{State, generated_name};
use super::topology::count;

/// RabbitMQ's text for content that no basic.publish announced.
const NO_CONTENT: &str = "expected method frame, got non method frame instead";

impl State {
    pub(super) fn on_basic_method(&mut self, id: u64, number: u16, method: basic::AMQPMethod) -> Result<(), Fault> {
        use basic::AMQPMethod as Method;

        match method {
            Method::Qos(qos) => {
                if let Some(channel) = self.channel(id, number) {
                    let limit = if qos.global { &mut channel.prefetch_global } else { &mut channel.prefetch };
                    *limit = qos.prefetch_count;
                }
                self.reply_basic(id, number, Method::QosOk(basic::QosOk {}));
                if qos.global {
                    self.pump_channel(id, number);
                }
                Ok(())
            }
            Method::Consume(consume) => self.on_consume(id, number, &consume),
            Method::Cancel(cancel) => {
                let tag = cancel.consumer_tag.as_str();
                let removed = self.channel(id, number).and_then(|channel| channel.consumers.remove(tag));
                if let Some(consumer) = removed {
                    let key = ConsumerKey { connection: id, channel: number, tag: tag.to_owned() };
                    self.remove_consumer(&consumer.queue, &key);
                }
                if !cancel.nowait {
                    let ok = basic::CancelOk { consumer_tag: cancel.consumer_tag };
                    self.reply_basic(id, number, Method::CancelOk(ok));
                }
                Ok(())
            }
            Method::Publish(publish) => {
                if let Some(channel) = self.channel(id, number) {
                    channel.content = Some(Content { publish, header: None, body: BytesMut::new() });
                }
                Ok(())
            }
            Method::Get(get) => self.on_get(id, number, &get),
            Method::Ack(ack) => self.settle(id, number, ack.delivery_tag, ack.multiple, false),
            Method::Nack(nack) => self.settle(id, number, nack.delivery_tag, nack.multiple, nack.requeue),
            Method::Reject(reject) => self.settle(id, number, reject.delivery_tag, false, reject.requeue),
            Method::Recover(basic::Recover { requeue: true }) => {
                // The answer goes first: lapin throws away what was delivered before it.
                self.reply_basic(id, number, Method::RecoverOk(basic::RecoverOk {}));
                self.recover(id, number);
                Ok(())
            }
            Method::RecoverAsync(basic::RecoverAsync { requeue: true }) => {
                self.recover(id, number);
                Ok(())
            }
            Method::Recover(_) | Method::RecoverAsync(_) => Err(Fault::hard(NOT_IMPLEMENTED, "requeue=false")),
            Method::CancelOk(_) => Ok(()),
            _ => Err(Fault::hard(COMMAND_INVALID, "unimplemented method")),
        }
    }

    fn reply_basic(&mut self, id: u64, number: u16, method: basic::AMQPMethod) {
        self.reply(id, number, AMQPClass::Basic(method));
    }

    // ===== publishing =====

    pub(super) fn on_header(&mut self, id: u64, number: u16, header: ContentHeader) -> Result<(), Fault> {
        let most = self.limits.body;
        let Some(channel) = self.channel(id, number) else { return Ok(()) };
        let content = match &mut channel.content {
            None => return Err(Fault::hard(UNEXPECTED_FRAME, NO_CONTENT)),
            Some(content) if content.header.is_some() => return Err(content.unexpected()),
            Some(content) => content,
        };
        if header.class_id != 60 {
            let got = header.class_id;
            let text = format!("expected content header for class 60, got one for class {got} instead");
            return Err(Fault::hard(UNEXPECTED_FRAME, text));
        }
        let size = usize::try_from(header.body_size).unwrap_or(usize::MAX);
        if size > most {
            let text = format!("message size {size} is larger than configured max size {most}");
            return Err(Fault::soft(PRECONDITION_FAILED, text));
        }
        content.header = Some(header);
        if size == 0 { self.on_complete(id, number) } else { Ok(()) }
    }

    pub(super) fn on_body(&mut self, id: u64, number: u16, chunk: &Bytes) -> Result<(), Fault> {
        // What all channels of the connection hold of unfinished messages.
        let held: usize = self.connections.get(&id).map_or(0, |connection| {
            connection
                .channels
                .values()
                .filter_map(|channel| channel.content.as_ref())
                .map(|held| held.body.len())
                .sum()
        });
        if held + chunk.len() > self.limits.body.saturating_mul(4) {
            return Err(Fault::hard(RESOURCE_ERROR, "too many unfinished messages"));
        }
        let Some(channel) = self.channel(id, number) else { return Ok(()) };
        let (header, body) = match &mut channel.content {
            None => return Err(Fault::hard(UNEXPECTED_FRAME, NO_CONTENT)),
            Some(Content { header: Some(header), body, .. }) => (header, body),
            Some(content) => return Err(content.unexpected()),
        };
        // At most `limits.body`, checked when the header came.
        let size = usize::try_from(header.body_size).unwrap_or(usize::MAX);
        if body.len() + chunk.len() > size {
            return Err(Fault::hard(
                UNEXPECTED_FRAME,
                format!("content body is longer than the announced {size} bytes"),
            ));
        }
        body.extend_from_slice(chunk);
        if body.len() == size { self.on_complete(id, number) } else { Ok(()) }
    }

    fn on_complete(&mut self, id: u64, number: u16) -> Result<(), Fault> {
        let Some(Content { publish, header: Some(header), body }) =
            self.channel(id, number).and_then(|channel| channel.content.take())
        else {
            return Ok(());
        };
        if publish.immediate {
            return Err(Fault::hard(NOT_IMPLEMENTED, "immediate=true"));
        }
        let name = publish.exchange.as_str();
        let exchange = self.exchanges.get(name).ok_or_else(|| Fault::no_exchange(name))?;
        if exchange.internal {
            let text = format!("cannot publish to internal exchange '{name}' in vhost '/'");
            return Err(Fault::soft(ACCESS_REFUSED, text));
        }
        let login = self.connections.get(&id).map_or("", |connection| connection.user.as_str());
        if let Some(user) = header.properties.user_id().as_ref().filter(|user| user.as_str() != login) {
            let text = format!("user_id property set to '{user}' but authenticated user was '{login}'");
            return Err(Fault::soft(PRECONDITION_FAILED, text));
        }
        let message = Arc::new(Message {
            exchange: publish.exchange,
            routing_key: publish.routing_key,
            properties: header.properties,
            raw_properties: header.raw,
            body: body.freeze(),
        });
        self.record(&message);
        let queues = self.route(&message);
        let mut accepted = true;
        if queues.is_empty() {
            self.counters.unroutable += 1;
            if publish.mandatory
                && let Some(connection) = self.connections.get_mut(&id)
            {
                let (reply_code, reply_text) = no_route();
                let (exchange, routing_key) = (message.exchange.clone(), message.routing_key.clone());
                let returned = basic::Return { reply_code, reply_text, exchange, routing_key };
                connection.send_content(number, basic::AMQPMethod::Return(returned), &message);
            }
        }
        for queue in &queues {
            accepted &= self.enqueue(queue, &message);
        }
        // An unroutable message is confirmed as well, after its return.
        if let Some(channel) = self.channel(id, number).filter(|channel| channel.confirms) {
            channel.published += 1;
            let delivery_tag = channel.published;
            let answer = if accepted {
                basic::AMQPMethod::Ack(basic::Ack { delivery_tag, multiple: false })
            } else {
                basic::AMQPMethod::Nack(basic::Nack { delivery_tag, multiple: false, requeue: false })
            };
            self.reply_basic(id, number, answer);
        }
        self.block_if_alarmed(id);
        Ok(())
    }

    /// The queues a message goes to.
    pub(super) fn route(&self, message: &Message) -> Vec<String> {
        let key = message.routing_key.as_str();
        match message.exchange.as_str() {
            "" => self.queues.contains_key(key).then(|| key.to_owned()).into_iter().collect(),
            name => self.exchanges.get(name).map(|exchange| exchange.route(key)).unwrap_or_default(),
        }
    }

    /// Puts a message into a queue and on to its consumers; whether the queue took it.
    pub(super) fn enqueue(&mut self, name: &str, message: &Arc<Message>) -> bool {
        let place = self.fresh_id();
        let Some(queue) = self.queues.get_mut(name) else { return true };
        let first = queue.dropped == 0;
        let taken = queue.push(Entry { place, redelivered: false, message: Arc::clone(message) });
        let lost = match taken {
            Taken::Yes => 0,
            Taken::DroppingOld(count) => count,
            Taken::Refused => 1,
        };
        if lost > 0 {
            self.counters.dropped += lost;
            if first {
                tracing::warn!(queue = name, messages = queue.len(), "queue is full, messages are lost");
            }
        }
        self.pump(name);
        taken != Taken::Refused
    }

    // ===== delivering =====

    /// Gives messages of a queue to consumers, as long as there are both.
    pub(super) fn pump(&mut self, name: &str) {
        let Self { queues, connections, counters, .. } = self;
        let Some(queue) = queues.get_mut(name) else { return };
        while queue.len() > 0 {
            let next = queue.next_consumer(|key| {
                connections
                    .get_mut(&key.connection)
                    .is_some_and(|connection| connection.may_take(key.channel, &key.tag))
            });
            let Some(key) = next else { return };
            let (Some(entry), Some(connection)) = (queue.pop(), connections.get_mut(&key.connection)) else { return };
            counters.delivered += 1;
            connection.deliver(key.channel, &key.tag, (name, queue.id), entry);
        }
    }

    fn pump_channel(&mut self, id: u64, number: u16) {
        let queues: BTreeSet<String> = self
            .channel(id, number)
            .map(|channel| channel.consumers.values().map(|consumer| consumer.queue.clone()).collect())
            .unwrap_or_default();
        queues.iter().for_each(|queue| self.pump(queue));
    }

    fn on_consume(&mut self, id: u64, number: u16, consume: &basic::Consume) -> Result<(), Fault> {
        let name = self.named_queue(id, number, consume.queue.as_str())?;
        let queue = self.accessible_queue(id, &name)?;
        if queue.exclusive_consumer || (consume.exclusive && !queue.consumers.is_empty()) {
            return Err(Fault::soft(ACCESS_REFUSED, format!("queue '{name}' in vhost '/' in exclusive use")));
        }
        let tag = match consume.consumer_tag.as_str() {
            "" => generated_name("amq.ctag-"),
            tag => tag.to_owned(),
        };
        let Some(channel) = self.channel(id, number) else { return Ok(()) };
        if channel.consumers.contains_key(&tag) {
            return Err(Fault::hard(NOT_ALLOWED, format!("attempt to reuse consumer tag '{tag}'")));
        }
        if channel.consumers.len() >= CONSUMERS {
            return Err(Fault::hard(RESOURCE_ERROR, "too many consumers"));
        }
        let consumer = Consumer { queue: name.clone(), no_ack: consume.no_ack, prefetch: channel.prefetch, unacked: 0 };
        channel.consumers.insert(tag.clone(), consumer);
        if let Some(queue) = self.queues.get_mut(&name) {
            queue.exclusive_consumer = consume.exclusive;
            queue.consumers.push(ConsumerKey { connection: id, channel: number, tag: tag.clone() });
        }
        if !consume.nowait {
            let ok = basic::ConsumeOk { consumer_tag: short(&tag) };
            self.reply_basic(id, number, basic::AMQPMethod::ConsumeOk(ok));
        }
        self.pump(&name);
        Ok(())
    }

    fn on_get(&mut self, id: u64, number: u16, get: &basic::Get) -> Result<(), Fault> {
        let name = self.named_queue(id, number, get.queue.as_str())?;
        let queue = self.accessible_queue(id, &name)?;
        let (queue_id, entry) = (queue.id, queue.pop());
        let message_count = count(queue.len());
        let Some(entry) = entry else {
            self.reply_basic(id, number, basic::AMQPMethod::GetEmpty(basic::GetEmpty {}));
            return Ok(());
        };
        self.counters.delivered += 1;
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let Some(channel) = connection.channels.get_mut(&number) else { return Ok(()) };
        channel.last_tag += 1;
        let delivery_tag = channel.last_tag;
        let message = Arc::clone(&entry.message);
        let ok = basic::GetOk {
            delivery_tag,
            redelivered: entry.redelivered,
            exchange: message.exchange.clone(),
            routing_key: message.routing_key.clone(),
            message_count,
        };
        if !get.no_ack {
            channel.unacked.insert(delivery_tag, Unacked { queue: name, queue_id, consumer: None, entry });
        }
        connection.send_content(number, basic::AMQPMethod::GetOk(ok), &message);
        Ok(())
    }

    // ===== settling =====

    fn settle(&mut self, id: u64, number: u16, tag: u64, multiple: bool, requeue: bool) -> Result<(), Fault> {
        let Some(channel) = self.channel(id, number) else { return Ok(()) };
        let settled = channel
            .settle(tag, multiple)
            .ok_or_else(|| Fault::soft(PRECONDITION_FAILED, format!("unknown delivery tag {tag}")))?;
        if requeue {
            self.requeue(settled.into_iter());
        }
        self.pump_channel(id, number);
        Ok(())
    }

    fn recover(&mut self, id: u64, number: u16) {
        let settled = self.channel(id, number).and_then(|channel| channel.settle(0, true)).unwrap_or_default();
        self.requeue(settled.into_iter());
    }

    /// Puts deliveries back into their queues, if these still exist, and gives them to whoever may have them now.
    pub(super) fn requeue(&mut self, deliveries: impl Iterator<Item = Unacked>) {
        let mut touched = BTreeSet::new();
        for delivery in deliveries {
            let Some(queue) = self.queues.get_mut(&delivery.queue) else { continue };
            if queue.id == delivery.queue_id {
                queue.requeue(delivery.entry);
                touched.insert(delivery.queue);
            }
        }
        touched.iter().for_each(|queue| self.pump(queue));
    }

    /// Deliveries of a queue that wait for an answer.
    pub(super) fn unacknowledged(&self, queue_id: u64) -> usize {
        self.connections
            .values()
            .filter(|connection| connection.phase == Phase::Running)
            .flat_map(|connection| connection.channels.values())
            .flat_map(|channel| channel.unacked.values())
            .filter(|delivery| delivery.queue_id == queue_id)
            .count()
    }
}
