//! Our log beside the recorded one.

use crate::case::Case;
use crate::{Observed, same_line};

/// The headers of spec 4.5.
const HIDDEN: [&str; 14] = [
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

/// The query pairs of spec 4.5.
const HIDDEN_PAIRS: [&str; 14] = [
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

/// Bodies in the log are cut there (spec 4.4).
const MAX_LOGGED: usize = 65_536;

/// The text with the values of secret query pairs hidden.
pub(crate) fn without_secrets(text: &str) -> String {
    let Some((start, query)) = text.split_once('?') else { return text.to_owned() };
    let end = query.find([' ', ']']).unwrap_or(query.len());
    let pairs = query[..end].split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if HIDDEN_PAIRS.contains(&name.to_lowercase().as_str()) => format!("{name}=<hidden>"),
        _ => pair.to_owned(),
    });
    format!("{start}?{}{}", pairs.collect::<Vec<_>>().join("&"), &query[end..])
}

/// Whether the log, without its first `skipped` lines, is the recorded one but for what must be hidden; true if
/// something was.
pub(crate) fn compare(case: &Case, observed: &Observed, skipped: usize) -> Result<bool, String> {
    let mut redacted = false;
    let mut expected: Vec<String> = case.expect_log.iter().map(|line| observed.ports.fill(line)).collect();
    for line in &mut expected {
        if let Some((name, _)) = line.clone().split_once(": ")
            && let Some(header) = name.split("] ").nth(1)
            && HIDDEN.contains(&header.to_lowercase().as_str())
        {
            *line = format!("{name}: <hidden>");
            redacted = true;
        }
        if line.contains("] ---> ") && without_secrets(line) != *line {
            *line = without_secrets(line);
            redacted = true;
        }
        if let Some((prefix, body)) = line.clone().split_once("] ")
            && body.len() > MAX_LOGGED
        {
            let cut = (0..=MAX_LOGGED).rev().find(|at| body.is_char_boundary(*at)).unwrap_or(0);
            *line = format!("{prefix}] {} ... ({} bytes)", &body[..cut], body.len());
            redacted = true;
        }
    }
    let same = expected.len() == observed.log.len()
        && expected
            .iter()
            .zip(&observed.log)
            .skip(skipped)
            .all(|(expected, ours)| line_matches(expected, ours) || same_line(case, ours, expected));
    if same { Ok(redacted) } else { Err(format!("log {:#?} instead of {expected:#?}", observed.log)) }
}

/// `${ms}` is any number, `${stack}` the rest.
fn line_matches(expected: &str, ours: &str) -> bool {
    if let Some((start, _)) = expected.split_once("${stack}") {
        return ours.starts_with(start);
    }
    match expected.split_once("${ms}") {
        None => expected == ours,
        Some((start, end)) => ours
            .strip_prefix(start)
            .and_then(|rest| rest.strip_suffix(end))
            .is_some_and(|ms| !ms.is_empty() && ms.bytes().all(|byte| byte.is_ascii_digit())),
    }
}
