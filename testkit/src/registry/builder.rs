//! What can be set before a registry starts.

use std::time::Duration;

use axum::Router;
use vernal_commons::secret::Secret;

use super::access::Access;
use super::leases::Rules;
use super::state::Settings;

/// A hundred years: longer times are cut to it, so that sums of moments stay in range.
pub(super) const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// How a registry shall behave, before it runs.
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    pub(super) port: u16,
    pub(super) settings: Settings,
    pub(super) access: Option<Access>,
    pub(super) routes: Router,
}

impl Builder {
    pub(super) fn new() -> Self {
        let rules = Rules {
            eviction_interval: Duration::from_secs(1),
            delta_retention: Duration::from_secs(180),
            delta_purge_interval: Duration::from_secs(30),
            doubled_leases: false,
            eviction_limit: false,
            self_preservation: false,
        };
        let settings = Settings {
            rules,
            response_cache: Duration::ZERO,
            read_only_cache: Duration::ZERO,
            warm_up: Duration::ZERO,
            delta: true,
        };
        Self { port: 0, settings, access: None, routes: Router::new() }
    }

    /// The port on the loopback; 0, the default, takes a free one.
    pub const fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// How often expired leases are looked for (default 1 s; `eureka.server.eviction-interval-timer-in-ms` is 60 s).
    /// At least 1 ms.
    pub fn eviction_interval(mut self, interval: Duration) -> Self {
        self.settings.rules.eviction_interval = interval.clamp(Duration::from_millis(1), LONGEST);
        self
    }

    /// How long deltas tell of a change (default 180 s, `eureka.server.retention-time-in-m-s-in-delta-queue`).
    pub fn delta_retention(mut self, retention: Duration) -> Self {
        self.settings.rules.delta_retention = retention.min(LONGEST);
        self
    }

    /// How often older changes are dropped (default 30 s, `eureka.server.delta-retention-timer-interval-in-ms`). At
    /// least 1 ms.
    pub fn delta_purge_interval(mut self, interval: Duration) -> Self {
        self.settings.rules.delta_purge_interval = interval.clamp(Duration::from_millis(1), LONGEST);
        self
    }

    /// How long a payload may be answered again, unless a change drops it before (default zero: never;
    /// `eureka.server.response-cache-auto-expiration-in-seconds` is 180 s). With it come Eureka's stale answers: a
    /// heartbeat drops no payload, and a change of an instance with several VIP names leaves those of single names.
    pub fn response_cache(mut self, life: Duration) -> Self {
        self.settings.response_cache = life.min(LONGEST);
        self
    }

    /// How often the copy that readers see is brought up to date, whenever the wall clock shows a multiple of it
    /// (default zero: there is none; `eureka.server.response-cache-update-interval-ms` is 30 s). Single instances are
    /// always read as they are.
    pub fn read_only_cache(mut self, interval: Duration) -> Self {
        self.settings.read_only_cache = interval.min(LONGEST);
        self
    }

    /// Java's lease arithmetic: after its first heartbeat a lease lasts twice its duration (default off).
    pub const fn doubled_leases(mut self, doubled: bool) -> Self {
        self.settings.rules.doubled_leases = doubled;
        self
    }

    /// Whether a scan evicts 15 % of the registry at most, picked at random (default off).
    pub const fn eviction_limit(mut self, limited: bool) -> Self {
        self.settings.rules.eviction_limit = limited;
        self
    }

    /// Whether nobody is evicted while too few heartbeats come (default off, `eureka.server.enable-self-preservation`
    /// is on). The threshold assumes a heartbeat each 30 s of every client.
    pub const fn self_preservation(mut self, on: bool) -> Self {
        self.settings.rules.self_preservation = on;
        self
    }

    /// Whether deltas are served (default yes); else they are refused with 403, as with
    /// `eureka.server.disable-delta=true`.
    pub const fn delta(mut self, served: bool) -> Self {
        self.settings.delta = served;
        self
    }

    /// How long the registry refuses to be read with 403, while registrations are taken already (default zero; a
    /// server that opened without its peers does so for `eureka.server.wait-time-in-ms-when-sync-empty`).
    pub fn warm_up(mut self, time: Duration) -> Self {
        self.settings.warm_up = time.min(LONGEST);
        self
    }

    /// Asks every request for these credentials, as Spring Security's HTTP basic authentication does (default: none).
    pub fn basic_auth(mut self, user: impl Into<String>, password: impl Into<Secret>) -> Self {
        let csrf = self.access.is_some_and(|access| access.csrf);
        self.access = Some(Access { user: user.into(), password: password.into(), csrf });
        self
    }

    /// With [`basic_auth`](Self::basic_auth): refuses to write, as a server that was left with Spring Security's CSRF
    /// protection does to every Eureka client (default off).
    pub fn csrf_protection(mut self, on: bool) -> Self {
        if let Some(access) = &mut self.access {
            access.csrf = on;
        }
        self
    }

    /// Further routes, which are looked at first. They are neither in the journal nor do faults touch them.
    pub fn routes(mut self, routes: Router) -> Self {
        self.routes = self.routes.merge(routes);
        self
    }
}
