//! Exchanges, queues, bindings and the errors around them.

use lapin::ExchangeKind;
use lapin::options::{
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use vernal_testkit::broker::{Broker, Properties};
use vernal_testkit::logs::Logs;

use crate::client::{LIMIT, anonymous_queue, bind, broker, channel, code, connect, publish, queue, topic, within};

#[tokio::test]
async fn passive_declare_of_a_missing_exchange_costs_the_channel_only() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let passive = ExchangeDeclareOptions { passive: true, ..Default::default() };
    let asking = channel(&connection).await;
    let asked =
        within(asking.exchange_declare("springCloudBus".into(), ExchangeKind::Topic, passive, FieldTable::default()))
            .await;
    assert_eq!(code(asked), 404);
    let declaring = channel(&connection).await;
    topic(&declaring, "springCloudBus").await;
    within(declaring.exchange_declare("springCloudBus".into(), ExchangeKind::Topic, passive, FieldTable::default()))
        .await
        .unwrap();
    assert!(connection.status().connected());
}

#[tokio::test]
async fn refused_operations_carry_the_code_of_rabbitmq() {
    let broker = broker().await;
    let (connection, other) = (connect(&broker).await, connect(&broker).await);
    let owner = channel(&other).await;
    topic(&owner, "springCloudBus").await;
    anonymous_queue(&owner, "mine").await;
    queue(&owner, "durable", QueueDeclareOptions { durable: true, ..Default::default() }).await;

    let (declare, table) = (QueueDeclareOptions::default(), FieldTable::default);
    let passive = QueueDeclareOptions { passive: true, ..Default::default() };
    for (what, name, options, expected) in [
        ("a missing queue", "missing", passive, 404),
        ("a queue of another connection", "mine", passive, 405),
        ("the same, actively", "mine", declare, 405),
        ("other flags", "durable", declare, 406),
        ("a reserved name", "amq.mine", declare, 403),
        ("a generated name", "amq.gen-JzTY20BRgKO-HjmUJj0wLg", declare, 403),
    ] {
        let fresh = channel(&connection).await;
        assert_eq!(code(within(fresh.queue_declare(name.into(), options, table())).await), expected, "{what}");
    }
    let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
    for (what, name, kind, options, expected) in [
        ("other type", "springCloudBus", ExchangeKind::Fanout, durable, 406),
        ("other durability", "springCloudBus", ExchangeKind::Topic, ExchangeDeclareOptions::default(), 406),
        ("a reserved name", "amq.mine", ExchangeKind::Topic, durable, 403),
        ("the default exchange", "", ExchangeKind::Direct, durable, 403),
        ("the same, passively", "", ExchangeKind::Direct, ExchangeDeclareOptions { passive: true, ..durable }, 403),
    ] {
        let fresh = channel(&connection).await;
        assert_eq!(code(within(fresh.exchange_declare(name.into(), kind, options, table())).await), expected, "{what}");
    }
    for (what, from, to, expected) in [
        ("no such queue", "springCloudBus", "missing", 404),
        ("no such exchange", "missing", "durable", 404),
        ("a queue of another connection", "springCloudBus", "mine", 405),
        ("the default exchange", "", "durable", 403),
    ] {
        let fresh = channel(&connection).await;
        let bound = fresh.queue_bind(to.into(), from.into(), "#".into(), Default::default(), table());
        assert_eq!(code(within(bound).await), expected, "binding: {what}");
    }
    let fresh = channel(&connection).await;
    assert_eq!(code(within(fresh.exchange_delete("amq.topic".into(), Default::default())).await), 403);
    let fresh = channel(&connection).await;
    for (from, to) in [("missing", "durable"), ("springCloudBus", "missing")] {
        within(fresh.queue_unbind(to.into(), from.into(), "#".into(), table())).await.unwrap();
    }
    assert!(connection.status().connected());
    assert_eq!(broker.queues().len(), 2);
}

#[tokio::test]
async fn what_is_not_built_is_refused_with_540() {
    let broker = broker().await;
    let refused = |result| assert_eq!(code::<()>(result), 540);
    let fresh = channel(&connect(&broker).await).await;
    refused(within(fresh.tx_select()).await);
    let fresh = channel(&connect(&broker).await).await;
    let bound = fresh.exchange_bind("a".into(), "b".into(), "#".into(), Default::default(), FieldTable::default());
    refused(within(bound).await);
    let fresh = channel(&connect(&broker).await).await;
    let mut arguments = FieldTable::default();
    arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(1000));
    let declared = within(fresh.queue_declare("q".into(), QueueDeclareOptions::default(), arguments)).await;
    refused(declared.map(|_| ()));
}

#[tokio::test]
async fn topic_bindings_choose_by_pattern() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let channel = channel(&connection).await;
    topic(&channel, "events").await;
    for (name, pattern) in [("all", "#"), ("orders", "orders.*"), ("created", "#.created"), ("exact", "orders.eu.paid")]
    {
        anonymous_queue(&channel, name).await;
        bind(&channel, name, "events", pattern).await;
    }
    for key in ["orders.created", "orders.eu.paid", "created", ""] {
        publish(&channel, "events", key, key.as_bytes()).await.unwrap();
    }
    assert!(broker.until(LIMIT, |broker| broker.counters().published == 4).await);
    let messages = |name: &str| broker.queues().iter().find(|queue| queue.name == name).map(|queue| queue.messages);
    assert_eq!(["all", "orders", "created", "exact"].map(messages), [4, 1, 2, 1].map(Some));
}

