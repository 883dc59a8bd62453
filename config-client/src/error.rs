//! What can go wrong.

use std::fmt;
use std::sync::Arc;

use crate::value::Origin;

/// The cause of an [`Error`].
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// Why settings could not be loaded, read or bound. No text of it holds a secret.
///
/// Cheap to clone, since all callers of one refresh get the same error.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A local file exists and cannot be read.
    #[error("cannot read configuration file `{file}`")]
    Read {
        /// Path of the file.
        file: String,
        /// What the operating system said.
        #[source]
        source: Cause,
    },
    /// A local file is not well-formed.
    #[error("configuration file `{file}` is malformed: {reason}")]
    Malformed {
        /// Path of the file.
        file: String,
        /// Place and reason.
        reason: String,
    },
    /// A setting that this crate itself reads has an impossible value.
    #[error("invalid setting `{key}`{}: expected {expected}", from(origin.as_ref()))]
    Setting {
        /// The property.
        key: String,
        /// Where the value came from.
        origin: Option<Origin>,
        /// What would have been accepted, and what was found unless it is secret.
        expected: String,
    },
    /// An element of `spring.config.import` cannot be followed.
    #[error("cannot import `{location}`: {reason}")]
    Import {
        /// The element, without credentials.
        location: String,
        /// Why.
        reason: String,
    },
    /// The config server gave no settings.
    #[error("{0}")]
    Server(Box<ServerError>),
    /// Values that begin with `{cipher}` could not be decrypted.
    #[error("cannot decrypt {}", list(failures))]
    Decrypt {
        /// One entry per property.
        failures: Vec<DecryptFailure>,
    },
    /// A `${...}` in a value cannot be resolved.
    #[error("cannot resolve `{key}`{}: {reason}", from(origin.as_ref()))]
    Placeholder {
        /// The property whose value holds the placeholder; empty for a text that is no property.
        key: String,
        /// Where the value came from.
        origin: Option<Origin>,
        /// Which placeholder, and why.
        reason: String,
    },
    /// A property that a type needs is in no source.
    #[error("missing setting `{key}`")]
    Missing {
        /// The property.
        key: String,
    },
    /// A value does not fit the type it is bound to.
    #[error("cannot bind `{key}`{}: {reason}", from(origin.as_ref()))]
    Bind {
        /// The property.
        key: String,
        /// Where the value came from.
        origin: Option<Origin>,
        /// What was expected and what was found; a secret value is not shown.
        reason: String,
    },
    /// The default transport could not be built.
    #[error("cannot build the HTTP client")]
    Transport {
        /// The cause.
        #[source]
        source: Cause,
    },
}

/// Why no config server gave settings: the most severe failure, and every attempt.
#[derive(Debug, Clone)]
pub struct ServerError {
    pub(crate) kind: ServerErrorKind,
    pub(crate) attempts: Vec<Attempt>,
}

/// What kind of failure a [`ServerError`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ServerErrorKind {
    /// Every server answered that it does not know the label (or its repository: Spring says 404 to both).
    LabelNotFound,
    /// No server could be reached, or none answered in time.
    Unreachable,
    /// The answer was no environment document: HTML, cut JSON, too large.
    BadPayload,
    /// A 5xx, or a status that means nothing here.
    ServerError,
    /// A 4xx other than the ones below.
    BadRequest,
    /// A 401 or 403, or a redirect to a login page.
    Unauthorized,
}

/// One request that gave no settings.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The URL, without credentials.
    pub url: String,
    /// What went wrong, in words.
    pub outcome: String,
    /// What kind of failure it was.
    pub kind: ServerErrorKind,
    /// The status, if there was an answer.
    pub status: Option<u16>,
    /// What `Retry-After` asked for, in seconds.
    pub retry_after: Option<u64>,
    /// Whether it was asked with credentials: a name and a password, an `Authorization` header or a token.
    pub credentials: bool,
}

