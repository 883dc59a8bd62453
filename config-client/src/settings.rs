//! The handle on the settings.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use vernal_commons::property::PropertyResolver;
use vernal_commons::{BoxError, clock};

use crate::bind;
use crate::bootstrap::loader::{Loaded, Loader};
use crate::error::Error;
use crate::explain::{Explanation, explain};
use crate::layers::{Layer, Layers, RandomCache};
use crate::live::Live;
use crate::name::Name;
use crate::placeholder::Unknown;
use crate::refresh::{Flight, Outcome, RefreshReport, RefreshStatus};
use crate::source::memory;
use crate::state::{Content, State, Store};

/// The settings of an application: one immutable state, replaced as a whole by [`refresh`](Self::refresh).
///
/// Cheap to clone; clones are handles on the same settings. Readers never wait.
///
/// ```
/// use vernal_config_client::Settings;
///
/// let settings = Settings::fixed([("host", "example.org"), ("url", "http://${host}:${port:80}/")]);
/// assert_eq!(settings.get("url")?.as_deref(), Some("http://example.org:80/"));
/// # Ok::<(), vernal_config_client::Error>(())
/// ```
#[derive(Clone)]
pub struct Settings {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<Store>,
    loader: Option<Loader>,
    flight: Flight,
    status: Mutex<RefreshStatus>,
}

/// One state of the settings, for readers that want several values of the same one.
#[derive(Clone)]
pub struct Snapshot {
    state: Arc<State>,
}

/// Tells of new generations of the settings.
pub struct Changes {
    store: Arc<Store>,
    watch: watch::Receiver<u64>,
    prefix: Option<Name>,
    seen: Vec<(String, String)>,
}

// ===== impl Settings =====

impl Settings {
    /// Settings that are only what is given here: for tests, and for programs without a config server.
    pub fn fixed<I, K, V>(pairs: I) -> Self
    where
        I: IntoIterator<Item = (K, V)>,
        K: Into<String>,
        V: Into<String>,
    {
        let pairs = pairs.into_iter().map(|(key, value)| (key.into(), value.into()));
        let content = Content {
            layers: vec![Layer::properties(memory::source("fixed", pairs))],
            active_profiles: Arc::default(),
            version: None,
            warnings: Vec::new(),
        };
        Self::new(None, content, RandomCache::default(), RefreshStatus::default())
    }

    pub(crate) fn started(loader: Loader, loaded: Loaded) -> Result<Self, Error> {
        let mut status = RefreshStatus { uses_server: loaded.asked, ..RefreshStatus::default() };
        for error in &loaded.missing {
            tracing::warn!(error = %error, "starting without the settings of a config server");
            status.failed(clock::now_millis(), error.to_string());
        }
        if loaded.missing.is_empty() {
            status.succeeded(clock::now_millis(), loaded.version.clone());
        }
        let random = Arc::clone(&loaded.random);
        let content = content(loaded);
        content.warnings.iter().for_each(|warning| tracing::warn!(warning, "settings loaded with a warning"));
        Ok(Self::new(Some(loader), content, random, status))
    }

    fn new(loader: Option<Loader>, content: Content, random: RandomCache, status: RefreshStatus) -> Self {
        let store = Arc::new(Store::new(content, random));
        let inner = Inner { store, loader, flight: Flight::default(), status: Mutex::new(status) };
        Self { inner: Arc::new(inner) }
    }

    fn state(&self) -> Arc<State> {
        self.inner.store.current()
    }

    /// The value of a property, found by relaxed names, with its placeholders resolved.
    ///
    /// # Errors
    ///
    /// If a placeholder has neither a value nor a default, or placeholders refer to each other in a circle; if the
    /// server sent a JSON object for it.
    pub fn get(&self, key: &str) -> Result<Option<String>, Error> {
        self.state().layers.text(key)
    }

    /// Binds what lies at and below `prefix`. Nothing there counts as an empty map or list, so that types whose
    /// fields all have defaults bind.
    ///
    /// Fields are found under their name in kebab-case, camelCase, snake_case or as environment variable; unknown
    /// settings are ignored. A list comes whole from the highest source that has an element of it, or a text with
    /// commas; maps and structs are merged from all sources. `serde_json::Value` and the like get lists for keys
    /// that are all numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] and [`Error::Bind`] name the property, where its value came from and what was expected;
    /// [`Error::Placeholder`] as for [`get`](Self::get) (deviation D-17: Spring binds unresolved placeholders as
    /// they are).
    pub fn bind<T: DeserializeOwned>(&self, prefix: &str) -> Result<T, Error> {
        bind::bind(&self.state().layers, prefix).map(|(value, _)| value)
    }

