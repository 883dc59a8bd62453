//! The client: builder, owner of the tasks, and the handle for readers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use vernal_commons::discover::{Discover, LookupError, ServiceView};
use vernal_commons::http::SharedTransport;
use vernal_commons::instance::ServiceInstance;
use vernal_commons::task::{Ending, Task};

use crate::error::Error;
use crate::fetch::{Fetcher, Options};
use crate::record::{InstanceRecord, InstanceStatus};
use crate::registration::{Command, Registrar, Registration, RegistrationHealth};
use crate::registry::Guard;
use crate::request::Identity;
use crate::servers::{Limits, Servers};
use crate::settings::EurekaClientSettings;
use crate::shared::{FetchHealth, Shared};

/// A client of one Eureka estate: keeps a cache of the registry and one registration.
///
/// Owns its tasks: [`stop`](Self::stop) deregisters and ends them, dropping it ends them at once without telling the
/// registry. [`discovery`](Self::discovery) gives the handle that callers read.
#[derive(Debug)]
#[must_use = "dropping the client ends its tasks"]
pub struct EurekaClient {
    discovery: EurekaDiscovery,
    fetch: Option<Task>,
    registration: Option<Task>,
    shutdown_limit: Duration,
}

/// What an [`EurekaClient`] needs to start.
#[derive(Debug)]
#[must_use]
pub struct EurekaClientBuilder {
    settings: EurekaClientSettings,
    transport: Option<SharedTransport>,
    address: Option<String>,
    limits: Limits,
    guard: Option<Guard>,
    full_interval: Duration,
    shutdown_limit: Duration,
}

/// Reads the cache of an [`EurekaClient`] and changes the status of its instance. Cheap to clone.
///
/// The cache can be minutes old, or name instances that are gone: a registry that cannot be reached, or that wrongly
/// believes in an instance, changes nothing in it.
#[derive(Clone)]
pub struct EurekaDiscovery(Arc<Parts>);

struct Parts {
    shared: Arc<Shared>,
    commands: Option<mpsc::Sender<Command>>,
    registration: watch::Receiver<RegistrationHealth>,
    fetches: bool,
}

/// How the client is doing.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RegistryHealth {
    /// The cache.
    pub fetch: FetchHealth,
    /// The registration.
    pub registration: RegistrationHealth,
}

/// Commands that may wait while a write is on its way.
const COMMANDS: usize = 64;
/// How much longer than the limit a task may take before it is aborted.
const SLACK: Duration = Duration::from_millis(250);

// ===== impl EurekaClient =====

impl EurekaClient {
    /// A client with these settings (`eureka.client.*`).
    pub fn builder(settings: EurekaClientSettings) -> EurekaClientBuilder {
        EurekaClientBuilder {
            settings,
            transport: None,
            address: None,
            limits: Limits::default(),
            guard: None,
            full_interval: Duration::from_secs(600),
            shutdown_limit: Duration::from_secs(5),
        }
    }

    /// The handle for look-ups.
    #[must_use]
    pub fn discovery(&self) -> EurekaDiscovery {
        self.discovery.clone()
    }

    /// Registers `record` and keeps it registered: heartbeats, and a new registration whenever the registry does not
    /// know the lease. Call it once the instance listens. A second call replaces the record, without deregistering
    /// the first; one that says the same is no request at all.
    ///
    /// Returns after the first try. An error does not end the registration: it is tried again in the background.
    /// With `register-with-eureka: false` nothing happens.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRecord`] before anything is sent; the failure of the first try; [`Error::Off`] if the client
    /// is stopped, or another record took this one's place, meanwhile.
    ///
    /// # Cancel safety
    ///
    /// The registration goes on in the background.
    pub async fn register(&self, record: InstanceRecord) -> Result<(), Error> {
        record.validate()?;
        let Some(commands) = &self.discovery.0.commands else {
            tracing::debug!("registration is off");
            return Ok(());
        };
        if record.app.contains('_') {
            tracing::warn!(service = record.app, "Spring cannot call a service with `_` in its name by URL");
        }
        self.discovery.0.shared.set_own(&record.app, &record.instance_id);
        let off = Error::Off { reason: "it was stopped, or another record took the place of this one" };
        let (answer, outcome) = oneshot::channel();
        match commands.send(Command::Register(Box::new(record), answer)).await {
            Ok(()) => outcome.await.unwrap_or(Err(off)),
            Err(_) => Err(off),
        }
    }

