//! What Spring nodes sent to RabbitMQ, sent to our broker: it answers what RabbitMQ answered
//! (fixtures `bus/topology`).

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use amq_protocol::frame::{AMQPFrame, parse_frame};
use amq_protocol::protocol::{AMQPClass, basic, channel, confirm, connection, exchange, queue};
use lapin::ExchangeKind;
use lapin::options::{BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::Value;
use vernal_testkit::broker::{Broker, Field};

use crate::client::{bind, broker, channel as lapin_channel, connect, consume, within};
use crate::raw::{Raw, start_ok};

fn cases() -> Vec<Value> {
    let root = std::env::var_os("VERNAL_FIXTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), PathBuf::from);
    let folder = root.join("bus/topology");
    let Ok(files) = std::fs::read_dir(&folder) else { return Vec::new() };
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().flat_map(|path| serde_json::from_slice::<Vec<Value>>(&std::fs::read(path).unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn recorded_clients_get_the_recorded_answers() {
    let (mut replayed, mut compared) = (0, 0);
    for case in cases().iter().filter(|case| case["sequence"].is_array()) {
        compared += replay(case).await;
        replayed += 1;
    }
    println!("bus/topology sequences: {replayed} run, {replayed} passed, {compared} answers compared");
}

#[tokio::test]
async fn recorded_objects_are_listed_as_recorded() {
    let mut run = 0;
    for case in cases().iter().filter(|case| case["objects"].is_object()) {
        rebuild(case).await;
        run += 1;
    }
    println!("bus/topology objects: {run} run, {run} passed");
}

// ===== sequences =====

/// Sends what the client of a case sent and compares every recorded answer; gives their number.
async fn replay(case: &Value) -> usize {
    let broker = broker().await;
    let mut raw = Raw::connect(&broker).await;
    let steps = case["sequence"].as_array().unwrap();
    let what = |step: &Value| format!("{}: {}", case["case"], step["method"]);
    let mut opened = HashSet::from([0]);
    if steps[0]["method"] == "Connection.StartOk" {
        raw.send(b"AMQP\0\0\x09\x01").await;
        raw.expect_start().await;
    } else {
        // The recording begins in the middle of a connection.
        raw.log_in(60).await;
    }
    let mut compared = 0;
    for (at, step) in steps.iter().enumerate() {
        let number = u16::try_from(step["channel"].as_u64().unwrap()).unwrap();
        if step["from"] == "broker" {
            let answer = answer(&mut raw).await;
            let Some(AMQPFrame::Method(from, class)) = &answer else { panic!("{}: {answer:?}", what(step)) };
            let (name, args) = method_args(class);
            let recorded = (number, text(step, "method"), without_random(&step["args"]));
            assert_eq!((*from, name, without_random(&args)), recorded, "{}", what(step));
            compared += 1;
            continue;
        }
        let frame = frame_of(step);
        let opens = matches!(&frame, AMQPFrame::Method(_, AMQPClass::Channel(channel::AMQPMethod::Open(_))));
        if opened.insert(number) && !opens {
            raw.open_channel(number).await;
        }
        let times = step["times"].as_u64().unwrap_or(1);
        for time in 1..=times {
            match step["frame_hex"].as_str() {
                Some(hex) => raw.send(&unhex(hex)).await,
                None => raw.send(&crate::raw::bytes(&frame)).await,
            }
            // The recordings hold the interesting answers only; the others must come nevertheless.
            let follows =
                steps.get(at + 1).is_some_and(|next| next["from"] == "broker" && next["channel"] == step["channel"]);
            if let (Some(expected), false) = (answer_of(&frame), follows && time == times) {
                let answer = answer(&mut raw).await;
                let Some(AMQPFrame::Method(from, class)) = &answer else { panic!("{}: {answer:?}", what(step)) };
                assert_eq!((*from, method_args(class).0.as_str()), (number, expected), "{}", what(step));
            }
        }
    }
    compared
}

async fn answer(raw: &mut Raw) -> Option<AMQPFrame> {
    loop {
        match raw.frame().await {
            Some(AMQPFrame::Heartbeat) => {}
            other => return other,
        }
    }
}

/// Arguments with the random part of generated names taken out: only their form can be compared.
fn without_random(args: &Value) -> Value {
    let mut args = args.clone();
    for value in args.as_object_mut().into_iter().flat_map(|fields| fields.values_mut()) {
        for prefix in ["amq.ctag-", "amq.gen-"] {
            if let Some(random) = value.as_str().and_then(|text| text.strip_prefix(prefix)) {
                *value = Value::from(format!("{prefix}{}", random.len()));
                break;
            }
        }
    }
    args
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap().to_owned()
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// The frame of a client's step: parsed from its bytes, or made from its arguments where no bytes were recorded.
fn frame_of(step: &Value) -> AMQPFrame {
    if let Some(hex) = step["frame_hex"].as_str() {
        return parse_frame(&unhex(hex)[..]).unwrap().1;
    }
    let args = &step["args"];
    let number = |key: &str| args[key].as_u64().unwrap();
    let short = |key: &str| args[key].as_str().unwrap_or_default().into();
    let class = match step["method"].as_str().unwrap() {
        "Connection.StartOk" => start_ok(b"\0guest\0guest"),
        "Connection.TuneOk" => AMQPClass::Connection(connection::AMQPMethod::TuneOk(connection::TuneOk {
            channel_max: u16::try_from(number("channel_max")).unwrap(),
            frame_max: u32::try_from(number("frame_max")).unwrap(),
            heartbeat: u16::try_from(number("heartbeat")).unwrap(),
        })),
        "Connection.Open" => AMQPClass::Connection(connection::AMQPMethod::Open(connection::Open {
            virtual_host: short("virtual_host"),
        })),
        "Connection.Close" => AMQPClass::Connection(connection::AMQPMethod::Close(connection::Close {
            reply_code: u16::try_from(number("reply_code")).unwrap(),
            reply_text: short("reply_text"),
            class_id: 0,
            method_id: 0,
        })),
        "Channel.Open" => AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})),
        "Channel.Close" => AMQPClass::Channel(channel::AMQPMethod::Close(channel::Close {
            reply_code: u16::try_from(number("reply_code")).unwrap(),
            reply_text: short("reply_text"),
            class_id: 0,
            method_id: 0,
        })),
        "Channel.CloseOk" => AMQPClass::Channel(channel::AMQPMethod::CloseOk(channel::CloseOk {})),
        "Confirm.Select" => AMQPClass::Confirm(confirm::AMQPMethod::Select(confirm::Select { nowait: false })),
        "Basic.Ack" => AMQPClass::Basic(basic::AMQPMethod::Ack(basic::Ack {
            // Where no tag was recorded: 0 with `multiple` means all. The same holds for nack.
            delivery_tag: args["delivery_tag"].as_u64().unwrap_or(0),
            multiple: args["delivery_tag"].is_null() || args["multiple"] == true,
        })),
        "Basic.Nack" => AMQPClass::Basic(basic::AMQPMethod::Nack(basic::Nack {
            delivery_tag: args["delivery_tag"].as_u64().unwrap_or(0),
            multiple: args["multiple"].as_bool().unwrap(),
            requeue: args["requeue"].as_bool().unwrap(),
        })),
        "Basic.Cancel" => AMQPClass::Basic(basic::AMQPMethod::Cancel(basic::Cancel {
            consumer_tag: short("consumer_tag"),
            nowait: args["nowait"].as_bool().unwrap(),
        })),
        other => panic!("a recording without bytes has `{other}`: teach the runner to make it"),
    };
    AMQPFrame::Method(u16::try_from(step["channel"].as_u64().unwrap()).unwrap(), class)
}

/// The method that answers a client's method.
fn answer_of(frame: &AMQPFrame) -> Option<&'static str> {
    let AMQPFrame::Method(_, class) = frame else { return None };
    Some(match class {
        AMQPClass::Connection(connection::AMQPMethod::StartOk(_)) => "Connection.Tune",
        AMQPClass::Connection(connection::AMQPMethod::Open(_)) => "Connection.OpenOk",
        AMQPClass::Connection(connection::AMQPMethod::Close(_)) => "Connection.CloseOk",
        AMQPClass::Channel(channel::AMQPMethod::Open(_)) => "Channel.OpenOk",
        AMQPClass::Channel(channel::AMQPMethod::Close(_)) => "Channel.CloseOk",
        AMQPClass::Exchange(exchange::AMQPMethod::Declare(_)) => "Exchange.DeclareOk",
        AMQPClass::Queue(queue::AMQPMethod::Declare(_)) => "Queue.DeclareOk",
        AMQPClass::Queue(queue::AMQPMethod::Bind(_)) => "Queue.BindOk",
        AMQPClass::Confirm(confirm::AMQPMethod::Select(_)) => "Confirm.SelectOk",
        AMQPClass::Basic(basic::AMQPMethod::Qos(_)) => "Basic.QosOk",
        AMQPClass::Basic(basic::AMQPMethod::Consume(_)) => "Basic.ConsumeOk",
        AMQPClass::Basic(basic::AMQPMethod::Cancel(_)) => "Basic.CancelOk",
        _ => return None,
    })
}

/// A broker's method as the recordings write it. Names alone for methods that were never recorded.
fn method_args(class: &AMQPClass) -> (String, Value) {
    use serde_json::json;

    let (name, args) = match class {
        AMQPClass::Connection(connection::AMQPMethod::Tune(tune)) => (
            "Connection.Tune",
            json!({"channel_max": tune.channel_max, "frame_max": tune.frame_max, "heartbeat": tune.heartbeat}),
        ),
        AMQPClass::Connection(connection::AMQPMethod::OpenOk(_)) => ("Connection.OpenOk", json!({})),
        AMQPClass::Connection(connection::AMQPMethod::CloseOk(_)) => ("Connection.CloseOk", json!({})),
        AMQPClass::Connection(connection::AMQPMethod::Close(close)) => {
            ("Connection.Close", json!({"reply_code": close.reply_code, "reply_text": close.reply_text.as_str()}))
        }
        AMQPClass::Channel(channel::AMQPMethod::OpenOk(_)) => ("Channel.OpenOk", json!({})),
        AMQPClass::Channel(channel::AMQPMethod::CloseOk(_)) => ("Channel.CloseOk", json!({})),
        AMQPClass::Channel(channel::AMQPMethod::Close(close)) => {
            ("Channel.Close", json!({"reply_code": close.reply_code, "reply_text": close.reply_text.as_str()}))
        }
        AMQPClass::Exchange(exchange::AMQPMethod::DeclareOk(_)) => ("Exchange.DeclareOk", json!({})),
        AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok)) => (
            "Queue.DeclareOk",
            json!({"queue": ok.queue.as_str(), "message_count": ok.message_count, "consumer_count": ok.consumer_count}),
        ),
        AMQPClass::Queue(queue::AMQPMethod::BindOk(_)) => ("Queue.BindOk", json!({})),
        AMQPClass::Confirm(confirm::AMQPMethod::SelectOk(_)) => ("Confirm.SelectOk", json!({})),
        AMQPClass::Basic(basic::AMQPMethod::QosOk(_)) => ("Basic.QosOk", json!({})),
        AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(ok)) => {
            ("Basic.ConsumeOk", json!({"consumer_tag": ok.consumer_tag.as_str()}))
        }
        AMQPClass::Basic(basic::AMQPMethod::CancelOk(_)) => ("Basic.CancelOk", json!({})),
        other => panic!("unexpected answer {other:?}"),
    };
    (name.to_owned(), args)
}

