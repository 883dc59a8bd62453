//! Eureka client: registration, heartbeats, registry cache and look-up.
//!
//! ```
//! use std::time::Duration;
//!
//! use vernal_discovery_client::{EurekaClient, EurekaClientSettings, InstanceRecord};
//! # use vernal_testkit::registry::Registry;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let registry = Registry::start().await?;
//! # let url = registry.url();
//! let client = EurekaClient::builder(EurekaClientSettings::for_servers(&url)).start()?;
//! let discovery = client.discovery();
//! discovery.wait_ready(Duration::from_secs(10)).await?;
//!
//! // Once the service listens:
//! client.register(InstanceRecord::new("order-service", "127.0.0.1", 8080)).await?;
//!
//! for instance in discovery.instances("order-service") {
//!     println!("{}", instance.authority());
//! }
//! client.stop().await?; // says DOWN, ends the lease
//! # Ok(()) }
//! ```
//!
//! # Concepts
//!
//! - [`EurekaClient`] owns two tasks: one keeps the cache of the registry, one the registration of this instance. They
//!   share servers, not requests: a heartbeat never waits behind a fetch.
//! - [`EurekaDiscovery`] is the cheap handle that callers read. It implements
//!   [`Discover`](vernal_commons::discover::Discover): a look-up neither locks nor waits.
//! - [`InstanceRecord`] is what is registered; [`InstanceRecord::from_settings`] derives it as Spring does.
//! - [`resolver`] has other sources: instances written in the settings, and several sources in order.
//! - [`request`], [`wire`] and [`registry`] are the protocol as pure functions.
//!
//! # What is not guaranteed
//!
//! The cache may be minutes old. A registry keeps a killed instance for 180 s or, in small estates, for ever
//! (self-preservation), so callers must expect refused connections.
//!
//! # Where it differs from Spring's client
//!
//! Tags are sections of `discovery.md`; the conformance runner counts them.
//!
//! | tag | difference |
//! |---|---|
//! | 1.1 | ids that Tomcat can never find again (`/`, `;`, `\`) and records that a server refuses are not sent; paths have no empty segment |
//! | 1.7 | one strict form of a registration: no `null`, no `sid`, no server's stamps, numbers and flags in the types the server writes |
//! | 2.4 | after a switch to another server the whole registry is fetched, not a delta |
//! | 2.7 | a name that is no virtual address is looked up as application name |
//! | 2.12 | with `server.port=0` the instance id holds the bound port |
//!
//! Also: short time-outs on every request (Spring: 180 s), jittered periods, servers in the order of the settings
//! (Netflix: shuffled), and a registry that forgot its instances is not believed at once.
//!
//! # Features
//!
//! | feature | default | brings |
//! |---|---|---|
//! | `reqwest` | yes | the default transport |
//! | `rustls` | no | `https://` registries |
//!
//! Not there: XML and the compact form (never asked for), remote regions, server lists from DNS, replication.

mod client;
mod error;
mod facts;
mod fetch;
mod host;
mod lookup;
mod record;
mod registration;
pub mod registry;
pub mod request;
pub mod resolver;
mod servers;
mod settings;
mod shared;
pub mod wire;

pub use client::{EurekaClient, EurekaClientBuilder, EurekaDiscovery, RegistryHealth};
pub use error::Error;
pub use facts::ApplicationFacts;
pub use host::{HostAddress, InetSettings, Interface};
pub use lookup::Index;
pub use record::{Action, DataCenter, InstanceRecord, InstanceStatus, Lease, Port};
pub use registration::{Registration, RegistrationHealth};
pub use resolver::{CompositeResolver, FixedResolver, SimpleDiscoverySettings};
pub use servers::Limits;
pub use settings::{EurekaClientSettings, EurekaInstanceSettings, ServiceUrls};
pub use shared::FetchHealth;

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
