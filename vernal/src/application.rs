//! Bootstrap, serve, leave.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use serde::de::{DeserializeOwned, Deserializer};
use serde::{Deserialize, de};
use tower_service::Service;
use vernal_bus_client::{Bus, BusTransport};
use vernal_commons::discover::Discover;
use vernal_commons::http::{Body, ReqwestTransport, SharedTransport};
use vernal_commons::{BoxError, BoxFuture};
use vernal_config_client::{Bootstrap, BootstrapBuilder, Live, Settings};
use vernal_discovery_client::{
    CompositeResolver, EurekaClient, EurekaClientSettings, EurekaDiscovery, FixedResolver, SimpleDiscoverySettings,
};
use vernal_feign::{ErrorDecoder, Feign, FeignBuilder, FeignClient, Interceptor, RestClient};

use crate::error::{Error, ErrorKind};

#[cfg(feature = "actuator")]
mod management;
mod running;

pub use running::Running;

/// How long a start waits for the registry's first answer.
const FIRST_TRY: Duration = Duration::from_secs(2);
/// How long a registry that does not answer may hold up the end: the bus needs its time, too.
const DEREGISTER_LIMIT: Duration = Duration::from_secs(3);

/// A service of the estate: its settings, its view of the registry, its clients. Cheap to clone.
///
/// Nothing of it is global; any number can live in one process.
#[derive(Clone)]
pub struct Application {
    parts: Arc<Parts>,
}

/// What an application is made of, before its settings are loaded.
#[must_use]
pub struct Builder {
    bootstrap: BootstrapBuilder,
    transport: Option<SharedTransport>,
    bus_transport: Option<Arc<dyn BusTransport>>,
    feign: Vec<Box<dyn FnOnce(FeignBuilder) -> FeignBuilder + Send>>,
}

/// `server.*`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct ServerSettings {
    #[serde(deserialize_with = "ip_address")]
    address: IpAddr,
    port: u16,
}

type Hook = Arc<dyn Fn(Vec<String>) -> BoxFuture<'static, ()> + Send + Sync>;

/// What the handles, the server and the endpoints share.
pub(crate) struct Parts {
    settings: Settings,
    transport: SharedTransport,
    /// Taken out when the application leaves.
    eureka: Mutex<Option<EurekaClient>>,
    started: AtomicBool,
    registry: Option<EurekaDiscovery>,
    discovery: Arc<dyn Discover>,
    feign: Feign,
    bus_transport: Option<Arc<dyn BusTransport>>,
    bus: Mutex<Option<Bus>>,
    hooks: Mutex<Vec<Hook>>,
}

impl Application {
    /// Begins an application with what lies in the current folder and the environment.
    pub fn builder() -> Builder {
        Builder { bootstrap: Bootstrap::builder(), transport: None, bus_transport: None, feign: Vec::new() }
    }

    /// The settings: bootstrap, local files, the config server's, environment.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.parts.settings
    }

    /// The settings below `prefix` as a `T` that follows every refresh.
    ///
    /// # Errors
    ///
    /// If the settings do not fit `T`; the error names key, origin and what was expected.
    pub fn live<T>(&self, prefix: &str) -> Result<Live<T>, Error>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        Ok(self.parts.settings.live(prefix)?)
    }

    /// A Feign client.
    ///
    /// # Errors
    ///
    /// If the client's description or settings are wrong, for example a placeholder in its URL that has no value.
    pub fn feign<C: FeignClient>(&self) -> Result<C, Error> {
        self.parts.feign.client::<C>().map_err(no_client)
    }

    /// The context of all Feign clients of this application.
    #[must_use]
    pub fn feign_context(&self) -> &Feign {
        &self.parts.feign
    }

    /// Calls by absolute URL, where the host may be a service's name (Spring's `RestTemplate`).
    ///
    /// # Errors
    ///
    /// If a setting of `spring.cloud.openfeign` is wrong.
    pub fn rest(&self) -> Result<RestClient, Error> {
        self.parts.feign.rest().map_err(no_client)
    }

    /// Service name to instances.
    #[must_use]
    pub fn discovery(&self) -> Arc<dyn Discover> {
        Arc::clone(&self.parts.discovery)
    }

    /// The cache of the Eureka registry, and this instance's status there; `None` with `eureka.client.enabled: false`.
    #[must_use]
    pub fn registry(&self) -> Option<&EurekaDiscovery> {
        self.parts.registry.as_ref()
    }

    /// An HTTP transport without balancing or logging: the one given to the builder, or a pooled one with default
    /// time limits.
    #[must_use]
    pub fn transport(&self) -> SharedTransport {
        self.parts.transport.clone()
    }

    /// Calls `hook` with the changed keys after every refresh that changed something.
    pub fn on_refresh<F, Fut>(&self, hook: F)
    where
        F: Fn(Vec<String>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let hook: Hook = Arc::new(move |changed| Box::pin(hook(changed)));
        self.parts.hooks.lock().unwrap_or_else(PoisonError::into_inner).push(hook);
    }

    /// Listens on `server.address`:`server.port` (default `0.0.0.0:8080`), joins the bus, registers, and answers with
    /// `service` until Ctrl-C or SIGTERM; then leaves in order.
    ///
    /// # Errors
    ///
    /// If the port cannot be bound, a setting is wrong, or this application has been started before.
    pub async fn serve<S, B>(&self, service: S) -> Result<(), Error>
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let stop = running::told_to_stop()
            .map_err(|error| Error::new(ErrorKind::Serve, "signals cannot be received", error))?;
        let running = self.start(service).await?;
        stop.await;
        running.stop().await;
        Ok(())
    }

    /// As [`serve`](Self::serve), but returns as soon as the service listens.
    ///
    /// # Errors
    ///
    /// If the port cannot be bound, a setting is wrong, or this application has been started before.
    pub async fn start<S, B>(&self, service: S) -> Result<Running, Error>
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Running::start(Arc::clone(&self.parts), service).await
    }
}

