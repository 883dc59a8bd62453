//! The values of the recordings: tagged JSON.

use serde_json::Value;

/// Without tags: `{"$enum": "OPEN"}` is `"OPEN"`, an absent optional is `null`, a struct is its fields.
pub(crate) fn plain(value: &Value) -> Value {
    match value {
        Value::Object(fields) if fields.contains_key("$struct") => plain(&fields["value"]),
        Value::Object(fields) if fields.len() == 1 => match fields.iter().next() {
            Some((tag, _)) if tag == "$none" => Value::Null,
            Some((tag, inner)) if tag.starts_with('$') => plain(inner),
            _ => Value::Object(fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect()),
        },
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        other => other.clone(),
    }
}

/// The texts of a single value or a list; `None` for what is absent.
pub(crate) fn texts(value: &Value) -> Vec<Option<String>> {
    match value {
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Null => vec![None],
        other => vec![Some(text(other))],
    }
}

/// How a single value prints in Rust.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => float.to_string(),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// Decodes base64.
pub(crate) fn base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

/// Encodes base64.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
