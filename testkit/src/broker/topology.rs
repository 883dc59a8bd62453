//! Declaring, binding and deleting exchanges and queues.

use amq_protocol::protocol::{AMQPClass, basic, exchange, queue};
use amq_protocol::types::{AMQPValue, FieldTable};

use super::connection::Channel;
use super::exchange::{Binding, Exchange, ExchangeKind};
use super::fault::{
    ACCESS_REFUSED, COMMAND_INVALID, Fault, NOT_FOUND, NOT_IMPLEMENTED, PRECONDITION_FAILED, RESOURCE_ERROR,
};
use super::frame::short;
use super::queue::{ConsumerKey, Overflow, Queue};
use super::state::{State, generated_name};

/// Arguments that would change what a queue does and are not built: refused rather than ignored.
const NOT_BUILT: [&str; 8] = [
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-expires",
    "x-max-length-bytes",
    "x-max-priority",
    "x-message-ttl",
    "x-queue-mode",
    "x-single-active-consumer",
];

impl State {
    pub(super) fn on_exchange_method(
        &mut self,
        id: u64,
        number: u16,
        method: exchange::AMQPMethod,
    ) -> Result<(), Fault> {
        use exchange::AMQPMethod as Method;

        let (nowait, reply) = match method {
            Method::Declare(declare) => {
                self.declare_exchange(id, &declare)?;
                (declare.nowait, Method::DeclareOk(exchange::DeclareOk {}))
            }
            Method::Delete(delete) => {
                self.delete_exchange_asked(id, delete.exchange.as_str(), delete.if_unused)?;
                (delete.nowait, Method::DeleteOk(exchange::DeleteOk {}))
            }
            Method::Bind(_) => return Err(Fault::hard(NOT_IMPLEMENTED, "exchange.bind")),
            Method::Unbind(_) => return Err(Fault::hard(NOT_IMPLEMENTED, "exchange.unbind")),
            _ => return Err(Fault::hard(COMMAND_INVALID, "unimplemented method")),
        };
        if !nowait {
            self.reply(id, number, AMQPClass::Exchange(reply));
        }
        Ok(())
    }

    pub(super) fn on_queue_method(&mut self, id: u64, number: u16, method: queue::AMQPMethod) -> Result<(), Fault> {
        use queue::AMQPMethod as Method;

        let (nowait, reply) = match method {
            Method::Declare(declare) => {
                let name = self.declare_queue(id, number, &declare)?;
                if let Some(channel) = self.channel(id, number) {
                    channel.last_queue = Some(name.clone());
                }
                let (messages, consumers) =
                    self.queues.get(&name).map_or((0, 0), |queue| (queue.len(), queue.consumers.len()));
                let ok = queue::DeclareOk {
                    queue: short(&name),
                    message_count: count(messages),
                    consumer_count: count(consumers),
                };
                (declare.nowait, Method::DeclareOk(ok))
            }
            Method::Bind(bind) => {
                let name = self.named_queue(id, number, bind.queue.as_str())?;
                // Both names empty: the last queue, bound by its own name.
                let key = if bind.queue.as_str().is_empty() && bind.routing_key.as_str().is_empty() {
                    name.clone()
                } else {
                    bind.routing_key.to_string()
                };
                self.accessible_queue(id, &name)?;
                self.bind(
                    bind.exchange.as_str(),
                    Binding { queue: name, routing_key: key, arguments: bind.arguments },
                )?;
                (bind.nowait, Method::BindOk(queue::BindOk {}))
            }
            Method::Unbind(unbind) => {
                let name = self.named_queue(id, number, unbind.queue.as_str())?;
                if self.queues.contains_key(&name) {
                    self.accessible_queue(id, &name)?;
                }
                let routing_key = unbind.routing_key.to_string();
                let binding = Binding { queue: name, routing_key, arguments: unbind.arguments };
                self.unbind(unbind.exchange.as_str(), |other| *other == binding)?;
                (false, Method::UnbindOk(queue::UnbindOk {}))
            }
            Method::Purge(purge) => {
                let name = self.named_queue(id, number, purge.queue.as_str())?;
                let purged = self.accessible_queue(id, &name)?.purge();
                (purge.nowait, Method::PurgeOk(queue::PurgeOk { message_count: count(purged) }))
            }
            Method::Delete(delete) => {
                let name = self.named_queue(id, number, delete.queue.as_str())?;
                self.may_configure(id, "queue", &name)?;
                let mut messages = 0;
                // Deleting what is not there is no error in RabbitMQ.
                if self.queues.contains_key(&name) {
                    let queue = self.accessible_queue(id, &name)?;
                    messages = queue.len();
                    if delete.if_unused && !queue.consumers.is_empty() {
                        let text = format!("queue '{name}' in vhost '/' in use");
                        return Err(Fault::soft(PRECONDITION_FAILED, text));
                    }
                    if delete.if_empty && messages > 0 {
                        let text = format!("queue '{name}' in vhost '/' not empty");
                        return Err(Fault::soft(PRECONDITION_FAILED, text));
                    }
                    self.delete_queue(&name);
                }
                (delete.nowait, Method::DeleteOk(queue::DeleteOk { message_count: count(messages) }))
            }
            _ => return Err(Fault::hard(COMMAND_INVALID, "unimplemented method")),
        };
        if !nowait {
            self.reply(id, number, AMQPClass::Queue(reply));
        }
        Ok(())
    }

