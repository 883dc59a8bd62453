//! Asks config servers: labels times URIs, with retries.

pub(crate) mod options;
pub(crate) mod retry;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use http::{Request, Response, StatusCode, Uri};
use vernal_commons::endpoints::Endpoint;
use vernal_commons::http::{Body, ReadError, ReqwestTransport, SharedTransport, TransportErrorKind, TransportOptions};

use crate::environment::{Environment, MAX_BYTES};
use crate::error::{Attempt, Error, ServerError, ServerErrorKind};
use crate::request;
use options::{ClientOptions, Strategy};

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;
/// How much of an error body is read.
const MAX_ERROR_BODY: usize = 64 << 10;
/// How much of a server's message is shown, in characters.
const MAX_MESSAGE: usize = 200;
/// How much longer than the limit for an answer the transport waits.
const GRACE: Duration = Duration::from_secs(1);
/// Stands for "no limit" where a limit must be given.
const UNLIMITED: Duration = Duration::from_secs(365 * 24 * 3600);

/// The transport that the options ask for, when the program gives none.
pub(crate) fn default_transport(options: &ClientOptions) -> Result<SharedTransport, Error> {
    let mut transport = TransportOptions::default();
    transport.connect_timeout = options.connect_timeout.unwrap_or(UNLIMITED);
    // The limit is kept here, too, where it is known what was waited for.
    transport.read_timeout = options.read_timeout.map_or(UNLIMITED, |limit| limit.saturating_add(GRACE));
    ReqwestTransport::with_options(&transport)
        .map(SharedTransport::new)
        .map_err(|error| Error::Transport { source: std::sync::Arc::new(error) })
}

/// Loads the environment for `profiles`, repeating a failed load as the options say.
///
/// # Cancel safety
///
/// A dropped future abandons the request under way and leaves nothing behind.
pub(crate) async fn fetch(
    transport: &SharedTransport,
    options: &ClientOptions,
    profiles: &str,
) -> Result<Environment, Error> {
    let attempts = if options.retries()? { options.retry.max_attempts } else { 1 };
    let mut sleeps = options.retry.sleeps();
    let mut attempt = 1;
    loop {
        let error = match load(transport, options, profiles).await {
            Ok(environment) => return Ok(environment),
            Err(error) => error,
        };
        if attempt >= attempts || !error.is_retryable() {
            return Err(error);
        }
        let sleep = sleeps.after(error.server().and_then(ServerError::retry_after));
        tracing::warn!(
            attempt,
            of = attempts,
            sleep_ms = u64::try_from(sleep.as_millis()).unwrap_or(u64::MAX),
            error = %error,
            "config server gave no settings, trying again"
        );
        tokio::time::sleep(sleep).await;
        attempt += 1;
    }
}

/// One load: every label is tried on every URI, as far as the strategy says (config.md 2.4).
async fn load(transport: &SharedTransport, options: &ClientOptions, profiles: &str) -> Result<Environment, Error> {
    let mut attempts = Vec::new();
    let mut fatal = None;
    'labels: for label in &options.labels {
        let path = request::path(&options.name, options.profiles(profiles), label.as_deref())?;
        for (position, endpoint) in options.uris.iter().enumerate() {
            let refused = match ask(transport, options, endpoint, &path).await? {
                Ok(environment) => return Ok(environment),
                Err(refused) => refused,
            };
            tracing::debug!(url = refused.attempt.url, outcome = refused.attempt.outcome, "no settings from here");
            let next = refused.next;
            attempts.push(refused.attempt);
            fatal = fatal.or(refused.fatal);
            let more = position + 1 < options.uris.len();
            match next {
                Next::Io if more => {}
                Next::Status | Next::NoLabel if more && options.strategy == Strategy::Always => {}
                Next::NoLabel => continue 'labels,
                Next::Io | Next::Status => break 'labels,
            }
        }
    }
    Err(fatal.map_or_else(|| ServerError::new(attempts).into(), |fatal| *fatal))
}

/// Why one request gave no settings, and where to go from there.
struct Refused {
    attempt: Attempt,
    next: Next,
    /// What ends the load, without another attempt, unless another server has settings.
    fatal: Option<Box<Error>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// No answer: the next URI whatever the strategy.
    Io,
    /// A failure of this server: the next URI if the strategy says so, else the load ends.
    Status,
    /// This server does not know the label: the next URI if the strategy says so, else the next label.
    NoLabel,
}

