//! Property sources: named, flat, ordered maps.
//!
//! | module | reads |
//! |---|---|
//! | [`yaml`] | YAML 1.1 files as Spring reads them |
//! | [`properties`] | `.properties` files as Spring Boot reads them |
//! | [`env`](mod@env) | environment variables |
//! | [`memory`] | pairs given by the program |

pub mod env;
mod flatten;
pub mod memory;
mod node;
pub mod properties;
mod scalar;
mod text;
pub mod yaml;

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::value::{Origin, Value};

/// A named flat map from keys (`a.b[0].c`) to values, in the order of the file or answer it came from.
///
/// `Debug` shows the keys and never a value.
#[derive(Clone, PartialEq)]
pub struct PropertySource {
    name: Arc<str>,
    properties: IndexMap<String, Property>,
}

/// One value and where it came from.
///
/// `Debug` shows the origin and never the value.
#[derive(Clone, PartialEq)]
pub struct Property {
    value: Value,
    origin: Option<Origin>,
}

/// Why a file could not be read as properties. No variant holds a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read `{file}`")]
    Io {
        /// The file.
        file: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The file, or what it expands to, is larger than allowed.
    #[error("`{file}` has more than {limit} {unit}")]
    TooLarge {
        /// The file.
        file: String,
        /// The limit.
        limit: usize,
        /// Of what.
        unit: &'static str,
    },
    /// The file is not UTF-8.
    #[error("`{file}` is not UTF-8 (byte {valid_up_to})")]
    NotUtf8 {
        /// The file.
        file: String,
        /// The number of good bytes before the first bad one.
        valid_up_to: usize,
    },
    /// A key occurs twice in one map.
    #[error("{origin}: duplicate key `{key}`, first at line {first_line}")]
    DuplicateKey {
        /// Where the second one stands.
        origin: Origin,
        /// The key.
        key: String,
        /// The line of the first one.
        first_line: u32,
    },
    /// The file is not what its name says, or uses what Spring refuses.
    #[error("{origin}: {reason}")]
    Syntax {
        /// Where.
        origin: Origin,
        /// What is wrong, in lower case.
        reason: String,
    },
    /// The name ends in none of the known extensions.
    #[error("`{file}` is neither .yml, .yaml nor .properties")]
    UnknownFormat {
        /// The file.
        file: String,
    },
}

/// The largest file that is read, in bytes.
pub const MAX_FILE: usize = 16 << 20;

/// Reads a file of at most [`MAX_FILE`] bytes and parses it by its extension. `name` is the name of the resulting
/// sources; a file of several documents gives one source for each, in the order of the file (later ones rank
/// higher), named `{name} (document #{n})`.
///
/// # Errors
///
/// See [`LoadError`].
pub fn load_file(path: &Path, name: &str) -> Result<Vec<PropertySource>, LoadError> {
    let parse = match path.extension().and_then(|extension| extension.to_str()) {
        Some("yml" | "yaml") => yaml::load,
        Some("properties") => properties::load,
        _ => return Err(LoadError::UnknownFormat { file: name.to_owned() }),
    };
    parse(name, &read_file(path, name)?)
}

/// Reads a file of at most [`MAX_FILE`] bytes.
///
/// # Errors
///
/// [`LoadError::Io`], [`LoadError::TooLarge`].
pub fn read_file(path: &Path, name: &str) -> Result<Vec<u8>, LoadError> {
    let mut bytes = Vec::new();
    let limit = MAX_FILE as u64 + 1;
    std::fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|source| LoadError::Io { file: name.to_owned(), source })?;
    check_size(name, &bytes)?;
    Ok(bytes)
}

fn check_size(name: &str, bytes: &[u8]) -> Result<(), LoadError> {
    if bytes.len() > MAX_FILE {
        return Err(LoadError::TooLarge { file: name.to_owned(), limit: MAX_FILE, unit: "bytes" });
    }
    Ok(())
}

