//! Keeps the cache: fetches the whole registry or what changed, and publishes views.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use vernal_commons::backoff::Backoff;
use vernal_commons::chain::Chain;
use vernal_commons::clock::now_millis;
use vernal_commons::random::Random;

use crate::error::Error;
use crate::lookup::Index;
use crate::registry::{Applied, Guard, Registry};
use crate::request::Operation;
use crate::servers::Servers;
use crate::settings::EurekaClientSettings;
use crate::shared::Shared;
use crate::wire::json::Document;

/// The task's state.
pub(crate) struct Fetcher {
    servers: Servers,
    shared: Arc<Shared>,
    options: Options,
    random: Random,
    registry: Registry,
    last: Option<Last>,
    failures: u32,
    mismatches_in_row: u32,
    no_delta_until: Option<Instant>,
    full_due: Option<Instant>,
    last_early: Option<Instant>,
}

/// How and how often to fetch.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) interval: Duration,
    pub(crate) full_interval: Duration,
    pub(crate) delta: bool,
    pub(crate) single_vip: Option<String>,
    pub(crate) only_up: bool,
    pub(crate) guard: Guard,
}

/// The last document that was taken.
#[derive(Debug, Clone, Copy)]
struct Last {
    server: usize,
    version: i64,
    at: Instant,
    wall: u64,
}

/// What to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Full,
    Delta,
}

/// Servers forget changes after 180 s; a gap near that needs the whole registry.
const MAX_GAP: Duration = Duration::from_secs(150);
/// Deltas that lead nowhere three times in a row are not asked for during this time.
const DELTA_PAUSE: Duration = Duration::from_secs(300);
/// Registries larger than this are changed away from the runtime's own threads.
const LARGE: usize = 2_000;
/// Least time between two fetches that a suspicion brings forward.
const EARLY_INTERVAL: Duration = Duration::from_secs(5);

// ===== impl Fetcher =====

