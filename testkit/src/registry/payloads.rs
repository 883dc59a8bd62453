//! Documents as bytes, kept as Eureka's `ResponseCacheImpl` keeps them: until a change or their age drops them, with
//! an optional copy that readers see and that is refreshed at ticks only.

use std::collections::HashMap;
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tokio::time::Instant;

use super::leases::{Leases, Now};
use super::record::Record;

/// Payloads are forgotten when there are more keys than this: keys come from the network.
const MOST_PAYLOADS: usize = 1_000;

/// What a payload answers.
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

/// A document; no body stands for one that does not exist.
#[derive(Debug, Clone)]
struct Payload {
    body: Option<Bytes>,
    gzipped: Option<Bytes>,
    until: Instant,
}

/// The kept documents of a registry.
#[derive(Debug)]
pub(super) struct Payloads {
    life: Duration,
    kept: HashMap<Key, Payload>,
    read_only: Option<ReadOnly>,
    delta_version: u64,
    regional_delta_version: u64,
}

/// The copy that readers see.
#[derive(Debug)]
struct ReadOnly {
    interval: Duration,
    next: Instant,
    shown: HashMap<Key, Payload>,
}

// ===== impl Payloads =====

impl Payloads {
    /// Payloads live for `life`; with an interval there is a read-only copy, refreshed whenever the wall clock shows a
    /// multiple of it.
    pub(super) fn new(life: Duration, read_only: Duration, now: Now) -> Self {
        let interval = u64::try_from(read_only.as_millis()).unwrap_or(u64::MAX);
        let read_only = (interval > 0).then(|| ReadOnly {
            interval: read_only,
            next: now.at + Duration::from_millis(interval - now.wall % interval),
            shown: HashMap::new(),
        });
        Self { life, kept: HashMap::new(), read_only, delta_version: 0, regional_delta_version: 0 }
    }

    /// When the read-only copy is to be refreshed next.
    pub(super) fn next_refresh(&self) -> Option<Instant> {
        self.read_only.as_ref().map(|copy| copy.next)
    }

    /// Brings the read-only copy up to date, key by key as they were once asked for.
    pub(super) fn refresh(&mut self, leases: &Leases, now: Now) {
        let Some(mut copy) = self.read_only.take() else { return };
        for (key, payload) in &mut copy.shown {
            *payload = self.current(leases, key, now).clone();
        }
        copy.next += copy.interval;
        self.read_only = Some(copy);
    }

    /// Drops the payloads that `record` is part of. One per VIP address is dropped, by the whole text of the
    /// address: a list of names leaves the payloads of its single names as they are (`ResponseCacheImpl.invalidate`).
    pub(super) fn forget(&mut self, record: &Record) {
        self.kept.remove(&Key::Apps);
        for regional in [false, true] {
            self.kept.remove(&Key::Delta { regional });
        }
        self.kept.remove(&Key::App(record.app.clone()));
        if let Some(vip) = &record.vip {
            self.kept.remove(&Key::Vip(vip.clone()));
        }
        if let Some(vip) = &record.secure_vip {
            self.kept.remove(&Key::SecureVip(vip.clone()));
        }
    }

    /// The document for `key`, gzip-compressed if so wanted; `None` for an unknown application.
    pub(super) fn get(&mut self, leases: &Leases, key: Key, gzip: bool, now: Now) -> Option<Bytes> {
        let Some(mut copy) = self.read_only.take() else { return self.current(leases, &key, now).bytes(gzip) };
        if copy.shown.len() >= MOST_PAYLOADS {
            copy.shown.clear();
        }
        let shown = copy.shown.entry(key);
        let key = shown.key().clone();
        let bytes = shown.or_insert_with(|| self.current(leases, &key, now).clone()).bytes(gzip);
        self.read_only = Some(copy);
        bytes
    }

    fn current(&mut self, leases: &Leases, key: &Key, now: Now) -> &mut Payload {
        if self.kept.get(key).is_none_or(|payload| payload.until <= now.at) {
            let document = match key {
                Key::Apps => Some(leases.applications()),
                Key::Delta { regional } => {
                    let version = if *regional { &mut self.regional_delta_version } else { &mut self.delta_version };
                    *version += 1;
                    Some(leases.delta(*version))
                }
                Key::App(app) => leases.application(app),
                Key::Vip(name) => Some(leases.vip(name, false)),
                Key::SecureVip(name) => Some(leases.vip(name, true)),
            };
            if self.kept.len() >= MOST_PAYLOADS {
                self.kept.clear();
            }
            self.kept.remove(key);
            let body = document.as_ref().map(text);
            return self.kept.entry(key.clone()).or_insert(Payload { body, gzipped: None, until: now.at + self.life });
        }
        // The key was just found; the entry is never made.
        self.kept.entry(key.clone()).or_insert(Payload { body: None, gzipped: None, until: now.at })
    }
}

// ===== impl Payload =====

impl Payload {
    fn bytes(&mut self, gzip: bool) -> Option<Bytes> {
        if !gzip {
            return self.body.clone();
        }
        if self.gzipped.is_none() {
            self.gzipped = self.body.as_deref().map(compress);
        }
        self.gzipped.clone()
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
