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
    case["body"].as_str().ok_or_else(|| "no body".to_owned())
}

fn read(case: &Value) -> Result<Event, String> {
    Event::decode(body(case)?.as_bytes()).map_err(|error| error.to_string())
}

fn compare(event: &Event, case: &Value) -> Result<(), String> {
    let (ours, recorded) = (fields(event), &case["expect"]["fields"]);
    if ours != *recorded {
        return Err(format!("read {ours}, recorded {recorded}"));
    }
    rewrite(event, case)
}

fn rewrite(event: &Event, case: &Value) -> Result<(), String> {
    let body = body(case)?;
    let naming = if body.contains("\"origin_service\"") { Naming::SnakeCase } else { Naming::CamelCase };
    let written = event.encode(naming);
    if written == body { Ok(()) } else { Err(format!("wrote {written}, recorded {body}")) }
}

fn fields(event: &Event) -> Value {
    let mut fields = Map::new();
    fields.insert("type".to_owned(), json!(event.kind.type_name()));
    if event.destination != Target::Absent {
        fields.insert("destinationService".to_owned(), json!(event.destination.pattern()));
    }
    fields.insert("id".to_owned(), json!(event.id));
    fields.insert("originService".to_owned(), json!(event.origin));
    fields.insert("timestamp".to_owned(), json!(event.timestamp));
    match &event.kind {
        Kind::EnvironmentChange(values) => {
            let pairs = values.pairs.iter().map(|(name, value)| (name.clone(), json!(value)));
            fields.insert("values".to_owned(), Value::Object(pairs.collect()));
        }
        Kind::Ack(ack) => {
            fields.insert("ackId".to_owned(), json!(ack.event_id));
            fields.insert("ackDestinationService".to_owned(), json!(ack.event_destination));
            fields.insert("event".to_owned(), json!(ack.event_class));
        }
        _ => {}
    }
    Value::Object(fields)
}
