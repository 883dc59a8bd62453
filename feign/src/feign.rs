//! The context that clients are made in: one per application, nothing global.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;
use vernal_commons::BoxError;
use vernal_commons::balance::{Balance, P2c};
use vernal_commons::discover::Discover;
use vernal_commons::http::{Body, SharedTransport};
use vernal_commons::property::PropertyResolver;

use crate::attempt::Inner;
use crate::client::{Client, Core, FeignClient, Hosts, Overrides};
use crate::decoder::ErrorDecoder;
use crate::error::{Error, Result};
use crate::layer::intercept::Interceptor;
use crate::level::LogLevel;
use crate::meta::ClientMeta;
use crate::rest::RestClient;

/// Makes clients that share settings, discovery, transport, error decoder, interceptors and layers. Cheap to clone.
///
/// Two contexts in one process share nothing.
#[derive(Clone)]
pub struct Feign(Arc<Context>);

/// Builds a [`Feign`].
#[must_use]
pub struct FeignBuilder {
    settings: Option<Arc<dyn PropertyResolver>>,
    discover: Option<Arc<dyn Discover>>,
    balance: Arc<dyn Balance>,
    transport: Option<SharedTransport>,
    error_decoder: Option<Arc<dyn ErrorDecoder>>,
    interceptors: Vec<Arc<dyn Interceptor>>,
    layers: Vec<Wrap>,
    call_layers: Vec<Wrap>,
    level: Option<LogLevel>,
}

/// Builds one client that differs from the others of its context.
#[must_use]
pub struct ClientBuilder<C> {
    context: Arc<Context>,
    meta: ClientMeta,
    make: fn(Client) -> C,
    overrides: Overrides,
    interceptors: Vec<Arc<dyn Interceptor>>,
}

type Wrap = Box<dyn Fn(SharedTransport) -> SharedTransport + Send + Sync>;

pub(crate) struct Context {
    pub(crate) settings: Option<Arc<dyn PropertyResolver>>,
    pub(crate) discover: Option<Arc<dyn Discover>>,
    pub(crate) balance: Arc<dyn Balance>,
    pub(crate) error_decoder: Option<Arc<dyn ErrorDecoder>>,
    pub(crate) interceptors: Vec<Arc<dyn Interceptor>>,
    /// The application's layers, if there are any.
    pub(crate) stack: Option<SharedTransport>,
    pub(crate) level: Option<LogLevel>,
    transports: Transports,
    context_ids: Mutex<BTreeSet<String>>,
}

/// For connecting, and for each pause of a response.
#[cfg(feature = "reqwest")]
type Limits = (Duration, Option<Duration>);

enum Transports {
    Given(SharedTransport),
    /// Transports of our own, by their time limits.
    #[cfg(feature = "reqwest")]
    Own(Mutex<Vec<(Limits, SharedTransport)>>),
}

/// So many transports of our own are kept; a program has a handful of different time limits.
#[cfg(feature = "reqwest")]
const MAX_TRANSPORTS: usize = 32;

/// Our own timer fires first; the transport's is there for responses that the caller reads himself.
#[cfg(feature = "reqwest")]
const GRACE: Duration = Duration::from_secs(5);

/// In the place of "no limit": what a `tokio` timer takes.
#[cfg(feature = "reqwest")]
const UNLIMITED: Duration = Duration::from_secs(365 * 24 * 3600);

// ===== impl Feign =====

impl Feign {
    /// Begins a context.
    pub fn builder() -> FeignBuilder {
        FeignBuilder {
            settings: None,
            discover: None,
            balance: Arc::new(P2c::new()),
            transport: None,
            error_decoder: None,
            interceptors: Vec::new(),
            layers: Vec::new(),
            call_layers: Vec::new(),
            level: None,
        }
    }

    /// A client as its trait describes it: `feign.client::<OrderClientFeign>()`.
    ///
    /// # Errors
    ///
    /// If its description or its settings are wrong.
    pub fn client<C: FeignClient>(&self) -> Result<C> {
        self.client_builder::<C>().build()
    }

    /// A client that differs from its description in some points.
    pub fn client_builder<C: FeignClient>(&self) -> ClientBuilder<C> {
        self.builder_of(C::meta(), C::from_client)
    }

    /// A client whose description was made at run time.
    pub fn describe(&self, meta: ClientMeta) -> ClientBuilder<Client> {
        self.builder_of(meta, |client| client)
    }

