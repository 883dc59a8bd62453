//! All scenarios.

mod bus;
mod config;
mod discovery;
mod estate;
mod feign;
mod log;
mod monitor;
mod pika;
mod theirs;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use tracing::Level;
use vernal_testkit::logs::Logs;

pub(crate) use bus::greet;

use crate::check::Outcome;
use crate::peers::{Capability, Peers};

/// No scenario takes longer, restarts of Java peers included.
const LIMIT: Duration = Duration::from_secs(240);
/// So many of our own warnings are told with a failure.
const WARNINGS: usize = 12;

/// Which of our crates meets its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// The config server.
    Config,
    /// The registry and other services.
    Discovery,
    /// HTTP clients and servers.
    Feign,
    /// The bus.
    Bus,
    /// All together.
    Estate,
}

type Run = for<'a> fn(&'a dyn Peers) -> Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// One story that both sides must tell alike.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name, the area in front.
    pub name: &'static str,
    /// Which crate it is about.
    pub area: Area,
    /// Whether it belongs to the landing tier.
    pub smoke: bool,
    /// What the peers must have.
    pub needs: &'static [Capability],
    run: Run,
}

/// How a scenario ended.
#[derive(Debug)]
pub struct Ending {
    /// Nothing if it succeeded, else what was expected and seen, and what our crates warned of.
    pub failure: Option<String>,
    /// How long it took.
    pub took: Duration,
}

macro_rules! scenarios {
    ($($area:ident $name:literal $run:path $(=> $smoke:ident)? $(| $need:ident)?;)*) => {
        /// In the order in which they run.
        pub const ALL: &[Scenario] = &[$(Scenario {
            name: $name,
            area: Area::$area,
            smoke: !<[&str]>::is_empty(&[$(stringify!($smoke))?]),
            needs: &[$(Capability::$need)?],
            run: |peers| Box::pin($run(peers)),
        }),*];
    };
}

scenarios! {
    Config "config-profiles" config::profiles => smoke;
    Config "config-labels" config::labels;
    Config "config-values" config::values => smoke;
    Config "config-cipher-of-the-server" config::cipher_of_the_server => smoke;
    Config "config-cipher-of-the-client" config::cipher_of_the_client;
    Config "config-key-store" config::key_store | KeyStore;
    Config "config-unauthorized" config::unauthorized;
    Config "config-not-found" config::not_found;
    Config "config-server-restarts" config::server_restarts;
    Config "config-monitor" monitor::tells | Monitor;
    Config "config-theirs-reads-ours" theirs::reads_our_config_server | SpringServices;
    Discovery "discovery-both-ways" discovery::both_ways => smoke;
    Discovery "discovery-instance-stops" discovery::instance_stops;
    Discovery "discovery-instance-is-killed" discovery::instance_is_killed => smoke;
    Discovery "discovery-registry-restarts" discovery::registry_restarts;
    Discovery "discovery-theirs-at-ours" theirs::registers_at_our_registry | SpringServices;
    Feign "feign-values" feign::values => smoke;
    Feign "feign-solidus-is-refused" feign::solidus_is_refused | Tomcat;
    Feign "feign-solidus-let-through" feign::solidus_let_through | Tomcat;
    Feign "feign-their-values" feign::their_values => smoke;
    Feign "feign-their-quirks" feign::their_quirks | JavaFeign;
    Feign "feign-full-log" log::of_a_get => smoke;
    Feign "feign-full-log-body" log::of_a_body;
    Feign "feign-full-log-error" log::of_errors;
    Feign "feign-full-log-refused" log::of_a_refused_connection | JavaFeign;
    Bus "bus-theirs-refreshes-ours" bus::theirs_refreshes_ours => smoke;
    Bus "bus-ours-refreshes-theirs" bus::ours_refreshes_theirs => smoke;
    Bus "bus-destinations" bus::destinations;
    Bus "bus-acks" bus::acks => smoke;
    Bus "bus-broker-restarts" bus::broker_restarts;
    Bus "bus-fifty-at-once" bus::fifty_at_once => smoke;
    Bus "bus-fifty-by-default" bus::fifty_by_default;
    Bus "bus-fifty-at-ours" bus::fifty_at_ours;
    Bus "bus-pika-on-ours" pika::on_ours | Pika;
    Bus "bus-theirs-on-ours" theirs::joins_our_broker | SpringServices;
    Estate "estate-ours-among-theirs" estate::ours_among_theirs;
    Estate "estate-theirs-among-ours" estate::theirs_among_ours | SpringServices;
}

impl Scenario {
    /// The scenario of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|scenario| scenario.name == name)
    }

    /// What these peers lack for it.
    #[must_use]
    pub fn lacking(&self, peers: &dyn Peers) -> Option<Capability> {
        self.needs.iter().copied().find(|need| !peers.can(*need))
    }

    /// Runs it. `logs` must keep what is logged meanwhile.
    pub async fn run(&self, peers: &dyn Peers, logs: &Logs) -> Ending {
        logs.clear();
        let start = Instant::now();
        let outcome = match tokio::time::timeout(LIMIT, (self.run)(peers)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("it was not done within {LIMIT:?}").into()),
        };
        let took = start.elapsed();
        let tidied = peers.tidy().await.map_err(|error| format!("the peers had to be put right: {error}"));
        let told: Vec<_> = outcome.err().map(|error| error.to_string()).into_iter().chain(tidied.err()).collect();
        let failure = (!told.is_empty()).then(|| format!("{}{}", told.join("\n    "), Warnings(logs)));
        Ending { failure, took }
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The last warnings of what ran in this process.
struct Warnings<'a>(&'a Logs);

impl fmt::Display for Warnings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warnings: Vec<_> = self.0.records().into_iter().filter(|record| record.level <= Level::WARN).collect();
        let last = warnings.len().saturating_sub(WARNINGS);
        warnings[last..].iter().try_for_each(|warning| write!(f, "\n    logged   {warning}"))
    }
}
