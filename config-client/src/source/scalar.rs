//! What a YAML 1.1 scalar means: the implicit types and explicit tags of SnakeYAML 2.5.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::value::Value;

/// The value of a scalar node.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    /// An ordinary value; `Value::Null` for the null type.
    Value(Value),
    /// The merge key `<<`.
    Merge,
}

const CORE: &str = "tag:yaml.org,2002:";

/// Longer plain scalars are text, whatever they look like (SnakeYAML's limits of its implicit resolvers).
const NUMBER_LIMIT: usize = 1024;
const WORD_LIMIT: usize = 10;

/// Resolves a scalar. `plain` says that it was written without quotes and not as a block; `tag` is the full tag, `!`
/// for the non-specific one.
pub(super) fn resolve(text: &str, plain: bool, tag: Option<&str>) -> Result<Scalar, String> {
    let Some(tag) = tag else {
        return if plain { implicit(text) } else { Ok(Scalar::Value(text.into())) };
    };
    if tag == "!" {
        return implicit(text);
    }
    let Some(kind) = tag.strip_prefix(CORE) else {
        return Err(format!("tag `{tag}` is not supported"));
    };
    let wrong = |expected: &str| format!("scalar is not {expected} as its tag says");
    Ok(Scalar::Value(match kind {
        "str" => text.into(),
        "null" => Value::Null,
        "bool" => boolean(&text.to_lowercase()).map_or(Value::Null, Value::Bool),
        "int" => integer(text).ok_or_else(|| wrong("an integer"))?,
        "float" => float(text).ok_or_else(|| wrong("a float"))?,
        "binary" => {
            let packed: String = text.chars().filter(|character| !character.is_whitespace()).collect();
            let bytes = STANDARD.decode(packed).map_err(|_| wrong("base64"))?;
            Value::Text(STANDARD.encode(bytes))
        }
        "timestamp" => Value::Text(timestamp(text).ok_or_else(|| wrong("a timestamp"))?),
        "merge" => return Ok(Scalar::Merge),
        _ => return Err(format!("tag `!!{kind}` is not supported for a scalar")),
    }))
}

/// The type of a plain scalar without a tag.
fn implicit(text: &str) -> Result<Scalar, String> {
    let value = match text.as_bytes() {
        [] => Value::Null,
        [first, ..] if text.len() <= WORD_LIMIT && !first.is_ascii_digit() => match text {
            "~" | "null" | "Null" | "NULL" => Value::Null,
            "<<" => return Ok(Scalar::Merge),
            "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
            "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Value::Bool(false),
            _ => return number(text),
        },
        _ => return number(text),
    };
    Ok(Scalar::Value(value))
}

fn number(text: &str) -> Result<Scalar, String> {
    let numeric = text.len() <= NUMBER_LIMIT && text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    let value = if numeric && looks_like_integer(text) {
        integer(text).ok_or("number out of range")?
    } else if numeric && looks_like_float(text) {
        float(text).ok_or("not a number")?
    } else {
        text.into()
    };
    Ok(Scalar::Value(value))
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "true" | "on" => Some(true),
        "no" | "false" | "off" => Some(false),
        _ => None,
    }
}

fn looks_like_integer(text: &str) -> bool {
    let text = unsigned(text);
    let of = |digits: &str, allowed: fn(u8) -> bool| {
        let digits = digits.trim_start_matches('_');
        digits.starts_with(|c: char| c.is_ascii() && allowed(c as u8))
            && digits.bytes().all(|byte| byte == b'_' || allowed(byte))
    };
    if text == "0" {
        return true;
    }
    if let Some(digits) = text.strip_prefix("0b") {
        return of(digits, |byte| matches!(byte, b'0' | b'1'));
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return of(digits, |byte| byte.is_ascii_hexdigit());
    }
    if let Some(digits) = text.strip_prefix('0') {
        return of(digits, |byte| matches!(byte, b'0'..=b'7'));
    }
    let mut parts = text.split(':');
    let head = parts.next().unwrap_or_default();
    head.starts_with(|c: char| c.is_ascii_digit())
        && head.bytes().all(|byte| byte == b'_' || byte.is_ascii_digit())
        && parts.all(is_sixtieth)
}

/// One `:mm` of a number to base 60.
fn is_sixtieth(part: &str) -> bool {
    matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9'])
}

