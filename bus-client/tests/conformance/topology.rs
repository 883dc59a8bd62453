//! What a node declares on the broker, frame by frame.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use vernal_bus_client::{AmqpTransport, Bus, BusId, BusSettings, RabbitSettings, State};
use vernal_testkit::broker::Broker;

use crate::fixtures::family;
use crate::frames::{methods, proxy};
use crate::report::{Outcome, Report};

pub(crate) fn run(report: &mut Report) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut ours: HashMap<String, Vec<Vec<Value>>> = HashMap::new();
    report.family("topology", &family("topology", &["topology"]), |case| {
        let exchange = exchange_of(case);
        let ours = ours.entry(exchange.clone()).or_insert_with(|| runtime.block_on(declared(&exchange)));
        compare(case, &exchange, ours)
    });
}

/// The exchange of the bus in a recording: the topic exchange, or the default.
fn exchange_of(case: &Value) -> String {
    let mut frames = case["sequence"].as_array().into_iter().flatten();
    let declared = frames.find(|frame| frame["args"]["type"] == "topic").map(|frame| &frame["args"]["exchange"]);
    let name = declared.unwrap_or(&case["objects"]["exchange"]["name"]);
    name.as_str().unwrap_or("springCloudBus").to_owned()
}

/// What our node sends from start to stop, on the connection that consumes and on the one that publishes, to a broker
/// that has no exchange yet.
async fn declared(exchange: &str) -> Vec<Vec<Value>> {
    let broker = Broker::builder().start().await.unwrap();
    let (port, captured) = proxy(broker.port()).await;
    let mut rabbit = RabbitSettings::default();
    rabbit.host = "127.0.0.1".to_owned();
    rabbit.port = Some(port);
    let mut settings = BusSettings::default();
    settings.destination = exchange.to_owned();
    let bus = Bus::builder(settings, BusId::new("orders:8080:ab12").unwrap())
        .transport(AmqpTransport::new(rabbit).unwrap())
        .start()
        .unwrap();
    let consuming = bus.states().reach(|state| state == State::Consuming).await;
    assert_eq!(consuming, Some(State::Consuming));
    assert!(broker.until(Duration::from_secs(5), |broker| !broker.consumers().is_empty()).await);
    bus.publish_refresh(None).await.unwrap();
    bus.stop().await;
    assert!(broker.until(Duration::from_secs(5), |broker| broker.connections().is_empty()).await);
    broker.stop().await;
    let connections: Vec<Vec<Value>> = captured.lock().unwrap().iter().map(|bytes| methods(bytes)).collect();
    assert_eq!(connections.len(), 2);
    connections
}

fn compare(case: &Value, exchange: &str, ours: &[Vec<Value>]) -> Outcome {
    let (consumer, publisher) = (&ours[0], &ours[1]);
    let result = if case["objects"].is_object() {
        objects(&case["objects"], exchange, consumer)
    } else {
        let recorded = sent(case);
        match find(&recorded, "Basic.Publish", |_| true) {
            Some(publish) => published(publish, publisher),
            None => sequence(&recorded, exchange, consumer),
        }
    };
    match result {
        Ok(None) => Outcome::Passed,
        Ok(Some(tag)) => Outcome::Deviates(tag),
        Err(why) => Outcome::Failed(why),
    }
}

/// The client's frames of a recording; its raw bytes must say the same as its fields.
fn sent(case: &Value) -> Vec<Value> {
    let frames = case["sequence"].as_array().into_iter().flatten().filter(|frame| frame["from"] == "client");
    let mut sent = Vec::new();
    for frame in frames {
        if let Some(raw) = frame["frame_hex"].as_str() {
            let read = methods(&hex::decode(raw).unwrap());
            if let Some(read) = read.first() {
                assert_eq!((&read["method"], &read["args"]), (&frame["method"], &frame["args"]));
            }
        }
        sent.push(json!({"method": frame["method"], "args": frame["args"]}));
    }
    sent
}

fn find<'a>(frames: &'a [Value], method: &str, fits: impl Fn(&Value) -> bool) -> Option<&'a Value> {
    frames.iter().filter(|frame| frame["method"] == method).map(|frame| &frame["args"]).find(|args| fits(args))
}

/// A node that publishes: ours asks for confirms.
fn published(recorded: &Value, ours: &[Value]) -> Result<Option<&'static str>, String> {
    let publish = find(ours, "Basic.Publish", |_| true).ok_or("ours publishes nothing")?;
    for name in ["exchange", "routing_key", "mandatory", "immediate"] {
        if recorded.get(name).is_some_and(|value| publish[name] != *value) {
            return Err(format!("ours {publish}, recorded {recorded}"));
        }
    }
    let confirms = find(ours, "Confirm.Select", |_| true).is_some();
    if confirms { Ok(Some("6.5")) } else { Err("ours asks for no confirms".to_owned()) }
}