    /// A client for absolute URLs (Spring's `RestTemplate`) with the same stack.
    ///
    /// # Errors
    ///
    /// If the settings of the client `rest` are wrong.
    pub fn rest(&self) -> Result<RestClient> {
        let build = |strict| {
            let overrides = Overrides { url: Some("http://localhost".to_owned()), ..Overrides::default() };
            let interceptors = self.0.interceptors.clone();
            let hosts = Hosts::Discovered { strict };
            let core = Core::build(Arc::clone(&self.0), RestClient::meta(), overrides, interceptors, hosts)?;
            Ok::<_, Error>(Client::new(core))
        };
        Ok(RestClient::new(build(false)?, build(true)?))
    }

    fn builder_of<C>(&self, meta: ClientMeta, make: fn(Client) -> C) -> ClientBuilder<C> {
        let interceptors = self.0.interceptors.clone();
        ClientBuilder { context: Arc::clone(&self.0), meta, make, overrides: Overrides::default(), interceptors }
    }
}

impl fmt::Debug for Feign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Feign")
    }
}

// ===== impl FeignBuilder =====

impl FeignBuilder {
    /// Where `spring.cloud.openfeign.*` and placeholders come from. Default: nowhere.
    pub fn settings(mut self, settings: impl PropertyResolver) -> Self {
        self.settings = Some(Arc::new(settings));
        self
    }

    /// What turns service names into instances. Default: nothing, so that only clients with a URL can call.
    pub fn discover(mut self, discover: Arc<dyn Discover>) -> Self {
        self.discover = Some(discover);
        self
    }

    /// What chooses among instances. Default: [`P2c`].
    pub fn balance(mut self, balance: impl Balance) -> Self {
        self.balance = Arc::new(balance);
        self
    }

    /// The transport. Default, with the feature `reqwest`: a pooled one per pair of time limits.
    pub fn transport(mut self, transport: SharedTransport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// What responses that are no success mean, for all clients that do not say otherwise.
    pub fn error_decoder(mut self, decoder: impl ErrorDecoder) -> Self {
        self.error_decoder = Some(Arc::new(decoder));
        self
    }

    /// Adds an interceptor; they run in the order in which they were added.
    pub fn interceptor(mut self, interceptor: impl Interceptor) -> Self {
        self.interceptors.push(Arc::new(interceptor));
        self
    }

    /// Adds a tower layer around each attempt: above interceptors and log, so that the log shows what it did. The
    /// first one is the outermost.
    pub fn layer<L, B>(mut self, layer: L) -> Self
    where
        L: Layer<SharedTransport> + Send + Sync + 'static,
        L::Service: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request<Body>>>::Future: Send + 'static,
        <L::Service as Service<Request<Body>>>::Error: Into<BoxError>,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.layers.push(Box::new(move |inner| SharedTransport::new(layer.layer(inner))));
        self
    }

    /// Adds a tower layer around the whole call with all its attempts. The first one is the outermost.
    pub fn call_layer<L, B>(mut self, layer: L) -> Self
    where
        L: Layer<SharedTransport> + Send + Sync + 'static,
        L::Service: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request<Body>>>::Future: Send + 'static,
        <L::Service as Service<Request<Body>>>::Error: Into<BoxError>,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.call_layers.push(Box::new(move |inner| SharedTransport::new(layer.layer(inner))));
        self
    }

    /// The log level of clients for which the settings say nothing. Default: [`LogLevel::None`].
    pub fn logger_level(mut self, level: LogLevel) -> Self {
        self.level = Some(level);
        self
    }

    /// Ends the building.
    ///
    /// # Errors
    ///
    /// If there is no transport: none was given, and the feature `reqwest` is off.
    pub fn build(self) -> Result<Feign> {
        let layers: Vec<_> = self.call_layers.into_iter().chain(self.layers).collect();
        let stack = (!layers.is_empty())
            .then(|| layers.iter().rev().fold(SharedTransport::new(Inner), |inner, wrap| wrap(inner)));
        Ok(Feign(Arc::new(Context {
            settings: self.settings,
            discover: self.discover,
            balance: self.balance,
            error_decoder: self.error_decoder,
            interceptors: self.interceptors,
            stack,
            level: self.level,
            transports: Transports::new(self.transport)?,
            context_ids: Mutex::default(),
        })))
    }
}

