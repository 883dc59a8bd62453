//! One request to one answer: paths, methods, content types and errors of a Spring Cloud Eureka server.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use percent_encoding::percent_decode_str;
use vernal_commons::clock;

use super::accept::{Accept, JSON, XML};
use super::leases::{BadTimestamp, Now, Renewal};
use super::payloads::{self, Key};
use super::record::{Record, Status, Undecodable};
use super::state::State;

/// Set by peers only (`PeerEurekaNode.HEADER_REPLICATION`).
const REPLICATION: HeaderName = HeaderName::from_static("x-netflix-discovery-replication");

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
enum Route {
    Apps,
    Delta,
    App(String),
    Instance(String, String),
    Status(String, String),
    Metadata(String, String),
    Anywhere(String),
    Vip(String),
    SecureVip(String),
    Server,
    Asg,
    Unknown,
    /// Tomcat refuses the path before anybody sees it.
    Refused,
}

/// A request with what its headers mean.
#[derive(Debug)]
struct Call<'a> {
    parts: &'a Parts,
    accept: Accept,
    replicated: bool,
    now: Now,
}

/// Whether Tomcat refuses the path before anybody sees it: an escaped slash or backslash.
pub(super) fn refused_path(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    lower.contains("%2f") || lower.contains("%5c") || path.contains('\\')
}

