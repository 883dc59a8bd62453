//! Texts into scalars by Spring's rules (config.md 4.7, recorded in `resolve/names-and-binding`).

use crate::value::Value;

/// `true`, `on`, `yes`, `1` and `false`, `off`, `no`, `0` in any case.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "1" => Some(true),
        "false" | "off" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// Decimal, or hexadecimal after `0x`, `0X` or `#`, with a sign; blanks anywhere are dropped.
pub(crate) fn integer(text: &str) -> Option<i128> {
    let text: String = text.chars().filter(|character| !character.is_whitespace()).collect();
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text.as_str()),
    };
    let hexadecimal = ["0x", "0X", "#"].iter().find_map(|prefix| digits.strip_prefix(prefix));
    let (digits, radix) = hexadecimal.map_or((digits, 10), |digits| (digits, 16));
    // `from_str_radix` takes a sign of its own, which would be a second one.
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let number = i128::from_str_radix(digits, radix).ok()?;
    Some(if negative { -number } else { number })
}

/// A double, blanks around it dropped.
pub(crate) fn float(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}

/// The variant that `text` names: exactly, or by letters and digits without case. `on` and `off`, which YAML turns
/// into booleans, name the variants `true`/`on` and `false`/`off`.
pub(crate) fn variant(value: &Value, text: &str, variants: &[&'static str]) -> Option<&'static str> {
    let uniform =
        |text: &str| -> String { text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect() };
    let named = |text: &str| {
        let exact = variants.iter().find(|variant| **variant == text);
        exact.or_else(|| variants.iter().find(|variant| uniform(variant) == uniform(text))).copied()
    };
    let switched = match value {
        Value::Bool(true) => named("on"),
        Value::Bool(false) => named("off"),
        _ => None,
    };
    named(text.trim()).or(switched)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_read_as_spring_reads_them() {
        for (text, expected) in
            [("on", Some(true)), (" YES ", Some(true)), ("0", Some(false)), ("2", None), ("t", None), ("", None)]
        {
            assert_eq!(boolean(text), expected, "{text}");
        }
    }

    #[test]
    fn integers_are_read_as_spring_reads_them() {
        for (text, expected) in [
            ("0x1F", Some(31)),
            ("#1f", Some(31)),
            ("-0X10", Some(-16)),
            (" 4 2 ", Some(42)),
            ("+5", Some(5)),
            ("010", Some(10)),
            ("1.0", None),
            ("1_000", None),
            ("--1", None),
            ("0x-1", None),
            ("", None),
        ] {
            assert_eq!(integer(text), expected, "{text}");
        }
    }

    #[test]
    fn variants_are_compared_by_letters_and_digits() {
        let variants = &["SOME_VALUE", "on"];
        assert_eq!(variant(&Value::Null, "some-value", variants), Some("SOME_VALUE"));
        assert_eq!(variant(&Value::Bool(true), "true", variants), Some("on"));
        assert_eq!(variant(&Value::Null, "other", variants), None);
    }
}
