//! Feign's messages: people and log parsers of the estate know them.

use std::borrow::Cow;
use std::fmt::Write as _;

use vernal_commons::http::{TransportError, TransportErrorKind};

use crate::charset::text_of;
use crate::exchange::{ErrorResponse, RequestContext};

/// Bodies below this length are shown whole (feign-core 13.6 `FeignException.getBodyAsString`).
const SHOWN_WHOLE_BELOW: usize = 400;
/// Of longer ones, this many characters.
const SHOWN_CHARS: usize = 200;

/// The message of a status (feign-core 13.6 `FeignException`).
pub(crate) fn status_message(request: &RequestContext, response: &ErrorResponse) -> String {
    let mut out = String::with_capacity(128);
    let status = response.status.as_u16();
    let _ = match &response.reason {
        Some(reason) => write!(out, "[{status} {reason}]"),
        None => write!(out, "[{status}]"),
    };
    let _ = write!(out, " during [{}] to [{}] [{}]: [", request.method, request.url, request.method_key);
    let body = text_of(&response.headers, &response.body);
    if response.body.len() < SHOWN_WHOLE_BELOW {
        out.push_str(&body);
    } else {
        // Java counts UTF-16 units.
        let mut units = 0;
        out.extend(body.chars().take_while(|c| {
            units += c.len_utf16();
            units <= SHOWN_CHARS
        }));
        let _ = write!(out, "... ({} bytes)", response.body.len());
    }
    out.push(']');
    out
}

/// The text of Spring's synthetic 503, which ours replaces by an error of its own.
pub(crate) fn no_instance_text(service: &str) -> String {
    format!("Load balancer does not contain an instance for the service {service}")
}

/// The simple name of the exception that the JDK's transport throws for the failure of a request to `host`, and its
/// message: log parsers of the estate know these texts.
pub(crate) fn java_error(error: &TransportError, host: &str) -> (&'static str, Cow<'static, str>) {
    let io = error.io_error().map(std::io::Error::kind);
    match error.kind() {
        TransportErrorKind::ConnectTimeout => ("SocketTimeoutException", "Connect timed out".into()),
        TransportErrorKind::Timeout => ("SocketTimeoutException", "Read timed out".into()),
        TransportErrorKind::Connect if io == Some(std::io::ErrorKind::ConnectionRefused) => {
            ("ConnectException", "Connection refused".into())
        }
        TransportErrorKind::Io if io == Some(std::io::ErrorKind::ConnectionReset) => {
            ("SocketException", "Connection reset".into())
        }
        TransportErrorKind::Io if chain_says(error, "connection closed before message completed") => {
            ("SocketException", "Unexpected end of file from server".into())
        }
        TransportErrorKind::Connect if chain_says(error, "dns error") => {
            ("UnknownHostException", host.to_owned().into())
        }
        TransportErrorKind::Connect if io.is_some() => ("ConnectException", innermost(error)),
        _ => ("IOException", innermost(error)),
    }
}

fn chain_says(error: &TransportError, text: &str) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if inner.to_string().contains(text) {
            return true;
        }
        cause = inner.source();
    }
    false
}

fn innermost(error: &TransportError) -> Cow<'static, str> {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string().into()
}
