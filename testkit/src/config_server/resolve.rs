//! `${...}` in what the alternative formats show, resolved against the sources themselves and nothing else.

use vernal_config_client::source::PropertySource;

/// Values that name values that name values.
const DEEPEST: usize = 32;
/// Bytes of values that are put in: a few that name each other twice would grow without end.
const MOST_BYTES: usize = 4 << 20;

/// How many backslashes before `${` keep it as it is, and are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// One, in a value.
    One,
    /// One or two, in a text that values were written to: Spring resolves that, where a backslash may be doubled.
    OneOrTwo,
}

/// The text with its placeholders replaced. One that has neither value nor default stays, and so does one that names
/// itself.
pub(super) fn resolve(text: &str, sources: &[PropertySource], escape: Escape) -> String {
    replaced(text, sources, escape, 0, &mut 0)
}

fn replaced(text: &str, sources: &[PropertySource], escape: Escape, depth: usize, seen: &mut usize) -> String {
    let (mut result, mut rest) = (String::new(), text);
    if depth > 0 {
        *seen += text.len();
    }
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('\\') {
            let second = before.strip_suffix('\\').filter(|_| escape == Escape::OneOrTwo);
            result.push_str(second.unwrap_or(before));
            result.push_str("${");
            rest = &from[2..];
            continue;
        }
        result.push_str(before);
        let Some(end) = end(from).filter(|_| depth < DEEPEST && *seen <= MOST_BYTES) else {
            rest = from;
            break;
        };
        let (whole, behind) = from.split_at(end);
        let inner = replaced(&whole[2..whole.len() - 1], sources, escape, depth + 1, seen);
        let value =
            |key: &str| sources.iter().find_map(|source| source.get(key)).map(|property| property.value().clone());
        let text = |key: &str| value(key).map(|value| value.as_text().unwrap_or_default().into_owned());
        let found = match (text(&inner), inner.split_once(':')) {
            (Some(found), _) => Some(replaced(&found, sources, escape, depth + 1, seen)),
            (None, Some((key, default))) => Some(match text(key) {
                Some(found) => replaced(&found, sources, escape, depth + 1, seen),
                None => default.to_owned(),
            }),
            (None, None) => None,
        };
        result.push_str(found.as_deref().unwrap_or(whole));
        rest = behind;
    }
    result + rest
}

/// Behind the brace that closes the placeholder that `text` begins with.
fn end(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '$' if letters.next_if(|(_, next)| *next == '{').is_some() => open += 1,
            '}' => {
                open = open.checked_sub(1)?;
                if open == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use vernal_config_client::value::Value;

    use super::*;

    #[test]
    fn placeholders_are_resolved_from_within() {
        let pairs = [("a", "1"), ("b", "${a}2"), ("c", "a"), ("loop", "${loop}"), ("x:y", "xy")];
        let source = PropertySource::with_properties("s", pairs.map(|(key, value)| (key, Value::from(value))));
        let sources = [source];
        for (text, expected) in [
            ("${a}-${b}", "1-12"),
            ("${${c}}", "1"),
            ("${none:d}${none:${a}}${none:}", "d1"),
            ("${none}", "${none}"),
            ("\\${a} ${a}", "${a} 1"),
            ("${a", "${a"),
            ("${x:y}", "xy"),
            ("}${a}", "}1"),
        ] {
            assert_eq!(resolve(text, &sources, Escape::One), expected, "{text}");
        }
        for (text, one, both) in [("\\${a}", "${a}", "${a}"), ("\\\\${a}", "\\${a}", "${a}")] {
            assert_eq!(resolve(text, &sources, Escape::One), one);
            assert_eq!(resolve(text, &sources, Escape::OneOrTwo), both);
        }
        assert!(resolve("${loop}", &sources, Escape::One).contains("${loop}"));
        let doubling: Vec<_> =
            (0..32).map(|n| (n.to_string(), Value::from(format!("${{{0}}}${{{0}}}", n + 1)))).collect();
        let source = PropertySource::with_properties("s", doubling);
        assert!(resolve("${0}", &[source], Escape::One).len() < 4 * MOST_BYTES);
    }
}
