//! The stack around the transport, and what travels with a request through it.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, Uri};
use http_body::Body as _;
use vernal_commons::BoxFuture;
use vernal_commons::balance::Balance;
use vernal_commons::discover::Discover;
use vernal_commons::http::{Body, SharedTransport, Transport, TransportError};

use crate::client::{Core, Hosts};
use crate::error::{Error, ErrorKind};
use crate::exchange::RequestContext;
use crate::layer::{balance, intercept, log};
use crate::level::LogLevel;
use crate::meta::{ClientMeta, LogSink, MethodMeta};
use crate::plan::MethodPlan;
use crate::settings::Resolved;

/// What a request is about; found in the extensions of requests that pass through layers of the application.
/// Cheap to clone.
#[derive(Clone)]
pub struct CallInfo(Arc<Call>);

/// The facts of one call.
pub(crate) struct Call {
    pub(crate) core: Arc<Core>,
    /// A position in the client's methods, checked when the call was made.
    pub(crate) method: usize,
    /// The request's verb and URI before the layers saw it.
    pub(crate) verb: Method,
    pub(crate) uri: Uri,
    pub(crate) resolved: Arc<Resolved>,
    pub(crate) transport: SharedTransport,
    pub(crate) connect_timeout: Duration,
    pub(crate) read_timeout: Option<Duration>,
    /// `None` below the level of `BASIC`, or if nobody listens.
    pub(crate) level: LogLevel,
    pub(crate) body: BodyKind,
    /// The caller reads the body himself: it is neither buffered nor logged.
    pub(crate) streamed: bool,
    /// The URI was given with the call.
    pub(crate) own_uri: bool,
    /// Neither base URL nor method have a path: a request line needs one, log and messages show none, as in Feign.
    pub(crate) no_path: bool,
}

/// How a request's body is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyKind {
    None,
    Text,
    Binary,
}

/// The end of the application's layers: where a request enters ours.
pub(crate) struct Inner;

const CONNECT_FIRST: Duration = Duration::from_millis(200);

const AGENT: HeaderValue = HeaderValue::from_static(concat!("vernal-feign/", env!("CARGO_PKG_VERSION")));

impl CallInfo {
    pub(crate) fn new(call: Call) -> Self {
        Self(Arc::new(call))
    }

    /// Feign's config key of the method: `OrderClient#order(Long)`.
    #[must_use]
    pub fn method_key(&self) -> &str {
        &self.plan().key
    }

    /// The client's description.
    #[must_use]
    pub fn client(&self) -> &ClientMeta {
        &self.0.core.meta
    }

    /// The method's description.
    #[must_use]
    pub fn method(&self) -> &MethodMeta {
        &self.0.core.meta.methods[self.0.method]
    }

    pub(crate) fn plan(&self) -> &MethodPlan {
        &self.0.core.methods[self.0.method]
    }

    pub(crate) fn call(&self) -> &Call {
        &self.0
    }

    /// The request as errors tell of it.
    pub(crate) fn context(&self) -> RequestContext {
        self.context_of(&self.0.verb, &self.0.uri)
    }

    /// The same of a request that layers may have changed.
    pub(crate) fn context_of(&self, verb: &Method, uri: &Uri) -> RequestContext {
        RequestContext { method_key: Arc::clone(&self.plan().key), method: verb.clone(), url: self.shown(uri) }
    }

    /// `uri` as log and messages show it.
    pub(crate) fn shown(&self, uri: &Uri) -> String {
        let mut shown = self.0.resolved.redact.uri(uri);
        if self.0.no_path
            && let Some(start) = shown.find("://").map(|at| at + 3)
            && let Some(slash) = shown[start..].find('/')
        {
            shown.remove(start + slash);
        }
        shown.push_str(&self.plan().fragment);
        shown
    }

    pub(crate) fn sink(&self) -> &LogSink {
        &self.0.core.meta.log
    }

    pub(crate) fn settings(&self) -> &Resolved {
        &self.0.resolved
    }

    pub(crate) fn transport(&self) -> &SharedTransport {
        &self.0.transport
    }

