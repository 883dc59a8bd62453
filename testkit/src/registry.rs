//! A Eureka server on the loopback, as Spring Cloud Netflix serves it.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! use vernal_testkit::registry::Registry;
//!
//! let registry = Registry::start().await?;
//! println!("register at {}", registry.url()); // http://127.0.0.1:<port>/eureka
//! assert!(registry.instances().is_empty());
//! registry.stop().await;
//! # Ok(()) }
//! ```
//!
//! It serves one node's registry in JSON below `/eureka` and `/eureka/v2`: registration, heartbeat, cancellation,
//! status overrides, metadata, full and delta fetch, look-ups by application, instance and VIP address. Answers follow
//! recordings of Spring Cloud Netflix 5.0.1 (Eureka 2.0.5): status codes, error bodies, the order of members, what is
//! refused and what is silently replaced.
//!
//! # Time
//!
//! Leases, deltas and caches run on `tokio::time`, so a test may pause it; the stamps on the wire come from the wall
//! clock. [`Registry::advance`] moves both at once, without waiting. Expired leases go at the next scan, which
//! happens when somebody looks: there is no task in the background. A body must come
//! within 10 s by the machine's clock, which is not paused; other waits for a client end with its connection.
//!
//! # Where it differs from Eureka
//!
//! | tag | difference |
//! |---|---|
//! | discovery.md 3.5 | no XML: `Accept: application/xml` is answered with 406, `*/*` with JSON, an XML body with 415 |
//! | discovery.md 3.5 | by default a lease ends exactly at its duration, scans come each second and without limit, self-preservation is off, payloads are not cached ([`Builder`] has Java's ways) |
//! | discovery.md 3.5 | no peers, regions, auto-scaling groups, compact format or V1 paths |
//! | D-HTML | error pages for `Accept: text/html` and for paths that Tomcat refuses have their own text |

mod accept;
mod access;
mod answer;
mod body;
mod builder;
mod document;
mod leases;
mod page;
mod payloads;
mod record;
mod state;
mod token;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::watch;
use vernal_commons::task::Task;

pub use builder::Builder;
pub use record::Status;

use access::Access;
use builder::LONGEST;
use state::State;

/// How long [`Registry::stop`] waits for answers that are under way.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// A running registry. Dropping it closes it, too, but without waiting.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    inner: Arc<Inner>,
    faults: watch::Sender<Fault>,
    router: Router,
    task: Task,
}

/// An instance that is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registered {
    /// Application name, in upper case.
    pub app: String,
    /// What identifies the instance in its application.
    pub id: String,
    /// The status as others see it.
    pub status: Status,
    /// Host name.
    pub host: String,
    /// The plain port, as it was registered.
    pub port: i32,
    /// Metadata.
    pub metadata: BTreeMap<String, String>,
}

/// A request that reached the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// Method.
    pub method: String,
    /// Path and query, as on the request line.
    pub path: String,
    /// What was answered; `None` while the request waits, or if its client went away.
    pub status: Option<u16>,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    access: Option<Access>,
    faults: watch::Receiver<Fault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Fail(StatusCode),
    Hang,
}

// ===== impl Registry =====

impl Registry {
    /// A registry with the defaults of [`builder`](Self::builder) on a free port.
    ///
    /// # Errors
    ///
    /// No port could be opened.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// What can be set before a registry starts.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The service URL for clients, with `/eureka` and without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/eureka", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything it serves, for use without a socket.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Who is registered now, by application.
    #[must_use]
    pub fn instances(&self) -> Vec<Registered> {
        let mut state = self.inner.state();
        state.catch_up();
        state.instances()
    }

    /// The requests seen so far, the latest 10,000 of them.
    #[must_use]
    pub fn journal(&self) -> Vec<Seen> {
        self.inner.state().journal()
    }

    /// Forgets the requests seen so far.
    pub fn clear_journal(&self) {
        self.inner.state().clear_journal();
    }

    /// Ends a lease as if it had expired; tells whether there was one.
    #[must_use = "`false` means that there was no such lease"]
    pub fn expire(&self, app: &str, id: &str) -> bool {
        let mut state = self.inner.state();
        let now = state.catch_up();
        state.cancel(&app.to_uppercase(), id, now)
    }