// ===== objects =====

/// Declares what the broker of a case listed, and compares what ours lists.
async fn rebuild(case: &Value) {
    let broker = broker().await;
    let connection = connect(&broker).await;
    let channel = lapin_channel(&connection).await;
    let objects = &case["objects"];
    let (exchange, queue) = (&objects["exchange"], &objects["queue"]);
    let flag = |of: &Value, key: &str| of[key].as_bool().unwrap();
    let (exchange_name, name) = (text(exchange, "name"), text(queue, "name"));

    let options = ExchangeDeclareOptions {
        durable: flag(exchange, "durable"),
        auto_delete: flag(exchange, "auto_delete"),
        internal: flag(exchange, "internal"),
        ..Default::default()
    };
    let kind = ExchangeKind::Custom(text(exchange, "type"));
    within(channel.exchange_declare(exchange_name.as_str().into(), kind, options, FieldTable::default()))
        .await
        .unwrap();
    let options = QueueDeclareOptions {
        durable: flag(queue, "durable"),
        exclusive: flag(queue, "exclusive"),
        auto_delete: flag(queue, "auto_delete"),
        ..Default::default()
    };
    let mut arguments = FieldTable::default();
    for (key, value) in queue["arguments"].as_object().unwrap() {
        arguments.insert(key.as_str().into(), AMQPValue::LongString(value.as_str().unwrap().into()));
    }
    within(channel.queue_declare(name.as_str().into(), options, arguments)).await.unwrap();
    for binding in objects["bindings"].as_array().unwrap().iter().filter(|binding| binding["source"] != "") {
        bind(&channel, &name, &text(binding, "source"), &text(binding, "routing_key")).await;
    }
    if let Some(consumer) = objects.get("consumer") {
        let prefetch = u16::try_from(consumer["prefetch_count"].as_u64().unwrap()).unwrap();
        within(channel.basic_qos(prefetch, BasicQosOptions::default())).await.unwrap();
        let no_ack = !flag(consumer, "ack_required");
        let ours = consume(&channel, &name, BasicConsumeOptions { no_ack, ..Default::default() }).await;
        assert_eq!(shape(ours.tag().as_str()), shape(&text(consumer, "tag")));
        let seen = broker.consumers().remove(0);
        assert_eq!((seen.ack_required, seen.prefetch), (!no_ack, prefetch));
    }
    compare(case, &broker, &exchange_name, &name);
    if let Some(expected) = objects.get("connection") {
        let seen = broker.connections().remove(0);
        let numbers = [u64::from(seen.heartbeat), u64::from(seen.channel_max), u64::from(seen.frame_max)];
        assert_eq!(numbers, ["timeout", "channel_max", "frame_max"].map(|key| expected[key].as_u64().unwrap()));
        assert_eq!(seen.user, text(expected, "user"));
    }
}

