//! `spring.cloud.config.*`: how to ask a config server.

use std::time::Duration;

use vernal_commons::endpoints::Endpoint;
use vernal_commons::secret::Secret;

use crate::bind::scalar;
use crate::bootstrap::decrypt::Key;
use crate::cipher::value::PREFIX;
use crate::error::Error;
use crate::layers::{Below, Layers, Reading};
use crate::name::Name;
use crate::request::ACCEPT_DEFAULT;

use super::retry::RetryOptions;

/// Where a server is expected that nobody configured.
const DEFAULT_URI: &str = "http://localhost:8888";
/// Limit for an answer; Java's 185 s serves a long poll that this client never starts (config.md 9.2, question 4).
const DEFAULT_READ_TIMEOUT: u64 = 30_000;
const DEFAULT_CONNECT_TIMEOUT: u64 = 10_000;
const PREFIX_CONFIG: &str = "spring.cloud.config";

/// The settings of one load (Spring's `ConfigClientProperties`).
#[derive(Debug, Clone)]
pub(crate) struct ClientOptions {
    pub(crate) uris: Vec<Endpoint>,
    pub(crate) strategy: Strategy,
    pub(crate) name: String,
    /// What is asked for instead of the active profiles.
    pub(crate) profile: Option<String>,
    /// The labels to try one after the other; `None` asks without one.
    pub(crate) labels: Vec<Option<String>>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) token: Option<Secret>,
    pub(crate) headers: Vec<(String, Secret)>,
    pub(crate) media_type: String,
    pub(crate) charset: String,
    pub(crate) fail_fast: bool,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) retry: RetryOptions,
}

/// When the next URI is tried (`multiple-uri-strategy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// After every failure.
    Always,
    /// When there was no answer.
    ConnectionTimeoutOnly,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            uris: Endpoint::parse(DEFAULT_URI).into_iter().collect(),
            strategy: Strategy::Always,
            name: "application".to_owned(),
            profile: None,
            labels: vec![None],
            username: None,
            password: None,
            token: None,
            headers: Vec::new(),
            media_type: ACCEPT_DEFAULT.to_owned(),
            charset: "utf-8".to_owned(),
            fail_fast: false,
            connect_timeout: Some(Duration::from_millis(DEFAULT_CONNECT_TIMEOUT)),
            read_timeout: Some(Duration::from_millis(DEFAULT_READ_TIMEOUT)),
            retry: RetryOptions::default(),
        }
    }
}

impl ClientOptions {
    /// Reads the options; ciphers among them are decrypted with `key`.
    pub(crate) fn read(layers: &Layers, key: &Key) -> Result<Self, Error> {
        let reader = Reader { layers, key };
        let mut options = Self::default();
        if let Some(uris) = reader.list("uri")? {
            options.uris = uris.iter().map(|uri| endpoint(uri)).collect::<Result<_, _>>()?;
        }
        if let Some(strategy) = reader.text("multiple-uri-strategy")? {
            options.strategy = match strategy.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
                "always" => Strategy::Always,
                "connectiontimeoutonly" => Strategy::ConnectionTimeoutOnly,
                _ => return Err(reader.invalid("multiple-uri-strategy", "`always` or `connection-timeout-only`")),
            };
        }
        let application = reader.layers.text("spring.application.name")?.filter(|name| !name.trim().is_empty());
        // A configured name of exactly `application` counts as unset (config.md 2.1).
        let configured = reader.text("name")?.filter(|name| name != "application");
        options.name = configured.or(application).unwrap_or_else(|| "application".to_owned());
        options.profile = reader.text("profile")?.filter(|profile| profile != "default");
        options.labels = labels(reader.text("label")?.as_deref(), reader.boolean("send-all-labels")?.unwrap_or(false));
        options.username = reader.text("username")?.map(|name| name.trim().to_owned());
        options.password = reader.secret("password")?.map(|secret| Secret::from(secret.expose().trim()));
        options.token = reader.secret("token")?;
        options.headers = reader.headers()?;
        if let Some(media_type) = reader.text("media-type")? {
            options.media_type = media_type;
        }
        if let Some(charset) = reader.text("charset")? {
            options.charset = charset;
        }
        options.fail_fast = reader.boolean("fail-fast")?.unwrap_or(false);
        if let Some(millis) = reader.millis("request-connect-timeout")? {
            options.connect_timeout = (millis > 0).then(|| Duration::from_millis(millis));
        }
        if let Some(millis) = reader.millis("request-read-timeout")? {
            options.read_timeout = (millis > 0).then(|| Duration::from_millis(millis));
        }
        options.retry = RetryOptions {
            enabled: reader.boolean("retry.enabled")?,
            initial_interval: reader.millis("retry.initial-interval")?.unwrap_or(1000),
            multiplier: reader.number("retry.multiplier")?.unwrap_or(1.1),
            max_interval: reader.millis("retry.max-interval")?.unwrap_or(2000),
            max_attempts: reader.millis("retry.max-attempts")?.unwrap_or(6),
            random: reader.boolean("retry.use-random-policy")?.unwrap_or(false),
        };
        Ok(options)
    }

    /// The options with what an import says: URIs and the query of the first one.
    pub(crate) fn with_import(mut self, uris: &[String], query: &[(String, String)]) -> Result<Self, Error> {
        if !uris.is_empty() {
            self.uris = uris.iter().map(|uri| endpoint(uri)).collect::<Result<_, _>>()?;
        }
        for (key, value) in query {
            let invalid = |expected: &str| Error::Import {
                location: format!("configserver: option `{key}`"),
                reason: format!("expected {expected}"),
            };
            let number = || value.parse::<u64>().map_err(|_| invalid("a number"));
            match key.as_str() {
                "fail-fast" => self.fail_fast = scalar::boolean(value).ok_or_else(|| invalid("a boolean"))?,
                "max-attempts" => self.retry.max_attempts = number()?,
                "max-interval" => self.retry.max_interval = number()?,
                "initial-interval" => self.retry.initial_interval = number()?,
                "multiplier" => self.retry.multiplier = value.parse().map_err(|_| invalid("a number"))?,
                _ => {}
            }
        }
        Ok(self)
    }

    /// What to ask for when these profiles are accepted.
    pub(crate) fn profiles<'a>(&'a self, accepted: &'a str) -> &'a str {
        self.profile.as_deref().unwrap_or(accepted)
    }

    /// Whether a failed load is repeated; the settings of the repetition are checked here.
    pub(crate) fn retries(&self) -> Result<bool, Error> {
        let enabled = self.retry.enabled.unwrap_or(self.fail_fast);
        if enabled {
            self.retry.check()?;
        }
        Ok(enabled)
    }
}

