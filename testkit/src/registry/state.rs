//! Everything one registry knows, behind one lock: leases, kept payloads, the journal, the clock.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use vernal_commons::clock;

use super::leases::{Leases, Now, Rules};
use super::payloads::{Key, Payloads};
use super::record::{Record, Status};
use super::{Registered, Seen};

/// The journal keeps this many requests, the oldest go first.
const JOURNAL_LENGTH: usize = 10_000;

/// The state of a registry.
#[derive(Debug)]
pub(super) struct State {
    pub(super) leases: Leases,
    payloads: Payloads,
    journal: VecDeque<Seen>,
    forgotten: u64,
    advanced: Duration,
    opens: Instant,
    delta: bool,
}

/// How a state is set up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) rules: Rules,
    pub(super) response_cache: Duration,
    pub(super) read_only_cache: Duration,
    /// How long documents are refused.
    pub(super) warm_up: Duration,
    /// Whether deltas are served.
    pub(super) delta: bool,
}

// ===== impl State =====

impl State {
    pub(super) fn new(settings: Settings) -> Self {
        let now = Now { at: Instant::now(), wall: clock::now_millis() };
        Self {
            leases: Leases::new(settings.rules, now),
            payloads: Payloads::new(settings.response_cache, settings.read_only_cache, now),
            journal: VecDeque::new(),
            forgotten: 0,
            advanced: Duration::ZERO,
            opens: now.at + settings.warm_up,
            delta: settings.delta,
        }
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.advanced += by;
        self.catch_up();
    }

    /// Runs what is due and gives the time.
    pub(super) fn catch_up(&mut self) -> Now {
        let wall = clock::now_millis() + u64::try_from(self.advanced.as_millis()).unwrap_or(0);
        let now = Now { at: Instant::now() + self.advanced, wall };
        while let Some(at) = self.payloads.next_refresh().filter(|at| *at <= now.at) {
            let behind = u64::try_from(now.at.duration_since(at).as_millis()).unwrap_or(0);
            let then = Now { at, wall: now.wall.saturating_sub(behind) };
            self.evict(then);
            self.payloads.refresh(&self.leases, then);
        }
        self.evict(now);
        now
    }

    fn evict(&mut self, now: Now) {
        for record in self.leases.catch_up(now) {
            tracing::info!(app = record.app, instance = record.id(), "lease expired");
            self.changed(&record);
        }
    }

    pub(super) fn register(&mut self, record: Record, replicated: bool, now: Now) {
        let record = self.leases.register(record, replicated, now);
        tracing::info!(
            app = record.app,
            instance = record.id(),
            status = record.status.as_str(),
            "registered instance"
        );
        self.changed(&record);
    }

    /// Whether there was a lease to end.
    pub(super) fn cancel(&mut self, app: &str, id: &str, now: Now) -> bool {
        match self.leases.cancel(app, id, now) {
            Some(record) => {
                tracing::info!(app, instance = id, "cancelled instance");
                self.changed(&record);
                true
            }
            None => false,
        }
    }

    /// Drops the payloads that `record` is part of.
    pub(super) fn changed(&mut self, record: &Record) {
        self.payloads.forget(record);
    }

    /// Whether the document for `key` is served at all: not while the server warms up, and deltas only if they are on.
    pub(super) fn serves(&self, key: &Key, now: Now) -> bool {
        now.at >= self.opens && (self.delta || !matches!(key, Key::Delta { .. }))
    }

    /// The document for `key`, gzip-compressed if so wanted; `None` for an unknown application.
    pub(super) fn payload(&mut self, key: Key, gzip: bool, now: Now) -> Option<Bytes> {
        self.payloads.get(&self.leases, key, gzip, now)
    }

    /// Notes a request; the number is for [`answered`](Self::answered).
    pub(super) fn saw(&mut self, method: String, path: String) -> u64 {
        if self.journal.len() == JOURNAL_LENGTH {
            self.journal.pop_front();
            self.forgotten += 1;
        }
        self.journal.push_back(Seen { method, path, status: None });
        self.forgotten + self.journal.len() as u64 - 1
    }

    pub(super) fn answered(&mut self, number: u64, status: u16) {
        let index = number.checked_sub(self.forgotten).and_then(|index| usize::try_from(index).ok());
        if let Some(seen) = index.and_then(|index| self.journal.get_mut(index)) {
            seen.status = Some(status);
        }
    }

    pub(super) fn journal(&self) -> Vec<Seen> {
        self.journal.iter().cloned().collect()
    }

    pub(super) fn clear_journal(&mut self) {
        self.forgotten += self.journal.len() as u64;
        self.journal.clear();
    }

    pub(super) fn instances(&self) -> Vec<Registered> {
        self.leases
            .records()
            .map(|record| Registered {
                app: record.app.clone(),
                id: record.id().to_owned(),
                status: record.status,
                host: record.host.clone().unwrap_or_default(),
                port: record.port.number,
                metadata: record
                    .metadata
                    .iter()
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect::<BTreeMap<_, _>>(),
            })
            .collect()
    }

    pub(super) fn set_status(&mut self, app: &str, id: &str, status: Status) -> bool {
        let now = self.catch_up();
        match self.leases.set_status(app, id, status, None, now) {
            Some(Ok(Some(record))) => {
                self.changed(&record);
                true
            }
            Some(_) => true,
            None => false,
        }
    }
}