    /// Binds what lies at and below `prefix`, now and after each refresh. A refresh after which it cannot be bound
    /// fails as a whole, so the view always has a value.
    ///
    /// # Errors
    ///
    /// See [`bind`](Self::bind).
    pub fn live<T>(&self, prefix: &str) -> Result<Live<T>, Error>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let alive = Arc::new(());
        let id = self.inner.store.view::<T>(prefix, &alive)?;
        // The slot was added by the line above, and `alive` keeps it.
        Live::slot(Arc::clone(&self.inner.store), id, alive).ok_or_else(|| Error::Missing { key: prefix.to_owned() })
    }

    /// `text` with its placeholders resolved.
    ///
    /// # Errors
    ///
    /// See [`get`](Self::get).
    pub fn resolve(&self, text: &str) -> Result<String, Error> {
        self.state().layers.resolve_text(text, Unknown::Refuse)
    }

    /// `text` with its placeholders resolved; those without a value stay as they are.
    ///
    /// # Errors
    ///
    /// If placeholders refer to each other in a circle.
    pub fn resolve_lenient(&self, text: &str) -> Result<String, Error> {
        self.state().layers.resolve_text(text, Unknown::Keep)
    }

    /// The current state, for reading several values of the same one.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { state: self.state() }
    }

    /// Loads everything anew, files included, and replaces the settings as a whole.
    ///
    /// One load runs at a time; who asks meanwhile shares the next one. If a config server that may fail
    /// (`optional:`, or `bootstrap.yml` without fail-fast) gives nothing, the old settings stay and the report has a
    /// warning.
    ///
    /// # Errors
    ///
    /// As for [`BootstrapBuilder::load`](crate::BootstrapBuilder::load), and if a [`Live`] view cannot be bound any
    /// more. The old settings stay.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves the load to the others that wait for it, or abandons it. The settings stay whole.
    pub async fn refresh(&self) -> Result<RefreshReport, Error> {
        let inner = Arc::downgrade(&self.inner);
        let run = self.inner.flight.join(move || {
            async move {
                match inner.upgrade() {
                    Some(inner) => inner.load().await,
                    None => Ok(Arc::default()),
                }
            }
            .boxed()
        });
        run.await.map(|report| (*report).clone())
    }

    /// Told of each new generation.
    #[must_use]
    pub fn subscribe(&self) -> Changes {
        Changes {
            watch: self.inner.store.watch(),
            store: Arc::clone(&self.inner.store),
            prefix: None,
            seen: Vec::new(),
        }
    }

    /// Told of each new generation in which something at or below `prefix` resolves to another value.
    #[must_use]
    pub fn subscribe_below(&self, prefix: &str) -> Changes {
        let prefix = Name::parse(prefix);
        let seen = texts_below(&self.state().layers, &prefix);
        Changes { watch: self.inner.store.watch(), store: Arc::clone(&self.inner.store), prefix: Some(prefix), seen }
    }

    /// Sets properties above all sources until the program ends (Spring's `POST /actuator/env` and the bus's
    /// environment change events). Returns the names that changed.
    ///
    /// # Errors
    ///
    /// If a [`Live`] view cannot be bound to the new values; nothing is changed then.
    pub fn set_overrides<I, K, V>(&self, pairs: I) -> Result<Vec<String>, Error>
    where
        I: IntoIterator<Item = (K, V)>,
        K: Into<String>,
        V: Into<String>,
    {
        let pairs: Vec<_> = pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        self.inner.store.override_with(|overrides| overrides.extend(pairs))
    }

    /// Takes back what [`set_overrides`](Self::set_overrides) set. Returns the names that changed.
    ///
    /// # Errors
    ///
    /// If a [`Live`] view cannot be bound to the old values; nothing is changed then.
    pub fn clear_overrides(&self) -> Result<Vec<String>, Error> {
        self.inner.store.override_with(indexmap::IndexMap::clear)
    }

    /// Every source that has the property, the winner first. Secret values are masked.
    #[must_use]
    pub fn explain(&self, key: &str) -> Explanation {
        explain(&self.state().layers, key)
    }

    /// The names of the sources, highest first.
    #[must_use]
    pub fn sources(&self) -> Vec<String> {
        self.state().layers.layers().iter().map(|layer| layer.source.name().to_owned()).collect()
    }

    /// The active profiles; later ones win. Empty if none is active, even though `default` stands in then.
    #[must_use]
    pub fn active_profiles(&self) -> Vec<String> {
        self.state().active_profiles.to_vec()
    }

    /// Grows with every change of a value. Starts at 1.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.state().generation
    }

    /// What the server calls the state of its repository, e.g. a commit.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        self.state().version.clone()
    }

    /// What was odd about the settings when they were loaded, e.g. values that the server could not decrypt.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.state().warnings.to_vec()
    }

    /// How the last loads went.
    #[must_use]
    pub fn status(&self) -> RefreshStatus {
        self.inner.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl PropertyResolver for Settings {
    fn property(&self, name: &str) -> Result<Option<String>, BoxError> {
        self.get(name).map_err(Into::into)
    }

    fn names_below(&self, prefix: &str) -> Vec<String> {
        let prefix = Name::parse(prefix);
        let state = self.state();
        let mut names: Vec<_> =
            state.layers.below(&prefix, None).map(|below| below.name.written_from(below.at)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn resolve_placeholders(&self, text: &str) -> Result<String, BoxError> {
        self.resolve(text).map_err(Into::into)
    }

    fn generation(&self) -> u64 {
        Self::generation(self)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("generation", &self.generation())
            .field("sources", &self.sources())
            .finish_non_exhaustive()
    }
}

// ===== impl Inner =====

impl Inner {
    async fn load(&self) -> Outcome {
        let started = tokio::time::Instant::now();
        let result = match &self.loader {
            Some(loader) => loader.load().await.and_then(|loaded| self.apply(loaded)),
            None => Ok((Vec::new(), Vec::new())),
        };
        let state = self.store.current();
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok((changed, warnings)) => {
                if warnings.is_empty() {
                    status.succeeded(clock::now_millis(), state.version.clone());
                } else {
                    status.failed(clock::now_millis(), warnings.join("; "));
                }
                if !changed.is_empty() {
                    tracing::info!(changed = changed.len(), generation = state.generation, "settings refreshed");
                }
                let mut all = state.warnings.to_vec();
                all.extend(warnings);
                Ok(Arc::new(RefreshReport {
                    generation: state.generation,
                    version: state.version.clone(),
                    changed,
                    warnings: all,
                    duration: started.elapsed(),
                }))
            }
            Err(error) => {
                status.failed(clock::now_millis(), error.to_string());
                Err(error)
            }
        }
    }

    /// The names that changed, and why the old settings stay if they do.
    fn apply(&self, loaded: Loaded) -> Result<(Vec<String>, Vec<String>), Error> {
        if !loaded.missing.is_empty() {
            let reasons: Vec<_> = loaded.missing.iter().map(ToString::to_string).collect();
            tracing::warn!(reasons = reasons.join("; "), "config server gave no settings, the old ones stay");
            return Ok((Vec::new(), reasons));
        }
        let content = content(loaded);
        let known = self.store.current();
        for warning in content.warnings.iter().filter(|warning| !known.warnings.contains(warning)) {
            tracing::warn!(warning, "settings loaded with a warning");
        }
        Ok((self.store.replace(content)?, Vec::new()))
    }
}

fn content(loaded: Loaded) -> Content {
    Content {
        layers: loaded.layers,
        active_profiles: loaded.profiles.active().into(),
        version: loaded.version,
        warnings: loaded.warnings,
    }
}

// ===== impl Snapshot =====

impl Snapshot {
    /// The generation of this state.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.state.generation
    }

    /// As [`Settings::get`], of this state.
    ///
    /// # Errors
    ///
    /// See there.
    pub fn get(&self, key: &str) -> Result<Option<String>, Error> {
        self.state.layers.text(key)
    }

    /// As [`Settings::bind`], of this state.
    ///
    /// # Errors
    ///
    /// See there.
    pub fn bind<T: DeserializeOwned>(&self, prefix: &str) -> Result<T, Error> {
        bind::bind(&self.state.layers, prefix).map(|(value, _)| value)
    }

    /// The value that a view of the same settings has in this state. A view that is younger than the snapshot gives
    /// the value it began with.
    #[must_use]
    pub fn read<T: Send + Sync + 'static>(&self, live: &Live<T>) -> Arc<T> {
        live.get_in(&self.state)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("generation", &self.state.generation).finish_non_exhaustive()
    }
}

