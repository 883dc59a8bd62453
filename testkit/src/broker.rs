//! An AMQP 0-9-1 broker in memory, for what Spring Cloud Bus and its clients use of RabbitMQ.
//!
//! ```
//! use vernal_testkit::broker::{Broker, Properties};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = Broker::builder().start().await?;
//! println!("clients connect to {}", broker.url());
//! // A message for whoever bound a queue: nobody yet.
//! assert_eq!(broker.publish("amq.topic", "orders.created", &Properties::json(), "{}")?, 0);
//! broker.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! Built: direct, fanout and topic exchanges and the default one; durable, exclusive, auto-delete and server-named
//! queues; bind, unbind, purge, delete, passive declarations; qos per consumer and per channel, consume, cancel,
//! ack, nack, reject, recover, get; publisher confirms, mandatory returns; heartbeats, `connection.blocked`,
//! `basic.cancel` from the broker; `x-max-length` with `x-overflow`. Reply codes and texts are RabbitMQ's (fixtures
//! `bus/topology`, specification of the bus part 1.3).
//!
//! # Limits
//!
//! One virtual host, `/`; no rights but [`Builder::may_configure`]; login by PLAIN only; nothing is written to disk;
//! `expiration` of a message is not looked at. A connection is dropped after two heartbeats of silence.
//!
//! Refused with 540: transactions, `connection.update-secret`, `prefetch_size`, bindings between exchanges, headers
//! exchanges, `alternate-exchange`, dead-letter, time-to-live and priority arguments, queue types other than classic.
//!
//! | cap | default | what happens |
//! |---|---|---|
//! | frame size | 131,072 bytes, negotiated | 501, connection |
//! | body size | 16 MiB | 406, channel |
//! | queue length | 100,000 messages, 256 MiB | the oldest is dropped, counted, the first one logged |
//! | channels | 2047 per connection, negotiated | 504, connection |
//! | connections | 4096 | closed at once, counted and logged |
//! | queues, exchanges, bindings | 10,000, 1,000, 50,000 | 506, connection |
//! | messages in [`Broker::published`] | 10,000, 64 MiB | the oldest is forgotten, counted |

use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::net::TcpListener;
use vernal_commons::secret::Secret;
use vernal_commons::task::Task;

use self::connection::Phase;
use self::fault::{CONNECTION_FORCED, reply_text};
use self::limits::Limits;
use self::message::{Message, table};
use self::state::{Shared, State};

pub use self::error::Error;
pub use self::exchange::ExchangeKind;
pub use self::message::{Field, Properties, Published};
pub use self::view::{BindingView, ConnectionView, ConsumerView, Counters, ExchangeView, QueueView};

mod connection;
mod delivery;
mod error;
mod exchange;
mod fault;
mod frame;
mod limits;
mod message;
mod nesting;
mod queue;
mod server;
mod session;
mod state;
mod topology;
mod view;

/// Time for [`Broker::stop`] in all.
const STOP: Duration = Duration::from_secs(5);

/// A running broker on the loopback. Dropping it ends it at once, without a word to its clients.
pub struct Broker {
    shared: Arc<Shared>,
    port: u16,
    url: Secret,
    server: Mutex<Option<Task>>,
}

/// How a [`Broker`] shall be; see [`Broker::builder`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Builder {
    port: u16,
    users: Vec<(String, Secret)>,
    limits: Limits,
}

// ===== impl Broker =====

