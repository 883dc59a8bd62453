//! Maps, whose entries are what lies below a name.

use std::collections::{BTreeSet, VecDeque};

use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};

use super::failure::{Failure, Place};
use super::variant::Unit;
use super::{Flat, MAX_ELEMENTS, Node, scalar};
use crate::layers::Below;
use crate::name::Name;
use crate::value::Value;

/// The entries of a map.
pub(super) struct Entries<'a> {
    node: Node<'a>,
    queue: VecDeque<Entry>,
    value: Option<Entry>,
}

#[derive(Clone)]
struct Entry {
    key: String,
    name: Name,
    /// Whether this is one property with a dotted key, not the first element of several.
    leaf: bool,
}

impl<'a> Entries<'a> {
    pub(super) fn new(node: Node<'a>) -> Result<Self, Failure> {
        let mut queue = VecDeque::new();
        let mut seen = BTreeSet::new();
        for Below { name, at, .. } in node.layers().below(&node.name, node.only) {
            let Some(canonical) = name.canonical_element(at) else { continue };
            if seen.insert(canonical) {
                let child = node.name.extended(name, at, at + 1);
                queue.push_back(Entry { key: name.map_key(at, at + 1), name: child, leaf: false });
            }
            if queue.len() > MAX_ELEMENTS {
                let reason = format!("the map has more than {MAX_ELEMENTS} entries");
                return Err(Failure::at(Place::name(&node.name), reason));
            }
        }
        Ok(Self { node, queue, value: None })
    }

    /// Adds what lies below an entry of scalars as entries with dotted keys.
    fn flatten(&mut self, entry: &Entry, skip_first: bool) {
        let mut seen = BTreeSet::new();
        let below = self.node.layers().below(&entry.name, self.node.only);
        let leaves = below.filter(|below| seen.insert(below.name.canonical())).skip(usize::from(skip_first));
        let leaves: Vec<_> =
            leaves.map(|below| Entry { key: Self::leaf_key(&below), name: below.name.clone(), leaf: true }).collect();
        for leaf in leaves.into_iter().rev() {
            self.queue.push_front(leaf);
        }
    }

    fn first_leaf_key(&self, entry: &Entry) -> String {
        let first = self.node.layers().below(&entry.name, self.node.only).next();
        first.map_or_else(|| entry.key.clone(), |below| Self::leaf_key(&below))
    }

    /// The dotted key of what lies below an entry, the entry's own element included.
    fn leaf_key(below: &Below<'_>) -> String {
        below.name.map_key(below.at.saturating_sub(1), below.name.len())
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        let Some(entry) = self.queue.pop_front() else { return Ok(None) };
        let key = entry.key.clone();
        self.node.record("key", &key);
        self.value = Some(entry);
        seed.deserialize(Key(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        match self.value.take() {
            Some(entry) => self.node.child(entry.name, false)?.read(seed),
            None => Err(Failure::at(Place::name(&self.node.name), "value asked for before its key".to_owned())),
        }
    }

    /// Reads the value first: only then is it known whether the map is one of scalars, whose keys may have dots.
    fn next_entry_seed<K: DeserializeSeed<'de>, V: DeserializeSeed<'de>>(
        &mut self,
        key_seed: K,
        value_seed: V,
    ) -> Result<Option<(K::Value, V::Value)>, Failure> {
        let Some(entry) = self.queue.pop_front() else { return Ok(None) };
        let before = self.node.context.flat.replace(Flat::No);
        let node = self.node.child(entry.name.clone(), !entry.leaf)?;
        let value = node.read(value_seed);
        let flat = self.node.context.flat.replace(before);
        let value = value?;
        let key = match flat {
            Flat::No => entry.key.clone(),
            Flat::Own => {
                self.flatten(&entry, false);
                entry.key.clone()
            }
            Flat::Below => {
                self.flatten(&entry, true);
                self.first_leaf_key(&entry)
            }
        };
        self.node.record("key", &key);
        Ok(Some((key_seed.deserialize(Key(key))?, value)))
    }
}

/// The key of a map, which may be a number or a boolean in Rust.
struct Key(String);

macro_rules! keys {
    ($($method:ident $visit:ident $expected:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            match self.0.parse() {
                Ok(key) => visitor.$visit(key),
                Err(_) => Err(Failure::nowhere(format!("expected a key that is {}, found `{}`", $expected, self.0))),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_string(self.0)
    }

    keys! {
        deserialize_bool visit_bool "a boolean";
        deserialize_i8 visit_i8 "an integer";
        deserialize_i16 visit_i16 "an integer";
        deserialize_i32 visit_i32 "an integer";
        deserialize_i64 visit_i64 "an integer";
        deserialize_u8 visit_u8 "an integer";
        deserialize_u16 visit_u16 "an integer";
        deserialize_u32 visit_u32 "an integer";
        deserialize_u64 visit_u64 "an integer";
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match scalar::variant(&Value::Null, &self.0, variants) {
            Some(variant) => visitor.visit_enum(Unit(variant)),
            None => Err(Failure::nowhere(format!("unknown key `{}`", self.0))),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}
