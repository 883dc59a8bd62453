//! The bus: events that come in, and a broker that goes away.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use vernal::prelude::*;
use vernal_testkit::broker::{Broker, Properties};
use vernal_testkit::logs::Logs;

use crate::home::{Home, Join, assert_hidden, assert_logged, assert_serves, consumes, start};
use crate::wire::{free_port, post, send_with, until};

const SECRET: &str = "hunter2-secret";

/// Publishes an event of a Spring node; `more` are its further fields.
fn tell(broker: &Broker, kind: &str, destination: &str, more: Value) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let id = format!("00000000-0000-4000-8000-{:012}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut event = json!({
        "type": kind,
        "timestamp": 1_784_000_000_123_u64,
        "originService": "config-server:8888:0d2f5a0e",
        "destinationService": destination,
        "id": id,
    });
    if let (Value::Object(event), Value::Object(more)) = (&mut event, more) {
        event.extend(more);
    }
    broker.publish("springCloudBus", "springCloudBus", &Properties::json(), event.to_string()).unwrap();
    id
}

/// The bodies of what nodes published, as JSON.
fn published(broker: &Broker) -> Vec<Value> {
    broker.published().iter().map(|message| serde_json::from_slice(&message.body).unwrap()).collect()
}

fn is_acknowledged(broker: &Broker, id: &str) -> bool {
    published(broker).iter().any(|event| event["type"] == "AckRemoteApplicationEvent" && event["ackId"] == id)
}

#[tokio::test]
async fn a_refresh_event_changes_live_settings_tells_the_hooks_and_is_acknowledged() {
    let broker = Broker::builder().start().await.unwrap();
    let (home, server) = Home::with_server("greeting: hi\n").await;
    let (app, running) = start(home.application().bus(broker.port())).await;
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    app.on_refresh(move |keys| {
        let told = told.clone();
        async move { told.send(keys).unwrap() }
    });
    let mut greeting: Live<String> = app.live("greeting").unwrap();
    until("the service listens", async || consumes(&broker)).await;
    home.serve("greeting: ho\n");
    let for_others = tell(&broker, "RefreshRemoteApplicationEvent", "billing:**", json!({}));
    let for_us = tell(&broker, "RefreshRemoteApplicationEvent", "shop:**", json!({}));
    assert_eq!(*greeting.changed().await, "ho");
    assert_eq!(heard.recv().await.unwrap(), ["greeting"]);
    until("it is acknowledged", async || is_acknowledged(&broker, &for_us)).await;
    assert!(!is_acknowledged(&broker, &for_others));
    running.stop().await;
    server.stop().await;
    broker.stop().await;
}

#[tokio::test]
async fn an_environment_change_ranks_above_all_other_sources() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let broker = Broker::builder().start().await.unwrap();
    let (home, server) = Home::with_server("remote: server\nlimit: 1\n").await;
    let application = home.application().args(["--argument=line"]).property("program", "builder");
    let (app, running) = start(application.bus(broker.port())).await;
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    app.on_refresh(move |keys| {
        let told = told.clone();
        async move { told.send(keys).unwrap() }
    });
    let limit: Live<u32> = app.live("limit").unwrap();
    until("the service listens", async || consumes(&broker)).await;
    let values = json!({"values": {"remote": "bus", "argument": "bus", "program": "bus", "db.password": SECRET}});
    let id = tell(&broker, "EnvironmentChangeRemoteApplicationEvent", "**", values);
    assert_eq!(heard.recv().await.unwrap(), ["argument", "db.password", "program", "remote"]);
    for key in ["remote", "argument", "program"] {
        assert_eq!(app.settings().get(key).unwrap().as_deref(), Some("bus"), "{key}");
    }
    assert_eq!(app.settings().get("db.password").unwrap().as_deref(), Some(SECRET));
    until("it is acknowledged", async || is_acknowledged(&broker, &id)).await;
    // What no view can be bound to is refused, and not acknowledged; the service goes on.
    let values = json!({"values": {"limit": SECRET, "remote": "again"}});
    let refused = tell(&broker, "EnvironmentChangeRemoteApplicationEvent", "**", values);
    let values = json!({"values": {"limit": "2"}});
    let taken = tell(&broker, "EnvironmentChangeRemoteApplicationEvent", "**", values);
    until("the next one is acknowledged", async || is_acknowledged(&broker, &taken)).await;
    assert!(!is_acknowledged(&broker, &refused));
    assert_eq!((*limit.get(), app.settings().get("remote").unwrap().as_deref()), (2, Some("bus")));
    // It stays on top of whatever the server says later.
    home.serve("remote: server again\nlimit: 3\n");
    assert_eq!(post(running.address(), "/actuator/refresh").await.body, "[]");
    assert_eq!(*limit.get(), 2);
    running.stop().await;
    server.stop().await;
    broker.stop().await;
}

