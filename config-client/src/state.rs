//! One immutable state of the settings, and the one place that replaces it.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;
use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::bind;
use crate::diff;
use crate::error::Error;
use crate::layers::{Layer, Layers, RandomCache};
use crate::source::memory;

/// The name of the source that holds what was set at run time (Spring's `EnvironmentManager`).
pub(crate) const OVERRIDES: &str = "manager";

/// All that a reader can see, swapped as a whole.
pub(crate) struct State {
    pub(crate) generation: u64,
    pub(crate) layers: Arc<Layers>,
    pub(crate) active_profiles: Arc<[String]>,
    pub(crate) version: Option<String>,
    pub(crate) warnings: Arc<[String]>,
    slots: HashMap<u64, Slot>,
}

/// A typed view bound in a state.
#[derive(Clone)]
struct Slot {
    value: Arc<dyn Any + Send + Sync>,
    /// Print of what the type has read.
    print: u64,
    /// How often the value has changed.
    changes: u64,
}

/// What a load brings.
pub(crate) struct Content {
    pub(crate) layers: Vec<Layer>,
    pub(crate) active_profiles: Arc<[String]>,
    pub(crate) version: Option<String>,
    pub(crate) warnings: Vec<String>,
}

/// Holds the current state. Readers never lock; writers take turns.
pub(crate) struct Store {
    current: ArcSwap<State>,
    writer: Mutex<Writer>,
    generation: watch::Sender<u64>,
    random: RandomCache,
}

struct Writer {
    /// What was loaded, without the overrides.
    loaded: Vec<Layer>,
    overrides: IndexMap<String, String>,
    views: Vec<View>,
    next: u64,
}

/// A typed view that every new state must be able to bind.
struct View {
    id: u64,
    alive: Weak<()>,
    bind: BindView,
}

type Bound = Result<(Arc<dyn Any + Send + Sync>, u64), Error>;
type BindView = Box<dyn Fn(&Layers) -> Bound + Send + Sync>;

// ===== impl State =====

impl State {
    /// The value of a view and how often it has changed.
    pub(crate) fn slot<T: Send + Sync + 'static>(&self, id: u64) -> Option<(Arc<T>, u64)> {
        let slot = self.slots.get(&id)?;
        Some((Arc::clone(&slot.value).downcast().ok()?, slot.changes))
    }
}

// ===== impl Store =====

impl Store {
    pub(crate) fn new(content: Content, random: RandomCache) -> Self {
        let state = State {
            generation: 1,
            layers: Arc::new(Layers::new(content.layers.clone(), Arc::clone(&random))),
            active_profiles: content.active_profiles,
            version: content.version,
            warnings: content.warnings.into(),
            slots: HashMap::new(),
        };
        let writer = Writer { loaded: content.layers, overrides: IndexMap::new(), views: Vec::new(), next: 0 };
        Self {
            current: ArcSwap::from_pointee(state),
            writer: Mutex::new(writer),
            generation: watch::Sender::new(1),
            random,
        }
    }

    pub(crate) fn current(&self) -> Arc<State> {
        self.current.load_full()
    }

    /// Told of every new generation.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Replaces what was loaded; the result are the names that changed. On an error nothing is replaced.
    pub(crate) fn replace(&self, content: Content) -> Result<Vec<String>, Error> {
        let mut writer = self.lock();
        let previous = std::mem::replace(&mut writer.loaded, content.layers);
        let meta = (content.active_profiles, content.version, content.warnings.into());
        self.commit(&mut writer, meta).inspect_err(|_| writer.loaded = previous)
    }

    /// Changes the overrides; the result are the names that changed. On an error nothing is replaced.
    pub(crate) fn override_with(
        &self,
        change: impl FnOnce(&mut IndexMap<String, String>),
    ) -> Result<Vec<String>, Error> {
        let mut writer = self.lock();
        let previous = writer.overrides.clone();
        change(&mut writer.overrides);
        let state = self.current();
        let meta = (Arc::clone(&state.active_profiles), state.version.clone(), Arc::clone(&state.warnings));
        self.commit(&mut writer, meta).inspect_err(|_| writer.overrides = previous)
    }

    /// Adds a view; it stays bound until the last handle on `alive` is gone.
    pub(crate) fn view<T>(&self, prefix: &str, alive: &Arc<()>) -> Result<u64, Error>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let prefix = prefix.to_owned();
        let bind: BindView = Box::new(move |layers| {
            let (value, print) = bind::bind::<T>(layers, &prefix)?;
            Ok((Arc::new(value), print))
        });
        let mut writer = self.lock();
        let state = self.current();
        let (value, print) = guarded(&bind, &state.layers)?;
        let id = writer.next;
        writer.next += 1;
        writer.views.push(View { id, alive: Arc::downgrade(alive), bind });
        let mut slots = state.slots.clone();
        slots.insert(id, Slot { value, print, changes: 0 });
        self.current.store(Arc::new(State {
            generation: state.generation,
            layers: Arc::clone(&state.layers),
            active_profiles: Arc::clone(&state.active_profiles),
            version: state.version.clone(),
            warnings: Arc::clone(&state.warnings),
            slots,
        }));
        Ok(id)
    }

    fn commit(
        &self,
        writer: &mut Writer,
        (active_profiles, version, warnings): (Arc<[String]>, Option<String>, Arc<[String]>),
    ) -> Result<Vec<String>, Error> {
        let mut layers = writer.loaded.clone();
        if !writer.overrides.is_empty() {
            let pairs = writer.overrides.iter().map(|(key, value)| (key.clone(), value.clone()));
            layers.insert(0, Layer::properties(memory::source(OVERRIDES, pairs)));
        }
        let layers = Layers::new(layers, Arc::clone(&self.random));
        let old = self.current();
        writer.views.retain(|view| view.alive.strong_count() > 0);
        let mut slots = HashMap::with_capacity(writer.views.len());
        let mut rebound = false;
        for view in &writer.views {
            let (value, print) = guarded(&view.bind, &layers)?;
            let slot = match old.slots.get(&view.id) {
                Some(slot) if slot.print == print => slot.clone(),
                slot => {
                    rebound = true;
                    Slot { value, print, changes: slot.map_or(0, |slot| slot.changes) + 1 }
                }
            };
            slots.insert(view.id, slot);
        }
        let changed = diff::changed(&diff::resolved(&old.layers), &diff::resolved(&layers));
        let moved = rebound || !changed.is_empty();
        let generation = old.generation + u64::from(moved);
        self.current.store(Arc::new(State {
            generation,
            layers: Arc::new(layers),
            active_profiles,
            version,
            warnings,
            slots,
        }));
        if moved {
            self.generation.send_replace(generation);
        }
        Ok(changed)
    }

    /// Every write either completes or leaves the fields as they were, so a poisoned lock holds no half-written one.
    fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A `Deserialize` of the program that panics must not take the refresh of everybody else with it.
fn guarded(bind: &BindView, layers: &Layers) -> Bound {
    catch_unwind(AssertUnwindSafe(|| bind(layers))).unwrap_or_else(|_| {
        Err(Error::Bind { key: String::new(), origin: None, reason: "the type panicked while it was read".to_owned() })
    })
}
