//! The nodes of a YAML document: scalars, lists and maps whose keys are resolved and merged.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;

use super::LoadError;
use super::scalar::Scalar;
use super::text::Position;
use super::yaml::MAX_NODES;
use crate::value::{Origin, Value};

/// The finished nodes of a document.
pub(super) struct Nodes {
    file: Arc<str>,
    nodes: Vec<Node>,
    /// Entries that came from merged maps, in the whole file.
    merged: usize,
}

/// A node of a document; others are named by their index.
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) position: Position,
}

pub(super) enum Content {
    Scalar(Scalar),
    Sequence(Vec<usize>),
    Mapping(IndexMap<Key, usize>),
    /// `!!set`: the keys alone.
    Set(IndexMap<Key, usize>),
}

/// A resolved key. Equality is that of the Java objects: `1` and `0x1` are one key, `1` and `"1"` are two.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) text: Rc<str>,
    pub(super) kind: KeyKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum KeyKind {
    Text,
    Bool,
    Integer,
    Float,
    Collection,
}

/// Deepest nesting after aliases are expanded.
pub(super) const MAX_ALIAS_DEPTH: usize = 200;
/// Longest text of a key that is a collection.
const MAX_KEY: usize = 64 << 10;

impl Nodes {
    pub(super) fn new(file: &Arc<str>) -> Self {
        Self { file: file.clone(), nodes: Vec::new(), merged: 0 }
    }

    pub(super) fn add(&mut self, content: Content, position: Position) -> Result<usize, LoadError> {
        if self.nodes.len() >= MAX_NODES {
            return Err(self.too_large(MAX_NODES, "nodes"));
        }
        self.nodes.push(Node { content, position });
        Ok(self.nodes.len() - 1)
    }

    pub(super) fn clear(&mut self) {
        self.nodes.clear();
    }

    pub(super) fn get(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    pub(super) fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// Resolves keys, refuses duplicates and merges `<<`: a merged key takes the place where it is first seen, the
    /// map's own value wins, of several merged maps the first one.
    pub(super) fn mapping(&mut self, entries: &[(usize, usize)]) -> Result<IndexMap<Key, usize>, LoadError> {
        let mut own: HashMap<Key, usize> = HashMap::with_capacity(entries.len());
        let mut merged: IndexMap<Key, usize> = IndexMap::with_capacity(entries.len());
        for (key_node, value) in entries {
            let Some(key) = self.key(*key_node)? else {
                let maps = self.merge_sources(*value)?;
                let count = self.merged + maps.iter().map(|map| map.len() + 1).sum::<usize>();
                if count > MAX_NODES {
                    return Err(self.too_large(MAX_NODES, "merged entries"));
                }
                for (key, value) in maps.into_iter().flatten() {
                    merged.entry(key.clone()).or_insert(*value);
                }
                self.merged = count;
                continue;
            };
            if let Some(first) = own.insert(key.clone(), *key_node) {
                return Err(LoadError::DuplicateKey {
                    origin: self.origin(self.nodes[*key_node].position),
                    key: key.text.to_string(),
                    first_line: self.nodes[first].position.0,
                });
            }
            merged.insert(key, *value);
        }
        Ok(merged)
    }

    fn merge_sources(&self, value: usize) -> Result<Vec<&IndexMap<Key, usize>>, LoadError> {
        let wrong = |node: usize| self.syntax_at(self.nodes[node].position, "`<<` merges a map or a list of maps");
        match &self.nodes[value].content {
            Content::Mapping(map) => Ok(vec![map]),
            Content::Sequence(items) => items
                .iter()
                .map(|item| match &self.nodes[*item].content {
                    Content::Mapping(map) => Ok(map),
                    _ => Err(wrong(*item)),
                })
                .collect(),
            _ => Err(wrong(value)),
        }
    }

    /// A list of maps of one entry each, `!!omap`.
    pub(super) fn ordered_map(&self, items: &[usize], position: Position) -> Result<Content, LoadError> {
        let mut map = IndexMap::with_capacity(items.len());
        for item in items {
            match &self.nodes[*item].content {
                Content::Mapping(entry) if entry.len() == 1 => {
                    map.extend(entry.iter().map(|(key, value)| (key.clone(), *value)));
                }
                _ => return Err(self.syntax_at(position, "`!!omap` holds maps of one entry each")),
            }
        }
        Ok(Content::Mapping(map))
    }

    /// The key that a node stands for; `None` for the merge key.
    fn key(&self, node: usize) -> Result<Option<Key>, LoadError> {
        let (text, kind) = match &self.nodes[node].content {
            Content::Scalar(Scalar::Merge) => return Ok(None),
            Content::Scalar(Scalar::Value(value)) => {
                let kind = match value {
                    Value::Null => return Err(self.syntax_at(self.nodes[node].position, "a key must not be null")),
                    Value::Bool(_) => KeyKind::Bool,
                    Value::Integer(_) | Value::BigInteger(_) => KeyKind::Integer,
                    Value::Float(_) => KeyKind::Float,
                    Value::Text(_) | Value::Secret(_) => KeyKind::Text,
                };
                (value.as_text().unwrap_or_default().into(), kind)
            }
            Content::Sequence(_) | Content::Mapping(_) | Content::Set(_) => {
                let mut text = String::new();
                self.java_text(node, &mut text, 0)?;
                (text.into(), KeyKind::Collection)
            }
        };
        Ok(Some(Key { text, kind }))
    }

    /// What `toString` of the Java object gives: `[a, b]`, `{a=b}`.
    fn java_text(&self, node: usize, text: &mut String, depth: usize) -> Result<(), LoadError> {
        if depth > MAX_ALIAS_DEPTH {
            return Err(self.too_deep(self.nodes[node].position));
        }
        if text.len() > MAX_KEY {
            return Err(self.too_large(MAX_KEY, "bytes in a key"));
        }
        match &self.nodes[node].content {
            Content::Scalar(Scalar::Value(value)) => text.push_str(&value.as_text().unwrap_or_default()),
            Content::Scalar(Scalar::Merge) => {
                return Err(self.syntax_at(self.nodes[node].position, "`<<` is not a value"));
            }
            Content::Sequence(items) => {
                text.push('[');
                for (index, item) in items.iter().enumerate() {
                    text.push_str(if index > 0 { ", " } else { "" });
                    self.java_text(*item, text, depth + 1)?;
                }
                text.push(']');
            }
            Content::Mapping(entries) => {
                text.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    text.push_str(if index > 0 { ", " } else { "" });
                    text.push_str(&key.text);
                    text.push('=');
                    self.java_text(*value, text, depth + 1)?;
                }
                text.push('}');
            }
            Content::Set(entries) => {
                text.push('[');
                text.push_str(&entries.keys().map(|key| &*key.text).collect::<Vec<_>>().join(", "));
                text.push(']');
            }
        }
        Ok(())
    }

    pub(super) fn origin(&self, (line, column): Position) -> Origin {
        Origin::position(self.file.clone(), line, column)
    }

    pub(super) fn syntax_at(&self, position: Position, reason: &str) -> LoadError {
        LoadError::Syntax { origin: self.origin(position), reason: reason.to_owned() }
    }

    pub(super) fn too_deep(&self, position: Position) -> LoadError {
        self.syntax_at(position, &format!("aliases nested deeper than {MAX_ALIAS_DEPTH} levels"))
    }

    pub(super) fn too_large(&self, limit: usize, unit: &'static str) -> LoadError {
        LoadError::TooLarge { file: self.file.to_string(), limit, unit }
    }
}
