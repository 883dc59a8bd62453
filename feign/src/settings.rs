//! A client's settings, read from `spring.cloud.openfeign.client.*` (spring-cloud-openfeign 5.0
//! `FeignClientProperties`).

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use vernal_commons::http::SharedTransport;
use vernal_commons::property::PropertyResolver;

use crate::encode::{self, Keep};
use crate::error::{Error, Result};
use crate::level::LogLevel;
use crate::redact::Redact;
use crate::url::Base;

/// Today's prefix, and the one before Spring Cloud 2022.
const PREFIXES: [&str; 2] = ["spring.cloud.openfeign.client", "feign.client"];

pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_RESPONSE: usize = 64 << 20;
const MAX_LOGGED: usize = 64 << 10;

/// Reads the settings of one client: its own entry first, then the default one.
#[derive(Clone)]
pub(crate) struct Reader {
    resolver: Option<Arc<dyn PropertyResolver>>,
    context_id: String,
}

/// A snapshot of everything that settings decide; made anew when they change.
pub(crate) struct Resolved {
    pub(crate) base: Base,
    pub(crate) transport: SharedTransport,
    /// As code and settings together say.
    pub(crate) level: LogLevel,
    pub(crate) values: Values,
}

/// A header that requests get unless they have it.
#[derive(Debug, Clone)]
pub(crate) struct DefaultHeader {
    pub(crate) name: HeaderName,
    pub(crate) spelled: String,
    pub(crate) values: Vec<HeaderValue>,
}

/// Query pairs that requests get unless they have the name; encoded.
#[derive(Debug, Clone)]
pub(crate) struct DefaultQuery {
    pub(crate) name: String,
    pub(crate) pairs: String,
}

/// What the settings say that is not about URL and transport.
pub(crate) struct Values {
    pub(crate) connect_timeout: Duration,
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) call_timeout: Option<Duration>,
    pub(crate) level: Option<LogLevel>,
    pub(crate) properties_win: bool,
    pub(crate) dismiss_404: Option<bool>,
    pub(crate) decode_slash: bool,
    pub(crate) max_response: usize,
    pub(crate) max_logged: usize,
    pub(crate) default_headers: Vec<DefaultHeader>,
    pub(crate) default_query: Vec<DefaultQuery>,
    pub(crate) redact: Redact,
}

impl Reader {
    pub(crate) fn new(resolver: Option<Arc<dyn PropertyResolver>>, context_id: String) -> Self {
        Self { resolver, context_id }
    }

    /// The key of the client's settings.
    pub(crate) fn context_id(&self) -> &str {
        &self.context_id
    }

    pub(crate) fn generation(&self) -> u64 {
        self.resolver.as_ref().map_or(0, PropertyResolver::generation)
    }

    /// `text` with its placeholders replaced.
    pub(crate) fn resolve(&self, text: &str) -> Result<String> {
        if !text.contains("${") {
            return Ok(text.to_owned());
        }
        let failed = |error: vernal_commons::BoxError| {
            Error::config(format!("`{text}` of client `{}` could not be resolved", self.context_id)).because(error)
        };
        match &self.resolver {
            Some(resolver) => resolver.resolve_placeholders(text).map_err(failed),
            None => {
                let empty = std::collections::BTreeMap::<String, String>::new();
                PropertyResolver::resolve_placeholders(&empty, text).map_err(failed)
            }
        }
    }