    /// Overrides a status as an operator does; tells whether there is such an instance.
    #[must_use = "`false` means that there is no such instance"]
    pub fn set_status(&self, app: &str, id: &str, status: Status) -> bool {
        self.inner.state().set_status(&app.to_uppercase(), id, status)
    }

    /// Moves the registry's clocks forward, as if `by` had passed.
    pub fn advance(&self, by: Duration) {
        self.inner.state().advance(by.min(LONGEST));
    }

    /// Answers every request with `status` from now on, and does nothing else. A status that HTTP does not know
    /// becomes 500.
    pub fn fail_with(&self, status: u16) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.faults.send_replace(Fault::Fail(status));
    }

    /// Lets every request wait from now on, until [`resume`](Self::resume).
    pub fn hang(&self) {
        self.faults.send_replace(Fault::Hang);
    }

    /// Ends [`fail_with`](Self::fail_with) and [`hang`](Self::hang). Requests that waited are then carried out.
    pub fn resume(&self) {
        self.faults.send_replace(Fault::None);
    }

    /// Closes it: waits up to 1 s for answers that are under way, then nothing listens any more.
    pub async fn stop(self) {
        drop(self.faults);
        self.task.stop(STOP_LIMIT).await;
    }
}

// ===== impl Builder =====

impl Builder {
    /// Opens the port and serves.
    ///
    /// # Errors
    ///
    /// The port cannot be opened.
    pub async fn start(self) -> io::Result<Registry> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await?;
        let address = listener.local_addr()?;
        let (faults, receiver) = watch::channel(Fault::None);
        let state = Mutex::new(State::new(self.settings));
        let inner = Arc::new(Inner { state, access: self.access, faults: receiver });
        let own = Router::new().fallback(serve).with_state(Arc::clone(&inner));
        let router = self.routes.fallback_service(own);
        let served = router.clone();
        let task = Task::spawn("eureka registry", move |token| async move {
            let serving = axum::serve(listener, served).with_graceful_shutdown(token.cancelled_owned());
            if let Err(error) = serving.await {
                tracing::error!(error = &error as &dyn std::error::Error, "registry stopped serving");
            }
        });
        Ok(Registry { address, inner, faults, router, task })
    }
}

// ===== impl Inner =====

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is complete before the lock is let go, even if a caller panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(Shared(inner): Shared<Arc<Inner>>, request: Request) -> Response {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let number = inner.state().saw(request.method().to_string(), path);
    let response = match fault(inner.faults.clone()).await {
        Some(status) => refuse(status),
        None => respond(&inner, request).await,
    };
    inner.state().answered(number, response.status().as_u16());
    response
}

/// Waits while the registry hangs; gives the status to fail with, if any.
async fn fault(mut faults: watch::Receiver<Fault>) -> Option<StatusCode> {
    let current = match faults.wait_for(|fault| *fault != Fault::Hang).await {
        Ok(fault) => *fault,
        // The registry was stopped.
        Err(_) => Fault::Fail(StatusCode::SERVICE_UNAVAILABLE),
    };
    match current {
        Fault::Fail(status) => Some(status),
        Fault::None | Fault::Hang => None,
    }
}

async fn respond(inner: &Inner, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = match body::read(body, body::LIMIT).await {
        Ok(body) => body,
        Err(status) => return refuse(status),
    };
    if !answer::refused_path(parts.uri.path())
        && let Some(refusal) = inner.access.as_ref().and_then(|access| access.refusal(&parts))
    {
        return refusal.map(Body::from);
    }
    let mut state = inner.state();
    let response = match parts.uri.path() {
        "/" => page::instances(&mut state, &parts),
        "/actuator/health" => page::health(),
        _ => answer::answer(&mut state, &parts, &body),
    };
    response.map(Body::from)
}