    pub(crate) fn read_timeout(&self) -> Option<Duration> {
        self.0.read_timeout
    }

    /// The limit for the response's head, counted from the start of the attempt. Where it would end together with the
    /// limit for connecting, the latter is given the time to speak first: its error says that nothing was sent.
    pub(crate) fn head_timeout(&self) -> Option<Duration> {
        let (connect, read) = (self.0.connect_timeout, self.0.read_timeout?);
        let together = read >= connect && read < connect.saturating_add(CONNECT_FIRST);
        Some(if together { read.saturating_add(CONNECT_FIRST) } else { read })
    }

    pub(crate) fn interceptors(&self) -> &[Arc<dyn intercept::Interceptor>] {
        &self.0.core.interceptors
    }

    pub(crate) fn discover(&self) -> Option<&dyn Discover> {
        self.0.core.context.discover.as_deref()
    }

    pub(crate) fn balance(&self) -> &dyn Balance {
        &*self.0.core.context.balance
    }

    /// The service's name, if the host of `uri` is one.
    pub(crate) fn balanced(&self, uri: &Uri) -> Option<String> {
        let base = &self.0.resolved.base;
        // Finding the host is left until it is needed: most clients with a URL never need it.
        let host = || uri.host();
        let is_service = match self.0.core.hosts {
            Hosts::Client if !base.balanced => false,
            // A URI given with the call leaves the service unless it names it again.
            Hosts::Client => !self.0.own_uri || host()?.eq_ignore_ascii_case(base.authority.host()),
            Hosts::Discovered { strict: true } => true,
            Hosts::Discovered { strict: false } => {
                self.discover().is_some_and(|discover| host().is_some_and(|host| balance::knows(discover, host)))
            }
        };
        if is_service { host().map(str::to_owned) } else { None }
    }
}

impl std::fmt::Debug for CallInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CallInfo({})", self.method_key())
    }
}

/// Sends the request of a call through the stack. Outermost first:
///
/// 1. layers of the application around the call;
/// 2. layers of the application around each attempt: above the log, so that the log shows what they did;
/// 3. interceptors, then the settings' default headers and query pairs;
/// 4. the log, which shows the service's name;
/// 5. balancing, which goes to the next instance when no connection comes about;
/// 6. headers that belong to the transport, and the limit for the response's head;
/// 7. the transport.
pub(crate) async fn exchange(info: &CallInfo, request: &mut Request<Body>) -> Result<Response<Body>, TransportError> {
    match &info.0.core.context.stack {
        // Without layers nothing is boxed and nothing put into extensions.
        None => attempt(info, request).await,
        Some(stack) => {
            let mut request = std::mem::take(request);
            request.extensions_mut().insert(info.clone());
            stack.send(request).await
        }
    }
}

/// The layers pass the request on by reference and the last one takes it: it is large, and each future that owned it
/// would hold room for it.
async fn attempt(info: &CallInfo, request: &mut Request<Body>) -> Result<Response<Body>, TransportError> {
    intercept::apply(info, request).await?;
    let log = log::Attempt::begin(info, request);
    complete(request);
    let result = balance::send(info, request).await;
    match log {
        None => result,
        // Boxed, or the state of calls without log would be twice as large.
        Some(log) => Box::pin(log.end(result)).await,
    }
}

/// What the transport would have to add: an agent, and the length of a missing body, without which proxies answer
/// 411 (RFC 9110 8.6).
fn complete(request: &mut Request<Body>) {
    let needs_length = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH)
        && request.body().size_hint().exact() == Some(0);
    let headers = request.headers_mut();
    headers.entry(USER_AGENT).or_insert(AGENT);
    if needs_length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}

impl Transport for Inner {
    fn send(&self, mut request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, TransportError>> {
        Box::pin(async move {
            match request.extensions_mut().remove::<CallInfo>() {
                Some(info) => attempt(&info, &mut request).await,
                None => Err(intercept::failed(Error::new(
                    ErrorKind::Interceptor,
                    "a layer did not pass on the extensions of the request",
                ))),
            }
        })
    }
}