/// One request with its redirects. The outer error is one of the settings and ends the load.
async fn ask(
    transport: &SharedTransport,
    options: &ClientOptions,
    endpoint: &Endpoint,
    path: &str,
) -> Result<Result<Environment, Refused>, Error> {
    let mut request = request::build(endpoint, path, options)?;
    let has_credentials =
        request.headers().contains_key(AUTHORIZATION) || request.headers().contains_key("x-config-token");
    for _ in 0..=MAX_REDIRECTS {
        let url = request.uri().to_string();
        let repeat = (request.uri().clone(), request.headers().clone());
        let refuse = |kind, next, status: Option<StatusCode>, outcome: String| {
            let status = status.map(|status| status.as_u16());
            let attempt =
                Attempt { url: url.clone(), outcome, kind, status, retry_after: None, credentials: has_credentials };
            Ok(Err(Refused { attempt, next, fatal: None }))
        };
        let response = match limited(options.read_timeout, transport.send(request)).await {
            None => {
                let limit = options.read_timeout.unwrap_or_default();
                return refuse(
                    ServerErrorKind::Unreachable,
                    Next::Io,
                    None,
                    format!("did not answer within {limit:?}"),
                );
            }
            // Such as `https://` without TLS: another server may do better, a later attempt will not.
            Some(Err(error)) if error.kind() == TransportErrorKind::Request => {
                let fatal = Error::Setting {
                    key: "spring.cloud.config.uri".to_owned(),
                    origin: None,
                    expected: format!("the URL of a config server, but `{url}` {}", describe(&error)),
                };
                let refused = refuse(ServerErrorKind::Unreachable, Next::Io, None, describe(&error));
                return refused
                    .map(|refused| refused.map_err(|refused| Refused { fatal: Some(Box::new(fatal)), ..refused }));
            }
            Some(Err(error)) => {
                return refuse(ServerErrorKind::Unreachable, Next::Io, None, describe(&error));
            }
            Some(Ok(response)) => response,
        };
        let status = response.status();
        if matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
            && let Some(target) = target(&repeat.0, response.headers())
        {
            // Spring Security appends `;jsessionid=..`.
            if target.path().split(';').next().is_some_and(|path| path.ends_with("/login")) {
                let outcome = format!("redirects to the login page `{}`", without_query(&target));
                return refuse(ServerErrorKind::Unauthorized, Next::Status, Some(status), outcome);
            }
            let same = same_origin(&repeat.0, &target);
            if !same && (has_credentials || (is_https(&repeat.0) && !is_https(&target))) {
                // Deviation D-23: Java forwards `X-Config-Token` to the other origin.
                let outcome = format!(
                    "redirects to `{}`, another origin, which must not get the credentials",
                    without_query(&target)
                );
                return refuse(ServerErrorKind::ServerError, Next::Status, Some(status), outcome);
            }
            request = Request::new(Body::empty());
            *request.uri_mut() = target;
            *request.headers_mut() = repeat.1;
            continue;
        }
        let answer = read(response, &url, options.read_timeout).await;
        return Ok(answer.map_err(|mut refused| {
            refused.attempt.credentials = has_credentials;
            refused
        }));
    }
    let attempt = Attempt {
        url: format!("{endpoint}{path}"),
        outcome: format!("redirects more than {MAX_REDIRECTS} times"),
        kind: ServerErrorKind::ServerError,
        status: None,
        retry_after: None,
        credentials: has_credentials,
    };
    Ok(Err(Refused { attempt, next: Next::Status, fatal: None }))
}