/// The tag if a deviation was needed.
fn sequence(recorded: &[Value], exchange: &str, ours: &[Value]) -> Result<Option<&'static str>, String> {
    let active = |args: &Value| args["passive"] == false;
    let any = |_: &Value| true;
    // A subscription: what ours declares must be the same, but for the names and what section 1.3 changes.
    if let Some(queue) = find(recorded, "Queue.Declare", active) {
        if let Some(args) = find(recorded, "Exchange.Declare", active) {
            equal(find(ours, "Exchange.Declare", active), args, &[])?;
        }
        let our_queue = find(ours, "Queue.Declare", active).ok_or("no queue of ours")?;
        for name in [&queue["queue"], &our_queue["queue"]] {
            anonymous(name.as_str().unwrap_or_default(), exchange)?;
        }
        equal(Some(our_queue), queue, &["queue", "arguments"])?;
        if our_queue["arguments"] != json!({}) {
            return Err(format!("our queue has arguments: {our_queue}"));
        }
        for (method, but) in [("Queue.Bind", "queue"), ("Basic.Qos", "prefetch_count"), ("Basic.Consume", "queue")] {
            if let Some(args) = find(recorded, method, any) {
                equal(find(ours, method, any), args, &[but])?;
            }
        }
        let prefetch = find(ours, "Basic.Qos", any).ok_or("no qos")?["prefetch_count"].clone();
        if prefetch != 100 {
            return Err(format!("prefetch {prefetch}"));
        }
        return Ok(Some("1.3"));
    }
    // A node that stops.
    if find(recorded, "Basic.Cancel", any).is_some() {
        let order = |frames: &[Value]| {
            let wanted = ["Basic.Cancel", "Channel.Close", "Connection.Close"];
            let mut order: Vec<Value> =
                frames.iter().filter(|frame| wanted.iter().any(|name| frame["method"] == *name)).cloned().collect();
            order.dedup();
            order
        };
        // The broker has closed the first channel of ours, on which the exchange was missing.
        let (ours, recorded) = (order(ours), order(recorded));
        return if ours == recorded { Ok(None) } else { Err(format!("ours {ours:?}, recorded {recorded:?}")) };
    }
    // Only looking for something by name, again and again: Spring's way to lose a subscription for good, and its
    // search for a dead-letter exchange. Ours looks for nothing but the exchange of the bus.
    let passive = |args: &Value| args["passive"] == true;
    let looks = |method| find(recorded, method, passive).is_some();
    if looks("Queue.Declare") || looks("Exchange.Declare") {
        let others = find(ours, "Queue.Declare", passive).is_some()
            || find(ours, "Exchange.Declare", |args| args["exchange"] != exchange).is_some();
        return if others { Err("ours looks for more than its exchange".to_owned()) } else { Ok(Some("1.6")) };
    }
    Err("a sequence of a kind that is not known".to_owned())
}

/// The same, as the broker lists it.
fn objects(recorded: &Value, exchange: &str, ours: &[Value]) -> Result<Option<&'static str>, String> {
    let active = |args: &Value| args["passive"] == false;
    let our_exchange = find(ours, "Exchange.Declare", active).ok_or("no exchange of ours")?;
    for name in ["type", "durable", "auto_delete", "internal", "arguments"] {
        if our_exchange[name] != recorded["exchange"][name] {
            return Err(format!(
                "exchange {name}: ours {}, recorded {}",
                our_exchange[name], recorded["exchange"][name]
            ));
        }
    }
    let queue = find(ours, "Queue.Declare", active).ok_or("no queue of ours")?;
    anonymous(recorded["queue"]["name"].as_str().unwrap_or_default(), exchange)?;
    anonymous(queue["queue"].as_str().unwrap_or_default(), exchange)?;
    for name in ["durable", "auto_delete", "exclusive"] {
        if queue[name] != recorded["queue"][name] {
            return Err(format!("queue {name}: ours {}, recorded {}", queue[name], recorded["queue"][name]));
        }
    }
    let bind = find(ours, "Queue.Bind", |_| true).ok_or("no binding of ours")?;
    let bindings = recorded["bindings"].as_array().into_iter().flatten();
    let named = bindings.filter(|binding| binding["source"] == exchange).collect::<Vec<_>>();
    if named.len() != 1 || named[0]["routing_key"] != bind["routing_key"] || bind["exchange"] != exchange {
        return Err(format!("ours {bind}, recorded {named:?}"));
    }
    Ok((queue["arguments"] != recorded["queue"]["arguments"]).then_some("1.3"))
}

fn anonymous(name: &str, exchange: &str) -> Result<(), String> {
    let id = name.strip_prefix(&format!("{exchange}.anonymous.")).unwrap_or_default();
    let base64url = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if id.len() == 22 && base64url { Ok(()) } else { Err(format!("not a name of an anonymous queue: `{name}`")) }
}

fn equal(ours: Option<&Value>, recorded: &Value, but: &[&str]) -> Result<(), String> {
    let ours = ours.ok_or_else(|| format!("ours sends nothing like {recorded}"))?;
    let same = recorded
        .as_object()
        .into_iter()
        .flatten()
        .all(|(name, value)| but.contains(&name.as_str()) || ours[name] == *value);
    if same { Ok(()) } else { Err(format!("ours {ours}, recorded {recorded}")) }
}
