//! What goes wrong with a broker, and how the bus gets over it.

use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use vernal_bus_client::{AmqpTransport, Error, RabbitSettings, State};
use vernal_commons::secret::Secret;
use vernal_testkit::broker::Properties;
use vernal_testkit::logs::Logs;

use crate::amqp::{EXCHANGE, broker, node, queues, rabbit, transport};
use crate::node::{SOON, builder, join, quick, reach, wait};

#[tokio::test]
async fn bus_starts_without_a_broker_and_joins_when_there_is_one() {
    let broker = broker().await;
    broker.stop().await;
    let logs = Logs::new();
    let _guard = logs.capture();
    let (builder, handlers) = builder("orders:8080:a", quick(), transport(&broker));
    let start = Instant::now();
    let bus = builder.start().unwrap();
    assert!(start.elapsed() < Duration::from_secs(1));
    reach(&bus, State::Backoff).await;
    assert!(bus.health().last_error.is_some());
    assert!(matches!(bus.publish_refresh(None).await, Err(Error::Unavailable { .. })));
    wait(|| bus.health().failures >= 2).await;
    broker.start_again().await.unwrap();
    reach(&bus, State::Consuming).await;
    handlers.refreshed(1).await;
    bus.publish_env(None, "k", "v").await.unwrap();
    wait(|| bus.counters().own == 1).await;
    let with = |text: &str| logs.records().iter().filter(|record| record.message.contains(text)).count();
    assert_eq!((with("bus not reachable"), with("subscribed to the bus")), (1, 1), "{:?}", logs.records());
    bus.stop().await;
}

#[tokio::test]
async fn node_comes_back_after_a_restart_of_the_broker_and_catches_up() {
    let broker = broker().await;
    let (a, b) = (node("orders:8080:a", &broker).await, node("billing:9000:b", &broker).await);
    a.bus.publish_refresh(Some("nobody")).await.unwrap();
    let before = queues(&broker);
    broker.stop().await;
    reach(&a.bus, State::Backoff).await;
    broker.start_again().await.unwrap();
    reach(&a.bus, State::Consuming).await;
    reach(&b.bus, State::Consuming).await;
    a.handlers.refreshed(2).await;
    b.handlers.refreshed(2).await;
    let after = queues(&broker);
    assert!(after.len() == 2 && after.iter().all(|name| !before.contains(name)), "{before:?} {after:?}");
    // The connection that publishes is made anew, too.
    a.bus.publish_env(None, "k", "v").await.unwrap();
    b.handlers.has_value("k", "v").await;
    a.bus.stop().await;
    b.bus.stop().await;
}

#[tokio::test]
async fn closed_connections_are_replaced() {
    let broker = broker().await;
    let a = node("orders:8080:a", &broker).await;
    let before = queues(&broker);
    let mut states = a.bus.states();
    assert_eq!(broker.close_connections("maintenance"), 1);
    let mut health = a.bus.health();
    while health.state != State::Backoff {
        health = tokio::time::timeout(SOON, states.changed()).await.unwrap().unwrap();
    }
    let error = health.last_error.unwrap();
    assert!(error.starts_with("closed by the broker: ") && error.contains("CONNECTION_FORCED"), "{error}");
    assert_eq!(health.failures, 0, "no attempt has failed");
    a.handlers.refreshed(2).await;
    assert!(broker.until(SOON, |broker| queues(broker).len() == 1 && queues(broker) != before).await);
    a.bus.stop().await;
}

#[tokio::test]
async fn deleted_queue_is_replaced_at_once() {
    let broker = broker().await;
    let a = node("orders:8080:a", &broker).await;
    let before = queues(&broker);
    let start = Instant::now();
    assert!(broker.delete_queue(&before[0]));
    assert!(broker.until(SOON, |broker| !queues(broker).is_empty() && queues(broker) != before).await);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    a.handlers.refreshed(2).await;
    broker
        .publish(
            EXCHANGE,
            EXCHANGE,
            &Properties::json(),
            r#"{"type":"EnvironmentChangeRemoteApplicationEvent","destinationService":null,"values":{"k":"v"}}"#,
        )
        .unwrap();
    a.handlers.has_value("k", "v").await;
    a.bus.stop().await;
    assert!(broker.until(SOON, |broker| broker.connections().is_empty()).await, "the old connection is closed, too");
}

#[tokio::test]
async fn deleted_exchange_is_declared_again_by_the_next_publish() {
    let broker = broker().await;
    let a = node("orders:8080:a", &broker).await;
    a.bus.publish_refresh(Some("nobody")).await.unwrap();
    assert!(broker.delete_exchange(EXCHANGE));
    a.bus.publish_refresh(Some("nobody")).await.unwrap();
    assert!(broker.exchanges().iter().any(|exchange| exchange.name == EXCHANGE && exchange.durable));
    a.bus.stop().await;
}