fn compare(case: &Value, broker: &Broker, exchange_name: &str, name: &str) {
    let objects = &case["objects"];
    let (exchange, queue) = (&objects["exchange"], &objects["queue"]);
    let flags = |of: &Value, keys: [&str; 3]| keys.map(|key| of[key].as_bool().unwrap());
    let seen = broker.exchanges().into_iter().find(|view| view.name == exchange_name).unwrap();
    assert_eq!(seen.kind.name(), text(exchange, "type"), "{}", case["case"]);
    let recorded = flags(exchange, ["durable", "auto_delete", "internal"]);
    assert_eq!([seen.durable, seen.auto_delete, seen.internal], recorded, "{}", case["case"]);

    let seen = broker.queues().into_iter().find(|view| view.name == name).unwrap();
    let recorded = flags(queue, ["durable", "exclusive", "auto_delete"]);
    assert_eq!([seen.durable, seen.exclusive, seen.auto_delete], recorded, "{}", case["case"]);
    let arguments = queue["arguments"].as_object().unwrap();
    let arguments: BTreeMap<String, Field> =
        arguments.iter().map(|(key, value)| (key.clone(), Field::from(value.as_str().unwrap()))).collect();
    assert_eq!(seen.arguments, arguments);
    if objects.get("consumer").is_some() {
        assert_eq!(seen.consumers as u64, queue["consumers"].as_u64().unwrap());
    }

    let seen: Vec<_> = broker.bindings().into_iter().map(|view| (view.exchange, view.routing_key)).collect();
    let recorded = objects["bindings"].as_array().unwrap().iter();
    let recorded: Vec<_> = recorded.map(|binding| (text(binding, "source"), text(binding, "routing_key"))).collect();
    assert_eq!(seen, recorded, "{}", case["case"]);
}

/// A generated name: its prefix and how much follows.
fn shape(name: &str) -> (String, usize) {
    let (prefix, random) = name.rsplit_once("ctag-").unwrap();
    (prefix.to_owned(), random.len())
}
