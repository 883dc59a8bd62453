//! Publishing: confirms, returns, properties, sizes, alarms.

use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Confirmation, ConnectionProperties};
use vernal_testkit::broker::{Broker, Field, Properties};

use crate::client::{
    LIMIT, anonymous_queue, bind, broker, channel, code, connect, consume, next, publish, publish_as, queue, topic,
    within,
};

#[tokio::test]
async fn every_message_is_confirmed_routed_or_not() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let channel = channel(&connection).await;
    assert_eq!(publish(&channel, "amq.topic", "x", b"x").await.unwrap(), Confirmation::NotRequested);
    within(channel.confirm_select(Default::default())).await.unwrap();
    topic(&channel, "springCloudBus").await;
    assert_eq!(publish(&channel, "springCloudBus", "x", b"nobody").await.unwrap(), Confirmation::Ack(None));
    anonymous_queue(&channel, "q").await;
    bind(&channel, "q", "springCloudBus", "#").await;
    let mut confirms = Vec::new();
    for _ in 0..200 {
        let options = Default::default();
        let published =
            channel.basic_publish("springCloudBus".into(), "x".into(), options, b"x", BasicProperties::default());
        confirms.push(within(published).await.unwrap());
    }
    for confirm in confirms {
        assert_eq!(within(confirm).await.unwrap(), Confirmation::Ack(None));
    }
    assert_eq!((broker.counters().published, broker.counters().unroutable), (202, 2));
}

#[tokio::test]
async fn a_mandatory_message_without_a_queue_comes_back() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let channel = channel(&connection).await;
    within(channel.confirm_select(Default::default())).await.unwrap();
    let properties = BasicProperties::default().with_message_id("m1".into());
    let confirmed = publish_as(&channel, "amq.topic", "nobody", b"back", properties, true).await.unwrap();
    let Confirmation::Ack(Some(returned)) = confirmed else { panic!("{confirmed:?}") };
    assert_eq!((returned.reply_code, returned.reply_text.as_str()), (312, "NO_ROUTE"));
    assert_eq!(returned.delivery.data, b"back");
    assert_eq!(returned.delivery.properties.message_id().as_ref().map(ToString::to_string).as_deref(), Some("m1"));
}

#[tokio::test]
async fn publishing_to_a_missing_exchange_closes_the_channel_with_404() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let closing = channel(&connection).await;
    within(closing.confirm_select(Default::default())).await.unwrap();
    assert_eq!(code(publish(&closing, "missing", "x", b"x").await), 404);
    assert!(publish(&closing, "amq.topic", "x", b"x").await.is_err());
    publish(&channel(&connection).await, "amq.topic", "x", b"x").await.unwrap();
    assert!(broker.until(LIMIT, |broker| broker.published().len() == 1).await);
}

#[tokio::test]
async fn properties_and_headers_arrive_as_they_were_sent() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let channel = channel(&connection).await;
    queue(&channel, "q", QueueDeclareOptions::default()).await;
    let mut headers = FieldTable::default();
    headers.insert("traceparent".into(), AMQPValue::LongString("00-1-2-01".into()));
    headers.insert("small".into(), AMQPValue::ShortShortUInt(7));
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(2)
        .with_priority(0)
        .with_message_id("6ba7b810-9dad-11d1-80b4-00c04fd430c8".into())
        .with_timestamp(1_784_000_000)
        .with_headers(headers);
    publish_as(&channel, "", "q", b"{}", properties.clone(), false).await.unwrap();
    let mut consumer = consume(&channel, "q", BasicConsumeOptions::default()).await;
    let delivery = next(&mut consumer).await.unwrap();
    assert_eq!(delivery.properties, properties);
    assert_eq!((delivery.exchange.as_str(), delivery.routing_key.as_str()), ("", "q"));

    let published = broker.published().remove(0);
    assert_eq!(
        (published.exchange.as_str(), published.routing_key.as_str(), &published.body[..]),
        ("", "q", &b"{}"[..])
    );
    let mut expected = Properties::json().header("traceparent", "00-1-2-01").header("small", 7);
    expected.message_id = Some("6ba7b810-9dad-11d1-80b4-00c04fd430c8".to_owned());
    expected.timestamp = Some(1_784_000_000);
    assert_eq!(published.properties, expected);
    broker.forget_published();
    assert!(broker.published().is_empty());
}

