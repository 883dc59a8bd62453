//! The software on the other side, real or the testkit's, behind one trait.

mod local;
mod real;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

pub use local::Local;
pub use real::Real;

use crate::check::Outcome;
use crate::scenario::Area;

/// A program on the other side. Those behind [`Order`](Peer::Order) run only while a scenario wants them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// RabbitMQ.
    Broker,
    /// Eureka.
    Registry,
    /// The config server: files in [`Peers::config_repo`], a folder in it per label, the key of the notes.
    Config,
    /// A user service, which calls others.
    User,
    /// An order service: echo, orders, a greeting that can be refreshed.
    Order,
    /// One more instance of it.
    SecondOrder,
    /// A user service at servers of ours, started by [`Peers::start_at`].
    UserAtOurs,
    /// A service outside of the registry that lets `%2F` and `%5C` into its paths.
    Solidus,
    /// A config server that asks for a name and a password ([`CREDENTIALS`]).
    SecuredConfig,
    /// A config server that leaves `{cipher}` to its clients.
    PassthroughConfig,
    /// A config server over the folder `strict` that answers 404 to whom it knows nothing about.
    StrictConfig,
    /// A config server with an RSA key store.
    KeyStoreConfig,
}

/// What [`Peer::SecuredConfig`] asks for.
pub const CREDENTIALS: (&str, &str) = ("vernal", "s3cret");

/// What one kind of peers has and the other has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// [`Peer::KeyStoreConfig`].
    KeyStore,
    /// Tomcat: refuses `%2F` and `%5C` in a path unless it is told otherwise.
    Tomcat,
    /// A Feign client that is not ours.
    JavaFeign,
    /// [`Peer::UserAtOurs`].
    SpringServices,
    /// A config server that hosts of Git tell of changes (`/monitor`).
    Monitor,
    /// [`Peers::pika`].
    Pika,
}

/// A request as a peer saw it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Seen {
    /// Method.
    pub method: String,
    /// Path and query, undecoded.
    pub target: String,
    /// By lower-case name; the registry of the testkit keeps none.
    pub headers: BTreeMap<String, Vec<String>>,
    /// What was answered; 0 if nothing was.
    pub status: u16,
}

/// A bus event as a peer saw it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BusEvent {
    /// `RefreshRemoteApplicationEvent`, `AckRemoteApplicationEvent`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Who sent it.
    pub origin: String,
    /// To whom.
    pub destination: Option<String>,
    /// Of an ack: the id of what is acknowledged. Spring 5 reads null from acks of others (Jackson 3 sets no final
    /// field).
    pub ack_id: Option<String>,
}

/// A place in the journals of a peer: what comes after it is new. It ends with the peer's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    requests: u64,
    events: u64,
}

/// The other side.
#[async_trait]
pub trait Peers: Send + Sync {
    /// What stands opposite in an area, with versions.
    fn version(&self, area: Area) -> String;

    /// Whether it has this.
    fn can(&self, capability: Capability) -> bool;

    /// Base URL of a peer that runs; the registry's ends in `/eureka`.
    ///
    /// # Errors
    ///
    /// It does not run.
    fn url(&self, peer: Peer) -> Outcome<String>;

    /// Where the broker listens, for `guest`.
    fn broker_port(&self) -> u16;

    /// The folder that the config server reads. It is a copy, so scenarios may write into it.
    fn config_repo(&self) -> &Path;

    /// How long a broker that is stopped shall stay away.
    fn outage(&self) -> Duration;

    /// The beginning of the journals of a peer's present run.
    fn start_mark(&self) -> Mark {
        Mark { requests: 0, events: 0 }
    }

    /// The present end of the journals of a peer.
    async fn mark(&self, peer: Peer) -> Outcome<Mark>;

    /// The requests that a peer saw, oldest first.
    async fn requests(&self, peer: Peer, since: Mark) -> Outcome<Vec<Seen>>;

    /// The bus events that the order service could see, its own included, oldest first; `since` is a mark of
    /// [`Peer::Order`].
    async fn events(&self, since: Mark) -> Outcome<Vec<BusEvent>>;

    /// What the user service's Feign client has logged, a line each.
    async fn feign_log(&self) -> Outcome<Vec<String>>;

    /// Lets the order service have an order of a user.
    async fn place_order(&self, user_id: &str) -> Outcome;

    /// Runs `interop/pika/node.py` against the broker on this port, where it refreshes a service; gives its report.
    async fn pika(&self, port: u16, service: &str) -> Outcome<Value>;

    /// Starts a peer, again or for the first time; a peer that was stopped listens where it did.
    async fn start(&self, peer: Peer) -> Outcome;

    /// Starts a peer at the servers of somebody else.
    async fn start_at(&self, peer: Peer, servers: &dyn Peers) -> Outcome;

    /// Ends a peer as SIGTERM does.
    async fn stop(&self, peer: Peer) -> Outcome;

    /// Ends a peer as SIGKILL does.
    async fn kill(&self, peer: Peer) -> Outcome;

    /// Makes things be as before the scenario: the usual peers run, the others do not.
    async fn tidy(&self) -> Outcome;
}

impl Peer {
    /// The peers that always run, in the order in which they start.
    pub const USUAL: [Self; 5] = [Self::Broker, Self::Registry, Self::Config, Self::Order, Self::User];

    /// The name by which `interop/run` and the bus know it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Broker => "rabbitmq",
            Self::Registry => "eureka-server",
            Self::Config => "config-server",
            Self::User => "user-service",
            Self::Order => "order-service",
            Self::SecondOrder => "order-second",
            Self::UserAtOurs => "user-at-ours",
            Self::Solidus => "order-solidus",
            Self::SecuredConfig => "config-secured",
            Self::PassthroughConfig => "config-passthrough",
            Self::StrictConfig => "config-strict",
            Self::KeyStoreConfig => "config-key-store",
        }
    }
}

impl Capability {
    /// What it is, for a message.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::KeyStore => "a config server with a key store",
            Self::Tomcat => "Tomcat",
            Self::JavaFeign => "a Feign client in Java",
            Self::SpringServices => "a service of Spring that can join our servers",
            Self::Monitor => "a config server with `/monitor`",
            Self::Pika => "a Python with pika",
        }
    }
}
