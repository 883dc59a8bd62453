//! One queue of our own, bound to the exchange of the bus.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, Consumer};
use tokio::runtime::Handle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout_at};
use uuid::Uuid;

use super::{RESOURCE_LOCKED, close_connection, code, declare, ensure_exchange, rpc, short, try_rpc};
use crate::error::TransportError;
use crate::supervisor::CLOSE_LIMIT;
use crate::transport::{Delivery, Message, Node, Subscription};

/// Messages the broker sends before the first is acknowledged.
const PREFETCH: u16 = 100;
/// How often the binding is renewed. It vanishes without any sign when somebody deletes the exchange.
const WATCH: Duration = Duration::from_secs(60);
/// Names tried if one is taken, which takes chance or a broken broker.
const MAX_NAMES: u32 = 3;

/// Dropped without being closed, as when its task was aborted, it cancels the consumer and closes the connection in the
/// background; in this order, since a connection lives as long as its consumer.
pub(super) struct AmqpSubscription {
    consumer: Option<Consumer>,
    channel: Channel,
    connection: Arc<Connection>,
    topic: String,
    queue: String,
    watch: Interval,
}

/// A connection without a subscription yet. If that is given up half-way, `basic.consume` may have left already, and
/// lapin keeps a connection with a consumer that nobody holds: it is closed instead, in the background.
struct Opening {
    connection: Arc<Connection>,
    given_up: bool,
}

impl AmqpSubscription {
    /// Declares and consumes (`fixtures/bus/topology`): a fresh queue, not durable, exclusive, deleted with its
    /// consumer, without arguments, bound with `#`.
    pub(super) async fn open(connection: Connection, node: &Node) -> Result<Self, TransportError> {
        let topic = node.topic();
        let connection = Arc::new(connection);
        let mut opening = Opening { connection: Arc::clone(&connection), given_up: true };
        let channel = rpc("channel.open", connection.create_channel()).await?;
        let channel = ensure_exchange(&connection, channel, topic).await?;
        let (channel, queue) = declare_queue(&connection, channel, topic).await?;
        bind(&channel, &queue, topic).await?;
        rpc("basic.qos", channel.basic_qos(PREFETCH, BasicQosOptions::default())).await?;
        let options = BasicConsumeOptions::default();
        let consume = channel.basic_consume(short(&queue), short(""), options, FieldTable::default());
        let consumer = rpc("basic.consume", consume).await?;
        opening.given_up = false;
        tracing::debug!(queue, "consuming from a queue of our own");
        let mut watch = interval_at(Instant::now() + WATCH, WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { connection, channel, consumer: Some(consumer), topic: topic.to_owned(), queue, watch })
    }

    /// Binds the queue again, on a channel of its own, since an error closes the channel.
    async fn renew_binding(&self) -> Result<(), TransportError> {
        let channel = rpc("channel.open", self.connection.create_channel()).await?;
        let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        declare(&channel, &self.topic, passive).await?;
        bind(&channel, &self.queue, &self.topic).await?;
        rpc("channel.close", channel.close(200, short("OK"))).await
    }
}

#[async_trait]
impl Subscription for AmqpSubscription {
    async fn next(&mut self) -> Option<Result<Delivery, TransportError>> {
        loop {
            let consumer = self.consumer.as_mut()?;
            tokio::select! {
                biased;
                next = consumer.next() => {
                    return match next? {
                        Ok(delivery) => Some(Ok(read(delivery))),
                        Err(error) if code(&error).is_some() => Some(Err(TransportError::Closed(error.into()))),
                        Err(error) => Some(Err(TransportError::Lost(error.into()))),
                    };
                }
                _ = self.watch.tick() => {
                    if let Err(error) = self.renew_binding().await {
                        return Some(Err(error));
                    }
                }
            }
        }
    }

    async fn acknowledge(&mut self, delivery: u64) -> Result<(), TransportError> {
        let acknowledged = rpc("basic.ack", self.channel.basic_ack(delivery, BasicAckOptions::default())).await;
        acknowledged.map_err(|error| match error {
            TransportError::Unavailable(cause) => TransportError::Lost(cause),
            error => error,
        })
    }

