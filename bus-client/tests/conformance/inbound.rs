//! Messages that were sent to a Spring node, sent to a node of ours.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::read::{GzDecoder, ZlibDecoder};
use serde_json::{Value, json};
use vernal_bus_client::transport::Message;
use vernal_bus_client::{Bus, BusId, BusSettings, MemoryHub, MemoryTransport, State, destination};

use crate::fixtures::family;
use crate::report::{Outcome, Report};

/// The receiver of the recordings.
const ID: &str = "orders:dev,cloud:8080:ab12";
const MAX_BODY: usize = 1 << 20;
/// With the clock paused this passes when nothing is left to do.
const IDLE: Duration = Duration::from_secs(30);

/// What a node did with a message, in the words of the recordings.
#[derive(Debug, Clone, PartialEq, Default)]
struct Seen {
    outcome: &'static str,
    /// The ack it published: `ackId`, `ackDestinationService`, `destinationService`, `event`.
    ack: Option<Value>,
    /// The values an env-change event set.
    values: BTreeMap<String, String>,
}

pub(crate) fn run(report: &mut Report) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let cases = family("inbound", &["ack", "body", "custom", "decode", "env", "properties"]);
    report.family("inbound", &cases, |case| {
        let ours = runtime.block_on(receive(case));
        let (expected, tag) = expectation(case);
        if ours != expected {
            return Outcome::Failed(format!("ours {ours:?}, expected {expected:?}"));
        }
        match (differs(&ours, &case["expect"]), tag) {
            (None, _) => Outcome::Passed,
            (Some(_), Some(tag)) => Outcome::Deviates(tag),
            (Some(what), None) => Outcome::Failed(format!("{what}: ours {ours:?}, recorded {}", case["expect"])),
        }
    });
}

/// What our node does.
async fn receive(case: &Value) -> Seen {
    let hub = MemoryHub::new();
    let mut wire = hub.listen("springCloudBus").unwrap();
    let refreshes = Arc::new(Mutex::new(0_u32));
    let values = Arc::new(Mutex::new(BTreeMap::new()));
    let (count, set) = (refreshes.clone(), values.clone());
    let bus = Bus::builder(BusSettings::default().immediate(), BusId::new(ID).unwrap())
        .transport(MemoryTransport::new(&hub))
        .on_refresh(move || {
            *count.lock().unwrap() += 1;
            async { Ok(Vec::new()) }
        })
        .on_env(move |pairs| {
            set.lock().unwrap().extend(pairs);
            async { Ok(Vec::new()) }
        })
        .start()
        .unwrap();
    bus.states().reach(|state| state == State::Consuming).await;
    tokio::time::sleep(IDLE).await;
    let mut acks = bus.acks();
    // One refresh so far: to catch up with what may have been missed before the subscription.
    let (before, refreshes_before) = (bus.counters(), *refreshes.lock().unwrap());
    hub.publish("springCloudBus", message(case)).unwrap();
    tokio::time::sleep(IDLE).await;
    let after = bus.counters();
    let refreshed = *refreshes.lock().unwrap() > refreshes_before;
    let heard = tokio::time::timeout(IDLE, acks.next()).await.ok().flatten();
    bus.stop().await;

    let mut ack = None;
    assert!(wire.next().await.is_some(), "the message itself");
    if let Ok(Some(message)) = tokio::time::timeout(IDLE, wire.next()).await {
        let event: Value = serde_json::from_slice(&message.body).unwrap();
        assert_eq!(
            (event["type"].as_str(), event["originService"].as_str()),
            (Some("AckRemoteApplicationEvent"), Some(ID))
        );
        ack = Some(json!({
            "ackId": event["ackId"], "ackDestinationService": event["ackDestinationService"],
            "destinationService": event["destinationService"], "event": event["event"],
        }));
    }
    let foreign_ack = heard.filter(|ack| ack.node.as_deref() != Some(ID));
    let values = values.lock().unwrap().clone();
    let handled = after.handled > before.handled;
    assert!(!refreshed || handled);
    let outcome = match () {
        () if foreign_ack.is_some() => "ack_seen",
        () if after.own > before.own => "own",
        () if handled && refreshed == is_refresh(case) => "handled",
        () => "ignored",
    };
    Seen { outcome, ack, values }
}

