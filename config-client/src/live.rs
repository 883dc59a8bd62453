//! Typed views that follow the settings.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::state::{State, Store};

/// A typed view of the settings below a prefix: always of the newest state in which it could be bound.
///
/// It is a slot in the one state of the settings, so all views change at once; [`Snapshot`](crate::Snapshot) reads
/// several of them from the same state. Clones share the slot and remember on their own what they have seen.
pub struct Live<T> {
    source: Arc<dyn Source<T>>,
    seen: u64,
}

/// Where a [`Live`] reads from.
trait Source<T>: Send + Sync {
    /// The value in `state`, or in the current one.
    fn read(&self, state: Option<&State>) -> (Arc<T>, u64);

    /// Told of every new generation; `None` if the value never changes.
    fn watch(&self) -> Option<watch::Receiver<u64>>;
}

struct SlotSource<T> {
    store: Arc<Store>,
    id: u64,
    _alive: Arc<()>,
    /// What the view was bound to first; stands in for a snapshot that is older than the view.
    first: Arc<T>,
}

struct Fixed<T>(Arc<T>);

struct Mapped<T, U, F> {
    inner: Arc<dyn Source<T>>,
    map: F,
    last: Mutex<Option<(Arc<T>, Arc<U>)>>,
}

impl<T: Send + Sync + 'static> Live<T> {
    /// A view that never changes: for tests, and for programs without a config server.
    #[must_use]
    pub fn fixed(value: T) -> Self {
        Self { source: Arc::new(Fixed(Arc::new(value))), seen: 0 }
    }

    pub(crate) fn slot(store: Arc<Store>, id: u64, alive: Arc<()>) -> Option<Self> {
        let (first, seen) = store.current().slot::<T>(id)?;
        Some(Self { source: Arc::new(SlotSource { store, id, _alive: alive, first }), seen })
    }

    /// The current value. Neither locks nor waits.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        self.source.read(None).0
    }

    pub(crate) fn get_in(&self, state: &State) -> Arc<T> {
        self.source.read(Some(state)).0
    }

    /// Waits until the value differs from the one that this handle saw last, and returns it. Changes that follow
    /// each other fast are seen as one. A fixed view waits for ever.
    ///
    /// # Cancel safety
    ///
    /// A dropped future loses nothing: the next call sees the change.
    pub async fn changed(&mut self) -> Arc<T> {
        let Some(mut watch) = self.source.watch() else { return std::future::pending().await };
        loop {
            let (value, changes) = self.source.read(None);
            if changes != self.seen {
                self.seen = changes;
                return value;
            }
            if watch.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// A view of what `map` makes of the value. `map` runs when it is read, once per value.
    #[must_use]
    pub fn map<U, F>(&self, map: F) -> Live<U>
    where
        U: Send + Sync + 'static,
        F: Fn(&T) -> U + Send + Sync + 'static,
    {
        let mapped = Mapped { inner: Arc::clone(&self.source), map, last: Mutex::new(None) };
        Live { source: Arc::new(mapped), seen: self.seen }
    }
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self { source: Arc::clone(&self.source), seen: self.seen }
    }
}

/// The value may hold secrets, so it is not shown.
impl<T> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> Source<T> for SlotSource<T> {
    fn read(&self, state: Option<&State>) -> (Arc<T>, u64) {
        let found = match state {
            Some(state) => state.slot(self.id),
            None => self.store.current().slot(self.id),
        };
        // Only a state from before the view has no slot for it.
        found.unwrap_or_else(|| (Arc::clone(&self.first), 0))
    }

    fn watch(&self) -> Option<watch::Receiver<u64>> {
        Some(self.store.watch())
    }
}

impl<T: Send + Sync> Source<T> for Fixed<T> {
    fn read(&self, _: Option<&State>) -> (Arc<T>, u64) {
        (Arc::clone(&self.0), 0)
    }

    fn watch(&self) -> Option<watch::Receiver<u64>> {
        None
    }
}

impl<T, U, F> Source<U> for Mapped<T, U, F>
where
    T: Send + Sync + 'static,
    U: Send + Sync + 'static,
    F: Fn(&T) -> U + Send + Sync,
{
    fn read(&self, state: Option<&State>) -> (Arc<U>, u64) {
        let (value, changes) = self.inner.read(state);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((from, to)) = &*last
            && Arc::ptr_eq(from, &value)
        {
            return (Arc::clone(to), changes);
        }
        let mapped = Arc::new((self.map)(&value));
        *last = Some((value, Arc::clone(&mapped)));
        (mapped, changes)
    }

    fn watch(&self) -> Option<watch::Receiver<u64>> {
        self.inner.watch()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_view_maps_once_per_value() {
        let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let length = Live::fixed("abc".to_owned()).map(move |text| {
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            text.len()
        });
        assert_eq!((*length.get(), *length.clone().get()), (3, 3));
        assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
}
