//! An error with its causes, for logs and for people: `Display` alone leaves the causes out.

use std::error::Error;
use std::fmt;

/// An error and its causes in one line, joined by `: `.
///
/// ```
/// use vernal_commons::chain::Chain;
///
/// #[derive(Debug, thiserror::Error)]
/// #[error("settings could not be read")]
/// struct Unread(#[source] std::io::Error);
///
/// let error = Unread(std::io::Error::other("disk is gone"));
/// assert_eq!(Chain(&error).to_string(), "settings could not be read: disk is gone");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&causes(self.0).join(": "))
    }
}

/// The texts of an error and its causes, outermost first. Some foreign errors quote their cause; what has been said
/// is not said again.
#[must_use]
pub fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !texts.last().is_some_and(|last| last.ends_with(&text)) {
            texts.push(text);
        }
        cause = error.source();
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        #[source]
        cause: Option<Box<Layer>>,
    }

    #[test]
    fn a_cause_that_was_quoted_is_not_repeated() {
        let layer = |text, cause: Option<Layer>| Layer { text, cause: cause.map(Box::new) };
        let error = layer("outer", Some(layer("io: refused", Some(layer("refused", None)))));
        assert_eq!(Chain(&error).to_string(), "outer: io: refused");
    }
}