#[tokio::test]
async fn direct_fanout_and_default_exchanges_route_by_their_rule() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let channel = channel(&connection).await;
    for name in ["a", "b"] {
        anonymous_queue(&channel, name).await;
        bind(&channel, name, "amq.fanout", "").await;
        bind(&channel, name, "amq.direct", name).await;
    }
    for (exchange, key, reached) in [
        ("amq.fanout", "whatever", 2),
        ("amq.direct", "a", 1),
        ("amq.direct", "A", 0),
        ("", "b", 1),
        ("", "missing", 0),
    ] {
        assert_eq!(broker.publish(exchange, key, &Properties::default(), "x"), Ok(reached), "{exchange}/{key}");
    }
    assert!(broker.publish("missing", "a", &Properties::default(), "x").is_err());
}

#[tokio::test]
async fn bindings_end_by_unbind_and_with_their_queue() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let channel = channel(&connection).await;
    let auto = ExchangeDeclareOptions { auto_delete: true, ..Default::default() };
    within(channel.exchange_declare("auto".into(), ExchangeKind::Topic, auto, FieldTable::default())).await.unwrap();
    anonymous_queue(&channel, "q").await;
    bind(&channel, "q", "auto", "a").await;
    bind(&channel, "q", "auto", "b").await;
    bind(&channel, "q", "auto", "b").await;
    let bound = || broker.bindings().iter().filter(|binding| binding.exchange == "auto").count();
    assert_eq!(bound(), 2);
    within(channel.queue_unbind("q".into(), "auto".into(), "a".into(), FieldTable::default())).await.unwrap();
    assert_eq!(bound(), 1);
    within(channel.queue_delete("q".into(), QueueDeleteOptions::default())).await.unwrap();
    assert_eq!(bound(), 0);
    assert!(broker.exchanges().iter().all(|exchange| exchange.name != "auto"), "it goes with its last binding");
}

#[tokio::test]
async fn purge_and_delete_count_messages_and_respect_their_conditions() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let fresh = channel(&connection).await;
    let name = queue(&fresh, "", QueueDeclareOptions::default()).await;
    assert!(name.starts_with("amq.gen-") && name.len() == 30, "{name}");
    for _ in 0..3 {
        broker.publish("", &name, &Properties::default(), "x").unwrap();
    }
    let full = QueueDeleteOptions { if_empty: true, ..Default::default() };
    assert_eq!(code(within(fresh.queue_delete(name.as_str().into(), full)).await), 406);
    let fresh = channel(&connection).await;
    assert_eq!(within(fresh.queue_purge(name.as_str().into(), QueuePurgeOptions::default())).await.unwrap(), 3);
    broker.publish("", &name, &Properties::default(), "x").unwrap();
    assert_eq!(within(fresh.queue_delete(name.as_str().into(), Default::default())).await.unwrap(), 1);
    assert_eq!(within(fresh.queue_delete(name.as_str().into(), Default::default())).await.unwrap(), 0);
    topic(&fresh, "events").await;
    within(fresh.exchange_delete("events".into(), ExchangeDeleteOptions::default())).await.unwrap();
    within(fresh.exchange_delete("events".into(), ExchangeDeleteOptions::default())).await.unwrap();
    assert!(broker.queues().is_empty());
}

#[tokio::test]
async fn a_bounded_queue_keeps_the_newest_or_refuses() {
    let logs = Logs::new();
    let _capturing = logs.capture();
    let broker = Broker::builder().max_queue_length(2).start().await.unwrap();
    let connection = connect(&broker).await;
    let channel = channel(&connection).await;
    within(channel.confirm_select(Default::default())).await.unwrap();
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    within(channel.queue_declare("strict".into(), QueueDeclareOptions::default(), arguments)).await.unwrap();
    queue(&channel, "capped", QueueDeclareOptions::default()).await;
    for (queue, expected) in [("strict", [true, false, false]), ("capped", [true; 3])] {
        for (body, accepted) in ["1", "2", "3"].into_iter().zip(expected) {
            assert_eq!(
                publish(&channel, "", queue, body.as_bytes()).await.unwrap().is_ack(),
                accepted,
                "{queue} {body}"
            );
        }
    }
    let left = within(channel.basic_get("capped".into(), Default::default())).await.unwrap().unwrap();
    assert_eq!(left.data, b"2");
    assert_eq!(broker.counters().dropped, 3);
    let logged = logs.records().into_iter().filter(|record| record.message == "queue is full, messages are lost");
    assert_eq!(logged.count(), 2, "once per queue");
}

#[tokio::test]
async fn users_with_least_rights_declare_their_own_queues_only() {
    let broker = Broker::builder().may_configure("springCloudBus.anonymous.").start().await.unwrap();
    let connection = connect(&broker).await;
    let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
    let passive = ExchangeDeclareOptions { passive: true, ..Default::default() };
    for (options, expected) in [(durable, 403), (passive, 404)] {
        let fresh = channel(&connection).await;
        let declared =
            fresh.exchange_declare("springCloudBus".into(), ExchangeKind::Topic, options, FieldTable::default());
        assert_eq!(code(within(declared).await), expected);
    }
    let fresh = channel(&connection).await;
    let declared = fresh.queue_declare("".into(), QueueDeclareOptions::default(), FieldTable::default());
    assert_eq!(code(within(declared).await), 403);
    let fresh = channel(&connection).await;
    anonymous_queue(&fresh, "springCloudBus.anonymous.x").await;
    bind(&fresh, "springCloudBus.anonymous.x", "amq.topic", "#").await;
}