    /// Leaves the registry and ends the tasks: the write in flight is awaited, then the instance posts `DOWN` and ends
    /// its lease, all within the limit ([`shutdown_limit`](EurekaClientBuilder::shutdown_limit)). Nothing is sent
    /// afterwards.
    ///
    /// # Errors
    ///
    /// [`Error::NotDeregistered`] if the registry did not confirm it. The lease will expire.
    ///
    /// # Cancel safety
    ///
    /// A dropped future aborts the tasks, maybe before the registry was told.
    pub async fn stop(mut self) -> Result<(), Error> {
        if let Some(fetch) = self.fetch.take() {
            fetch.stop(SLACK).await;
        }
        self.deregister().await
    }

    /// Leaves the registry as [`stop`](Self::stop) does, but goes on fetching: for a service whose running requests
    /// still call others. It cannot register again.
    ///
    /// # Errors
    ///
    /// [`Error::NotDeregistered`] if the registry did not confirm it. The lease will expire.
    ///
    /// # Cancel safety
    ///
    /// A dropped future ends the registration, maybe before the registry was told.
    pub async fn deregister(&mut self) -> Result<(), Error> {
        let Some(registration) = self.registration.take() else { return Ok(()) };
        let ending = registration.stop(self.shutdown_limit + SLACK).await;
        let state = self.discovery.0.registration.borrow().state;
        match (ending, state) {
            (Ending::Finished, Registration::None | Registration::Left) => Ok(()),
            _ => Err(Error::NotDeregistered {
                instance_id: self.discovery.0.shared.own().map(|own| own.1.clone()).unwrap_or_default(),
                limit: self.shutdown_limit,
            }),
        }
    }
}

// ===== impl EurekaClientBuilder =====

impl EurekaClientBuilder {
    /// How requests are sent. Default: reqwest with the settings' time-outs, if the feature `reqwest` is on.
    pub fn transport(mut self, transport: SharedTransport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// The address that the client names in its requests (`DiscoveryIdentity-Id`). Default none.
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// Caps on what a registry may send.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Protection against a registry that forgot its instances. Default [`Guard::for_interval`].
    pub const fn guard(mut self, guard: Guard) -> Self {
        self.guard = Some(guard);
        self
    }

    /// Time after which the whole registry is fetched even if deltas add up, give or take a fifth; zero is never.
    /// Default 10 min: the hash that deltas are checked by can miss a change.
    pub const fn full_interval(mut self, interval: Duration) -> Self {
        self.full_interval = interval;
        self
    }

    /// Time that [`EurekaClient::stop`] may take. Default 5 s.
    pub const fn shutdown_limit(mut self, limit: Duration) -> Self {
        self.shutdown_limit = limit;
        self
    }

    /// Starts fetching. A registry that cannot be reached is no error here: the client goes on trying.
    ///
    /// # Errors
    ///
    /// If the settings name no usable URL, or there is no transport.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(self) -> Result<EurekaClient, Error> {
        let settings = &self.settings;
        let shared = Arc::new(Shared::default());
        let (health, registration) = watch::channel(RegistrationHealth::default());
        let fetches = settings.enabled && settings.fetch_registry;
        let registers = settings.enabled && settings.register_with_eureka;
        let mut parts = Parts { shared: Arc::clone(&shared), commands: None, registration, fetches };
        let (mut fetch, mut registrar) = (None, None);
        if fetches || registers {
            let transport = match self.transport {
                Some(transport) => transport,
                None => default_transport(settings)?,
            };
            let servers = Servers::new(
                settings.servers()?,
                transport,
                Identity::new(self.address, settings.g_zip_content),
                settings.read_timeout(),
                self.limits,
            );
            if fetches {
                let guard = self.guard.unwrap_or_else(|| Guard::for_interval(settings.fetch_interval()));
                let options = Options::new(settings, self.full_interval, guard);
                let fetcher = Fetcher::new(servers.clone(), shared, options);
                fetch = Some(Task::spawn("eureka-fetch", |stop| fetcher.run(stop)));
            }
            if registers {
                let (sender, commands) = mpsc::channel(COMMANDS);
                parts.commands = Some(sender);
                let unregister = settings.should_unregister_on_shutdown;
                let task = Registrar::new(servers, health, unregister, self.shutdown_limit);
                registrar = Some(Task::spawn("eureka-registration", |stop| task.run(commands, stop)));
            }
        }
        Ok(EurekaClient {
            discovery: EurekaDiscovery(Arc::new(parts)),
            fetch,
            registration: registrar,
            shutdown_limit: self.shutdown_limit,
        })
    }
}

