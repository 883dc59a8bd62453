//! `${name}` and `${name:default}` in values.
//!
//! What the syntax means follows Spring Framework 7 (`PlaceholderParser`) and the recordings
//! `resolve/placeholders-as-values`: the whole text between the braces is tried as a name before it is split at the
//! first `:`; names may hold placeholders; `\` in front of `${` or `:` takes their meaning away.

/// How deep placeholders may nest, in texts and through values.
const MAX_DEPTH: usize = 64;
/// How many look-ups one text may cause.
const MAX_LOOKUPS: usize = 10_000;
/// How long a resolved text may get, in bytes.
const MAX_LENGTH: usize = 4 << 20;

/// What a name stands for.
pub(crate) trait Lookup {
    /// The value of `name` before its own placeholders are resolved, and whether it is secret.
    fn find(&self, name: &str) -> Option<(String, bool)>;
}

/// A text without placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) text: String,
    /// Whether a secret went into it.
    pub(crate) secret: bool,
}

/// What to do with a name that has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Leave the placeholder as it is.
    Keep,
    /// Fail.
    Refuse,
}

/// Replaces the placeholders of `text`; the error says which one and why.
pub(crate) fn resolve(text: &str, unknown: Unknown, lookup: &impl Lookup) -> Result<Resolved, String> {
    if !text.contains("${") {
        return Ok(Resolved { text: text.to_owned(), secret: false });
    }
    let mut run = Run { lookup, unknown, visiting: Vec::new(), lookups: 0, secret: false };
    let text = run.all(&parts(text, 0)?)?;
    Ok(Resolved { text, secret: run.secret })
}

#[derive(Debug)]
enum Part {
    Text(String),
    Placeholder { written: String, name: Vec<Part>, default: Option<Vec<Part>>, whole: bool },
}

struct Run<'a, L> {
    lookup: &'a L,
    unknown: Unknown,
    visiting: Vec<String>,
    lookups: usize,
    secret: bool,
}

impl<L: Lookup> Run<'_, L> {
    fn all(&mut self, parts: &[Part]) -> Result<String, String> {
        let mut out = String::new();
        for part in parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Placeholder { written, name, default, whole } => {
                    out.push_str(&self.placeholder(written, name, default.as_deref(), *whole)?);
                }
            }
            if out.len() > MAX_LENGTH {
                return Err(format!("the resolved text is longer than {MAX_LENGTH} bytes"));
            }
        }
        Ok(out)
    }

    fn placeholder(
        &mut self,
        written: &str,
        name: &[Part],
        default: Option<&[Part]>,
        whole: bool,
    ) -> Result<String, String> {
        let name = self.all(name)?;
        if whole
            && written != name
            && let Some(value) = self.value(written)?
        {
            return Ok(value);
        }
        if let Some(value) = self.value(&name)? {
            return Ok(value);
        }
        match default {
            Some(default) => self.all(default),
            None if self.unknown == Unknown::Keep => Ok(format!("${{{written}}}")),
            None => Err(format!("placeholder `${{{written}}}` has neither a value nor a default")),
        }
    }

    fn value(&mut self, name: &str) -> Result<Option<String>, String> {
        self.lookups += 1;
        if self.lookups > MAX_LOOKUPS {
            return Err(format!("more than {MAX_LOOKUPS} placeholders have to be looked up"));
        }
        let Some((value, secret)) = self.lookup.find(name) else { return Ok(None) };
        self.secret |= secret;
        if !value.contains("${") {
            return Ok(Some(value));
        }
        if let Some(start) = self.visiting.iter().position(|visited| visited == name) {
            let mut chain: Vec<_> = self.visiting[start..].iter().map(|name| format!("`{name}`")).collect();
            chain.push(format!("`{name}`"));
            return Err(format!("placeholders refer to each other in a circle: {}", chain.join(" -> ")));
        }
        if self.visiting.len() >= MAX_DEPTH {
            return Err(format!("placeholders refer to each other more than {MAX_DEPTH} deep"));
        }
        self.visiting.push(name.to_owned());
        let value = self.all(&parts(&value, 0)?)?;
        self.visiting.pop();
        Ok(Some(value))
    }
}

