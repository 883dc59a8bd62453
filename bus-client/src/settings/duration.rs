//! Durations as Spring Boot writes them: `500`, `500ms`, `2s`, `PT2S`.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

/// Milliseconds unless there is a unit.
pub(super) fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(Text { unit: Duration::from_millis(1) })
}

/// Milliseconds unless there is a unit; blank is none.
pub(super) fn optional_millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    optional(deserializer, Duration::from_millis(1))
}

/// Seconds unless there is a unit; blank is none.
pub(super) fn optional_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    optional(deserializer, Duration::from_secs(1))
}

fn optional<'de, D: Deserializer<'de>>(deserializer: D, unit: Duration) -> Result<Option<Duration>, D::Error> {
    let Some(text) = Option::<Scalar>::deserialize(deserializer)? else { return Ok(None) };
    if text.0.trim().is_empty() {
        return Ok(None);
    }
    parse(&text.0, unit).map(Some).ok_or_else(|| D::Error::custom(Expected))
}

/// A duration in the words of Spring Boot's `DurationStyle`, or a number of `unit`s.
fn parse(text: &str, unit: Duration) -> Option<Duration> {
    let text = text.trim().trim_start_matches('+');
    if let Some(iso) = text.strip_prefix(['P', 'p']) {
        return iso_8601(iso);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let count: u64 = text[..digits].parse().ok()?;
    let nanos: u64 = match text[digits..].to_ascii_lowercase().as_str() {
        "" => return unit.checked_mul(count.try_into().ok()?),
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return None,
    };
    Some(Duration::from_nanos(count.checked_mul(nanos)?))
}

/// `1DT2H3M4.5S`, what stands behind the `P`.
fn iso_8601(text: &str) -> Option<Duration> {
    let (mut total, mut number, mut in_time) = (0.0, String::new(), false);
    for c in text.chars() {
        let seconds = match c.to_ascii_uppercase() {
            'T' if number.is_empty() => {
                in_time = true;
                continue;
            }
            'D' if !in_time => 86_400.0,
            'H' if in_time => 3_600.0,
            'M' if in_time => 60.0,
            'S' if in_time => 1.0,
            c if c.is_ascii_digit() || c == '.' => {
                number.push(c);
                continue;
            }
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        number.clear();
    }
    if text.is_empty() || !number.is_empty() { None } else { Duration::try_from_secs_f64(total).ok() }
}

struct Text {
    unit: Duration,
}

struct Expected;

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a duration such as `500`, `500ms`, `2s` or `PT2S`")
    }
}

impl Visitor<'_> for Text {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as `500`, `500ms`, `2s` or `PT2S`")
    }

    fn visit_u64<E: Error>(self, count: u64) -> Result<Duration, E> {
        self.visit_str(&count.to_string())
    }

    fn visit_i64<E: Error>(self, count: i64) -> Result<Duration, E> {
        self.visit_str(&count.to_string())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        parse(text, self.unit).ok_or_else(|| E::custom(Expected))
    }
}

/// A text or a number, as text.
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl Visitor<'_> for Any {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration")
            }

            fn visit_u64<E>(self, count: u64) -> Result<Scalar, E> {
                Ok(Scalar(count.to_string()))
            }

            fn visit_i64<E>(self, count: i64) -> Result<Scalar, E> {
                Ok(Scalar(count.to_string()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.to_owned()))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_spring_reads_them() {
        let millis = |text| parse(text, Duration::from_millis(1)).map(|duration| duration.as_millis());
        let cases = [
            ("500", Some(500)),
            ("500ms", Some(500)),
            ("2s", Some(2000)),
            ("2 s", None),
            ("1m", Some(60_000)),
            ("PT2S", Some(2000)),
            ("pt1m0.5s", Some(60_500)),
            ("P1DT1H", Some(90_000_000)),
            ("2 weeks", None),
            ("-1", None),
            ("", None),
            ("P", None),
            ("PT5", None),
            ("99999999999999999999", None),
            ("999999999999999999d", None),
        ];
        for (text, expected) in cases {
            assert_eq!(millis(text), expected, "{text}");
        }
    }
}