impl Broker {
    /// A broker on a free port with the user `guest`, password `guest`.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// `amqp://user:password@127.0.0.1:port` with the first user. It holds the password: do not log it.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.expose().to_owned()
    }

    /// The port it listens on, or listened on before it was stopped.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The queues, by name.
    #[must_use]
    pub fn queues(&self) -> Vec<QueueView> {
        self.shared.with(|state| {
            let view = |(name, queue): (&String, &queue::Queue)| QueueView {
                name: name.clone(),
                durable: queue.durable,
                exclusive: queue.owner.is_some(),
                auto_delete: queue.auto_delete,
                arguments: table(&queue.arguments),
                messages: queue.len(),
                unacknowledged: state.unacknowledged(queue.id),
                consumers: queue.consumers.len(),
                dropped: queue.dropped,
            };
            state.queues.iter().map(view).collect()
        })
    }

    /// The exchanges, by name, those that every broker has included.
    #[must_use]
    pub fn exchanges(&self) -> Vec<ExchangeView> {
        self.shared.with(|state| {
            let view = |(name, exchange): (&String, &exchange::Exchange)| ExchangeView {
                name: name.clone(),
                kind: exchange.kind,
                durable: exchange.durable,
                auto_delete: exchange.auto_delete,
                internal: exchange.internal,
                arguments: table(&exchange.arguments),
            };
            state.exchanges.iter().map(view).collect()
        })
    }

    /// The bindings: of every queue to the default exchange first, then by exchange.
    #[must_use]
    pub fn bindings(&self) -> Vec<BindingView> {
        self.shared.with(|state| {
            let default = state.queues.keys().map(|name| BindingView {
                exchange: String::new(),
                queue: name.clone(),
                routing_key: name.clone(),
                arguments: Default::default(),
            });
            let declared = state.exchanges.iter().flat_map(|(name, exchange)| {
                exchange.bindings.iter().map(|binding| BindingView {
                    exchange: name.clone(),
                    queue: binding.queue.clone(),
                    routing_key: binding.routing_key.clone(),
                    arguments: table(&binding.arguments),
                })
            });
            default.chain(declared).collect()
        })
    }

    /// The consumers, by connection and channel.
    #[must_use]
    pub fn consumers(&self) -> Vec<ConsumerView> {
        self.shared.with(|state| {
            let channels = state.connections.values().flat_map(|connection| connection.channels.values());
            let consumers = channels.flat_map(|channel| channel.consumers.iter());
            consumers
                .map(|(tag, consumer)| ConsumerView {
                    queue: consumer.queue.clone(),
                    tag: tag.clone(),
                    ack_required: !consumer.no_ack,
                    prefetch: consumer.prefetch,
                })
                .collect()
        })
    }

    /// The clients that finished the handshake, oldest first.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionView> {
        self.shared.with(|state| {
            let running = state.connections.values().filter(|connection| connection.phase == Phase::Running);
            running
                .map(|connection| ConnectionView {
                    peer: connection.peer,
                    user: connection.user.clone(),
                    name: connection.name.clone(),
                    channels: connection.channels.len(),
                    heartbeat: connection.heartbeat,
                    frame_max: connection.frame_max,
                    channel_max: connection.channel_max,
                    blocked: connection.blocked,
                })
                .collect()
        })
    }

    /// The messages that clients published to an exchange that exists, oldest first; not those of
    /// [`publish`](Self::publish).
    #[must_use]
    pub fn published(&self) -> Vec<Published> {
        self.shared.with(|state| state.recorded()).iter().map(|message| message.published()).collect()
    }

    /// Forgets what [`published`](Self::published) returns.
    pub fn forget_published(&self) {
        self.shared.update(State::forget);
    }

    /// Counts since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.with(|state| state.counters)
    }

    /// Publishes a message as a client would; gives the number of queues it reached. Names and texts are cut at 255
    /// bytes.
    ///
    /// # Errors
    ///
    /// The exchange does not exist or the body is too large.
    pub fn publish(
        &self,
        exchange: &str,
        routing_key: &str,
        properties: &Properties,
        body: impl Into<Bytes>,
    ) -> Result<usize, Error> {
        let message = Message::new(exchange, routing_key, properties, body.into());
        self.shared.update(|state| state.inject(message))
    }

    /// Closes every connection with 320 `CONNECTION_FORCED`, as `rabbitmqctl close_all_connections` does; gives their
    /// number.
    pub fn close_connections(&self, reason: &str) -> usize {
        self.shared.update(|state| state.close_all(CONNECTION_FORCED, &reply_text(CONNECTION_FORCED, reason)))
    }

    /// Deletes a queue, as `rabbitmqctl delete_queue` does; its consumers get `basic.cancel`. Whether there was one.
    pub fn delete_queue(&self, name: &str) -> bool {
        self.shared.update(|state| state.delete_queue(name))
    }

    /// Deletes an exchange with its bindings; queues and consumers get no sign of it. Whether there was one.
    pub fn delete_exchange(&self, name: &str) -> bool {
        self.shared.update(|state| state.delete_exchange(name))
    }

    /// Raises an alarm, as RabbitMQ does when memory or disk run low: a connection that publishes gets
    /// `connection.blocked` with `reason` and is read no more until [`unblock`](Self::unblock).
    pub fn block(&self, reason: &str) {
        self.shared.update(|state| state.set_alarm(Some(reason)));
    }

    /// Ends the alarm: blocked connections get `connection.unblocked` and are read again.
    pub fn unblock(&self) {
        self.shared.update(|state| state.set_alarm(None));
    }

    /// Stops reading and answering, as a broker process that got SIGSTOP: sockets stay open and silent.
    pub fn freeze(&self) {
        self.shared.frozen.send_replace(true);
    }

    /// Ends [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        self.shared.frozen.send_replace(false);
    }

    /// Waits until `condition` holds, at most for `limit`; whether it does. It is looked at again after every change
    /// of the broker's state.
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind.
    pub async fn until(&self, limit: Duration, mut condition: impl FnMut(&Self) -> bool) -> bool {
        let mut changed = self.shared.changed.subscribe();
        let met = async {
            while !condition(self) {
                // The sender lives as long as `self`.
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(limit, met).await;
        condition(self)
    }

    /// Closes every connection with 320 `CONNECTION_FORCED` and frees the port. Takes at most 5 s, and 2 s if clients
    /// do not answer. A frozen broker drops its sockets instead. Nothing happens if it is stopped already.
    ///
    /// # Cancel safety
    ///
    /// A dropped future ends the broker at once.
    pub async fn stop(&self) {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(server) = server {
            server.stop(STOP).await;
        }
    }

    /// Starts a stopped broker again on the same port, as after a restart of RabbitMQ: durable exchanges and queues,
    /// the bindings between them and persistent messages are still there. Stops it first if it runs.
    ///
    /// # Errors
    ///
    /// The port is taken by another program.
    pub async fn start_again(&self) -> io::Result<()> {
        self.stop().await;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await?;
        self.thaw();
        self.shared.update(State::restart);
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(spawn(&self.shared, listener));
        Ok(())
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("port", &self.port).field("counters", &self.counters()).finish_non_exhaustive()
    }
}

// ===== impl Builder =====

impl Builder {
    /// The port to listen on; 0, the default, takes a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Adds a login. The first one replaces `guest`, and is the one of [`Broker::url`].
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.users.push((name.into(), Secret::new(password.into())));
        self
    }

    /// The heartbeat the broker proposes, in whole seconds; default 60, 0 for none. The client's answer counts.
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.limits.heartbeat = u16::try_from(every.as_secs()).unwrap_or(u16::MAX);
        self
    }

    /// The largest frame in bytes, at least 8192, below which lapin does not go; default 131,072.
    pub fn frame_max(mut self, bytes: u32) -> Self {
        self.limits.frame_max = bytes.max(8192);
        self
    }

    /// The largest channel number, at least 1; default 2047.
    pub fn channel_max(mut self, number: u16) -> Self {
        self.limits.channel_max = number.max(1);
        self
    }

    /// The largest body in bytes; default 16 MiB.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.limits.body = bytes;
        self
    }

    /// The longest queue in messages, at least 1; default 100,000.
    pub fn max_queue_length(mut self, messages: usize) -> Self {
        self.limits.queue_messages = messages.max(1);
        self
    }

    /// How many clients may be connected; default 4096.
    pub fn max_connections(mut self, count: usize) -> Self {
        self.limits.connections = count;
        self
    }

    /// Lets clients declare and delete only what has a name with this prefix, as RabbitMQ's permission to configure
    /// `^prefix.*`; anything else is refused with 403. Passive declarations are not concerned.
    pub fn may_configure(mut self, prefix: impl Into<String>) -> Self {
        self.limits.configure = Some(prefix.into());
        self
    }

    /// Binds the port on 127.0.0.1 and serves until the [`Broker`] is stopped or dropped.
    ///
    /// # Errors
    ///
    /// The port is taken.
    pub async fn start(self) -> io::Result<Broker> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await?;
        let port = listener.local_addr()?.port();
        let mut users = self.users;
        if users.is_empty() {
            users.push(("guest".to_owned(), Secret::from("guest")));
        }
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (name, password) = &users[0];
        let url = format!("amqp://{}:{}@127.0.0.1:{port}", encoded(name), encoded(password.expose()));
        let shared = Arc::new(Shared::new(State::new(self.limits, users)));
        let server = Mutex::new(Some(spawn(&shared, listener)));
        Ok(Broker { shared, port, url: Secret::new(url), server })
    }
}

fn spawn(shared: &Arc<Shared>, listener: TcpListener) -> Task {
    let shared = Arc::clone(shared);
    Task::spawn("amqp broker", move |stop| async move {
        server::serve(shared, listener, stop.cancelled_owned()).await;
    })
}