/// A base URL of a config server.
fn endpoint(uri: &str) -> Result<Endpoint, Error> {
    Endpoint::parse(uri).map_err(|error| Error::Setting {
        key: format!("{PREFIX_CONFIG}.uri"),
        origin: None,
        expected: format!("a base URL ({error})"),
    })
}

/// A comma list is tried element by element, or sent whole; elements are trimmed, an empty one asks without label.
fn labels(label: Option<&str>, send_all: bool) -> Vec<Option<String>> {
    let elements: Vec<&str> = label.unwrap_or_default().split(',').map(str::trim).collect();
    if send_all {
        let all = elements.join(",");
        return vec![(!all.is_empty()).then_some(all)];
    }
    elements.into_iter().map(|element| (!element.is_empty()).then(|| element.to_owned())).collect()
}

struct Reader<'a> {
    layers: &'a Layers,
    key: &'a Key,
}

impl Reader<'_> {
    fn reading(&self, key: &str) -> Result<Option<Reading>, Error> {
        self.layers.value(&Name::parse(&format!("{PREFIX_CONFIG}.{key}")), None)
    }

    /// Blank counts as unset.
    fn text(&self, key: &str) -> Result<Option<String>, Error> {
        Ok(self.secret(key)?.map(|secret| secret.expose().to_owned()))
    }

    fn secret(&self, key: &str) -> Result<Option<Secret>, Error> {
        let Some(reading) = self.reading(key)? else { return Ok(None) };
        let Some(text) = reading.value.as_text() else { return Ok(None) };
        let secret = if text.starts_with(PREFIX) {
            self.key.decrypt(&reading.key, reading.origin.as_ref(), &text)?
        } else {
            Secret::from(&*text)
        };
        Ok(Some(secret).filter(|secret| !secret.expose().trim().is_empty()))
    }

    fn list(&self, key: &str) -> Result<Option<Vec<String>>, Error> {
        let prefix = format!("{PREFIX_CONFIG}.{key}");
        if !self.layers.contains(&Name::parse(&prefix), None) {
            return Ok(None);
        }
        let (list, _) = crate::bind::bind::<Vec<String>>(self.layers, &prefix)?;
        let list: Vec<_> = list.into_iter().filter(|element| !element.is_empty()).collect();
        Ok(Some(list).filter(|list| !list.is_empty()))
    }

    fn boolean(&self, key: &str) -> Result<Option<bool>, Error> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        scalar::boolean(&text).map(Some).ok_or_else(|| self.invalid(key, "a boolean"))
    }

    /// A whole number; Java refuses units here (fixture `resolve/retry-read-timeout-duration`).
    fn millis(&self, key: &str) -> Result<Option<u64>, Error> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let number = scalar::integer(&text).and_then(|number| u32::try_from(number).ok()).map(u64::from);
        number.map(Some).ok_or_else(|| self.invalid(key, "a whole number that is not negative, without a unit"))
    }

    fn number(&self, key: &str) -> Result<Option<f64>, Error> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        scalar::float(&text).map(Some).ok_or_else(|| self.invalid(key, "a number"))
    }

    fn headers(&self) -> Result<Vec<(String, Secret)>, Error> {
        let prefix = Name::parse(&format!("{PREFIX_CONFIG}.headers"));
        let mut headers: Vec<(String, Secret)> = Vec::new();
        for Below { name, at, found } in self.layers.below(&prefix, None) {
            let header = name.map_key(at, name.len());
            let reading = self.layers.resolve(found)?;
            let text = reading.value.as_text().map(std::borrow::Cow::into_owned).unwrap_or_default();
            let value = if text.starts_with(PREFIX) {
                self.key.decrypt(&reading.key, reading.origin.as_ref(), &text)?
            } else {
                Secret::new(text)
            };
            if !headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(&header)) {
                headers.push((header, value));
            }
        }
        Ok(headers)
    }

    fn invalid(&self, key: &str, expected: &str) -> Error {
        let reading = self.reading(key).ok().flatten();
        let found = match &reading {
            Some(reading) if !reading.secret => {
                reading.value.as_text().map(|text| format!(", found `{text}`")).unwrap_or_default()
            }
            _ => String::new(),
        };
        Error::Setting {
            key: format!("{PREFIX_CONFIG}.{key}"),
            origin: reading.and_then(|reading| reading.origin),
            expected: format!("{expected}{found}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_trimmed_and_an_empty_one_asks_without() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(labels(None, false), [None]);
        assert_eq!(labels(Some("x, y"), false), [some("x"), some("y")]);
        assert_eq!(labels(Some("x,"), false), [some("x"), None]);
        assert_eq!(labels(Some("x, y"), true), [some("x,y")]);
    }
}
