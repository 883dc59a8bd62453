//! Elements of `spring.config.import`.

use std::path::PathBuf;

use crate::error::Error;

/// Where an import points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Import {
    /// `configserver:...`
    Server(ServerImport),
    /// A file; relative to the one that imports it.
    File { path: PathBuf, optional: bool },
}

/// `[optional:]configserver:[uri[,uri...][?option=value&...]]`
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ServerImport {
    pub(crate) optional: bool,
    /// Replace `spring.cloud.config.uri` unless empty. May hold credentials.
    pub(crate) uris: Vec<String>,
    /// The options of the first URI.
    pub(crate) query: Vec<(String, String)>,
}

impl Import {
    /// Reads one element, placeholders resolved.
    ///
    /// # Errors
    ///
    /// A location of a kind that is not supported; the kinds are named.
    pub(crate) fn parse(location: &str) -> Result<Self, Error> {
        let location = location.trim();
        let (optional, rest) = match location.strip_prefix("optional:") {
            Some(rest) => (true, rest),
            None => (false, location),
        };
        if let Some(server) = rest.strip_prefix("configserver:") {
            return Ok(Self::Server(ServerImport::parse(optional, server)));
        }
        // There is no class path, so nothing is on it.
        if optional && rest.starts_with("classpath:") {
            return Ok(Self::File { path: PathBuf::new(), optional });
        }
        let path = rest.strip_prefix("file:").unwrap_or(rest);
        let has_scheme = path.split_once(':').is_some_and(|(scheme, _)| {
            // One letter is a drive of Windows.
            scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        });
        if has_scheme || path.is_empty() {
            return Err(Error::Import {
                location: without_credentials(location),
                reason: "expected `[optional:]configserver:[uri]` or `[optional:]file:path`".to_owned(),
            });
        }
        Ok(Self::File { path: PathBuf::from(path), optional })
    }
}

impl ServerImport {
    fn parse(optional: bool, text: &str) -> Self {
        let mut uris = Vec::new();
        let mut query = Vec::new();
        for uri in text.split(',').map(str::trim).filter(|uri| !uri.is_empty()) {
            let (base, options) = uri.split_once('?').unwrap_or((uri, ""));
            if uris.is_empty() {
                let pairs = options.split('&').filter_map(|pair| pair.split_once('='));
                query = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            }
            uris.push(base.to_owned());
        }
        Self { optional, uris, query }
    }
}

impl std::fmt::Debug for ServerImport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let uris: Vec<_> = self.uris.iter().map(|uri| without_credentials(uri)).collect();
        f.debug_struct("ServerImport").field("optional", &self.optional).field("uris", &uris).finish_non_exhaustive()
    }
}

/// A location as it may be shown.
pub(crate) fn without_credentials(location: &str) -> String {
    let Some((scheme, rest)) = location.split_once("://") else { return location.to_owned() };
    let end = rest.find(['/', '?', '#', ',']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => location.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_of_spring_is_read() {
        let import = Import::parse("optional:configserver:http://a:1?fail-fast=true&max-attempts=2,http://b").unwrap();
        let Import::Server(server) = import else { panic!("{import:?}") };
        assert!(server.optional);
        assert_eq!(server.uris, ["http://a:1", "http://b"]);
        assert_eq!(server.query[1], ("max-attempts".to_owned(), "2".to_owned()));
        let Ok(Import::Server(plain)) = Import::parse("configserver:") else { panic!() };
        assert!(plain.uris.is_empty() && !plain.optional);
        assert_eq!(
            Import::parse("optional:file:./x.yml").unwrap(),
            Import::File { path: "./x.yml".into(), optional: true }
        );
    }

    #[test]
    fn other_locations_are_refused_without_showing_credentials() {
        for location in ["vault://", "http://u:hunter2@h/x", "classpath:x.yml"] {
            let error = Import::parse(location).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