impl Fetcher {
    pub(crate) fn new(servers: Servers, shared: Arc<Shared>, options: Options) -> Self {
        Self {
            servers,
            shared,
            options,
            random: Random::new(),
            registry: Registry::new(),
            last: None,
            failures: 0,
            mismatches_in_row: 0,
            no_delta_until: None,
            full_due: None,
            last_early: None,
        }
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                outcome = self.cycle() => self.report(outcome),
            }
            let pause = sleep(self.pause());
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = pause => {}
                () = self.suspicion() => self.last_early = Some(Instant::now()),
            }
        }
    }

    /// A connection to an instance failed, and that is not too soon after the last time.
    async fn suspicion(&self) {
        self.shared.suspicion().await;
        if let Some(last) = self.last_early {
            sleep_until(last + EARLY_INTERVAL).await;
        }
    }

    async fn cycle(&mut self) -> Result<(), Error> {
        match self.kind(Instant::now()) {
            Kind::Full => self.full().await,
            Kind::Delta => self.delta().await,
        }
    }

    /// Whether a delta will do (discovery.md 2.3, 2.4).
    fn kind(&self, now: Instant) -> Kind {
        let Some(last) = self.last else { return Kind::Full };
        let asleep = Duration::from_millis(now_millis().saturating_sub(last.wall));
        let suspects_due =
            self.registry.oldest_suspect().is_some_and(|since| now.duration_since(since) >= self.options.guard.hold);
        let full = !self.options.delta
            || self.options.single_vip.is_some()
            || last.version < 0
            // Counters and queues of changes belong to one server.
            || last.server != self.servers.preferred()
            || now.duration_since(last.at).max(asleep) > MAX_GAP
            || self.no_delta_until.is_some_and(|until| now < until)
            || self.full_due.is_some_and(|due| now >= due)
            || suspects_due;
        if full { Kind::Full } else { Kind::Delta }
    }

    async fn full(&mut self) -> Result<(), Error> {
        let most = self.servers.limits().instances;
        let operation = match &self.options.single_vip {
            Some(vip) => Operation::Vip(vip),
            None => Operation::Full,
        };
        let (server, document) = self.servers.call(&operation, move |reply| reply.full(most)).await?;
        if self.last.is_some_and(|last| last.server != server) {
            (self.mismatches_in_row, self.no_delta_until) = (0, None);
        }
        self.take(server, document, Kind::Full).await;
        if self.registry.suspects() > 0 {
            tracing::warn!(
                suspects = self.registry.suspects(),
                instances = self.registry.len(),
                server = self.servers.url(server),
                "registry lost instances, keeping them until it says so again"
            );
        }
        self.full_due = (!self.options.full_interval.is_zero())
            .then(|| Instant::now() + self.options.full_interval.mul_f64(0.8 + 0.4 * self.random.unit()));
        Ok(())
    }

    /// Asks the server of the last document. Another one is never asked for a delta.
    async fn delta(&mut self) -> Result<(), Error> {
        let Some(last) = self.last else { return self.full().await };
        let most = self.servers.limits().instances;
        let answer = self.servers.call_one(last.server, &Operation::Delta, move |reply| reply.delta(most)).await;
        let delta = match answer {
            Ok(Some(delta)) => delta,
            Ok(None) => return self.full().await,
            Err(error) if self.servers.len() > 1 => {
                tracing::debug!(error = %Chain(&error), "no delta, asking other servers for the whole registry");
                return self.full().await;
            }
            Err(error) => return Err(error),
        };
        if self.take(last.server, delta, Kind::Delta).await.hash_matches {
            self.mismatches_in_row = 0;
            return Ok(());
        }
        self.mismatches_in_row += 1;
        self.shared.update(|health| health.mismatches += 1);
        if self.mismatches_in_row >= 3 {
            self.mismatches_in_row = 0;
            self.no_delta_until = Some(Instant::now() + DELTA_PAUSE);
            let server = self.servers.url(last.server);
            tracing::warn!(server, pause_s = DELTA_PAUSE.as_secs(), "deltas do not add up, doing without them");
        }
        // All clients of a server see the same delta at about the same time.
        let spread = self.options.interval.mul_f64(0.1).min(Duration::from_secs(3));
        sleep(spread.mul_f64(self.random.unit())).await;
        self.full().await
    }

    /// Takes a document into the cache and publishes the views that it changes.
    async fn take(&mut self, server: usize, document: Document, kind: Kind) -> Applied {
        let now = Instant::now();
        let first = self.last.is_none();
        // A delta of a server that numbers none leaves the number of the full document.
        let version = if document.version < 0 { self.last.map_or(-1, |last| last.version) } else { document.version };
        let version = if self.options.single_vip.is_some() { -1 } else { version };
        let (mut registry, old) = (std::mem::take(&mut self.registry), self.shared.index().clone());
        let (guard, only_up) = (self.options.guard, self.options.only_up);
        let large = registry.len() + document.applications.len() > LARGE;
        let work = move || {
            let applied = match kind {
                Kind::Full => registry.replace(&document, guard, now),
                Kind::Delta => registry.apply(&document),
            };
            let index = (first || applied.changed).then(|| Index::build(&registry, &old, only_up));
            (registry, applied, index)
        };
        let done = if large { tokio::task::spawn_blocking(work).await } else { Ok(work()) };
        let Ok((registry, applied, index)) = done else {
            // The runtime is going down. Were it not, everything would have to be fetched again.
            self.last = None;
            return Applied::default();
        };
        self.registry = registry;
        self.last = Some(Last { server, version, at: now, wall: now_millis() });
        if let Some(index) = index {
            self.shared.publish(index);
        }
        let remote_status = self.shared.own().and_then(|own| {
            let (application, instance_id) = own.as_ref();
            self.registry.get(application, instance_id).map(|entry| entry.status())
        });
        self.shared.update(|health| {
            health.server = Some(self.servers.url(server).to_owned());
            health.last_success = Some(now);
            health.instances = self.registry.len();
            health.suspects = self.registry.suspects();
            health.remote_status = remote_status;
        });
        applied
    }

    fn report(&mut self, outcome: Result<(), Error>) {
        match outcome {
            Ok(()) => {
                if self.failures > 0 {
                    tracing::info!(failures = self.failures, "registry answers again");
                }
                self.failures = 0;
                self.shared.update(|health| (health.consecutive_failures, health.last_error) = (0, None));
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let text = Chain(&error).to_string();
                if self.failures == 1 {
                    tracing::warn!(error = text, "registry could not be fetched, going on with what is known");
                } else {
                    tracing::debug!(failures = self.failures, error = text, "registry could not be fetched");
                }
                self.shared.failed(self.failures, text, error);
            }
        }
    }

    /// Time to the next fetch: the interval give or take a tenth; after failures 5, 10, 20, ... 60 s, but never sooner
    /// than a client with a short interval would ask anyway. Before the first document the tries come faster, since
    /// nothing can be called yet.
    fn pause(&self) -> Duration {
        let interval = self.options.interval;
        if self.failures == 0 {
            return interval.mul_f64(0.9 + 0.2 * self.random.unit());
        }
        let initial = if self.last.is_none() { Duration::from_secs(1) } else { Duration::from_secs(5) };
        let most = interval.clamp(Duration::from_secs(5), Duration::from_secs(60));
        Backoff::new(initial.min(interval), most).jitter(0.2).delay(self.failures, &self.random)
    }
}

impl Options {
    pub(crate) fn new(settings: &EurekaClientSettings, full_interval: Duration, guard: Guard) -> Self {
        Self {
            interval: settings.fetch_interval(),
            full_interval,
            delta: !settings.disable_delta,
            single_vip: settings.registry_refresh_single_vip_address.clone(),
            only_up: settings.filter_only_up_instances,
            guard,
        }
    }
}
