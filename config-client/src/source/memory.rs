//! Properties given by the program: defaults, overrides, tests.

use super::{Property, PropertySource};
use crate::value::Origin;

/// A source of pairs; each value's origin is the source itself.
///
/// ```
/// use vernal_config_client::source::memory;
///
/// let defaults = memory::source("defaults", [("server.port", "8080")]);
/// assert_eq!(defaults.get("server.port").unwrap().origin().unwrap().to_string(), "defaults");
/// ```
pub fn source<K: Into<String>, V: Into<crate::value::Value>>(
    name: &str,
    pairs: impl IntoIterator<Item = (K, V)>,
) -> PropertySource {
    let origin = Origin::source_only(name);
    PropertySource::with_properties(
        name,
        pairs.into_iter().map(|(key, value)| (key, Property::new(value, Some(origin.clone())))),
    )
}
