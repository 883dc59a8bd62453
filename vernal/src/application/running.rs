use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use tokio::signal::unix::{SignalKind, signal};
use tower_service::Service;
use vernal_bus_client::{Bus, BusId, BusSettings};
use vernal_commons::BoxError;
use vernal_commons::http::Body;
use vernal_commons::task::Task;
use vernal_discovery_client::{
    ApplicationFacts, EurekaClientSettings, EurekaInstanceSettings, HostAddress, InetSettings, InstanceRecord,
};

use super::{Application, FIRST_TRY, Parts};
use crate::error::{Error, ErrorKind};
use crate::server::Server;

/// How long running requests may take to end.
const DRAIN: Duration = Duration::from_secs(2);
/// The server's own limit, above the drain time.
const SERVER_LIMIT: Duration = Duration::from_secs(3);
/// In any case, leaving takes no longer: what is promised is 10 s.
const HARD_LIMIT: Duration = Duration::from_millis(9500);

/// A service that listens. [`stop`](Self::stop) leaves in order; dropping it is like killing the process: nobody is
/// told.
#[must_use = "dropping it ends the service without telling anybody"]
pub struct Running {
    parts: Arc<Parts>,
    address: SocketAddr,
    /// None once it has been stopped.
    server: Option<Task>,
}

impl Running {
    pub(super) async fn start<S, B>(parts: Arc<Parts>, service: S) -> Result<Self, Error>
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let wanted = parts.address()?;
        #[cfg(feature = "actuator")]
        let service = Arc::new(crate::actuator::Actuator::new(Arc::clone(&parts))?).in_front_of(service);
        let server = Server::bind(wanted).await.map_err(|error| {
            Error::new(
                ErrorKind::Serve,
                format!("cannot listen on `{wanted}` (`server.address` and `server.port`)"),
                error,
            )
        })?;
        parts.start_once()?;
        let address = server.address();
        parts.settings.set_overrides([("local.server.port", address.port().to_string())])?;
        // From here on an error ends what was started, since it drops this.
        let mut running = Self { parts, address, server: None };
        let parts = &running.parts;
        join_bus(parts, address.port())?;
        running.server = Some(Task::spawn("http server", |stop| server.run(service, stop, DRAIN)));
        register(parts, address.port()).await?;
        tracing::info!(%address, "listening");
        Ok(running)
    }

    /// Where it listens; the port is the real one, also with `server.port: 0`.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The application that runs.
    #[must_use]
    pub fn application(&self) -> Application {
        Application { parts: Arc::clone(&self.parts) }
    }

    /// Leaves in order: out of the registry, no more requests, off the bus. Takes at most 5 s while peers answer and
    /// 10 s in any case.
    ///
    /// # Cancel safety
    ///
    /// A dropped future ends the service at once, without what had not been done yet.
    pub async fn stop(mut self) {
        let server = self.server.take();
        let mut eureka = self.parts.take_eureka();
        let leave = async {
            if let Some(eureka) = &mut eureka
                && let Err(error) = eureka.deregister().await
            {
                tracing::warn!(error = %error, "left without the registry's word");
            }
            if let Some(server) = server {
                server.stop(SERVER_LIMIT).await;
            }
            if let Some(bus) = self.parts.bus() {
                bus.stop().await;
            }
            // Until now running requests could still look up whom they call.
            if let Some(eureka) = eureka.take() {
                drop(eureka.stop().await);
            }
        };
        match tokio::time::timeout(HARD_LIMIT, leave).await {
            Ok(()) => tracing::info!("left"),
            Err(_) => tracing::warn!(limit_ms = HARD_LIMIT.as_millis(), "left without having finished"),
        }
    }

    /// Ends as a killed process would: connections break, nobody is told.
    pub async fn kill(self) {
        drop(self);
        // Aborted tasks close their sockets when they are run once more.
        tokio::task::yield_now().await;
    }
}

/// What has not been stopped ends at once, even if the [`Application`] lives on.
impl Drop for Running {
    fn drop(&mut self) {
        drop(self.parts.take_eureka());
        drop(self.parts.take_bus());
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("address", &self.address).finish_non_exhaustive()
    }
}

fn join_bus(parts: &Arc<Parts>, port: u16) -> Result<(), Error> {
    let settings: BusSettings = parts.settings.bind("spring.cloud.bus")?;
    if !settings.enabled || parts.bus().is_some() {
        return Ok(());
    }
    let port = port.to_string();
    let id = BusId::from_settings(|name| match name {
        "local.server.port" => Some(port.clone()),
        name => parts.settings.get(name).ok().flatten(),
    })?;
    // The other names of this node on the bus: a change of a shared file concerns it, too.
    let names = parts.settings.get("spring.cloud.config.name")?.unwrap_or_default();
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    let builder = Bus::builder(settings, id).aliases(names);
    let builder = match &parts.bus_transport {
        Some(transport) => builder.shared_transport(Arc::clone(transport)),
        #[cfg(feature = "amqp")]
        None => builder.transport(vernal_bus_client::AmqpTransport::new(parts.settings.bind("spring.rabbitmq")?)?),
        #[cfg(not(feature = "amqp"))]
        None => return Ok(()),
    };
    let (refresher, overrider) = (Arc::downgrade(parts), Arc::downgrade(parts));
    let gone = || BoxError::from("the application has ended");
    let bus = builder
        .on_refresh(move || {
            let parts = refresher.clone();
            async move { parts.upgrade().ok_or_else(gone)?.refresh_for_the_bus().await }
        })
        .on_env(move |values| {
            let parts = overrider.clone();
            async move { parts.upgrade().ok_or_else(gone)?.override_settings(values).await }
        })
        .start()?;
    *parts.bus.lock().unwrap_or_else(PoisonError::into_inner) = Some(bus);
    Ok(())
}

/// The client goes on trying if the registry does not answer at once, so a start does not wait for it.
async fn register(parts: &Parts, port: u16) -> Result<(), Error> {
    let eureka = parts.settings.bind::<EurekaClientSettings>("eureka.client")?;
    let inet: InetSettings = parts.settings.bind("spring.cloud.inetutils")?;
    let instance: EurekaInstanceSettings = parts.settings.bind("eureka.instance")?;
    let facts = ApplicationFacts::from_properties(&parts.settings)
        .map_err(|error| Error::new(ErrorKind::Config, "the instance cannot be described to the registry", error))?;
    // The client leaves its place for the time of the call, since a lock must not be held over it.
    let Some(client) = parts.take_eureka() else { return Ok(()) };
    let host = HostAddress::detect(&inet, &eureka.servers()?).await?;
    let record = InstanceRecord::from_settings(&instance, &facts.listening_on(port), &host);
    let first_try = tokio::time::timeout(FIRST_TRY, client.register(record)).await;
    *parts.eureka.lock().unwrap_or_else(PoisonError::into_inner) = Some(client);
    match first_try {
        Ok(Err(error @ vernal_discovery_client::Error::InvalidRecord { .. })) => Err(error.into()),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Ready when the process is asked to end. The handlers are there as soon as this returns.
pub(super) fn told_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
