//! Events from JSON, in two steps: the envelope, which decides whether the rest is read at all.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use vernal_commons::BoxError;

use super::{Ack, Event, Kind, Malformed, Target, Values};

/// Deepest nesting of the JSON.
const MAX_DEPTH: usize = 128;
/// Longest `id`, `ackId`, `originService` that is kept, in bytes; a longer one counts as absent.
const MAX_NAME: usize = 1024;
/// Longest `destinationService`, in bytes.
const MAX_PATTERN: usize = 4096;

/// The fields of an event, borrowed from the body and checked no further than they are needed.
#[derive(Default)]
pub(crate) struct Envelope<'a> {
    type_name: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    origin: Option<&'a RawValue>,
    destination: Option<&'a RawValue>,
    timestamp: Option<&'a RawValue>,
    values: Option<&'a RawValue>,
    ack_id: Option<&'a RawValue>,
    ack_destination: Option<&'a RawValue>,
    event: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(body).map_err(|error| malformed("not UTF-8", error))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if depth(text.as_bytes()) > MAX_DEPTH {
            return Err(Malformed { reason: "nested too deep", source: None });
        }
        serde_json::from_str(text).map_err(|error| malformed("not a JSON object", place(&error)))
    }

    /// The `type`, if it is a text.
    pub(crate) fn type_name(&self) -> Option<Cow<'a, str>> {
        string(self.type_name?)
    }

    /// The `id`; a number is taken as the text it is written as.
    pub(crate) fn id(&self) -> Option<Cow<'a, str>> {
        name(self.id?)
    }

    /// The `originService`.
    pub(crate) fn origin(&self) -> Option<Cow<'a, str>> {
        name(self.origin?)
    }

    /// The `destinationService`.
    pub(crate) fn destination(&self) -> Result<Target, Malformed> {
        let Some(raw) = self.destination else { return Ok(Target::Absent) };
        if raw.get() == "null" {
            return Ok(Target::Null);
        }
        match string(raw) {
            Some(text) if text.len() <= MAX_PATTERN => Ok(Target::Pattern(text.into_owned())),
            Some(_) => Err(Malformed { reason: "`destinationService` is too long", source: None }),
            None => Err(Malformed { reason: "`destinationService` is not a text", source: None }),
        }
    }

    pub(crate) fn ack(&self) -> Ack {
        let field = |raw: Option<&'a RawValue>| raw.and_then(name).map(Cow::into_owned);
        Ack {
            node: self.origin().map(Cow::into_owned),
            event_id: field(self.ack_id),
            event_destination: self
                .ack_destination
                .and_then(string)
                .filter(|text| text.len() <= MAX_PATTERN)
                .map(Cow::into_owned),
            event_class: field(self.event),
        }
    }

    /// Reads the rest.
    pub(crate) fn open(self) -> Result<Event, Malformed> {
        let name = self.type_name();
        let kind = match name.as_deref() {
            Some("RefreshRemoteApplicationEvent") => Kind::Refresh,
            Some("EnvironmentChangeRemoteApplicationEvent") => Kind::EnvironmentChange(self.values()?),
            Some("AckRemoteApplicationEvent") => Kind::Ack(self.ack()),
            Some("ShutdownRemoteApplicationEvent") => Kind::Shutdown,
            _ => Kind::Unknown(name.map(Cow::into_owned)),
        };
        Ok(Event {
            id: self.id().map(Cow::into_owned),
            origin: self.origin().map(Cow::into_owned),
            destination: self.destination()?,
            timestamp: self.timestamp.and_then(|raw| raw.get().parse().ok()),
            kind,
        })
    }

    fn values(&self) -> Result<Values, Malformed> {
        let raw = self.values.filter(|raw| raw.get() != "null");
        let Some(raw) = raw else { return Ok(Values::default()) };
        serde_json::from_str(raw.get()).map_err(|error| malformed("`values` is not an object", place(&error)))
    }
}

fn malformed(reason: &'static str, error: impl Into<BoxError>) -> Malformed {
    Malformed { reason, source: Some(error.into()) }
}

/// What serde_json says may quote a value, and the values of an env-change event may be secrets.
fn place(error: &serde_json::Error) -> String {
    format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column()).to_lowercase()
}

fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let quoted = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if quoted.contains('\\') {
        serde_json::from_str(raw.get()).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(quoted))
    }
}

/// A text, or the text of a number or boolean.
fn scalar(raw: &RawValue) -> Option<Cow<'_, str>> {
    match raw.get().as_bytes().first()? {
        b'"' => string(raw),
        b'{' | b'[' | b'n' => None,
        _ => Some(Cow::Borrowed(raw.get())),
    }
}

fn name(raw: &RawValue) -> Option<Cow<'_, str>> {
    scalar(raw).filter(|text| text.len() <= MAX_NAME)
}

/// The deepest nesting of arrays and objects. serde_json does not limit the depth of values that it skips.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Envelope<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            // A name that comes twice has its last value, as with Jackson.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope<'de>, A::Error> {
                let mut envelope = Envelope::default();
                while let Some(key) = map.next_key::<Key>()? {
                    let field = match key.0.as_ref() {
                        "type" => &mut envelope.type_name,
                        "id" => &mut envelope.id,
                        "originService" | "origin_service" => &mut envelope.origin,
                        "destinationService" | "destination_service" => &mut envelope.destination,
                        "timestamp" => &mut envelope.timestamp,
                        "values" => &mut envelope.values,
                        "ackId" | "ack_id" => &mut envelope.ack_id,
                        "ackDestinationService" | "ack_destination_service" => &mut envelope.ack_destination,
                        "event" => &mut envelope.event,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    *field = Some(map.next_value()?);
                }
                Ok(envelope)
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// The name of a field, borrowed if it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Values;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
                let mut values = Values::default();
                let mut places: HashMap<String, usize> = HashMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    let Some(value) = scalar(map.next_value::<&RawValue>()?).map(Cow::into_owned) else {
                        values.skipped.push(name);
                        continue;
                    };
                    match places.get(&name) {
                        Some(place) => values.pairs[*place].1 = value,
                        None => {
                            places.insert(name.clone(), values.pairs.len());
                            values.pairs.push((name, value));
                        }
                    }
                }
                Ok(values)
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(body: &str) -> Option<Kind> {
        Event::decode(body.as_bytes()).ok().map(|event| event.kind)
    }

    #[test]
    fn bodies_that_are_no_event_are_malformed() {
        let deep = format!(r#"{{"type":"RefreshRemoteApplicationEvent","x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        let bodies = [
            "",
            "nonsense",
            "[]",
            "\"x\"",
            "null",
            "{",
            "{}x",
            "/* */{}",
            r#"{"destinationService":5}"#,
            r#"{"type":"EnvironmentChangeRemoteApplicationEvent","values":[]}"#,
            r#"{"type":"EnvironmentChangeRemoteApplicationEvent","values":"x"}"#,
            &deep,
        ];
        for body in bodies {
            assert!(Event::decode(body.as_bytes()).is_err(), "{body}");
        }
        assert!(Event::decode(b"{\"extra\":\"\xff\xfe\"}").is_err());
    }

    #[test]
    fn unknown_types_are_no_error() {
        assert_eq!(kind(r#"{"type":"Foo"}"#), Some(Kind::Unknown(Some("Foo".to_owned()))));
        for body in ["{}", r#"{"type":null}"#, r#"{"type":7}"#, " {} \n", "\u{feff}{}"] {
            assert_eq!(kind(body), Some(Kind::Unknown(None)), "{body}");
        }
    }

    #[test]
    fn values_keep_the_text_of_numbers_and_skip_what_is_no_scalar() {
        let body = r#"{"values":{"i":7,"f":1.50,"b":true,"n":null,"o":{"a":1},"s":"x\n","i":8},
            "type":"EnvironmentChangeRemoteApplicationEvent"}"#;
        let Some(Kind::EnvironmentChange(values)) = kind(body) else { panic!("not an env change") };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(values.pairs, [pair("i", "8"), pair("f", "1.50"), pair("b", "true"), pair("s", "x\n")]);
        assert_eq!(values.skipped, ["n", "o"]);
    }

    #[test]
    fn overlong_id_counts_as_absent() {
        let body = format!(r#"{{"id":"{}","originService":null}}"#, "x".repeat(2000));
        let event = Event::decode(body.as_bytes()).unwrap();
        assert_eq!((event.id, event.origin), (None, None));
    }
}
