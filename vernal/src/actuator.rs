//! Spring Boot's management endpoints, answered before the application's own service.
//!
//! `health` and `info` are there by default; `refresh` and `busrefresh` only when
//! `management.endpoints.web.exposure.include` names them, since they change the service.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tower_service::Service;
use vernal_commons::http::Body;
use vernal_commons::{BoxError, BoxFuture, clock};

use crate::application::Parts;

/// The media type of Spring Boot 3 and 4.
const ACTUATOR_JSON: &str = "application/vnd.spring-boot.actuator.v3+json";
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
        web.base_path = format!("/{}", web.base_path.trim_matches('/'));
        Ok(Self { parts, web })
    }

    pub(crate) fn in_front_of<S>(self: Arc<Self>, inner: S) -> WithActuator<S> {
        WithActuator { actuator: self, inner }
    }

    /// The path below the base path, if the request is for an endpoint at all.
    fn endpoint<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(self.web.base_path.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_matches('/'))
    }

    async fn answer(&self, method: &Method, path: &str) -> Response<Body> {
        let endpoint = self.endpoint(path).unwrap_or_default();
        let (name, rest) = endpoint.split_once('/').unwrap_or((endpoint, ""));
        let name = name.replace('-', "");
        if name.is_empty() {
            return self.links();
        }
        if !ENDPOINTS.contains(&name.as_str()) || !self.web.exposure.shows(&name) {
            return problem(StatusCode::NOT_FOUND, "No static resource", path);
        }
        let reads = matches!(*method, Method::GET | Method::HEAD);
        match (name.as_str(), rest) {
            ("health" | "info", _) if !reads => not_allowed("GET", path),
            ("refresh" | "busrefresh", _) if *method != Method::POST => not_allowed("POST", path),
            ("health", rest) => self.health(rest, path),
            ("info", "") => document(StatusCode::OK, &Value::Object(Map::new())),
            ("refresh", "") => self.refresh(path).await,
            ("busrefresh", destination) => self.bus_refresh(destination, path).await,
            _ => problem(StatusCode::NOT_FOUND, "No static resource", path),
        }
    }

    fn links(&self) -> Response<Body> {
        let base = &self.web.base_path;
        let mut links = Map::new();
        links.insert("self".to_owned(), json!({"href": base, "templated": false}));
        for name in ENDPOINTS.into_iter().filter(|name| self.web.exposure.shows(name)) {
            links.insert(name.to_owned(), json!({"href": format!("{base}/{name}"), "templated": false}));
        }
        document(StatusCode::OK, &json!({"_links": links}))
    }

    /// A server that is away makes no service unhealthy: it goes on with what it has. The parts say how they are when
    /// `management.endpoint.health.show-details` or `show-components` is `always`.
    fn health(&self, rest: &str, path: &str) -> Response<Body> {
        let mut document_value = json!({"status": "UP"});
        match rest {
            "liveness" | "readiness" => {}
            "" => {
                if let Some(components) = self.parts.health() {
                    document_value["components"] = components;
                }
            }
            _ => return problem(StatusCode::NOT_FOUND, "No such health group", path),
        }
        document(StatusCode::OK, &document_value)
    }

    async fn refresh(&self, path: &str) -> Response<Body> {
        match self.parts.refresh().await {
            Ok(changed) => document(StatusCode::OK, &json!(changed)),
            Err(error) => {
                tracing::warn!(error = %chain(&*error), "settings could not be refreshed");
                problem(StatusCode::INTERNAL_SERVER_ERROR, "settings could not be refreshed", path)
            }
        }
    }

    async fn bus_refresh(&self, destination: &str, path: &str) -> Response<Body> {
        let decoded: Vec<_> = destination
            .split('/')
            .map(|segment| percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect();
        let destination = (!destination.is_empty()).then(|| decoded.join(":"));
        match self.parts.publish_refresh(destination.as_deref()).await {
            Ok(()) => status(StatusCode::NO_CONTENT),
            Err(error) => {
                tracing::warn!(error = %chain(&*error), "refresh event could not be published");
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
        Box::pin(async move { Ok(actuator.answer(request.method(), request.uri().path()).await) })
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

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn document(code: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(ACTUATOR_JSON));
    response
}

fn not_allowed(allowed: &'static str, path: &str) -> Response<Body> {
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", path);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
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
    let mut response = document(code, &body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
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
}