#[tokio::test]
async fn a_property_posted_at_one_service_is_set_at_those_that_are_addressed() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let broker = Broker::builder().start().await.unwrap();
    let home = Home::new();
    let (shop, shop_running) = start(home.application().bus(broker.port())).await;
    let stock = home.application().property("spring.application.name", "stock");
    let (stock, stock_running) = start(stock.bus(broker.port())).await;
    until("both listen", async || broker.consumers().len() == 2).await;
    let set = async |destination: &str, body: Value| {
        let body = body.to_string();
        let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        let path = format!("/actuator/busenv{destination}");
        send_with(shop_running.address(), "POST", &path, &headers, &body).await
    };
    let value = |app: &Application, key: &str| app.settings().get(key).unwrap();
    assert_eq!(set("", json!({"name": "greeting", "value": SECRET})).await.status, 204);
    assert_eq!(value(&shop, "greeting").as_deref(), Some(SECRET), "it is set before the answer");
    assert_eq!(set("/stock", json!({"name": "limit", "value": 7})).await.status, 204);
    until("the other one has it", async || value(&stock, "limit").is_some()).await;
    assert_eq!(value(&stock, "limit").as_deref(), Some("7"));
    assert_eq!(value(&stock, "greeting").as_deref(), Some(SECRET));
    assert_eq!(value(&shop, "limit"), None, "Spring sets it on the sender all the same");
    // What this service cannot be bound to is told to the others first.
    assert_eq!(set("/shop", json!({"name": "size", "value": "1"})).await.status, 204);
    let _size: Live<u32> = shop.live("size").unwrap();
    let refused = set("", json!({"name": "size", "value": "many"})).await;
    assert_eq!(refused.status, 500);
    until("the other one has it", async || value(&stock, "size").is_some()).await;
    assert_hidden(SECRET, &logs, &[&refused.body]);
    broker.stop().await;
    let refused = set("/stock", json!({"name": "limit", "value": SECRET})).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    assert_logged(&logs, &["env-change event could not be published"]);
    assert_hidden(SECRET, &logs, &[&refused.body]);
    shop_running.stop().await;
    stock_running.stop().await;
}

#[tokio::test]
async fn an_event_for_a_shared_file_concerns_who_reads_it() {
    let broker = Broker::builder().start().await.unwrap();
    let (home, server) = Home::with_server("").await;
    std::fs::write(home.repo().join("shared.yml"), "greeting: hi\n").unwrap();
    let application = home.application().property("spring.cloud.config.name", "shared");
    let (app, running) = start(application.bus(broker.port())).await;
    let mut greeting: Live<String> = app.live("greeting").unwrap();
    until("the service listens", async || consumes(&broker)).await;
    std::fs::write(home.repo().join("shared.yml"), "greeting: ho\n").unwrap();
    tell(&broker, "RefreshRemoteApplicationEvent", "shared:**", json!({}));
    assert_eq!(*greeting.changed().await, "ho");
    running.stop().await;
    server.stop().await;
    broker.stop().await;
}

