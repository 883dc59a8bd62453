//! When a node refreshes, with the clock paused.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use vernal_bus_client::transport::Message;
use vernal_bus_client::{BusSettings, MemoryHub, MemoryTransport, State};
use vernal_testkit::logs::Logs;

use crate::node::{builder, join, quick, reach, wait};

const IDLE: Duration = Duration::from_secs(200);

fn send(hub: &MemoryHub, id: &str) {
    let body = json!({"type": "RefreshRemoteApplicationEvent", "originService": "config:8888:1", "destinationService": "a:**", "id": id});
    hub.publish("springCloudBus", Message::json(body.to_string())).unwrap();
}

#[tokio::test(start_paused = true)]
async fn fifty_events_at_once_are_one_refresh_and_fifty_acks() {
    let hub = MemoryHub::new();
    let a = join("a:1:x", BusSettings::default(), MemoryTransport::new(&hub)).await;
    for n in 0..50 {
        send(&hub, &n.to_string());
        tokio::time::sleep(Duration::from_millis(8)).await;
    }
    tokio::time::sleep(IDLE).await;
    assert_eq!(a.handlers.refreshes(), 2, "one of them to catch up");
    let counters = a.bus.counters();
    assert_eq!((counters.acks_sent, counters.refreshes_coalesced, counters.acks_dropped), (50, 49, 0));
}

