//! The bus: its builder, and the handle to the running one.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;
use vernal_commons::BoxError;
use vernal_commons::task::Task;

use crate::coalesce::Pace;
use crate::counters::{Counters, Tally};
use crate::destination::{Destination, Scope};
use crate::error::Error;
use crate::event::{Ack, Event, Kind, Naming, Values};
use crate::handlers::{Handlers, Job, Refresher, Wish, Worker};
use crate::id::BusId;
use crate::inbox::{Claim, Inbox, Listens, Receipt, SentIds};
use crate::publish::Outbox;
use crate::settings::BusSettings;
use crate::supervisor::{Health, State, Supervisor};
use crate::transport::{BusTransport, Node};

/// Requests and jobs that wait for their task. When full, nothing more is read from the broker.
const QUEUE: usize = 1024;
/// Acks kept for one listener that does not read; older ones are lost to it.
const HEARD: usize = 256;
/// Time limit of [`Bus::stop`].
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A node of Spring Cloud Bus. Cheap to clone; all clones are one node. Stop it with [`stop`](Self::stop): when the
/// last clone is dropped instead, the tasks end at once and the connections are closed in the background.
#[derive(Clone)]
pub struct Bus {
    inner: Arc<Inner>,
}

/// Collects what a [`Bus`] is made of.
#[must_use]
pub struct BusBuilder {
    settings: BusSettings,
    id: BusId,
    transport: Option<Arc<dyn BusTransport>>,
    aliases: Vec<String>,
    naming: Naming,
    handlers: Handlers,
}

/// The acks of all nodes, as they come in. See [`Bus::acks`].
#[derive(Debug)]
pub struct Acks {
    receiver: broadcast::Receiver<Ack>,
}

/// The state of the bus, as it changes. See [`Bus::states`].
#[derive(Debug)]
pub struct States {
    receiver: watch::Receiver<Health>,
}

struct Inner {
    id: BusId,
    settings: BusSettings,
    aliases: Vec<String>,
    tally: Arc<Tally>,
    health: Arc<watch::Sender<Health>>,
    heard: broadcast::Sender<Ack>,
    recent: Arc<Mutex<VecDeque<Ack>>>,
    /// None if the bus is disabled.
    parts: Option<Parts>,
}

struct Parts {
    outbox: Arc<Outbox>,
    transport: Arc<dyn BusTransport>,
    wishes: mpsc::Sender<Wish>,
    jobs: mpsc::Sender<Job>,
    listens: Listens,
    tasks: Mutex<Option<Tasks>>,
}

struct Tasks {
    supervisor: Task,
    refresher: Task,
    worker: Task,
    acks: Task,
    recorder: Option<Task>,
}

// ===== impl BusBuilder =====

