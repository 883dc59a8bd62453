//! Settings into Rust types.
//!
//! A serde deserializer that looks properties up while the type asks for them, so that what is read depends on the
//! type, as with Spring's `Binder`: a list comes whole from the highest source that has an element of it (or a
//! comma-separated text), maps and structs are merged from all sources, numbers and texts are interchangeable.

mod failure;
mod list;
mod map;
pub(crate) mod scalar;
mod variant;

use std::cell::Cell;
use std::collections::{BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::marker::PhantomData;

use serde::de::value::StringDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, Visitor};

use crate::error::Error;
use crate::layers::{Below, Found, Layers, Reading};
use crate::name::{Name, looks_secret};
use crate::value::Value;
use failure::{Failure, Place};
use list::Elements;
use map::Entries;
use variant::{Unit, Variant};

/// How deep a type may nest; serde types that contain themselves end here.
const MAX_DEPTH: usize = 64;
/// How many elements a list may have.
const MAX_ELEMENTS: usize = 100_000;

/// Binds what lies at and below `prefix`. Also returns a print of all that the type has read: equal prints mean
/// equal values.
pub(crate) fn bind<T: DeserializeOwned>(layers: &Layers, prefix: &str) -> Result<(T, u64), Error> {
    let context = Context { layers, print: Cell::new(0), flat: Cell::new(Flat::No) };
    let root = Node { context: &context, name: Name::parse(prefix), only: None, depth: 0, in_map: false, root: true };
    match root.read(PhantomData::<T>) {
        Ok(value) => Ok((value, context.print.get())),
        Err(failure) => Err(failure.into_error(layers, prefix)),
    }
}

/// Binds from the one source at `position`.
pub(crate) fn bind_in<T: DeserializeOwned>(layers: &Layers, prefix: &str, position: usize) -> Result<T, Error> {
    let context = Context { layers, print: Cell::new(0), flat: Cell::new(Flat::No) };
    let only = Some(position);
    let root = Node { context: &context, name: Name::parse(prefix), only, depth: 0, in_map: false, root: true };
    root.read(PhantomData::<T>).map_err(|failure| failure.into_error(layers, prefix))
}

struct Context<'a> {
    layers: &'a Layers,
    print: Cell<u64>,
    flat: Cell<Flat>,
}

/// What a scalar learned about the map entry it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flat {
    /// No scalar was read for the entry as such.
    No,
    /// The entry's own value was read.
    Own,
    /// The entry has no value of its own, so the first one below it was read.
    Below,
}

/// A place in the settings from which a type reads.
#[derive(Clone)]
struct Node<'a> {
    context: &'a Context<'a>,
    name: Name,
    /// The one source that elements of a list are read from.
    only: Option<usize>,
    depth: usize,
    /// Whether this is the value of a map, where dotted keys are allowed if the values are scalars.
    in_map: bool,
    root: bool,
}