/// A property whose `{cipher}` value could not be decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecryptFailure {
    /// The property.
    pub key: String,
    /// Where the value came from.
    pub origin: Option<Origin>,
    /// Why, without the text.
    pub reason: String,
}

// ===== impl Error =====

impl Error {
    /// Whether the same call may succeed later without any change on this side.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Server(error) => error.is_retryable(),
            Self::Read { .. }
            | Self::Malformed { .. }
            | Self::Setting { .. }
            | Self::Import { .. }
            | Self::Decrypt { .. }
            | Self::Placeholder { .. }
            | Self::Missing { .. }
            | Self::Bind { .. }
            | Self::Transport { .. } => false,
        }
    }

    /// The failure of the config server, if it is one.
    #[must_use]
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            Self::Server(error) => Some(error),
            _ => None,
        }
    }

    /// The property concerned, if there is one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Setting { key, .. }
            | Self::Placeholder { key, .. }
            | Self::Missing { key }
            | Self::Bind { key, .. } => Some(key),
            Self::Decrypt { failures } => failures.first().map(|failure| failure.key.as_str()),
            Self::Read { .. }
            | Self::Malformed { .. }
            | Self::Import { .. }
            | Self::Server(_)
            | Self::Transport { .. } => None,
        }
    }
}

impl From<ServerError> for Error {
    fn from(error: ServerError) -> Self {
        Self::Server(Box::new(error))
    }
}

// ===== impl ServerError =====

impl ServerError {
    /// The error of a load that made these attempts; its kind is that of the most severe one.
    pub(crate) fn new(attempts: Vec<Attempt>) -> Self {
        let kind = attempts.iter().map(|attempt| attempt.kind).max().unwrap_or(ServerErrorKind::Unreachable);
        Self { kind, attempts }
    }

    /// The kind of the most severe attempt.
    #[must_use]
    pub const fn kind(&self) -> ServerErrorKind {
        self.kind
    }

    /// Every attempt of the last load, in order.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The status of the most severe attempt, if there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.worst().and_then(|attempt| attempt.status)
    }

    /// Whether trying again may help: not after 400, 401 or 403.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.kind {
            ServerErrorKind::Unauthorized => false,
            ServerErrorKind::BadRequest => self.status() != Some(400),
            ServerErrorKind::LabelNotFound
            | ServerErrorKind::Unreachable
            | ServerErrorKind::BadPayload
            | ServerErrorKind::ServerError => true,
        }
    }

    /// The longest `Retry-After` of the attempts, in seconds.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.attempts.iter().filter_map(|attempt| attempt.retry_after).max()
    }

    fn worst(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.kind == self.kind)
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ServerErrorKind::LabelNotFound => {
                "the config server does not know the label, or cannot reach its repository"
            }
            ServerErrorKind::Unreachable => "no config server could be reached",
            ServerErrorKind::BadPayload => "the config server's answer is no environment document",
            ServerErrorKind::ServerError => "the config server failed",
            ServerErrorKind::BadRequest => "the config server refused the request",
            ServerErrorKind::Unauthorized if self.worst().is_some_and(|attempt| attempt.credentials) => {
                "the config server refused the credentials that it was sent"
            }
            ServerErrorKind::Unauthorized => {
                "the config server asks for a name and a password (`spring.cloud.config.username` and \
                 `spring.cloud.config.password`, or `name:password@` before the host in the URI)"
            }
        })?;
        for (position, attempt) in self.attempts.iter().enumerate() {
            f.write_str(if position == 0 { ": " } else { "; " })?;
            write!(f, "`{}` {}", attempt.url, attempt.outcome)?;
        }
        Ok(())
    }
}

impl std::error::Error for ServerError {}

// ===== impl DecryptFailure =====

impl fmt::Display for DecryptFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`{}: {}", self.key, from(self.origin.as_ref()), self.reason)
    }
}

fn from(origin: Option<&Origin>) -> String {
    origin.map_or_else(String::new, |origin| format!(" from {origin}"))
}

fn list(failures: &[DecryptFailure]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
