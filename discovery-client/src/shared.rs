//! What the tasks write and the handles read.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::error::Error;
use crate::lookup::Index;
use crate::record::InstanceStatus;

/// How the cache of the registry is doing.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct FetchHealth {
    /// The server of the last document, without credentials.
    pub server: Option<String>,
    /// When the last document came.
    pub last_success: Option<Instant>,
    /// Failed fetches since then.
    pub consecutive_failures: u32,
    /// What the last of them ended with.
    pub last_error: Option<String>,
    /// Instances in the cache, whatever their status.
    pub instances: usize,
    /// Instances that the registry no longer lists and that are kept for a while.
    pub suspects: usize,
    /// Deltas that did not lead to what the server has.
    pub mismatches: u64,
    /// What the registry makes of this application's own instance; `None` if it does not list it.
    pub remote_status: Option<InstanceStatus>,
}

/// One index for all readers, swapped whole.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    index: ArcSwap<Index>,
    /// Number of indexes published; 0 before the first document.
    generation: watch::Sender<u64>,
    health: Mutex<FetchHealth>,
    first_failure: ArcSwapOption<Error>,
    own: ArcSwapOption<(String, String)>,
    suspicion: Notify,
}

impl Shared {
    pub(crate) fn index(&self) -> arc_swap::Guard<Arc<Index>> {
        self.index.load()
    }

    pub(crate) fn publish(&self, index: Index) {
        self.index.store(Arc::new(index));
        self.generation.send_modify(|generation| *generation += 1);
        self.first_failure.store(None);
    }

    pub(crate) fn is_ready(&self) -> bool {
        *self.generation.borrow() > 0
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    pub(crate) fn health(&self) -> FetchHealth {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut FetchHealth)) {
        change(&mut self.health.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn failed(&self, failures: u32, text: String, error: Error) {
        self.update(|health| (health.consecutive_failures, health.last_error) = (failures, Some(text)));
        if !self.is_ready() {
            self.first_failure.store(Some(Arc::new(error)));
            // Who waits for the first try looks again.
            self.generation.send_modify(|_| {});
        }
    }

    /// Why there is no document yet.
    pub(crate) fn first_failure(&self) -> Option<Arc<Error>> {
        self.first_failure.load_full()
    }

    /// Application and id of this application's own instance.
    pub(crate) fn own(&self) -> Option<Arc<(String, String)>> {
        self.own.load_full()
    }

    pub(crate) fn set_own(&self, application: &str, instance_id: &str) {
        self.own.store(Some(Arc::new((application.to_owned(), instance_id.to_owned()))));
    }

    /// Brings the next fetch forward.
    pub(crate) fn suspect(&self) {
        self.suspicion.notify_one();
    }

    pub(crate) async fn suspicion(&self) {
        self.suspicion.notified().await;
    }
}
