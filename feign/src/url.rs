//! The part of a URL that a client gives to all its methods.

use std::borrow::Cow;

use http::uri::{Authority, Scheme};

use crate::encode;
use crate::error::{Error, ErrorKind, Result};

/// Scheme, host, and what goes before and after the path of a method. Joining is concatenation, as in Feign; a URL
/// type would change the host (`ORDER_SERVICE`) and drop the path.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    pub(crate) scheme: Scheme,
    pub(crate) authority: Authority,
    /// Encoded; empty, or begins with `/`.
    pub(crate) prefix: String,
    /// Encoded; goes after the query of the method.
    pub(crate) query: Option<String>,
    /// Whether the host is a service's name.
    pub(crate) balanced: bool,
}

impl Base {
    /// Reads a base URL; `http://` is put in front of one without a scheme.
    ///
    /// # Errors
    ///
    /// If the scheme is neither `http` nor `https`, or the host is not valid.
    pub(crate) fn parse(text: &str, balanced: bool) -> Result<Self> {
        let mut base = Self::parse_whole(text, balanced)?;
        if base.prefix.ends_with('/') {
            base.prefix.pop();
        }
        Ok(base)
    }

    /// The same for a URL that is complete: its path keeps its end.
    ///
    /// # Errors
    ///
    /// As for [`parse`](Self::parse).
    pub(crate) fn parse_whole(text: &str, balanced: bool) -> Result<Self> {
        let text = text.trim();
        let invalid =
            |reason: &str| Error::new(ErrorKind::InvalidUrl, format!("invalid URL `{}`: {reason}", shown(text)));
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Scheme::HTTP, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Scheme::HTTPS, rest),
            Some(_) => return Err(invalid("the scheme is neither `http` nor `https`")),
            None => (Scheme::HTTP, text),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.is_empty() {
            return Err(invalid("it has no host"));
        }
        let authority = Authority::try_from(authority).map_err(|_| invalid("the host is not valid"))?;
        let query = query.filter(|query| !query.is_empty()).map(literal);
        Ok(Self { scheme, authority, prefix: literal(path), query, balanced })
    }

    /// The same with the client's `path` behind: trimmed, with one `/` in front and none at its end.
    pub(crate) fn with_path(mut self, path: &str) -> Self {
        let path = path.trim();
        let path = path.strip_suffix('/').unwrap_or(path);
        if !path.is_empty() {
            if !path.starts_with('/') {
                self.prefix.push('/');
            }
            self.prefix.push_str(&literal(path));
        }
        self
    }
}

fn literal(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    encode::push_literal(&mut out, text);
    String::from_utf8_lossy(&out).into_owned()
}

/// The text without user info and query, for messages.
fn shown(text: &str) -> Cow<'_, str> {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}").into(),
        (None, Some((_, host))) => host.into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(url: &str, path: &str) -> String {
        let base = Base::parse(url, false).unwrap().with_path(path);
        format!("{}://{}{} {:?}", base.scheme, base.authority, base.prefix, base.query)
    }

    #[test]
    fn bases_are_normalised_without_touching_the_host() {
        assert_eq!(joined("http://ORDER_SERVICE", ""), "http://ORDER_SERVICE None");
        assert_eq!(joined("http://h:1/ctx/", ""), "http://h:1/ctx None");
        assert_eq!(joined("h:1/ctx?tok=1", "api/v 1/"), "http://h:1/ctx/api/v%201 Some(\"tok=1\")");
    }

    #[test]
    fn a_bad_url_is_shown_without_its_password() {
        let error = Base::parse("ftp://u:letmein@h/?token=letmein", false).unwrap_err().to_string();
        assert_eq!(error, "invalid URL `ftp://h/`: the scheme is neither `http` nor `https`");
        assert!(Base::parse("http:///x", false).is_err());
        assert!(Base::parse("http://a b/", false).is_err());
    }
}
