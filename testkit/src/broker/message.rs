//! Messages: as they travel through the broker, and as tests see them.

use std::collections::BTreeMap;

use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::types::{AMQPValue, FieldTable, ShortString};
use bytes::Bytes;

use super::frame::{raw_properties, short};

/// A message that a client published.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Published {
    /// The exchange; empty for the default one.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// Properties and headers.
    pub properties: Properties,
    /// The body.
    pub body: Bytes,
}

/// The basic properties of a message; `None` means absent on the wire.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names are those of AMQP 0-9-1")]
pub struct Properties {
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub headers: Option<BTreeMap<String, Field>>,
    pub delivery_mode: Option<u8>,
    pub priority: Option<u8>,
    pub correlation_id: Option<String>,
    pub reply_to: Option<String>,
    pub expiration: Option<String>,
    pub message_id: Option<String>,
    /// Seconds since 1970.
    pub timestamp: Option<u64>,
    /// The property `type`.
    pub kind: Option<String>,
    pub user_id: Option<String>,
    pub app_id: Option<String>,
    pub cluster_id: Option<String>,
}

/// A value in a table: a header of a message or an argument of a queue.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Field {
    /// No value.
    Void,
    /// `t`.
    Bool(bool),
    /// All integer types; written as `l`.
    Int(i64),
    /// `f`, `d` and `D`; written as `d`.
    Double(f64),
    /// A long string that is UTF-8.
    Text(String),
    /// A long string that is not UTF-8, or `x`; written as `x`.
    Bytes(Vec<u8>),
    /// `T`, seconds since 1970.
    Timestamp(u64),
    /// `A`.
    List(Vec<Self>),
    /// `F`.
    Table(BTreeMap<String, Self>),
}

/// A message inside the broker.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
    pub(super) properties: AMQPProperties,
    /// The same in wire form, as it was published.
    pub(super) raw_properties: Bytes,
    pub(super) body: Bytes,
}

impl Properties {
    /// What a Spring Cloud Bus node sends with an event: `application/json`, persistent, priority 0, empty headers
    /// (fixtures `bus/messages`), without id and time.
    #[must_use]
    pub fn json() -> Self {
        Self {
            content_type: Some("application/json".to_owned()),
            delivery_mode: Some(2),
            priority: Some(0),
            headers: Some(BTreeMap::new()),
            ..Self::default()
        }
    }

    /// Sets `content_type`.
    #[must_use]
    pub fn content_type(mut self, value: impl Into<String>) -> Self {
        self.content_type = Some(value.into());
        self
    }

    /// Sets one header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Field>) -> Self {
        self.headers.get_or_insert_default().insert(name.into(), value.into());
        self
    }

    /// Wire form. Texts longer than 255 bytes are cut, since no AMQP client could send them.
    fn to_wire(&self) -> AMQPProperties {
        let mut wire = AMQPProperties::default();
        macro_rules! copy {
            ($($field:ident $with:ident),*) => {$(
                if let Some(text) = &self.$field {
                    wire = wire.$with(short(text));
                }
            )*};
        }
        copy!(
            content_type with_content_type,
            content_encoding with_content_encoding,
            correlation_id with_correlation_id,
            reply_to with_reply_to,
            expiration with_expiration,
            message_id with_message_id,
            kind with_type,
            user_id with_user_id,
            app_id with_app_id,
            cluster_id with_cluster_id
        );
        if let Some(headers) = &self.headers {
            wire = wire.with_headers(table_to_wire(headers));
        }
        if let Some(mode) = self.delivery_mode {
            wire = wire.with_delivery_mode(mode);
        }
        if let Some(priority) = self.priority {
            wire = wire.with_priority(priority);
        }
        if let Some(timestamp) = self.timestamp {
            wire = wire.with_timestamp(timestamp);
        }
        wire
    }
}

impl From<&AMQPProperties> for Properties {
    fn from(wire: &AMQPProperties) -> Self {
        let text = |value: &Option<ShortString>| value.as_ref().map(ToString::to_string);
        Self {
            content_type: text(wire.content_type()),
            content_encoding: text(wire.content_encoding()),
            headers: wire.headers().as_ref().map(table),
            delivery_mode: *wire.delivery_mode(),
            priority: *wire.priority(),
            correlation_id: text(wire.correlation_id()),
            reply_to: text(wire.reply_to()),
            expiration: text(wire.expiration()),
            message_id: text(wire.message_id()),
            timestamp: *wire.timestamp(),
            kind: text(wire.kind()),
            user_id: text(wire.user_id()),
            app_id: text(wire.app_id()),
            cluster_id: text(wire.cluster_id()),
        }
    }
}

