//! What the text of paths and headers says, and which texts are refused.

use regex_lite::Regex;
use syn::LitStr;

use super::Errors;

/// `{name}` or `{name*}` in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placeholder {
    pub(crate) name: String,
    /// `{name*}`: `/` stays.
    pub(crate) rest: bool,
    /// It stands in the query string.
    pub(crate) in_query: bool,
}

/// What a template becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Every brace counts.
    Path,
    /// Braces without a name in them are text.
    Header,
}

/// Checks a path template and lists its placeholders, unless they cannot be told.
pub(crate) fn path(text: &LitStr, errors: &mut Errors) -> Option<Vec<Placeholder>> {
    let value = text.value();
    if value.contains('\\') {
        errors.at(text, "a path has no backslash: write `/`");
    }
    if value.chars().any(char::is_control) {
        errors.at(text, "a path has no control characters: percent-encode them");
    }
    let before_placeholders = value.split('{').next().unwrap_or_default();
    if before_placeholders.contains("://") {
        errors.at(
            text,
            "write the path alone: the host comes from the client's `name` or `url`, or from an `#[uri]` parameter",
        );
    }
    let found = placeholders(&value, Kind::Path);
    errors.keep(found.map_err(|message| syn::Error::new(text.span(), message)))
}

/// The path in front of all methods: no placeholders but those of the settings.
pub(crate) fn prefix(text: &LitStr, errors: &mut Errors) {
    for placeholder in path(text, errors).unwrap_or_default() {
        errors.at(text, format!("`{{{}}}` belongs to a method's path: no parameter is known here", placeholder.name));
    }
    if text.value().contains('?') {
        errors.at(text, "the client's path has no query: write `params(..)` on the methods");
    }
}

/// Checks header templates `Name: value` and lists their placeholders, unless they cannot be told.
pub(crate) fn headers(texts: &[LitStr], errors: &mut Errors) -> Option<Vec<Placeholder>> {
    let mut found = Some(Vec::new());
    for text in texts {
        let value = text.value();
        let Some((name, value)) = value.split_once(':') else {
            errors.at(text, "a header is written `Name: value`: the colon is missing");
            found = None;
            continue;
        };
        header_name(text, name, errors);
        header_value(text, value, errors);
        match placeholders(value, Kind::Header) {
            Ok(names) => found.iter_mut().for_each(|found| found.extend(names.iter().cloned())),
            Err(message) => {
                errors.at(text, message);
                found = None;
            }
        }
    }
    found
}

/// Checks a header's name (RFC 9110 5.1, `token`).
pub(crate) fn header_name(text: &LitStr, name: &str, errors: &mut Errors) {
    let legal = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(legal) {
        errors.at(text, format!("`{name}` is no header name: write letters, digits and `-`, without spaces"));
    }
}

/// Checks a header's value: printable ASCII.
pub(crate) fn header_value(text: &LitStr, value: &str, errors: &mut Errors) {
    if !value.chars().all(|c| c == '\t' || c == ' ' || c.is_ascii_graphic()) {
        errors.at(text, "a header value holds printable ASCII only: pass other text through a parameter, encoded");
    }
}

/// Checks `name=value` pairs for the query.
pub(crate) fn params(texts: &[LitStr], errors: &mut Errors) {
    for text in texts {
        let value = text.value();
        if value.split('=').next().unwrap_or_default().trim_matches('!').trim().is_empty() {
            errors.at(text, "a query pair is written `name=value` or `name`");
        }
    }
}

/// Placeholders outside `${..}`, which the settings fill.
fn placeholders(text: &str, kind: Kind) -> Result<Vec<Placeholder>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut in_query = false;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        in_query |= before.contains('?');
        let end = if from.starts_with('{') { closing(from) } else { None };
        let Some(end) = end else {
            if kind == Kind::Header {
                rest = &from[1..];
                continue;
            }
            return Err("this brace has no partner: percent-encode a literal one as `%7B` or `%7D`".to_owned());
        };
        let inner = &from[1..end];
        rest = &from[end + 1..];
        if !before.ends_with('$') {
            match placeholder(inner, in_query) {
                Ok(placeholder) => found.push(placeholder),
                // Not a name in braces, for example JSON in a header.
                Err(_) if kind == Kind::Header && !inner.is_empty() => {}
                Err(message) => return Err(message),
            }
        }
    }
    Ok(found)
}

fn placeholder(inner: &str, in_query: bool) -> Result<Placeholder, String> {
    if inner.is_empty() {
        return Err("`{}` names nothing: write the parameter's name into it".to_owned());
    }
    if inner.starts_with(';') {
        return Err(format!("`{{{inner}}}`: matrix variables are not supported, use the query"));
    }
    let (name, rest) = match inner.split_once(':') {
        Some((name, pattern)) => {
            if let Err(error) = Regex::new(pattern) {
                return Err(format!("the pattern in `{{{inner}}}` cannot be read: {error}"));
            }
            (name, false)
        }
        None => inner.strip_suffix('*').map_or((inner, false), |name| (name, true)),
    };
    if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || "_-.[]$".contains(c)) {
        return Err(format!("`{{{inner}}}` is no placeholder: write `{{name}}`, or `{{name*}}` to keep slashes"));
    }
    Ok(Placeholder { name: name.to_owned(), rest, in_query })
}

/// The index of the brace that closes the one at the start; settings may nest in defaults (`${a:${b}}`).
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        placeholders(text, Kind::Path).unwrap().into_iter().map(|found| found.name).collect()
    }

    #[test]
    fn settings_are_no_placeholders() {
        assert_eq!(names("/${a.b:${c:/x}}/{id}/${d}"), ["id"]);
    }

    #[test]
    fn a_star_keeps_slashes_and_the_query_is_told_apart() {
        let found = placeholders("/files/{path*}?v={version}", Kind::Path).unwrap();
        assert!(found[0].rest && !found[0].in_query);
        assert!(!found[1].rest && found[1].in_query);
    }

    #[test]
    fn broken_braces_are_refused() {
        for text in ["/{", "/}", "/{}", "/{a{b}}", "/{a:[0-9}", "/{;m}", "/{a b}", "/{*}"] {
            assert!(placeholders(text, Kind::Path).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pattern_may_hold_braces() {
        assert_eq!(names("/{id:[0-9]{2,3}}/x"), ["id"]);
    }

    #[test]
    fn braces_in_a_header_may_be_text() {
        let found = placeholders(r#"{"n": 1} {a} }"#, Kind::Header).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "a");
    }
}
