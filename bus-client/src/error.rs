//! What can go wrong, from the caller's point of view.

use std::time::Duration;

use vernal_commons::BoxError;

/// An error of the bus client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bus id is one that no destination could address.
    #[error("bus id `{id}` cannot be used: {reason}")]
    InvalidId {
        /// The id.
        id: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A setting has a value that cannot be used.
    #[error("setting `{key}` cannot be used: {reason}")]
    Setting {
        /// The setting's name.
        key: &'static str,
        /// What was expected, and what was found unless it may be a secret.
        reason: String,
    },
    /// The settings ask for something that was not compiled in.
    #[error("`{wanted}` needs the feature `{feature}` of `vernal-bus-client`")]
    MissingFeature {
        /// What was asked for.
        wanted: String,
        /// The feature that brings it.
        feature: &'static str,
    },
    /// The bus is switched on, but no transport was given to the builder.
    #[error("the bus has no transport")]
    NoTransport,
    /// `spring.cloud.bus.enabled` is false.
    #[error("the bus is disabled by `spring.cloud.bus.enabled`")]
    Disabled,
    /// The bus has been stopped.
    #[error("the bus has been stopped")]
    Stopped,
    /// The broker did not take the event. It is not known whether somebody got it.
    #[error("broker `{broker}` did not take the event")]
    Unavailable {
        /// The broker, without credentials.
        broker: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The broker did not confirm the event in time. It is not known whether somebody got it.
    #[error("broker `{broker}` did not confirm the event within {} ms", limit.as_millis())]
    Timeout {
        /// The broker, without credentials.
        broker: String,
        /// The time limit.
        limit: Duration,
    },
    /// The user's handler failed on an event of our own, which has been sent all the same.
    #[error("the event was sent, but the handler `{handler}` failed on this node")]
    Handler {
        /// Which handler.
        handler: &'static str,
        /// Why.
        #[source]
        source: BoxError,
    },
}

impl Error {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Timeout { .. } => true,
            Self::InvalidId { .. }
            | Self::Setting { .. }
            | Self::MissingFeature { .. }
            | Self::NoTransport
            | Self::Disabled
            | Self::Stopped
            | Self::Handler { .. } => false,
        }
    }
}

/// What a transport reports to the bus, which decides what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The broker refuses us: bad login, unknown virtual host. Retried at the slowest pace.
    #[error("refused by the broker")]
    Refused(#[source] BoxError),
    /// The broker cannot be reached, or cannot do what was asked just now.
    #[error("broker not reachable")]
    Unavailable(#[source] BoxError),
    /// The broker ended what had worked: an operator closed the connection, or the broker stops.
    #[error("closed by the broker")]
    Closed(#[source] BoxError),
    /// The connection ended without a word.
    #[error("connection to the broker lost")]
    Lost(#[source] BoxError),
    /// The broker did not answer in time.
    #[error("no answer within {} ms to `{operation}`", limit.as_millis())]
    Timeout {
        /// What was asked.
        operation: &'static str,
        /// The time limit.
        limit: Duration,
    },
    /// The broker answered with an error.
    #[error("the broker refused `{operation}`")]
    Protocol {
        /// What was asked.
        operation: &'static str,
        /// The broker's answer.
        #[source]
        source: BoxError,
    },
}

impl TransportError {
    /// Whether trying again soon is pointless.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Unavailable(_) | Self::Closed(_) | Self::Lost(_) | Self::Timeout { .. } | Self::Protocol { .. } => {
                false
            }
        }
    }

    /// Whether the broker was silent for too long.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Timeout { .. } => true,
            Self::Refused(_) | Self::Unavailable(_) | Self::Closed(_) | Self::Lost(_) | Self::Protocol { .. } => false,
        }
    }
}