impl<'a> Node<'a> {
    fn layers(&self) -> &'a Layers {
        self.context.layers
    }

    fn record(&self, what: &str, text: &str) {
        let mut hasher = DefaultHasher::new();
        (self.context.print.get(), self.name.canonical(), what, text).hash(&mut hasher);
        self.context.print.set(hasher.finish());
    }

    fn child(&self, name: Name, in_map: bool) -> Result<Self, Failure> {
        if self.depth >= MAX_DEPTH {
            return Err(Failure::at(Place::name(&self.name), format!("types nest more than {MAX_DEPTH} deep")));
        }
        let (context, only) = (self.context, self.only);
        Ok(Self { context, name, only, depth: self.depth + 1, in_map, root: false })
    }

    fn exists(&self) -> bool {
        self.layers().contains(&self.name, self.only)
    }

    fn reading(&self) -> Result<Option<Reading>, Failure> {
        Ok(self.layers().value(&self.name, self.only)?)
    }

    /// The value of a scalar type. In a map, a value below may stand in for a missing own one: its key is dotted.
    fn scalar(&self, expected: &str) -> Result<Scalar, Failure> {
        let reading = match self.reading()? {
            Some(reading) => {
                if self.in_map {
                    self.context.flat.set(Flat::Own);
                }
                reading
            }
            None if self.in_map => {
                let below = self.layers().below(&self.name, self.only).next();
                let Some(Below { found, .. }) = below else { return Err(self.missing()) };
                self.context.flat.set(Flat::Below);
                self.layers().resolve(found)?
            }
            None if self.exists() => {
                let reason = format!("expected {expected}, found settings below it");
                return Err(Failure::at(Place::name(&self.name), reason));
            }
            None => return Err(self.missing()),
        };
        let text = reading.value.as_text().map(std::borrow::Cow::into_owned).unwrap_or_default();
        self.record("value", &text);
        Ok(Scalar { reading, text })
    }

    /// The place of what a type reads here, and whether a secret is part of it: only asked for when it failed.
    fn place(&self) -> (Place, bool) {
        let secret = |found: &Found<'_>| found.property.value().is_secret() || looks_secret(found.key);
        let below = self.layers().below(&self.name, self.only).any(|below| secret(&below.found));
        match self.reading() {
            Ok(Some(reading)) => (Place::reading(&reading), reading.secret || below),
            _ => (Place::name(&self.name), below),
        }
    }

    /// What a value of `seed` is here. A type's own complaint gets this place, and is hidden if it may quote a secret.
    fn read<'de, S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Failure> {
        seed.deserialize(self.clone()).map_err(|failure| {
            let (place, secret) = self.place();
            failure.or_at(place, secret)
        })
    }

    fn missing(&self) -> Failure {
        Failure::missing(self.name.to_string())
    }

    /// The elements of a list: the nodes of one source, or the parts of a text.
    fn elements(&self) -> Result<Elements<'a>, Failure> {
        let layers = self.layers();
        let positions = match self.only {
            Some(only) => only..only + 1,
            None => 0..layers.layers().len(),
        };
        // The index of each element that a source has, found in one pass over what lies below.
        let mut sources: std::collections::BTreeMap<usize, BTreeSet<usize>> = std::collections::BTreeMap::new();
        for Below { name, at, found } in layers.below(&self.name, self.only) {
            if let Some(index) = name.canonical_element(at).and_then(|text| text.parse().ok()) {
                sources.entry(found.layer).or_default().insert(index);
            }
        }
        for position in positions {
            if let Some(found) = layers.find(&self.name, Some(position)) {
                let reading = layers.resolve(found)?;
                let text = reading.value.as_text().map(std::borrow::Cow::into_owned).unwrap_or_default();
                self.record("list", &text);
                let parts = if text.trim().is_empty() {
                    VecDeque::new()
                } else {
                    text.split(',').map(|part| part.trim().to_owned()).collect()
                };
                return Ok(Elements::Texts { parts, reading });
            }
            let Some(indexes) = sources.get(&position) else { continue };
            // Indexes begin at 0 and leave no gap; Spring fails likewise (fixture `resolve/lists-gap`).
            if let Some((_, gap)) = indexes.iter().enumerate().find(|(expected, index)| *expected != **index) {
                let element = self.name.index(*gap);
                let reason = format!("the list has no element before it: expected `{}`", self.name.index(*gap - 1));
                return Err(Failure::at(Place::name(&element), reason));
            }
            if indexes.len() > MAX_ELEMENTS {
                let reason = format!("the list has more than {MAX_ELEMENTS} elements");
                return Err(Failure::at(Place::name(&self.name), reason));
            }
            self.record("list", &indexes.len().to_string());
            return Ok(Elements::Nodes {
                node: Self { only: Some(position), ..self.clone() },
                next: 0,
                count: indexes.len(),
            });
        }
        Err(self.missing())
    }
}

struct Scalar {
    reading: Reading,
    text: String,
}

impl Scalar {
    fn of(reading: Reading) -> Self {
        let text = reading.value.as_text().map(std::borrow::Cow::into_owned).unwrap_or_default();
        Self { reading, text }
    }

    fn place(&self) -> Place {
        Place::reading(&self.reading)
    }

    fn refuse(&self, expected: &str) -> Failure {
        let found = if self.reading.secret { "***" } else { &self.text };
        Failure::at(self.place(), format!("expected {expected}, found `{found}`"))
    }

    fn finish<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        result.map_err(|failure| failure.or_at(self.place(), self.reading.secret))
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty, $expected:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            let expected = concat!($expected, " (", stringify!($type), ")");
            let scalar = self.scalar(expected)?;
            if scalar.text.trim().is_empty() {
                return Err(self.missing());
            }
            let number = scalar::integer(&scalar.text).and_then(|number| <$type>::try_from(number).ok());
            let number = number.ok_or_else(|| {
                scalar.refuse(&format!("{} from {} to {}", $expected, <$type>::MIN, <$type>::MAX))
            })?;
            scalar.finish(visitor.$visit(number))
        }
    )*};
}

