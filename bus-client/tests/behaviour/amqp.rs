//! Nodes on an AMQP broker.

use std::time::{Duration, Instant};

use vernal_bus_client::{AmqpTransport, Bus, BusId, Error, Event, RabbitSettings, State};
use vernal_commons::secret::Secret;
use vernal_testkit::broker::{Broker, Properties};
use vernal_testkit::logs::Logs;

use crate::node::{Node, SOON, builder, join, quick, reach, wait};

pub(crate) const EXCHANGE: &str = "springCloudBus";

pub(crate) async fn broker() -> Broker {
    Broker::builder().start().await.unwrap()
}

pub(crate) fn rabbit(broker: &Broker) -> RabbitSettings {
    let mut settings = RabbitSettings::default();
    settings.host = "127.0.0.1".to_owned();
    settings.port = Some(broker.port());
    settings
}

pub(crate) fn transport(broker: &Broker) -> AmqpTransport {
    AmqpTransport::new(rabbit(broker)).unwrap()
}

pub(crate) async fn node(id: &str, broker: &Broker) -> Node {
    join(id, quick(), transport(broker)).await
}

/// The names of the queues of nodes.
pub(crate) fn queues(broker: &Broker) -> Vec<String> {
    broker.queues().into_iter().map(|queue| queue.name).filter(|name| name.starts_with(EXCHANGE)).collect()
}

#[tokio::test]
async fn refresh_reaches_the_other_node_once_and_its_ack_comes_back() {
    let broker = broker().await;
    let (a, b) = (node("orders:dev,cloud:8080:a", &broker).await, node("billing:9000:b", &broker).await);
    let mut acks = a.bus.acks();
    let event = a.bus.publish_refresh(None).await.unwrap();
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let ack = tokio::time::timeout(SOON, acks.next()).await.unwrap().unwrap();
        assert_eq!(ack.event_id.as_deref(), Some(event.as_str()));
        nodes.push(ack.node.unwrap());
    }
    nodes.sort();
    assert_eq!(nodes, ["billing:9000:b", "orders:dev,cloud:8080:a"]);
    // What comes behind it has been read, so it has been read, too.
    b.bus.publish_env(Some("orders"), "k", "v").await.unwrap();
    a.handlers.has_value("k", "v").await;
    assert_eq!((a.handlers.refreshes(), b.handlers.refreshes()), (2, 2), "one each to catch up");
    assert_eq!(a.bus.counters().own, 1);
    a.bus.stop().await;
    b.bus.stop().await;
}

#[tokio::test]
async fn event_for_a_service_or_an_instance_leaves_the_others_alone() {
    let broker = broker().await;
    let (a, b) = (node("orders:dev,cloud:8080:a", &broker).await, node("orders:dev:8081:b", &broker).await);
    let c = node("billing:9000:c", &broker).await;
    c.bus.publish_env(Some("orders"), "service", "1").await.unwrap();
    c.bus.publish_env(Some("orders:cloud"), "profile", "1").await.unwrap();
    c.bus.publish_env(Some("orders:dev:8081:b"), "instance", "1").await.unwrap();
    c.bus.publish_env(None, "last", "1").await.unwrap();
    for node in [&a, &b, &c] {
        node.handlers.has_value("last", "1").await;
    }
    let names = |node: &Node| node.handlers.values().into_keys().collect::<Vec<_>>();
    assert_eq!(names(&a), ["last", "profile", "service"]);
    assert_eq!(names(&b), ["instance", "last", "service"]);
    assert_eq!(names(&c), ["last"]);
    for node in [a, b, c] {
        node.bus.stop().await;
    }
}

#[tokio::test]
async fn messages_have_the_properties_that_spring_sends() {
    let broker = broker().await;
    let a = node("orders:8080:a", &broker).await;
    let mut acks = a.bus.acks();
    a.bus.publish_refresh(Some("orders")).await.unwrap();
    tokio::time::timeout(SOON, acks.next()).await.unwrap().unwrap();
    assert!(broker.until(SOON, |broker| broker.published().len() == 2).await);
    for message in broker.published() {
        assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), (EXCHANGE, EXCHANGE));
        let properties = message.properties;
        let mut rest = Properties::json();
        rest.message_id = properties.message_id.clone();
        rest.timestamp = properties.timestamp;
        assert_eq!(properties, rest);
        let event = Event::decode(&message.body).unwrap();
        assert_eq!(properties.message_id.as_ref().map(String::len), Some(36));
        assert_ne!(properties.message_id, event.id);
        // In seconds: the event was made in that one or just before.
        let (made, sent) = (event.timestamp.unwrap() / 1000, properties.timestamp.unwrap());
        assert!((made..=made + SOON.as_secs()).contains(&sent), "made {made}, sent {sent}");
    }
    a.bus.stop().await;
}