fn refuse(status: StatusCode) -> Response {
    let mut response = Response::new(Body::from(Bytes::new()));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    const ORDERS: &str = r#"{"instance":{"instanceId":"o1","hostName":"node7","app":"ORDERS","ipAddr":"10.20.0.7",
        "port":{"$":8080,"@enabled":"true"},"leaseInfo":{"durationInSecs":90},"metadata":{"zone":"<a>"},
        "dataCenterInfo":{"@class":"com.netflix.appinfo.MyDataCenterInfo","name":"MyOwn"}}}"#;

    /// Without a client library: those have timers, which a paused clock would let run.
    async fn send(registry: &Registry, line: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(registry.address()).await.unwrap();
        let length = body.len();
        let head = format!(
            "{line} HTTP/1.1\r\nHost: registry\r\nConnection: close\r\nAccept: application/json, text/html;q=0.1\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.strip_prefix("HTTP/1.1 ").unwrap().to_owned()
    }

    async fn with_orders(builder: Builder) -> Registry {
        let registry = builder.start().await.unwrap();
        assert!(send(&registry, "POST /eureka/apps/ORDERS", ORDERS).await.starts_with("204"));
        registry
    }

    #[tokio::test]
    async fn a_registered_instance_is_listed_until_its_lease_is_dropped() {
        let registry = with_orders(Registry::builder()).await;
        let listed = registry.instances();
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].app.as_str(), listed[0].id.as_str(), listed[0].port), ("ORDERS", "o1", 8080));
        assert_eq!((listed[0].status, listed[0].host.as_str()), (Status::Up, "node7"));
        assert!(send(&registry, "PUT /eureka/apps/ORDERS/o1", "").await.starts_with("200"));
        assert!(registry.expire("orders", "o1"));
        assert!(!registry.expire("orders", "o1"));
        assert!(registry.instances().is_empty());
        assert!(send(&registry, "PUT /eureka/apps/ORDERS/o1", "").await.starts_with("404"));
        let journal: Vec<_> = registry.journal().into_iter().map(|seen| (seen.method, seen.status)).collect();
        let expected = [("POST", 204), ("PUT", 200), ("PUT", 404)];
        assert_eq!(journal, expected.map(|(method, status)| (method.to_owned(), Some(status))));
        registry.clear_journal();
        assert!(registry.journal().is_empty());
    }

    #[tokio::test]
    async fn moving_the_clock_expires_leases() {
        let registry = with_orders(Registry::builder()).await;
        registry.advance(Duration::from_secs(89));
        assert_eq!(registry.instances().len(), 1);
        registry.advance(Duration::from_secs(3));
        assert!(registry.instances().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn leases_follow_a_paused_clock() {
        let registry = with_orders(Registry::builder()).await;
        tokio::time::advance(Duration::from_secs(89)).await;
        assert!(send(&registry, "PUT /eureka/apps/ORDERS/o1", "").await.starts_with("200"));
        tokio::time::advance(Duration::from_secs(89)).await;
        assert_eq!(registry.instances().len(), 1);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert!(registry.instances().is_empty());
    }

    #[tokio::test]
    async fn a_failing_registry_does_nothing_until_it_resumes() {
        let registry = Registry::start().await.unwrap();
        registry.fail_with(503);
        assert!(send(&registry, "POST /eureka/apps/ORDERS", ORDERS).await.starts_with("503"));
        assert!(registry.instances().is_empty());
        registry.resume();
        assert!(send(&registry, "POST /eureka/apps/ORDERS", ORDERS).await.starts_with("204"));
    }

    #[tokio::test]
    async fn a_hanging_registry_answers_when_it_resumes() {
        let registry = Arc::new(Registry::start().await.unwrap());
        registry.hang();
        let waiting = tokio::spawn({
            let registry = Arc::clone(&registry);
            async move { send(&registry, "GET /eureka/apps", "").await }
        });
        while registry.journal().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(registry.journal()[0].status, None);
        registry.resume();
        assert!(waiting.await.unwrap().starts_with("200"));
        assert_eq!(registry.journal()[0].status, Some(200));
    }

    #[tokio::test]
    async fn a_stopped_or_dropped_registry_closes_its_connections() {
        for stop in [true, false] {
            let registry = Registry::start().await.unwrap();
            let address = registry.address();
            let mut kept = TcpStream::connect(address).await.unwrap();
            kept.write_all(b"GET /eureka/apps HTTP/1.1\r\nHost: registry\r\n\r\n").await.unwrap();
            let mut buffer = [0; 1024];
            assert!(kept.read(&mut buffer).await.unwrap() > 0);
            if stop {
                registry.stop().await;
            } else {
                drop(registry);
            }
            assert_eq!(kept.read(&mut buffer).await.unwrap_or(0), 0);
            assert!(TcpStream::connect(address).await.is_err());
        }
    }

    #[tokio::test]
    async fn pages_and_further_routes_are_served_beside_the_registry() {
        let routes = Router::new().route("/hello", axum::routing::get(|| async { "hello" }));
        let registry = with_orders(Registry::builder().routes(routes)).await;
        assert!(send(&registry, "GET /hello", "").await.ends_with("hello"));
        assert!(send(&registry, "GET /actuator/health", "").await.ends_with(r#"{"status":"UP"}"#));
        let page = send(&registry, "GET /", "").await;
        assert!(page.contains("<td>ORDERS<td>UP<td>o1<td>node7:8080"), "{page}");
        assert!(send(&registry, "GET /nowhere", "").await.starts_with("404"));
    }

    #[tokio::test]
    async fn an_operators_override_is_shown() {
        let registry = with_orders(Registry::builder()).await;
        assert!(registry.set_status("ORDERS", "o1", Status::OutOfService));
        assert!(!registry.set_status("ORDERS", "o2", Status::OutOfService));
        assert_eq!(registry.instances()[0].status, Status::OutOfService);
        let delta = send(&registry, "GET /eureka/apps/delta", "").await;
        assert!(delta.contains(r#""apps__hashcode":"OUT_OF_SERVICE_1_""#), "{delta}");
    }

    #[tokio::test]
    async fn a_read_only_cache_shows_changes_at_its_next_tick() {
        let day = Duration::from_secs(86_400);
        let registry = Registry::builder().read_only_cache(day).start().await.unwrap();
        let shown = async || send(&registry, "GET /eureka/apps", "").await.contains("\"o1\"");
        assert!(!shown().await);
        let orders = ORDERS.replace(":90", ":900000");
        assert!(send(&registry, "POST /eureka/apps/ORDERS", &orders).await.starts_with("204"));
        assert!(!shown().await);
        assert!(send(&registry, "GET /eureka/apps/ORDERS/o1", "").await.starts_with("200"));
        registry.advance(day);
        assert!(shown().await);
    }

    #[tokio::test]
    async fn a_registry_that_warms_up_takes_registrations_only() {
        let registry = with_orders(Registry::builder().warm_up(Duration::from_secs(30)).delta(false)).await;
        assert!(send(&registry, "GET /eureka/apps", "").await.starts_with("403"));
        registry.advance(Duration::from_secs(30));
        assert!(send(&registry, "GET /eureka/apps", "").await.starts_with("200"));
        assert!(send(&registry, "GET /eureka/apps/delta", "").await.starts_with("403"));
    }

    #[tokio::test]
    async fn a_secured_registry_asks_for_credentials_and_hides_them() {
        let builder = Registry::builder().basic_auth("eve", "p@ss");
        assert!(!format!("{builder:?}").contains("p@ss"));
        let registry = builder.start().await.unwrap();
        let right = "GET /eureka/apps HTTP/1.1\r\nAuthorization: Basic ZXZlOnBAc3M=\r\nX-Rest:";
        assert!(send(&registry, "GET /eureka/apps", "").await.starts_with("401"));
        assert!(send(&registry, right, "").await.starts_with("200"));
    }

    #[tokio::test]
    async fn times_without_end_are_cut() {
        let endless = Registry::builder()
            .eviction_interval(Duration::MAX)
            .delta_retention(Duration::MAX)
            .delta_purge_interval(Duration::MAX)
            .response_cache(Duration::MAX)
            .read_only_cache(Duration::MAX)
            .warm_up(Duration::MAX);
        let registry = with_orders(endless).await;
        registry.advance(Duration::from_secs(1_000_000));
        assert!(send(&registry, "GET /eureka/apps", "").await.starts_with("403"));
        assert_eq!(registry.instances().len(), 1);
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        let registry = Registry::start().await.unwrap();
        let body = format!("{{\"instance\":{{\"app\":\"{}\"}}}}", "A".repeat(body::LARGEST));
        assert!(send(&registry, "POST /eureka/apps/ORDERS", &body).await.starts_with("413"));
    }
}
