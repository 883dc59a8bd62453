//! Service name to instances.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::BoxError;
use crate::instance::ServiceInstance;

/// A source of instances: Eureka, a fixed list, DNS, several of them.
///
/// Look-ups are answered from memory: no lock, no wait, no network.
#[diagnostic::on_unimplemented(message = "`{Self}` is no source of service instances: implement `Discover` for it")]
pub trait Discover: Send + Sync + 'static {
    /// The instances of `service_id` that may be called, compared as the source demands (Eureka: without case).
    ///
    /// # Errors
    ///
    /// [`LookupError::UnknownService`] if the source has never heard of the name, [`LookupError::Unavailable`] if it
    /// has not been able to answer yet. A known service without instances is an empty view.
    fn lookup(&self, service_id: &str) -> Result<Arc<ServiceView>, LookupError>;

    /// The names of all known services, as the source spells them.
    fn services(&self) -> Vec<String>;

    /// Tells the source that a connection to an instance was refused, so that it may look again sooner.
    fn suspect(&self, _instance: &ServiceInstance) {}
}

/// Why there is no view of a service.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// No source knows the name.
    #[error("unknown service `{service_id}`")]
    UnknownService {
        /// The name that was looked up.
        service_id: String,
    },
    /// The source has not had its first answer.
    #[error("registry has not answered yet, so service `{service_id}` cannot be looked up")]
    Unavailable {
        /// The name that was looked up.
        service_id: String,
        /// What the last try ended with.
        #[source]
        source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    },
}

impl LookupError {
    /// An [`UnknownService`](Self::UnknownService).
    #[must_use]
    pub fn unknown(service_id: &str) -> Self {
        Self::UnknownService { service_id: service_id.to_owned() }
    }

    /// An [`Unavailable`](Self::Unavailable).
    #[must_use]
    pub fn unavailable(service_id: &str, source: Option<BoxError>) -> Self {
        Self::Unavailable { service_id: service_id.to_owned(), source: source.map(Arc::from) }
    }
}

/// One instance with the load that this process has put on it.
#[derive(Debug, Clone)]
pub struct Candidate {
    instance: ServiceInstance,
    load: Arc<Load>,
}

/// What this process knows of an instance by having called it. Survives changes of the list.
#[derive(Debug)]
pub struct Load {
    pending: AtomicUsize,
    since: Instant,
    /// Milliseconds after `since` until which the instance is avoided; 0 if it never was.
    avoided_until: AtomicU64,
}

/// How long an instance that took no connection is avoided.
const AVOIDED: Duration = Duration::from_secs(1);

/// Counts as one pending request until dropped.
#[derive(Debug)]
pub struct Pending(Arc<Load>);

/// An immutable list of the instances of one service, sorted by instance id.
#[derive(Debug, Clone, Default)]
pub struct ServiceView {
    candidates: Box<[Candidate]>,
}

// ===== impl Candidate =====

impl Candidate {
    /// The instance.
    #[must_use]
    pub const fn instance(&self) -> &ServiceInstance {
        &self.instance
    }

    /// Requests in flight from this process.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.load.pending.load(Ordering::Relaxed)
    }

    /// Notes that the instance took no connection: for a second it is picked only where nothing else is left. The
    /// registry may go on to list it for minutes.
    pub fn avoid(&self) {
        let until = (self.load.since.elapsed() + AVOIDED).as_millis();
        self.load.avoided_until.store(u64::try_from(until).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Whether it took no connection within the last second.
    #[must_use]
    pub fn is_avoided(&self) -> bool {
        let until = self.load.avoided_until.load(Ordering::Relaxed);
        until != 0 && self.load.since.elapsed() < Duration::from_millis(until)
    }

    /// Counts a request as pending until the guard is dropped.
    #[must_use]
    pub fn begin(&self) -> Pending {
        self.load.pending.fetch_add(1, Ordering::Relaxed);
        Pending(Arc::clone(&self.load))
    }
}

impl Default for Load {
    fn default() -> Self {
        Self { pending: AtomicUsize::new(0), since: Instant::now(), avoided_until: AtomicU64::new(0) }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

// ===== impl ServiceView =====

impl ServiceView {
    /// A view of `instances`, without load.
    #[must_use]
    pub fn new(instances: impl IntoIterator<Item = ServiceInstance>) -> Self {
        Self::default().updated(instances)
    }

    /// A view of `instances` that keeps the load of those that this view holds under the same id and address.
    #[must_use]
    pub fn updated(&self, instances: impl IntoIterator<Item = ServiceInstance>) -> Self {
        let known: BTreeMap<_, _> = self.candidates.iter().map(|c| (c.instance.instance_id(), c)).collect();
        let mut candidates: Vec<_> = instances
            .into_iter()
            .map(|instance| {
                let load = match known.get(instance.instance_id()) {
                    Some(old) if old.instance.same_address(&instance) => Arc::clone(&old.load),
                    _ => Arc::default(),
                };
                Candidate { instance, load }
            })
            .collect();
        candidates.sort_by(|a, b| a.instance.instance_id().cmp(b.instance.instance_id()));
        Self { candidates: candidates.into() }
    }

    /// The instances with their load.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// The instances.
    pub fn instances(&self) -> impl ExactSizeIterator<Item = &ServiceInstance> {
        self.candidates.iter().map(Candidate::instance)
    }

    /// Whether nobody can be called.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.candidates.is_empty()
    }

    /// The number of instances.
    #[must_use]
    pub fn len(&self) -> usize {
        self.candidates.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_survives_an_update_but_not_a_new_address() {
        let view = ServiceView::new([ServiceInstance::new("a", "h", 1), ServiceInstance::new("a", "h", 2)]);
        let _busy = [view.candidates()[0].begin(), view.candidates()[1].begin()];
        let moved = ServiceInstance::new("a", "elsewhere", 2).with_instance_id("h:2");
        let view = view.updated([moved, ServiceInstance::new("a", "h", 1)]);
        assert_eq!(view.candidates().iter().map(Candidate::pending).collect::<Vec<_>>(), [1, 0]);
    }

    #[test]
    fn a_dropped_guard_is_no_longer_pending() {
        let view = ServiceView::new([ServiceInstance::new("a", "h", 1)]);
        drop(view.candidates()[0].begin());
        assert_eq!(view.candidates()[0].pending(), 0);
    }
}
