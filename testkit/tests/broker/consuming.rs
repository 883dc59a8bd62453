//! Deliveries and what becomes of them.

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions, BasicQosOptions,
    BasicRecoverOptions, BasicRejectOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use vernal_testkit::broker::{Broker, Properties};

use crate::client::{
    LIMIT, anonymous_queue, bind, bodies, broker, channel, code, connect, consume, next, publish, queue, topic, within,
};

fn ready(broker: &Broker, queue: &str) -> Option<(usize, usize)> {
    let queues = broker.queues();
    queues.iter().find(|view| view.name == queue).map(|view| (view.messages, view.unacknowledged))
}

fn put(broker: &Broker, queue: &str, bodies: &[&str]) {
    for body in bodies {
        assert_eq!(broker.publish("", queue, &Properties::default(), body.to_string()), Ok(1));
    }
}

#[tokio::test]
async fn three_nodes_get_all_events_of_each_other() {
    const EVENTS: usize = 300;
    let broker = broker().await;
    let mut nodes = Vec::new();
    for name in ["one", "two", "three"] {
        let connection = connect(&broker).await;
        let channel = channel(&connection).await;
        topic(&channel, "springCloudBus").await;
        anonymous_queue(&channel, name).await;
        bind(&channel, name, "springCloudBus", "#").await;
        within(channel.basic_qos(100, BasicQosOptions::default())).await.unwrap();
        let consumer = consume(&channel, name, BasicConsumeOptions::default()).await;
        nodes.push((name, connection, channel, consumer));
    }
    for (name, connection, _, _) in &nodes {
        let publisher = channel(connection).await;
        for number in 0..EVENTS {
            publish(&publisher, "springCloudBus", "springCloudBus", format!("{name}-{number}").as_bytes())
                .await
                .unwrap();
        }
    }
    for (_, _, _, consumer) in &mut nodes {
        let mut seen = Vec::new();
        while seen.len() < 3 * EVENTS {
            let delivery = next(consumer).await.unwrap();
            delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
            seen.push(String::from_utf8(delivery.data).unwrap());
        }
        for origin in ["one-", "two-", "three-"] {
            let from_origin = seen.iter().filter_map(|body| body.strip_prefix(origin));
            assert!(from_origin.eq((0..EVENTS).map(|number| number.to_string())), "all of {origin} and in order");
        }
    }
    let settled = |broker: &Broker| broker.queues().iter().all(|queue| queue.messages + queue.unacknowledged == 0);
    assert!(broker.until(LIMIT, settled).await);
    assert_eq!(broker.published().len(), 3 * EVENTS);
}

#[tokio::test]
async fn an_anonymous_queue_goes_with_its_connection() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let channel = channel(&connection).await;
    anonymous_queue(&channel, "springCloudBus.anonymous.x").await;
    assert!(broker.queues()[0].exclusive && broker.queues()[0].auto_delete);
    within(connection.close(200, "done".into())).await.unwrap();
    assert!(broker.until(LIMIT, |broker| broker.queues().is_empty() && broker.connections().is_empty()).await);
}

#[tokio::test]
async fn an_auto_delete_queue_goes_with_its_last_consumer_not_before_the_first() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let channel = channel(&connection).await;
    anonymous_queue(&channel, "q").await;
    let consumer = consume(&channel, "q", BasicConsumeOptions::default()).await;
    assert_eq!(broker.queues()[0].consumers, 1);
    within(channel.basic_cancel(consumer.tag(), BasicCancelOptions::default())).await.unwrap();
    assert!(broker.queues().is_empty());
}

#[tokio::test]
async fn prefetch_limits_deliveries_without_an_answer() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let channel = channel(&connection).await;
    queue(&channel, "q", QueueDeclareOptions::default()).await;
    within(channel.basic_qos(2, BasicQosOptions::default())).await.unwrap();
    let mut consumer = consume(&channel, "q", BasicConsumeOptions::default()).await;
    put(&broker, "q", &["1", "2", "3", "4", "5"]);
    assert_eq!(ready(&broker, "q"), Some((3, 2)));
    let first = next(&mut consumer).await.unwrap();
    let second = next(&mut consumer).await.unwrap();
    first.acker.ack(BasicAckOptions::default()).await.unwrap();
    assert!(broker.until(LIMIT, |broker| ready(broker, "q") == Some((2, 2))).await);
    assert_eq!(next(&mut consumer).await.unwrap().data, b"3");
    second.acker.ack(BasicAckOptions { multiple: true }).await.unwrap();
    assert!(broker.until(LIMIT, |broker| ready(broker, "q") == Some((1, 2))).await);
}

#[tokio::test]
async fn a_channel_wide_prefetch_covers_all_its_consumers() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let channel = channel(&connection).await;
    within(channel.basic_qos(3, BasicQosOptions { global: true })).await.unwrap();
    let mut consumers = Vec::new();
    for name in ["a", "b"] {
        queue(&channel, name, QueueDeclareOptions::default()).await;
        consumers.push(consume(&channel, name, BasicConsumeOptions::default()).await);
        put(&broker, name, &["1", "2"]);
    }
    assert_eq!((ready(&broker, "a"), ready(&broker, "b")), (Some((0, 2)), Some((1, 1))));
}