#[tokio::test(start_paused = true)]
async fn event_during_a_refresh_starts_one_more() {
    let hub = MemoryHub::new();
    let gate = Arc::new(Semaphore::new(1));
    let (builder, _) = builder("a:1:x", quick(), MemoryTransport::new(&hub));
    let closed = gate.clone();
    let bus = builder
        .on_refresh(move || {
            let gate = closed.clone();
            async move {
                gate.acquire().await?.forget();
                Ok(Vec::new())
            }
        })
        .start()
        .unwrap();
    reach(&bus, State::Consuming).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(bus.counters().refreshes, 1);
    send(&hub, "1");
    tokio::time::sleep(Duration::from_millis(10)).await;
    ["2", "3"].iter().for_each(|id| send(&hub, id));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(bus.counters().refreshes, 1, "it is still running");
    gate.add_permits(10);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((bus.counters().refreshes, bus.counters().acks_sent), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn failed_refresh_is_tried_again_and_acknowledged_only_then() {
    let hub = MemoryHub::new();
    let logs = Logs::new();
    let _guard = logs.capture();
    let a = join("a:1:x", quick(), MemoryTransport::new(&hub)).await;
    a.handlers.fail(3);
    let (start, mut acks) = (Instant::now(), a.bus.acks());
    send(&hub, "1");
    a.handlers.refreshed(4).await;
    assert_eq!(a.bus.health().refresh_failures, 3);
    let ack = acks.next().await.unwrap();
    assert_eq!(ack.event_id.as_deref(), Some("1"));
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(5600) && waited <= Duration::from_millis(7100), "{waited:?}");
    tokio::time::sleep(IDLE).await;
    assert_eq!((a.handlers.refreshes(), a.bus.health().refresh_failures), (5, 0));
    let warnings =
        logs.records().iter().filter(|record| record.message.starts_with("refresh for the bus failed,")).count();
    assert_eq!(warnings, 1, "the first failure is logged, the others are counted");
}

#[tokio::test(start_paused = true)]
async fn panicking_refresh_is_a_failed_one() {
    let hub = MemoryHub::new();
    let (builder, _) = builder("a:1:x", quick(), MemoryTransport::new(&hub));
    let calls = Arc::new(Semaphore::new(1));
    let bus = builder
        .on_refresh(move || {
            let first = calls.try_acquire().map(tokio::sync::SemaphorePermit::forget).is_ok();
            async move {
                assert!(!first, "the first call panics");
                Ok(Vec::new())
            }
        })
        .start()
        .unwrap();
    tokio::time::sleep(IDLE).await;
    assert_eq!((bus.counters().refreshes_failed, bus.counters().refreshes), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn node_catches_up_after_every_gap() {
    let hub = MemoryHub::new();
    let logs = Logs::new();
    let _guard = logs.capture();
    let a = join("a:1:x", quick(), MemoryTransport::new(&hub)).await;
    hub.stop();
    reach(&a.bus, State::Backoff).await;
    tokio::time::sleep(IDLE).await;
    assert!(a.bus.health().failures > 5 && a.bus.health().last_error.is_some());
    assert!(a.bus.publish_refresh(None).await.unwrap_err().is_retryable());
    assert_eq!(a.handlers.refreshes(), 1);
    hub.restart();
    reach(&a.bus, State::Consuming).await;
    a.handlers.refreshed(2).await;
    assert_eq!((a.bus.health().failures, a.bus.counters().subscriptions), (0, 2));
    let warnings = logs.records().iter().filter(|record| record.level == tracing::Level::WARN).count();
    assert_eq!(warnings, 2, "the loss, and why the next attempt failed: {:?}", logs.records());
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_over_short_subscriptions_and_begin_anew_after_one_that_held() {
    let hub = MemoryHub::new();
    let a = join("a:1:x", quick(), MemoryTransport::new(&hub)).await;
    let pause = async || {
        hub.end_subscriptions();
        reach(&a.bus, State::Backoff).await;
        let start = Instant::now();
        assert_eq!(a.bus.health().failures, 0, "no attempt has failed");
        reach(&a.bus, State::Consuming).await;
        start.elapsed().as_millis()
    };
    for at_most in [100, 1000, 2000, 4000] {
        let pause = pause().await;
        assert!(pause <= at_most + 1 && pause >= at_most / 2, "{pause} of {at_most} ms");
        tokio::time::sleep(Duration::from_secs(59)).await;
    }
    hub.stop();
    reach(&a.bus, State::Backoff).await;
    wait(|| a.bus.health().failures == 1).await;
    hub.restart();
    reach(&a.bus, State::Consuming).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(pause().await <= 101, "a minute proves the broker healthy");
    a.bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn configuration_that_was_fetched_meanwhile_spares_the_catch_up() {
    let hub = MemoryHub::new();
    // The fleet's jitter leaves time to fetch.
    let mut settings = BusSettings::default();
    settings.jitter.fleet = Duration::from_secs(3600);
    let (builder, handlers) = builder("a:1:x", settings, MemoryTransport::new(&hub));
    let before = Instant::now();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let bus = builder.start().unwrap();
    reach(&bus, State::Consuming).await;
    bus.config_fetched(before).await;
    bus.config_fetched(Instant::now()).await;
    tokio::time::sleep(Duration::from_secs(7200)).await;
    assert_eq!(handlers.refreshes(), 0);
    hub.end_subscriptions();
    tokio::time::sleep(Duration::from_secs(1)).await;
    bus.config_fetched(before).await;
    tokio::time::sleep(Duration::from_secs(7200)).await;
    assert_eq!(handlers.refreshes(), 1, "fetched before the gap");
}

#[tokio::test(start_paused = true)]
async fn ended_subscription_is_made_again_at_once() {
    let hub = MemoryHub::new();
    let a = join("a:1:x", quick(), MemoryTransport::new(&hub)).await;
    let start = Instant::now();
    hub.end_subscriptions();
    reach(&a.bus, State::Backoff).await;
    reach(&a.bus, State::Consuming).await;
    assert!(start.elapsed() <= Duration::from_millis(150), "{:?}", start.elapsed());
    a.handlers.refreshed(2).await;
}

#[tokio::test(start_paused = true)]
async fn running_refresh_may_end_when_the_bus_stops_but_not_for_long() {
    let hub = MemoryHub::new();
    let (builder, _) = builder("a:1:x", quick(), MemoryTransport::new(&hub));
    let seconds = Arc::new(std::sync::atomic::AtomicU64::new(1));
    let takes = seconds.clone();
    let bus = builder
        .on_refresh(move || {
            let seconds = takes.load(std::sync::atomic::Ordering::Relaxed);
            async move {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                Ok(Vec::new())
            }
        })
        .start()
        .unwrap();
    reach(&bus, State::Consuming).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    send(&hub, "1");
    tokio::time::sleep(Duration::from_millis(100)).await;
    bus.stop().await;
    assert_eq!((bus.counters().refreshes, bus.counters().acks_sent), (2, 1), "the ack was still sent");
}

#[tokio::test(start_paused = true)]
async fn endless_refresh_does_not_hold_up_the_stop() {
    let hub = MemoryHub::new();
    let (builder, _) = builder("a:1:x", quick(), MemoryTransport::new(&hub));
    let bus = builder.on_refresh(std::future::pending).start().unwrap();
    reach(&bus, State::Consuming).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    bus.stop().await;
    assert!(start.elapsed() <= Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(bus.state(), State::Stopped);
}