/// Cuts a text into plain text and placeholders.
fn parts(text: &str, depth: usize) -> Result<Vec<Part>, String> {
    if depth > MAX_DEPTH {
        return Err(format!("placeholders nest more than {MAX_DEPTH} deep"));
    }
    let closing = closing_braces(text);
    let mut parts = Vec::new();
    let mut position = 0;
    while let Some(start) = text[position..].find("${").map(|offset| position + offset) {
        let inside = start + 2;
        let end = closing.binary_search_by_key(&(start + 1), |(open, _)| *open).map(|found| closing[found].1);
        match end.ok() {
            Some(end) if !escaped(text, start) => {
                push_text(&mut parts, &text[position..start]);
                parts.push(placeholder(&text[inside..end], depth)?);
                position = end + 1;
            }
            Some(_) => {
                push_text(&mut parts, &text[position..start - 1]);
                push_text(&mut parts, "${");
                position = inside;
            }
            None => {
                push_text(&mut parts, &text[position..inside]);
                position = inside;
            }
        }
    }
    push_text(&mut parts, &text[position..]);
    Ok(parts)
}

fn placeholder(written: &str, depth: usize) -> Result<Part, String> {
    let written_whole = written.to_owned();
    if !written.contains("${") {
        let (name, default) = split(written);
        let name = vec![Part::Text(name)];
        let default = default.map(|default| vec![Part::Text(default)]);
        return Ok(Part::Placeholder { written: written_whole, name, default, whole: true });
    }
    let mut name = Vec::new();
    let mut rest = parts(written, depth + 1)?.into_iter();
    while let Some(part) = rest.next() {
        let Part::Text(text) = part else {
            name.push(part);
            continue;
        };
        let (before, default) = split(&text);
        name.push(Part::Text(before));
        if let Some(first) = default {
            let default = std::iter::once(Part::Text(first)).chain(rest).collect();
            return Ok(Part::Placeholder { written: written_whole, name, default: Some(default), whole: false });
        }
    }
    Ok(Part::Placeholder { written: written_whole, name, default: None, whole: false })
}

/// The text before the first `:` that is not escaped, and the text after it. An escaped one loses its `\`.
fn split(text: &str) -> (String, Option<String>) {
    let mut name = String::new();
    let mut position = 0;
    while let Some(colon) = text[position..].find(':').map(|offset| position + offset) {
        if colon > position && escaped(text, colon) {
            name.push_str(&text[position..colon - 1]);
            name.push(':');
            position = colon + 1;
        } else {
            name.push_str(&text[position..colon]);
            return (name, Some(text[colon + 1..].to_owned()));
        }
    }
    name.push_str(&text[position..]);
    (name, None)
}

fn escaped(text: &str, position: usize) -> bool {
    position > 0 && text.as_bytes()[position - 1] == b'\\'
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if text.is_empty() {
        return;
    }
    match parts.last_mut() {
        Some(Part::Text(last)) => last.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
    }
}

