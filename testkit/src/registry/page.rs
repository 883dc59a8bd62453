//! What the registry shows to people and to probes.

use std::fmt::Write;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};

use super::state::State;

/// `/`: who is registered, as a table for browsers and as lines for everybody else.
pub(super) fn instances(state: &mut State, parts: &Parts) -> Response<Bytes> {
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return page(StatusCode::METHOD_NOT_ALLOWED, "text/plain;charset=UTF-8", String::new());
    }
    let now = state.catch_up();
    let preserving = state.leases.preserving(now);
    let threshold = state.leases.threshold();
    let instances = state.instances();
    let html = parts
        .headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    let mut out = String::new();
    // Writing to a `String` cannot fail, so the results tell nothing.
    if html {
        let _ =
            write!(out, "<!doctype html><meta charset=\"utf-8\"><title>Registry</title><h1>Registered instances</h1>");
        if preserving {
            let _ =
                write!(out, "<p>Self-preservation: fewer than {threshold} heartbeats a minute, nobody is evicted.</p>");
        }
        let _ = write!(out, "<table><tr><th>Application<th>Status<th>Instance<th>Address</tr>");
        for one in &instances {
            let (app, id, host) = (escape(&one.app), escape(&one.id), escape(&one.host));
            let _ = write!(out, "<tr><td>{app}<td>{}<td>{id}<td>{host}:{}</tr>", one.status, one.port);
        }
        let _ = write!(out, "</table>");
        return page(StatusCode::OK, "text/html;charset=UTF-8", out);
    }
    for one in &instances {
        let _ = writeln!(out, "{} {} {} {}:{}", one.app, one.status, one.id, one.host, one.port);
    }
    page(StatusCode::OK, "text/plain;charset=UTF-8", out)
}

/// `/actuator/health`.
pub(super) fn health() -> Response<Bytes> {
    page(StatusCode::OK, "application/json", r#"{"status":"UP"}"#.to_owned())
}

fn page(status: StatusCode, content_type: &'static str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
