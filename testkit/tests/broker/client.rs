//! lapin, with a time limit on everything.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer, ExchangeKind};
use vernal_testkit::broker::Broker;

/// Longer than anything here should take.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("took too long")
}

pub(crate) async fn broker() -> Broker {
    Broker::builder().start().await.unwrap()
}

pub(crate) async fn connect(broker: &Broker) -> Connection {
    connect_to(&broker.url()).await.unwrap()
}

pub(crate) async fn connect_to(url: &str) -> lapin::Result<Connection> {
    within(Connection::connect(url, ConnectionProperties::default())).await
}

pub(crate) async fn channel(connection: &Connection) -> Channel {
    within(connection.create_channel()).await.unwrap()
}

/// The AMQP reply code of an error; 0 if it is of another kind.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, lapin::Error>) -> u16 {
    match result.unwrap_err().kind() {
        lapin::ErrorKind::ProtocolError(error) => error.get_id(),
        _ => 0,
    }
}

pub(crate) async fn topic(channel: &Channel, name: &str) {
    let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
    within(channel.exchange_declare(name.into(), ExchangeKind::Topic, options, FieldTable::default())).await.unwrap();
}

/// A queue of the shape of Spring Cloud Bus.
pub(crate) async fn anonymous_queue(channel: &Channel, name: &str) {
    queue(channel, name, QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() }).await;
}

pub(crate) async fn queue(channel: &Channel, name: &str, options: QueueDeclareOptions) -> String {
    let queue = within(channel.queue_declare(name.into(), options, FieldTable::default())).await.unwrap();
    queue.name().to_string()
}

pub(crate) async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) {
    let options = QueueBindOptions::default();
    within(channel.queue_bind(queue.into(), exchange.into(), key.into(), options, FieldTable::default()))
        .await
        .unwrap();
}

pub(crate) async fn consume(channel: &Channel, queue: &str, options: BasicConsumeOptions) -> Consumer {
    within(channel.basic_consume(queue.into(), "".into(), options, FieldTable::default())).await.unwrap()
}

/// The next delivery; `None` when the broker cancelled the consumer.
pub(crate) async fn next(consumer: &mut Consumer) -> Option<Delivery> {
    within(consumer.next()).await.map(Result::unwrap)
}

pub(crate) async fn bodies(consumer: &mut Consumer, count: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    while bodies.len() < count {
        bodies.push(String::from_utf8(next(consumer).await.unwrap().data).unwrap());
    }
    bodies
}

pub(crate) async fn publish(channel: &Channel, exchange: &str, key: &str, body: &[u8]) -> lapin::Result<Confirmation> {
    publish_as(channel, exchange, key, body, BasicProperties::default(), false).await
}

pub(crate) async fn publish_as(
    channel: &Channel,
    exchange: &str,
    key: &str,
    body: &[u8],
    properties: BasicProperties,
    mandatory: bool,
) -> lapin::Result<Confirmation> {
    let options = BasicPublishOptions { mandatory, ..Default::default() };
    within(async { channel.basic_publish(exchange.into(), key.into(), options, body, properties).await?.await }).await
}
