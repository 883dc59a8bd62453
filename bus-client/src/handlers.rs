//! The user's handlers, and the two tasks that run them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use vernal_commons::chain::Chain;
use vernal_commons::random::Random;
use vernal_commons::{BoxError, BoxFuture};

use crate::coalesce::{Coalescer, Pace};
use crate::counters::Tally;
use crate::destination::Scope;
use crate::event::Values;
use crate::inbox::Receipt;
use crate::publish::Outbox;
use crate::settings::EnvSettings;
use crate::supervisor::Health;

/// Time limit of one refresh: above the longest read time-out of a config client.
const REFRESH_LIMIT: Duration = Duration::from_secs(300);
/// Time limit of one env-change or shutdown handler.
const HANDLER_LIMIT: Duration = Duration::from_secs(30);

type Handler<A, R> = Arc<dyn Fn(A) -> BoxFuture<'static, Result<R, BoxError>> + Send + Sync>;

/// What the user wants to be called for.
#[derive(Clone, Default)]
pub(crate) struct Handlers {
    pub(crate) refresh: Option<Handler<(), Vec<String>>>,
    pub(crate) env: Option<Handler<BTreeMap<String, String>, Vec<String>>>,
    pub(crate) shutdown: Option<Handler<(), ()>>,
}

/// To the task that refreshes.
#[derive(Debug)]
pub(crate) enum Wish {
    Refresh(Scope, Option<Receipt>),
    CatchUp(Instant),
    Fetched(Instant),
}

/// To the task that runs the other handlers, one after the other.
#[derive(Debug)]
pub(crate) enum Job {
    Environment(Values, Option<Receipt>, Option<oneshot::Sender<Result<(), BoxError>>>),
    Shutdown(Option<Receipt>),
}

/// Runs refreshes as the [`Coalescer`] says.
pub(crate) struct Refresher {
    pub(crate) handler: Option<Handler<(), Vec<String>>>,
    pub(crate) wishes: mpsc::Receiver<Wish>,
    pub(crate) pace: Pace,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) health: Arc<watch::Sender<Health>>,
}

/// Runs the other handlers.
pub(crate) struct Worker {
    pub(crate) handlers: Handlers,
    pub(crate) jobs: mpsc::Receiver<Job>,
    pub(crate) settings: EnvSettings,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) tally: Arc<Tally>,
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers")
            .field("refresh", &self.refresh.is_some())
            .field("env", &self.env.is_some())
            .field("shutdown", &self.shutdown.is_some())
            .finish()
    }
}

// ===== impl Refresher =====

impl Refresher {
    pub(crate) async fn run(mut self, token: CancellationToken) {
        let mut coalescer = Coalescer::new(self.pace, Random::new());
        let mut running: Option<BoxFuture<'static, Result<Vec<String>, BoxError>>> = None;
        loop {
            let deadline = coalescer.deadline();
            tokio::select! {
                wish = self.wishes.recv() => match wish {
                    Some(_) if self.handler.is_none() => {}
                    Some(Wish::Refresh(scope, receipt)) => {
                        self.tally.acks_dropped.add(coalescer.request(Instant::now(), scope, receipt));
                    }
                    Some(Wish::CatchUp(since)) => coalescer.catch_up(since),
                    Some(Wish::Fetched(started)) => coalescer.fetched(started),
                    None => return,
                },
                () = sleep_until(deadline) => {
                    if coalescer.start(Instant::now()) {
                        running = self.handler.as_ref().map(|handler| guarded(handler(()), REFRESH_LIMIT));
                    }
                }
                result = poll(&mut running) => {
                    running = None;
                    self.finish(&mut coalescer, result);
                }
                () = token.cancelled() => break,
            }
        }
        // What is running may end; the caller limits the time.
        if running.is_some() {
            let result = poll(&mut running).await;
            self.finish(&mut coalescer, result);
        }
    }

