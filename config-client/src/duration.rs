//! Durations as Spring writes them, for `#[serde(with = "vernal_config_client::duration")]`.
//!
//! Accepted: a number with one of `ns us ms s m h d` in any case, a bare number of milliseconds, ISO-8601 (`PT30S`,
//! `P1DT2H`). Refused, as by Spring: `1.5s`, `10 s`, `1m30s`. Negative ones do not fit `std::time::Duration`.
//!
//! ```
//! #[derive(serde::Deserialize)]
//! struct Client {
//!     #[serde(with = "vernal_config_client::duration")]
//!     read_timeout: std::time::Duration,
//! }
//!
//! let settings = vernal_config_client::Settings::fixed([("client.read-timeout", "30s")]);
//! let client: Client = settings.bind("client")?;
//! assert_eq!(client.read_timeout.as_secs(), 30);
//! # Ok::<_, vernal_config_client::Error>(())
//! ```

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, Error as _, Visitor};

/// Reads a duration; the error says what is accepted.
///
/// # Errors
///
/// Any other form, and negative durations.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let invalid = |reason| InvalidDuration { text: text.to_owned(), reason };
    let nanos = nanos(text).ok_or_else(|| invalid(hint(text)))?;
    let nanos = u128::try_from(nanos).map_err(|_| invalid("it must not be negative"))?;
    let seconds = u64::try_from(nanos / 1_000_000_000).map_err(|_| invalid("it is too long"))?;
    // A remainder of 10^9 always fits.
    Ok(Duration::new(seconds, u32::try_from(nanos % 1_000_000_000).unwrap_or(0)))
}

/// For `#[serde(deserialize_with)]` and `#[serde(with)]`.
///
/// # Errors
///
/// See [`parse`].
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_string(Text).and_then(|text| parse(&text).map_err(D::Error::custom))
}

/// The same for `Option<Duration>`; combine with `#[serde(default)]`. An empty text counts as absent.
pub mod option {
    use std::time::Duration;

    use serde::de::{Deserializer, Error as _};

    /// For `#[serde(deserialize_with)]` and `#[serde(with)]`.
    ///
    /// # Errors
    ///
    /// See [`parse`](super::parse).
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let text = deserializer.deserialize_string(super::Text)?;
        if text.is_empty() {
            return Ok(None);
        }
        super::parse(&text).map(Some).map_err(D::Error::custom)
    }
}

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a duration such as `30s`, `500ms`, `PT1M` or a number of milliseconds, found `{text}`: {reason}")]
pub struct InvalidDuration {
    text: String,
    reason: &'static str,
}

struct Text;

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as `30s`, `PT30S` or a number of milliseconds")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

/// Nanoseconds, negative ones included, as Boot's `DurationStyle` reads them.
fn nanos(text: &str) -> Option<i128> {
    if text.trim_start_matches(['+', '-']).starts_with(['P', 'p']) {
        return iso(text);
    }
    let digits_end = text
        .bytes()
        .enumerate()
        .find(|(position, byte)| !(byte.is_ascii_digit() || *position == 0 && matches!(byte, b'+' | b'-')));
    let (number, unit) = text.split_at(digits_end.map_or(text.len(), |(position, _)| position));
    let scale: i128 = match unit.to_ascii_lowercase().as_str() {
        "ns" => 1,
        "us" => 1_000,
        "" | "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return None,
    };
    number.parse::<i64>().ok().and_then(|number| i128::from(number).checked_mul(scale))
}

/// `PnDTnHnMn.nS` with signs, as `java.time.Duration.parse`.
fn iso(text: &str) -> Option<i128> {
    let upper = text.to_ascii_uppercase();
    let (sign, body) = match upper.as_bytes().first()? {
        b'-' => (-1, upper.get(2..)?),
        b'+' => (1, upper.get(2..)?),
        _ => (1, upper.get(1..)?),
    };
    let (days, time) = match body.split_once('T') {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None => (body, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    if !days.is_empty() {
        total += i128::from(days.strip_suffix('D')?.parse::<i64>().ok()?) * 86_400_000_000_000;
    }
    let mut rest = time;
    for (unit, scale) in [('H', 3_600_000_000_000_i128), ('M', 60_000_000_000)] {
        if let Some((number, behind)) = rest.split_once(unit) {
            total += i128::from(number.parse::<i64>().ok()?) * scale;
            rest = behind;
        }
    }
    if !rest.is_empty() {
        let seconds = rest.strip_suffix('S')?;
        let (whole, fraction) = seconds.split_once(['.', ',']).unwrap_or((seconds, ""));
        if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let whole_number =
            if matches!(whole, "" | "-" | "+") && !fraction.is_empty() { 0 } else { whole.parse::<i64>().ok()? };
        let nanos: i128 = format!("{fraction:0<9}").parse().ok()?;
        total += i128::from(whole_number) * 1_000_000_000 + if whole.starts_with('-') { -nanos } else { nanos };
    }
    Some(sign * total)
}

fn hint(text: &str) -> &'static str {
    if text.contains(char::is_whitespace) {
        "blanks are not allowed"
    } else if text.contains('.') {
        "fractions are not allowed, write a smaller unit"
    } else {
        "there must be one number and one unit"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_spring_reads_them() {
        for (text, millis) in [
            ("10s", 10_000),
            ("10S", 10_000),
            ("10", 10),
            ("PT1M", 60_000),
            ("pt1m", 60_000),
            ("P1D", 86_400_000),
            ("P1DT1H1M1.5S", 90_061_500),
            ("2h", 7_200_000),
            ("+5ms", 5),
        ] {
            assert_eq!(parse(text).unwrap().as_millis(), millis, "{text}");
        }
    }

    #[test]
    fn other_forms_are_refused_with_a_hint() {
        for text in ["1.5s", "10 s", " 10s", "1m30s", "10w", "P1Y", "PT", "P", "", "-5s", "s", "PT5", "é"] {
            assert!(parse(text).is_err(), "{text}");
        }
        let error = parse("1.5s").unwrap_err().to_string();
        assert!(error.contains("`1.5s`") && error.contains("smaller unit"), "{error}");
    }
}
