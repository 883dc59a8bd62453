//! Login, heartbeats, closing, stopping, freezing.

use std::time::Duration;

use amq_protocol::frame::AMQPFrame;
use amq_protocol::protocol::{AMQPClass, connection};
use futures_util::StreamExt;
use lapin::ConnectionProperties;
use lapin::options::{BasicConsumeOptions, QueueDeclareOptions};
use vernal_testkit::broker::{Broker, Properties};
use vernal_testkit::logs::Logs;

use crate::client::{
    LIMIT, anonymous_queue, bind, broker, channel, code, connect, connect_to, consume, next, publish, queue, topic,
    within,
};
use crate::raw::Raw;

#[tokio::test]
async fn a_wrong_password_is_refused_with_403_and_not_logged() {
    let logs = Logs::new();
    let _capturing = logs.capture();
    let broker = Broker::builder().user("bus", "s3cr:t/&").start().await.unwrap();
    connect(&broker).await;
    for login in ["bus:gu3ss", "guest:guest"] {
        assert_eq!(code(connect_to(&format!("amqp://{login}@127.0.0.1:{}", broker.port())).await), 403, "{login}");
    }
    assert_eq!(broker.counters().refused, 2);
    assert!(logs.contain("login refused"));
    for secret in ["s3cr", "gu3ss"] {
        assert!(!logs.contain(secret) && !format!("{broker:?}").contains(secret));
    }
}

#[tokio::test]
async fn another_virtual_host_is_refused_with_530() {
    let broker = broker().await;
    for vhost in ["/", "/other"] {
        assert_eq!(code(connect_to(&format!("{}{vhost}", broker.url())).await), 530, "`{vhost}`");
    }
    connect_to(&format!("{}/%2f", broker.url())).await.unwrap();
}

#[tokio::test]
async fn connections_are_seen_with_their_names() {
    let broker = broker().await;
    let properties = ConnectionProperties::default().with_connection_name("orders:8080:ab12#consume".into());
    let connection = within(lapin::Connection::connect(&broker.url(), properties)).await.unwrap();
    let _channel = channel(&connection).await;
    let seen = broker.connections().remove(0);
    assert_eq!(seen.name.as_deref(), Some("orders:8080:ab12#consume"));
    assert_eq!((seen.user.as_str(), seen.channels, seen.heartbeat, seen.frame_max), ("guest", 1, 60, 131_072));
}

#[tokio::test]
async fn heartbeats_keep_an_idle_connection() {
    let broker = Broker::builder().heartbeat(Duration::from_secs(2)).start().await.unwrap();
    let connection = connect(&broker).await;
    let idle = channel(&connection).await;
    assert_eq!(broker.connections()[0].heartbeat, 2);
    // Longer than two beats: without heartbeats in both directions one side would have hung up.
    let gone = broker.until(Duration::from_secs(5), |broker| broker.connections().is_empty()).await;
    assert!(!gone && connection.status().connected());
    publish(&idle, "amq.topic", "x", b"x").await.unwrap();
}

#[tokio::test]
async fn a_silent_client_is_dropped_after_two_beats() {
    let broker = broker().await;
    let mut raw = Raw::open(&broker, 1).await;
    assert!(matches!(raw.frame().await, Some(AMQPFrame::Heartbeat)), "the broker beats");
    while let Some(frame) = raw.frame().await {
        assert!(matches!(frame, AMQPFrame::Heartbeat));
    }
    assert!(broker.until(LIMIT, |broker| broker.connections().is_empty()).await);
    assert_eq!(broker.counters().silent, 1);
}

#[tokio::test]
async fn forced_closes_carry_320_and_their_reason() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let channel = channel(&connection).await;
    anonymous_queue(&channel, "q").await;
    let mut consumer = consume(&channel, "q", BasicConsumeOptions::default()).await;
    let mut raw = Raw::open(&broker, 0).await;
    assert_eq!(broker.close_connections("maintenance"), 2);
    assert_eq!(raw.closed().await, (320, "CONNECTION_FORCED - maintenance".to_owned()));
    let ended = within(consumer.next()).await.unwrap();
    assert_eq!(code(ended.map(|_| ())), 320);
    assert!(broker.until(LIMIT, |broker| broker.connections().is_empty() && broker.queues().is_empty()).await);
    connect(&broker).await;
}