/// Answers a request below `/eureka`; anything else is not found.
pub(super) fn answer(state: &mut State, parts: &Parts, body: &[u8]) -> Response<Bytes> {
    let now = state.catch_up();
    let lines: Vec<_> = parts.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let accept = Accept::parse((!lines.is_empty()).then(|| lines.join(", ")));
    let replicated = parts.headers.get(REPLICATION).is_some_and(|value| value == "true");
    let call = Call { parts, accept, replicated, now };
    let route = Route::of(parts.uri.path());
    let allowed = match &route {
        Route::Refused => return call.page(StatusCode::BAD_REQUEST),
        Route::Unknown => return call.error(StatusCode::NOT_FOUND),
        Route::App(_) => "GET,OPTIONS,POST",
        Route::Instance(..) => "DELETE,GET,OPTIONS,PUT",
        Route::Status(..) => "DELETE,OPTIONS,PUT",
        Route::Metadata(..) => "OPTIONS,PUT",
        Route::Asg => "OPTIONS,PUT",
        _ => "GET,OPTIONS",
    };
    let method = if parts.method == Method::HEAD { &Method::GET } else { &parts.method };
    if !allowed.split(',').any(|name| name == method.as_str()) {
        let mut response = call.error(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        return response;
    }
    if *method == Method::POST && !matches!(call.content(), Content::Json | Content::Any) {
        return call.error(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    if !call.accept.admits() {
        return call.error(StatusCode::NOT_ACCEPTABLE);
    }
    if *method == Method::OPTIONS {
        let mut response = call.plain(StatusCode::OK, &call.accept.label(), Bytes::new());
        // Every GET is also a HEAD to Jersey, but only here it says so.
        let heads = if allowed.contains("GET") { "HEAD," } else { "" };
        if let Ok(allowed) = HeaderValue::from_str(&format!("{heads}{allowed}")) {
            response.headers_mut().insert(ALLOW, allowed);
        }
        return response;
    }
    match (route, method.as_str()) {
        (Route::Apps, _) => call.document(state, Key::Apps),
        (Route::Delta, _) => {
            let regional = call.parameter("regions").is_some_and(|regions| !regions.is_empty());
            call.document(state, Key::Delta { regional })
        }
        (Route::App(app), "GET") => call.document(state, Key::App(app)),
        (Route::App(app), _) => call.register(state, &app, body),
        (Route::Vip(name), _) => call.document(state, Key::Vip(name)),
        (Route::SecureVip(name), _) => call.document(state, Key::SecureVip(name)),
        (Route::Instance(app, id), "GET") => call.instance(state.leases.instance(&app, &id)),
        (Route::Instance(app, id), "PUT") => call.renew(state, &app, &id),
        (Route::Instance(app, id), _) => {
            call.status(if state.cancel(&app, &id, now) { StatusCode::OK } else { StatusCode::NOT_FOUND })
        }
        (Route::Anywhere(id), _) => call.instance(state.leases.instance_anywhere(&id)),
        (Route::Status(app, id), "PUT") => call.override_status(state, &app, &id),
        (Route::Status(app, id), _) => call.clear_override(state, &app, &id),
        (Route::Metadata(app, id), _) => call.add_metadata(state, &app, &id),
        // The server's own status cannot be written as JSON in Spring, and there are no auto-scaling groups.
        (Route::Server, _) => call.error(StatusCode::INTERNAL_SERVER_ERROR),
        (Route::Asg, _) => call.error(StatusCode::BAD_REQUEST),
        (Route::Unknown | Route::Refused, _) => call.error(StatusCode::NOT_FOUND),
    }
}

// ===== impl Route =====

impl Route {
    fn of(path: &str) -> Self {
        if refused_path(path) {
            return Self::Refused;
        }
        // Path parameters (`;a=b`) belong to no resource.
        let mut segments: Vec<Cow<'_, str>> = path
            .split('/')
            .skip(1)
            .map(|segment| segment.split(';').next().unwrap_or_default())
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy())
            .collect();
        if segments.len() > 2 && segments.last().is_some_and(|last| last.is_empty()) {
            segments.pop();
        }
        let mut names: &[Cow<'_, str>] = &segments;
        match names.split_first() {
            Some((first, rest)) if first == "eureka" => names = rest,
            _ => return Self::Unknown,
        }
        if let Some((first, rest)) = names.split_first()
            && first == "v2"
        {
            names = rest;
        }
        let app = |app: &Cow<'_, str>| app.to_uppercase();
        let own = |id: &Cow<'_, str>| id.clone().into_owned();
        if names.iter().any(|name| name.is_empty()) {
            return Self::Unknown;
        }
        match names {
            [first] if first == "apps" => Self::Apps,
            [first] if first == "status" => Self::Server,
            [first, second] if first == "apps" && second == "delta" => Self::Delta,
            [first, second] if first == "apps" => Self::App(app(second)),
            [first, second] if first == "instances" => Self::Anywhere(own(second)),
            [first, second] if first == "vips" => Self::Vip(own(second)),
            [first, second] if first == "svips" => Self::SecureVip(own(second)),
            [first, _, third] if first == "asg" && third == "status" => Self::Asg,
            [first, second, third] if first == "apps" => Self::Instance(app(second), own(third)),
            [first, second, third, last] if first == "apps" && last == "status" => {
                Self::Status(app(second), own(third))
            }
            [first, second, third, last] if first == "apps" && last == "metadata" => {
                Self::Metadata(app(second), own(third))
            }
            _ => Self::Unknown,
        }
    }
}

// ===== impl Call =====

/// The type of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Json,
    /// A wildcard: Eureka takes it for XML.
    Any,
    Other,
}

impl Call<'_> {
    fn content(&self) -> Content {
        let value = self.content_type();
        let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            JSON => Content::Json,
            "*/*" | "application/*" => Content::Any,
            _ => Content::Other,
        }
    }

    fn content_type(&self) -> &str {
        self.parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn parameters(&self) -> impl Iterator<Item = (String, String)> {
        let query = self.parts.uri.query().unwrap_or_default();
        let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(move |pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(move |(name, value)| (decode(name), decode(value)))
    }

    /// The first value of a query parameter.
    fn parameter(&self, name: &str) -> Option<String> {
        self.parameters().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    fn document(&self, state: &mut State, key: Key) -> Response<Bytes> {
        if !state.serves(&key, self.now) {
            return self.error(StatusCode::FORBIDDEN);
        }
        if !self.accept.admits_json() {
            return self.error(StatusCode::NOT_ACCEPTABLE);
        }
        // A mere mention selects it, even with `q=0`, and only for the two large documents.
        let gzip = matches!(key, Key::Apps | Key::Delta { .. })
            && self
                .parts
                .headers
                .get_all(ACCEPT_ENCODING)
                .iter()
                .any(|value| value.to_str().is_ok_and(|value| value.contains("gzip")));
        let Some(body) = state.payload(key, gzip, self.now) else { return self.error(StatusCode::NOT_FOUND) };
        // The compressed answer sets its type itself and so does not repeat the header's.
        let label = if gzip { JSON.to_owned() } else { self.accept.document_label() };
        let mut response = self.plain(StatusCode::OK, &label, body);
        if gzip {
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }

    fn instance(&self, instance: Option<serde_json::Value>) -> Response<Bytes> {
        match instance {
            None => self.error(StatusCode::NOT_FOUND),
            Some(_) if !self.accept.admits_json() => self.error(StatusCode::NOT_ACCEPTABLE),
            Some(instance) => {
                let body = payloads::text(&serde_json::json!({ "instance": instance }));
                let label = self.accept.label();
                // An instance is written in the type that the answer names; ours is never XML.
                self.plain(StatusCode::OK, if label == XML { JSON } else { &label }, body)
            }
        }
    }

    fn register(&self, state: &mut State, app: &str, body: &[u8]) -> Response<Bytes> {
        if self.content() == Content::Any {
            let text = "<error><message>cannot parse request body</message></error>";
            return self.plain(StatusCode::BAD_REQUEST, self.content_type(), Bytes::from_static(text.as_bytes()));
        }
        match Record::decode(body, self.now.wall) {
            Err(Undecodable::Null) => self.error(StatusCode::INTERNAL_SERVER_ERROR),
            Err(Undecodable::Malformed) => {
                let text = r#"{"error": "cannot parse request body"}"#;
                self.plain(StatusCode::BAD_REQUEST, self.content_type(), Bytes::from_static(text.as_bytes()))
            }
            Ok(mut record) => {
                if let Some(refusal) = record.refusal(app) {
                    return self.plain(StatusCode::BAD_REQUEST, &self.accept.label(), refusal.into());
                }
                record.complete();
                state.register(record, self.replicated, self.now);
                empty(StatusCode::NO_CONTENT)
            }
        }
    }

    /// `InstanceResource.renewLease`: the lease is renewed before the time stamp is looked at.
    fn renew(&self, state: &mut State, app: &str, id: &str) -> Response<Bytes> {
        if state.leases.renew(app, id, self.replicated, self.now) == Renewal::NotFound {
            return self.error(StatusCode::NOT_FOUND);
        }
        let Some(dirty) = self.parameter("lastDirtyTimestamp") else { return empty(StatusCode::OK) };
        let (Ok(dirty), Some(stored)) = (dirty.parse::<i64>(), state.leases.get(app, id)) else {
            return self.error(StatusCode::INTERNAL_SERVER_ERROR);
        };
        if dirty > stored.dirty {
            self.error(StatusCode::NOT_FOUND)
        } else if dirty < stored.dirty && self.replicated {
            let mut response = self.instance(state.leases.instance(app, id));
            if response.status() == StatusCode::OK {
                *response.status_mut() = StatusCode::CONFLICT;
            }
            response
        } else {
            empty(StatusCode::OK)
        }
    }

    fn override_status(&self, state: &mut State, app: &str, id: &str) -> Response<Bytes> {
        if state.leases.get(app, id).is_none() {
            return self.error(StatusCode::NOT_FOUND);
        }
        let Some(status) = self.parameter("value").as_deref().and_then(Status::parse) else {
            return self.error(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let dirty = self.parameter("lastDirtyTimestamp");
        let done = state.leases.set_status(app, id, status, dirty.as_deref(), self.now);
        self.status_changed(state, done)
    }

    fn clear_override(&self, state: &mut State, app: &str, id: &str) -> Response<Bytes> {
        if state.leases.get(app, id).is_none() {
            return self.error(StatusCode::NOT_FOUND);
        }
        let fallback = match self.parameter("value") {
            None => Status::Unknown,
            Some(word) => match Status::parse(&word) {
                Some(status) => status,
                None => return self.error(StatusCode::INTERNAL_SERVER_ERROR),
            },
        };
        let dirty = self.parameter("lastDirtyTimestamp");
        let done = state.leases.clear_status(app, id, fallback, dirty.as_deref(), self.now);
        self.status_changed(state, done)
    }

    fn status_changed(&self, state: &mut State, done: Option<Result<Option<Record>, BadTimestamp>>) -> Response<Bytes> {
        match done {
            None | Some(Err(BadTimestamp)) => self.error(StatusCode::INTERNAL_SERVER_ERROR),
            Some(Ok(record)) => {
                if let Some(record) = record {
                    state.changed(&record);
                }
                empty(StatusCode::OK)
            }
        }
    }

    /// Merges the query into the metadata and registers the record anew (`InstanceResource.updateMetadata`).
    fn add_metadata(&self, state: &mut State, app: &str, id: &str) -> Response<Bytes> {
        let Some(mut record) = state.leases.get(app, id).cloned() else {
            return self.error(StatusCode::NOT_FOUND);
        };
        let mut given = Vec::new();
        for (key, value) in self.parameters() {
            if !given.contains(&key) {
                record.metadata.insert(key.clone(), value);
                given.push(key);
            }
        }
        state.register(record, false, self.now);
        empty(StatusCode::OK)
    }

    fn status(&self, status: StatusCode) -> Response<Bytes> {
        if status.is_success() { empty(status) } else { self.error(status) }
    }

    fn plain(&self, status: StatusCode, content_type: &str, body: Bytes) -> Response<Bytes> {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        if let Ok(value) = HeaderValue::from_str(content_type) {
            response.headers_mut().insert(CONTENT_TYPE, value);
        }
        response
    }

    /// Spring Boot's error object (`BasicErrorController`, 4.0.5), in the form that `Accept` prefers.
    fn error(&self, status: StatusCode) -> Response<Bytes> {
        let reason = status.canonical_reason().unwrap_or_default();
        let stamp = clock::iso_millis(self.now.wall);
        let path = self.parts.uri.path();
        let best = self.accept.best().unwrap_or("*/*");
        let essence = best.split(';').next().unwrap_or_default().to_ascii_lowercase();
        let json = |label: &str| {
            let body = serde_json::json!({
                "timestamp": stamp.replace("+00:00", "Z"),
                "status": status.as_u16(),
                "error": reason,
                "path": path,
            });
            self.plain(status, label, payloads::text(&body))
        };
        if essence.contains('*') && !essence.ends_with("+json") {
            json(JSON)
        } else if essence == JSON || essence.ends_with("+json") {
            json(best)
        } else if essence == XML || essence == "text/xml" || essence.ends_with("+xml") {
            let code = status.as_u16();
            let path = path.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let body = format!(
                "<Map><timestamp>{stamp}</timestamp><status>{code}</status><error>{reason}</error><path>{path}</path></Map>"
            );
            self.plain(status, &format!("{essence};charset=UTF-8"), body.into())
        } else if essence.starts_with("text/") {
            self.page(status)
        } else {
            empty(status)
        }
    }

    /// An error for people. Its text is ours: only status and type are Spring's or Tomcat's.
    fn page(&self, status: StatusCode) -> Response<Bytes> {
        let reason = status.canonical_reason().unwrap_or_default();
        let body = format!("<!doctype html><title>{reason}</title><h1>{} {reason}</h1>", status.as_u16());
        self.plain(status, "text/html;charset=UTF-8", body.into())
    }
}

fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_resources() {
        let instance = |app: &str, id: &str| Route::Instance(app.to_owned(), id.to_owned());
        for (path, route) in [
            ("/eureka/apps", Route::Apps),
            ("/eureka/apps/", Route::Apps),
            ("/eureka/v2/apps/delta/", Route::Delta),
            ("/eureka/apps/orders", Route::App("ORDERS".to_owned())),
            ("/eureka/apps/A.B%20c/a%3Fb%23c:1", instance("A.B C", "a?b#c:1")),
            ("/eureka/apps/A/x;v=1", instance("A", "x")),
            ("/eureka/apps/A/x/status", Route::Status("A".to_owned(), "x".to_owned())),
            ("/eureka/vips/a%2Cb", Route::Vip("a,b".to_owned())),
            ("/eureka/apps/A/a%2Fb", Route::Refused),
            ("/eureka/apps/A/a%5cb", Route::Refused),
            ("/eureka//apps", Route::Unknown),
            ("/eureka/v1/apps", Route::Unknown),
            ("/eureka/", Route::Unknown),
            ("/apps", Route::Unknown),
            ("/", Route::Unknown),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}