/// The pairs of matching braces, sorted by the opening one. One pass, so that a text of open braces costs no more
/// than its length.
fn closing_braces(text: &str) -> Vec<(usize, usize)> {
    let mut open = Vec::new();
    let mut pairs = Vec::new();
    for (position, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open.push(position),
            b'}' => {
                if let Some(start) = open.pop() {
                    pairs.push((start, position));
                }
            }
            _ => {}
        }
    }
    pairs.sort_unstable();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    struct Map(BTreeMap<&'static str, String>);

    impl Lookup for Map {
        fn find(&self, name: &str) -> Option<(String, bool)> {
            self.0.get(name).map(|value| (value.clone(), name == "pw"))
        }
    }

    fn map() -> Map {
        let pairs = [
            ("name", "app"),
            ("a.b", "AB"),
            ("env", "dev"),
            ("dev.url", "http://dev"),
            ("ref", "${name}-x"),
            ("empty", ""),
            ("x:y", "XY"),
            ("k", "x"),
            ("x", "FINAL"),
            ("miss", "${nope}"),
            ("self", "${self}"),
            ("selfd", "${selfd:zz}"),
            ("cyc.a", "${cyc.b}"),
            ("cyc.b", "${cyc.a}"),
            ("pw", "1234"),
        ];
        Map(pairs.into_iter().map(|(name, value)| (name, value.to_owned())).collect())
    }

    #[test]
    fn placeholders_resolve_as_springs_do() {
        for (text, expected) in [
            ("${name}", "app"),
            ("${nope}", "${nope}"),
            ("${nope:def}", "def"),
            ("${nope:}", ""),
            ("${empty:def}", ""),
            ("${nope:a:b:c}", "a:b:c"),
            ("${x:y}", "XY"),
            ("${nope:${name}}", "app"),
            ("${nope:${nope2:dd}}", "dd"),
            ("${nope:${nope2}}", "${nope2}"),
            ("${${env}.url}", "http://dev"),
            ("${${nope}.url}", "${${nope}.url}"),
            ("${${env}.nope:fb}", "fb"),
            ("${ref}", "app-x"),
            ("${nope:pre-${name}-post}", "pre-app-post"),
            ("\\${name}", "${name}"),
            ("\\\\${name}", "\\${name}"),
            ("${nope:\\${name}}", "${name}"),
            ("${x\\:y}", "XY"),
            ("${nope\\:z:d}", "d"),
            ("${name", "${name"),
            ("${}", "${}"),
            ("${:d}", "d"),
            ("${ name }", "${ name }"),
            ("${nope: d }", " d "),
            ("${nope:{\"a\":1}}", "{\"a\":1}"),
            ("$${name}", "$app"),
            ("${nope:-dash}", "-dash"),
            ("${miss:dflt}", "${nope}"),
            ("${${k}}", "FINAL"),
            ("#{1+1}", "#{1+1}"),
        ] {
            assert_eq!(resolve(text, Unknown::Keep, &map()).unwrap().text, expected, "{text}");
        }
    }

    #[test]
    fn a_placeholder_without_value_is_refused_on_demand() {
        let error = resolve("a ${nope}", Unknown::Refuse, &map()).unwrap_err();
        assert_eq!(error, "placeholder `${nope}` has neither a value nor a default");
        assert_eq!(resolve("${nope:d}", Unknown::Refuse, &map()).unwrap().text, "d");
    }

    #[test]
    fn a_circle_is_refused_and_shown() {
        for text in ["${self}", "${selfd}"] {
            assert!(resolve(text, Unknown::Keep, &map()).unwrap_err().contains("circle"), "{text}");
        }
        let error = resolve("${cyc.a}", Unknown::Keep, &map()).unwrap_err();
        assert!(error.ends_with("`cyc.a` -> `cyc.b` -> `cyc.a`"), "{error}");
    }

    #[test]
    fn what_a_secret_went_into_is_secret() {
        assert!(resolve("jdbc://${pw}", Unknown::Keep, &map()).unwrap().secret);
        assert!(!resolve("jdbc://${name}", Unknown::Keep, &map()).unwrap().secret);
    }

    #[test]
    fn hostile_texts_end_in_an_error_or_a_result() {
        let deep = "${".repeat(200) + &"}".repeat(200);
        assert!(resolve(&deep, Unknown::Keep, &map()).is_err());
        let open = "${".repeat(100_000);
        assert_eq!(resolve(&open, Unknown::Keep, &map()).unwrap().text, open);
        let mut laughs = Map(BTreeMap::from([("z", "ha".repeat(50))]));
        for (name, next) in [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "f"), ("f", "g"), ("g", "z")] {
            laughs.0.insert(name, format!("${{{next}}}").repeat(10));
        }
        assert!(resolve("${a}", Unknown::Keep, &laughs).is_err());
    }

    proptest::proptest! {
        #[test]
        fn every_text_ends(text in "[${}:\\\\abx. ]{0,40}") {
            let map = map();
            let kept = resolve(&text, Unknown::Keep, &map);
            let refused = resolve(&text, Unknown::Refuse, &map);
            // Refusing only adds errors.
            if let Ok(refused) = refused {
                proptest::prop_assert_eq!(kept.map(|kept| kept.text), Ok(refused.text));
            }
        }

        #[test]
        fn a_text_without_dollar_is_itself(text in "[^$]{0,40}") {
            proptest::prop_assert_eq!(resolve(&text, Unknown::Refuse, &map()).map(|kept| kept.text), Ok(text));
        }
    }
}
