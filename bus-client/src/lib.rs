//! A node of Spring Cloud Bus: refresh, env-change and ack events, with Spring nodes as equal peers.
//!
//! ```
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use std::sync::Arc;
//!
//! use vernal_bus_client::{Bus, BusId, BusSettings, MemoryHub, MemoryTransport, State};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), vernal_bus_client::Error> {
//! let hub = MemoryHub::new(); // with RabbitMQ: `AmqpTransport::new(RabbitSettings::default())?`
//! let fetched = Arc::new(AtomicU32::new(0));
//! let count = fetched.clone();
//! let orders = Bus::builder(BusSettings::default(), BusId::new("orders:8080:1")?)
//!     .transport(MemoryTransport::new(&hub))
//!     .on_refresh(move || {
//!         count.fetch_add(1, Ordering::Relaxed);
//!         async { Ok(vec!["greeting.message".to_owned()]) } // fetch the configuration, say what changed
//!     })
//!     .on_env(|values| async move { Ok(values.into_keys().collect()) }) // put them before all other sources
//!     .start()?;
//! let gateway = Bus::builder(BusSettings::default(), BusId::new("gateway:8000:1")?)
//!     .transport(MemoryTransport::new(&hub))
//!     .start()?;
//! orders.states().reach(|state| state == State::Consuming).await;
//!
//! let mut acks = gateway.acks();
//! let event = gateway.publish_refresh(Some("orders")).await?;
//! let ack = acks.next().await.expect("orders answers");
//! assert_eq!((ack.node.as_deref(), ack.event_id), (Some("orders:8080:1"), Some(event)));
//! assert_eq!(fetched.load(Ordering::Relaxed), 1);
//! gateway.stop().await;
//! orders.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Concepts
//!
//! Every node has a [`BusId`] and a queue of its own; every event goes to every node, which looks at the event's
//! [`Destination`] whether it is meant. Events are not kept for a node that is away: after each subscription, the first
//! included, the [`Bus`] asks for one refresh, since it may have missed some.
//!
//! Refreshes are gathered: one starts when no request came for `quiet-period` (500 ms), and after a random delay that
//! depends on how many nodes were addressed (`jitter`: none for one instance, up to 2 s for a service, 15 s for
//! several and for catching up). A refresh that fails is tried again until it succeeds. A handled event is acknowledged
//! to all nodes; for a refresh that is after it succeeded.
//!
//! [`BusBuilder::start`] never fails because the broker is down. The bus keeps trying, 0.5 to 30 s apart and with
//! jitter, logs the first failure and the recovery, and shows in [`Bus::health`] how it is. Nothing on the bus can stop
//! the process: a message that is no event is counted, logged and forgotten.
//!
//! The settings are Spring's: [`BusSettings`] is `spring.cloud.bus.*`, [`RabbitSettings`] is `spring.rabbitmq.*`.
//!
//! # Features
//!
//! | feature | default | brings |
//! |---|---|---|
//! | `amqp` | yes | `AmqpTransport`: RabbitMQ, through lapin, without TLS |
//! | `amqps` | no | TLS for it; without the feature an `amqps://` address is an error |
//!
//! # Deviations
//!
//! Tags name the section of the specification that decides it. Each is deliberate: Spring blocks a node for 7 s, loses
//! an event or its subscription there.
//!
//! | tag | Spring 5 | here |
//! |---|---|---|
//! | 1.3 | declares the exchange actively, and its queue with `x-queue-master-locator`, prefetch 1 | looks for the exchange first and declares it only if it is missing; no queue arguments; prefetch 100; no passive look at the queue; a new queue name for each subscription |
//! | 1.6 | a message it cannot read is tried four times, 7 s in all | counted and dropped at once |
//! | 1.6 | fails on a missing origin, `values: null`, an unusable value, other JSON media types | reads them; leaves out an unusable value |
//! | 1.6 | acknowledges an event without id under an invented one | does not acknowledge it |
//! | 1.6 | runs an event with a known id again | drops it |
//! | 1.6 | takes snake_case fields for no destination unless told so | reads both namings |
//! | 1.6 | bodies up to 64 MiB and nested 500 deep; UTF-16 | at most 1 MiB and 128 deep; UTF-8 only |
//! | 1.2 | a header `contentType` replaces the property | no header counts but `traceparent` |
//! | 3.1 | takes any text for a bus id | refuses white space, empty segments and pattern characters |
//! | 3.4 | the origin of an event is used as a pattern to tell own events | own is what has our bus id and an id that we sent |
//! | 6.5 | publishes without asking for confirms: an answer says nothing | a publish waits for the broker's confirm, for at most 5 s |
//! | 6.8 | shutdown events stop the process | they are ignored with a warning, and not acknowledged, unless switched on |
//! | 4.2 | an env-change of our own is applied here even if it is for others | only if it is for us, too |
//!
//! # Limits
//!
//! - Events are delivered at most once. A successful publish says that the broker has the event.
//! - Custom event types and Kafka are not built; events of other types are counted and ignored.
//! - Spring 5 nodes read the `ackId` of every ack as null, whoever sent it.
//! - With acks on, one event to `n` nodes costs `n²` deliveries: switch them off above about 200 nodes.
//! - If somebody deletes the exchange and re-declares it within a minute, events in between are missed unnoticed.

mod bus;
mod coalesce;
mod counters;
pub mod destination;
mod encoding;
mod error;
pub mod event;
mod handlers;
mod id;
mod inbox;
mod publish;
mod settings;
mod supervisor;
pub mod transport;

pub use self::bus::{Acks, Bus, BusBuilder, States};
pub use self::counters::Counters;
pub use self::destination::Destination;
pub use self::error::{Error, TransportError};
pub use self::event::{Ack, Event, Naming};
pub use self::id::BusId;
pub use self::settings::{
    AckSettings, AddressShuffleMode, BusSettings, EnvSettings, JitterSettings, RabbitSettings, ShutdownSettings,
    SslSettings, Switch, TraceSettings,
};
pub use self::supervisor::{Health, State};
#[cfg(feature = "amqp")]
pub use self::transport::AmqpTransport;
pub use self::transport::{BusTransport, MemoryHub, MemoryTransport};
