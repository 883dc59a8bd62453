//! A client of one service, and its calls.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use serde::Serialize;
use tracing::Instrument as _;
use vernal_commons::http::Body;

use crate::answer;
use crate::argument::{Argument, Arguments, BodyValue, PathArgument};
use crate::call_info::{BodyKind, CallFacts, CallInfo};
use crate::client_core::{Core, Hosts};
use crate::codec::{MethodResult, Reads, Shape};
use crate::error::{Error, Result};
use crate::layer::timeout;
use crate::level::LogLevel;
use crate::meta::ClientMeta;
use crate::options::CallOptions;
use crate::pairs;
use crate::request;
use crate::settings::limit;
use crate::url::Base;

/// A client made by `#[feign_client]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no Feign client",
    note = "name the generated struct (`OrderClientFeign`), not the trait"
)]
pub trait FeignClient: Sized {
    /// What the trait says.
    fn meta() -> ClientMeta;

    /// Wraps the client that was built from [`meta`](Self::meta).
    fn from_client(client: Client) -> Self;
}

/// A client of one service: generated structs hold one, and descriptions made at run time become one. Cheap to clone.
#[derive(Clone)]
pub struct Client(Arc<Core>);

/// A call that is being put together: arguments by position, then [`send`](Call::send).
#[must_use]
pub struct Call {
    core: Arc<Core>,
    method: usize,
    arguments: Arguments,
    body: BodyValue,
    uri: Option<String>,
    /// Large and seldom given.
    options: Option<Box<CallOptions>>,
    fault: Option<Error>,
}

/// What a call needs to be sent.
struct Ready {
    info: CallInfo,
    request: Request<Body>,
    limit: Option<Duration>,
}

// ===== impl Client =====

impl Client {
    pub(crate) fn new(core: Core) -> Self {
        Self(Arc::new(core))
    }

    /// What the client was built from.
    #[must_use]
    pub fn meta(&self) -> &ClientMeta {
        &self.0.meta
    }

    /// Begins a call of the method at this position in [`ClientMeta::methods`].
    pub fn call(&self, method: usize) -> Call {
        let (parameters, fault) = match self.0.methods.get(method) {
            Some(plan) => (plan.parameters.len(), None),
            None => (0, Some(Error::config(format!("client `{}` has no method {method}", self.0.meta.trait_name)))),
        };
        Call {
            core: Arc::clone(&self.0),
            method,
            arguments: Arguments::with_room(parameters),
            body: BodyValue::None,
            uri: None,
            options: None,
            fault,
        }
    }

    /// Sends a request that is already made, as the method at this position.
    pub(crate) fn send_request<T: Send>(
        &self,
        method: usize,
        request: Request<Body>,
        shape: Shape<T>,
    ) -> impl Future<Output = Result<T>> + Send {
        let resolved = self.0.resolved();
        let mut ready = Ready {
            limit: resolved.values.call_timeout,
            info: CallInfo::new(CallFacts {
                core: Arc::clone(&self.0),
                method,
                verb: request.method().clone(),
                uri: request.uri().clone(),
                transport: resolved.transport.clone(),
                connect_timeout: resolved.values.connect_timeout,
                read_timeout: resolved.values.read_timeout,
                level: if self.0.meta.log.is_enabled() { resolved.level } else { LogLevel::None },
                body: match request.body().in_memory() {
                    Some(bytes) if bytes.is_empty() => BodyKind::None,
                    Some(_) => BodyKind::Text,
                    None => BodyKind::Binary,
                },
                streamed: shape.reads == Reads::Raw,
                own_uri: true,
                no_path: false,
                resolved,
            }),
            request,
        };
        async move { ready.run(shape).await }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.0.meta.trait_name)
    }
}

// ===== impl Call =====

impl Call {
    /// The value of a path parameter.
    pub fn path<M, T: PathArgument<M> + ?Sized>(&mut self, parameter: u16, value: &T) {
        value.put_path(&mut self.arguments.of(parameter));
    }

    /// The value of a query, header or template parameter, or of a path parameter that may be absent.
    pub fn value<M, T: Argument<M> + ?Sized>(&mut self, parameter: u16, value: &T) {
        value.put(&mut self.arguments.of(parameter));
    }

    /// The value of a query parameter that is a bare name or nothing.
    pub fn flag(&mut self, parameter: u16, value: bool) {
        self.arguments.of(parameter).push(&value);
    }

    /// The value of a parameter that becomes query pairs.
    pub fn query_map<T: Serialize + ?Sized>(&mut self, parameter: u16, value: &T) {
        let result = pairs::write(&mut self.arguments, parameter, value);
        self.note(result);
    }

    /// The value of a parameter that becomes headers.
    pub fn header_map<T: Serialize + ?Sized>(&mut self, parameter: u16, value: &T) {
        let result = pairs::write(&mut self.arguments, parameter, value);
        self.note(result);
    }

    /// The body, or why it could not be written.
    pub fn body(&mut self, _parameter: u16, value: Result<BodyValue>) {
        match value {
            Ok(body) => self.body = body,
            Err(error) => self.note(Err(error)),
        }
    }

