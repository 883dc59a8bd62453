//! What a call can end with.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use vernal_commons::BoxError;
use vernal_commons::http::{TransportError, TransportErrorKind};

use crate::decoder::Decoded;
use crate::exchange::{ErrorResponse, RequestContext};
use crate::message::{java_error, no_instance_text, status_message};
use crate::retry_after::retry_after;

/// What clients return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call, or the building of a client, failed. One pointer; cheap to clone.
///
/// `Display` prints Feign's message (feign-core 13.6 `FeignException`), with secrets of the URL hidden:
/// `[404 Not Found] during [GET] to [http://order-service/orders/1] [OrderClient#order(Long)]: [<body>]`.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    request: Option<RequestContext>,
    response: Option<ErrorResponse>,
    decoded: bool,
    /// The response's body was not read.
    unread: bool,
    sent: Option<bool>,
    retryable: bool,
    retry_after: Option<SystemTime>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// What kind of failure an [`Error`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting or a description of a client is wrong; nothing was called.
    Config,
    /// The arguments could not be written into a request.
    Encode,
    /// The request's URL is not valid.
    InvalidUrl,
    /// A header's name or value is not legal.
    InvalidHeader,
    /// A path value is empty, is a dot segment or does not fit its pattern.
    InvalidPathValue,
    /// No instance of the service can be called.
    NoInstance,
    /// No connection came about.
    Connect,
    /// A time limit passed.
    Timeout(Phase),
    /// The connection broke.
    Io,
    /// The status is neither 2xx nor accepted by the method.
    Status(StatusCode),
    /// The response could not be read as the method's type.
    Decode,
    /// The response is larger than allowed.
    TooLarge,
    /// An interceptor or a layer failed.
    Interceptor,
}

