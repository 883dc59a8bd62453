//! Everything the broker knows, behind one lock: nothing here waits or does I/O.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use amq_protocol::protocol::{AMQPClass, channel, connection};
use bytes::{Bytes, BytesMut};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use vernal_commons::secret::Secret;

use super::connection::{Channel, Connection, Phase};
use super::exchange::{Exchange, ExchangeKind};
use super::fault::{FRAME_ERROR, Fault, UNEXPECTED_FRAME};
use super::frame::{self, CLOSE_OK, PROTOCOL_HEADER, short};
use super::limits::{CLOSING, HANDSHAKE, Limits};
use super::message::Message;
use super::queue::{ConsumerKey, Queue};
use super::view::Counters;

/// The state and those who wait for it to change.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) changed: watch::Sender<()>,
    pub(super) frozen: watch::Sender<bool>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) limits: Limits,
    pub(super) users: Vec<(String, Secret)>,
    pub(super) exchanges: BTreeMap<String, Exchange>,
    pub(super) queues: BTreeMap<String, Queue>,
    pub(super) connections: BTreeMap<u64, Connection>,
    pub(super) alarm: Option<String>,
    pub(super) published: VecDeque<Arc<Message>>,
    pub(super) published_bytes: usize,
    pub(super) counters: Counters,
    last_id: u64,
}

/// Whether the connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Go,
    End,
}

/// What the reader of a connection shall do next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wait {
    /// Read, at most for so long after something was heard.
    Silence(Duration),
    /// Read, without limit.
    Forever,
    /// Read, at most until then.
    Until(Instant),
    /// Read nothing until it is woken.
    Turn,
    /// The connection is gone.
    Gone,
}

// ===== impl Shared =====

impl Shared {
    pub(super) fn new(state: State) -> Self {
        Self { state: Mutex::new(state), changed: watch::Sender::new(()), frozen: watch::Sender::new(false) }
    }

    /// Looks at the state.
    pub(super) fn with<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state and tells those who wait.
    pub(super) fn update<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = self.with(change);
        self.changed.send_replace(());
        result
    }
}

// ===== impl State =====

impl State {
    pub(super) fn new(limits: Limits, users: Vec<(String, Secret)>) -> Self {
        let predeclared = [
            ("", ExchangeKind::Direct),
            ("amq.direct", ExchangeKind::Direct),
            ("amq.fanout", ExchangeKind::Fanout),
            ("amq.topic", ExchangeKind::Topic),
        ];
        Self {
            limits,
            users,
            exchanges: predeclared.map(|(name, kind)| (name.to_owned(), Exchange::predeclared(kind))).into(),
            queues: BTreeMap::new(),
            connections: BTreeMap::new(),
            alarm: None,
            published: VecDeque::new(),
            published_bytes: 0,
            counters: Counters::default(),
            last_id: 0,
        }
    }

    /// A number that was not used before.
    pub(super) fn fresh_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// What a stopped broker still knows when it starts again: durable exchanges and queues, their bindings and
    /// persistent messages.
    pub(super) fn restart(&mut self) {
        self.queues.retain(|_, queue| queue.durable && queue.owner.is_none());
        self.queues.values_mut().for_each(Queue::restart);
        self.exchanges.retain(|_, exchange| exchange.durable);
        let queues = &self.queues;
        for exchange in self.exchanges.values_mut() {
            exchange.bindings.retain(|binding| queues.contains_key(&binding.queue));
        }
        self.alarm = None;
    }

    /// A client came; `None` if there are too many. Gives its id and the bells of its writer and reader.
    pub(super) fn connect(&mut self, peer: SocketAddr) -> Option<(u64, Arc<Notify>, Arc<Notify>)> {
        if self.connections.len() >= self.limits.connections {
            self.counters.turned_away += 1;
            tracing::warn!(%peer, most = self.limits.connections, "too many connections");
            return None;
        }
        let id = self.fresh_id();
        let connection = Connection::new(peer, self.limits.frame_max, self.limits.channel_max);
        let bells = (id, Arc::clone(&connection.output), Arc::clone(&connection.turn));
        self.connections.insert(id, connection);
        Some(bells)
    }

    /// A client is gone, with everything it held.
    pub(super) fn disconnect(&mut self, id: u64) {
        self.release(id);
        self.connections.remove(&id);
    }

