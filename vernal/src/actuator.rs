//! Spring Boot's management endpoints, answered before the application's own service.
//!
//! `health` and `info` are there by default; `refresh` and `busrefresh` only when
//! `management.endpoints.web.exposure.include` names them, since they change the service.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{ACCEPT, ALLOW, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::request::Parts as Head;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tower_service::Service;
use vernal_commons::chain::Chain;
use vernal_commons::http::Body;
use vernal_commons::{BoxError, BoxFuture, clock};

use crate::application::Parts;

/// The media types of Spring Boot 3 and 4 (`EndpointMediaTypes.DEFAULT`), the preferred one first.
const MEDIA_TYPES: [&str; 3] = [
    "application/vnd.spring-boot.actuator.v3+json",
    "application/vnd.spring-boot.actuator.v2+json",
    "application/json",
];
/// What a caller of `busrefresh` should wait while the broker is away.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");
const ENDPOINTS: [&str; 4] = ["health", "info", "refresh", "busrefresh"];

/// `management.endpoints.web.*`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct WebEndpoints {
    base_path: String,
    exposure: Exposure,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Exposure {
    include: Vec<String>,
    exclude: Vec<String>,
}

/// The endpoints of one application.
#[derive(Debug)]
pub(crate) struct Actuator {
    parts: Arc<Parts>,
    web: WebEndpoints,
}

/// A service with the endpoints in front of it.
#[derive(Debug, Clone)]
pub(crate) struct WithActuator<S> {
    actuator: Arc<Actuator>,
    inner: S,
}

impl Default for WebEndpoints {
    fn default() -> Self {
        Self { base_path: "/actuator".to_owned(), exposure: Exposure::default() }
    }
}

impl Default for Exposure {
    fn default() -> Self {
        Self { include: vec!["health".to_owned(), "info".to_owned()], exclude: Vec::new() }
    }
}

impl Exposure {
    fn shows(&self, endpoint: &str) -> bool {
        let named =
            |list: &[String]| list.iter().any(|name| name.trim() == "*" || name.trim().replace('-', "") == endpoint);
        named(&self.include) && !named(&self.exclude)
    }
}

impl Actuator {
    pub(crate) fn new(parts: Arc<Parts>) -> Result<Self, crate::Error> {
        let mut web: WebEndpoints = parts.settings().bind("management.endpoints.web")?;
        web.base_path = match web.base_path.trim_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        };
        Ok(Self { parts, web })
    }

    pub(crate) fn in_front_of<S>(self: Arc<Self>, inner: S) -> WithActuator<S> {
        WithActuator { actuator: self, inner }
    }

    /// The path below the base path, if the request is for an endpoint at all. Without a base path the application's
    /// own paths lie beside the endpoints.
    fn endpoint<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(self.web.base_path.as_str())?;
        if !(rest.is_empty() || rest.starts_with('/')) {
            return None;
        }
        let rest = rest.trim_matches('/');
        let name = rest.split('/').next().unwrap_or_default();
        (!self.web.base_path.is_empty() || self.shows(name)).then_some(rest)
    }

    /// Without a bus there is nothing to publish to, and Spring has no such endpoint.
    fn shows(&self, name: &str) -> bool {
        ENDPOINTS.contains(&name) && self.web.exposure.shows(name) && (name != "busrefresh" || self.parts.has_bus())
    }

    async fn answer(&self, request: &Head) -> Response<Body> {
        let (method, path) = (&request.method, request.uri.path());
        if is_refused(path) {
            return bad_request();
        }
        let endpoint = self.endpoint(path).unwrap_or_default();
        let (name, rest) = endpoint.split_once('/').unwrap_or((endpoint, ""));
        if !name.is_empty() && !self.shows(name) {
            return problem(StatusCode::NOT_FOUND, "No static resource", path);
        }
        let allowed = if matches!(name, "refresh" | "busrefresh") { "POST" } else { "GET" };
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        if method.as_str() != allowed {
            return not_allowed(allowed, path);
        }
        let Some(media_type) = media_type(&request.headers) else {
            return problem(StatusCode::NOT_ACCEPTABLE, "No acceptable representation", path);
        };
        match (name, rest) {
            ("", _) => document(media_type, &self.links(&request.headers)),
            ("health", group) => match self.health(group) {
                Some(health) => document(media_type, &health),
                None => problem(StatusCode::NOT_FOUND, "No such health group", path),
            },
            ("info", "") => document(media_type, &Value::Object(Map::new())),
            ("refresh", "") => match self.parts.refresh_on_demand().await {
                Ok(changed) => document(media_type, &json!(changed)),
                Err(error) => {
                    tracing::warn!(error = %Chain(&*error), "settings could not be refreshed");
                    problem(StatusCode::INTERNAL_SERVER_ERROR, "settings could not be refreshed", path)
                }
            },
            ("busrefresh", destination) => self.bus_refresh(destination, path).await,
            _ => problem(StatusCode::NOT_FOUND, "No static resource", path),
        }
    }

    /// Absolute, as the caller reached us (`EndpointLinksResolver`).
    fn links(&self, headers: &HeaderMap) -> Value {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let base = format!("http://{host}{}", self.web.base_path);
        let mut links = Map::new();
        links.insert("self".to_owned(), json!({"href": base, "templated": false}));
        for name in ENDPOINTS.into_iter().filter(|name| self.shows(name)) {
            links.insert(name.to_owned(), json!({"href": format!("{base}/{name}"), "templated": false}));
            if name == "health" {
                links.insert(
                    "health-path".to_owned(),
                    json!({"href": format!("{base}/health/{{*path}}"), "templated": true}),
                );
            }
        }
        json!({"_links": links})
    }

    /// A server that is away makes no service unhealthy: it goes on with what it has. The parts say how they are when
    /// `management.endpoint.health.show-details` or `show-components` is `always`.
    fn health(&self, group: &str) -> Option<Value> {
        let mut health = json!({"status": "UP"});
        match group {
            "liveness" | "readiness" => {}
            "" => {
                health = json!({"groups": ["liveness", "readiness"], "status": "UP"});
                if let Some(components) = self.parts.health() {
                    health["components"] = components;
                }
            }
            _ => return None,
        }
        Some(health)
    }

    /// `BusEndpoint`: the segments of the path, joined by colons, are the destination.
    async fn bus_refresh(&self, destination: &str, path: &str) -> Response<Body> {
        let decoded: Vec<_> = destination
            .split('/')
            .map(|segment| percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect();
        let destination = (!destination.is_empty()).then(|| decoded.join(":"));
        match self.parts.publish_refresh(destination.as_deref()).await {
            Ok(()) => status(StatusCode::NO_CONTENT),
            Err(error) => {
                tracing::warn!(error = %Chain(&*error), "refresh event could not be published");
                let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, "the bus is not available", path);
                response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
                response
            }
        }
    }
}