#[tokio::test]
async fn rejected_messages_return_to_their_place_marked_as_redelivered() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let channel = channel(&connection).await;
    queue(&channel, "q", QueueDeclareOptions::default()).await;
    put(&broker, "q", &["1", "2", "3"]);
    let get = || async { within(channel.basic_get("q".into(), BasicGetOptions::default())).await.unwrap() };
    let (first, second) = (get().await.unwrap(), get().await.unwrap());
    assert_eq!((first.redelivered, first.message_count, second.message_count), (false, 2, 1));
    second.delivery.acker.reject(BasicRejectOptions { requeue: true }).await.unwrap();
    first.delivery.acker.nack(BasicNackOptions { requeue: true, ..Default::default() }).await.unwrap();
    let again = [get().await.unwrap(), get().await.unwrap(), get().await.unwrap()];
    assert_eq!(again.each_ref().map(|got| got.data.as_slice()), [b"1", b"2", b"3"]);
    assert_eq!(again.each_ref().map(|got| got.redelivered), [true, true, false]);
    assert!(get().await.is_none());
    again[2].acker.nack(BasicNackOptions { multiple: true, requeue: false }).await.unwrap();
    assert!(broker.until(LIMIT, |broker| ready(broker, "q") == Some((0, 0))).await);
}

#[tokio::test]
async fn deliveries_without_an_answer_return_when_the_channel_closes() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let first = channel(&connection).await;
    queue(&first, "q", QueueDeclareOptions::default()).await;
    let mut consumer = consume(&first, "q", BasicConsumeOptions::default()).await;
    put(&broker, "q", &["1", "2"]);
    assert_eq!(bodies(&mut consumer, 2).await, ["1", "2"]);
    within(first.close(200, "bye".into())).await.unwrap();
    assert_eq!(ready(&broker, "q"), Some((2, 0)));
    let second = channel(&connection).await;
    let mut consumer = consume(&second, "q", BasicConsumeOptions { no_ack: true, ..Default::default() }).await;
    let delivery = next(&mut consumer).await.unwrap();
    assert!(delivery.redelivered && delivery.data == b"1");
    assert!(broker.until(LIMIT, |broker| ready(broker, "q") == Some((0, 0))).await);
}

#[tokio::test]
async fn recover_delivers_again() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let channel = channel(&connection).await;
    queue(&channel, "q", QueueDeclareOptions::default()).await;
    let mut consumer = consume(&channel, "q", BasicConsumeOptions::default()).await;
    put(&broker, "q", &["1"]);
    assert!(!next(&mut consumer).await.unwrap().redelivered);
    within(channel.basic_recover(BasicRecoverOptions { requeue: true })).await.unwrap();
    assert!(next(&mut consumer).await.unwrap().redelivered);
}

#[tokio::test]
async fn an_unknown_delivery_tag_closes_the_channel_with_406() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let closing = channel(&connection).await;
    within(closing.basic_ack(7, BasicAckOptions::default())).await.unwrap();
    assert!(broker.until(LIMIT, |broker| broker.connections()[0].channels == 0).await);
    assert_eq!(
        code(within(closing.queue_purge("q".into(), Default::default())).await.map(|_| ())),
        0,
        "channel is closed"
    );
    within(channel(&connection).await.close(200, "ok".into())).await.unwrap();
}

#[tokio::test]
async fn consumers_share_a_queue_and_an_exclusive_one_does_not() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let sharing = channel(&connection).await;
    queue(&sharing, "q", QueueDeclareOptions::default()).await;
    let mut first = consume(&sharing, "q", BasicConsumeOptions::default()).await;
    let mut second = consume(&sharing, "q", BasicConsumeOptions::default()).await;
    put(&broker, "q", &["1", "2", "3", "4"]);
    assert_eq!(bodies(&mut first, 2).await, ["1", "3"]);
    assert_eq!(bodies(&mut second, 2).await, ["2", "4"]);
    let refused = channel(&connection).await;
    let exclusive = BasicConsumeOptions { exclusive: true, ..Default::default() };
    let asked = within(refused.basic_consume("q".into(), "".into(), exclusive, Default::default())).await;
    assert_eq!(code(asked.map(|_| ())), 403);
}

#[tokio::test]
async fn consumers_learn_that_their_queue_was_deleted() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let channel = channel(&connection).await;
    for (name, delete_by_client) in [("operator", false), ("client", true)] {
        queue(&channel, name, QueueDeclareOptions::default()).await;
        let mut consumer = consume(&channel, name, BasicConsumeOptions::default()).await;
        if delete_by_client {
            within(channel.queue_delete(name.into(), QueueDeleteOptions::default())).await.unwrap();
        } else {
            assert!(broker.delete_queue(name));
        }
        assert!(within(consumer.next()).await.is_none(), "{name}");
    }
    assert!(connection.status().connected() && broker.consumers().is_empty());
}

#[tokio::test]
async fn a_slow_reader_does_not_grow_the_broker() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let channel = channel(&connection).await;
    queue(&channel, "q", QueueDeclareOptions::default()).await;
    let mut consumer = consume(&channel, "q", BasicConsumeOptions { no_ack: true, ..Default::default() }).await;
    broker.freeze();
    let body = vec![7_u8; 100_000];
    for _ in 0..100 {
        broker.publish("", "q", &Properties::default(), body.clone()).unwrap();
    }
    let (waiting, _) = ready(&broker, "q").unwrap();
    assert!(waiting > 80, "only about 1 MiB waits outside of the queue, {waiting} of 100 are inside");
    broker.thaw();
    for _ in 0..100 {
        assert_eq!(next(&mut consumer).await.unwrap().data.len(), body.len());
    }
}
