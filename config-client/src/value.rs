//! Values of properties and where they came from.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use vernal_commons::secret::Secret;

/// A value as a property source holds it, before placeholders are resolved.
///
/// The kind is kept because it is visible on the wire (`1`, `1.0` and `"1"` are three different JSON values) and
/// in the text: numbers print as Java prints them.
///
/// ```
/// use vernal_config_client::value::Value;
///
/// assert_eq!(Value::Float(1e8).as_text().as_deref(), Some("1.0E8"));
/// assert_eq!(Value::from("007").to_json(), r#""007""#);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// JSON `null`: counts as absent in a look-up, which goes on in lower sources.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer that fits 64 bits.
    Integer(i64),
    /// A larger integer: an optional minus sign and decimal digits without leading zeros.
    BigInteger(String),
    /// A double, infinities and NaN included.
    Float(f64),
    /// Text.
    Text(String),
    /// Text that was decrypted: as [`Text`](Self::Text), but never printed.
    Secret(Secret),
}

impl Value {
    /// The number that `text` (decimal digits with an optional sign) stands for, of any size.
    #[must_use]
    pub fn integer(text: &str) -> Option<Self> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = digits.trim_start_matches('0');
        let plain = match (digits, negative) {
            ("", _) => return Some(Self::Integer(0)),
            (digits, true) => format!("-{digits}"),
            (digits, false) => digits.to_owned(),
        };
        Some(plain.parse().map_or(Self::BigInteger(plain), Self::Integer))
    }

    /// The number of a JSON document, given its literal text: an integer of any size stays exact, anything with a
    /// fraction or an exponent becomes a double, as Jackson reads them.
    #[must_use]
    pub fn json_number(text: &str) -> Option<Self> {
        Self::integer(text).or_else(|| text.parse().ok().map(Self::Float))
    }

    /// The text that a Spring client gets for this value; `None` for [`Null`](Self::Null).
    ///
    /// Doubles print as Java's `Double.toString` does, in the shortest form (what JDK 19 and later print).
    #[must_use]
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::BigInteger(text) | Self::Text(text) => Cow::Borrowed(text),
            Self::Float(number) => Cow::Owned(java_double(*number)),
            Self::Secret(text) => Cow::Borrowed(text.expose()),
        })
    }

    /// The text, if this is [`Text`](Self::Text) or [`Secret`](Self::Secret).
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Secret(text) => Some(text.expose()),
            Self::Null | Self::Bool(_) | Self::Integer(_) | Self::BigInteger(_) | Self::Float(_) => None,
        }
    }

    /// Whether this is [`Null`](Self::Null).
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether this is a value that was decrypted.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }

    /// The value as JSON text, byte for byte as the Config Server writes it. A [`Secret`](Self::Secret) is written
    /// in plain.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = String::new();
        self.write_json(&mut json);
        json
    }

    /// Appends what [`to_json`](Self::to_json) returns.
    pub fn write_json(&self, json: &mut String) {
        match self {
            Self::Null => json.push_str("null"),
            // Jackson has no literal for these three and writes them as text.
            Self::Float(number) if !number.is_finite() => write_json_text(&java_double(*number), json),
            Self::Text(text) => write_json_text(text, json),
            Self::Secret(text) => write_json_text(text.expose(), json),
            Self::Bool(_) | Self::Integer(_) | Self::BigInteger(_) | Self::Float(_) => {
                json.push_str(&self.as_text().unwrap_or_default());
            }
        }
    }
}

/// Where a value came from: the property source and the place in it.
///
/// ```
/// use vernal_config_client::value::Origin;
///
/// assert_eq!(Origin::position("application.yml", 3, 9).to_string(), "application.yml:3:9");
/// assert_eq!(Origin::variable("systemEnvironment", "MY_KEY").to_string(), "environment variable `MY_KEY`");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    source: Arc<str>,
    place: Place,
}

/// The place of a value within its property source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// Line and column of the value in a file, both starting at 1. An empty value of a `.properties` file has
    /// column 0, often of the next line, as Spring reports it.
    Position {
        /// Line, from 1.
        line: u32,
        /// Column, from 1.
        column: u32,
    },
    /// What a server said, e.g. `Config server overrides`.
    Label(Arc<str>),
    /// The name of an environment variable.
    Variable(Arc<str>),
    /// Only the source is known.
    Unknown,
}

impl Origin {
    /// A place in a file.
    #[must_use]
    pub fn position(file: impl Into<Arc<str>>, line: u32, column: u32) -> Self {
        Self { source: file.into(), place: Place::Position { line, column } }
    }

    /// What a Config Server said about a value of `source`: `line:column` becomes a position, anything else stays
    /// a label.
    #[must_use]
    pub fn server(source: impl Into<Arc<str>>, label: &str) -> Self {
        let place = match label.split_once(':').map(|(line, column)| (line.parse(), column.parse())) {
            Some((Ok(line), Ok(column))) => Place::Position { line, column },
            _ => Place::Label(label.into()),
        };
        Self { source: source.into(), place }
    }

