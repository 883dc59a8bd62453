//! Spring Boot's management endpoints, answered before the application's own service.
//!
//! `health` and `info` are there by default; `refresh`, `busrefresh` and `busenv` only when
//! `management.endpoints.web.exposure.include` names them, since they change the service, or all services.

mod accept;
mod arguments;
mod problem;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{ALLOW, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tower_service::Service;
use vernal_bus_client::Error as BusError;
use vernal_commons::chain::Chain;
use vernal_commons::http::Body;
use vernal_commons::{BoxError, BoxFuture};

use self::accept::Accept;
use self::arguments::Arguments;
use self::problem::{Consumes, Problem};
use crate::application::Parts;

const ENDPOINTS: [&str; 5] = ["health", "info", "refresh", "busrefresh", "busenv"];

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

/// What a path stands for.
#[derive(Debug, PartialEq, Eq)]
enum Operation {
    Links,
    Health(String),
    Info,
    Refresh,
    BusRefresh(Option<String>),
    BusEnv(Option<String>),
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

    /// The rest of the path behind the base path, if the request is for an endpoint at all. Without a base path the
    /// application's own paths lie beside the endpoints.
    fn below_base<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(self.web.base_path.as_str())?;
        if !(rest.is_empty() || rest.starts_with('/')) {
            return None;
        }
        let (name, _) = name_of(rest);
        (!self.web.base_path.is_empty() || self.shows(name)).then_some(rest)
    }

    /// Without a bus there is nothing to publish to, and Spring has no such endpoint.
    fn shows(&self, name: &str) -> bool {
        let works = !matches!(name, "busrefresh" | "busenv") || self.parts.has_bus();
        ENDPOINTS.contains(&name) && self.web.exposure.shows(name) && works
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        if is_refused(path) {
            return problem::refused_path();
        }
        let accept = Accept::of(&head.headers);
        let answer = self.operate(&head.method, path, &head.headers, body, &accept).await;
        answer.unwrap_or_else(|problem| problem.answer(path, &accept))
    }