/// Which time limit passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Establishing a connection (`connect-timeout`).
    Connect,
    /// Waiting for the response's head (`read-timeout`).
    ResponseHead,
    /// Waiting for the next part of the response's body (`read-timeout`).
    Body,
    /// The whole call (`call-timeout`).
    Call,
}

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The response's status, if there was a response.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.0.response.as_ref().map(|response| response.status)
    }

    /// The response's headers, if there was a response.
    #[must_use]
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.0.response.as_ref().map(|response| &response.headers)
    }

    /// The response's body, if there was a response and it could be read.
    #[must_use]
    pub fn body(&self) -> Option<&Bytes> {
        self.0.response.as_ref().filter(|_| !self.0.unread).map(|response| &response.body)
    }

    /// The response, if there was one.
    #[must_use]
    pub fn response(&self) -> Option<&ErrorResponse> {
        self.0.response.as_ref()
    }

    /// The response's body read as JSON; `None` if there is none or it is no such `T`.
    #[must_use]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(self.body()?).ok()
    }

    /// The request that failed; `None` if building a client failed.
    #[must_use]
    pub fn request(&self) -> Option<&RequestContext> {
        self.0.request.as_ref()
    }

    /// What an [`ErrorDecoder`](crate::ErrorDecoder) made of the response, if it is a `T`.
    #[must_use]
    pub fn decoded<T: std::error::Error + 'static>(&self) -> Option<&T> {
        if !self.0.decoded {
            return None;
        }
        self.0.source.as_deref()?.downcast_ref()
    }

    /// When the server, or an [`ErrorDecoder`](crate::ErrorDecoder), says that trying again makes sense.
    #[must_use]
    pub fn retry_after(&self) -> Option<SystemTime> {
        self.0.retry_after
    }

    /// Whether trying again makes sense, as Feign judges it: the exchange failed on the way, the response has a
    /// `Retry-After`, or the decoder said so. Whether it is safe depends on [`is_sent`](Self::is_sent) and the verb.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.0.kind {
            ErrorKind::Connect | ErrorKind::NoInstance | ErrorKind::Io => true,
            ErrorKind::Timeout(phase) => match phase {
                Phase::Connect | Phase::ResponseHead | Phase::Body => true,
                Phase::Call => false,
            },
            ErrorKind::Status(_) => self.0.retryable,
            ErrorKind::Config
            | ErrorKind::Encode
            | ErrorKind::InvalidUrl
            | ErrorKind::InvalidHeader
            | ErrorKind::InvalidPathValue
            | ErrorKind::Decode
            | ErrorKind::TooLarge
            | ErrorKind::Interceptor => false,
        }
    }

    /// Whether the server may have seen the request: `Some(false)` if it certainly did not, `Some(true)` if it
    /// answered, `None` if nobody knows.
    #[must_use]
    pub fn is_sent(&self) -> Option<bool> {
        if self.0.response.is_some() { Some(true) } else { self.0.sent }
    }

    /// Whether a time limit passed.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Timeout(_))
    }

    /// Whether no connection came about.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Connect | ErrorKind::Timeout(Phase::Connect))
    }

    /// Whether the status is 4xx.
    #[must_use]
    pub fn is_client_error(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Status(status) if status.is_client_error())
    }

    /// Whether the status is 5xx.
    #[must_use]
    pub fn is_server_error(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Status(status) if status.is_server_error())
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            request: None,
            response: None,
            decoded: false,
            unread: false,
            sent: Some(false),
            retryable: false,
            retry_after: None,
            source: None,
        }))
    }

    pub(crate) fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    pub(crate) fn encode(message: impl Into<Cow<'static, str>>, source: impl Into<BoxError>) -> Self {
        Self::new(ErrorKind::Encode, message).because(source)
    }

    /// An error of a call's arguments: there is no URL to show.
    pub(crate) fn of_method(self, key: &Arc<str>) -> Self {
        if self.0.request.is_some() {
            return self;
        }
        let request = RequestContext { method_key: Arc::clone(key), method: Method::default(), url: String::new() };
        self.during(request)
    }

    pub(crate) fn because(self, source: impl Into<BoxError>) -> Self {
        self.change(|inner| inner.source = Some(Arc::from(source.into())))
    }

    pub(crate) fn during(self, request: RequestContext) -> Self {
        self.change(|inner| inner.request = Some(request))
    }

    /// The response's body could not be read.
    pub(crate) fn unread(self) -> Self {
        self.change(|inner| inner.unread = true)
    }

    pub(crate) fn answered(self, response: ErrorResponse) -> Self {
        self.change(|inner| inner.response = Some(response))
    }

    /// The error of a whole call that took too long.
    pub(crate) fn call_timed_out(request: RequestContext) -> Self {
        let message = format!("Call timed out executing {} {}", request.method, request.url);
        Self::new(ErrorKind::Timeout(Phase::Call), message).during(request).change(|inner| inner.sent = None)
    }

    /// The error of a response that is not what the method returns.
    pub(crate) fn of_decode(request: RequestContext, response: ErrorResponse, source: BoxError) -> Self {
        let message = format!("could not read the response of {} {}", request.method, request.url);
        Self::new(ErrorKind::Decode, message).during(request).answered(response).because(source)
    }

    /// Class and message that Java's log has for it.
    pub(crate) fn java(&self) -> (&'static str, Cow<'static, str>) {
        match self.0.kind {
            ErrorKind::Timeout(_) => ("SocketTimeoutException", "Read timed out".into()),
            _ => ("IOException", self.0.message.split(" reading ").next().unwrap_or_default().to_owned().into()),
        }
    }

    /// The error of a status, after the decoders were asked.
    pub(crate) fn of_status(request: RequestContext, response: ErrorResponse, decoded: Decoded) -> Self {
        let message = status_message(&request, &response);
        let retry_after = retry_after(&response.headers, vernal_commons::clock::now());
        let error = Self::new(ErrorKind::Status(response.status), message).during(request).answered(response);
        error.change(|inner| {
            inner.retryable = retry_after.is_some();
            inner.retry_after = retry_after;
            match decoded {
                Decoded::Default | Decoded::Empty => {}
                Decoded::Typed(cause) => (inner.decoded, inner.source) = (true, Some(Arc::from(cause))),
                Decoded::Retry { after, cause } => {
                    inner.retryable = true;
                    let date = after.and_then(|after| vernal_commons::clock::now().checked_add(after));
                    inner.retry_after = date.or(inner.retry_after);
                    (inner.decoded, inner.source) = (cause.is_some(), cause.map(Arc::from));
                }
            }
        })
    }

    /// The error inside one that layers of tower pass on: they know transport errors only. [`of_transport`] takes it
    /// out again.
    ///
    /// [`of_transport`]: Self::of_transport
    pub(crate) fn carried(self) -> TransportError {
        TransportError::with_source(TransportErrorKind::Request, self)
    }

    /// The error of an exchange without response. An error of ours that came through a layer comes out again.
    pub(crate) fn of_transport(request: RequestContext, error: TransportError) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(&error);
        while let Some(inner) = cause {
            if let Some(own) = inner.downcast_ref::<Self>() {
                let own = own.clone();
                return match own.0.kind {
                    ErrorKind::NoInstance => own.no_instance(request),
                    _ if own.0.request.is_some() => own,
                    _ => own.during(request),
                };
            }
            cause = inner.source();
        }
        let host = request.url.split('/').nth(2).unwrap_or_default();
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        let message = format!("{} executing {} {}", java_error(&error, host).1, request.method, request.url);
        let kind = match error.kind() {
            TransportErrorKind::Connect => ErrorKind::Connect,
            TransportErrorKind::ConnectTimeout => ErrorKind::Timeout(Phase::Connect),
            TransportErrorKind::Timeout => ErrorKind::Timeout(Phase::ResponseHead),
            TransportErrorKind::Request => ErrorKind::InvalidUrl,
            TransportErrorKind::Io => ErrorKind::Io,
            _ => ErrorKind::Io,
        };
        let sent = if error.never_sent() { Some(false) } else { None };
        Self::new(kind, message).during(request).because(error).change(|inner| inner.sent = sent)
    }

    /// Feign's text for the synthetic 503 that Spring's balancer answers with.
    fn no_instance(self, request: RequestContext) -> Self {
        let service = self.0.message.strip_prefix(&no_instance_text("")).unwrap_or_default().to_owned();
        let (method, url, key) = (&request.method, &request.url, &request.method_key);
        let message = format!("[503] during [{method}] to [{url}] [{key}]: [{}]", no_instance_text(&service));
        self.change(|inner| inner.message = message.into()).during(request)
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        // The errors that layers hand back may be shared; those under construction are not, and nothing is copied.
        if Arc::get_mut(&mut self.0).is_none() {
            self = Self(Arc::new(Inner {
                kind: self.0.kind,
                message: self.0.message.clone(),
                request: self.0.request.clone(),
                response: self.0.response.clone(),
                decoded: self.0.decoded,
                unread: self.0.unread,
                sent: self.0.sent,
                retryable: self.0.retryable,
                retry_after: self.0.retry_after,
                source: self.0.source.clone(),
            }));
        }
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            change(inner);
        }
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

/// Shows neither headers nor body: both can hold secrets.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.0.kind).field("message", &self.0.message);
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