// ===== impl Changes =====

impl Changes {
    /// Waits for the next generation and returns it. Generations that follow each other fast are seen as one.
    ///
    /// # Cancel safety
    ///
    /// A dropped future loses nothing.
    pub async fn changed(&mut self) -> u64 {
        loop {
            if self.watch.changed().await.is_err() {
                return std::future::pending().await;
            }
            let state = self.store.current();
            let Some(prefix) = &self.prefix else { return state.generation };
            let now = texts_below(&state.layers, prefix);
            if now != self.seen {
                self.seen = now;
                return state.generation;
            }
        }
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").finish_non_exhaustive()
    }
}

/// The resolved texts at and below `prefix`.
fn texts_below(layers: &Layers, prefix: &Name) -> Vec<(String, String)> {
    let own = layers.find(prefix, None);
    let below = layers.below(prefix, None).map(|below| below.found);
    own.into_iter()
        .chain(below)
        .map(|found| {
            let text = layers.resolve(found).ok().and_then(|reading| reading.value.as_text().map(|t| t.into_owned()));
            (found.key.to_owned(), text.unwrap_or_default())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_cross_threads() {
        fn assert<T: Send + Sync + 'static>() {}
        assert::<Settings>();
        assert::<Live<String>>();
        assert::<Snapshot>();
        assert::<Changes>();
    }
}