    pub(super) fn reply(&mut self, id: u64, number: u16, class: AMQPClass) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.send(number, class);
        }
    }

    pub(super) fn channel(&mut self, id: u64, number: u16) -> Option<&mut Channel> {
        self.connections.get_mut(&id)?.channels.get_mut(&number)
    }

    /// The queue's name, or the last one declared on the channel if it is empty.
    pub(super) fn named_queue(&mut self, id: u64, number: u16, name: &str) -> Result<String, Fault> {
        if !name.is_empty() {
            return Ok(name.to_owned());
        }
        self.channel(id, number)
            .and_then(|channel| channel.last_queue.clone())
            .ok_or_else(|| Fault::soft(NOT_FOUND, "no previously declared queue"))
    }

    /// The queue, unless it belongs to another connection.
    pub(super) fn accessible_queue(&mut self, id: u64, name: &str) -> Result<&mut Queue, Fault> {
        let queue = self.queues.get_mut(name).ok_or_else(|| Fault::no_queue(name))?;
        if queue.owner.is_some_and(|owner| owner != id) { Err(Fault::locked(name)) } else { Ok(queue) }
    }

    /// Refuses a name outside of what users may configure.
    fn may_configure(&self, id: u64, what: &str, name: &str) -> Result<(), Fault> {
        match &self.limits.configure {
            Some(prefix) if !name.starts_with(prefix) => {
                let user = self.connections.get(&id).map_or("", |connection| connection.user.as_str());
                let text = format!("access to {what} '{name}' in vhost '/' refused for user '{user}'");
                Err(Fault::soft(ACCESS_REFUSED, text))
            }
            _ => Ok(()),
        }
    }

    fn declare_exchange(&mut self, id: u64, declare: &exchange::Declare) -> Result<(), Fault> {
        let name = declare.exchange.as_str();
        refuse_default(name)?;
        let existing = self.exchanges.get(name);
        if declare.passive {
            return existing.map(|_| ()).ok_or_else(|| Fault::no_exchange(name));
        }
        let kind = match declare.kind.as_str() {
            "headers" => return Err(Fault::hard(NOT_IMPLEMENTED, "exchange type 'headers'")),
            kind => ExchangeKind::named(kind)
                .ok_or_else(|| Fault::hard(COMMAND_INVALID, format!("invalid exchange type '{kind}'")))?,
        };
        self.may_configure(id, "exchange", name)?;
        if let Some(existing) = existing {
            let differs = |argument: &str, received: &str, current: &str| {
                if received == current {
                    return Ok(());
                }
                Err(Fault::inequivalent(argument, "exchange", name, received, current))
            };
            let flag = |value: bool| if value { "true" } else { "false" };
            differs("type", kind.name(), existing.kind.name())?;
            differs("durable", flag(declare.durable), flag(existing.durable))?;
            differs("auto_delete", flag(declare.auto_delete), flag(existing.auto_delete))?;
            return differs("internal", flag(declare.internal), flag(existing.internal));
        }
        refuse_reserved("exchange", name)?;
        if declare.arguments.contains_key("alternate-exchange") {
            return Err(Fault::hard(NOT_IMPLEMENTED, "argument 'alternate-exchange'"));
        }
        if self.exchanges.len() >= self.limits.exchanges {
            return Err(Fault::hard(RESOURCE_ERROR, "too many exchanges"));
        }
        let exchange = Exchange {
            kind,
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            internal: declare.internal,
            arguments: declare.arguments.clone(),
            bindings: Vec::new(),
        };
        self.exchanges.insert(name.to_owned(), exchange);
        Ok(())
    }

    fn delete_exchange_asked(&mut self, id: u64, name: &str, if_unused: bool) -> Result<(), Fault> {
        refuse_default(name)?;
        if name.starts_with("amq.") {
            let text = format!("deletion of system exchange '{name}' in vhost '/' not allowed");
            return Err(Fault::soft(ACCESS_REFUSED, text));
        }
        self.may_configure(id, "exchange", name)?;
        if if_unused && self.exchanges.get(name).is_some_and(|exchange| !exchange.bindings.is_empty()) {
            return Err(Fault::soft(PRECONDITION_FAILED, format!("exchange '{name}' in vhost '/' in use")));
        }
        self.exchanges.remove(name);
        Ok(())
    }

    fn declare_queue(&mut self, id: u64, number: u16, declare: &queue::Declare) -> Result<String, Fault> {
        let asked = declare.queue.as_str();
        if declare.passive {
            let name = self.named_queue(id, number, asked)?;
            self.accessible_queue(id, &name)?;
            return Ok(name);
        }
        let generated = asked.is_empty().then(|| generated_name("amq.gen-"));
        self.may_configure(id, "queue", generated.as_deref().unwrap_or(asked))?;
        let owner = declare.exclusive.then_some(id);
        // RabbitMQ does not look at this flag of an exclusive queue, which cannot outlive the broker.
        let durable = declare.durable && !declare.exclusive;
        if let Some(existing) = self.queues.get(asked) {
            if existing.owner != owner {
                return Err(Fault::locked(asked));
            }
            let flag = |value: bool| if value { "true" } else { "false" };
            for (argument, received, current) in
                [("durable", durable, existing.durable), ("auto_delete", declare.auto_delete, existing.auto_delete)]
            {
                if received != current {
                    return Err(Fault::inequivalent(argument, "queue", asked, flag(received), flag(current)));
                }
            }
            for argument in ["x-max-length", "x-overflow", "x-queue-type"] {
                let [received, current] =
                    [&declare.arguments, &existing.arguments].map(|table| shown(table.inner().get(argument)));
                if received != current {
                    return Err(Fault::inequivalent(argument, "queue", asked, &received, &current));
                }
            }
            return Ok(asked.to_owned());
        }
        refuse_reserved("queue", asked)?;
        let length = self.length_of(asked, &declare.arguments)?;
        if self.queues.len() >= self.limits.queues {
            return Err(Fault::hard(RESOURCE_ERROR, "too many queues"));
        }
        let name = generated.unwrap_or_else(|| asked.to_owned());
        let flags = (durable, declare.auto_delete, owner);
        let queue = Queue::new(self.fresh_id(), flags, declare.arguments.clone(), length);
        self.queues.insert(name.clone(), queue);
        Ok(name)
    }

    /// How long a queue with these arguments may grow. Locators of queue masters (`x-queue-master-locator`, sent by
    /// Spring AMQP, and its successor) mean nothing on a single node and are taken as they are.
    fn length_of(&self, name: &str, arguments: &FieldTable) -> Result<(usize, Overflow), Fault> {
        if let Some(name) = NOT_BUILT.into_iter().find(|name| arguments.contains_key(name)) {
            return Err(Fault::hard(NOT_IMPLEMENTED, format!("queue argument '{name}'")));
        }
        let invalid = |argument: &str, why: &str| {
            let text = format!("invalid arg '{argument}' for queue '{name}' in vhost '/': {why}");
            Fault::soft(PRECONDITION_FAILED, text)
        };
        if let Some(kind) = arguments.inner().get("x-queue-type")
            && shown(Some(kind)) != "classic"
        {
            return Err(Fault::hard(NOT_IMPLEMENTED, format!("queue type '{}'", shown(Some(kind)))));
        }
        let most = self.limits.queue_messages;
        let max_length = match arguments.inner().get("x-max-length") {
            None => most,
            Some(AMQPValue::LongString(_)) => return Err(invalid("x-max-length", "expected integer, got longstr")),
            Some(value) => shown(Some(value))
                .parse::<usize>()
                .map_err(|_| invalid("x-max-length", "expected an integer that is not negative"))?
                .min(most),
        };
        let overflow = match shown(arguments.inner().get("x-overflow")).as_str() {
            "none" | "drop-head" => Overflow::DropHead,
            "reject-publish" => Overflow::RejectPublish,
            _ => return Err(invalid("x-overflow", "expected drop-head or reject-publish")),
        };
        Ok((max_length, overflow))
    }

    fn bind(&mut self, exchange: &str, binding: Binding) -> Result<(), Fault> {
        refuse_default(exchange)?;
        let bound: usize = self.exchanges.values().map(|exchange| exchange.bindings.len()).sum();
        let found = self.exchanges.get_mut(exchange).ok_or_else(|| Fault::no_exchange(exchange))?;
        if found.bindings.contains(&binding) {
            return Ok(());
        }
        if bound >= self.limits.bindings {
            return Err(Fault::hard(RESOURCE_ERROR, "too many bindings"));
        }
        found.bindings.push(binding);
        Ok(())
    }

    fn unbind(&mut self, name: &str, mut which: impl FnMut(&Binding) -> bool) -> Result<(), Fault> {
        refuse_default(name)?;
        let Some(exchange) = self.exchanges.get_mut(name) else { return Ok(()) };
        let before = exchange.bindings.len();
        exchange.bindings.retain(|binding| !which(binding));
        if exchange.auto_delete && exchange.bindings.is_empty() && before > 0 {
            self.exchanges.remove(name);
        }
        Ok(())
    }

    /// Deletes a queue with its bindings and tells its consumers; whether there was one.
    pub(super) fn delete_queue(&mut self, name: &str) -> bool {
        let Some(queue) = self.queues.remove(name) else { return false };
        for key in queue.consumers {
            let Some(connection) = self.connections.get_mut(&key.connection) else { continue };
            let Some(channel) = connection.channels.get_mut(&key.channel) else { continue };
            channel.consumers.remove(&key.tag);
            if connection.can.consumer_cancel_notify {
                let cancel = basic::Cancel { consumer_tag: short(&key.tag), nowait: true };
                connection.send(key.channel, AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)));
            }
        }
        self.exchanges.retain(|_, exchange| {
            let before = exchange.bindings.len();
            exchange.bindings.retain(|binding| binding.queue != name);
            !(exchange.auto_delete && exchange.bindings.is_empty() && before > 0)
        });
        true
    }

    /// Deletes an exchange with its bindings; whether there was one. Its queues learn nothing of it.
    pub(super) fn delete_exchange(&mut self, name: &str) -> bool {
        !name.is_empty() && self.exchanges.remove(name).is_some()
    }

    /// Takes a consumer off its queue, which goes with it if it is the last of an auto-delete queue.
    pub(super) fn remove_consumer(&mut self, queue: &str, key: &ConsumerKey) {
        if self.queues.get_mut(queue).is_some_and(|queue| queue.remove_consumer(key)) {
            self.delete_queue(queue);
        }
    }
}

