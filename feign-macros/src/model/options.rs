//! Named arguments of one attribute, and the wording for names that do not exist.

use proc_macro2::Span;
use syn::{Ident, LitStr};

use super::Errors;
use crate::parse::{Argument, Arguments};

/// The names that one attribute, or one position for attributes, knows.
pub(crate) struct Vocabulary {
    /// What the names belong to, for messages: "option of `#[get]`".
    pub(crate) what: &'static str,
    pub(crate) known: &'static [&'static str],
    /// Names of Feign, Spring or our own plans that do not exist here, each with what to do instead.
    pub(crate) refused: &'static [(&'static str, &'static str)],
}

/// The arguments of one attribute, checked against its vocabulary: every name known and given once.
pub(crate) struct Options {
    named: Vec<Argument>,
}

// ===== impl Vocabulary =====

impl Vocabulary {
    /// The error for a name that is not known.
    pub(crate) fn unknown(&self, name: &Ident) -> syn::Error {
        let text = name.to_string();
        let what = self.what;
        let message = if let Some((_, instead)) = self.refused.iter().find(|(refused, _)| *refused == text) {
            format!("`{text}` is not supported: {instead}")
        } else if let Some(close) = self.closest(&text) {
            format!("unknown {what} `{text}`: did you mean `{close}`?")
        } else {
            format!("unknown {what} `{text}`: write one of `{}`", self.known.join("`, `"))
        };
        syn::Error::new(name.span(), message)
    }

    pub(crate) fn knows(&self, name: &str) -> bool {
        self.known.contains(&name)
    }

    pub(crate) fn refuses(&self, name: &str) -> bool {
        self.refused.iter().any(|(refused, _)| *refused == name)
    }

    /// The known name that `text` was probably meant to be.
    pub(crate) fn closest(&self, text: &str) -> Option<&'static str> {
        self.known
            .iter()
            .map(|known| (distance(text, known), *known))
            .filter(|(distance, known)| *distance <= (known.len() / 3).max(1))
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, known)| known)
    }
}

// ===== impl Options =====

impl Options {
    /// Checks the names, and that at most `positional` texts stand without a name. The first of them is returned.
    pub(crate) fn read(
        arguments: Arguments,
        vocabulary: &Vocabulary,
        positional: usize,
        errors: &mut Errors,
    ) -> (Self, Option<LitStr>) {
        let mut named: Vec<Argument> = Vec::new();
        for argument in arguments.named {
            if !vocabulary.knows(&argument.name.to_string()) {
                errors.push(vocabulary.unknown(&argument.name));
            } else if named.iter().any(|earlier| earlier.name == argument.name) {
                errors.at(&argument.name, format!("`{}` is given twice: remove one", argument.name));
            } else {
                named.push(argument);
            }
        }
        for extra in arguments.positional.iter().skip(positional) {
            let known = vocabulary.known.join("`, `");
            errors.at(extra, format!("unexpected text: name it, the options here are `{known}`"));
        }
        (Self { named }, arguments.positional.into_iter().take(positional).next())
    }

    /// The argument `name`, if given.
    pub(crate) fn get(&self, name: &str) -> Option<&Argument> {
        self.named.iter().find(|argument| argument.name == name)
    }

    /// Reads the argument `name` with `read`; a value of the wrong form is recorded and counts as absent.
    pub(crate) fn read_with<T>(
        &self,
        name: &str,
        errors: &mut Errors,
        read: impl FnOnce(&Argument) -> syn::Result<T>,
    ) -> Option<T> {
        self.get(name).and_then(|argument| errors.keep(read(argument)))
    }

    /// The argument `name` as text.
    pub(crate) fn text(&self, name: &str, errors: &mut Errors) -> Option<LitStr> {
        self.read_with(name, errors, |argument| argument.text().cloned())
    }

    /// The argument `name` as a list of texts, empty if absent.
    pub(crate) fn texts(&self, name: &str, errors: &mut Errors) -> Vec<LitStr> {
        self.read_with(name, errors, Argument::texts).unwrap_or_default()
    }

    /// The argument `name` as a switch.
    pub(crate) fn switch(&self, name: &str, errors: &mut Errors) -> Option<bool> {
        self.read_with(name, errors, Argument::switch)
    }

    /// Where `name` was given.
    pub(crate) fn span(&self, name: &str) -> Option<Span> {
        self.get(name).map(|argument| argument.name.span())
    }
}

/// Edits between two words; swapping neighbours is one edit.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for i in 0..=left.len() {
        for j in 0..=right.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
                let edited = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                    edited.min(rows[i - 2][j - 2] + 1)
                } else {
                    edited
                }
            };
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swapped_neighbours_count_once() {
        assert_eq!(distance("gte", "get"), 1);
        assert_eq!(distance("quer", "query"), 1);
        assert_eq!(distance("", "get"), 3);
    }

    #[test]
    fn far_words_are_not_suggested() {
        let verbs = Vocabulary { what: "verb", known: &["get", "post"], refused: &[] };
        assert_eq!(verbs.closest("gett"), Some("get"));
        assert_eq!(verbs.closest("instrument"), None);
    }
}
