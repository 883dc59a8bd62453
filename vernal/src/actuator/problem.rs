//! Errors, as Spring Boot 4.0.5 answers them.

use http::header::{ACCEPT, ALLOW, CONTENT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;
use vernal_commons::clock;
use vernal_commons::http::Body;

use super::accept::{Accept, ErrorForm, MEDIA_TYPES};

/// What a caller should wait while the broker is away.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// An error answer. It says what went wrong by its status only: Spring Boot sends no `message` unless
/// `spring.web.error.include-message` asks for it.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    headers: HeaderMap,
}

/// What an operation takes as its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consumes {
    /// Any JSON, or nothing at all.
    AnyJson,
    /// One of [`MEDIA_TYPES`], and it must be there.
    Document,
}

impl Problem {
    pub(super) fn new(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new() }
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND)
    }

    pub(super) fn not_allowed(allowed: &'static str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED).with(ALLOW, HeaderValue::from_static(allowed))
    }

    pub(super) fn not_acceptable() -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE).with_media_types(Consumes::Document)
    }

    pub(super) fn unsupported(consumes: Consumes) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).with_media_types(consumes)
    }

    /// The broker did not take an event. Spring says 500, or 204 although the event is lost.
    pub(super) fn bus_unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE).with(RETRY_AFTER, RETRY_AFTER_SECONDS)
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    fn with_media_types(self, consumes: Consumes) -> Self {
        let names = match consumes {
            Consumes::AnyJson => "application/json, application/*+json".to_owned(),
            Consumes::Document => MEDIA_TYPES.join(", "),
        };
        match HeaderValue::try_from(names) {
            Ok(names) => self.with(ACCEPT, names),
            Err(_) => self,
        }
    }

    /// The answer to a request for `path`.
    pub(super) fn answer(self, path: &str, accept: &Accept) -> Response<Body> {
        let Self { status, headers } = self;
        let mut response = match accept.error_form() {
            ErrorForm::Json(name) => {
                let body = json!({
                    "timestamp": clock::iso_millis_z(clock::now_millis()),
                    "status": status.as_u16(),
                    "error": status.canonical_reason(),
                    "path": path,
                });
                let mut response = Response::new(Body::from(body.to_string()));
                if let Ok(name) = HeaderValue::try_from(name) {
                    response.headers_mut().insert(CONTENT_TYPE, name);
                }
                response
            }
            ErrorForm::Page => page(&format!("Error {status}"), "text/html;charset=UTF-8"),
            ErrorForm::Nothing => Response::new(Body::empty()),
        };
        *response.status_mut() = status;
        response.headers_mut().extend(headers);
        response
    }
}

/// The answer to a path that Tomcat refuses before Spring sees it.
pub(super) fn refused_path() -> Response<Body> {
    let mut response = page("HTTP Status 400: Bad Request", "text/html;charset=utf-8");
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

fn page(title: &str, media_type: &'static str) -> Response<Body> {
    let page = format!("<!doctype html><html lang=\"en\"><title>{title}</title><h1>{title}</h1></html>");
    let mut response = Response::new(Body::from(page));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(CONTENT_LANGUAGE, HeaderValue::from_static("en"));
    response
}
