//! One instance's place in the registry. A single task makes all writes for it, so that they never overlap or swap
//! places: a late `DOWN` after the deregistration would bring the record back (SCN#1543).

use std::future::pending;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use vernal_commons::backoff::Backoff;
use vernal_commons::chain::Chain;
use vernal_commons::clock::now_millis;
use vernal_commons::random::Random;

use crate::error::Error;
use crate::record::{InstanceRecord, InstanceStatus};
use crate::request::{Operation, Renewal};
use crate::servers::Servers;

/// Where the registration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Registration {
    /// Nobody asked for it, or the settings turn it off.
    #[default]
    None,
    /// Asked for; the registry does not know the instance yet, or wants to hear of it again.
    Pending,
    /// The registry knows the instance.
    Registered,
    /// The instance was deregistered.
    Left,
    /// The client stopped, and the registry did not confirm that the instance is gone.
    Abandoned,
}

/// How the registration is doing.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RegistrationHealth {
    /// Where it stands.
    pub state: Registration,
    /// When the registry last confirmed the lease.
    pub last_success: Option<Instant>,
    /// Failed writes since then.
    pub consecutive_failures: u32,
    /// What the last of them ended with.
    pub last_error: Option<String>,
}

/// What the task can be asked.
#[derive(Debug)]
pub(crate) enum Command {
    /// Register this record; the answer is how the first try ended.
    Register(Box<InstanceRecord>, oneshot::Sender<Result<(), Error>>),
    /// Change the status.
    SetStatus(InstanceStatus),
}

/// The task's state.
pub(crate) struct Registrar {
    servers: Servers,
    health: watch::Sender<RegistrationHealth>,
    unregister: bool,
    shutdown_limit: Duration,
    random: Random,
    held: Option<Held>,
}

/// The record and what is still to be told of it.
struct Held {
    record: InstanceRecord,
    /// Whether the registry has to hear of the record.
    dirty: bool,
    /// Whether the registry ever confirmed it.
    registered: bool,
    /// Whether a registration ever left, so that there may be something to take back.
    attempted: bool,
    /// Whether the server's time stamp has been compared with ours.
    verified: bool,
    /// `OUT_OF_SERVICE` is reached by an override alone.
    out_of_service: bool,
    override_stored: bool,
    failures: u32,
    next: Instant,
    last_push: Option<Instant>,
    answer: Option<oneshot::Sender<Result<(), Error>>>,
}

/// The least time between two registrations; changes in between are sent together.
const PUSH_INTERVAL: Duration = Duration::from_secs(1);
/// The longest that the `DOWN` at the end may take.
const DOWN_LIMIT: Duration = Duration::from_secs(2);
/// Delay after a failed write: 1, 2, 4, ... 30 s, but never longer than the time between two heartbeats.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30)).jitter(0.2);

// ===== impl Registrar =====

impl Registrar {
    pub(crate) fn new(
        servers: Servers,
        health: watch::Sender<RegistrationHealth>,
        unregister: bool,
        shutdown_limit: Duration,
    ) -> Self {
        Self { servers, health, unregister, shutdown_limit, random: Random::new(), held: None }
    }

    /// Serves `commands` until `stop` is cancelled, then leaves the registry within the limit.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>, stop: CancellationToken) {
        loop {
            let next = self.held.as_ref().map(|held| held.next);
            let due = async {
                match next {
                    Some(next) => sleep_until(next).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(command) = commands.recv() => {
                    self.accept(command);
                    continue;
                }
                () = due => {}
            }
            let grace = self.shutdown_limit.mul_f64(0.4);
            let stopped = async {
                stop.cancelled().await;
                tokio::time::sleep(grace).await;
            };
            tokio::select! {
                biased;
                () = self.write() => {}
                // The write in flight is given up: its answer, should it come, is of no more interest.
                () = stopped => break,
            }
        }
        let left = timeout(self.shutdown_limit.mul_f64(0.6), self.leave()).await.unwrap_or(false);
        self.health.send_modify(|health| {
            health.state = match health.state {
                Registration::None => Registration::None,
                _ if left => Registration::Left,
                _ => Registration::Abandoned,
            };
        });
    }

