//! A `tracing` subscriber that keeps what was logged.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// One event as it was logged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Severity.
    pub level: Level,
    /// The event's target, usually a module path.
    pub target: String,
    /// The message.
    pub message: String,
    /// The other fields, in order, as text.
    pub fields: Vec<(String, String)>,
}

/// A `tracing_subscriber` layer that keeps every event; clones share what was kept.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    records: Arc<Mutex<Vec<Record>>>,
}

impl Logs {
    /// Nothing kept yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the events of this thread until the guard is dropped. Use it in `#[tokio::test]`s, which run on one
    /// thread.
    #[must_use]
    pub fn capture(&self) -> tracing::subscriber::DefaultGuard {
        stay_awake();
        // The filter lets everything pass. A registry without any panics in debug builds when a global subscriber has
        // one: `enabled!` leaves that one's verdict behind on the thread (tracing-subscriber 0.3.23).
        let all = self.clone().with_filter(LevelFilter::TRACE);
        tracing::subscriber::set_default(tracing_subscriber::registry().with(all))
    }

    /// What was kept so far.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The messages of the records whose target is `target`.
    #[must_use]
    pub fn messages(&self, target: &str) -> Vec<String> {
        self.records().into_iter().filter(|record| record.target == target).map(|record| record.message).collect()
    }

    /// Whether any message, field name or field value contains `text`: for tests that look for a secret.
    #[must_use]
    pub fn contain(&self, text: &str) -> bool {
        self.records().iter().any(|record| record.to_string().contains(text))
    }

    /// Forgets what was kept.
    pub fn clear(&self) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Hears nothing, and wants to be asked each time.
struct Deaf;

impl Subscriber for Deaf {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Keeps every callsite awake. `tracing` caches for the whole process that nobody listens to a callsite, and as long as
/// there is one subscriber at most, it asks only that of the thread that meets the callsite first (tracing-core 0.1.36):
/// another thread's test would wait in vain for its events. Of two there is always one that wants to be asked.
///
/// [`Logs::capture`] calls it; tests that log without it, beside others that capture, call it before they begin.
pub fn stay_awake() {
    static AWAKE: OnceLock<[Dispatch; 2]> = OnceLock::new();
    AWAKE.get_or_init(|| {
        let awake = [Dispatch::new(Deaf), Dispatch::new(Deaf)];
        // A callsite that is just being met may still be put to sleep.
        for _ in 0..20 {
            std::thread::park_timeout(Duration::from_millis(1));
            tracing::callsite::rebuild_interest_cache();
        }
        awake
    });
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.level, self.target, self.message)?;
        self.fields.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Logs {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut record = Record {
            level: *event.metadata().level(),
            target: event.metadata().target().to_owned(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut record);
        self.records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }
}

impl Visit for Record {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => self.fields.push((name.to_owned(), value.to_owned())),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_kept_whoever_met_their_callsite_first() {
        fn tell() {
            tracing::info!("met");
        }
        let logs = Logs::new();
        let _guard = logs.capture();
        std::thread::spawn(tell).join().unwrap();
        tell();
        assert_eq!(logs.records().len(), 1);
    }

    #[test]
    fn events_are_kept_with_their_fields() {
        let logs = Logs::new();
        let guard = logs.capture();
        tracing::info!(target: "orders", count = 3, "stored {}", "it");
        drop(guard);
        tracing::info!("not kept");
        assert_eq!(logs.records().len(), 1);
        assert_eq!(logs.records()[0].to_string(), "INFO orders: stored it count=3");
        assert!(logs.contain("count=3") && !logs.contain("not kept"));
    }
}