#[tokio::test]
async fn consuming_and_publishing_use_a_connection_each_that_bear_the_bus_id() {
    let broker = broker().await;
    let a = node("orders:8080:a", &broker).await;
    assert_eq!(broker.connections().len(), 1, "the second one waits for the first publish");
    a.bus.publish_refresh(Some("nobody")).await.unwrap();
    let mut names: Vec<_> = broker.connections().into_iter().map(|connection| connection.name.unwrap()).collect();
    names.sort();
    assert_eq!(names, ["orders:8080:a#consume", "orders:8080:a#publish"]);
    assert!(broker.connections().iter().all(|connection| connection.heartbeat == 20));
    assert_eq!(broker.consumers().iter().map(|consumer| consumer.prefetch).collect::<Vec<_>>(), [100]);
    a.bus.stop().await;
}

#[tokio::test]
async fn stop_leaves_no_queue_and_no_connection() {
    let broker = broker().await;
    let a = node("orders:8080:a", &broker).await;
    a.bus.publish_refresh(None).await.unwrap();
    assert_eq!(queues(&broker).len(), 1);
    let start = Instant::now();
    a.bus.stop().await;
    assert!(start.elapsed() < Duration::from_secs(7), "{:?}", start.elapsed());
    assert_eq!(queues(&broker), Vec::<String>::new());
    assert!(broker.until(SOON, |broker| broker.connections().is_empty()).await);
}

#[tokio::test]
async fn dropped_bus_leaves_no_queue_either() {
    let broker = broker().await;
    let a = node("orders:8080:a", &broker).await;
    a.bus.publish_refresh(None).await.unwrap();
    drop(a);
    assert!(broker.until(SOON, |broker| queues(broker).is_empty() && broker.connections().is_empty()).await);
}

#[tokio::test]
async fn fifty_refreshes_at_once_run_the_handler_once_or_twice() {
    let broker = broker().await;
    let mut settings = quick();
    settings.quiet_period = Duration::from_millis(500);
    let a = join("orders:8080:a", settings, transport(&broker)).await;
    let b = node("billing:9000:b", &broker).await;
    let publishes = (0..50).map(|_| {
        let bus = b.bus.clone();
        tokio::spawn(async move { bus.publish_refresh(Some("orders")).await.unwrap() })
    });
    for publish in publishes.collect::<Vec<_>>() {
        publish.await.unwrap();
    }
    wait(|| a.bus.counters().acks_sent == 50).await;
    let runs = a.handlers.refreshes() - 1;
    assert!((1..=2).contains(&runs), "{runs} runs");
    a.bus.stop().await;
    b.bus.stop().await;
}

