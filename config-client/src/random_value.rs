//! Values of the properties `random.*`.

use vernal_commons::random::Random;

/// What the suffix of `random.<suffix>` asks for; `None` if a range is empty or no number.
///
/// Boot's `RandomValuePropertySource`: `int`, `long` with an optional `(n)` or `[from,to)`, `uuid`, and 32
/// hexadecimal digits for anything else.
pub(crate) fn draw(suffix: &str) -> Option<String> {
    let random = Random::new();
    if suffix == "uuid" {
        let (high, low) = (random.next_u64(), random.next_u64());
        // Version 4, variant 1 (RFC 9562).
        let (high, low) = (high & !0xf000 | 0x4000, low & !(0b11 << 62) | (0b10 << 62));
        let hex = format!("{high:016x}{low:016x}");
        return Some(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]));
    }
    for (kind, min, max) in [("int", i64::from(i32::MIN), i64::from(i32::MAX)), ("long", i64::MIN, i64::MAX)] {
        let Some(range) = suffix.strip_prefix(kind) else { continue };
        if range.is_empty() {
            return Some(number(&random, i128::from(min), i128::from(max) + 1));
        }
        // Any pair of surrounding characters is a bracket.
        let mut inner = range.chars();
        inner.next();
        inner.next_back();
        let (from, to) = match inner.as_str().split_once(',') {
            Some((from, to)) => (from.trim().parse::<i64>().ok()?, to.trim().parse::<i64>().ok()?),
            None => (0, inner.as_str().trim().parse::<i64>().ok()?),
        };
        return (from < to).then(|| number(&random, i128::from(from), i128::from(to)));
    }
    Some(format!("{:016x}{:016x}", random.next_u64(), random.next_u64()))
}

fn number(random: &Random, from: i128, to: i128) -> String {
    let span = to - from;
    let drawn = i128::from(random.next_u64()) % span;
    (from + drawn).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lie_in_their_range() {
        for _ in 0..200 {
            assert!((0..10).contains(&draw("int(10)").unwrap().parse::<i32>().unwrap()));
            assert!((5..7).contains(&draw("int[5,7]").unwrap().parse::<i32>().unwrap()));
            assert!(draw("int").unwrap().parse::<i32>().is_ok());
            assert!(draw("long").unwrap().parse::<i64>().is_ok());
        }
        for empty in ["int(0)", "int(7,5)", "int(x)", "long(-1)"] {
            assert_eq!(draw(empty), None, "{empty}");
        }
    }

    #[test]
    fn other_suffixes_give_an_id_or_hexadecimal_digits() {
        let uuid = draw("uuid").unwrap();
        assert_eq!((uuid.len(), &uuid[14..15]), (36, "4"));
        let value = draw("value").unwrap();
        assert!(value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
