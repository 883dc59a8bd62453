//! The syntax of encrypted values.

/// What stands before every encrypted value. Case matters, and nothing may stand before it.
pub const PREFIX: &str = "{cipher}";

/// An encrypted value taken apart: `{cipher}{key:a}{secret:s}...`.
///
/// The pairs are those that the Config Server's `EnvironmentPrefixHelper` finds, except that a `{name:..}` pair
/// does not swallow the ones behind it (D-12).
///
/// ```
/// use vernal_config_client::cipher::value::CipherValue;
///
/// let value = CipherValue::parse("{cipher}{key:k1}0c76").unwrap();
/// assert_eq!((value.key(), value.cipher_text()), (Some("k1"), "0c76"));
/// assert!(CipherValue::parse("0c76").is_none());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CipherValue<'a> {
    pairs: Vec<(&'a str, &'a str)>,
    rest: &'a str,
}

/// What ends the pairs: everything behind it is taken literally.
const ESCAPE: &str = "{plain}";

impl<'a> CipherValue<'a> {
    /// Takes a property value apart; `None` if it does not begin with `{cipher}`.
    #[must_use]
    pub fn parse(value: &'a str) -> Option<Self> {
        value.strip_prefix(PREFIX).map(Self::parse_pairs)
    }

    /// Takes apart what stands behind `{cipher}`, or the body of a request to `/encrypt` or `/decrypt`.
    #[must_use]
    pub fn parse_pairs(text: &'a str) -> Self {
        let (prefix, rest) = match text.split_once(ESCAPE) {
            Some((prefix, rest)) => (prefix, rest),
            None => (text, behind_pairs(text)),
        };
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        let mut left = prefix;
        while let Some((token, right)) = left.split_once('}') {
            left = right;
            let Some(pair) = token.trim_start().strip_prefix('{') else { continue };
            let (name, value) = match pair.split_once(':') {
                Some((name, value)) if !value.is_empty() => (name, value),
                _ => (pair, ""),
            };
            match pairs.iter_mut().find(|(known, _)| *known == name) {
                Some(pair) => pair.1 = value,
                None => pairs.push((name, value)),
            }
        }
        Self { pairs, rest }
    }

    /// The alias of the key in a key store.
    #[must_use]
    pub fn key(&self) -> Option<&'a str> {
        self.pair("key")
    }

    /// The password of that key.
    #[must_use]
    pub fn secret(&self) -> Option<&'a str> {
        self.pair("secret")
    }

    /// All pairs in order, the last value of a repeated name.
    #[must_use]
    pub fn pairs(&self) -> &[(&'a str, &'a str)] {
        &self.pairs
    }

    /// The cipher text without white space around it: a YAML block scalar ends in a line break (D-13).
    #[must_use]
    pub fn cipher_text(&self) -> &'a str {
        self.rest.trim_ascii()
    }

    /// The cipher text as it stands, as the Config Server takes it.
    #[must_use]
    pub fn raw_cipher_text(&self) -> &'a str {
        self.rest
    }

    fn pair(&self, name: &str) -> Option<&'a str> {
        self.pairs.iter().find(|(known, value)| *known == name && !value.is_empty()).map(|(_, value)| *value)
    }
}

impl std::fmt::Debug for CipherValue<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CipherValue").field("key", &self.key()).finish_non_exhaustive()
    }
}

/// What stands behind as many leading `{..:..}` as there are. The first colon and the first closing brace behind it
/// end one, so a brace pair without a colon belongs to the next one that has one, as in Spring's pattern.
fn behind_pairs(text: &str) -> &str {
    let mut rest = text;
    while rest.starts_with('{') {
        let line = &rest[..rest.find(['\n', '\r']).unwrap_or(rest.len())];
        let Some(colon) = line.find(':') else { break };
        let Some(brace) = line[colon..].find('}') else { break };
        rest = &rest[colon + brace + 1..];
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_found_as_spring_finds_them() {
        type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
        let table: &[Row<'_>] = &[
            ("{key:k1}{secret:s1}abc", &[("key", "k1"), ("secret", "s1")], "abc"),
            ("{secret:a:b}abc", &[("secret", "a:b")], "abc"),
            ("{key:}abc", &[("key:", "")], "abc"),
            ("{key}abc", &[("key", "")], "{key}abc"),
            ("{plain}{key:x}abc", &[], "{key:x}abc"),
            ("{key:k}{plain}{a:b}c", &[("key", "k")], "{a:b}c"),
            ("{name:app}{key:k}abc", &[("name", "app"), ("key", "k")], "abc"),
            ("{key:k}ab}c", &[("key", "k")], "ab}c"),
            ("te}xt", &[], "te}xt"),
            ("{ key : k }abc", &[(" key ", " k ")], "abc"),
            ("", &[], ""),
            ("{", &[], "{"),
            ("{:", &[], "{:"),
            ("{:}", &[(":", "")], ""),
        ];
        for (text, pairs, rest) in table {
            let value = CipherValue::parse_pairs(text);
            assert_eq!(value.pairs(), *pairs, "{text}");
            assert_eq!(value.raw_cipher_text(), *rest, "{text}");
        }
    }

    #[test]
    fn only_the_exact_prefix_marks_a_cipher() {
        for text in [" {cipher}x", "{CIPHER}x", "{cipher", "x{cipher}"] {
            assert_eq!(CipherValue::parse(text), None, "{text}");
        }
        assert_eq!(CipherValue::parse("{cipher}").unwrap().cipher_text(), "");
    }

    #[test]
    fn white_space_around_the_cipher_text_is_ignored() {
        let value = CipherValue::parse("{cipher}{key:k} 0c76\n").unwrap();
        assert_eq!((value.cipher_text(), value.raw_cipher_text()), ("0c76", " 0c76\n"));
    }

    #[test]
    fn debug_shows_no_secret_and_no_text() {
        let shown = format!("{:?}", CipherValue::parse("{cipher}{key:k}{secret:hunter2}0c76").unwrap());
        assert!(shown.contains("\"k\"") && !shown.contains("hunter2") && !shown.contains("0c76"), "{shown}");
    }
}