impl<'de> Deserializer<'de> for Node<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        if self.layers().find(&self.name, self.only).is_some() {
            let scalar = self.scalar("a value")?;
            // An untyped map has maps below it, not dotted keys.
            self.context.flat.set(Flat::No);
            let result = match &scalar.reading.value {
                Value::Bool(value) => visitor.visit_bool(*value),
                Value::Integer(number) => visitor.visit_i64(*number),
                Value::Float(number) => visitor.visit_f64(*number),
                _ => visitor.visit_string(scalar.text.clone()),
            };
            return scalar.finish(result);
        }
        let mut below = self.layers().below(&self.name, self.only).peekable();
        let is_list = below.peek().is_some()
            && below
                .all(|below| below.name.canonical_element(below.at).is_some_and(|text| text.parse::<usize>().is_ok()));
        if is_list { self.deserialize_seq(visitor) } else { self.deserialize_map(visitor) }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let scalar = self.scalar("a boolean")?;
        if scalar.text.trim().is_empty() {
            return Err(self.missing());
        }
        let value = scalar::boolean(&scalar.text)
            .ok_or_else(|| scalar.refuse("a boolean (`true`, `on`, `yes`, `1`, `false`, `off`, `no`, `0`)"))?;
        scalar.finish(visitor.visit_bool(value))
    }

    integers! {
        deserialize_i8 visit_i8 i8, "an integer";
        deserialize_i16 visit_i16 i16, "an integer";
        deserialize_i32 visit_i32 i32, "an integer";
        deserialize_i64 visit_i64 i64, "an integer";
        deserialize_i128 visit_i128 i128, "an integer";
        deserialize_u8 visit_u8 u8, "an integer";
        deserialize_u16 visit_u16 u16, "an integer";
        deserialize_u32 visit_u32 u32, "an integer";
        deserialize_u64 visit_u64 u64, "an integer";
        deserialize_u128 visit_u128 u128, "an integer";
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let scalar = self.scalar("a number")?;
        let number = scalar.text.trim().parse().map_err(|_| scalar.refuse("a number"))?;
        scalar.finish(visitor.visit_f32(number))
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let scalar = self.scalar("a number")?;
        let number = scalar::float(&scalar.text).ok_or_else(|| scalar.refuse("a number"))?;
        scalar.finish(visitor.visit_f64(number))
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let scalar = self.scalar("one character")?;
        let mut characters = scalar.text.chars();
        match (characters.next(), characters.next()) {
            (Some(character), None) => scalar.finish(visitor.visit_char(character)),
            _ => Err(scalar.refuse("one character")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let scalar = self.scalar("a text")?;
        scalar.finish(visitor.visit_string(scalar.text.clone()))
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_byte_buf(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let scalar = self.scalar("a text")?;
        scalar.finish(visitor.visit_byte_buf(scalar.text.clone().into_bytes()))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        if self.exists() {
            return visitor.visit_some(self);
        }
        self.record("none", "");
        visitor.visit_none()
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let elements = match self.elements() {
            // The prefix itself may be missing as a whole: an empty list then.
            Err(failure) if self.root && failure.is_missing() => Elements::empty(),
            other => other?,
        };
        visitor.visit_seq(elements)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_map(Entries::new(self)?)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let name = self.name.clone();
        let fields = Fields { node: self, fields: fields.iter(), value: None };
        visitor.visit_map(fields).map_err(|failure| failure.below(&name))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if self.reading()?.is_some() || self.in_map {
            let one_of = || variants.iter().map(|variant| format!("`{variant}`")).collect::<Vec<_>>().join(", ");
            let scalar = self.scalar("a text")?;
            let variant = scalar::variant(&scalar.reading.value, &scalar.text, variants)
                .ok_or_else(|| scalar.refuse(&format!("one of {}", one_of())))?;
            return scalar.finish(visitor.visit_enum(Unit(variant)));
        }
        for variant in variants {
            let node = self.child(self.name.field(variant), false)?;
            if node.exists() {
                self.record("variant", variant);
                return visitor.visit_enum(Variant { variant, node });
            }
        }
        Err(self.missing())
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_string(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }
}

/// The fields of a struct that exist.
struct Fields<'a> {
    node: Node<'a>,
    fields: std::slice::Iter<'static, &'static str>,
    value: Option<Node<'a>>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        for field in self.fields.by_ref() {
            let node = self.node.child(self.node.name.field(field), false)?;
            if node.exists() {
                self.value = Some(node);
                return seed.deserialize(StringDeserializer::new((*field).to_owned())).map(Some);
            }
            node.record("none", "");
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        match self.value.take() {
            Some(node) => node.read(seed),
            None => Err(Failure::at(Place::name(&self.node.name), "value asked for before its key".to_owned())),
        }
    }
}