    fn accept(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Register(record, answer) => match &mut self.held {
                Some(held) if held.record.same_content(&record) && held.registered && !held.dirty => {
                    drop(answer.send(Ok(())));
                }
                Some(held) => {
                    let previous = held.record.last_dirty_timestamp;
                    held.record = *record;
                    held.record.last_dirty_timestamp = previous;
                    held.answer = Some(answer);
                    held.touch(now);
                }
                None => {
                    let mut held = Held::new(*record, now);
                    held.answer = Some(answer);
                    held.touch(now);
                    self.held = Some(held);
                    self.health.send_modify(|health| health.state = Registration::Pending);
                }
            },
            Command::SetStatus(status) => {
                let Some(held) = &mut self.held else {
                    tracing::debug!(%status, "nothing is registered whose status could be set");
                    return;
                };
                held.set_status(status, now);
            }
        }
    }

    /// What is due: the record if it changed, else a heartbeat.
    async fn write(&mut self) {
        let Some(held) = &mut self.held else { return };
        let outcome =
            if held.dirty { held.push(&self.servers).await } else { held.renew(&self.servers, &self.random).await };
        let now = Instant::now();
        let interval = Duration::from_secs(u64::from(held.record.lease.renewal_interval.max(1)));
        match outcome {
            Ok(()) => {
                if held.failures > 0 {
                    tracing::info!(failures = held.failures, "registry answers again");
                }
                held.failures = 0;
                if !held.dirty {
                    // Heartbeats are only ever early: the lease is at stake.
                    held.next = now + interval.mul_f64(1.0 - 0.2 * self.random.unit());
                }
                let state = if held.registered { Registration::Registered } else { Registration::Pending };
                self.health.send_modify(|health| {
                    health.state = state;
                    health.last_success = Some(now).filter(|_| held.registered).or(health.last_success);
                    (health.consecutive_failures, health.last_error) = (0, None);
                });
                held.answer(Ok(()));
            }
            Err(error) => {
                held.failures = held.failures.saturating_add(1);
                let delay = if error.is_retryable() {
                    RETRY.delay(held.failures, &self.random).min(interval)
                } else {
                    interval
                };
                held.next = now + delay;
                let text = Chain(&error).to_string();
                if held.failures == 1 {
                    tracing::warn!(instance = held.record.instance_id, error = text, "registry did not take a write");
                } else {
                    tracing::debug!(failures = held.failures, error = text, "registry did not take a write");
                }
                self.health.send_modify(|health| {
                    health.consecutive_failures = held.failures;
                    health.last_error = Some(text);
                });
                held.answer(Err(error));
            }
        }
    }

    /// `DOWN`, then the end of the lease. Returns whether the registry confirmed it.
    async fn leave(&mut self) -> bool {
        let Some(held) = &mut self.held else { return true };
        held.answer(Err(Error::Off { reason: "it was stopped" }));
        if !held.attempted {
            return true;
        }
        if held.registered {
            held.record.status = InstanceStatus::Down;
            held.bump();
            let limit = DOWN_LIMIT.min(self.shutdown_limit.mul_f64(0.25));
            let down = Operation::Register(&held.record);
            match timeout(limit, self.servers.call(&down, |reply| reply.registered())).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::debug!(error = %Chain(&error), "could not announce the end"),
                Err(_) => tracing::debug!(limit_ms = limit.as_millis(), "could not announce the end in time"),
            }
        }
        if !self.unregister {
            return true;
        }
        match self.servers.call(&Operation::Cancel(&held.record), |reply| reply.cancelled()).await {
            Ok(_) => {
                tracing::info!(instance = held.record.instance_id, "left the registry");
                true
            }
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "could not end the lease");
                false
            }
        }
    }
}

// ===== impl Held =====

