//! Path and header templates: RFC 6570 level 1, as Feign reads them (feign-core 13.6 `Template`, `Expressions`).

use regex_lite::Regex;

use crate::encode;
use crate::error::Error;

/// A piece of a template.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// Text, encoded already where the template is part of a URL.
    Literal(String),
    /// `{name}`, `{name:pattern}` or `{name*}`.
    Variable {
        name: String,
        /// The whole encoded value must match.
        pattern: Option<(Regex, String)>,
    },
}

/// A path with a literal query.
#[derive(Debug, Clone, Default)]
pub(crate) struct PathTemplate {
    pub(crate) path: Vec<Part>,
    pub(crate) query: Vec<QueryPart>,
    /// With its `#`. Never sent, but logged.
    pub(crate) fragment: String,
}

/// A pair of the literal query.
#[derive(Debug, Clone)]
pub(crate) struct QueryPart {
    /// Encoded.
    pub(crate) name: String,
    /// `None` for a bare name.
    pub(crate) value: Option<Vec<Part>>,
}

/// Longer expressions are refused (feign-core 13.6 `feign.template.expression.maxLength`).
const MAX_EXPRESSION: usize = 10_000;

impl PathTemplate {
    /// Reads the path template of a method. A `/` is put in front if there is none.
    ///
    /// # Errors
    ///
    /// If it is an absolute URL, has a backslash, `{}`, an expression that is not supported or a bad pattern.
    pub(crate) fn parse(text: &str, remove_trailing_slash: bool) -> Result<Self, Error> {
        if text.starts_with("http://") || text.starts_with("https://") {
            return Err(Error::config(format!(
                "path `{text}` is an absolute URL: the client's `url` is the place for it"
            )));
        }
        if text.contains('\\') {
            return Err(Error::config(format!("path `{text}` has a backslash")));
        }
        let (text, fragment) = text.split_at(outside_braces(text, '#').unwrap_or(text.len()));
        let (path, query) = match outside_braces(text, '?') {
            Some(at) => (&text[..at], &text[at + 1..]),
            None => (text, ""),
        };
        let path = if remove_trailing_slash { path.strip_suffix('/').unwrap_or(path) } else { path };
        let mut parts = parse(path, true)?;
        if !path.is_empty() && !path.starts_with('/') {
            parts.insert(0, Part::Literal("/".to_owned()));
        }
        let pairs = split_outside_braces(query, '&');
        let query =
            pairs.into_iter().filter(|pair| !pair.is_empty()).map(QueryPart::parse).collect::<Result<_, _>>()?;
        Ok(Self { path: parts, query, fragment: fragment.to_owned() })
    }

    /// The names of all variables.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        let values = self.query.iter().filter_map(|pair| pair.value.as_ref()).flatten();
        self.path.iter().chain(values).filter_map(Part::variable)
    }
}

impl QueryPart {
    /// Reads `name`, `name=` or `name=value`. As in Feign, an empty literal value leaves the bare name.
    pub(crate) fn parse(pair: &str) -> Result<Self, Error> {
        let (name, value) = match pair.split_once('=') {
            Some((name, "")) => (name, None),
            Some((name, value)) => (name, Some(value)),
            None => (pair, None),
        };
        let mut encoded = Vec::new();
        encode::push_literal(&mut encoded, name);
        let name = String::from_utf8_lossy(&encoded).into_owned();
        Ok(Self { name, value: value.map(|value| parse(value, true)).transpose()? })
    }
}

impl Part {
    pub(crate) fn variable(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Variable { name, .. } => Some(name),
        }
    }
}

/// Reads a header's value.
pub(crate) fn header(text: &str) -> Result<Vec<Part>, Error> {
    parse(text, false)
}