    async fn close(mut self: Box<Self>, limit: Duration) {
        let deadline = Instant::now() + limit;
        if let Some(consumer) = self.consumer.take() {
            leave(&self.connection, &self.channel, consumer, deadline).await;
        }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let Ok(runtime) = Handle::try_current() else { return };
        if self.given_up && self.connection.status().connected() {
            let connection = Arc::clone(&self.connection);
            // Nobody is left who could own it; it ends within the limit.
            runtime.spawn(async move { close_connection(&connection, Instant::now() + CLOSE_LIMIT).await });
        }
    }
}

/// As a Spring node stops: cancel, whereupon the queue is deleted, then close.
async fn leave(connection: &Connection, channel: &Channel, consumer: Consumer, deadline: Instant) {
    if channel.status().connected() {
        let half = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
        drop(timeout_at(half, channel.basic_cancel(consumer.tag(), BasicCancelOptions::default())).await);
    }
    drop(consumer);
    if channel.status().connected() {
        drop(timeout_at(deadline, channel.close(200, short("OK"))).await);
    }
    close_connection(connection, deadline).await;
}

impl fmt::Debug for AmqpSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpSubscription").field("queue", &self.queue).finish_non_exhaustive()
    }
}

async fn declare_queue(
    connection: &Connection,
    mut channel: Channel,
    topic: &str,
) -> Result<(Channel, String), TransportError> {
    let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    let mut attempt = 1;
    loop {
        let name = queue_name(topic, Uuid::new_v4());
        match try_rpc("queue.declare", channel.queue_declare(short(&name), options, FieldTable::default())).await {
            Ok(_) => return Ok((channel, name)),
            Err(error) if error.code == Some(RESOURCE_LOCKED) && attempt < MAX_NAMES => {
                attempt += 1;
                channel = rpc("channel.open", connection.create_channel()).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn bind(channel: &Channel, queue: &str, topic: &str) -> Result<(), TransportError> {
    let bind =
        channel.queue_bind(short(queue), short(topic), short("#"), QueueBindOptions::default(), FieldTable::default());
    rpc("queue.bind", bind).await
}

/// `springCloudBus.anonymous.` and 22 characters, base64url without padding of a UUID: Spring AMQP's
/// `Base64UrlNamingStrategy`. Rights of broker users are given by this prefix.
fn queue_name(topic: &str, id: Uuid) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = id.as_u128();
    // 128 bits are 21 digits of 6 bits and one of 2 bits, which base64 fills up with zeros on the right.
    let digit = |place: u32| if place < 21 { bits >> (122 - 6 * place) } else { bits << 4 };
    let digits = (0..22).map(|place| char::from(ALPHABET[(digit(place) & 63) as usize]));
    format!("{topic}.anonymous.{}", digits.collect::<String>())
}

fn read(delivery: lapin::message::Delivery) -> Delivery {
    let properties = &delivery.properties;
    let text = |field: &Option<lapin::types::ShortString>| field.as_ref().map(|text| text.as_str().to_owned());
    let mut message = Message::json(Bytes::new());
    message.content_type = text(properties.content_type());
    message.content_encoding = text(properties.content_encoding());
    message.traceparent = properties.headers().as_ref().and_then(traceparent);
    message.body = delivery.data.into();
    Delivery::new(message, delivery.delivery_tag)
}

/// The W3C trace context, if it has the right form.
fn traceparent(headers: &FieldTable) -> Option<String> {
    let value = match headers.inner().get("traceparent")? {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok()?,
        AMQPValue::ShortString(text) => text.as_str(),
        _ => return None,
    };
    let parts: Vec<&str> = value.split('-').collect();
    let hex = |part: &str, length| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let [version, trace, span, flags, ..] = parts[..] else { return None };
    (hex(version, 2) && hex(trace, 32) && hex(span, 16) && hex(flags, 2)).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_name_is_the_one_spring_would_make_of_the_same_uuid() {
        let id = Uuid::from_u128(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f);
        assert_eq!(queue_name("springCloudBus", id), "springCloudBus.anonymous.AAECAwQFBgcICQoLDA0ODw");
        let id = Uuid::from_u128(u128::MAX);
        assert_eq!(queue_name("teamBus", id), "teamBus.anonymous._____________________w");
    }

    #[test]
    fn garbage_in_the_trace_header_is_ignored() {
        let header = |text: &str| {
            let mut headers = FieldTable::default();
            headers.insert("traceparent".into(), AMQPValue::LongString(text.into()));
            traceparent(&headers)
        };
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(header(good).as_deref(), Some(good));
        for bad in ["", "00", "00-xyz-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"] {
            assert_eq!(header(bad), None, "{bad}");
        }
    }
}
