//! From a struct, map or list of pairs to query pairs and headers.

use serde::Serialize;
use serde_json::Value;

use crate::argument::Arguments;
use crate::error::Error;

/// Writes `value` as the pairs of `parameter`: fields in order, `None` dropped, lists repeated, nested structs as
/// `a.b`, lists of structs as `items[0].id` (the names that Spring's data binder reads).
///
/// # Errors
///
/// If `value` is neither a struct, a map nor a list of pairs.
pub(crate) fn write(arguments: &mut Arguments, parameter: u16, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
    let failed = |error| Error::encode("map of query pairs or headers could not be read", error);
    match serde_json::to_value(value).map_err(failed)? {
        Value::Null => {}
        Value::Object(fields) => fields.iter().for_each(|(name, value)| pair(arguments, parameter, name, value)),
        Value::Array(items) => {
            for item in &items {
                match item.as_array().map(Vec::as_slice) {
                    Some([Value::String(name), value]) => pair(arguments, parameter, name, value),
                    _ => return Err(no_pairs()),
                }
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => return Err(no_pairs()),
    }
    Ok(())
}

fn no_pairs() -> Error {
    Error::encode("a map argument must be a struct, a map or a list of pairs", "it is another kind of value")
}

fn pair(arguments: &mut Arguments, parameter: u16, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::Bool(value) => arguments.pair(parameter, name, value),
        Value::Number(value) => arguments.pair(parameter, name, value),
        Value::String(value) => arguments.pair(parameter, name, value),
        Value::Array(items) => {
            for (position, item) in items.iter().enumerate() {
                match item {
                    Value::Array(_) | Value::Object(_) => {
                        pair(arguments, parameter, &format!("{name}[{position}]"), item);
                    }
                    _ => pair(arguments, parameter, name, item),
                }
            }
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(field, value)| pair(arguments, parameter, &format!("{name}.{field}"), value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nested_values_become_the_names_of_springs_data_binder() {
        let mut arguments = Arguments::default();
        let value = json!({"name": "n v", "nul": null, "tags": ["a", "b"], "a": {"b": 1}, "items": [{"id": 1}]});
        write(&mut arguments, 0, &value).unwrap();
        let texts: Vec<_> = arguments.texts(0).map(|piece| piece.text).collect();
        assert_eq!(texts, ["name", "n v", "tags", "a", "tags", "b", "a.b", "1", "items[0].id", "1"]);
        assert!(write(&mut arguments, 0, &5).is_err());
        write(&mut arguments, 1, &[("k", Some(1)), ("l", None)]).unwrap();
        assert_eq!(arguments.texts(1).map(|piece| piece.text).collect::<Vec<_>>(), ["k", "1"]);
    }
}