fn looks_like_float(text: &str) -> bool {
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let text = unsigned(text);
    if matches!(text, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let digits = |part: &str| part.bytes().all(|byte| byte == b'_' || byte.is_ascii_digit());
    if text.contains(':') {
        let Some((whole, fraction)) = text.split_once('.') else { return false };
        let mut parts = whole.split(':');
        let head = parts.next().unwrap_or_default();
        return head.starts_with(|c: char| c.is_ascii_digit())
            && digits(head)
            && parts.all(is_sixtieth)
            && digits(fraction);
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    if let Some(exponent) = exponent {
        let exponent = unsigned(exponent);
        if exponent.is_empty() || !exponent.bytes().all(|byte| byte.is_ascii_digit()) {
            return false;
        }
    }
    match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && digits(fraction),
        Some((whole, fraction)) => whole.starts_with(|c: char| c.is_ascii_digit()) && digits(whole) && digits(fraction),
        None => exponent.is_some() && mantissa.starts_with(|c: char| c.is_ascii_digit()) && digits(mantissa),
    }
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

/// `ConstructYamlInt`.
fn integer(text: &str) -> Option<Value> {
    let text = text.replace('_', "");
    let negative = text.starts_with('-');
    let digits = unsigned(&text);
    if digits == "0" {
        return Some(Value::Integer(0));
    }
    if let Some(digits) = digits.strip_prefix("0b") {
        return of_radix(negative, digits, 2);
    }
    if let Some(digits) = digits.strip_prefix("0x") {
        return of_radix(negative, digits, 16);
    }
    if let Some(digits) = digits.strip_prefix('0') {
        return of_radix(negative, digits, 8);
    }
    if digits.contains(':') {
        // Java sums in 32 bits and wraps around.
        let (mut sum, mut place) = (0_i32, 1_i32);
        for part in digits.rsplit(':') {
            let part: i64 = part.parse().ok()?;
            #[expect(clippy::cast_possible_truncation, reason = "Java narrows to int here")]
            {
                sum = i64::from(sum).wrapping_add(part.wrapping_mul(i64::from(place))) as i32;
            }
            place = place.wrapping_mul(60);
        }
        let sum = i64::from(sum);
        return Some(Value::Integer(if negative { -sum } else { sum }));
    }
    of_radix(negative, digits, 10)
}

fn of_radix(negative: bool, digits: &str, radix: u32) -> Option<Value> {
    let sign = if negative { "-" } else { "" };
    if radix == 10 {
        return Value::integer(&format!("{sign}{digits}"));
    }
    // Decimal digits in groups of nine, the lowest group first.
    let mut groups: Vec<u32> = vec![0];
    if digits.is_empty() {
        return None;
    }
    for digit in digits.chars() {
        let mut carry = u64::from(digit.to_digit(radix)?);
        for group in &mut groups {
            let sum = u64::from(*group) * u64::from(radix) + carry;
            *group = u32::try_from(sum % 1_000_000_000).ok()?;
            carry = sum / 1_000_000_000;
        }
        if carry > 0 {
            groups.push(u32::try_from(carry).ok()?);
        }
    }
    let mut decimal = sign.to_owned();
    for group in groups.iter().rev() {
        decimal.push_str(&format!("{group:09}"));
    }
    Value::integer(&decimal)
}

/// `ConstructYamlFloat`.
fn float(text: &str) -> Option<Value> {
    let text = text.replace('_', "");
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    let digits = unsigned(&text);
    let size = match digits.to_lowercase().as_str() {
        ".inf" => f64::INFINITY,
        ".nan" => f64::NAN,
        _ if digits.contains(':') => {
            let (mut sum, mut place) = (0.0, 1_i32);
            for part in digits.rsplit(':') {
                sum += double(part)? * f64::from(place);
                place = place.wrapping_mul(60);
            }
            sum
        }
        _ => double(digits)?,
    };
    Some(Value::Float(sign * size))
}

/// `Double.parseDouble` for decimal digits; Rust's own parser takes words as well, and Java other words.
fn double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        _ if text.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte)) => text.parse().ok(),
        _ => None,
    }
}

