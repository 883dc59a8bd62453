//! The value that an empty response has for a type: an empty list, map or text, `None`, `false`.

use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor, value::Error};
use vernal_commons::BoxError;

/// The empty value of `T`.
///
/// # Errors
///
/// If `T` has none: numbers, structs, enums.
pub(crate) fn value<T: DeserializeOwned>() -> Result<T, BoxError> {
    Ok(T::deserialize(Empty)?)
}

/// Feign's list of types with an empty value (feign-core 13.6 `Util.emptyValueOf`), asked for by serde's methods.
struct Empty;

fn none<T>(expected: &str) -> Result<T, Error> {
    Err(Error::custom(format_args!("response is empty, but {expected} was expected")))
}

macro_rules! nothing {
    ($($method:ident: $expected:literal,)*) => { $(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            none($expected)
        }
    )* };
}

impl<'de> Deserializer<'de> for Empty {
    type Error = Error;

    nothing! {
        deserialize_i8: "a number",
        deserialize_i16: "a number",
        deserialize_i32: "a number",
        deserialize_i64: "a number",
        deserialize_i128: "a number",
        deserialize_u8: "a number",
        deserialize_u16: "a number",
        deserialize_u32: "a number",
        deserialize_u64: "a number",
        deserialize_u128: "a number",
        deserialize_f32: "a number",
        deserialize_f64: "a number",
        deserialize_char: "a character",
        deserialize_identifier: "a name",
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(false)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str("")
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str("")
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bytes(&[])
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bytes(&[])
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_none()
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(serde::de::value::SeqDeserializer::<_, Error>::new(std::iter::empty::<()>()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        none("a tuple")
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, _: V) -> Result<V::Value, Error> {
        none("a tuple")
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(serde::de::value::MapDeserializer::<_, Error>::new(std::iter::empty::<((), ())>()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        none(&format!("`{name}`"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        none(&format!("`{name}`"))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn collections_texts_options_and_flags_have_an_empty_value() {
        assert!(value::<Vec<u32>>().unwrap().is_empty());
        assert_eq!(value::<HashMap<String, u32>>().unwrap(), HashMap::new());
        assert_eq!(value::<Option<u32>>().unwrap(), None);
        assert_eq!(value::<String>().unwrap(), "");
        assert!(!value::<bool>().unwrap());
        assert_eq!(value::<serde_json::Value>().unwrap(), serde_json::Value::Null);
        let error = value::<u64>().unwrap_err().to_string();
        assert_eq!(error, "response is empty, but a number was expected");
    }
}
