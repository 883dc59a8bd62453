//! Events as JSON, byte for byte as Spring 5 (Jackson 3) writes them.

use std::fmt::Write as _;

use super::{Event, Kind, Naming, Target};

/// `type` comes first, then the other fields in the order of their names, which is the same in both namings.
pub(super) fn encode(event: &Event, naming: Naming) -> String {
    let name = |camel: &'static str, snake: &'static str| match naming {
        Naming::CamelCase => camel,
        Naming::SnakeCase => snake,
    };
    let mut out = Object::new();
    out.text("type", event.kind.type_name());
    if let Kind::Ack(ack) = &event.kind {
        out.text(name("ackDestinationService", "ack_destination_service"), ack.event_destination.as_deref());
        out.text(name("ackId", "ack_id"), ack.event_id.as_deref());
    }
    if event.destination != Target::Absent {
        out.text(name("destinationService", "destination_service"), event.destination.pattern());
    }
    if let Kind::Ack(ack) = &event.kind {
        out.text("event", ack.event_class.as_deref());
    }
    out.text("id", event.id.as_deref());
    out.text(name("originService", "origin_service"), event.origin.as_deref());
    if let Some(timestamp) = event.timestamp {
        out.raw("timestamp", &timestamp.to_string());
    }
    if let Kind::EnvironmentChange(values) = &event.kind {
        let mut map = Object::new();
        values.pairs.iter().for_each(|(name, value)| map.text(name, Some(value)));
        out.raw("values", &map.end());
    }
    out.end()
}

struct Object(String);

impl Object {
    fn new() -> Self {
        Self("{".to_owned())
    }

    fn raw(&mut self, name: &str, json: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        quote(name, &mut self.0);
        self.0.push(':');
        self.0.push_str(json);
    }

    fn text(&mut self, name: &str, text: Option<&str>) {
        let mut json = String::new();
        match text {
            Some(text) => quote(text, &mut json),
            None => json.push_str("null"),
        }
        self.raw(name, &json);
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// Jackson escapes quotes, back-slashes and control characters, these with upper-case hex digits, and nothing else.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            // Writing to a `String` cannot fail.
            c if c < ' ' => _ = write!(out, "\\u{:04X}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
}