/// Names the documents of one file.
fn number_documents(name: &str, mut documents: Vec<PropertySource>) -> Vec<PropertySource> {
    if documents.len() > 1 {
        for (index, document) in documents.iter_mut().enumerate() {
            document.name = format!("{name} (document #{index})").into();
        }
    }
    documents
}

// ===== impl PropertySource =====

impl PropertySource {
    /// A source without properties.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), properties: IndexMap::new() }
    }

    /// A source with these properties; a repeated key keeps its first place and takes the last value.
    pub fn with_properties<K: Into<String>, P: Into<Property>>(
        name: impl Into<Arc<str>>,
        properties: impl IntoIterator<Item = (K, P)>,
    ) -> Self {
        let mut source = Self::new(name);
        source.extend(properties.into_iter().map(|(key, property)| (key.into(), property.into())));
        source
    }

    /// The name: opaque, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same properties under another name.
    #[must_use]
    pub fn renamed(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// The property with exactly this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Property> {
        self.properties.get(key)
    }

    /// All properties in order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Property)> + DoubleEndedIterator {
        self.properties.iter().map(|(key, property)| (key.as_str(), property))
    }

    /// All keys in order.
    #[must_use]
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> + DoubleEndedIterator {
        self.properties.keys().map(String::as_str)
    }

    /// The number of properties.
    #[must_use]
    pub fn len(&self) -> usize {
        self.properties.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.properties.is_empty()
    }

    /// Sets a property and returns the former one. A key that is already there keeps its place.
    pub fn insert(&mut self, key: impl Into<String>, property: impl Into<Property>) -> Option<Property> {
        self.properties.insert(key.into(), property.into())
    }

    /// Removes a property, keeping the order of the others.
    pub fn remove(&mut self, key: &str) -> Option<Property> {
        self.properties.shift_remove(key)
    }
}

impl Extend<(String, Property)> for PropertySource {
    fn extend<I: IntoIterator<Item = (String, Property)>>(&mut self, properties: I) {
        self.properties.extend(properties);
    }
}

impl IntoIterator for PropertySource {
    type Item = (String, Property);
    type IntoIter = indexmap::map::IntoIter<String, Property>;

    fn into_iter(self) -> Self::IntoIter {
        self.properties.into_iter()
    }
}

impl fmt::Debug for PropertySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PropertySource")
            .field("name", &self.name)
            .field("keys", &self.properties.keys().collect::<Vec<_>>())
            .finish()
    }
}

// ===== impl Property =====

impl Property {
    /// A value with its origin.
    #[must_use]
    pub fn new(value: impl Into<Value>, origin: Option<Origin>) -> Self {
        Self { value: value.into(), origin }
    }

    /// The value.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// Where it came from, if that is known.
    #[must_use]
    pub const fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// The value alone.
    #[must_use]
    pub fn into_value(self) -> Value {
        self.value
    }

    /// Another value of the same origin, e.g. the decrypted one.
    #[must_use]
    pub fn with_value(&self, value: impl Into<Value>) -> Self {
        Self { value: value.into(), origin: self.origin.clone() }
    }
}

impl<V: Into<Value>> From<V> for Property {
    fn from(value: V) -> Self {
        Self::new(value, None)
    }
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Property").field("origin", &self.origin).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_key_keeps_its_place_and_takes_the_last_value() {
        let source = PropertySource::with_properties("s", [("a", "1"), ("b", "2"), ("a", "3")]);
        assert_eq!(source.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(source.get("a").map(Property::value), Some(&Value::from("3")));
    }

    #[test]
    fn debug_shows_keys_and_no_values() {
        let source = PropertySource::with_properties("s", [("db.password", "hunter2")]);
        let shown = format!("{source:?} {:?}", source.get("db.password"));
        assert!(shown.contains("db.password") && !shown.contains("hunter2"), "{shown}");
    }
}