// ===== impl Builder =====

impl Builder {
    /// Where `bootstrap.yml` and `application.yml` lie. Default: Spring's places, `./config/` and `./`.
    pub fn directory(mut self, directory: impl AsRef<Path>) -> Self {
        self.bootstrap = self.bootstrap.directory(directory.as_ref());
        self
    }

    /// Command line arguments of the form `--name=value`; they rank above files and environment.
    pub fn args<I, T>(mut self, args: I) -> Self
    where
        I: IntoIterator<Item = T>,
        T: Into<String>,
    {
        self.bootstrap = self.bootstrap.args(args.into_iter().map(Into::into));
        self
    }

    /// The environment to read instead of the process's own.
    pub fn env(mut self, env: impl IntoIterator<Item = (String, String)>) -> Self {
        self.bootstrap = self.bootstrap.env(env);
        self
    }

    /// A setting that ranks above all others.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.bootstrap = self.bootstrap.property(name, value);
        self
    }

    /// A setting that ranks below all others.
    pub fn default_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.bootstrap = self.bootstrap.default_property(name, value);
        self
    }

    /// What sends all HTTP requests. Default: pooled clients with the time limits that the settings name for the
    /// config server, the registry and Feign clients.
    pub fn transport(mut self, transport: SharedTransport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// What carries bus events. Default: RabbitMQ as `spring.rabbitmq.*` says (feature `amqp`).
    pub fn bus_transport(mut self, transport: impl BusTransport) -> Self {
        self.bus_transport = Some(Arc::new(transport));
        self
    }

    /// The error decoder of all Feign clients of this application; clients and methods can have their own.
    pub fn error_decoder(self, decoder: impl ErrorDecoder) -> Self {
        self.feign(|feign| feign.error_decoder(decoder))
    }

    /// Changes each request of the Feign clients before it is sent.
    pub fn interceptor(self, interceptor: impl Interceptor) -> Self {
        self.feign(|feign| feign.interceptor(interceptor))
    }

    /// Anything else that the Feign context's builder offers, such as tower layers.
    pub fn feign(mut self, configure: impl FnOnce(FeignBuilder) -> FeignBuilder + Send + 'static) -> Self {
        self.feign.push(Box::new(configure));
        self
    }

    /// Loads the settings (from the config server too, if `bootstrap.yml` or `spring.config.import` names one) and
    /// begins to fetch the registry.
    ///
    /// # Errors
    ///
    /// If a file or setting is wrong, or the config server is needed (`spring.cloud.config.fail-fast`) and does not
    /// answer.
    pub async fn bootstrap(self) -> Result<Application, Error> {
        let Self { bootstrap, transport: given, bus_transport, feign } = self;
        let bootstrap = match &given {
            Some(transport) => bootstrap.transport(transport.clone()),
            None => bootstrap,
        };
        let settings = bootstrap.load().await?;
        let transport = match &given {
            Some(transport) => transport.clone(),
            None => SharedTransport::new(
                ReqwestTransport::new()
                    .map_err(|error| Error::new(ErrorKind::Config, "HTTP client cannot be built", error))?,
            ),
        };
        let simple: SimpleDiscoverySettings = settings.bind("spring.cloud.discovery.client.simple")?;
        let eureka = registry_client(settings.bind("eureka.client")?, given.as_ref())?;
        let registry = eureka.as_ref().map(EurekaClient::discovery);
        let mut sources: Vec<Arc<dyn Discover>> = vec![Arc::new(FixedResolver::new(&simple)?)];
        sources.extend(registry.clone().map(|registry| Arc::new(registry) as Arc<dyn Discover>));
        let discovery: Arc<dyn Discover> = Arc::new(CompositeResolver::new(sources));
        let mut context = Feign::builder().settings(settings.clone()).discover(Arc::clone(&discovery));
        if let Some(transport) = given {
            context = context.transport(transport);
        }
        let context = feign.into_iter().fold(context, |context, configure| configure(context)).build()?;
        if let Some(registry) = &registry {
            // A call right after the start would find no instance otherwise.
            registry.wait_first_try(FIRST_TRY).await;
        }
        let parts = Parts {
            settings,
            transport,
            eureka: Mutex::new(eureka),
            started: AtomicBool::new(false),
            registry,
            discovery,
            feign: context,
            bus_transport,
            bus: Mutex::default(),
            hooks: Mutex::default(),
        };
        Ok(Application { parts: Arc::new(parts) })
    }
}

