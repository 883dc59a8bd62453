//! Nodes on an in-memory hub, with the clock paused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use vernal_bus_client::transport::Message;
use vernal_bus_client::{
    Bus, BusId, BusSettings, Destination, Error, Event, MemoryHub, MemoryTransport, Naming, State,
};
use vernal_testkit::logs::Logs;

use crate::node::{builder, join, quick, reach};

/// With the clock paused this passes when nothing is left to do.
const IDLE: Duration = Duration::from_secs(40);
const TOPIC: &str = "springCloudBus";

async fn idle() {
    tokio::time::sleep(IDLE).await;
}

fn hub_with(transports: usize) -> (MemoryHub, Vec<MemoryTransport>) {
    let hub = MemoryHub::new();
    let transports = (0..transports).map(|_| MemoryTransport::new(&hub)).collect();
    (hub, transports)
}

fn send(hub: &MemoryHub, body: serde_json::Value) {
    hub.publish(TOPIC, Message::json(body.to_string())).unwrap();
}

fn refresh(id: &str, destination: &str) -> serde_json::Value {
    json!({"type": "RefreshRemoteApplicationEvent", "originService": "config:8888:1", "destinationService": destination, "id": id})
}

#[test]
fn handles_can_be_shared() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<Bus>();
    shared::<MemoryHub>();
}

