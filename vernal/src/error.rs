use std::fmt;

use vernal_commons::BoxError;
use vernal_commons::chain::causes;

/// Why an application could not start or go on.
///
/// `Debug` prints the error with all its causes, one a line, since that is what `fn main() -> Result<(), Error>`
/// shows.
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<BoxError>,
}

/// Where an [`Error`] comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Settings: a file, the config server, a value of the wrong type.
    Config,
    /// The registry client.
    Discovery,
    /// A Feign client.
    Feign,
    /// The bus.
    Bus,
    /// The HTTP server: usually the port is taken.
    Serve,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self { kind, message: message.into(), source: Some(source.into()) }
    }

    pub(crate) fn started() -> Self {
        let message = "this application has been started before; bootstrap another one".to_owned();
        Self { kind: ErrorKind::Serve, message, source: None }
    }

    /// Where it comes from.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&causes(self).join("\n  because: "))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(feature = "config")]
impl From<vernal_config_client::Error> for Error {
    fn from(error: vernal_config_client::Error) -> Self {
        Self::new(ErrorKind::Config, "settings could not be loaded", error)
    }
}

#[cfg(feature = "discovery")]
impl From<vernal_discovery_client::Error> for Error {
    fn from(error: vernal_discovery_client::Error) -> Self {
        Self::new(ErrorKind::Discovery, "registry client could not be started", error)
    }
}

#[cfg(feature = "feign")]
impl From<vernal_feign::Error> for Error {
    fn from(error: vernal_feign::Error) -> Self {
        Self::new(ErrorKind::Feign, "call failed", error)
    }
}

#[cfg(feature = "bus")]
impl From<vernal_bus_client::Error> for Error {
    fn from(error: vernal_bus_client::Error) -> Self {
        Self::new(ErrorKind::Bus, "bus could not be joined", error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_the_chain_of_causes() {
        let inner = std::io::Error::other("the file is gone");
        let error = Error::new(ErrorKind::Config, "settings could not be loaded", inner);
        assert_eq!(format!("{error:?}"), "settings could not be loaded\n  because: the file is gone");
        assert_eq!(error.to_string(), "settings could not be loaded");
    }
}