#[tokio::test]
async fn alarm_of_the_broker_stops_publishing_and_nothing_else() {
    let broker = broker().await;
    let a = node("orders:8080:a", &broker).await;
    a.bus.publish_refresh(Some("nobody")).await.unwrap();
    broker.block("low on memory");
    // A broker may take what is under way when it blocks the connection.
    let taken = a.bus.publish_refresh(Some("nobody")).await;
    let start = Instant::now();
    let error = match taken {
        Ok(_) => a.bus.publish_refresh(Some("nobody")).await.unwrap_err(),
        Err(error) => error,
    };
    assert!(error.is_retryable() && start.elapsed() < Duration::from_secs(8), "{error:?} {:?}", start.elapsed());
    broker.publish(EXCHANGE, EXCHANGE, &Properties::json(), r#"{"type":"EnvironmentChangeRemoteApplicationEvent","destinationService":"**","id":"1","values":{"k":"v"}}"#).unwrap();
    a.handlers.has_value("k", "v").await;
    wait(|| a.bus.counters().acks_dropped == 1).await;
    broker.unblock();
    let published = async { while a.bus.publish_refresh(Some("nobody")).await.is_err() {} };
    assert!(tokio::time::timeout(SOON, published).await.is_ok());
    a.bus.stop().await;
}

#[tokio::test]
async fn second_address_is_tried_when_the_first_is_dead() {
    let broker = broker().await;
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mut settings = RabbitSettings::default();
    settings.addresses = Secret::new(format!("127.0.0.1:{dead},127.0.0.1:{}", broker.port()));
    let start = Instant::now();
    let a = join("orders:8080:a", quick(), AmqpTransport::new(settings).unwrap()).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    a.bus.stop().await;
}

#[tokio::test]
async fn attempts_to_a_port_that_never_answers_end_at_their_time_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = silent(&listener);
    settings.connection_timeout = Some(Duration::from_millis(50));
    let (builder, _) = builder("orders:8080:a", quick(), AmqpTransport::new(settings).unwrap());
    let bus = builder.start().unwrap();
    for _ in 0..3 {
        let (socket, _) = listener.accept().await.unwrap();
        ends(socket).await;
    }
    wait(|| bus.health().failures >= 3).await;
    assert!(bus.health().last_error.unwrap().contains("no answer within 50 ms"));
    let start = Instant::now();
    bus.stop().await;
    assert!(start.elapsed() < Duration::from_secs(7), "{:?}", start.elapsed());
}

/// lapin's thread of a connection holds the socket as long as it lives.
#[tokio::test]
async fn attempt_of_a_bus_that_is_gone_ends_with_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for dropped in [true, false] {
        let (builder, _) = builder("orders:8080:a", quick(), AmqpTransport::new(silent(&listener)).unwrap());
        let bus = builder.start().unwrap();
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut header = [0; 8];
        socket.read_exact(&mut header).await.unwrap();
        assert_eq!(&header, b"AMQP\x00\x00\x09\x01");
        if dropped {
            drop(bus);
        } else {
            bus.stop().await;
        }
        ends(socket).await;
    }
}

/// Settings of a broker that never answers.
fn silent(listener: &TcpListener) -> RabbitSettings {
    let mut settings = RabbitSettings::default();
    settings.host = "127.0.0.1".to_owned();
    settings.port = Some(listener.local_addr().unwrap().port());
    settings
}

/// Waits until the other side has closed the socket.
async fn ends(mut socket: TcpStream) {
    let closed = async { while socket.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {} };
    assert!(tokio::time::timeout(SOON, closed).await.is_ok(), "the socket is still open");
}

#[tokio::test]
async fn frozen_broker_is_noticed_by_its_silence_and_does_not_hold_up_a_stop() {
    let broker = broker().await;
    let mut settings = rabbit(&broker);
    settings.requested_heartbeat = Some(Duration::from_secs(1));
    let a = join("orders:8080:a", quick(), AmqpTransport::new(settings.clone()).unwrap()).await;
    let b = node("billing:9000:b", &broker).await;
    b.bus.publish_refresh(Some("nobody")).await.unwrap();
    broker.freeze();
    let start = Instant::now();
    reach(&a.bus, State::Backoff).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    // The other one has not noticed yet.
    assert!(matches!(b.bus.publish_refresh(None).await, Err(Error::Timeout { .. })));
    let start = Instant::now();
    b.bus.stop().await;
    assert!(start.elapsed() < Duration::from_secs(7), "{:?}", start.elapsed());
    broker.thaw();
    reach(&a.bus, State::Consuming).await;
    a.bus.stop().await;
}