impl From<&str> for Field {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Field {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Field {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Field {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl Message {
    /// A message that did not come over the wire.
    pub(super) fn new(exchange: &str, routing_key: &str, properties: &Properties, body: Bytes) -> Self {
        let properties = properties.to_wire();
        Self {
            exchange: short(exchange),
            routing_key: short(routing_key),
            raw_properties: raw_properties(&properties),
            properties,
            body,
        }
    }

    pub(super) fn published(&self) -> Published {
        Published {
            exchange: self.exchange.to_string(),
            routing_key: self.routing_key.to_string(),
            properties: Properties::from(&self.properties),
            body: self.body.clone(),
        }
    }
}

/// A table as tests see it.
pub(super) fn table(wire: &FieldTable) -> BTreeMap<String, Field> {
    wire.into_iter().map(|(name, value)| (name.to_string(), field(value))).collect()
}

fn field(wire: &AMQPValue) -> Field {
    match wire {
        AMQPValue::Boolean(value) => Field::Bool(*value),
        AMQPValue::ShortShortInt(value) => Field::Int(i64::from(*value)),
        AMQPValue::ShortShortUInt(value) => Field::Int(i64::from(*value)),
        AMQPValue::ShortInt(value) => Field::Int(i64::from(*value)),
        AMQPValue::ShortUInt(value) => Field::Int(i64::from(*value)),
        AMQPValue::LongInt(value) => Field::Int(i64::from(*value)),
        AMQPValue::LongUInt(value) => Field::Int(i64::from(*value)),
        AMQPValue::LongLongInt(value) => Field::Int(*value),
        AMQPValue::Float(value) => Field::Double(f64::from(*value)),
        AMQPValue::Double(value) => Field::Double(*value),
        AMQPValue::DecimalValue(value) => Field::Double(f64::from(value.value) / 10_f64.powi(i32::from(value.scale))),
        AMQPValue::ShortString(text) => Field::Text(text.to_string()),
        AMQPValue::LongString(text) => match std::str::from_utf8(text.as_bytes()) {
            Ok(text) => Field::Text(text.to_owned()),
            Err(_) => Field::Bytes(text.as_bytes().to_vec()),
        },
        AMQPValue::ByteArray(bytes) => Field::Bytes(bytes.as_slice().to_vec()),
        AMQPValue::Timestamp(seconds) => Field::Timestamp(*seconds),
        AMQPValue::FieldArray(values) => Field::List(values.as_slice().iter().map(field).collect()),
        AMQPValue::FieldTable(values) => Field::Table(table(values)),
        AMQPValue::Void => Field::Void,
    }
}

pub(super) fn table_to_wire(fields: &BTreeMap<String, Field>) -> FieldTable {
    let mut wire = FieldTable::default();
    for (name, value) in fields {
        wire.insert(short(name), field_to_wire(value));
    }
    wire
}

fn field_to_wire(field: &Field) -> AMQPValue {
    match field {
        Field::Void => AMQPValue::Void,
        Field::Bool(value) => AMQPValue::Boolean(*value),
        Field::Int(value) => AMQPValue::LongLongInt(*value),
        Field::Double(value) => AMQPValue::Double(*value),
        Field::Text(text) => AMQPValue::LongString(text.as_str().into()),
        Field::Bytes(bytes) => AMQPValue::ByteArray(bytes.as_slice().into()),
        Field::Timestamp(seconds) => AMQPValue::Timestamp(*seconds),
        Field::List(values) => AMQPValue::FieldArray(values.iter().map(field_to_wire).collect::<Vec<_>>().into()),
        Field::Table(fields) => AMQPValue::FieldTable(table_to_wire(fields)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_survive_the_way_to_the_wire_and_back() {
        let mut properties = Properties::json()
            .header("text", "a")
            .header("count", 3)
            .header("flag", true)
            .header("nested", Field::Table([("list".to_owned(), Field::List(vec![Field::Void, 1.into()]))].into()))
            .header("raw", Field::Bytes(vec![0xff]));
        properties.message_id = Some("id".to_owned());
        properties.timestamp = Some(1_784_000_000);
        properties.kind = Some("event".to_owned());
        assert_eq!(Properties::from(&properties.to_wire()), properties);
    }
}
