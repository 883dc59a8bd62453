//! Everything one registry knows, behind one lock: leases, kept payloads, the journal, the clock.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tokio::time::Instant;
use vernal_commons::clock;

use super::leases::{Leases, Now, Rules};
use super::record::{Record, Status};
use super::{Registered, Seen};

/// The journal keeps this many requests, the oldest go first.
const JOURNAL_LENGTH: usize = 10_000;
/// Payloads are forgotten when there are more keys than this: keys come from the network.
const MOST_PAYLOADS: usize = 1_000;

/// The state of a registry.
#[derive(Debug)]
pub(super) struct State {
    pub(super) leases: Leases,
    payload_life: Duration,
    payloads: HashMap<Key, Payload>,
    delta_version: u64,
    regional_delta_version: u64,
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
    /// How long documents are refused.
    pub(super) warm_up: Duration,
    /// Whether deltas are served.
    pub(super) delta: bool,
}

/// What a kept payload answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Apps,
    /// With other regions it has a version counter of its own.
    Delta {
        regional: bool,
    },
    App(String),
    Vip(String),
    SecureVip(String),
}

#[derive(Debug)]
struct Payload {
    body: Option<Bytes>,
    gzipped: Option<Bytes>,
    until: Instant,
}

// ===== impl State =====

impl State {
    pub(super) fn new(settings: Settings) -> Self {
        let now = Now { at: Instant::now(), wall: clock::now_millis() };
        Self {
            leases: Leases::new(settings.rules, now),
            payload_life: settings.response_cache,
            payloads: HashMap::new(),
            delta_version: 0,
            regional_delta_version: 0,
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
        for record in self.leases.catch_up(now) {
            tracing::info!(app = record.app, instance = record.id(), "lease expired");
            self.changed(&record);
        }
        now
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

    /// Drops the payloads that `record` is part of. One per VIP address is dropped, by the whole text of the
    /// address: a list of names leaves the payloads of its single names as they are (`ResponseCacheImpl.invalidate`).
    pub(super) fn changed(&mut self, record: &Record) {
        self.payloads.remove(&Key::Apps);
        for regional in [false, true] {
            self.payloads.remove(&Key::Delta { regional });
        }
        self.payloads.remove(&Key::App(record.app.clone()));
        if let Some(vip) = &record.vip {
            self.payloads.remove(&Key::Vip(vip.clone()));
        }
        if let Some(vip) = &record.secure_vip {
            self.payloads.remove(&Key::SecureVip(vip.clone()));
        }
    }

    /// Whether the document for `key` is served at all: not while the server warms up, and deltas only if they are on.
    pub(super) fn serves(&self, key: &Key, now: Now) -> bool {
        now.at >= self.opens && (self.delta || !matches!(key, Key::Delta { .. }))
    }

    /// The document for `key`, gzip-compressed if so wanted; `None` for an unknown application.
    pub(super) fn payload(&mut self, key: Key, gzip: bool, now: Now) -> Option<Bytes> {
        if self.payloads.get(&key).is_none_or(|payload| payload.until <= now.at) {
            let document = match &key {
                Key::Apps => Some(self.leases.applications()),
                Key::Delta { regional } => {
                    let version = if *regional { &mut self.regional_delta_version } else { &mut self.delta_version };
                    *version += 1;
                    Some(self.leases.delta(*version))
                }
                Key::App(app) => self.leases.application(app),
                Key::Vip(name) => Some(self.leases.vip(name, false)),
                Key::SecureVip(name) => Some(self.leases.vip(name, true)),
            };
            if self.payloads.len() >= MOST_PAYLOADS {
                self.payloads.clear();
            }
            let body = document.as_ref().map(text);
            self.payloads.insert(key.clone(), Payload { body, gzipped: None, until: now.at + self.payload_life });
        }
        let payload = self.payloads.get_mut(&key)?;
        if !gzip {
            return payload.body.clone();
        }
        if payload.gzipped.is_none() {
            payload.gzipped = payload.body.as_deref().map(compress);
        }
        payload.gzipped.clone()
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

/// A document as bytes.
pub(super) fn text(document: &Value) -> Bytes {
    Bytes::from(document.to_string())
}

fn compress(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to a `Vec` cannot fail.
    let done = encoder.write_all(body).and_then(|()| encoder.finish());
    Bytes::from(done.unwrap_or_default())
}