/// Cuts `text` into literals and variables. Braces that do not balance are literals.
fn parse(text: &str, url: bool) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let Some(length) = closing_brace(&rest[open..]) else { break };
        literal.push_str(&rest[..open]);
        let expression = &rest[open + 1..open + length];
        match variable(expression, text)? {
            Some(part) => {
                flush(&mut parts, &mut literal, url);
                parts.push(part);
            }
            // Not a name in braces, for example JSON in a header.
            None => literal.push_str(&rest[open..=open + length]),
        }
        rest = &rest[open + length + 1..];
    }
    literal.push_str(rest);
    flush(&mut parts, &mut literal, url);
    Ok(parts)
}

fn flush(parts: &mut Vec<Part>, literal: &mut String, url: bool) {
    if literal.is_empty() {
        return;
    }
    let text = std::mem::take(literal);
    parts.push(Part::Literal(if url {
        let mut encoded = Vec::with_capacity(text.len());
        encode::push_literal(&mut encoded, &text);
        String::from_utf8_lossy(&encoded).into_owned()
    } else {
        text
    }));
}

fn variable(expression: &str, text: &str) -> Result<Option<Part>, Error> {
    if expression.is_empty() {
        return Err(Error::config(format!("template `{text}` has an expression without a name: `{{}}`")));
    }
    if expression.len() > MAX_EXPRESSION {
        return Err(Error::config(format!("template has an expression of more than {MAX_EXPRESSION} characters")));
    }
    if let Some(name) = expression.strip_prefix(';') {
        return Err(Error::config(format!("matrix variable `{{;{name}}}` in template `{text}` is not supported")));
    }
    let (name, pattern) = match expression.split_once(':') {
        Some((name, pattern)) => (name, Some(pattern)),
        None => (expression.strip_suffix('*').unwrap_or(expression), None),
    };
    if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']' | '$')) {
        return Ok(None);
    }
    let pattern = match pattern {
        None => None,
        Some(pattern) => {
            let regex = Regex::new(&format!("^(?:{pattern})$")).map_err(|error| {
                Error::config(format!("pattern `{pattern}` in template `{text}` is wrong")).because(error)
            })?;
            Some((regex, pattern.to_owned()))
        }
    };
    Ok(Some(Part::Variable { name: name.to_owned(), pattern }))
}

/// The position of the brace that closes the one at the beginning.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn outside_braces(text: &str, wanted: char) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            c if c == wanted && depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

fn split_outside_braces(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = outside_braces(rest, separator) {
        parts.push(&rest[..at]);
        rest = &rest[at + separator.len_utf8()..];
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(template: &PathTemplate) -> String {
        let part = |part: &Part| match part {
            Part::Literal(text) => text.clone(),
            Part::Variable { name, pattern: None } => format!("<{name}>"),
            Part::Variable { name, pattern: Some((_, pattern)) } => format!("<{name}:{pattern}>"),
        };
        let mut out: String = template.path.iter().map(part).collect();
        for pair in &template.query {
            out.push_str(&format!(" {}", pair.name));
            if let Some(value) = &pair.value {
                out.push('=');
                out.extend(value.iter().map(part));
            }
        }
        out
    }

    #[test]
    fn templates_are_cut_into_literals_and_variables() {
        let cases = [
            ("", ""),
            ("/", "/"),
            ("nolead", "/nolead"),
            ("{id}", "/<id>"),
            ("/a b/{id}.json", "/a%20b/<id>.json"),
            ("/r/{id:[a-z]{2}}", "/r/<id:[a-z]{2}>"),
            ("/f/{path*}", "/f/<path>"),
            ("/t?fixed=1&flag&e=&k={k}#x", "/t fixed=1 flag e k=<k>"),
            ("/r/{id:[?#&]+}?x", "/r/<id:[?#&]+> x"),
            ("/open{a", "/open%7Ba"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(&PathTemplate::parse(text, false).unwrap()), expected, "{text}");
        }
        assert_eq!(shown(&PathTemplate::parse("/a/b/", true).unwrap()), "/a/b");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in ["http://h/x", "/a\\b", "/{}", "/{;who}", "/{id:[}"] {
            assert!(PathTemplate::parse(text, false).is_err(), "{text}");
        }
    }
}