/// The JSON text of an explicit `!!timestamp`: UTC with milliseconds.
fn timestamp(text: &str) -> Option<String> {
    let number = |text: &str, lengths: std::ops::RangeInclusive<usize>| -> Option<i64> {
        (lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
    };
    let (date, time) = match text.find(['T', 't', ' ', '\t']) {
        Some(at) => (&text[..at], Some(text[at + 1..].trim_start_matches([' ', '\t']))),
        None => (text, None),
    };
    let mut parts = date.splitn(3, '-');
    let year = number(parts.next()?, 4..=4)?;
    let month = number(parts.next()?, 1..=2)?;
    let day = number(parts.next()?, 1..=2)?;
    let mut millis = days_from_civil(year, month, day) * 86_400_000;
    if let Some(time) = time {
        let zone_at = time.find(['Z', '+', '-', ' ', '\t']).unwrap_or(time.len());
        let (clock, zone) = (&time[..zone_at], time[zone_at..].trim_start_matches([' ', '\t']));
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
        let mut parts = clock.splitn(3, ':');
        let hours = number(parts.next()?, 1..=2)?;
        let minutes = number(parts.next()?, 2..=2)?;
        let seconds = number(parts.next()?, 2..=2)?;
        if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "between 0 and 1000")]
        let fraction = (format!("0.{fraction}0").parse::<f64>().ok()? * 1000.0).round() as i64;
        millis += ((hours * 60 + minutes) * 60 + seconds) * 1000 + fraction;
        if !matches!(zone, "" | "Z") {
            let (hours, minutes) = unsigned(zone).split_once(':').unwrap_or((unsigned(zone), ""));
            let minutes = if minutes.is_empty() { 0 } else { number(minutes, 2..=2)? };
            let offset = (number(hours, 1..=2)? * 60 + minutes) * 60_000;
            millis += if zone.starts_with('-') { offset } else { -offset };
        }
    }
    let (days, rest) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let (year, month, day) = civil_from_days(days);
    let (seconds, fraction) = (rest / 1000, rest % 1000);
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{fraction:03}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    ))
}

/// Days since 1970-01-01 of a date; months and days out of range count on, as Java's lenient calendar does.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = (year + (month - 1).div_euclid(12), (month - 1).rem_euclid(12) + 1);
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str, tag: Option<&str>) -> String {
        match resolve(text, true, tag) {
            Ok(Scalar::Value(value)) => value.to_json(),
            Ok(Scalar::Merge) => "merge".to_owned(),
            Err(reason) => reason,
        }
    }

    #[test]
    fn plain_scalars_have_the_types_of_yaml_1_1() {
        for (text, expected) in [
            ("on", "true"),
            ("oN", "\"oN\""),
            ("y", "\"y\""),
            ("~", "null"),
            ("", "null"),
            ("<<", "merge"),
            ("0777", "511"),
            ("089", "\"089\""),
            ("0o17", "\"0o17\""),
            ("-0x_1F", "-31"),
            ("0X1F", "\"0X1F\""),
            ("0b_1", "1"),
            ("0b", "\"0b\""),
            ("1_", "1"),
            ("_1", "\"_1\""),
            ("22:22", "1342"),
            ("-1:30", "-90"),
            ("0:30", "\"0:30\""),
            ("12:99", "\"12:99\""),
            ("190:20:30.15", "685230.15"),
            ("08:30.5", "510.5"),
            ("1:3_0", "\"1:3_0\""),
            ("1e3", "1000.0"),
            ("1e5_0", "\"1e5_0\""),
            ("123e4567", "\"Infinity\""),
            ("-.inf", "\"-Infinity\""),
            (".NaN", "\"NaN\""),
            ("-.nan", "\"-.nan\""),
            ("+.5", "0.5"),
            ("08.5", "8.5"),
            (".", "\".\""),
            ("-", "\"-\""),
            ("+", "\"+\""),
            ("1.2.3", "\"1.2.3\""),
            ("0xFFFFFFFFFFFFFFFFFFFF", "1208925819614629174706175"),
            ("0123456701234567", "5744368105847"),
            ("2001-12-14", "\"2001-12-14\""),
        ] {
            assert_eq!(json(text, None), expected, "{text}");
        }
    }

    #[test]
    fn tags_convert() {
        for (text, tag, expected) in [
            ("0x10", "int", "16"),
            ("3", "float", "3.0"),
            ("yes", "str", "\"yes\""),
            ("NO", "bool", "false"),
            ("maybe", "bool", "null"),
            ("aG k=", "binary", "\"aGk=\""),
            ("2001-12-14", "timestamp", "\"2001-12-14T00:00:00.000Z\""),
            ("2001-12-14t21:59:43.10-05:00", "timestamp", "\"2001-12-15T02:59:43.100Z\""),
            ("2001-12-14 21:59:43.10 -5", "timestamp", "\"2001-12-15T02:59:43.100Z\""),
            ("2000-2-29", "timestamp", "\"2000-02-29T00:00:00.000Z\""),
        ] {
            assert_eq!(json(text, Some(&format!("{CORE}{tag}"))), expected, "{tag} {text}");
        }
        assert_eq!(json("12", Some("!")), "12");
        assert!(json("abc", Some("tag:yaml.org,2002:int")).contains("not an integer"));
        assert!(json("x", Some("!custom")).contains("`!custom` is not supported"));
    }

    proptest::proptest! {
        #[test]
        fn no_scalar_makes_it_panic(text in "[-+0-9_:.eEx~<nNaA T]{0,40}", kind in "(int|float|timestamp|binary|bool)") {
            let _ = resolve(&text, true, None);
            let _ = resolve(&text, true, Some(&format!("{CORE}{kind}")));
        }
    }
}