    /// An environment variable.
    #[must_use]
    pub fn variable(source: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { source: source.into(), place: Place::Variable(name.into()) }
    }

    /// A source that knows no places.
    #[must_use]
    pub fn source_only(source: impl Into<Arc<str>>) -> Self {
        Self { source: source.into(), place: Place::Unknown }
    }

    /// The name of the property source or file.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The place in it.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// The place as the V2 answer of a Config Server has it, `line:column` for files; `None` if nothing is known.
    #[must_use]
    pub fn label(&self) -> Option<String> {
        match &self.place {
            Place::Position { line, column } => Some(format!("{line}:{column}")),
            Place::Label(label) => Some(label.to_string()),
            Place::Variable(name) => Some(name.to_string()),
            Place::Unknown => None,
        }
    }
}

/// Appends `text` as a JSON string in Jackson's spelling: short escapes, upper-case `\u00XX` for other control
/// characters, everything else as it is.
pub fn write_json_text(text: &str, json: &mut String) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            control if u32::from(control) < 0x20 => {
                // Writing to a String cannot fail.
                let _ = write!(json, "\\u{:04X}", u32::from(control));
            }
            other => json.push(other),
        }
    }
    json.push('"');
}

/// `Double.toString`: plain between 10^-3 and 10^7 with at least one decimal, otherwise one digit before the point
/// and an exponent.
fn java_double(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = number.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{number:?}");
    }
    let shortest = format!("{number:e}");
    match shortest.split_once('e') {
        Some((digits, exponent)) if digits.contains('.') => format!("{digits}E{exponent}"),
        // Two digits at least, the nearest ones: 4.9E-324 and not 5.0E-324.
        _ => format!("{number:.1e}").replace('e', "E"),
    }
}

// ===== impl Value =====

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Secret> for Value {
    fn from(text: Secret) -> Self {
        Self::Secret(text)
    }
}

// ===== impl Origin =====

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Position { line, column } => write!(f, "{}:{line}:{column}", self.source),
            Place::Label(label) => write!(f, "{} ({label})", self.source),
            Place::Variable(name) => write!(f, "environment variable `{name}`"),
            Place::Unknown => f.write_str(&self.source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_print_as_java_prints_them() {
        for (number, text) in [
            (10.0, "10.0"),
            (-0.0, "-0.0"),
            (0.001, "0.001"),
            (9e-4, "9.0E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1e-10, "1.0E-10"),
            (123_456_789.123_456_79, "1.2345678912345679E8"),
            (-1.5e300, "-1.5E300"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
            (4.9e-324, "4.9E-324"),
            (1e-323, "9.9E-324"),
            (1e22, "1.0E22"),
        ] {
            assert_eq!(java_double(number), text);
        }
    }

    #[test]
    fn integers_of_any_size_stay_exact() {
        assert_eq!(Value::integer("+007"), Some(Value::Integer(7)));
        assert_eq!(Value::integer("-0"), Some(Value::Integer(0)));
        assert_eq!(Value::integer("-9223372036854775808"), Some(Value::Integer(i64::MIN)));
        assert_eq!(Value::integer("9223372036854775808"), Some(Value::BigInteger("9223372036854775808".into())));
        for text in ["", "-", "+", "1.0", "1e3", "0x1", "١"] {
            assert_eq!(Value::integer(text), None, "{text}");
        }
    }

    #[test]
    fn json_numbers_keep_their_kind() {
        assert_eq!(Value::json_number("1e8").map(|v| v.to_json()).as_deref(), Some("1.0E8"));
        assert_eq!(
            Value::json_number("12345678901234567890").map(|v| v.to_json()).as_deref(),
            Some("12345678901234567890")
        );
        assert_eq!(Value::json_number("-0.0").map(|v| v.to_json()).as_deref(), Some("-0.0"));
    }

    #[test]
    fn text_is_escaped_as_jackson_escapes_it() {
        assert_eq!(
            Value::from("a\"\\\n\r\t\u{8}\u{c}\u{1f}\u{7f}/é").to_json(),
            "\"a\\\"\\\\\\n\\r\\t\\b\\f\\u001F\u{7f}/é\""
        );
        assert_eq!(Value::Float(f64::INFINITY).to_json(), "\"Infinity\"");
        assert_eq!(Value::Null.to_json(), "null");
    }

    #[test]
    fn a_decrypted_value_is_not_printed() {
        assert_eq!(format!("{:?}", Value::Secret("1234".into())), "Secret(***)");
    }

    #[test]
    fn a_server_label_that_is_a_position_becomes_one() {
        assert_eq!(Origin::server("foo.yml", "17:0").place(), &Place::Position { line: 17, column: 0 });
        assert_eq!(Origin::server("o", "Config server overrides").to_string(), "o (Config server overrides)");
        assert_eq!(Origin::server("o", "a:b").label().as_deref(), Some("a:b"));
    }
}