#[tokio::test(start_paused = true)]
async fn refresh_for_everybody_runs_once_on_each_node_and_each_acknowledges_it() {
    let (_hub, mut transports) = hub_with(2);
    let a = join("a:1:x", quick(), transports.remove(0)).await;
    let b = join("b:2:y", quick(), transports.remove(0)).await;
    let mut acks = a.bus.acks();
    let event = a.bus.publish_refresh(None).await.unwrap();
    let mut nodes = [acks.next().await.unwrap(), acks.next().await.unwrap()].map(|ack| {
        assert_eq!(ack.event_id.as_deref(), Some(event.as_str()));
        assert_eq!(ack.event_destination.as_deref(), Some("**"));
        assert_eq!(
            ack.event_class.as_deref(),
            Some("org.springframework.cloud.bus.event.RefreshRemoteApplicationEvent")
        );
        ack.node.unwrap()
    });
    nodes.sort();
    assert_eq!(nodes, ["a:1:x", "b:2:y"]);
    idle().await;
    assert_eq!((a.handlers.refreshes(), b.handlers.refreshes()), (2, 2), "one to catch up, one for the event");
    assert_eq!((a.bus.counters().acks_sent, b.bus.counters().acks_sent), (1, 1));
    assert_eq!((a.bus.counters().own, b.bus.counters().acks_received), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn env_change_is_applied_on_every_addressed_node_and_once_on_our_own() {
    let (_hub, mut transports) = hub_with(2);
    let a = join("a:1:x", quick(), transports.remove(0)).await;
    let b = join("b:2:y", quick(), transports.remove(0)).await;
    let mut acks = a.bus.acks();
    a.bus.publish_env(None, "limit", "25").await.unwrap();
    assert_eq!(a.handlers.values()["limit"], "25", "set before it is published");
    acks.next().await.unwrap();
    acks.next().await.unwrap();
    b.handlers.has_value("limit", "25").await;
    idle().await;
    assert_eq!((a.handlers.env_calls(), b.handlers.env_calls()), (1, 1));

    a.bus.publish_env(Some("b"), "limit", "30").await.unwrap();
    idle().await;
    assert_eq!(b.handlers.values()["limit"], "30");
    assert_eq!(a.handlers.values()["limit"], "25", "it was not for us");
}

#[tokio::test(start_paused = true)]
async fn key_outside_the_allow_list_is_not_set() {
    let (_hub, mut transports) = hub_with(1);
    let mut settings = quick();
    settings.env.allowed_keys = Some(vec!["feature.*".to_owned()]);
    let logs = Logs::new();
    let _guard = logs.capture();
    let a = join("a:1:x", settings, transports.remove(0)).await;
    let mut acks = a.bus.acks();
    a.bus.publish_env(None, "db.password", "geheim").await.unwrap();
    a.bus.publish_env(None, "feature.x", "on").await.unwrap();
    acks.next().await.unwrap();
    acks.next().await.unwrap();
    assert_eq!(a.handlers.values().into_keys().collect::<Vec<_>>(), ["feature.x"]);
    assert_eq!(a.bus.counters().env_keys_skipped, 1);
    assert!(logs.contain("db.password") && !logs.contain("geheim"));
}

#[tokio::test(start_paused = true)]
async fn failing_env_handler_is_counted_and_not_acknowledged() {
    let (hub, mut transports) = hub_with(1);
    let (builder, _) = builder("a:1:x", quick(), transports.remove(0));
    let calls = Arc::new(AtomicU32::new(0));
    let count = calls.clone();
    let bus = builder
        .on_env(move |values| {
            let first = count.fetch_add(1, Ordering::Relaxed) == 0;
            async move {
                assert!(!first, "the first call panics");
                if values.contains_key("bad") { Err("no".into()) } else { Ok(Vec::new()) }
            }
        })
        .start()
        .unwrap();
    reach(&bus, State::Consuming).await;
    for (id, key) in [("1", "good"), ("2", "bad"), ("3", "good")] {
        let mut event = refresh(id, "**");
        event["type"] = json!("EnvironmentChangeRemoteApplicationEvent");
        event["values"] = json!({key: "1"});
        send(&hub, event);
    }
    idle().await;
    let counters = bus.counters();
    assert_eq!((calls.load(Ordering::Relaxed), counters.env_changes, counters.env_changes_failed), (3, 1, 2));
    assert_eq!(counters.acks_sent, 1);
    let error = bus.publish_env(None, "bad", "1").await.unwrap_err();
    assert_eq!(error.to_string(), "the event was sent, but the handler `on_env` failed on this node");
    idle().await;
    assert_eq!(bus.counters().acks_sent, 1);
}

#[tokio::test(start_paused = true)]
async fn shutdown_event_is_ignored_with_a_warning_unless_it_is_switched_on() {
    let (hub, mut transports) = hub_with(2);
    let logs = Logs::new();
    let _guard = logs.capture();
    let careful = join("a:1:x", quick(), transports.remove(0)).await;
    let stopped = Arc::new(AtomicU32::new(0));
    let count = stopped.clone();
    let mut settings = quick();
    settings.shutdown.enabled = true;
    let obedient = builder("b:2:y", settings, transports.remove(0))
        .0
        .on_shutdown(move || {
            count.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        })
        .start()
        .unwrap();
    reach(&obedient, State::Consuming).await;
    let mut event = refresh("1", "**");
    event["type"] = json!("ShutdownRemoteApplicationEvent");
    send(&hub, event);
    idle().await;
    assert_eq!(careful.bus.counters().shutdown_ignored, 1);
    assert!(
        logs.records()
            .iter()
            .any(|record| record.level == tracing::Level::WARN && record.message.contains("shutdown event"))
    );
    assert_eq!((careful.bus.counters().acks_sent, obedient.counters().acks_sent), (0, 1));
    assert_eq!(stopped.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn event_that_comes_twice_runs_once() {
    let (hub, mut transports) = hub_with(1);
    let a = join("a:1:x", quick(), transports.remove(0)).await;
    send(&hub, refresh("1", "a:**"));
    idle().await;
    send(&hub, refresh("1", "a:**"));
    idle().await;
    assert_eq!(a.handlers.refreshes(), 2, "one of them to catch up");
    assert_eq!((a.bus.counters().duplicate, a.bus.counters().acks_sent), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn event_under_our_bus_id_that_we_did_not_send_runs_with_one_warning() {
    let (hub, mut transports) = hub_with(1);
    let logs = Logs::new();
    let _guard = logs.capture();
    let a = join("a:1:x", quick(), transports.remove(0)).await;
    for id in ["1", "2"] {
        let mut event = refresh(id, "**");
        event["originService"] = json!("a:1:x");
        send(&hub, event);
    }
    idle().await;
    assert_eq!((a.bus.counters().duplicate_bus_id, a.bus.counters().own), (2, 0));
    assert!(a.handlers.refreshes() >= 2);
    let warnings = logs.records().iter().filter(|record| record.message == "another process uses our bus id").count();
    assert_eq!(warnings, 1);
}

#[tokio::test(start_paused = true)]
async fn switched_off_listeners_still_acknowledge() {
    let (hub, mut transports) = hub_with(1);
    let mut settings = quick();
    settings.refresh.enabled = false;
    settings.env.enabled = false;
    let (builder, handlers) = builder("a:1:x", settings, transports.remove(0));
    let bus = builder.start().unwrap();
    reach(&bus, State::Consuming).await;
    send(&hub, refresh("1", "**"));
    bus.publish_env(None, "k", "v").await.unwrap();
    bus.publish_refresh(None).await.unwrap();
    idle().await;
    assert_eq!((handlers.refreshes(), handlers.env_calls()), (0, 0));
    assert_eq!(bus.counters().acks_sent, 3);
}

#[tokio::test(start_paused = true)]
async fn acks_can_be_switched_off_and_addressed() {
    let (hub, mut transports) = hub_with(2);
    let mut wire = hub.listen(TOPIC).unwrap();
    let mut silent = quick();
    silent.ack.enabled = false;
    let silent = join("a:1:x", silent, transports.remove(0)).await;
    let mut addressed = quick();
    addressed.ack.destination_service = Some("console".to_owned());
    let _addressed = join("b:2:y", addressed, transports.remove(0)).await;
    send(&hub, refresh("1", "**"));
    idle().await;
    assert_eq!(silent.bus.counters().acks_sent, 0);
    wire.next().await.unwrap();
    let ack = Event::decode(&wire.next().await.unwrap().body).unwrap();
    assert_eq!(ack.destination.pattern(), Some("console:**"));
    assert_eq!(ack.origin.as_deref(), Some("b:2:y"));
}

#[tokio::test(start_paused = true)]
async fn last_acks_are_kept_when_tracing_is_on() {
    let (_hub, mut transports) = hub_with(2);
    let mut settings = quick();
    settings.trace.enabled = true;
    let a = join("a:1:x", settings, transports.remove(0)).await;
    let b = join("b:2:y", quick(), transports.remove(0)).await;
    b.bus.publish_refresh(Some("b")).await.unwrap();
    idle().await;
    let nodes: Vec<_> = a.bus.recent_acks().into_iter().map(|ack| ack.node.unwrap()).collect();
    assert_eq!(nodes, ["b:2:y"]);
    assert!(b.bus.recent_acks().is_empty());
}

#[tokio::test(start_paused = true)]
async fn alias_takes_the_place_of_the_name() {
    let (hub, mut transports) = hub_with(1);
    let (builder, handlers) = builder("a:1:x", quick(), transports.remove(0));
    let bus = builder.aliases(["shared", "a-v2"]).naming(Naming::SnakeCase).start().unwrap();
    reach(&bus, State::Consuming).await;
    idle().await;
    let mut wire = hub.listen(TOPIC).unwrap();
    send(&hub, refresh("1", "a-v2:**"));
    idle().await;
    assert_eq!(handlers.refreshes(), 2);
    wire.next().await.unwrap();
    let ack = wire.next().await.unwrap();
    assert!(std::str::from_utf8(&ack.body).unwrap().contains(r#""origin_service":"a:1:x""#));
    assert_eq!(ack.content_type.as_deref(), Some("application/json"));
}

#[tokio::test(start_paused = true)]
async fn bus_that_is_switched_off_connects_to_nothing() {
    let (hub, mut transports) = hub_with(1);
    let mut settings = BusSettings::default();
    settings.enabled = false;
    let id = BusId::new("a:1:x").unwrap();
    let bus = Bus::builder(settings.clone(), id.clone()).transport(transports.remove(0)).start().unwrap();
    assert_eq!((bus.state(), hub.subscribers(TOPIC)), (State::Disabled, 0));
    assert!(matches!(bus.publish_refresh(None).await, Err(Error::Disabled)));
    bus.stop().await;
    assert!(Bus::builder(settings, id.clone()).start().is_ok(), "no transport is needed");
    assert!(matches!(Bus::builder(BusSettings::default(), id).start(), Err(Error::NoTransport)));
}

#[tokio::test(start_paused = true)]
async fn stopped_bus_leaves_the_hub_and_publishes_no_more() {
    let (hub, mut transports) = hub_with(1);
    let a = join("a:1:x", quick(), transports.remove(0)).await;
    assert_eq!(hub.subscribers(TOPIC), 1);
    a.bus.stop().await;
    a.bus.stop().await;
    assert_eq!((a.bus.state(), hub.subscribers(TOPIC)), (State::Stopped, 0));
    assert!(matches!(a.bus.publish_refresh(None).await, Err(Error::Stopped)));
    assert!(matches!(a.bus.publish_env(None, "a", "b").await, Err(Error::Stopped)));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_ends_the_subscription() {
    let (hub, mut transports) = hub_with(1);
    let a = join("a:1:x", quick(), transports.remove(0)).await;
    drop(a);
    idle().await;
    assert_eq!(hub.subscribers(TOPIC), 0);
}

#[tokio::test(start_paused = true)]
async fn published_bytes_are_those_of_a_spring_node() {
    let (hub, mut transports) = hub_with(1);
    let mut wire = hub.listen(TOPIC).unwrap();
    let a = join("orders:dev,cloud:8080:ab12", quick(), transports.remove(0)).await;
    let id = a.bus.publish_refresh(Some("billing:9000")).await.unwrap();
    let message = wire.next().await.unwrap();
    let event = Event::decode(&message.body).unwrap();
    let expected = format!(
        r#"{{"type":"RefreshRemoteApplicationEvent","destinationService":"{}","id":"{id}","originService":"orders:dev,cloud:8080:ab12","timestamp":{}}}"#,
        Destination::normalise(Some("billing:9000")),
        event.timestamp.unwrap()
    );
    assert_eq!(std::str::from_utf8(&message.body).unwrap(), expected);
}