    async fn operate(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: Body,
        accept: &Accept,
    ) -> Result<Response<Body>, Problem> {
        let rest = self.below_base(path).unwrap_or_default();
        let known = |rest: &str| rest.is_empty() || self.shows(name_of(rest).0);
        let operation = Operation::of(rest).filter(|_| known(rest)).ok_or_else(Problem::not_found)?;
        let consumes = operation.consumes();
        match (method, consumes) {
            (&Method::GET | &Method::HEAD, None) | (&Method::POST, Some(_)) => {}
            (&Method::OPTIONS, None) => return Ok(options("GET,HEAD,OPTIONS")),
            (&Method::OPTIONS, Some(_)) => return Ok(options("POST,OPTIONS")),
            (_, None) => return Err(Problem::not_allowed("GET")),
            (_, Some(_)) => return Err(Problem::not_allowed("POST")),
        }
        let mut arguments = match consumes {
            Some(consumes) => Arguments::read(headers, body, consumes).await?,
            None => Arguments::default(),
        };
        let media_type = || accept.media_type().ok_or_else(Problem::not_acceptable);
        match operation {
            Operation::Links => Ok(document(media_type()?, &self.links(headers))),
            Operation::Info => Ok(document(media_type()?, &Value::Object(Map::new()))),
            Operation::Health(group) => {
                let media_type = media_type()?;
                Ok(match self.health(&group) {
                    Some(health) => document(media_type, &health),
                    None => empty(StatusCode::NOT_FOUND),
                })
            }
            Operation::Refresh => {
                let media_type = media_type()?;
                let changed = self.parts.refresh_on_demand().await.map_err(|error| {
                    tracing::warn!(error = %Chain(&*error), "settings could not be refreshed");
                    Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
                })?;
                Ok(document(media_type, &json!(changed)))
            }
            Operation::BusRefresh(destination) => {
                let published = self.parts.publish_refresh(destination.as_deref()).await;
                published.map_err(|error| not_published(&error, "refresh event could not be published"))?;
                Ok(empty(StatusCode::NO_CONTENT))
            }
            Operation::BusEnv(destination) => {
                let (name, value) = (arguments.required("name")?, arguments.required("value")?);
                let published = self.parts.publish_env(destination.as_deref(), &name, &value).await;
                published.map_err(|error| not_published(&error, "env-change event could not be published"))?;
                Ok(empty(StatusCode::NO_CONTENT))
            }
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
            let rest = match name {
                "health" => "path",
                "busrefresh" | "busenv" => "destinations",
                _ => continue,
            };
            let href = format!("{base}/{name}/{{*{rest}}}");
            links.insert(format!("{name}-{rest}"), json!({"href": href, "templated": true}));
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
}

impl Operation {
    /// What the path behind the base path stands for.
    fn of(rest: &str) -> Option<Self> {
        if rest.is_empty() {
            return Some(Self::Links);
        }
        Some(match name_of(rest) {
            ("health", group) => Self::Health(group.unwrap_or_default().trim_matches('/').to_owned()),
            ("info", None) => Self::Info,
            ("refresh", None) => Self::Refresh,
            ("busrefresh", rest) => Self::BusRefresh(rest.map(destination)),
            ("busenv", rest) => Self::BusEnv(rest.map(destination)),
            _ => return None,
        })
    }

    /// What it takes as its body; none if it only reads.
    fn consumes(&self) -> Option<Consumes> {
        match self {
            Self::Links | Self::Health(_) | Self::Info => None,
            Self::Refresh | Self::BusRefresh(_) => Some(Consumes::AnyJson),
            Self::BusEnv(_) => Some(Consumes::Document),
        }
    }
}

/// The name of the endpoint, and what follows behind a further slash.
fn name_of(rest: &str) -> (&str, Option<&str>) {
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    rest.split_once('/').map_or((rest, None), |(name, rest)| (name, Some(rest)))
}

/// `AbstractBusEndpoint`: the segments of the path, joined by colons, are the destination.
fn destination(path: &str) -> String {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    let decoded = segments.map(|segment| percent_encoding::percent_decode_str(segment).decode_utf8_lossy());
    decoded.collect::<Vec<_>>().join(":")
}

fn not_published(error: &BusError, message: &'static str) -> Problem {
    tracing::warn!(error = %Chain(error), "{message}");
    match error {
        // The event has been sent, but this node could not do as it says.
        BusError::Handler { .. } => Problem::new(StatusCode::INTERNAL_SERVER_ERROR),
        _ => Problem::bus_unavailable(),
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
        if self.actuator.below_base(request.uri().path()).is_none() {
            let answer = self.inner.call(request);
            return Box::pin(async move { answer.await.map(IntoBody::into_body) });
        }
        let actuator = Arc::clone(&self.actuator);
        Box::pin(async move { Ok(actuator.answer(request).await) })
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
    let text = percent_encoding::percent_decode_str(&path).decode_utf8();
    path.contains('\\') || path.match_indices('%').any(encoded) || text.is_err()
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn options(allowed: &'static str) -> Response<Body> {
    let mut response = empty(StatusCode::OK);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn document(media_type: &'static str, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_health_and_info_are_exposed_by_default() {
        let exposure = Exposure::default();
        assert_eq!(ENDPOINTS.map(|name| exposure.shows(name)), [true, true, false, false, false]);
    }

    #[test]
    fn a_star_exposes_all_but_the_excluded() {
        let exposure = Exposure { include: vec!["*".to_owned()], exclude: vec!["bus-refresh".to_owned()] };
        assert_eq!(ENDPOINTS.map(|name| exposure.shows(name)), [true, true, true, false, true]);
    }

    #[test]
    fn tomcat_refuses_encoded_slashes_and_broken_escapes() {
        for path in ["/actuator/busrefresh/a%2Fb", "/a%5cb", "/a%00", "/a%", "/a%zz", "/a\\b", "/actuator/busenv/%FF"] {
            assert!(is_refused(path), "{path}");
        }
        assert!(!is_refused("/actuator/busrefresh/a%3Ab/c%2A%20%C3%A9"));
    }

    #[test]
    fn destinations_are_the_segments_joined_by_colons() {
        for (path, expected) in [
            ("/busenv", None),
            ("/busenv/", Some("")),
            ("/busenv/billing:**", Some("billing:**")),
            ("/busenv/billing/18992", Some("billing:18992")),
            ("/busenv/a//b/", Some("a:b")),
            ("/busenv/a%20b/c+d/", Some("a b:c+d")),
            ("/busenv/a%3Ab:c", Some("a:b:c")),
        ] {
            assert_eq!(Operation::of(path), Some(Operation::BusEnv(expected.map(str::to_owned))), "{path}");
        }
    }

    #[test]
    fn slashes_that_are_too_many_lead_nowhere() {
        for path in ["/", "//health", "/info/", "/info/x", "/refresh/", "/refresh/x", "/bus-refresh"] {
            assert_eq!(Operation::of(path), None, "{path}");
        }
        assert_eq!(Operation::of("/health/"), Some(Operation::Health(String::new())));
    }
}
