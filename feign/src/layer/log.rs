//! Feign's log lines (feign-core 13.6 `Logger`), letter by letter, on `tracing` at DEBUG.
//!
//! One event per line. What a line shows is the request as the layers above left it, with the service's name;
//! `Content-Length` and others that the transport adds are not in it, except that Feign itself counts the body.

use std::borrow::Cow;
use std::fmt::{self, Display};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use tokio::time::Instant;
use vernal_commons::http::{Body, TransportError, TransportErrorKind};

use super::timeout;
use crate::call_info::{BodyKind, CallInfo};
use crate::exchange::reason;
use crate::level::LogLevel;
use crate::message::java_error;

/// An attempt whose request was logged.
pub(crate) struct Attempt<'a> {
    info: &'a CallInfo,
    method: Method,
    uri: Uri,
    start: Instant,
}

/// A line: the prefix, then the text.
struct Line<'a, T>(&'a str, T);

impl<T: Display> Display for Line<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0, self.1)
    }
}

impl<'a> Attempt<'a> {
    /// Logs the request. `None` if nothing is to be logged: then nothing is formatted and nothing buffered.
    pub(crate) fn begin(info: &'a CallInfo, request: &Request<Body>) -> Option<Self> {
        let level = info.facts().level;
        if level == LogLevel::None {
            return None;
        }
        let log = Self { info, method: request.method().clone(), uri: request.uri().clone(), start: Instant::now() };
        log.line(format_args!("---> {} {} HTTP/1.1", log.method, info.shown(&log.uri)));
        if level >= LogLevel::Headers {
            let body = request.body().in_memory();
            let length = body.as_ref().map_or(0, Bytes::len);
            log.request_headers(request.headers(), length);
            if level == LogLevel::Full && info.facts().body != BodyKind::None {
                log.line("");
                match (info.facts().body, &body) {
                    (BodyKind::Text, Some(body)) => log.body(body),
                    _ => log.line("Binary data"),
                }
            }
            log.line(format_args!("---> END HTTP ({length}-byte body)"));
        }
        Some(log)
    }

    /// Logs how the attempt ended. The body of a response that is logged is in memory afterwards.
    pub(crate) async fn end(
        self,
        result: Result<Response<Body>, TransportError>,
    ) -> Result<Response<Body>, TransportError> {
        let response = match result {
            Ok(response) => response,
            Err(error) => {
                // Errors of ours, such as a service without instances, come without an exchange.
                let host = self.uri.host().unwrap_or_default();
                self.error(java_error(&error, host), &error);
                return Err(error);
            }
        };
        let elapsed = self.start.elapsed().as_millis();
        let shown = version(response.version());
        let status = response.status().as_u16();
        match reason(response.version(), response.status(), response.extensions()) {
            Some(reason) => self.line(format_args!("<--- {shown} {status} {reason} ({elapsed}ms)")),
            None => self.line(format_args!("<--- {shown} {status} ({elapsed}ms)")),
        }
        let level = self.info.facts().level;
        if level < LogLevel::Headers {
            return Ok(response);
        }
        self.response_headers(response.headers());
        if self.info.facts().streamed {
            self.line("<--- END HTTP (streamed body)");
            return Ok(response);
        }
        // 204 and 205 have no body whatever the server sends; Feign does not even print the empty line.
        if matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT) {
            self.line("<--- END HTTP (0-byte body)");
            return Ok(response.map(|_| Body::empty()));
        }
        if level == LogLevel::Full {
            self.line("");
        }
        let (parts, body) = response.into_parts();
        let settings = self.info.settings();
        let bytes = match timeout::read(body, settings.values.max_response, self.info.read_timeout()).await {
            Ok(bytes) => bytes,
            Err(failure) => {
                let error = failure.into_error(self.info.context_of(&self.method, &self.uri), &parts);
                self.error(error.java(), &error);
                // The kind is not looked at: the error inside comes out again at the top.
                return Err(TransportError::with_source(TransportErrorKind::Io, error));
            }
        };
        if level == LogLevel::Full && !bytes.is_empty() {
            self.body(&bytes);
        }
        self.line(format_args!("<--- END HTTP ({}-byte body)", bytes.len()));
        Ok(Response::from_parts(parts, bytes.into()))
    }

    fn line(&self, text: impl Display) {
        self.info.sink().line(&Line(&self.info.plan().log_prefix, text));
    }

    /// Sorted by name without regard to case, in the spelling of the declaration.
    fn request_headers(&self, headers: &HeaderMap, length: usize) {
        let redact = &self.info.settings().values.redact;
        let mut lines: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::with_capacity(headers.len() + 1);
        for (name, value) in headers {
            lines.push((self.spelled(name), redact.header(name, value)));
        }
        if length > 0 && !headers.contains_key(CONTENT_LENGTH) {
            lines.push(("Content-Length".into(), length.to_string().into()));
        }
        lines.sort_by_key(|(name, _)| name.to_ascii_lowercase());
        for (name, value) in lines {
            self.line(format_args!("{name}: {value}"));
        }
    }

    fn spelled(&self, name: &HeaderName) -> Cow<'_, str> {
        let declared = self.info.plan().spelling.iter().find(|(known, _)| known == name);
        if let Some((_, spelled)) = declared {
            return spelled.as_str().into();
        }
        let default = self.info.settings().values.default_headers.iter().find(|default| default.name == *name);
        match default {
            Some(default) => default.spelled.as_str().into(),
            None => title_case(name.as_str()).into(),
        }
    }

    /// Sorted by name; the values of a repeated name last first, as the JDK's transport hands them to Feign.
    fn response_headers(&self, headers: &HeaderMap) {
        let redact = &self.info.settings().values.redact;
        let mut names: Vec<&HeaderName> = headers.keys().collect();
        names.sort_by_key(|name| name.as_str());
        for name in names {
            let values: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
            for value in values.into_iter().rev() {
                self.line(format_args!("{name}: {}", redact.header(name, value)));
            }
        }
    }

    fn body(&self, bytes: &[u8]) {
        let limit = self.info.settings().values.max_logged;
        match std::str::from_utf8(bytes) {
            Ok(text) if text.len() <= limit => self.line(text),
            Ok(text) => {
                let cut = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
                self.line(format_args!("{} ... ({} bytes)", &text[..cut], text.len()));
            }
            Err(_) => self.line("Binary data"),
        }
    }

    fn error(&self, (class, message): (&str, Cow<'_, str>), error: &dyn std::error::Error) {
        let elapsed = self.start.elapsed().as_millis();
        self.line(format_args!("<--- ERROR {class}: {message} ({elapsed}ms)"));
        if self.info.facts().level == LogLevel::Full {
            let package = match class {
                "SSLHandshakeException" => "javax.net.ssl",
                "IOException" => "java.io",
                _ => "java.net",
            };
            self.line(format_args!("{package}.{class}: {message}{}", Causes(error)));
            self.line("<--- END ERROR");
        }
    }
}

/// The chain of causes, in the place of Java's stack trace.
struct Causes<'a>(&'a dyn std::error::Error);

impl Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cause = Some(self.0);
        while let Some(error) = cause {
            write!(f, "\nCaused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// As Feign's default transport prints it: an answer in HTTP/1.0 is shown as 1.1 (fixture `requests/response`).
fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 | Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "UNKNOWN",
    }
}

fn title_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut begins = true;
    for c in name.chars() {
        out.push(if begins { c.to_ascii_uppercase() } else { c });
        begins = c == '-';
    }
    out
}
