//! A node with handlers that can be looked at.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use vernal_bus_client::{Bus, BusBuilder, BusId, BusSettings, BusTransport, State};

/// Longest wait for anything in these tests.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Node {
    pub(crate) bus: Bus,
    pub(crate) handlers: Handlers,
}

#[derive(Clone)]
pub(crate) struct Handlers {
    refreshes: Arc<watch::Sender<u32>>,
    values: Arc<watch::Sender<BTreeMap<String, String>>>,
    /// Refreshes that fail before one succeeds.
    failures: Arc<AtomicU32>,
    env_calls: Arc<Mutex<u32>>,
}

pub(crate) fn quick() -> BusSettings {
    BusSettings::default().immediate()
}

pub(crate) fn builder(id: &str, settings: BusSettings, transport: impl BusTransport) -> (BusBuilder, Handlers) {
    let handlers = Handlers {
        refreshes: Arc::new(watch::channel(0).0),
        values: Arc::new(watch::channel(BTreeMap::new()).0),
        failures: Arc::default(),
        env_calls: Arc::default(),
    };
    let (refreshing, changing) = (handlers.clone(), handlers.clone());
    let builder = Bus::builder(settings, BusId::new(id).unwrap())
        .transport(transport)
        .on_refresh(move || {
            refreshing.refreshes.send_modify(|count| *count += 1);
            let fail = refreshing.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
            async move { if fail.is_ok() { Err("the config server is down".into()) } else { Ok(vec!["a".to_owned()]) } }
        })
        .on_env(move |values| {
            *changing.env_calls.lock().unwrap() += 1;
            let changed = values.keys().cloned().collect();
            changing.values.send_modify(|all| all.extend(values));
            async move { Ok(changed) }
        });
    (builder, handlers)
}

/// A node that has subscribed and has caught up.
pub(crate) async fn join(id: &str, settings: BusSettings, transport: impl BusTransport) -> Node {
    let (builder, handlers) = builder(id, settings, transport);
    let bus = builder.start().unwrap();
    reach(&bus, State::Consuming).await;
    handlers.refreshed(1).await;
    wait(|| bus.counters().refreshes >= 1).await;
    Node { bus, handlers }
}

pub(crate) async fn reach(bus: &Bus, wanted: State) {
    let mut states = bus.states();
    // The pause between two attempts may be 30 s; with a paused clock it costs nothing.
    let reached = tokio::time::timeout(SOON.max(Duration::from_secs(60)), states.reach(|state| state == wanted)).await;
    assert_eq!(reached.unwrap_or(None), Some(wanted), "{:?}", bus.health());
}

/// Waits for something that nobody announces.
pub(crate) async fn wait(condition: impl Fn() -> bool) {
    let met = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(SOON, met).await.is_ok(), "it did not come true in time");
}

impl Handlers {
    /// Waits until there were at least so many refreshes.
    pub(crate) async fn refreshed(&self, count: u32) {
        let mut refreshes = self.refreshes.subscribe();
        let met = tokio::time::timeout(SOON, refreshes.wait_for(|seen| *seen >= count)).await;
        assert!(met.is_ok(), "{} refreshes instead of {count}", self.refreshes());
    }

    pub(crate) fn refreshes(&self) -> u32 {
        *self.refreshes.borrow()
    }

    pub(crate) async fn has_value(&self, name: &str, value: &str) {
        let mut values = self.values.subscribe();
        let met = values.wait_for(|all| all.get(name).is_some_and(|set| set == value));
        assert!(tokio::time::timeout(SOON, met).await.is_ok(), "`{name}` is not set");
    }

    pub(crate) fn values(&self) -> BTreeMap<String, String> {
        self.values.borrow().clone()
    }

    pub(crate) fn env_calls(&self) -> u32 {
        *self.env_calls.lock().unwrap()
    }

    pub(crate) fn fail(&self, times: u32) {
        self.failures.store(times, Ordering::Relaxed);
    }
}