impl BusBuilder {
    /// How to reach the other nodes. Required unless the bus is disabled.
    pub fn transport(mut self, transport: impl BusTransport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// As [`transport`](Self::transport), for one that is already shared.
    pub fn shared_transport(mut self, transport: Arc<dyn BusTransport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Other names of this node: the names in `spring.cloud.config.name`, if that is set. An event for one of them is
    /// for us. Default none.
    pub fn aliases(mut self, aliases: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.aliases = aliases.into_iter().map(Into::into).collect();
        self
    }

    /// How field names are written. Default [`Naming::CamelCase`].
    pub fn naming(mut self, naming: Naming) -> Self {
        self.naming = naming;
        self
    }

    /// Called when the configuration shall be fetched again: on refresh events, gathered and delayed as the settings
    /// say, and after each subscription, since events may have been missed. Returns the keys that changed. Failures
    /// are tried again until it succeeds; never called twice at a time; limited to 5 minutes.
    pub fn on_refresh<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<String>, BoxError>> + Send + 'static,
    {
        self.handlers.refresh = Some(Arc::new(move |()| Box::pin(handler())));
        self
    }

    /// Called with the pairs of an env-change event, which shall be put before all other sources. Returns the keys
    /// that changed. Called in the order of the events, one at a time, limited to 30 s; a failure is counted and not
    /// tried again, and the event is not acknowledged. It must not wait for [`Bus::publish_env`] of the same node, which
    /// waits for it.
    pub fn on_env<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(BTreeMap<String, String>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<String>, BoxError>> + Send + 'static,
    {
        self.handlers.env = Some(Arc::new(move |values| Box::pin(handler(values))));
        self
    }

    /// Called on a shutdown event if `spring.cloud.bus.shutdown.enabled` is set, which it is not by default. The event
    /// is acknowledged before.
    pub fn on_shutdown<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.handlers.shutdown = Some(Arc::new(move |()| Box::pin(handler())));
        self
    }

    /// Starts the tasks of the bus and returns at once. It does not fail because the broker is down: the bus goes on
    /// trying, and [`Bus::health`] tells.
    ///
    /// # Errors
    ///
    /// [`Error::NoTransport`] without transport; [`Error::Setting`] if `spring.cloud.bus.destination` is empty or
    /// longer than 200 bytes, which no broker could declare.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(self) -> Result<Bus, Error> {
        let Self { settings, id, transport, aliases, naming, handlers } = self;
        if !(1..=200).contains(&settings.destination.trim().len()) {
            let reason = "expected 1 to 200 bytes".to_owned();
            return Err(Error::Setting { key: "spring.cloud.bus.destination", reason });
        }
        let enabled = settings.enabled;
        let state = if enabled { State::Connecting } else { State::Disabled };
        let health = Health { state, failures: 0, last_error: None, refresh_failures: 0 };
        let mut inner = Inner {
            id,
            settings,
            aliases,
            tally: Arc::default(),
            health: Arc::new(watch::channel(health).0),
            heard: broadcast::channel(HEARD).0,
            recent: Arc::default(),
            parts: None,
        };
        if enabled {
            inner.parts = Some(inner.spawn(transport.ok_or(Error::NoTransport)?, naming, handlers));
        }
        Ok(Bus { inner: Arc::new(inner) })
    }
}

impl fmt::Debug for BusBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BusBuilder")
            .field("id", &self.id)
            .field("settings", &self.settings)
            .field("transport", &self.transport)
            .field("handlers", &self.handlers)
            .finish_non_exhaustive()
    }
}

// ===== impl Inner =====

impl Inner {
    fn spawn(&self, transport: Arc<dyn BusTransport>, naming: Naming, handlers: Handlers) -> Parts {
        let node = Node::new(self.settings.destination.trim(), self.id.clone());
        let sent = Arc::new(SentIds::default());
        let (wishes, wish_receiver) = mpsc::channel(QUEUE);
        let (jobs, job_receiver) = mpsc::channel(QUEUE);
        let listens = Listens {
            refresh: self.settings.refresh.enabled && handlers.refresh.is_some(),
            env: self.settings.env.enabled && handlers.env.is_some(),
            shutdown: self.settings.shutdown.enabled && handlers.shutdown.is_some(),
        };
        let ack = &self.settings.ack;
        let outbox = Arc::new(Outbox {
            transport: transport.clone(),
            node: node.clone(),
            naming,
            ack_destination: ack.enabled.then(|| Destination::normalise(ack.destination_service.as_deref())),
            sent: sent.clone(),
            tally: self.tally.clone(),
            heard: self.heard.clone(),
            waiting: Mutex::default(),
            wake: Notify::new(),
        });
        let jitter = self.settings.jitter;
        let refresher = Refresher {
            handler: handlers.refresh.clone().filter(|_| listens.refresh),
            wishes: wish_receiver,
            pace: Pace { quiet: self.settings.quiet_period, jitter: [jitter.instance, jitter.service, jitter.fleet] },
            outbox: outbox.clone(),
            tally: self.tally.clone(),
            health: self.health.clone(),
        };
        let worker = Worker {
            handlers,
            jobs: job_receiver,
            settings: self.settings.env.clone(),
            outbox: outbox.clone(),
            tally: self.tally.clone(),
        };
        let supervisor = Supervisor {
            transport: transport.clone(),
            node,
            inbox: Inbox::new(self.id.clone(), self.aliases.clone(), listens, sent, self.tally.clone()),
            wishes: wishes.clone(),
            jobs: jobs.clone(),
            outbox: outbox.clone(),
            heard: self.heard.clone(),
            health: self.health.clone(),
            tally: self.tally.clone(),
        };
        let recorder = self.settings.trace.enabled.then(|| {
            let (mut acks, recent) = (self.heard.subscribe(), self.recent.clone());
            Task::spawn("bus-acks-seen", |token| async move {
                token.run_until_cancelled(record(&mut acks, &recent)).await;
            })
        });
        let tasks = Tasks {
            refresher: Task::spawn("bus-refresh", |token| refresher.run(token)),
            worker: Task::spawn("bus-handlers", |token| worker.run(token)),
            acks: Task::spawn("bus-acks", |token| outbox.clone().send_acks(token)),
            supervisor: Task::spawn("bus-subscription", |token| supervisor.run(token)),
            recorder,
        };
        Parts { outbox, transport, wishes, jobs, listens, tasks: Mutex::new(Some(tasks)) }
    }

