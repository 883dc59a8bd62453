//! What travels with a request through the layers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Uri};
use vernal_commons::balance::Balance;
use vernal_commons::discover::Discover;
use vernal_commons::http::SharedTransport;

use crate::client_core::Core;
use crate::exchange::RequestContext;
use crate::interceptor::Interceptor;
use crate::level::LogLevel;
use crate::meta::{ClientMeta, LogSink, MethodMeta};
use crate::plan::MethodPlan;
use crate::settings::Resolved;

/// What a request is about; found in the extensions of requests that pass through layers of the application.
/// Cheap to clone.
#[derive(Clone)]
pub struct CallInfo(Arc<CallFacts>);

/// The facts of one call.
pub(crate) struct CallFacts {
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

const CONNECT_FIRST: Duration = Duration::from_millis(200);

impl CallInfo {
    pub(crate) fn new(facts: CallFacts) -> Self {
        Self(Arc::new(facts))
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

    pub(crate) fn facts(&self) -> &CallFacts {
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
        let mut shown = self.0.resolved.values.redact.uri(uri);
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

    pub(crate) fn interceptors(&self) -> &[Arc<dyn Interceptor>] {
        &self.0.core.interceptors
    }

    /// The application's layers, if there are any.
    pub(crate) fn stack(&self) -> Option<&SharedTransport> {
        self.0.core.context.stack.as_ref()
    }

    pub(crate) fn discover(&self) -> Option<&dyn Discover> {
        self.0.core.context.discover.as_deref()
    }

    pub(crate) fn balance(&self) -> &dyn Balance {
        &*self.0.core.context.balance
    }
}

impl fmt::Debug for CallInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallInfo({})", self.method_key())
    }
}