fn registry_client(
    settings: EurekaClientSettings,
    transport: Option<&SharedTransport>,
) -> Result<Option<EurekaClient>, Error> {
    if !settings.enabled {
        return Ok(None);
    }
    let needs_tls = |url: &str| url.starts_with("https:") && transport.is_none() && !ReqwestTransport::has_tls();
    if let Some(server) = settings.servers()?.iter().find(|server| needs_tls(server.url())) {
        let reason = "`https://` needs the cargo feature `rustls`, which this program was built without";
        return Err(Error::new(ErrorKind::Discovery, format!("registry `{server}` cannot be asked"), reason));
    }
    let client = EurekaClient::builder(settings).shutdown_limit(DEREGISTER_LIMIT);
    let client = match transport {
        Some(transport) => client.transport(transport.clone()),
        None => client,
    };
    Ok(Some(client.start()?))
}

fn no_client(error: vernal_feign::Error) -> Error {
    Error::new(ErrorKind::Feign, "Feign client cannot be built", error)
}

// ===== impl Parts =====

impl Parts {
    /// Fetches the settings anew and tells the hooks what changed.
    pub(crate) async fn refresh(&self) -> Result<Vec<String>, BoxError> {
        let report = self.settings.refresh().await?;
        self.tell(&report.changed).await;
        Ok(report.changed)
    }

    /// As [`refresh`](Self::refresh), but a config server that did not answer is an error even where the old settings
    /// may stay: the bus tries again until the change that it was told of is here.
    pub(crate) async fn refresh_for_the_bus(&self) -> Result<Vec<String>, BoxError> {
        let changed = self.refresh().await?;
        let status = self.settings.status();
        match status.is_stale() {
            true => Err(status.failure.unwrap_or_else(|| "the config server did not answer".to_owned()).into()),
            false => Ok(changed),
        }
    }

    /// Puts values above all sources, as an environment-change event demands.
    pub(crate) async fn override_settings(&self, values: BTreeMap<String, String>) -> Result<Vec<String>, BoxError> {
        let changed = self.settings.set_overrides(values)?;
        self.tell(&changed).await;
        Ok(changed)
    }

    async fn tell(&self, changed: &[String]) {
        if changed.is_empty() {
            return;
        }
        tracing::info!(keys = changed.len(), "settings changed");
        let hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for hook in hooks {
            hook(changed.to_vec()).await;
        }
    }

    fn bus(&self) -> Option<Bus> {
        self.bus.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take_bus(&self) -> Option<Bus> {
        self.bus.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// An application serves once: its registration and its place on the bus end with its leaving.
    fn start_once(&self) -> Result<(), Error> {
        match self.started.swap(true, Ordering::Relaxed) {
            true => Err(Error::started()),
            false => Ok(()),
        }
    }

    fn take_eureka(&self) -> Option<EurekaClient> {
        self.eureka.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// `server.address` and `server.port`.
    fn address(&self) -> Result<SocketAddr, Error> {
        let ServerSettings { address, port } = self.settings.bind("server")?;
        Ok(SocketAddr::new(address, port))
    }
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self { address: Ipv4Addr::UNSPECIFIED.into(), port: 8080 }
    }
}

fn ip_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IpAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.trim() {
        "localhost" => Ok(Ipv4Addr::LOCALHOST.into()),
        address => {
            address.parse().map_err(|_| de::Error::custom(format_args!("expected an IP address, found `{address}`")))
        }
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Application").field("settings", &self.parts.settings).finish_non_exhaustive()
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}