#[tokio::test]
async fn an_injected_message_looks_like_any_other() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let channel = channel(&connection).await;
    anonymous_queue(&channel, "q").await;
    bind(&channel, "q", "amq.topic", "#").await;
    let properties = Properties::json().content_type("text/plain").header("retry-count", Field::Int(1));
    assert_eq!(broker.publish("amq.topic", "key", &properties, "body"), Ok(1));
    let mut consumer = consume(&channel, "q", BasicConsumeOptions::default()).await;
    let delivery = next(&mut consumer).await.unwrap();
    assert_eq!((delivery.exchange.as_str(), delivery.routing_key.as_str()), ("amq.topic", "key"));
    assert_eq!(delivery.properties.content_type().as_ref().map(ToString::to_string).as_deref(), Some("text/plain"));
    let headers = delivery.properties.headers().clone().unwrap();
    assert_eq!(headers.inner().get("retry-count"), Some(&AMQPValue::LongLongInt(1)));
    assert!(broker.published().is_empty(), "only clients publish");
}

#[tokio::test]
async fn bodies_larger_than_a_frame_travel_in_pieces() {
    let broker = Broker::builder().frame_max(8192).start().await.unwrap();
    let connection = connect(&broker).await;
    let channel = channel(&connection).await;
    queue(&channel, "q", QueueDeclareOptions::default()).await;
    let mut consumer = consume(&channel, "q", BasicConsumeOptions { no_ack: true, ..Default::default() }).await;
    for size in [0, 1, 8184, 8185, 1_000_000, 5_000_000] {
        let body: Vec<u8> = (0..size).map(|at: u32| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
        publish(&channel, "", "q", &body).await.unwrap();
        assert!(next(&mut consumer).await.unwrap().data == body, "{size} bytes");
    }
}

#[tokio::test]
async fn a_body_over_the_cap_closes_the_channel_with_406() {
    let broker = Broker::builder().max_body(1000).start().await.unwrap();
    let connection = connect(&broker).await;
    let closing = channel(&connection).await;
    within(closing.confirm_select(Default::default())).await.unwrap();
    assert!(publish(&closing, "amq.topic", "x", &[0; 1000]).await.unwrap().is_ack());
    assert_eq!(code(publish(&closing, "amq.topic", "x", &[0; 300_000]).await), 406);
    publish(&channel(&connection).await, "amq.topic", "x", b"x").await.unwrap();
    assert!(broker.publish("amq.topic", "x", &Properties::default(), vec![0; 1001]).is_err());
}

#[tokio::test]
async fn an_alarm_blocks_those_who_publish() {
    let broker = broker().await;
    let consuming = connect(&broker).await;
    let listening = channel(&consuming).await;
    queue(&listening, "q", QueueDeclareOptions::default()).await;
    let mut consumer = consume(&listening, "q", BasicConsumeOptions::default()).await;
    let properties = ConnectionProperties::default();
    let publishing = within(lapin::Connection::connect(&broker.url(), properties)).await.unwrap();
    let mut events = publishing.events_listener();
    let sending = channel(&publishing).await;
    broker.block("low on memory");
    publish(&sending, "", "q", b"1").await.unwrap();
    let reason = within(async {
        loop {
            if let lapin::Event::ConnectionBlocked(reason) = events.next().await.unwrap() {
                break reason;
            }
        }
    });
    assert_eq!(reason.await, "low on memory");
    let second = tokio::spawn(async move { publish(&sending, "", "q", b"2").await });
    assert_eq!(broker.connections().iter().map(|view| view.blocked).collect::<Vec<_>>(), [false, true]);
    assert_eq!(next(&mut consumer).await.unwrap().data, b"1", "what came before is delivered");
    assert_eq!(broker.counters().published, 1);
    broker.unblock();
    assert_eq!(next(&mut consumer).await.unwrap().data, b"2");
    within(second).await.unwrap().unwrap();
}
