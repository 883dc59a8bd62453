//! What one call may have different from its client's settings.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::level::LogLevel;

/// Options of one call (Feign's `Request.Options`, and more). What is not set is as the client's settings say.
#[derive(Debug, Clone, Default)]
pub struct CallOptions {
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) call_timeout: Option<Duration>,
    pub(crate) log_level: Option<LogLevel>,
    pub(crate) headers: HeaderMap,
}

impl CallOptions {
    /// Nothing set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Limit for establishing the connection. Only the default transport has such a limit.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = Some(limit);
        self
    }

    /// Limit for the response's head, and for each pause in its body. Zero is no limit.
    #[must_use]
    pub fn read_timeout(mut self, limit: Duration) -> Self {
        self.read_timeout = Some(limit);
        self
    }

    /// Limit for the whole call, its attempts and the reading of the body. Zero is no limit.
    #[must_use]
    pub fn call_timeout(mut self, limit: Duration) -> Self {
        self.call_timeout = Some(limit);
        self
    }

    /// Log level of this call.
    #[must_use]
    pub fn log_level(mut self, level: LogLevel) -> Self {
        self.log_level = Some(level);
        self
    }

    /// A header that takes the place of those of the same name from the client and the method.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }
}