#[tokio::test]
async fn malformed_message_is_counted_and_logged_and_the_next_one_is_handled() {
    let broker = broker().await;
    let logs = Logs::new();
    let _guard = logs.capture();
    let a = node("orders:8080:a", &broker).await;
    let json = Properties::json();
    for body in ["", "nonsense", "[]", "{", "\u{1}\u{2}"] {
        assert_eq!(broker.publish(EXCHANGE, "any.key", &json, body).unwrap(), 1);
    }
    let huge = format!(r#"{{"x":"{}"}}"#, "x".repeat(2 << 20));
    broker.publish(EXCHANGE, EXCHANGE, &json, huge).unwrap();
    broker.publish(EXCHANGE, EXCHANGE, &json.clone().content_type("application/cbor"), "{}").unwrap();
    let mut gzip = json.clone();
    gzip.content_encoding = Some("gzip".to_owned());
    broker.publish(EXCHANGE, EXCHANGE, &gzip, "{}").unwrap();
    let event =
        r#"{"type":"EnvironmentChangeRemoteApplicationEvent","destinationService":"**","id":"1","values":{"k":"v"}}"#;
    broker.publish(EXCHANGE, EXCHANGE, &json.header("traceparent", "garbage").header("n", 7), event).unwrap();
    a.handlers.has_value("k", "v").await;
    let counters = a.bus.counters();
    assert_eq!((counters.malformed, counters.oversize, counters.unsupported), (6, 1, 1));
    let warned = |text: &str| logs.records().iter().filter(|record| record.message.contains(text)).count();
    assert_eq!((warned("malformed"), warned("unsupported")), (1, 1), "once in a while is enough");
    assert!(broker.until(SOON, |broker| broker.queues().iter().all(|queue| queue.unacknowledged == 0)).await);
    a.bus.stop().await;
}

#[tokio::test]
async fn frames_are_small_and_a_larger_event_comes_whole() {
    let broker = broker().await;
    let (a, b) = (node("orders:8080:a", &broker).await, node("billing:9000:b", &broker).await);
    let value = "x".repeat(200 * 1024);
    b.bus.publish_env(None, "k", &value).await.unwrap();
    a.handlers.has_value("k", &value).await;
    let frames: Vec<u32> = broker.connections().iter().map(|connection| connection.frame_max).collect();
    assert_eq!(frames, [16 * 1024; 3], "two that listen, one that has published");
    a.bus.stop().await;
    b.bus.stop().await;
}

#[tokio::test]
async fn exchange_that_exists_is_taken_as_it_is() {
    use lapin::options::ExchangeDeclareOptions;
    let broker = broker().await;
    let connection = lapin::Connection::connect(&broker.url(), lapin::ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let (name, kind) = (EXCHANGE.into(), lapin::ExchangeKind::Fanout);
    channel.exchange_declare(name, kind, ExchangeDeclareOptions::default(), Default::default()).await.unwrap();
    let (a, b) = (node("orders:8080:a", &broker).await, node("billing:9000:b", &broker).await);
    b.bus.publish_env(None, "k", "v").await.unwrap();
    a.handlers.has_value("k", "v").await;
    connection.close(200, "OK".into()).await.unwrap();
    a.bus.stop().await;
    b.bus.stop().await;
}

#[tokio::test]
async fn password_is_shown_nowhere() {
    let broker = Broker::builder().user("bus", "geheim").start().await.unwrap();
    let logs = Logs::new();
    let _guard = logs.capture();
    let mut wrong = rabbit(&broker);
    wrong.username = "bus".to_owned();
    wrong.password = Secret::from("topsecret");
    let mut shown = format!("{wrong:?}");
    let refused = AmqpTransport::new(wrong).unwrap();
    shown += &format!("{refused:?}");
    let (builder, _) = builder("orders:8080:a", quick(), refused);
    shown += &format!("{builder:?}");
    let bus = builder.start().unwrap();
    reach(&bus, State::Backoff).await;
    let error = bus.publish_refresh(None).await.unwrap_err();
    shown += &format!("{bus:?} {:?} {error} {error:?}", bus.health());
    bus.stop().await;
    assert!(logs.records().iter().any(|record| record.level == tracing::Level::ERROR), "{:?}", logs.records());

    let mut right = RabbitSettings::default();
    right.addresses = Secret::new(broker.url());
    let a = join("orders:8080:a", quick(), AmqpTransport::new(right).unwrap()).await;
    a.bus.publish_refresh(None).await.unwrap();
    a.bus.stop().await;
    for secret in ["topsecret", "geheim"] {
        assert!(!shown.contains(secret) && !logs.contain(secret), "{secret} in {shown}");
    }
    assert!(logs.contain(&format!("127.0.0.1:{}", broker.port())), "the broker is named");
}

#[tokio::test]
async fn destination_setting_names_exchange_and_queue() {
    let broker = broker().await;
    let mut settings = quick();
    settings.destination = "teamBus".to_owned();
    let a = join("orders:8080:a", settings, transport(&broker)).await;
    assert!(broker.queues().iter().any(|queue| queue.name.starts_with("teamBus.anonymous.")));
    a.bus.stop().await;

    let mut settings = quick();
    settings.destination = "x".repeat(201);
    let id = BusId::new("orders:8080:a").unwrap();
    let error = Bus::builder(settings, id).transport(transport(&broker)).start().unwrap_err();
    assert!(matches!(error, Error::Setting { key: "spring.cloud.bus.destination", .. }));
}
