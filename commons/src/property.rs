//! Look-up of settings by name, as a client crate sees it.
//!
//! The crates that need settings (feign, discovery, bus) do not know where they come from; `vernal-config-client`
//! implements this trait, a test may use a map.

use std::collections::BTreeMap;

use crate::BoxError;

/// Settings by name (Spring's `PropertyResolver`).
///
/// Names are canonical: lower case, kebab-case, dots between parts
/// (`spring.cloud.openfeign.client.config.default.read-timeout`). An implementation compares them by Spring's
/// relaxed rules.
pub trait PropertyResolver: Send + Sync + 'static {
    /// The resolved value of `name`, or `None` if no source has it.
    ///
    /// # Errors
    ///
    /// If the value holds a placeholder that cannot be resolved, or a `{cipher}` that could not be decrypted.
    fn property(&self, name: &str) -> Result<Option<String>, BoxError>;

    /// The part that follows `prefix.` in the name of every known property below `prefix`, sorted, as written in
    /// its source.
    fn names_below(&self, prefix: &str) -> Vec<String>;

    /// `text` with every `${name}` and `${name:default}` replaced.
    ///
    /// # Errors
    ///
    /// If a placeholder without default has no value, or placeholders refer to each other in a circle.
    fn resolve_placeholders(&self, text: &str) -> Result<String, BoxError>;

    /// Grows with every change of the settings, so that derived values can be kept until then.
    fn generation(&self) -> u64 {
        0
    }
}

impl<T: PropertyResolver + ?Sized> PropertyResolver for std::sync::Arc<T> {
    fn property(&self, name: &str) -> Result<Option<String>, BoxError> {
        (**self).property(name)
    }

    fn names_below(&self, prefix: &str) -> Vec<String> {
        (**self).names_below(prefix)
    }

    fn resolve_placeholders(&self, text: &str) -> Result<String, BoxError> {
        (**self).resolve_placeholders(text)
    }

    fn generation(&self) -> u64 {
        (**self).generation()
    }
}

/// A fixed map without placeholders in its values: for programs that have no config server, and for tests.
impl PropertyResolver for BTreeMap<String, String> {
    fn property(&self, name: &str) -> Result<Option<String>, BoxError> {
        Ok(self.get(name).cloned())
    }

    fn names_below(&self, prefix: &str) -> Vec<String> {
        let below = |name: &String| Some(name.strip_prefix(prefix)?.strip_prefix('.')?.to_owned());
        self.keys().filter_map(below).collect()
    }

    fn resolve_placeholders(&self, text: &str) -> Result<String, BoxError> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let Some(length) = rest[start..].find('}') else { break };
            let (name, default) = match rest[start + 2..start + length].split_once(':') {
                Some((name, default)) => (name, Some(default)),
                None => (&rest[start + 2..start + length], None),
            };
            out.push_str(&rest[..start]);
            match (self.get(name), default) {
                (Some(value), _) => out.push_str(value),
                (None, Some(default)) => out.push_str(default),
                (None, None) => return Err(format!("could not resolve placeholder `{name}`").into()),
            }
            rest = &rest[start + length + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_resolves_names_and_defaults() {
        let map = BTreeMap::from([("a.b".to_owned(), "1".to_owned()), ("ab".to_owned(), "2".to_owned())]);
        assert_eq!(map.resolve_placeholders("x${a.b}y${none:d}").unwrap(), "x1yd");
        assert!(map.resolve_placeholders("${none}").is_err());
        assert_eq!(map.names_below("a"), ["b"]);
    }
}