    fn finish(&self, coalescer: &mut Coalescer<Receipt>, result: Result<Vec<String>, BoxError>) {
        let finished = coalescer.finish(Instant::now(), result.is_ok());
        let failures = coalescer.failures();
        self.health.send_modify(|health| health.refresh_failures = failures);
        match result {
            Ok(changed) => {
                self.tally.refreshes.one();
                self.tally.refreshes_coalesced.add(usize::try_from(finished.coalesced).unwrap_or(usize::MAX));
                tracing::info!(changed_keys = changed.len(), events = finished.answered.len(), "refreshed for the bus");
                finished.answered.into_iter().for_each(|receipt| self.outbox.acknowledge(receipt));
            }
            Err(error) => {
                self.tally.refreshes_failed.one();
                let error = Chain(error.as_ref()).to_string();
                if failures == 1 {
                    tracing::warn!(error, "refresh for the bus failed, trying again");
                } else {
                    tracing::debug!(error, failures, "refresh for the bus failed again");
                }
            }
        }
    }
}

/// Waits for the running refresh; for ever if there is none.
async fn poll(
    running: &mut Option<BoxFuture<'static, Result<Vec<String>, BoxError>>>,
) -> Result<Vec<String>, BoxError> {
    match running {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

// ===== impl Worker =====

impl Worker {
    pub(crate) async fn run(mut self, token: CancellationToken) {
        loop {
            let job = tokio::select! {
                job = self.jobs.recv() => job,
                () = token.cancelled() => return,
            };
            match job {
                Some(Job::Environment(values, receipt, done)) => {
                    let result = self.environment(values).await;
                    if let (Ok(()), Some(receipt)) = (&result, receipt) {
                        self.outbox.acknowledge(receipt);
                    }
                    if let Some(done) = done {
                        // The publisher may have given up waiting.
                        drop(done.send(result));
                    }
                }
                Some(Job::Shutdown(receipt)) => self.shutdown(receipt).await,
                None => return,
            }
        }
    }

    async fn environment(&self, values: Values) -> Result<(), BoxError> {
        let (allowed, refused): (Vec<_>, Vec<_>) =
            values.pairs.into_iter().partition(|(name, _)| self.settings.allows(name));
        let refused: Vec<String> = refused.into_iter().map(|(name, _)| name).collect();
        if !refused.is_empty() || !values.skipped.is_empty() {
            self.tally.env_keys_skipped.add(refused.len() + values.skipped.len());
            tracing::warn!(not_allowed = ?refused, no_text = ?values.skipped, "env-change event sets fewer keys than it names");
        }
        let (Some(handler), false) = (&self.handlers.env, allowed.is_empty()) else { return Ok(()) };
        match guarded(handler(allowed.into_iter().collect()), HANDLER_LIMIT).await {
            Ok(changed) => {
                self.tally.env_changes.one();
                tracing::info!(changed_keys = changed.len(), "applied an env-change event");
                Ok(())
            }
            Err(error) => {
                self.tally.env_changes_failed.one();
                tracing::warn!(error = %Chain(error.as_ref()), "the handler of env-change events failed");
                Err(error)
            }
        }
    }

    async fn shutdown(&self, receipt: Option<Receipt>) {
        if let Some(receipt) = receipt {
            self.outbox.acknowledge(receipt);
        }
        let Some(handler) = &self.handlers.shutdown else { return };
        tracing::info!("stopping at the wish of a shutdown event");
        if let Err(error) = guarded(handler(()), HANDLER_LIMIT).await {
            tracing::warn!(error = %Chain(error.as_ref()), "the handler of shutdown events failed");
        }
    }
}

/// The handler's result; its panic, or its failure to end in time, as an error.
fn guarded<R: Send + 'static>(
    handler: BoxFuture<'static, Result<R, BoxError>>,
    limit: Duration,
) -> BoxFuture<'static, Result<R, BoxError>> {
    Box::pin(async move {
        // A task of its own, since a panic must not end ours; the set aborts it when this future is dropped.
        let mut task = tokio::task::JoinSet::new();
        task.spawn(handler);
        match tokio::time::timeout(limit, task.join_next()).await {
            Ok(Some(Ok(result))) => result,
            Ok(Some(Err(_)) | None) => Err("the handler panicked".into()),
            Err(_) => Err(format!("the handler did not end within {} s", limit.as_secs()).into()),
        }
    })
}