    /// What the reader of a connection shall do next.
    pub(super) fn wait_of(&self, id: u64) -> Wait {
        let Some(connection) = self.connections.get(&id) else { return Wait::Gone };
        match connection.phase {
            Phase::Closing(until) => Wait::Until(until),
            Phase::Running if connection.blocked || connection.is_full() => Wait::Turn,
            Phase::Running if connection.heartbeat == 0 => Wait::Forever,
            // A peer is dead after two beats without a word.
            Phase::Running => Wait::Silence(Duration::from_secs(u64::from(connection.heartbeat) * 2)),
            _ => Wait::Silence(HANDSHAKE),
        }
    }

    /// What the writer shall send, whether that is all, and how long it may be silent.
    pub(super) fn output_of(&mut self, id: u64) -> (BytesMut, bool, Option<Duration>) {
        let Some(connection) = self.connections.get_mut(&id) else { return (BytesMut::new(), true, None) };
        let beat = (connection.phase == Phase::Running && connection.heartbeat > 0)
            .then(|| Duration::from_millis(u64::from(connection.heartbeat) * 500));
        (connection.take_outbox(), connection.finished, beat)
    }

    /// The writer has sent what it took: deliveries and reading may go on.
    pub(super) fn sent(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.turn.notify_one();
        if std::mem::take(&mut connection.stalled) {
            let queues: Vec<String> = connection
                .channels
                .values()
                .flat_map(|channel| channel.consumers.values().map(|consumer| consumer.queue.clone()))
                .collect();
            queues.iter().for_each(|queue| self.pump(queue));
        }
    }

