//! What a caller hands to an operation that changes something.

use std::collections::BTreeMap;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::value::RawValue;
use vernal_commons::http::{Body, ReadError};

use super::accept::{MEDIA_TYPES, is_json_dialect};
use super::problem::{Consumes, Problem};

/// Largest body in bytes. A bus event, which carries what was sent, may have 1 MiB.
const LIMIT: usize = 256 * 1024;
/// Time limit to read a body.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The body of a write operation as Spring reads it, a `Map<String, String>`: numbers and booleans as the text that
/// they were written as, no arrays or objects, the last of two with one name (fixtures `bus/endpoints`, `busenv-*`).
#[derive(Debug, Default)]
pub(super) struct Arguments(BTreeMap<String, Option<String>>);

impl Arguments {
    pub(super) async fn read(headers: &HeaderMap, body: Body, consumes: Consumes) -> Result<Self, Problem> {
        let unsupported = || Problem::unsupported(consumes);
        let named = match headers.get(CONTENT_TYPE) {
            Some(value) => Some(essence(value.to_str().map_err(|_| unsupported())?)),
            None => None,
        };
        let taken = match (&named, consumes) {
            (Some(name), Consumes::Document) => MEDIA_TYPES.contains(&name.as_str()),
            (Some(name), Consumes::AnyJson) => name == "application/json" || is_json_dialect(name),
            (None, Consumes::Document) => false,
            (None, Consumes::AnyJson) => true,
        };
        if !taken {
            return Err(unsupported());
        }
        let body = match tokio::time::timeout(TIME_LIMIT, body.read(LIMIT)).await {
            Ok(Ok(body)) => body,
            Ok(Err(ReadError::TooLarge { .. })) => return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE)),
            Ok(Err(_)) => return Err(Problem::new(StatusCode::BAD_REQUEST)),
            Err(_) => return Err(Problem::new(StatusCode::REQUEST_TIMEOUT)),
        };
        match (body.is_empty(), named) {
            (true, _) => Ok(Self::default()),
            (false, None) => Err(unsupported()),
            // What is wrong with it is not told: the values may be secrets.
            (false, Some(_)) => Self::parse(&body).ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST)),
        }
    }

    /// An argument that must be there.
    pub(super) fn required(&mut self, name: &str) -> Result<String, Problem> {
        self.0.remove(name).flatten().ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST))
    }

    fn parse(json: &[u8]) -> Option<Self> {
        let pairs: Option<BTreeMap<String, &RawValue>> = serde_json::from_slice(json).ok()?;
        let pairs = pairs.unwrap_or_default().into_iter();
        pairs.map(|(name, value)| Some((name, text(value.get())?))).collect::<Option<_>>().map(Self)
    }
}

/// The text of a scalar, `Some(None)` for null; none for an array or object.
fn text(json: &str) -> Option<Option<String>> {
    match json.as_bytes().first()? {
        b'{' | b'[' => None,
        b'n' => Some(None),
        b'"' => serde_json::from_str(json).ok().map(Some),
        _ => Some(Some(json.to_owned())),
    }
}

/// A media type without its parameters.
fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line was sent to Spring Cloud Bus 5.0.1, as `name` or `value` of `busenv`.
    #[test]
    fn scalars_are_taken_as_they_are_written() {
        for (json, expected) in [
            (r#""x""#, Some(Some("x"))),
            (r#""\u00e4\n""#, Some(Some("ä\n"))),
            (r#""""#, Some(Some(""))),
            ("7", Some(Some("7"))),
            ("7.50", Some(Some("7.50"))),
            ("-0", Some(Some("-0"))),
            ("1e400", Some(Some("1e400"))),
            ("12345678901234567890123", Some(Some("12345678901234567890123"))),
            ("true", Some(Some("true"))),
            ("null", Some(None)),
            (r#"{"x":1}"#, None),
            ("[]", None),
        ] {
            let arguments = Arguments::parse(format!(r#"{{"value":{json}}}"#).as_bytes());
            let value = arguments.map(|arguments| arguments.0["value"].clone());
            assert_eq!(value, expected.map(|value| value.map(str::to_owned)), "{json}");
        }
    }

    #[test]
    fn only_one_object_is_an_argument_list() {
        for json in ["[]", r#""x""#, "{", " ", r#"{"name":"x"} x"#, r#"{name:"x"}"#, "\u{feff}{}", "7"] {
            assert!(Arguments::parse(json.as_bytes()).is_none(), "{json}");
        }
        assert!(Arguments::parse(b"\"\xff\"").is_none());
        assert!(Arguments::parse(b"null").is_some_and(|arguments| arguments.0.is_empty()));
        let mut twice = Arguments::parse(br#"{"name":"x","value":"x","name":"y"}"#).unwrap();
        assert_eq!(twice.required("name").unwrap(), "y");
    }

    #[test]
    fn deep_nesting_is_refused_and_overflows_no_stack() {
        let deep = format!(r#"{{"value":{}"#, "[".repeat(LIMIT));
        assert!(Arguments::parse(deep.as_bytes()).is_none());
    }
}
