//! What can go wrong between a service and its registry.

use std::time::Duration;

use vernal_commons::BoxError;

/// Why the registry could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No registry URL is configured.
    #[error("no registry URL: `eureka.client.service-url.{zone}` is not set")]
    NoServiceUrl {
        /// The zone whose URL was looked for.
        zone: String,
    },
    /// A configured registry URL is no URL.
    #[error("value of `eureka.client.service-url.{zone}` is no list of URLs")]
    InvalidServiceUrl {
        /// The zone whose URL it is.
        zone: String,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// A setting has a value that cannot be used.
    #[error("value of `{property}` cannot be used: {reason}")]
    InvalidSetting {
        /// The property's name.
        property: String,
        /// What was expected.
        reason: String,
    },
    /// There is no HTTP transport: none was given and the default one is not there.
    #[error("no HTTP transport: give one, or build with the feature `reqwest`")]
    NoTransport {
        /// Why the default one could not be built.
        #[source]
        source: Option<BoxError>,
    },
    /// A record that a registry would refuse, or could never find again.
    #[error("instance cannot be registered: {reason}")]
    InvalidRecord {
        /// Which member is wrong, and why.
        reason: String,
    },
    /// The registry could not be reached.
    #[error("registry `{server}` cannot be reached for {operation}")]
    Unreachable {
        /// URL without credentials.
        server: String,
        /// What was asked.
        operation: &'static str,
        /// What the transport says.
        #[source]
        source: BoxError,
    },
    /// The registry did not answer in time.
    #[error("registry `{server}` did not answer {operation} within {} ms", limit.as_millis())]
    Timeout {
        /// URL without credentials.
        server: String,
        /// What was asked.
        operation: &'static str,
        /// The limit that passed.
        limit: Duration,
    },
    /// The registry answered with a status that means failure.
    #[error("registry `{server}` answered {status} to {operation}{}", hint(*status, operation, text))]
    Status {
        /// URL without credentials.
        server: String,
        /// What was asked.
        operation: &'static str,
        /// HTTP status.
        status: u16,
        /// The beginning of a plain-text reason, if there was one.
        text: String,
    },
    /// The registry's answer is not what was asked for.
    #[error("answer of registry `{server}` to {operation} cannot be read")]
    Decode {
        /// URL without credentials.
        server: String,
        /// What was asked.
        operation: &'static str,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// No document came within the time that was given.
    #[error("registry has not answered within {} ms", waited.as_millis())]
    NotReady {
        /// How long was waited.
        waited: Duration,
    },
    /// No instance of a service showed up within the time that was given.
    #[error("no instance of service `{service_id}` within {} ms", waited.as_millis())]
    NoInstances {
        /// The service.
        service_id: String,
        /// How long was waited.
        waited: Duration,
    },
    /// The client has been stopped, or its settings turn off what was asked.
    #[error("discovery client is off: {reason}")]
    Off {
        /// The property, or that it was stopped.
        reason: &'static str,
    },
    /// The registry did not confirm that the instance is gone, be it that it did not answer; its lease will expire.
    #[error("registry did not confirm, in at most {} ms, that instance `{instance_id}` left", limit.as_millis())]
    NotDeregistered {
        /// The instance.
        instance_id: String,
        /// The limit that passed.
        limit: Duration,
    },
}

impl Error {
    /// The HTTP status, if the registry answered with one that means failure.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether a time limit passed.
    #[must_use]
    pub const fn is_timeout(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::NotReady { .. } | Self::NoInstances { .. } | Self::NotDeregistered { .. } => {
                true
            }
            Self::NoServiceUrl { .. }
            | Self::InvalidServiceUrl { .. }
            | Self::InvalidSetting { .. }
            | Self::NoTransport { .. }
            | Self::InvalidRecord { .. }
            | Self::Unreachable { .. }
            | Self::Status { .. }
            | Self::Decode { .. }
            | Self::Off { .. } => false,
        }
    }

    /// Whether trying again later can help without a change on our side.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Decode { .. }
            | Self::NotReady { .. }
            | Self::NoInstances { .. }
            | Self::NotDeregistered { .. } => true,
            Self::Status { status, .. } => !matches!(*status, 400 | 405 | 406 | 415),
            Self::NoServiceUrl { .. }
            | Self::InvalidServiceUrl { .. }
            | Self::InvalidSetting { .. }
            | Self::NoTransport { .. }
            | Self::InvalidRecord { .. }
            | Self::Off { .. } => false,
        }
    }
}

/// A server with Spring Security answers 401 or 403 to every write while reading works, until `/eureka/**` is exempt
/// from its CSRF protection (recorded: `scenarios/basic-auth-csrf`).
fn hint(status: u16, operation: &str, text: &str) -> String {
    let reason = if text.is_empty() { String::new() } else { format!(": {text}") };
    let writes = matches!(operation, "register" | "heartbeat" | "deregister" | "status override");
    match status {
        401 | 403 if writes => {
            format!("{reason} (check the credentials, and that the server exempts `/eureka/**` from CSRF protection)")
        }
        _ => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_write_hints_at_csrf_protection() {
        let refused = |operation| Error::Status { server: "http://r".into(), operation, status: 403, text: "".into() };
        assert!(refused("register").to_string().contains("CSRF"));
        assert_eq!(refused("full fetch").to_string(), "registry `http://r` answered 403 to full fetch");
    }
}
