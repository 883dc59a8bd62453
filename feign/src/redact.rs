//! What must not be shown in logs and messages.

use std::fmt::Write as _;

use http::{HeaderName, HeaderValue, Uri};

/// Stands where something was hidden (Quarkus' word for it).
const HIDDEN: &str = "<hidden>";

const HEADERS: [&str; 14] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "api-key",
    "apikey",
    "x-auth-token",
    "x-access-token",
    "x-csrf-token",
    "x-xsrf-token",
    "x-config-token",
    "x-vault-token",
    "x-amz-security-token",
];

const QUERY: [&str; 14] = [
    "access_token",
    "token",
    "id_token",
    "refresh_token",
    "password",
    "passwd",
    "secret",
    "client_secret",
    "api_key",
    "apikey",
    "key",
    "sig",
    "signature",
    "code",
];

/// Which headers and query values are hidden.
#[derive(Debug, Clone, Default)]
pub(crate) struct Redact {
    /// Hide nothing.
    pub(crate) off: bool,
    /// More names of headers, lower case.
    pub(crate) headers: Vec<String>,
    /// More names of query pairs, lower case.
    pub(crate) query: Vec<String>,
}

impl Redact {
    /// The value as it may be shown.
    pub(crate) fn header<'a>(&self, name: &HeaderName, value: &'a HeaderValue) -> std::borrow::Cow<'a, str> {
        let name = name.as_str();
        let listed = HEADERS.contains(&name) || self.headers.iter().any(|extra| extra == name);
        if !self.off && (listed || value.is_sensitive()) {
            return HIDDEN.into();
        }
        String::from_utf8_lossy(value.as_bytes())
    }

    /// The URI as it may be shown: without user info, secret query values hidden.
    pub(crate) fn uri(&self, uri: &Uri) -> String {
        let mut out = String::with_capacity(64);
        if let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) {
            let host = authority.as_str();
            let shown = if self.off { host } else { host.rsplit_once('@').map_or(host, |(_, host)| host) };
            let _ = write!(out, "{scheme}://{shown}");
        }
        out.push_str(uri.path());
        let Some(query) = uri.query() else { return out };
        for (position, pair) in query.split('&').enumerate() {
            out.push(if position == 0 { '?' } else { '&' });
            match pair.split_once('=') {
                Some((name, _)) if self.hides_query(name) => {
                    let _ = write!(out, "{name}={HIDDEN}");
                }
                _ => out.push_str(pair),
            }
        }
        out
    }

    fn hides_query(&self, name: &str) -> bool {
        !self.off
            && (QUERY.iter().any(|secret| name.eq_ignore_ascii_case(secret))
                || self.query.iter().any(|secret| name.eq_ignore_ascii_case(secret)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_info_and_secret_query_values_are_hidden() {
        let redact = Redact { query: vec!["pin".to_owned()], ..Redact::default() };
        let uri = "http://u:p@h:1/x?token=abc&q=1&flag&PIN=2".parse().unwrap();
        assert_eq!(redact.uri(&uri), "http://h:1/x?token=<hidden>&q=1&flag&PIN=<hidden>");
    }
}
