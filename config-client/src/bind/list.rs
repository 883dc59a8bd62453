//! Lists, which come whole from one source.

use std::collections::VecDeque;

use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};

use super::failure::{Failure, Place};
use super::variant::Unit;
use super::{Node, Scalar, scalar};
use crate::layers::Reading;
use crate::value::Value;

/// The elements of a list.
pub(super) enum Elements<'a> {
    Nodes { node: Node<'a>, next: usize, count: usize },
    Texts { parts: VecDeque<String>, reading: Reading },
    Empty,
}

impl Elements<'_> {
    pub(super) const fn empty() -> Self {
        Self::Empty
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failure> {
        match self {
            Self::Nodes { next, count, .. } if next == count => Ok(None),
            Self::Nodes { node, next, .. } => {
                let element = node.child(node.name.index(*next), false)?;
                *next += 1;
                element.read(seed).map(Some)
            }
            Self::Texts { parts, reading } => match parts.pop_front() {
                Some(text) => {
                    let reading = Reading { value: Value::Text(text), ..reading.clone() };
                    let (place, secret) = (Place::reading(&reading), reading.secret);
                    seed.deserialize(Part(reading)).map(Some).map_err(|failure| failure.or_at(place, secret))
                }
                None => Ok(None),
            },
            Self::Empty => Ok(None),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(match self {
            Self::Nodes { next, count, .. } => count - next,
            Self::Texts { parts, .. } => parts.len(),
            Self::Empty => 0,
        })
    }
}

/// One part of a comma-separated text: bound like a property of its own.
struct Part(Reading);

impl<'de> Deserializer<'de> for Part {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let text = self.0.value.as_str().unwrap_or_default().to_owned();
        let (place, secret) = (Place::reading(&self.0), self.0.secret);
        visitor.visit_string(text).map_err(|failure: Failure| failure.or_at(place, secret))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let scalar = Scalar::of(self.0);
        let value = scalar::boolean(&scalar.text).ok_or_else(|| scalar.refuse("a boolean"))?;
        scalar.finish(visitor.visit_bool(value))
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let scalar = Scalar::of(self.0);
        let number = scalar::float(&scalar.text).ok_or_else(|| scalar.refuse("a number"))?;
        scalar.finish(visitor.visit_f64(number))
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let scalar = Scalar::of(self.0);
        let number = scalar::integer(&scalar.text).and_then(|number| i64::try_from(number).ok());
        let number = number.ok_or_else(|| scalar.refuse("an integer"))?;
        scalar.finish(visitor.visit_i64(number))
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let scalar = Scalar::of(self.0);
        let number = scalar::integer(&scalar.text).and_then(|number| u64::try_from(number).ok());
        let number = number.ok_or_else(|| scalar.refuse("a non-negative integer"))?;
        scalar.finish(visitor.visit_u64(number))
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let scalar = Scalar::of(self.0);
        let variant = scalar::variant(&Value::Null, &scalar.text, variants)
            .ok_or_else(|| scalar.refuse(&format!("one of {}", variants.join(", "))))?;
        scalar.finish(visitor.visit_enum(Unit(variant)))
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}