impl<S> Service<Request<Body>> for WithActuator<S>
where
    S: Service<Request<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Response: IntoBody,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if self.actuator.endpoint(request.uri().path()).is_none() {
            let answer = self.inner.call(request);
            return Box::pin(async move { answer.await.map(IntoBody::into_body) });
        }
        let actuator = Arc::clone(&self.actuator);
        // No endpoint here reads a body.
        let (head, _) = request.into_parts();
        Box::pin(async move { Ok(actuator.answer(&head).await) })
    }
}

/// A response of any body as one of ours.
pub(crate) trait IntoBody {
    fn into_body(self) -> Response<Body>;
}

impl<B> IntoBody for Response<B>
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn into_body(self) -> Response<Body> {
        self.map(Body::wrap)
    }
}

/// Whether Tomcat refuses the path before Spring sees it (fixture `bus/endpoints`, `busrefresh-a%2Fb`).
fn is_refused(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let encoded = |(at, _): (usize, &str)| {
        let digits = path.get(at + 1..at + 3).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        digits.is_none_or(|digits| matches!(digits, "2f" | "5c" | "00"))
    };
    path.contains('\\') || path.match_indices('%').any(encoded)
}

/// The media type that the request likes best; none if it takes neither of them.
fn media_type(headers: &HeaderMap) -> Option<&'static str> {
    let mut best: Option<(f32, &'static str)> = None;
    let mut accepts = false;
    for range in headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','))
    {
        accepts = true;
        let mut parameters = range.split(';').map(str::trim);
        let name = parameters.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parameters.find_map(|parameter| parameter.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
        let found = match name.as_str() {
            "*/*" | "application/*" => MEDIA_TYPES.first(),
            name => MEDIA_TYPES.iter().find(|known| **known == name),
        };
        // Of two that are liked as much the more exact one counts.
        let weight = if name.ends_with("/*") { quality - 0.000_5 } else { quality };
        if let Some(found) = found
            && quality > 0.0
            && best.is_none_or(|(known, _)| weight > known)
        {
            best = Some((weight, found));
        }
    }
    if accepts { best.map(|(_, name)| name) } else { MEDIA_TYPES.first().copied() }
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn document(media_type: &'static str, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

fn not_allowed(allowed: &'static str, path: &str) -> Response<Body> {
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", path);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// The answer to a path that is refused: a page, as Tomcat's.
fn bad_request() -> Response<Body> {
    let page = "<!doctype html><html lang=\"en\"><title>HTTP Status 400</title><h1>HTTP Status 400: Bad Request</h1>";
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html;charset=utf-8"));
    response
}

/// Spring Boot's error body.
fn problem(code: StatusCode, message: &str, path: &str) -> Response<Body> {
    let body = json!({
        "timestamp": clock::iso_millis(clock::now_millis()),
        "status": code.as_u16(),
        "error": code.canonical_reason(),
        "message": message,
        "path": path,
    });
    let mut response = document("application/json", &body);
    *response.status_mut() = code;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_health_and_info_are_exposed_by_default() {
        let exposure = Exposure::default();
        assert_eq!(ENDPOINTS.map(|name| exposure.shows(name)), [true, true, false, false]);
    }

    #[test]
    fn a_star_exposes_all_but_the_excluded() {
        let exposure = Exposure { include: vec!["*".to_owned()], exclude: vec!["bus-refresh".to_owned()] };
        assert_eq!(ENDPOINTS.map(|name| exposure.shows(name)), [true, true, true, false]);
    }

    #[test]
    fn tomcat_refuses_encoded_slashes_and_broken_escapes() {
        for path in ["/actuator/busrefresh/a%2Fb", "/a%5cb", "/a%00", "/a%", "/a%zz", "/a\\b"] {
            assert!(is_refused(path), "{path}");
        }
        assert!(!is_refused("/actuator/busrefresh/a%3Ab/c%2A%20"));
    }

    #[test]
    fn the_media_type_is_the_one_that_the_client_likes_best() {
        let [v3, v2, json] = MEDIA_TYPES;
        for (accept, expected) in [
            ("*/*", Some(v3)),
            ("application/json", Some(json)),
            ("application/json, text/plain, */*", Some(json)),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Some(v3)),
            ("application/json;q=0.5, application/vnd.spring-boot.actuator.v2+json", Some(v2)),
            ("application/*", Some(v3)),
            ("text/html", None),
            ("application/json;q=0", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(media_type(&headers), expected, "{accept}");
        }
        assert_eq!(media_type(&HeaderMap::new()), Some(v3));
    }
}
