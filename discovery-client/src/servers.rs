//! The registry servers, with fail-over: one answer out of several URLs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, Uri};
use tokio::time::Instant;
use vernal_commons::backoff::Backoff;
use vernal_commons::chain::Chain;
use vernal_commons::endpoints::{Endpoint, Endpoints};
use vernal_commons::http::{Body, SharedTransport};
use vernal_commons::random::Random;

use crate::error::Error;
use crate::request::{Identity, Operation, Reply, ReplyError};

/// Upper limits for what a registry may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Largest document in bytes, decompressed. Default 512 MiB.
    pub document_bytes: usize,
    /// Most instances in a document. Default 1,000,000.
    pub instances: usize,
    /// Time for a document, first byte to last. Default 30 s.
    pub document_time: Duration,
}

/// The servers and how to talk to them. Cheap to clone; clones share which server is preferred and which are avoided.
#[derive(Debug, Clone)]
pub(crate) struct Servers {
    endpoints: Endpoints,
    bans: Arc<Mutex<Bans>>,
    transport: SharedTransport,
    identity: Identity,
    read_timeout: Duration,
    limits: Limits,
}

/// A server that failed is avoided for a while; which one is preferred is reconsidered now and then.
#[derive(Debug)]
struct Bans {
    list: Vec<Option<Ban>>,
    reconsider: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Ban {
    until: Instant,
    strikes: u32,
}

/// Servers tried for one request (`RetryableEurekaHttpClient.DEFAULT_NUMBER_OF_RETRIES`).
const TRIES: usize = 3;
/// How long a failed server is avoided: from 10 s, doubling, to 5 min.
const AVOID: Backoff = Backoff::new(Duration::from_secs(10), Duration::from_secs(300));
/// After this time, give or take half, the first server is tried again (`SessionedEurekaHttpClient`).
const STICKY: Duration = Duration::from_secs(20 * 60);
/// Redirects followed for one request.
const REDIRECTS: usize = 3;
/// Documents larger than this are decompressed and parsed away from the runtime's own threads.
const LARGE: usize = 64 * 1024;
/// Bodies that are not documents are read up to this size.
const SMALL_BODY: usize = 64 * 1024;

// ===== impl Servers =====

impl Servers {
    pub(crate) fn new(
        list: Vec<Endpoint>,
        transport: SharedTransport,
        identity: Identity,
        read_timeout: Duration,
        limits: Limits,
    ) -> Self {
        let bans = Bans { list: vec![None; list.len()], reconsider: Instant::now() + sticky_time() };
        Self {
            endpoints: Endpoints::new(list),
            bans: Arc::new(Mutex::new(bans)),
            transport,
            identity,
            read_timeout,
            limits,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// The position of the server that the next request goes to.
    pub(crate) fn preferred(&self) -> usize {
        self.candidates(Instant::now()).first().copied().unwrap_or_default()
    }

    /// URL of a server, without credentials.
    pub(crate) fn url(&self, position: usize) -> &str {
        self.endpoint(position).map_or("", Endpoint::url)
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The first usable answer of up to three servers, and which of them gave it. `read` turns it into a value on a
    /// thread of its own if it is large.
    pub(crate) async fn call<T, F>(&self, operation: &Operation<'_>, read: F) -> Result<(usize, T), Error>
    where
        T: Send + 'static,
        F: Fn(&Reply) -> Result<T, ReplyError> + Clone + Send + 'static,
    {
        let mut failure = None;
        for position in self.candidates(Instant::now()) {
            match self.call_one(position, operation, read.clone()).await {
                Ok(value) => return Ok((position, value)),
                // A refusal that every server would repeat.
                Err(error) if error.status().is_some_and(|status| operation.settles(status)) => return Err(error),
                Err(error) => {
                    tracing::debug!(server = self.url(position), error = %Chain(&error), "server failed");
                    failure = Some(error);
                }
            }
        }
        Err(failure.unwrap_or_else(|| Error::NoServiceUrl { zone: "defaultZone".to_owned() }))
    }

    /// The answer of one server.
    pub(crate) async fn call_one<T, F>(&self, position: usize, operation: &Operation<'_>, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Reply) -> Result<T, ReplyError> + Send + 'static,
    {
        let Some(endpoint) = self.endpoint(position) else {
            return Err(Error::NoServiceUrl { zone: "defaultZone".to_owned() });
        };
        let result = self.exchange(endpoint, operation, read).await;
        let settled = match &result {
            Ok(_) => true,
            Err(error) => error.status().is_some_and(|status| operation.settles(status)),
        };
        self.judge(position, settled);
        result
    }

    async fn exchange<T, F>(&self, endpoint: &Endpoint, operation: &Operation<'_>, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Reply) -> Result<T, ReplyError> + Send + 'static,
    {
        let (server, name) = (endpoint.url(), operation.name());
        let undecodable = |source| Error::Decode { server: server.to_owned(), operation: name, source };
        let response = self.send(endpoint, operation).await?;
        let (parts, body) = response.into_parts();
        let reads_body = operation.method() == http::Method::GET;
        let (limit, time) = if reads_body {
            (self.limits.document_bytes, self.limits.document_time)
        } else {
            (SMALL_BODY, self.read_timeout)
        };
        let status = parts.status.as_u16();
        let body = match tokio::time::timeout(time, body.read(limit)).await {
            Ok(Ok(body)) => body,
            // For a write the status alone counts, whatever follows it.
            Ok(Err(_)) | Err(_) if !reads_body => Bytes::new(),
            Ok(Err(error)) => return Err(undecodable(error.into())),
            Err(_) => return Err(Error::Timeout { server: server.to_owned(), operation: name, limit: time }),
        };
        let large = reads_body && body.len() > LARGE;
        let judge = move || {
            let reply = match Reply::new(status, &parts.headers, body, limit) {
                Ok(reply) => reply,
                // The body does not matter then.
                Err(_) if !reads_body => Reply::empty(status),
                Err(error) => return Err(Failure::Body(error)),
            };
            read(&reply).map_err(|error| Failure::Reply(error, reply.text()))
        };
        let outcome = if large {
            tokio::task::spawn_blocking(judge).await.map_err(|error| undecodable(error.into()))?
        } else {
            judge()
        };
        outcome.map_err(|failure| match failure {
            Failure::Body(source) => undecodable(source),
            Failure::Reply(ReplyError::Status(status), text) => {
                Error::Status { server: server.to_owned(), operation: name, status, text }
            }
            Failure::Reply(ReplyError::Body(source), _) => undecodable(source.into()),
            Failure::Reply(error @ ReplyError::TooMany(_), _) => undecodable(error.into()),
        })
    }

    /// Sends a request and waits for the answer's head. Redirects are followed for reading, and only within the
    /// server's own origin, so that credentials never travel.
    async fn send(&self, endpoint: &Endpoint, operation: &Operation<'_>) -> Result<Response<Body>, Error> {
        let (server, name) = (endpoint.url().to_owned(), operation.name());
        let unreachable = |source| Error::Unreachable { server: server.clone(), operation: name, source };
        let mut location: Option<Uri> = None;
        for _ in 0..=REDIRECTS {
            let mut request = operation.request(endpoint, &self.identity).map_err(|error| unreachable(error.into()))?;
            if let Some(uri) = location.take() {
                *request.uri_mut() = uri;
            }
            let asked = request.uri().clone();
            let response = match tokio::time::timeout(self.read_timeout, self.transport.send(request)).await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => return Err(unreachable(error.into())),
                Err(_) => return Err(Error::Timeout { server, operation: name, limit: self.read_timeout }),
            };
            if !matches!(response.status().as_u16(), 301 | 302 | 307 | 308) || operation.method() != http::Method::GET {
                return Ok(response);
            }
            let target = response.headers().get(http::header::LOCATION).and_then(|value| value.to_str().ok());
            match target.and_then(|target| within_origin(&asked, target)) {
                Some(uri) => location = Some(uri),
                None => return Ok(response),
            }
        }
        Err(unreachable("too many redirects".into()))
    }

    fn endpoint(&self, position: usize) -> Option<&Endpoint> {
        self.endpoints.in_order().find(|(known, _)| *known == position).map(|(_, endpoint)| endpoint)
    }

    /// The servers for one request in order: those that are not avoided, else all.
    fn candidates(&self, now: Instant) -> Vec<usize> {
        let mut bans = self.bans.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= bans.reconsider {
            bans.reconsider = now + sticky_time();
            self.endpoints.prefer(0);
        }
        let free =
            |position: &usize| bans.list.get(*position).copied().flatten().is_none_or(|ban: Ban| ban.until <= now);
        let all: Vec<usize> = self.endpoints.in_order().map(|(position, _)| position).collect();
        let mut chosen: Vec<usize> = all.iter().copied().filter(free).collect();
        if chosen.is_empty() {
            chosen = all;
        }
        chosen.truncate(TRIES);
        chosen
    }

    fn judge(&self, position: usize, settled: bool) {
        let mut bans = self.bans.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ban) = bans.list.get_mut(position) else { return };
        if settled {
            *ban = None;
            self.endpoints.prefer(position);
        } else {
            let strikes = ban.map_or(0, |ban| ban.strikes).saturating_add(1);
            *ban = Some(Ban { until: Instant::now() + AVOID.step(strikes), strikes });
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { document_bytes: 512 * 1024 * 1024, instances: 1_000_000, document_time: Duration::from_secs(30) }
    }
}

enum Failure {
    Body(vernal_commons::BoxError),
    Reply(ReplyError, String),
}

fn sticky_time() -> Duration {
    STICKY.mul_f64(0.5 + Random::new().unit())
}

/// The URI of a redirect, if it stays with the server that was asked.
fn within_origin(asked: &Uri, target: &str) -> Option<Uri> {
    let (scheme, authority) = (asked.scheme_str()?, asked.authority()?);
    if target.starts_with('/') && !target.starts_with("//") {
        return format!("{scheme}://{authority}{target}").parse().ok();
    }
    let uri: Uri = target.parse().ok()?;
    (uri.scheme_str() == Some(scheme) && uri.authority() == Some(authority)).then_some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(urls: &[&str]) -> Servers {
        let list = urls.iter().map(|url| Endpoint::parse(url).unwrap()).collect();
        let refuse = tower::service_fn(|_| async { Err::<Response<Body>, _>("refused") });
        let transport = SharedTransport::new(refuse);
        Servers::new(list, transport, Identity::default(), Duration::from_secs(8), Limits::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_server_is_avoided_for_a_while_and_then_probed() {
        let servers = servers(&["http://a", "http://b", "http://c", "http://d"]);
        servers.judge(0, false);
        servers.judge(1, true);
        assert_eq!(servers.candidates(Instant::now()), [1, 2, 3]);
        servers.judge(1, false);
        assert_eq!(servers.candidates(Instant::now()), [2, 3]);
        assert_eq!(servers.candidates(Instant::now() + Duration::from_secs(11)), [1, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_are_avoided_all_are_tried() {
        let servers = servers(&["http://a", "http://b"]);
        let error = servers.call(&Operation::Full, |reply| reply.full(9)).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { ref server, .. } if server == "http://b"), "{error:?}");
        assert_eq!(servers.candidates(Instant::now()), [0, 1]);
    }

    #[test]
    fn redirects_stay_with_their_server() {
        let asked: Uri = "http://r1:8761/eureka/apps/".parse().unwrap();
        assert_eq!(within_origin(&asked, "/eureka/v2/apps/").unwrap(), "http://r1:8761/eureka/v2/apps/");
        assert!(within_origin(&asked, "http://r1:8761/x").is_some());
        for elsewhere in ["http://evil/x", "https://r1:8761/x", "//evil/x", "apps", "http://r1/x", "http://u@r1:8761/x"]
        {
            assert!(within_origin(&asked, elsewhere).is_none(), "{elsewhere}");
        }
    }
}