impl Held {
    fn new(record: InstanceRecord, now: Instant) -> Self {
        Self {
            record,
            dirty: true,
            registered: false,
            attempted: false,
            verified: false,
            out_of_service: false,
            override_stored: false,
            failures: 0,
            next: now,
            last_push: None,
            answer: None,
        }
    }

    /// Strictly later than before, whatever the clock does: the server drops an older record in silence (NE#802).
    fn bump(&mut self) {
        let previous = self.record.last_dirty_timestamp.unwrap_or(0);
        self.record.last_dirty_timestamp = Some(now_millis().max(previous.saturating_add(1)));
    }

    /// Marks the record as changed, to be sent now or together with what follows within a second.
    fn touch(&mut self, now: Instant) {
        self.bump();
        self.dirty = true;
        self.next = self.last_push.map_or(now, |last| now.max(last + PUSH_INTERVAL));
    }

    /// A server keeps the status of an instance that is up when it posts `OUT_OF_SERVICE`, and the reverse
    /// (discovery.md 2.5), so this one is reached and left by an override.
    fn set_status(&mut self, status: InstanceStatus, now: Instant) {
        let out_of_service = status == InstanceStatus::OutOfService;
        let unchanged = out_of_service == self.out_of_service && (out_of_service || status == self.record.status);
        if unchanged {
            return;
        }
        self.out_of_service = out_of_service;
        if !out_of_service {
            self.record.status = status;
        }
        self.touch(now);
    }

    async fn push(&mut self, servers: &Servers) -> Result<(), Error> {
        self.attempted = true;
        self.last_push = Some(Instant::now());
        if self.override_stored && !self.out_of_service {
            servers.call(&Operation::ClearOverride(&self.record), |reply| reply.cancelled()).await?;
            self.override_stored = false;
        }
        let (position, ()) = servers.call(&Operation::Register(&self.record), |reply| reply.registered()).await?;
        if !self.registered {
            tracing::info!(
                instance = self.record.instance_id,
                service = self.record.app,
                status = %self.record.status,
                server = servers.url(position),
                "registered"
            );
        }
        self.registered = true;
        if self.out_of_service {
            let out = Operation::Override(&self.record, InstanceStatus::OutOfService);
            servers.call(&out, |reply| reply.overridden()).await?;
            self.override_stored = true;
        }
        self.dirty = false;
        self.verify(servers).await;
        Ok(())
    }

    /// A server that holds a younger record (the clock went back, or the machine was replaced by one that is slow)
    /// has answered 204 and kept the old one.
    async fn verify(&mut self, servers: &Servers) {
        if std::mem::replace(&mut self.verified, true) {
            return;
        }
        let own = Operation::Instance(&self.record.app, &self.record.instance_id);
        let Ok((_, Some(stored))) = servers.call(&own, |reply| reply.instance()).await else { return };
        if stored.last_dirty_timestamp > self.record.last_dirty_timestamp {
            tracing::warn!(instance = self.record.instance_id, "registry holds a record from the future, replacing it");
            self.record.last_dirty_timestamp = stored.last_dirty_timestamp;
            self.bump();
            (self.dirty, self.next) = (true, Instant::now());
        }
    }

    async fn renew(&mut self, servers: &Servers, random: &Random) -> Result<(), Error> {
        match servers.call(&Operation::Renew(&self.record), |reply| reply.renewed()).await?.1 {
            Renewal::Renewed => {}
            Renewal::Unknown => {
                tracing::info!(
                    instance = self.record.instance_id,
                    "registry does not know the lease, registering again"
                );
                self.bump();
                (self.dirty, self.registered) = (true, false);
                // All clients of a server that restarted come at once otherwise.
                let spread = Duration::from_secs(u64::from(self.record.lease.renewal_interval)).mul_f64(0.1);
                self.next = Instant::now() + spread.min(Duration::from_secs(2)).mul_f64(random.unit());
            }
        }
        Ok(())
    }

    fn answer(&mut self, outcome: Result<(), Error>) {
        if let Some(answer) = self.answer.take() {
            // The caller may have stopped waiting.
            drop(answer.send(outcome));
        }
    }
}