#[tokio::test]
async fn a_client_that_ignores_the_close_is_dropped() {
    let broker = broker().await;
    let mut raw = Raw::open(&broker, 0).await;
    broker.close_connections("now");
    assert_eq!(raw.closed().await.0, 320);
    assert!(raw.frame().await.is_none());
}

#[tokio::test]
async fn a_stopped_broker_frees_its_port_for_another() {
    let first = broker().await;
    let connection = connect(&first).await;
    let mut raw = Raw::open(&first, 0).await;
    let stopping = first.stop();
    let told = async {
        assert_eq!(
            raw.closed().await,
            (320, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'".to_owned())
        );
        let ok = connection::AMQPMethod::CloseOk(connection::CloseOk {});
        raw.send_method(0, AMQPClass::Connection(ok)).await;
    };
    within(futures_util::future::join(stopping, told)).await;
    assert!(first.connections().is_empty());
    assert!(!connection.status().connected());
    assert!(connect_to(&first.url()).await.is_err());
    let second = Broker::builder().port(first.port()).start().await.unwrap();
    assert_eq!(second.port(), first.port());
    connect_to(&first.url()).await.unwrap();
}

#[tokio::test]
async fn durable_things_outlive_a_restart() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let channel = channel(&connection).await;
    topic(&channel, "springCloudBus").await;
    queue(&channel, "springCloudBus.g", QueueDeclareOptions { durable: true, ..Default::default() }).await;
    anonymous_queue(&channel, "springCloudBus.anonymous.x").await;
    for name in ["springCloudBus.g", "springCloudBus.anonymous.x"] {
        bind(&channel, name, "springCloudBus", "#").await;
    }
    broker.publish("springCloudBus", "", &Properties::json(), "kept").unwrap();
    broker.publish("springCloudBus", "", &Properties::default(), "lost").unwrap();
    within(broker.start_again()).await.unwrap();
    let names: Vec<String> = broker.queues().into_iter().map(|queue| queue.name).collect();
    assert_eq!(names, ["springCloudBus.g"]);
    let connection = connect(&broker).await;
    let channel = crate::client::channel(&connection).await;
    let mut consumer = consume(&channel, "springCloudBus.g", BasicConsumeOptions::default()).await;
    assert_eq!(next(&mut consumer).await.unwrap().data, b"kept");
    assert_eq!(broker.publish("springCloudBus", "", &Properties::json(), "new"), Ok(1));
    assert_eq!(next(&mut consumer).await.unwrap().data, b"new");
}

#[tokio::test]
async fn a_frozen_broker_says_nothing_until_it_thaws() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let fresh = channel(&connection).await;
    broker.freeze();
    let mut asked = tokio::spawn(async move { queue(&fresh, "q", QueueDeclareOptions::default()).await });
    let limit = Duration::from_millis(300);
    assert!(tokio::time::timeout(limit, &mut asked).await.is_err(), "no answer while frozen");
    assert!(broker.queues().is_empty());
    let mut raw = Raw::connect(&broker).await;
    raw.send(b"AMQP\0\0\x09\x01").await;
    assert!(tokio::time::timeout(limit, raw.frame()).await.is_err(), "accepted by the system, not by the broker");
    broker.thaw();
    assert_eq!(within(asked).await.unwrap(), "q");
    raw.expect_start().await;
}

#[tokio::test]
async fn a_dropped_broker_hangs_up() {
    let broker = broker().await;
    let mut raw = Raw::open(&broker, 0).await;
    let port = broker.port();
    drop(broker);
    assert!(raw.frame().await.is_none());
    assert!(within(tokio::net::TcpStream::connect(("127.0.0.1", port))).await.is_err());
}

#[test]
fn handles_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Broker>();
}
