//! Base URLs of one server, with fail-over.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use url::Url;

use crate::secret::Secret;

/// A base URL whose user info is kept apart, so that printing it shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: String,
    credentials: Option<Credentials>,
}

/// User name and password of an [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name, percent-decoded.
    pub username: String,
    /// Password, percent-decoded; may be empty.
    pub password: Secret,
}

/// Why a text is no base URL. Never shows the text's user info.
#[derive(Debug, thiserror::Error)]
#[error("invalid URL `{shown}`: {reason}")]
pub struct InvalidEndpoint {
    shown: String,
    reason: String,
}

/// A list of base URLs; the one that answered last is tried first. Cheap to clone, clones share the position.
#[derive(Debug, Clone)]
pub struct Endpoints {
    list: Arc<[Endpoint]>,
    preferred: Arc<AtomicUsize>,
}

// ===== impl Endpoint =====

impl Endpoint {
    /// Reads an absolute URL. A trailing `/` is cut; user info is taken out.
    ///
    /// # Errors
    ///
    /// If `text` is not absolute or its scheme is neither `http` nor `https`.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        let text = text.trim();
        let invalid =
            |reason: &dyn fmt::Display| InvalidEndpoint { shown: without_user_info(text), reason: reason.to_string() };
        let parsed = Url::parse(text).map_err(|error| invalid(&error))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(invalid(&format_args!("scheme must be `http` or `https`, not `{}`", parsed.scheme())));
        }
        let decode = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
        let credentials = (!parsed.username().is_empty() || parsed.password().is_some()).then(|| Credentials {
            username: decode(parsed.username()),
            password: Secret::new(decode(parsed.password().unwrap_or_default())),
        });
        // The text itself is kept: a URL type would change a host such as `ORDER_SERVICE`.
        Ok(Self { url: without_user_info(text).trim_end_matches('/').to_owned(), credentials })
    }

    /// The same with other credentials.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// The URL without user info and without a trailing `/`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What stood in the user info.
    #[must_use]
    pub const fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }
}

fn without_user_info(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => text.to_owned(),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.url)
    }
}

impl std::str::FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

// ===== impl Endpoints =====

impl Endpoints {
    /// A list in order of preference.
    #[must_use]
    pub fn new(list: impl IntoIterator<Item = Endpoint>) -> Self {
        Self { list: list.into_iter().collect(), preferred: Arc::default() }
    }

    /// Reads a comma-separated list of URLs; blanks around them do not matter, empty entries are dropped.
    ///
    /// # Errors
    ///
    /// The first entry that is no URL.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        Ok(Self::new(entries.map(Endpoint::parse).collect::<Result<Vec<_>, _>>()?))
    }

    /// All of them with their position, beginning with the one that answered last.
    pub fn in_order(&self) -> impl Iterator<Item = (usize, &Endpoint)> {
        let start = self.preferred.load(Ordering::Relaxed);
        (0..self.list.len()).map(move |step| {
            let position = (start + step) % self.list.len();
            (position, &self.list[position])
        })
    }

    /// Says that the endpoint at `position` answered.
    pub fn prefer(&self, position: usize) {
        self.preferred.store(position, Ordering::Relaxed);
    }

    /// The position of the one that is tried first.
    #[must_use]
    pub fn preferred(&self) -> usize {
        self.preferred.load(Ordering::Relaxed)
    }

    /// Whether the list is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The number of URLs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_info_is_taken_out_and_never_shown() {
        let endpoint = Endpoint::parse("http://us%40er:p%3Aw@h:1/eureka/").unwrap();
        assert_eq!(endpoint.url(), "http://h:1/eureka");
        let credentials = endpoint.credentials().unwrap();
        assert_eq!((credentials.username.as_str(), credentials.password.expose()), ("us@er", "p:w"));
        assert!(!format!("{endpoint:?} {endpoint}").contains("p:w"));
    }

    #[test]
    fn a_bad_url_is_an_error_without_its_password() {
        let text = Endpoint::parse("ftp://u:letmein@h/").unwrap_err().to_string();
        assert_eq!(text, "invalid URL `ftp://h/`: scheme must be `http` or `https`, not `ftp`");
        assert!(Endpoint::parse("localhost:8761").is_err());
    }

    #[test]
    fn underscores_in_a_host_are_kept() {
        assert_eq!(Endpoint::parse("http://ORDER_SERVICE/x").unwrap().url(), "http://ORDER_SERVICE/x");
    }

    #[test]
    fn the_one_that_answered_comes_first() {
        let endpoints = Endpoints::parse("http://a, http://b,,http://c").unwrap();
        endpoints.prefer(1);
        let order: Vec<_> = endpoints.in_order().map(|(_, endpoint)| endpoint.url()).collect();
        assert_eq!(order, ["http://b", "http://c", "http://a"]);
    }
}