    /// The property `url` of the client; that of the default entry is never used (as in Java).
    pub(crate) fn url(&self) -> Result<Option<String>> {
        for prefix in PREFIXES {
            if let Some(value) = self.property(&format!("{prefix}.config.{}.url", self.context_id))? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// `client.remove-trailing-slash`.
    pub(crate) fn remove_trailing_slash(&self) -> Result<bool> {
        Ok(self.global("remove-trailing-slash", parse_bool)?.unwrap_or(false))
    }

    pub(crate) fn values(&self) -> Result<Values> {
        let redact = Redact {
            off: self.client("log-unsafe", parse_bool)?.unwrap_or(false),
            headers: self.client("log-redact.headers", parse_names)?.unwrap_or_default(),
            query: self.client("log-redact.query", parse_names)?.unwrap_or_default(),
        };
        let dismiss_404 = match self.client("dismiss404", parse_bool)? {
            Some(value) => Some(value),
            None => self.client("decode404", parse_bool)?,
        };
        Ok(Values {
            connect_timeout: self.client("connect-timeout", parse_duration)?.unwrap_or(CONNECT_TIMEOUT),
            read_timeout: limit(self.client("read-timeout", parse_duration)?.unwrap_or(READ_TIMEOUT)),
            call_timeout: self.client("call-timeout", parse_duration)?.and_then(limit),
            level: self.client("logger-level", LogLevel::parse)?,
            properties_win: self.global("default-to-properties", parse_bool)?.unwrap_or(true),
            dismiss_404,
            decode_slash: self.global("decode-slash", parse_bool)?.unwrap_or(false),
            max_response: self.client("max-response-bytes", parse_size)?.unwrap_or(MAX_RESPONSE),
            max_logged: self.client("log-max-body-bytes", parse_size)?.unwrap_or(MAX_LOGGED),
            default_headers: self.default_headers()?,
            default_query: self.default_query()?,
            redact,
        })
    }

    fn default_headers(&self) -> Result<Vec<DefaultHeader>> {
        let mut out = Vec::new();
        for (key, spelled, values) in self.lists("default-request-headers")? {
            let invalid =
                || Error::config(format!("default header `{spelled}` (property `{key}`) is not a legal header"));
            let name = HeaderName::try_from(spelled.as_str()).map_err(|_| invalid())?;
            let values = values.iter().map(|value| HeaderValue::from_str(value));
            let values = values.collect::<Result<_, _>>().map_err(|_| invalid())?;
            out.push(DefaultHeader { name, spelled, values });
        }
        Ok(out)
    }

    fn default_query(&self) -> Result<Vec<DefaultQuery>> {
        let encoded = |text: &str| {
            let mut out = Vec::new();
            encode::push(&mut out, text, Keep::Unreserved);
            String::from_utf8_lossy(&out).into_owned()
        };
        let pair = |name: &str, value: &String| format!("{name}={}", encoded(value));
        let lists = self.lists("default-query-parameters")?.into_iter().map(|(_, name, values)| {
            let name = encoded(&name);
            let pairs: Vec<_> = values.iter().map(|value| pair(&name, value)).collect();
            DefaultQuery { pairs: pairs.join("&"), name }
        });
        Ok(lists.filter(|default| !default.pairs.is_empty()).collect())
    }

    /// A map from names to lists: the default entry's, replaced name by name by the client's. Each with a property
    /// to name in messages.
    fn lists(&self, map: &str) -> Result<Vec<(String, String, Vec<String>)>> {
        let Some(resolver) = &self.resolver else { return Ok(Vec::new()) };
        let mut out: Vec<(String, String, Vec<String>)> = Vec::new();
        for entry in [self.default_entry()?, self.context_id.clone()] {
            let mut found: Vec<(String, String, Vec<String>)> = Vec::new();
            for prefix in PREFIXES {
                let below = format!("{prefix}.config.{entry}.{map}");
                for rest in resolver.names_below(&below) {
                    let Some((name, index)) = list_name(&rest) else { continue };
                    let key = format!("{below}.{rest}");
                    let Some(value) = self.property(&key)? else { continue };
                    let values: Vec<String> = match index {
                        Some(_) => vec![value],
                        None => value.split(',').map(|part| part.trim().to_owned()).collect(),
                    };
                    match found.iter_mut().find(|(_, known, _)| known.eq_ignore_ascii_case(name)) {
                        Some((_, _, list)) => list.extend(values),
                        None => found.push((key, name.to_owned(), values)),
                    }
                }
                if !found.is_empty() {
                    break;
                }
            }
            for new in found {
                match out.iter_mut().find(|(_, known, _)| known.eq_ignore_ascii_case(&new.1)) {
                    Some(old) => *old = new,
                    None => out.push(new),
                }
            }
        }
        Ok(out)
    }

    fn default_entry(&self) -> Result<String> {
        Ok(self.global("default-config", |text| Some(text.to_owned()))?.unwrap_or_else(|| "default".to_owned()))
    }

    /// A value of the client's entry, or of the default one.
    fn client<T>(&self, name: &str, parse: fn(&str) -> Option<T>) -> Result<Option<T>> {
        if self.resolver.is_none() {
            return Ok(None);
        }
        for entry in [self.context_id.clone(), self.default_entry()?] {
            for prefix in PREFIXES {
                let key = format!("{prefix}.config.{entry}.{name}");
                if let Some(value) = self.parsed(&key, parse)? {
                    return Ok(Some(value));
                }
            }
        }
        Ok(None)
    }

    fn global<T>(&self, name: &str, parse: fn(&str) -> Option<T>) -> Result<Option<T>> {
        for prefix in PREFIXES {
            if let Some(value) = self.parsed(&format!("{prefix}.{name}"), parse)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn parsed<T>(&self, key: &str, parse: fn(&str) -> Option<T>) -> Result<Option<T>> {
        let Some(text) = self.property(key)? else { return Ok(None) };
        match parse(text.trim()) {
            Some(value) => Ok(Some(value)),
            None => Err(Error::config(format!("property `{key}` has the value `{text}`, which is not valid there"))),
        }
    }

    fn property(&self, key: &str) -> Result<Option<String>> {
        let Some(resolver) = &self.resolver else { return Ok(None) };
        resolver.property(key).map_err(|error| Error::config(format!("property `{key}` cannot be read")).because(error))
    }
}

/// Zero is no limit.
pub(crate) fn limit(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}

/// The name and index of an element: `X-A[0]`, `[X-A][0]`, `X-A`.
fn list_name(rest: &str) -> Option<(&str, Option<usize>)> {
    let (name, index) = match rest.strip_suffix(']').and_then(|open| open.rsplit_once('[')) {
        Some((name, index)) => match index.parse() {
            Ok(index) => (name, Some(index)),
            Err(_) => (rest, None),
        },
        None => (rest, None),
    };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    (!name.is_empty()).then_some((name, index))
}

fn parse_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "1" => Some(true),
        "false" | "off" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// Milliseconds, as in Java, or a number with a unit.
fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    match text[digits..].trim() {
        "" | "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    }
}

/// Bytes, or a number with `KB` or `MB` (Spring's `DataSize`: powers of two).
fn parse_size(text: &str) -> Option<usize> {
    if text.eq_ignore_ascii_case("unlimited") {
        return Some(usize::MAX);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: usize = text[..digits].parse().ok()?;
    match text[digits..].trim().to_ascii_uppercase().as_str() {
        "" | "B" => Some(number),
        "KB" => number.checked_mul(1 << 10),
        "MB" => number.checked_mul(1 << 20),
        _ => None,
    }
}

fn parse_names(text: &str) -> Option<Vec<String>> {
    Some(text.split(',').map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn reader(pairs: &[(&str, &str)]) -> Reader {
        let map: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Reader::new(Some(Arc::new(map)), "orders".to_owned())
    }

    #[test]
    fn each_value_is_the_clients_or_the_default() {
        let values = reader(&[
            ("spring.cloud.openfeign.client.config.default.connect-timeout", "300"),
            ("spring.cloud.openfeign.client.config.default.read-timeout", "1s"),
            ("spring.cloud.openfeign.client.config.orders.read-timeout", "0"),
            ("feign.client.config.default.logger-level", "full"),
        ])
        .values()
        .unwrap();
        assert_eq!(values.connect_timeout, Duration::from_millis(300));
        assert_eq!(values.read_timeout, None);
        assert_eq!(values.level, Some(LogLevel::Full));
    }

    #[test]
    fn a_bad_value_names_its_property() {
        let key = "spring.cloud.openfeign.client.config.default.read-timeout";
        let error = reader(&[(key, "soon")]).values().err().unwrap().to_string();
        assert_eq!(error, format!("property `{key}` has the value `soon`, which is not valid there"));
    }

    #[test]
    fn the_clients_default_header_replaces_the_general_one() {
        let headers = reader(&[
            ("spring.cloud.openfeign.client.config.default.default-request-headers.X-Def[0]", "d1"),
            ("spring.cloud.openfeign.client.config.default.default-request-headers.X-Def[1]", "d2"),
            ("spring.cloud.openfeign.client.config.default.default-request-headers.X-A", "1, 2"),
            ("spring.cloud.openfeign.client.config.orders.default-request-headers.x-def[0]", "c"),
        ])
        .values()
        .unwrap()
        .default_headers;
        let shown: Vec<_> = headers.iter().map(|header| (header.name.as_str(), header.values.len())).collect();
        assert_eq!(shown, [("x-a", 2), ("x-def", 1)]);
    }
}
