//! Names of properties, compared by Spring's relaxed rules.

use std::fmt;

/// The separator of canonical forms; sorts before everything that an element can hold.
const SEPARATOR: char = '\u{1}';

/// A parsed property name: elements, each plain (`first-name`) or bracketed (`[0]`, `[a.b]`).
///
/// Two names are equal when their elements are: of a plain element only letters and digits count, without case; a
/// bracketed one is compared as it is, and `a[0]` equals `a.0`
/// (Boot 4: `ConfigurationPropertyName`, fixture `resolve/names-and-binding`).
#[derive(Debug, Clone, Default)]
pub(crate) struct Name {
    elements: Vec<Element>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Element {
    text: String,
    bracketed: bool,
}

impl Name {
    /// Reads any text: empty elements are dropped, an unclosed bracket is part of a plain element.
    pub(crate) fn parse(text: &str) -> Self {
        let mut elements = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if first == '['
                && let Some(length) = closing_bracket(rest)
            {
                push_plain(&mut elements, &mut plain);
                elements.push(Element { text: rest[1..length].to_owned(), bracketed: true });
                rest = &rest[length + 1..];
                continue;
            }
            match first {
                '.' => push_plain(&mut elements, &mut plain),
                other => plain.push(other),
            }
            rest = &rest[first.len_utf8()..];
        }
        push_plain(&mut elements, &mut plain);
        Self { elements }
    }

    /// The number of elements.
    pub(crate) fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether relaxed rules apply: outside brackets there are only letters, digits, `-` and `_`. Other names are
    /// found by their exact text only.
    pub(crate) fn is_relaxed(&self) -> bool {
        let usual = |text: &str| text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
        self.elements.iter().all(|element| element.bracketed || usual(&element.text))
    }

    /// The name of a list element.
    pub(crate) fn index(&self, index: usize) -> Self {
        self.with(Element { text: index.to_string(), bracketed: true })
    }

    /// The name of a member of a Rust struct: `first_name` and `firstName` are looked up as `first-name`, so that
    /// they are found under every spelling, `FIRST_NAME` in the environment included.
    pub(crate) fn field(&self, field: &str) -> Self {
        let mut text = String::with_capacity(field.len() + 2);
        let mut after_lower = false;
        for character in field.chars() {
            if character == '_' {
                text.push('-');
                after_lower = false;
                continue;
            }
            if character.is_ascii_uppercase() && after_lower {
                text.push('-');
            }
            after_lower = character.is_ascii_lowercase() || character.is_ascii_digit();
            text.push(character.to_ascii_lowercase());
        }
        let mut name = self.clone();
        name.elements.extend(Self::parse(&text).elements);
        name
    }

    /// This name and the elements of `other` from position `from` to before `to`.
    pub(crate) fn extended(&self, other: &Self, from: usize, to: usize) -> Self {
        let mut name = self.clone();
        name.elements.extend(other.elements.iter().take(to).skip(from).cloned());
        name
    }

    /// What two equal names have in common.
    pub(crate) fn canonical(&self) -> String {
        let mut form = String::new();
        for (position, element) in self.elements.iter().enumerate() {
            if position > 0 {
                form.push(SEPARATOR);
            }
            if element.bracketed {
                form.push_str(&element.text);
            } else {
                push_uniform(&element.text, &mut form);
            }
        }
        form
    }

    /// The canonical form of the legacy environment variable, in which a dash is spelled `_` and so separates
    /// (`SPRING_MAIN_LOG_STARTUP_INFO`); `None` if it is no other than [`canonical`](Self::canonical).
    pub(crate) fn legacy_canonical(&self) -> Option<String> {
        let dashed = |element: &Element| !element.bracketed && element.text.contains('-');
        if !self.elements.iter().any(dashed) {
            return None;
        }
        let mut form = String::new();
        for element in &self.elements {
            let parts: &mut dyn Iterator<Item = &str> = if element.bracketed {
                &mut std::iter::once(element.text.as_str())
            } else {
                &mut element.text.split('-').filter(|part| !part.is_empty())
            };
            for part in parts {
                if !form.is_empty() {
                    form.push(SEPARATOR);
                }
                if element.bracketed { form.push_str(part) } else { push_uniform(part, &mut form) }
            }
        }
        Some(form)
    }

    /// The number of elements of a canonical form.
    pub(crate) fn count(canonical: &str) -> usize {
        if canonical.is_empty() { 0 } else { canonical.split(SEPARATOR).count() }
    }

    /// The canonical form of the element at `position`.
    pub(crate) fn canonical_element(&self, position: usize) -> Option<String> {
        let element = self.elements.get(position)?;
        if element.bracketed {
            return Some(element.text.clone());
        }
        let mut form = String::new();
        push_uniform(&element.text, &mut form);
        Some(form)
    }