    /// Nothing follows what the connection has to send.
    pub(super) fn finish(&mut self, id: u64) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.finished = true;
            connection.output.notify_one();
        }
    }

    /// Nothing was heard from the client for too long.
    pub(super) fn went_silent(&mut self, id: u64) {
        let Some(connection) = self.connections.get(&id) else { return };
        if !matches!(connection.phase, Phase::Closing(_)) {
            self.counters.silent += 1;
            tracing::warn!(peer = %connection.peer, heartbeat = connection.heartbeat, "client went silent");
        }
    }

    /// Takes the whole frames out of `buffer`.
    pub(super) fn receive(&mut self, id: u64, buffer: &mut BytesMut) -> Step {
        loop {
            let Some(connection) = self.connections.get_mut(&id) else { return Step::End };
            match connection.phase {
                Phase::ProtocolHeader => {
                    if buffer.len() < PROTOCOL_HEADER.len() {
                        return Step::Go;
                    }
                    if buffer.split_to(PROTOCOL_HEADER.len())[..] != PROTOCOL_HEADER {
                        // The specification's answer to an unknown protocol: the one we speak, and nothing more.
                        connection.send_raw(&PROTOCOL_HEADER);
                        self.counters.malformed += 1;
                        return Step::End;
                    }
                    connection.phase = Phase::StartOk;
                    connection.send(0, super::session::start());
                }
                Phase::Closing(_) => {
                    // The stream may be out of step, so the answer is looked for among the bytes.
                    if buffer.windows(CLOSE_OK.len()).any(|bytes| bytes == CLOSE_OK) {
                        return Step::End;
                    }
                    let kept = buffer.len().min(CLOSE_OK.len() - 1);
                    let _ = buffer.split_to(buffer.len() - kept);
                    return Step::Go;
                }
                _ if connection.is_full() || connection.blocked => return Step::Go,
                _ => match frame::next(buffer, connection.frame_max) {
                    Ok(None) => return Step::Go,
                    Ok(Some(frame)) => {
                        if self.on_frame(id, frame) == Step::End {
                            return Step::End;
                        }
                    }
                    Err(fault) => self.fail(id, (0, 0, 0), &fault),
                },
            }
        }
    }

    /// Closes the channel or the connection for a reason; `about` is the channel, class and method that caused it.
    pub(super) fn fail(&mut self, id: u64, about: (u16, u16, u16), fault: &Fault) {
        let (number, class_id, method_id) = about;
        if fault.hard || number == 0 {
            if (FRAME_ERROR..=UNEXPECTED_FRAME).contains(&fault.code) {
                self.counters.malformed += 1;
            }
            self.close_connection(id, fault.code, &fault.text, (class_id, method_id));
            return;
        }
        let Some(connection) = self.connections.get_mut(&id) else { return };
        tracing::debug!(peer = %connection.peer, channel = number, reason = fault.text, "closing a channel");
        let close = channel::Close { reply_code: fault.code, reply_text: short(&fault.text), class_id, method_id };
        connection.send(number, AMQPClass::Channel(channel::AMQPMethod::Close(close)));
        let closed = connection.channels.insert(number, Channel { closing: true, ..Channel::default() });
        self.release_channel(id, number, closed.unwrap_or_default());
    }

    /// Sends `connection.close` and gives up everything the connection held.
    pub(super) fn close_connection(&mut self, id: u64, code: u16, text: &str, (class_id, method_id): (u16, u16)) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if matches!(connection.phase, Phase::Closing(_)) {
            return;
        }
        tracing::debug!(peer = %connection.peer, reason = text, "closing a connection");
        let close = connection::Close { reply_code: code, reply_text: short(text), class_id, method_id };
        connection.send(0, AMQPClass::Connection(connection::AMQPMethod::Close(close)));
        connection.phase = Phase::Closing(Instant::now() + CLOSING);
        connection.turn.notify_one();
        self.release(id);
    }

    /// Closes every connection that got as far as to understand it, and drops the others.
    pub(super) fn close_all(&mut self, code: u16, text: &str) -> usize {
        let ids: Vec<u64> = self.connections.keys().copied().collect();
        for &id in &ids {
            self.close_connection(id, code, text, (0, 0));
        }
        ids.len()
    }

    /// Ends the channels of a connection and deletes its exclusive queues.
    pub(super) fn release(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let channels = std::mem::take(&mut connection.channels);
        let owned: Vec<String> =
            self.queues.iter().filter(|(_, queue)| queue.owner == Some(id)).map(|(name, _)| name.clone()).collect();
        for name in owned {
            self.delete_queue(&name);
        }
        for (number, channel) in channels {
            self.release_channel(id, number, channel);
        }
    }

    /// Ends the consumers of a channel and puts its unanswered deliveries back.
    pub(super) fn release_channel(&mut self, id: u64, number: u16, channel: Channel) {
        for (tag, consumer) in &channel.consumers {
            let key = ConsumerKey { connection: id, channel: number, tag: tag.clone() };
            self.remove_consumer(&consumer.queue, &key);
        }
        self.requeue(channel.unacked.into_values());
    }

    /// Remembers what a client published.
    pub(super) fn record(&mut self, message: &Arc<Message>) {
        self.counters.published += 1;
        self.published_bytes += message.body.len();
        self.published.push_back(Arc::clone(message));
        while self.published.len() > self.limits.record || self.published_bytes > super::limits::RECORD_BYTES {
            let Some(oldest) = self.published.pop_front() else { break };
            self.published_bytes -= oldest.body.len();
            if self.counters.forgotten == 0 {
                tracing::warn!(most = self.limits.record, "the record of published messages is full");
            }
            self.counters.forgotten += 1;
        }
    }

    /// Raises or ends an alarm: while it lasts, connections that publish are blocked.
    pub(super) fn set_alarm(&mut self, alarm: Option<&str>) {
        self.alarm = alarm.map(str::to_owned);
        if self.alarm.is_some() {
            return;
        }
        for connection in self.connections.values_mut().filter(|connection| connection.blocked) {
            connection.blocked = false;
            if connection.can.connection_blocked && connection.phase == Phase::Running {
                let unblocked = connection::AMQPMethod::Unblocked(connection::Unblocked {});
                connection.send(0, AMQPClass::Connection(unblocked));
            }
            connection.turn.notify_one();
        }
    }

    /// Blocks a connection that published during an alarm, as RabbitMQ does: it is told once and read no more.
    pub(super) fn block_if_alarmed(&mut self, id: u64) {
        let Some(reason) = &self.alarm else { return };
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.blocked = true;
        if connection.can.connection_blocked {
            let blocked = connection::Blocked { reason: short(reason) };
            connection.send(0, AMQPClass::Connection(connection::AMQPMethod::Blocked(blocked)));
        }
    }

    /// A message put in from outside of any connection. Gives the number of queues it reached.
    pub(super) fn inject(&mut self, message: Message) -> Result<usize, super::error::Error> {
        if message.body.len() > self.limits.body {
            return Err(super::error::Error::TooLarge { size: message.body.len(), most: self.limits.body });
        }
        let name = message.exchange.to_string();
        if !self.exchanges.contains_key(&name) {
            return Err(super::error::Error::NoExchange { name });
        }
        let message = Arc::new(message);
        let queues = self.route(&message);
        for queue in &queues {
            self.enqueue(queue, &message);
        }
        Ok(queues.len())
    }

    /// Messages that clients published.
    pub(super) fn recorded(&self) -> Vec<Arc<Message>> {
        self.published.iter().cloned().collect()
    }

    pub(super) fn forget(&mut self) {
        self.published.clear();
        self.published_bytes = 0;
    }
}

/// A name that the broker makes: `prefix` and 22 characters of base64url, as in `amq.gen-JzTY20BRgKO-HjmUJj0wLg`.
pub(super) fn generated_name(prefix: &str) -> String {
    use base64::Engine;
    let random = Bytes::copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    format!("{prefix}{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random))
}
