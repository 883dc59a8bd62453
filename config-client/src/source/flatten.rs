//! Nodes to flat properties, as `YamlProcessor` of spring-beans flattens maps.

use indexmap::IndexMap;

use super::node::{Content, Key, KeyKind, MAX_ALIAS_DEPTH, Node, Nodes};
use super::scalar::Scalar;
use super::text::Position;
use super::yaml::{MAX_EXPANDED, MAX_NODES};
use super::{LoadError, Property, PropertySource};
use crate::value::Value;

/// Flattens the documents of a file and counts what they expand to.
#[derive(Default)]
pub(super) struct Flattener {
    visited: usize,
    bytes: usize,
}

impl Flattener {
    /// Flattens a document; `None` if Spring skips it.
    pub(super) fn document(&mut self, nodes: &Nodes, root: usize) -> Result<Option<PropertySource>, LoadError> {
        let mut source = PropertySource::new(nodes.file().clone());
        match &nodes.get(root).content {
            Content::Scalar(Scalar::Value(value)) if value.is_null() || value.as_str() == Some("") => {
                return Ok(None);
            }
            Content::Sequence(items) if items.is_empty() => return Ok(None),
            Content::Mapping(entries) => self.flatten_map(nodes, entries, Place::at(""), &mut source)?,
            _ => self.flatten(nodes, root, Place::at("document"), &mut source)?,
        }
        Ok(Some(source))
    }

    fn flatten_map(
        &mut self,
        nodes: &Nodes,
        entries: &IndexMap<Key, usize>,
        place: Place<'_>,
        source: &mut PropertySource,
    ) -> Result<(), LoadError> {
        for (key, value) in entries {
            let key = match key.kind {
                KeyKind::Text => key.text.to_string(),
                // Java casts the keys of a map in a list to text, which only text survives.
                _ if place.in_list => {
                    return Err(nodes.syntax_at(nodes.get(*value).position, "a key of a map in a list must be text"));
                }
                _ => format!("[{}]", key.text),
            };
            self.flatten(nodes, *value, place.below(&join(place.path, &key)), source)?;
        }
        Ok(())
    }

    fn flatten(
        &mut self,
        nodes: &Nodes,
        node: usize,
        place: Place<'_>,
        source: &mut PropertySource,
    ) -> Result<(), LoadError> {
        let Node { content, position } = nodes.get(node);
        let path = place.path;
        self.visited += 1;
        if self.visited > MAX_NODES {
            return Err(nodes.too_large(MAX_NODES, "nodes after expanding aliases"));
        }
        if place.depth > MAX_ALIAS_DEPTH {
            return Err(nodes.too_deep(*position));
        }
        // Every path that is built counts, also of what leaves no property.
        self.expand(nodes, path.len())?;
        match content {
            Content::Scalar(Scalar::Merge) => return Err(nodes.syntax_at(*position, "`<<` is not a value")),
            Content::Scalar(Scalar::Value(value)) => {
                let value = if value.is_null() { Value::from("") } else { value.clone() };
                self.put(nodes, source, path, value, Some(*position))?;
            }
            Content::Sequence(items) if items.is_empty() => {
                self.put(nodes, source, path, "".into(), Some(*position))?
            }
            Content::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    let path = join(path, &format!("[{index}]"));
                    self.flatten(nodes, *item, place.in_list().below(&path), source)?;
                }
            }
            Content::Mapping(entries) => self.flatten_map(nodes, entries, place, source)?,
            // The elements of a set are keys, for which Spring tracks no origin.
            Content::Set(entries) if entries.is_empty() => self.put(nodes, source, path, "".into(), None)?,
            Content::Set(entries) => {
                for (index, key) in entries.keys().enumerate() {
                    let value = match key.kind {
                        KeyKind::Bool => Value::Bool(&*key.text == "true"),
                        KeyKind::Integer => Value::integer(&key.text).unwrap_or_else(|| (&*key.text).into()),
                        KeyKind::Float => Value::json_number(&key.text).unwrap_or_else(|| (&*key.text).into()),
                        KeyKind::Text | KeyKind::Collection => (&*key.text).into(),
                    };
                    self.put(nodes, source, &join(path, &format!("[{index}]")), value, None)?;
                }
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        nodes: &Nodes,
        source: &mut PropertySource,
        key: &str,
        value: Value,
        position: Option<Position>,
    ) -> Result<(), LoadError> {
        self.expand(nodes, key.len() + value.as_str().map_or(8, str::len))?;
        let origin = position.map(|position| nodes.origin(position));
        source.insert(key, Property::new(value, origin));
        Ok(())
    }

    fn expand(&mut self, nodes: &Nodes, bytes: usize) -> Result<(), LoadError> {
        self.bytes += bytes;
        if self.bytes > MAX_EXPANDED {
            return Err(nodes.too_large(MAX_EXPANDED, "bytes after expanding aliases"));
        }
        Ok(())
    }
}

/// Where a node stands in its document.
#[derive(Clone, Copy)]
struct Place<'a> {
    path: &'a str,
    in_list: bool,
    depth: usize,
}

impl<'a> Place<'a> {
    fn at(path: &'a str) -> Self {
        Self { path, in_list: false, depth: 0 }
    }

    fn in_list(self) -> Self {
        Self { in_list: true, ..self }
    }

    fn below<'b>(self, path: &'b str) -> Place<'b> {
        Place { path, in_list: self.in_list, depth: self.depth + 1 }
    }
}

/// `YamlProcessor.buildFlattenedMap`: a key that begins with a bracket follows without a dot; a blank path counts as
/// none.
fn join(path: &str, key: &str) -> String {
    if path.trim().is_empty() {
        key.to_owned()
    } else if key.starts_with('[') {
        format!("{path}{key}")
    } else {
        format!("{path}.{key}")
    }
}