fn refuse_default(exchange: &str) -> Result<(), Fault> {
    if exchange.is_empty() {
        return Err(Fault::soft(ACCESS_REFUSED, "operation not permitted on the default exchange"));
    }
    Ok(())
}

fn refuse_reserved(what: &str, name: &str) -> Result<(), Fault> {
    if name.starts_with("amq.") {
        let text = format!("{what} name '{name}' contains reserved prefix 'amq.*'");
        return Err(Fault::soft(ACCESS_REFUSED, text));
    }
    Ok(())
}

/// An argument's value in an error text.
fn shown(value: Option<&AMQPValue>) -> String {
    match value {
        None => "none".to_owned(),
        Some(AMQPValue::LongString(text)) => text.to_string(),
        Some(AMQPValue::ShortShortInt(value)) => value.to_string(),
        Some(AMQPValue::ShortShortUInt(value)) => value.to_string(),
        Some(AMQPValue::ShortInt(value)) => value.to_string(),
        Some(AMQPValue::ShortUInt(value)) => value.to_string(),
        Some(AMQPValue::LongInt(value)) => value.to_string(),
        Some(AMQPValue::LongUInt(value)) => value.to_string(),
        Some(AMQPValue::LongLongInt(value)) => value.to_string(),
        Some(_) => "a value of another type".to_owned(),
    }
}

pub(super) fn count(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
