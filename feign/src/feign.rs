//! The context that clients are made in: one per application, nothing global.

use std::fmt;
use std::sync::{Arc, Mutex};

use tower_layer::Layer;
use vernal_commons::balance::{Balance, P2c};
use vernal_commons::discover::Discover;
use vernal_commons::http::{SharedTransport, Transport};
use vernal_commons::property::PropertyResolver;

use crate::attempt::Inner;
use crate::client::{Client, FeignClient};
use crate::client_core::{Core, Hosts, Overrides};
use crate::context::{Context, Transports};
use crate::decoder::ErrorDecoder;
use crate::error::{Error, Result};
use crate::interceptor::Interceptor;
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
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<SharedTransport> + Send + Sync + 'static,
        L::Service: Transport,
    {
        self.layers.push(wrap(layer));
        self
    }

    /// Adds a tower layer around the whole call with all its attempts. The first one is the outermost.
    pub fn call_layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<SharedTransport> + Send + Sync + 'static,
        L::Service: Transport,
    {
        self.call_layers.push(wrap(layer));
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

fn wrap<L>(layer: L) -> Wrap
where
    L: Layer<SharedTransport> + Send + Sync + 'static,
    L::Service: Transport,
{
    Box::new(move |inner| SharedTransport::new(layer.layer(inner)))
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
