//! What the bus has done so far, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident)*) => {
        /// Counters since the start, as they were when asked for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(crate) struct Tally {
            $(pub(crate) $name: Count,)*
        }

        impl Tally {
            pub(crate) fn snapshot(&self) -> Counters {
                Counters { $($name: self.$name.get(),)* }
            }
        }
    };
}

counters! {
    /// Messages received, of any kind.
    received
    /// Events for this node that were handed to a handler, or needed none.
    handled
    /// Events for other nodes.
    not_for_us
    /// Events of our own that came back.
    own
    /// Events whose id was seen before.
    duplicate
    /// Events of a type that is not known here.
    unknown_type
    /// Messages that are no event.
    malformed
    /// Messages of more than 1 MiB.
    oversize
    /// Events without `destinationService`, which are for nobody.
    no_destination
    /// Messages with a `content_type` or `content_encoding` that is not read.
    unsupported
    /// Shutdown events that were ignored.
    shutdown_ignored
    /// Events of another process that has our bus id.
    duplicate_bus_id
    /// Acks of other nodes.
    acks_received
    /// Acks sent.
    acks_sent
    /// Acks not sent: the queue was full, or the broker did not take them.
    acks_dropped
    /// Events published.
    published
    /// Events that the broker did not take.
    publish_failed
    /// Subscriptions made, the first one included.
    subscriptions
    /// Refreshes that succeeded.
    refreshes
    /// Refreshes that failed.
    refreshes_failed
    /// Requests that needed no refresh of their own.
    refreshes_coalesced
    /// Env-change events applied.
    env_changes
    /// Env-change events that the handler failed on.
    env_changes_failed
    /// Names in env-change events that were not set: not allowed, or without a usable value.
    env_keys_skipped
}

#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
