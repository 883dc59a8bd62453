//! The requests that a server has seen.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::request::Parts;
use http::{HeaderMap, StatusCode};

/// Older entries are dropped.
const CAPACITY: usize = 10_000;

/// A request that reached the config server. `Debug` shows no header values, since they may be credentials.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// Method.
    pub method: String,
    /// Path and query, as on the request line.
    pub path: String,
    /// Headers.
    pub headers: HeaderMap,
    /// What was answered; `None` while the request waits, or if its client went away.
    pub status: Option<u16>,
}

#[derive(Debug, Default)]
pub(super) struct Journal {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    kept: VecDeque<Seen>,
    dropped: usize,
}

/// The number of a request since the start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket(usize);

impl Seen {
    /// The value of a header, if it is there and text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Journal {
    pub(super) fn arrived(&self, parts: &Parts) -> Ticket {
        let seen = Seen {
            method: parts.method.to_string(),
            path: parts.uri.path_and_query().map_or_else(|| parts.uri.path().to_owned(), ToString::to_string),
            headers: parts.headers.clone(),
            status: None,
        };
        let mut entries = self.entries();
        if entries.kept.len() == CAPACITY {
            entries.kept.pop_front();
            entries.dropped += 1;
        }
        entries.kept.push_back(seen);
        Ticket(entries.dropped + entries.kept.len() - 1)
    }

    pub(super) fn answered(&self, Ticket(number): Ticket, status: StatusCode) {
        let mut entries = self.entries();
        // A cleared or dropped entry is gone.
        let index = number.checked_sub(entries.dropped);
        if let Some(seen) = index.and_then(|index| entries.kept.get_mut(index)) {
            seen.status = Some(status.as_u16());
        }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.entries().kept.iter().cloned().collect()
    }

    pub(super) fn clear(&self) {
        let mut entries = self.entries();
        entries.dropped += entries.kept.len();
        entries.kept.clear();
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("status", &self.status)
            .finish()
    }
}