#[cfg(feature = "reqwest")]
fn default_transport(settings: &EurekaClientSettings) -> Result<SharedTransport, Error> {
    let mut options = vernal_commons::http::TransportOptions::default();
    options.connect_timeout = settings.connect_timeout();
    options.read_timeout = settings.read_timeout();
    match vernal_commons::http::ReqwestTransport::with_options(&options) {
        Ok(transport) => Ok(SharedTransport::new(transport)),
        Err(error) => Err(Error::NoTransport { source: Some(error.into()) }),
    }
}

#[cfg(not(feature = "reqwest"))]
fn default_transport(_: &EurekaClientSettings) -> Result<SharedTransport, Error> {
    Err(Error::NoTransport { source: None })
}

// ===== impl EurekaDiscovery =====

impl EurekaDiscovery {
    /// Waits for the first document.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`] if none comes within `limit`; [`RegistryHealth`] says what the tries ended with.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn wait_ready(&self, limit: Duration) -> Result<(), Error> {
        self.expect_fetches()?;
        let found = self.wait_until(limit, || self.0.shared.is_ready()).await;
        if found { Ok(()) } else { Err(Error::NotReady { waited: limit }) }
    }

    /// Waits for the first document, or for the first try to fail, whatever comes first: what Spring's client does
    /// before an application starts. Returns whether there is a document.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn wait_first_try(&self, limit: Duration) -> bool {
        if self.0.fetches {
            let shared = &self.0.shared;
            self.wait_until(limit, || shared.is_ready() || shared.first_failure().is_some()).await;
        }
        self.0.shared.is_ready()
    }

    /// Waits until a service has an instance to call.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`] or [`Error::NoInstances`] if that takes longer than `limit`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn wait_for(&self, service_id: &str, limit: Duration) -> Result<Arc<ServiceView>, Error> {
        self.expect_fetches()?;
        let view = || self.0.shared.index().lookup(service_id).filter(|view| !view.is_empty()).map(Arc::clone);
        self.wait_until(limit, || view().is_some()).await;
        view().ok_or_else(|| {
            if self.0.shared.is_ready() {
                Error::NoInstances { service_id: service_id.to_owned(), waited: limit }
            } else {
                Error::NotReady { waited: limit }
            }
        })
    }

    /// The instances of a service that may be called; none if it is not known.
    #[must_use]
    pub fn instances(&self, service_id: &str) -> Vec<ServiceInstance> {
        self.0.shared.index().lookup(service_id).map_or_else(Vec::new, |view| view.instances().cloned().collect())
    }

    /// The instances behind a virtual address, as Spring looks them up: without falling back to the application name.
    #[must_use]
    pub fn by_vip(&self, vip: &str) -> Option<Arc<ServiceView>> {
        self.0.shared.index().by_vip(vip).map(Arc::clone)
    }

    /// The instances behind a secure virtual address.
    #[must_use]
    pub fn by_secure_vip(&self, vip: &str) -> Option<Arc<ServiceView>> {
        self.0.shared.index().by_secure_vip(vip).map(Arc::clone)
    }

    /// The instances of an application.
    #[must_use]
    pub fn by_application(&self, name: &str) -> Option<Arc<ServiceView>> {
        self.0.shared.index().by_application(name).map(Arc::clone)
    }

    /// A known name that differs from `service_id` only in `_` and `-`: for error messages, never for a call.
    #[must_use]
    pub fn similar(&self, service_id: &str) -> Option<String> {
        self.0.shared.index().similar(service_id).map(str::to_owned)
    }

    /// How the client is doing.
    #[must_use]
    pub fn health(&self) -> RegistryHealth {
        RegistryHealth { fetch: self.0.shared.health(), registration: self.0.registration.borrow().clone() }
    }

    /// Waits until the registration stands as `state`.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`] if that takes longer than `limit`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn wait_registration(&self, state: Registration, limit: Duration) -> Result<(), Error> {
        let mut registration = self.0.registration.clone();
        let reached = registration.wait_for(|health| health.state == state);
        match tokio::time::timeout(limit, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Error::NotReady { waited: limit }),
        }
    }

    /// Sets the status of the registered instance and tells the registry at once; changes within a second are told
    /// together, the last one wins. `OutOfService` is set, and taken back by the next call, as an override.
    ///
    /// # Errors
    ///
    /// [`Error::Off`] if the client does not register or has been stopped.
    ///
    /// # Cancel safety
    ///
    /// The status is set or not; it is not lost half-way.
    pub async fn set_status(&self, status: InstanceStatus) -> Result<(), Error> {
        let Some(commands) = &self.0.commands else {
            return Err(Error::Off { reason: "`eureka.client.register-with-eureka` or `enabled` is false" });
        };
        commands.send(Command::SetStatus(status)).await.map_err(|_| Error::Off { reason: "it was stopped" })
    }

    fn expect_fetches(&self) -> Result<(), Error> {
        if self.0.fetches {
            Ok(())
        } else {
            Err(Error::Off { reason: "`eureka.client.fetch-registry` or `enabled` is false" })
        }
    }

    async fn wait_until(&self, limit: Duration, reached: impl Fn() -> bool) -> bool {
        let deadline = Instant::now() + limit;
        let mut changes = self.0.shared.changes();
        loop {
            changes.borrow_and_update();
            if reached() {
                return true;
            }
            match tokio::time::timeout_at(deadline, changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return reached(),
            }
        }
    }
}

/// The cache may be large, so only its state is shown.
impl std::fmt::Debug for EurekaDiscovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EurekaDiscovery").field("health", &self.health()).finish_non_exhaustive()
    }
}

impl Discover for EurekaDiscovery {
    fn lookup(&self, service_id: &str) -> Result<Arc<ServiceView>, LookupError> {
        if let Some(view) = self.0.shared.index().lookup(service_id) {
            return Ok(Arc::clone(view));
        }
        if self.0.shared.is_ready() {
            return Err(LookupError::unknown(service_id));
        }
        let source = match self.expect_fetches() {
            Ok(()) => self.0.shared.first_failure().map(|error| error.into()),
            Err(error) => Some(error.into()),
        };
        Err(LookupError::unavailable(service_id, source))
    }

    fn services(&self) -> Vec<String> {
        self.0.shared.index().services().to_vec()
    }

    fn suspect(&self, instance: &ServiceInstance) {
        tracing::debug!(instance = instance.instance_id(), "instance is suspect, looking at the registry sooner");
        self.0.shared.suspect();
    }
}