#[tokio::test]
async fn malformed_messages_change_nothing_and_show_nothing() {
    let broker = Broker::builder().start().await.unwrap();
    let (home, server) = Home::with_server("greeting: hi\n").await;
    let env = r#"{"type":"EnvironmentChangeRemoteApplicationEvent","destinationService":"**","values":"#;
    // The first one of a minute is logged; each of these holds something that must not be.
    let bodies: [Vec<u8>; 5] = [
        format!("\"{SECRET}\"").into_bytes(),
        format!("{env}{{\"db.password\":\"{SECRET}\"").into_bytes(),
        format!("{env}\"{SECRET}\"}}").into_bytes(),
        format!("{env}[\"{SECRET}\"]}}").into_bytes(),
        [b"\xff\xfe".as_slice(), SECRET.as_bytes()].concat(),
    ];
    for body in bodies {
        let logs = Logs::new();
        let _guard = logs.capture();
        let (_, running) = start(home.application().bus(broker.port())).await;
        until("the service listens", async || consumes(&broker)).await;
        broker.publish("springCloudBus", "springCloudBus", &Properties::json(), body).unwrap();
        until("it is logged", async || logs.contain("ignoring a malformed bus message")).await;
        assert_hidden(SECRET, &logs, &[]);
        assert_serves(running.address()).await;
        running.stop().await;
    }
    let logs = Logs::new();
    let _guard = logs.capture();
    let (app, running) = start(home.application().bus(broker.port())).await;
    let mut greeting: Live<String> = app.live("greeting").unwrap();
    until("the service listens", async || consumes(&broker)).await;
    let bodies: [Vec<u8>; 6] = [
        Vec::new(),
        b"[]".to_vec(),
        b"null".to_vec(),
        b"{}".to_vec(),
        br#"{"type":7,"destinationService":{}}"#.to_vec(),
        "[".repeat(100_000).into_bytes(),
    ];
    for body in bodies {
        broker.publish("springCloudBus", "springCloudBus", &Properties::json(), body).unwrap();
    }
    broker.publish("springCloudBus", "springCloudBus", &Properties::json().content_type("text/plain"), SECRET).unwrap();
    home.serve("greeting: ho\n");
    let id = tell(&broker, "RefreshRemoteApplicationEvent", "**", json!({}));
    assert_eq!(*greeting.changed().await, "ho");
    until("only the good one is acknowledged", async || is_acknowledged(&broker, &id)).await;
    assert_eq!(published(&broker).len(), 1);
    assert_logged(&logs, &["ignoring a malformed bus message"]);
    assert_hidden(SECRET, &logs, &[]);
    assert_serves(running.address()).await;
    running.stop().await;
    server.stop().await;
    broker.stop().await;
}

#[tokio::test]
async fn a_broker_that_is_down_at_start_is_joined_when_it_is_there() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let port = free_port();
    let (home, server) = Home::with_server("greeting: hi\n").await;
    let application = home.application().property("spring.rabbitmq.username", "shop");
    let application = application.property("spring.rabbitmq.password", SECRET);
    let (app, running) = start(application.bus(port)).await;
    let mut greeting: Live<String> = app.live("greeting").unwrap();
    assert_serves(running.address()).await;
    let refused = post(running.address(), "/actuator/busrefresh").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    assert_eq!(refused.header("content-type"), Some("application/json"));
    assert_eq!(refused.json()["path"], "/actuator/busrefresh");
    assert_logged(&logs, &["refresh event could not be published", &format!("localhost:{port}"), "Connection refused"]);
    until("the failure is logged", async || logs.contain("bus not reachable, trying again")).await;
    // Who changes the settings meanwhile can tell nobody.
    home.serve("greeting: ho\n");
    let broker = Broker::builder().port(port).user("shop", SECRET).start().await.unwrap();
    assert_eq!(*greeting.changed().await, "ho");
    home.serve("greeting: hey\n");
    assert_eq!(post(running.address(), "/actuator/busrefresh").await.status, 204);
    assert_eq!(*greeting.changed().await, "hey");
    assert_hidden(SECRET, &logs, &[&refused.body]);
    running.stop().await;
    server.stop().await;
    broker.stop().await;
}