    /// The elements from `from` to before `to` as the key of a map: bracketed text as it is; of plain text letters,
    /// digits, `-` and `_` (recorded: `g/h` is `gh`, `sp ace` is `space`, fixture `resolve/live-app-keys`).
    pub(crate) fn map_key(&self, from: usize, to: usize) -> String {
        let mut key = String::new();
        for (position, element) in self.elements.iter().take(to).skip(from).enumerate() {
            if position > 0 {
                key.push('.');
            }
            if element.bracketed {
                key.push_str(&element.text);
            } else {
                key.extend(element.text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')));
            }
        }
        key
    }

    /// The elements from `from` on, as written.
    pub(crate) fn written_from(&self, from: usize) -> String {
        Self { elements: self.elements.iter().skip(from).cloned().collect() }.to_string()
    }

    /// The smallest text that is greater than every canonical form below `canonical`, and the first below it.
    pub(crate) fn range_below(canonical: &str) -> (String, String) {
        if canonical.is_empty() {
            return (String::new(), char::MAX.to_string());
        }
        (format!("{canonical}{SEPARATOR}"), format!("{canonical}\u{2}"))
    }

    fn with(&self, element: Element) -> Self {
        let mut name = self.clone();
        name.elements.push(element);
        name
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, element) in self.elements.iter().enumerate() {
            if element.bracketed {
                write!(f, "[{}]", element.text)?;
            } else if position == 0 {
                f.write_str(&element.text)?;
            } else {
                write!(f, ".{}", element.text)?;
            }
        }
        Ok(())
    }
}

fn push_plain(elements: &mut Vec<Element>, plain: &mut String) {
    if !plain.is_empty() {
        elements.push(Element { text: std::mem::take(plain), bracketed: false });
    }
}

fn push_uniform(text: &str, form: &mut String) {
    form.extend(text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase));
}

/// The position of the bracket that closes the one at the start of `text`.
fn closing_bracket(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (position, character) in text.char_indices() {
        match character {
            '[' => depth += 1,
            ']' if depth == 1 => return Some(position),
            ']' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Whether a property of this name holds a secret by the look of its name: it contains `password`, `secret`,
/// `token`, `credential` or `key` (Boot's `Sanitizer` patterns, and every `encrypt.key`).
pub(crate) fn looks_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["password", "passwd", "secret", "token", "credential", "vcap"].iter().any(|word| key.contains(word))
        || key.split(['.', '-', '_', '[', ']']).any(|part| part == "key" || part.ends_with("key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        Name::parse(text).canonical()
    }

    #[test]
    fn plain_elements_are_compared_by_letters_and_digits() {
        for other in ["my.firstName", "my.first_name", "MY.FIRSTNAME", "my..first-name"] {
            assert_eq!(canonical("my.first-name"), canonical(other), "{other}");
        }
        assert_ne!(canonical("my.first-name"), canonical("my.first.name"));
    }

    #[test]
    fn bracketed_elements_keep_their_case() {
        assert_eq!(canonical("a[0]"), canonical("a.0"));
        assert_eq!(canonical("a[key]"), canonical("a.key"));
        assert_ne!(canonical("a[Key]"), canonical("a.key"));
        assert_eq!(canonical("a[b.c]"), canonical("a[b.c]"));
        assert_ne!(canonical("a[b.c]"), canonical("a.b.c"));
    }

    #[test]
    fn names_print_as_they_were_written() {
        for text in ["a.b[0].c", "m[x.y]", "list[0][1]", "a[b", "server.port"] {
            assert_eq!(Name::parse(text).to_string(), text);
        }
    }

    #[test]
    fn a_dash_may_be_an_underscore_in_the_environment() {
        let legacy = Name::parse("spring.main.log-startup-info").legacy_canonical();
        assert_eq!(legacy.as_deref(), Some("spring\u{1}main\u{1}log\u{1}startup\u{1}info"));
        assert_eq!(Name::parse("a.b").legacy_canonical(), None);
    }

    #[test]
    fn fields_are_found_under_their_kebab_case_name() {
        let prefix = Name::parse("my");
        for field in ["first_name", "firstName", "first-name"] {
            assert_eq!(prefix.field(field).to_string(), "my.first-name");
        }
    }

    #[test]
    fn secrets_are_known_by_their_name() {
        for key in ["db.password", "API_TOKEN", "encrypt.key", "spring.cloud.config.client.oauth2.client-secret"] {
            assert!(looks_secret(key), "{key}");
        }
        for key in ["server.port", "keyboard.layout", "eureka.instance.hostname"] {
            assert!(!looks_secret(key), "{key}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_printed_name_is_equal_to_what_was_read(text in "[aB0._\\-\\[\\]é]{0,20}") {
            let name = Name::parse(&text);
            proptest::prop_assert_eq!(name.canonical(), canonical(&name.to_string()));
        }
    }
}
