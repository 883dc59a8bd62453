//! Messages of Spring nodes: read to the recorded fields, and written again byte for byte.

use serde_json::{Map, Value, json};
use vernal_bus_client::event::{Kind, Target};
use vernal_bus_client::{Event, Naming};

use crate::fixtures::family;
use crate::report::{Outcome, Report};

pub(crate) fn run(report: &mut Report) {
    let cases = family("messages", &["refresh", "env", "ack", "custom", "monitor"]);
    report.family("messages", &cases, |case| match &case["messages"] {
        Value::Array(messages) => webhook(messages, case),
        _ => match read(case).and_then(|event| compare(&event, case)) {
            Ok(()) => Outcome::Passed,
            Err(why) => Outcome::Failed(why),
        },
    });
}

/// The events that one webhook call made the config server send.
fn webhook(messages: &[Value], case: &Value) -> Outcome {
    let mut destinations = Vec::new();
    for message in messages {
        match read(message) {
            Ok(event) if event.kind == Kind::Refresh => {
                destinations.push(json!(event.destination.pattern()));
                if let Err(why) = rewrite(&event, message) {
                    return Outcome::Failed(why);
                }
            }
            Ok(event) => return Outcome::Failed(format!("not a refresh: {event:?}")),
            Err(why) => return Outcome::Failed(why),
        }
    }
    let recorded = case["expect"]["destinations"].as_array().cloned().unwrap_or_default();
    if destinations == recorded {
        Outcome::Passed
    } else {
        Outcome::Failed(format!("{destinations:?}, recorded {recorded:?}"))
    }
}

fn body(case: &Value) -> Result<&str, String> {
    let text = case["body"].as_str().or_else(|| case["body_inflated"].as_str());
    text.ok_or_else(|| "no body".to_owned())
}

fn read(case: &Value) -> Result<Event, String> {
    Event::decode(body(case)?.as_bytes()).map_err(|error| error.to_string())
}

fn compare(event: &Event, case: &Value) -> Result<(), String> {
    let (ours, recorded) = (fields(event, naming(body(case)?)), &case["expect"]["fields"]);
    if ours != *recorded {
        return Err(format!("read {ours}, recorded {recorded}"));
    }
    rewrite(event, case)
}

fn rewrite(event: &Event, case: &Value) -> Result<(), String> {
    let body = body(case)?;
    let written = event.encode(naming(body));
    if written == body { Ok(()) } else { Err(format!("wrote {written}, recorded {body}")) }
}

/// How the estate of a recording names its fields.
fn naming(body: &str) -> Naming {
    if body.contains("\"origin_service\"") { Naming::SnakeCase } else { Naming::CamelCase }
}

fn fields(event: &Event, naming: Naming) -> Value {
    let mut fields = Map::new();
    let mut put = |camel: &str, snake: &str, value: Value| {
        let name = if naming == Naming::SnakeCase { snake } else { camel };
        fields.insert(name.to_owned(), value);
    };
    put("type", "type", json!(event.kind.type_name()));
    if event.destination != Target::Absent {
        put("destinationService", "destination_service", json!(event.destination.pattern()));
    }
    put("id", "id", json!(event.id));
    put("originService", "origin_service", json!(event.origin));
    put("timestamp", "timestamp", json!(event.timestamp));
    match &event.kind {
        Kind::EnvironmentChange(values) => {
            let pairs = values.pairs.iter().map(|(name, value)| (name.clone(), json!(value)));
            put("values", "values", Value::Object(pairs.collect()));
        }
        Kind::Ack(ack) => {
            put("ackId", "ack_id", json!(ack.event_id));
            put("ackDestinationService", "ack_destination_service", json!(ack.event_destination));
            put("event", "event", json!(ack.event_class));
        }
        _ => {}
    }
    Value::Object(fields)
}