    fn parts(&self) -> Result<&Parts, Error> {
        let parts = self.parts.as_ref().ok_or(Error::Disabled)?;
        if parts.tasks.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            return Err(Error::Stopped);
        }
        Ok(parts)
    }
}

async fn record(acks: &mut broadcast::Receiver<Ack>, recent: &Mutex<VecDeque<Ack>>) {
    loop {
        match acks.recv().await {
            Ok(ack) => {
                let mut recent = recent.lock().unwrap_or_else(PoisonError::into_inner);
                if recent.len() == HEARD {
                    recent.pop_front();
                }
                recent.push_back(ack);
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

// ===== impl Bus =====

impl Bus {
    /// Begins to build a node with the bus id `id`.
    pub fn builder(settings: BusSettings, id: BusId) -> BusBuilder {
        let (aliases, handlers) = (Vec::new(), Handlers::default());
        BusBuilder { settings, id, transport: None, aliases, naming: Naming::default(), handlers }
    }

    /// Our bus id.
    #[must_use]
    pub fn id(&self) -> &BusId {
        &self.inner.id
    }

    /// Asks nodes to refresh, ourselves too if addressed: what `POST /actuator/busrefresh[/{destination}]` does. No
    /// destination addresses everybody; see [`Destination::normalise`]. Returns the event's id, by which its acks can
    /// be recognised.
    ///
    /// That it was published says that the broker has it, not that anybody got it.
    ///
    /// # Errors
    ///
    /// If the broker does not confirm it within 5 s, or the bus is disabled or stopped.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may or may not have published the event.
    pub async fn publish_refresh(&self, destination: Option<&str>) -> Result<String, Error> {
        let parts = self.inner.parts()?;
        let destination = Destination::normalise(destination);
        let event = Event::refresh(&self.inner.id, &destination);
        let id = event.id.clone().unwrap_or_default();
        parts.outbox.publish(&event).await?;
        // It may have come back already, and have been taken then.
        if self.addresses(&destination) && parts.outbox.sent.claim(&id) == Claim::First {
            let receipt = self.receipt(&event, &destination);
            if parts.listens.refresh {
                let scope = Scope::of(Some(destination.as_str()));
                drop(parts.wishes.send(Wish::Refresh(scope, receipt)).await);
            }
        }
        Ok(id)
    }

    /// Sets a property on nodes, on ourselves too if addressed: what `POST /actuator/busenv[/{destination}]` does. As
    /// in Spring it is set here before it is published. Returns the event's id.
    ///
    /// # Errors
    ///
    /// As [`publish_refresh`](Self::publish_refresh); [`Error::Handler`] if our own handler failed, after the event
    /// was published.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have set the property here, and may or may not have published the event.
    pub async fn publish_env(&self, destination: Option<&str>, name: &str, value: &str) -> Result<String, Error> {
        let parts = self.inner.parts()?;
        let destination = Destination::normalise(destination);
        let pairs = vec![(name.to_owned(), value.to_owned())];
        let event = Event::environment_change(&self.inner.id, &destination, pairs.clone());
        let id = event.id.clone().unwrap_or_default();
        let mut local = Ok(());
        if parts.listens.env && self.addresses(&destination) {
            let (done, result) = oneshot::channel();
            let values = Values { pairs, skipped: Vec::new() };
            drop(parts.jobs.send(Job::Environment(values, None, Some(done))).await);
            local = result.await.map_err(|_| Error::Stopped)?;
        }
        match &local {
            Ok(()) => parts.outbox.publish_handled(&event).await?,
            Err(_) => parts.outbox.publish(&event).await?,
        }
        local.map(|()| id).map_err(|source| Error::Handler { handler: "on_env", source })
    }

    /// Tells the bus that somebody else has fetched the configuration, beginning at `started`: a pending refresh that
    /// was only to catch up with an older gap is dropped.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has told nothing.
    pub async fn config_fetched(&self, started: Instant) {
        if let Ok(parts) = self.inner.parts() {
            drop(parts.wishes.send(Wish::Fetched(started)).await);
        }
    }

    /// Whether the bus is up.
    #[must_use]
    pub fn state(&self) -> State {
        self.inner.health.borrow().state
    }

    /// How the bus is, for a health endpoint.
    #[must_use]
    pub fn health(&self) -> Health {
        self.inner.health.borrow().clone()
    }

    /// Watches the state.
    #[must_use]
    pub fn states(&self) -> States {
        States { receiver: self.inner.health.subscribe() }
    }

    /// The acks of all nodes, ours included, from now on.
    #[must_use]
    pub fn acks(&self) -> Acks {
        Acks { receiver: self.inner.heard.subscribe() }
    }

    /// The last 256 acks, the newest last, if `spring.cloud.bus.trace.enabled` is set; otherwise none.
    #[must_use]
    pub fn recent_acks(&self) -> Vec<Ack> {
        self.inner.recent.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// What the bus has done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.inner.tally.snapshot()
    }

    /// Leaves the bus: ends the subscription, whereupon the broker deletes the queue, waits for a running refresh and
    /// for queued acks, and closes the connections; for at most 5 s. A second call does nothing.
    ///
    /// # Cancel safety
    ///
    /// A dropped future aborts what has not ended yet.
    pub async fn stop(&self) {
        let Some(parts) = &self.inner.parts else { return };
        let tasks = parts.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(tasks) = tasks else { return };
        let deadline = Instant::now() + STOP_LIMIT;
        let left = |most: u64| deadline.saturating_duration_since(Instant::now()).min(Duration::from_millis(most));
        tasks.supervisor.stop(left(2200)).await;
        // The time of the last two steps is kept for them.
        tasks.refresher.stop(left(1300)).await;
        tasks.worker.stop(left(100)).await;
        tasks.acks.stop(left(700)).await;
        if let Some(recorder) = tasks.recorder {
            recorder.stop(left(100)).await;
        }
        parts.transport.close(left(1000)).await;
        self.inner.health.send_modify(|health| health.state = State::Stopped);
        tracing::info!(bus_id = %self.inner.id, "left the bus");
    }

    fn addresses(&self, destination: &Destination) -> bool {
        destination.matches(self.inner.id.as_str(), &self.inner.aliases)
    }

    fn receipt(&self, event: &Event, destination: &Destination) -> Option<Receipt> {
        let destination = Some(destination.as_str().to_owned());
        Some(Receipt { event_id: event.id.clone()?, destination, class: Kind::Refresh.java_class() })
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").field("id", &self.inner.id).field("health", &self.health()).finish_non_exhaustive()
    }
}

// ===== impl Acks, States =====

impl Acks {
    /// The next ack; none when the bus is gone. A listener that is slow by more than 256 acks misses the oldest.
    ///
    /// # Cancel safety
    ///
    /// A dropped future loses no ack.
    pub async fn next(&mut self) -> Option<Ack> {
        loop {
            match self.receiver.recv().await {
                Ok(ack) => return Some(ack),
                Err(RecvError::Lagged(missed)) => tracing::debug!(missed, "a listener to acks is too slow"),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

impl States {
    /// The state now.
    #[must_use]
    pub fn now(&self) -> State {
        self.receiver.borrow().state
    }

    /// Waits until the state is one that `wanted` accepts, which may be at once; none when the bus is gone before.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn reach(&mut self, wanted: impl Fn(State) -> bool) -> Option<State> {
        self.receiver.wait_for(|health| wanted(health.state)).await.ok().map(|health| health.state)
    }

    /// Waits until the health has changed since the last look, and returns it; none when the bus is gone.
    ///
    /// # Cancel safety
    ///
    /// A dropped future loses no change.
    pub async fn changed(&mut self) -> Option<Health> {
        self.receiver.changed().await.ok()?;
        Some(self.receiver.borrow_and_update().clone())
    }
}