impl fmt::Debug for FeignBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FeignBuilder")
    }
}

// ===== impl ClientBuilder =====

impl<C> ClientBuilder<C> {
    /// A fixed URL: no look-up, no balancing. Comes before the trait's and the settings'.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.overrides.url = Some(url.into());
        self
    }

    /// Asked before the decoder of the trait and that of the context.
    pub fn error_decoder(mut self, decoder: impl ErrorDecoder) -> Self {
        self.overrides.decoder = Some(Arc::new(decoder));
        self
    }

    /// Asked first about responses to the method of this name (camel case, as in log lines).
    pub fn method_error_decoder(mut self, method: impl Into<String>, decoder: impl ErrorDecoder) -> Self {
        self.overrides.method_decoders.push((method.into(), Arc::new(decoder)));
        self
    }

    /// Adds an interceptor behind those of the context.
    pub fn interceptor(mut self, interceptor: impl Interceptor) -> Self {
        self.interceptors.push(Arc::new(interceptor));
        self
    }

    /// The log level, if the settings say nothing.
    pub fn logger_level(mut self, level: LogLevel) -> Self {
        self.overrides.level = Some(level);
        self
    }

    /// Ends the building.
    ///
    /// # Errors
    ///
    /// If the description or the settings are wrong, or a method decoder is for a method that does not exist.
    pub fn build(self) -> Result<C> {
        let has = |name: &str| self.meta.methods.iter().any(|method| method.name == name);
        if let Some((name, _)) = self.overrides.method_decoders.iter().find(|(name, _)| !has(name)) {
            let message = format!("client `{}` has no method `{name}` to decode errors of", self.meta.trait_name);
            return Err(Error::config(message));
        }
        let core = Core::build(self.context, self.meta, self.overrides, self.interceptors, Hosts::Client)?;
        Ok((self.make)(Client::new(core)))
    }
}

impl<C> fmt::Debug for ClientBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientBuilder({})", self.meta.trait_name)
    }
}

// ===== impl Context =====

impl Context {
    /// A transport with these time limits; a given one has its own.
    pub(crate) fn transport(&self, connect: Duration, read: Option<Duration>) -> Result<SharedTransport> {
        self.transports.get(connect, read)
    }

    /// Two clients with one context id share their settings, which is seldom meant.
    pub(crate) fn register(&self, context_id: &str) {
        let mut known = self.context_ids.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.insert(context_id.to_owned()) {
            tracing::warn!(target: "vernal_feign", context_id, "a client of this context id was built before");
        }
    }
}

impl Transports {
    #[cfg(feature = "reqwest")]
    #[expect(clippy::unnecessary_wraps, reason = "without the feature it can fail")]
    fn new(given: Option<SharedTransport>) -> Result<Self> {
        Ok(given.map_or_else(|| Self::Own(Mutex::default()), Self::Given))
    }

    #[cfg(not(feature = "reqwest"))]
    fn new(given: Option<SharedTransport>) -> Result<Self> {
        given.map(Self::Given).ok_or_else(|| {
            Error::config("no transport was given, and `vernal-feign` was built without its feature `reqwest`")
        })
    }

    fn get(&self, connect: Duration, read: Option<Duration>) -> Result<SharedTransport> {
        match self {
            Self::Given(transport) => {
                // It has its own limit for connecting; pauses are limited above it.
                let _ = (connect, read);
                Ok(transport.clone())
            }
            #[cfg(feature = "reqwest")]
            Self::Own(known) => {
                use vernal_commons::http::{ReqwestTransport, TransportOptions};
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((_, transport)) = known.iter().find(|(limits, _)| *limits == (connect, read)) {
                    return Ok(transport.clone());
                }
                let mut options = TransportOptions::default();
                options.connect_timeout = if connect.is_zero() { UNLIMITED } else { connect };
                options.read_timeout = read.map_or(UNLIMITED, |read| read.saturating_add(GRACE).min(UNLIMITED));
                let transport = ReqwestTransport::with_options(&options)
                    .map_err(|error| Error::config("the default transport could not be made").because(error))?;
                let transport = SharedTransport::new(transport);
                if known.len() >= MAX_TRANSPORTS {
                    known.remove(0);
                }
                known.push(((connect, read), transport.clone()));
                Ok(transport)
            }
        }
    }
}