fn is_refresh(case: &Value) -> bool {
    let bytes = inflated(body(case), &case["properties"]).unwrap_or_default();
    let text = String::from_utf8(bytes).unwrap_or_default();
    let event: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap_or_default();
    event["type"] == "RefreshRemoteApplicationEvent"
}

fn message(case: &Value) -> Message {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut message = Message::json(body(case));
    message.content_type = text(&case["properties"]["content_type"]);
    message.content_encoding = text(&case["properties"]["content_encoding"]);
    message.traceparent = text(&case["headers"]["traceparent"]);
    message
}

/// The body; one that was too long to keep is made up, it is only its length that counts then.
fn body(case: &Value) -> Vec<u8> {
    match (case["body"].as_str(), case["body_hex"].as_str(), case["size"].as_u64()) {
        (Some(text), _, _) => text.as_bytes().to_vec(),
        (None, Some(text), _) => hex::decode(text).unwrap(),
        (None, None, Some(size)) => {
            let start = r#"{"type":"RefreshRemoteApplicationEvent","destinationService":"**","id":"1","originService":"a:1","x":""#;
            let padding = usize::try_from(size).unwrap() - start.len() - 2;
            format!("{start}{}\"}}", "x".repeat(padding)).into_bytes()
        }
        (None, None, None) => panic!("no body in {case}"),
    }
}

/// What ours must do, by section 1.6 of the specification (with 1.2, 3.4 and 6.8), from the message alone; with the
/// tag of the section if that may not be what Spring does.
fn expectation(case: &Value) -> (Seen, Option<&'static str>) {
    let ignored = |tag| (Seen { outcome: "ignored", ..Seen::default() }, tag);
    let (bytes, properties) = (body(case), &case["properties"]);
    if bytes.len() > MAX_BODY || !readable(properties) {
        return ignored(Some("1.6"));
    }
    let Some(bytes) = inflated(bytes, properties) else { return ignored(Some("1.6")) };
    let Ok(text) = std::str::from_utf8(&bytes) else { return ignored(Some("1.6")) };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let fields = serde_json::from_str::<Fields<'_>>(text);
    let (Ok(event), 0..=128) = (fields, depth(text)) else { return ignored(Some("1.6")) };
    let value = |name: &str| event.get(name).map(|raw| serde_json::from_str::<Value>(raw.get()).unwrap_or_default());
    let field = |camel: &str, snake: &str| value(camel).or_else(|| value(snake));
    let scalar = |value: Option<Value>| match value {
        Some(Value::String(text)) => Some(text),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(Value::Bool(truth)) => Some(truth.to_string()),
        _ => None,
    };
    let snake = event.contains_key("destination_service") || event.contains_key("origin_service");
    let origin = scalar(field("originService", "origin_service"));
    let destination = field("destinationService", "destination_service");
    // None of these was sent by our node, so none is our own, whatever its origin says.
    let origin_tag = match origin.as_deref() {
        None => Some("1.6"),
        Some("") => None,
        Some(origin) => destination::matches(Some(origin), ID, &[]).then_some("3.4"),
    };
    let kind = value("type");
    let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default();
    match kind {
        "AckRemoteApplicationEvent" => {
            let outcome = if origin.as_deref() == Some(ID) { "ignored" } else { "ack_seen" };
            let odd = value("event").is_some_and(|event| !event.is_string())
                || destination.is_some_and(|destination| !destination.is_null() && !destination.is_string());
            return (Seen { outcome, ..Seen::default() }, origin_tag.or((odd || snake).then_some("1.6")));
        }
        "RefreshRemoteApplicationEvent" | "EnvironmentChangeRemoteApplicationEvent" => {}
        "ShutdownRemoteApplicationEvent" => return ignored(Some("6.8")),
        // Spring knows it, and cannot make one.
        "UnknownRemoteApplicationEvent" => return ignored(Some("1.6")),
        _ => return ignored(None),
    }
    let pattern = match destination {
        None => return ignored(None),
        Some(Value::Null) => None,
        Some(Value::String(pattern)) => Some(pattern),
        Some(_) => return ignored(Some("1.6")),
    };
    if !destination::matches(pattern.as_deref(), ID, &[]) {
        return ignored(None);
    }
    let mut seen = Seen { outcome: "handled", ..Seen::default() };
    let mut tag = origin_tag;
    if kind == "EnvironmentChangeRemoteApplicationEvent" {
        match event.get("values").map(|raw| (raw.get(), serde_json::from_str::<Fields<'_>>(raw.get()))) {
            None | Some(("null", _)) => tag = Some("1.6"),
            Some((_, Ok(values))) => {
                for (name, raw) in values {
                    match serde_json::from_str::<Value>(raw.get()) {
                        Ok(Value::String(text)) => drop(seen.values.insert(name, text)),
                        Ok(Value::Null | Value::Array(_) | Value::Object(_)) => tag = Some("1.6"),
                        // The text of the JSON, where Spring writes a number in its own way.
                        read => {
                            if read.map(|read| read.to_string()).as_deref().ok() != Some(raw.get()) {
                                tag = Some("1.6");
                            }
                            seen.values.insert(name, raw.get().to_owned());
                        }
                    }
                }
            }
            Some((_, Err(_))) => return ignored(Some("1.6")),
        }
    }
    match scalar(value("id")) {
        None => tag = Some("1.6"),
        Some(id) => {
            let class = format!("org.springframework.cloud.bus.event.{kind}");
            seen.ack = Some(json!({
                "ackId": id, "ackDestinationService": pattern, "destinationService": "**", "event": class,
            }));
        }
    }
    // Spring reads one media type only; a header `contentType` replaces the property there.
    let media_type = properties["content_type"].as_str().map(essence);
    if media_type.is_none_or(|text| !text.is_empty() && text != "application/json") || snake {
        tag = tag.or(Some("1.6"));
    }
    let header = case["headers"].get("contentType").is_some();
    (seen, tag.or(header.then_some("1.2")))
}

type Fields<'a> = BTreeMap<String, &'a serde_json::value::RawValue>;

/// The deepest nesting of a JSON text: brackets outside of strings.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_i64, 0);
    let unescaped = json.replace("\\\\", "").replace("\\\"", "");
    for outside in unescaped.split('"').step_by(2) {
        for c in outside.chars() {
            match c {
                '{' | '[' => depth += 1,
                '}' | ']' => depth -= 1,
                _ => {}
            }
            deepest = deepest.max(depth);
        }
    }
    usize::try_from(deepest).unwrap()
}

fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Section 1.2: which media types are JSON, and which encodings are none.
fn readable(properties: &Value) -> bool {
    let media_type = properties["content_type"].as_str().map(essence);
    let json = media_type.is_none_or(|text| {
        let listed = ["", "application/json", "text/json", "application/octet-stream"].contains(&text.as_str());
        listed || (text.contains('/') && text.ends_with("+json") && !text.ends_with("/+json"))
    });
    json && ["", "utf-8", "gzip", "deflate"].contains(&encoding(properties).as_str())
}

/// The first encoding; an older one may follow.
fn encoding(properties: &Value) -> String {
    let all = properties["content_encoding"].as_str().unwrap_or_default();
    all.split(',').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The body as it was before it was compressed; none if it was not.
fn inflated(body: Vec<u8>, properties: &Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match encoding(properties).as_str() {
        "gzip" => GzDecoder::new(&*body).read_to_end(&mut out).ok().map(|_| out),
        "deflate" => ZlibDecoder::new(&*body).read_to_end(&mut out).ok().map(|_| out),
        _ => Some(body),
    }
}

/// In what ours differs from the recording.
fn differs(ours: &Seen, recorded: &Value) -> Option<&'static str> {
    if ours.outcome != recorded["outcome"] {
        return Some("outcome");
    }
    if ours.ack.is_some() != (recorded["acked"] == true) {
        return Some("acked");
    }
    if let (Some(ack), Value::Object(fields)) = (&ours.ack, &recorded["ack"])
        && fields.iter().any(|(name, value)| ack[name] != *value)
    {
        return Some("ack");
    }
    let values = recorded["values"]
        .as_object()
        .map(|values| values.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap_or("?").to_owned())).collect());
    if ours.values != values.unwrap_or_default() {
        return Some("values");
    }
    None
}
