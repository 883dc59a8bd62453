//! What goes over the bus: one JSON object per event.

mod decode;
mod encode;

use std::fmt;

use uuid::Uuid;
use vernal_commons::BoxError;
use vernal_commons::clock::now_millis;

use crate::destination::{Destination, matches};
use crate::id::BusId;

pub(crate) use self::decode::Envelope;

/// One event of Spring Cloud Bus (`RemoteApplicationEvent` and its subclasses, bus 5.0.1).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// `id`: a UUID from every known sender, but any text is taken. None if the sender gave none.
    pub id: Option<String>,
    /// `originService`: the bus id of the sender. None if the sender gave none.
    pub origin: Option<String>,
    /// `destinationService`: who shall handle it.
    pub destination: Target,
    /// `timestamp`: when it was made, in milliseconds since 1970. None if absent or not a whole number.
    pub timestamp: Option<u64>,
    /// What it says.
    pub kind: Kind,
}

/// The `destinationService` of an event, as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The field is absent: Spring 3 and later address nobody then.
    Absent,
    /// The field is `null`: everybody.
    Null,
    /// An Ant pattern over bus ids; a blank one is for everybody.
    Pattern(String),
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// `RefreshRemoteApplicationEvent`: fetch the configuration again.
    Refresh,
    /// `EnvironmentChangeRemoteApplicationEvent`: put these values before all other sources.
    EnvironmentChange(Values),
    /// `AckRemoteApplicationEvent`: a node has handled an event.
    Ack(Ack),
    /// `ShutdownRemoteApplicationEvent` (bus 4.2 and later): end the process.
    Shutdown,
    /// A type that is not known here, or none.
    Unknown(Option<String>),
}

/// The pairs of an env-change event.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Values {
    /// Names and values, in the order of the event; a name that comes twice has its last value.
    pub pairs: Vec<(String, String)>,
    /// Names whose value was `null`, an object or an array, and which are therefore left out.
    pub skipped: Vec<String>,
}

/// The message of a node that it has handled an event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Ack {
    /// `originService`: the node that handled the event.
    pub node: Option<String>,
    /// `ackId`: the `id` of the event that was handled.
    pub event_id: Option<String>,
    /// `ackDestinationService`: the destination of the event that was handled, as that event had it.
    pub event_destination: Option<String>,
    /// `event`: the Java class of the event that was handled.
    pub event_class: Option<String>,
}

/// How the names of the JSON fields are written (`spring.jackson.property-naming-strategy` of the estate). Both are
/// read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Naming {
    /// `originService`: Spring's default.
    #[default]
    CamelCase,
    /// `origin_service`, for estates that set `SNAKE_CASE`.
    SnakeCase,
}

/// The body of a message is not an event.
#[derive(Debug, thiserror::Error)]
#[error("malformed event: {reason}")]
pub struct Malformed {
    reason: &'static str,
    #[source]
    source: Option<BoxError>,
}

// ===== impl Event =====

impl Event {
    /// A new refresh event.
    #[must_use]
    pub fn refresh(origin: &BusId, destination: &Destination) -> Self {
        Self::new(origin, destination, Kind::Refresh)
    }

    /// A new env-change event.
    #[must_use]
    pub fn environment_change(origin: &BusId, destination: &Destination, pairs: Vec<(String, String)>) -> Self {
        Self::new(origin, destination, Kind::EnvironmentChange(Values { pairs, skipped: Vec::new() }))
    }

    /// A new ack event; `ack.node` is not used, the sender is `origin`.
    #[must_use]
    pub fn ack(origin: &BusId, destination: &Destination, ack: Ack) -> Self {
        Self::new(origin, destination, Kind::Ack(ack))
    }

    fn new(origin: &BusId, destination: &Destination, kind: Kind) -> Self {
        Self {
            id: Some(Uuid::new_v4().to_string()),
            origin: Some(origin.as_str().to_owned()),
            destination: Target::Pattern(destination.as_str().to_owned()),
            timestamp: Some(now_millis()),
            kind,
        }
    }

    /// Reads the body of a message. Fields may come in any order, unknown ones are ignored, snake_case names are
    /// taken as well; a type that is not known is not an error.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it is not a JSON object in UTF-8, is nested deeper than 128 levels, has bytes behind the
    /// object, or if `destinationService` or `values` are of a type that cannot be read.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        Envelope::read(body)?.open()
    }

    /// The JSON that Spring 5 writes for this event: `type` first, the other fields sorted by name, nulls written
    /// (`fixtures/bus/messages`).
    #[must_use]
    pub fn encode(&self, naming: Naming) -> String {
        encode::encode(self, naming)
    }
}

impl Target {
    /// The pattern; none if the field is absent or `null`.
    #[must_use]
    pub fn pattern(&self) -> Option<&str> {
        match self {
            Self::Pattern(pattern) => Some(pattern),
            Self::Absent | Self::Null => None,
        }
    }

    /// Whether a node is addressed; see [`crate::destination::matches()`].
    #[must_use]
    pub fn matches(&self, id: &str, aliases: &[String]) -> bool {
        *self != Self::Absent && matches(self.pattern(), id, aliases)
    }
}

impl Kind {
    /// The `type` on the wire: the simple name of the Java class.
    #[must_use]
    pub fn type_name(&self) -> Option<&str> {
        Some(match self {
            Self::Refresh => "RefreshRemoteApplicationEvent",
            Self::EnvironmentChange(_) => "EnvironmentChangeRemoteApplicationEvent",
            Self::Ack(_) => "AckRemoteApplicationEvent",
            Self::Shutdown => "ShutdownRemoteApplicationEvent",
            Self::Unknown(name) => return name.as_deref(),
        })
    }

    /// The Java class, as acks name it.
    #[must_use]
    pub fn java_class(&self) -> &'static str {
        match self {
            Self::Refresh => "org.springframework.cloud.bus.event.RefreshRemoteApplicationEvent",
            Self::EnvironmentChange(_) => "org.springframework.cloud.bus.event.EnvironmentChangeRemoteApplicationEvent",
            Self::Ack(_) => "org.springframework.cloud.bus.event.AckRemoteApplicationEvent",
            Self::Shutdown => "org.springframework.cloud.bus.event.ShutdownRemoteApplicationEvent",
            Self::Unknown(_) => "org.springframework.cloud.bus.event.RemoteApplicationEvent",
        }
    }
}

/// Values may be passwords: only their names are shown.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.pairs.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Values").field("names", &names).field("skipped", &self.skipped).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_events_read_the_same() {
        let id = BusId::new("orders:8080:1").unwrap();
        let destination = Destination::normalise(Some("billing"));
        let pairs =
            vec![("a.b".to_owned(), "é \"q\" \\ / \n\t\u{1}\u{1f} </x>".to_owned()), (String::new(), String::new())];
        let ack = Ack { event_id: Some("1".to_owned()), ..Ack::default() };
        let events = [
            Event::refresh(&id, &destination),
            Event::environment_change(&id, &destination, pairs),
            Event::ack(&id, &destination, Ack { node: Some("orders:8080:1".to_owned()), ..ack }),
        ];
        for event in events {
            for naming in [Naming::CamelCase, Naming::SnakeCase] {
                assert_eq!(Event::decode(event.encode(naming).as_bytes()).unwrap(), event);
            }
        }
    }

    #[test]
    fn debug_of_values_shows_names_only() {
        let values = Values { pairs: vec![("db.password".to_owned(), "geheim".to_owned())], skipped: Vec::new() };
        assert_eq!(format!("{values:?}"), r#"Values { names: ["db.password"], skipped: [] }"#);
    }
}