    /// The URI of this call: it takes the place of the client's base URL and path.
    pub fn uri(&mut self, _parameter: u16, uri: &(impl fmt::Display + ?Sized)) {
        self.uri = Some(uri.to_string());
    }

    /// Options of this call.
    pub fn options(&mut self, _parameter: u16, options: &(impl OptionsArgument + ?Sized)) {
        self.options = options.options().cloned().map(Box::new);
    }

    /// Sends the request and reads the response as `shape` says.
    ///
    /// # Cancel safety
    ///
    /// A dropped future abandons the exchange and closes its connection; the server may have acted on the request.
    pub fn send<R: MethodResult<Value: Send>>(self, shape: Shape<R::Value>) -> impl Future<Output = R> + Send {
        // The request is built here and stays in one place: each move of it into another future costs.
        let mut ready = self.ready(shape.reads);
        async move {
            R::from_call(match &mut ready {
                Ok(ready) => ready.run(shape).await,
                Err(error) => Err(error.clone()),
            })
        }
    }

    fn note(&mut self, result: Result<()>) {
        if let (Err(error), None) = (result, &self.fault) {
            self.fault = Some(error);
        }
    }

    fn ready(self, reads: Reads) -> Result<Ready> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.arguments.failed() {
            return Err(Error::encode("an argument could not be printed", "its `Display` failed or it is too long"));
        }
        let resolved = self.core.resolved();
        let own_base = match (&self.uri, self.core.hosts) {
            (None, _) => None,
            (Some(uri), Hosts::Client) => Some(Base::parse(uri, false)?),
            (Some(uri), Hosts::Discovered { .. }) => Some(Base::parse_whole(uri, false)?),
        };
        let (meta, plan) = (&self.core.meta.methods[self.method], &self.core.methods[self.method]);
        let kind = match &self.body {
            BodyValue::None => BodyKind::None,
            BodyValue::Json(_) | BodyValue::Text(_) => BodyKind::Text,
            BodyValue::Bytes(_) => BodyKind::Binary,
        };
        let request = request::build(request::Parts {
            plan,
            verb: &meta.verb,
            base: own_base.as_ref().unwrap_or(&resolved.base),
            decode_slash: resolved.values.decode_slash,
            arguments: &self.arguments,
            body: self.body,
            options: self.options.as_deref(),
        })
        .map_err(|error| error.of_method(&plan.key))?;
        let options = self.options.as_deref();
        let read_timeout = options.and_then(|own| own.read_timeout).map_or(resolved.values.read_timeout, limit);
        let connect_timeout = options.and_then(|own| own.connect_timeout).unwrap_or(resolved.values.connect_timeout);
        let transport = if connect_timeout == resolved.values.connect_timeout {
            resolved.transport.clone()
        } else {
            self.core.context.transport(connect_timeout, read_timeout)?
        };
        let level = options.and_then(|own| own.log_level).unwrap_or(resolved.level);
        Ok(Ready {
            limit: options.and_then(|own| own.call_timeout).map_or(resolved.values.call_timeout, limit),
            info: CallInfo::new(CallFacts {
                method: self.method,
                verb: meta.verb.clone(),
                uri: request.uri().clone(),
                transport,
                connect_timeout,
                read_timeout,
                level: if level > LogLevel::None && self.core.meta.log.is_enabled() { level } else { LogLevel::None },
                body: kind,
                streamed: reads == Reads::Raw,
                own_uri: own_base.is_some(),
                no_path: plan.path.is_empty() && own_base.as_ref().unwrap_or(&resolved.base).prefix.is_empty(),
                resolved,
                core: self.core,
            }),
            request,
        })
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({} of {})", self.method, self.core.meta.trait_name)
    }
}

/// What may be the argument of a `#[options]` parameter.
#[diagnostic::on_unimplemented(message = "`{Self}` is not `CallOptions`, a reference to it or an `Option` of it")]
pub trait OptionsArgument {
    /// The options, if there are any.
    fn options(&self) -> Option<&CallOptions>;
}

impl OptionsArgument for CallOptions {
    fn options(&self) -> Option<&CallOptions> {
        Some(self)
    }
}

impl<T: OptionsArgument + ?Sized> OptionsArgument for &T {
    fn options(&self) -> Option<&CallOptions> {
        (**self).options()
    }
}

impl<T: OptionsArgument> OptionsArgument for Option<T> {
    fn options(&self) -> Option<&CallOptions> {
        self.as_ref()?.options()
    }
}

// ===== impl Ready =====

impl Ready {
    async fn run<T: Send>(&mut self, shape: Shape<T>) -> Result<T> {
        let Self { info, request, limit } = self;
        let span = tracing::debug_span!(
            target: "vernal_feign",
            "feign.call",
            otel.kind = "client",
            feign.client = %info.client().trait_name,
            feign.method = %info.method().name,
            http.request.method = %info.facts().verb,
            http.response.status_code = tracing::field::Empty,
            url.full = %info.shown(&info.facts().uri),
        );
        let call = pin!(answer::finish(info, request, shape, &span).instrument(span.clone()));
        let result = timeout::within(*limit, call).await;
        result.unwrap_or_else(|timeout::Elapsed| Err(Error::call_timed_out(info.context())))
    }
}