#[tokio::test]
async fn a_broker_that_refuses_the_login_is_named_without_it() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let broker = Broker::builder().user("shop", "the right one").start().await.unwrap();
    let home = Home::new();
    let application = home.application().bus(broker.port());
    let url = format!("amqp://shop:{SECRET}@127.0.0.1:{}", broker.port());
    let (_, running) = start(application.property("spring.rabbitmq.addresses", url)).await;
    until("it is logged", async || logs.contain("the broker refuses us, trying again")).await;
    assert_serves(running.address()).await;
    let refused = post(running.address(), "/actuator/busrefresh").await;
    assert_eq!(refused.status, 503);
    assert_hidden(SECRET, &logs, &[&refused.body]);
    running.stop().await;
    broker.stop().await;
}

#[tokio::test]
async fn a_broker_that_is_killed_and_comes_back_has_lost_no_change() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let broker = Broker::builder().user("shop", SECRET).start().await.unwrap();
    let (home, server) = Home::with_server("greeting: hi\n").await;
    let application = home.application().property("spring.rabbitmq.username", "shop");
    let application = application.property("spring.rabbitmq.password", SECRET);
    let (app, running) = start(application.bus(broker.port())).await;
    let mut greeting: Live<String> = app.live("greeting").unwrap();
    until("the service listens", async || consumes(&broker)).await;
    home.serve("greeting: ho\n");
    assert_eq!(post(running.address(), "/actuator/busrefresh").await.status, 204);
    assert_eq!(*greeting.changed().await, "ho");

    broker.stop().await;
    until("the loss is noticed", async || logs.contain("lost the bus, subscribing again")).await;
    assert_serves(running.address()).await;
    assert_eq!(post(running.address(), "/actuator/busrefresh").await.status, 503);
    home.serve("greeting: hey\n");
    assert_eq!(*greeting.get(), "ho");

    broker.start_again().await.unwrap();
    assert_eq!(*greeting.changed().await, "hey", "what changed meanwhile is caught up with");
    home.serve("greeting: hello\n");
    until("it can be published again", async || post(running.address(), "/actuator/busrefresh").await.status == 204)
        .await;
    assert_eq!(*greeting.changed().await, "hello");
    assert_serves(running.address()).await;
    assert_hidden(SECRET, &logs, &[]);
    running.stop().await;
    server.stop().await;
    broker.stop().await;
}

#[tokio::test]
async fn a_refresh_for_the_bus_is_tried_again_until_the_config_server_is_back() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let broker = Broker::builder().start().await.unwrap();
    let home = Home::new();
    let server = home.server().start().await.unwrap();
    let port = server.address().port();
    home.write("bootstrap.yml", &format!("spring.cloud.config.uri: '{}'", server.url()));
    home.serve("greeting: hi\n");
    let (app, running) = start(home.application().bus(broker.port())).await;
    let mut greeting: Live<String> = app.live("greeting").unwrap();
    until("the service listens", async || consumes(&broker)).await;
    server.stop().await;
    home.serve("greeting: ho\n");
    let id = tell(&broker, "RefreshRemoteApplicationEvent", "**", json!({}));
    until("the refresh fails", async || logs.contain("refresh for the bus failed, trying again")).await;
    assert!(!is_acknowledged(&broker, &id));
    assert_serves(running.address()).await;
    let server = home.server().port(port).start().await.unwrap();
    assert_eq!(*greeting.changed().await, "ho");
    until("it is acknowledged at last", async || is_acknowledged(&broker, &id)).await;
    running.stop().await;
    server.stop().await;
    broker.stop().await;
}