/// The environment in an answer that is no redirect.
async fn read(response: Response<Body>, url: &str, limit: Option<Duration>) -> Result<Environment, Refused> {
    let status = response.status();
    let (parts, body) = response.into_parts();
    let content_type = header_text(&parts.headers, CONTENT_TYPE.as_str());
    let refused = |kind, next, outcome: String| {
        let retry_after = header_text(&parts.headers, RETRY_AFTER.as_str()).and_then(|text| text.trim().parse().ok());
        let attempt = Attempt {
            url: url.to_owned(),
            outcome,
            kind,
            status: Some(status.as_u16()),
            retry_after,
            credentials: false,
        };
        Err(Refused { attempt, next, fatal: None })
    };
    if status != StatusCode::OK {
        let (kind, next) = match status.as_u16() {
            404 => (ServerErrorKind::LabelNotFound, Next::NoLabel),
            401 | 403 => (ServerErrorKind::Unauthorized, Next::Status),
            400..=499 => (ServerErrorKind::BadRequest, Next::Status),
            500..=599 => (ServerErrorKind::ServerError, Next::Status),
            // Anything else says nothing about the settings: Java goes on with the next label.
            _ => (ServerErrorKind::ServerError, Next::NoLabel),
        };
        let message = match limited(limit, body.read(MAX_ERROR_BODY)).await {
            Some(Ok(bytes)) => server_message(content_type.as_deref(), &bytes),
            _ => None,
        };
        let message = message.map(|message| format!(": {message}")).unwrap_or_default();
        return refused(kind, next, format!("answered {status}{message}"));
    }
    let bytes = match limited(limit, body.read(MAX_BYTES)).await {
        Some(Ok(bytes)) => bytes,
        Some(Err(ReadError::TooLarge { limit })) => {
            let outcome = format!("answered with more than {limit} bytes{}", expected(content_type.as_deref()));
            return refused(ServerErrorKind::BadPayload, Next::Status, outcome);
        }
        Some(Err(_)) => {
            let outcome = "broke off in the middle of its answer".to_owned();
            return refused(ServerErrorKind::Unreachable, Next::Io, outcome);
        }
        None => {
            let outcome = format!("did not finish its answer within {:?}", limit.unwrap_or_default());
            return refused(ServerErrorKind::Unreachable, Next::Io, outcome);
        }
    };
    if matches!(bytes.trim_ascii(), b"" | b"null") {
        let outcome = format!("answered {status} without a body{}", expected(content_type.as_deref()));
        return refused(ServerErrorKind::BadPayload, Next::NoLabel, outcome);
    }
    let parsed = decode(content_type.as_deref(), &bytes).and_then(|text| {
        Environment::parse(&text).map_err(|error| {
            // The text of the error may quote a value of a document that is nearly right.
            if text.trim_start().starts_with('<') {
                format!("it begins with `{}`", snippet(&text, 60))
            } else {
                format!("it is no such JSON at line {} column {}", error.line(), error.column())
            }
        })
    });
    parsed.or_else(|reason| {
        // Deviation D-6: Java gives up here, another server may do better.
        let outcome = format!("answered with something else{}: {reason}", expected(content_type.as_deref()));
        refused(ServerErrorKind::BadPayload, Next::Status, outcome)
    })
}

fn expected(content_type: Option<&str>) -> String {
    let found = content_type.map_or_else(|| "no content type".to_owned(), |text| format!("content type `{text}`"));
    format!(" ({found}), expected an environment document in JSON")
}

/// The text of a body: ISO-8859-1 if the answer says so, UTF-8 otherwise.
fn decode(content_type: Option<&str>, bytes: &Bytes) -> Result<String, String> {
    let charset = content_type.and_then(|text| {
        let parameter = text.split(';').skip(1).find_map(|part| part.trim().strip_prefix("charset="))?;
        Some(parameter.trim_matches('"').to_ascii_lowercase())
    });
    match charset.as_deref() {
        Some("iso-8859-1" | "latin1" | "us-ascii") => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
        _ => String::from_utf8(bytes.to_vec())
            .map_err(|error| format!("it is not UTF-8 at byte {}", error.utf8_error().valid_up_to())),
    }
}

/// What Boot's error document says, or the beginning of an HTML page.
fn server_message(content_type: Option<&str>, bytes: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct ErrorBody {
        message: Option<String>,
        description: Option<String>,
        error: Option<String>,
    }
    if !content_type?.contains("json") {
        return None;
    }
    let body: ErrorBody = serde_json::from_slice(bytes).ok()?;
    let message = body.message.or(body.description).or(body.error).filter(|message| !message.trim().is_empty())?;
    Some(snippet(&message, MAX_MESSAGE))
}

fn snippet(text: &str, length: usize) -> String {
    let line: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(length + 1).collect();
    if line.chars().count() <= length {
        return line;
    }
    line.chars().take(length).chain(['…']).collect()
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    Some(snippet(text, MAX_MESSAGE))
}

fn describe(error: &vernal_commons::http::TransportError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    // The innermost cause is the one that tells (`failed to lookup address`, `Connection refused`).
    while let Some(inner) = cause {
        cause = inner.source();
        if cause.is_none() {
            text = format!("{text} ({})", snippet(&inner.to_string(), MAX_MESSAGE));
        }
    }
    format!("gave no answer: {text}")
}

async fn limited<F: Future>(limit: Option<Duration>, future: F) -> Option<F::Output> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}

/// The absolute target of a redirect.
fn target(from: &Uri, headers: &HeaderMap) -> Option<Uri> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let absolute = if location.starts_with('/') && !location.starts_with("//") {
        format!("{}://{}{location}", from.scheme_str()?, from.authority()?)
    } else {
        location.to_owned()
    };
    absolute.parse::<Uri>().ok().filter(|uri| uri.scheme().is_some() && uri.authority().is_some())
}

fn same_origin(one: &Uri, other: &Uri) -> bool {
    one.scheme() == other.scheme()
        && one.authority().map(|a| a.as_str().to_ascii_lowercase())
            == other.authority().map(|a| a.as_str().to_ascii_lowercase())
}

fn is_https(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

/// A URL of another's making may hold a token or credentials.
fn without_query(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let path = uri.path().split(';').next().unwrap_or_default();
    format!("{}://{host}{path}", uri.scheme_str().unwrap_or_default())
}
