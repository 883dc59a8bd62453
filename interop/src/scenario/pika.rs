//! Our broker and pika, a client of AMQP that is neither ours nor Java's.

use serde_json::{Value, json};
use vernal_testkit::logs::Logs;

use super::Area;
use super::bus::{ACK, REFRESH, acked, greet, joined, ours_says, quiet};
use crate::check::{Outcome, Side};
use crate::ours::Ours;
use crate::peers::{Local, Peer, Peers};

/// The service that pika refreshes.
const SERVICE: &str = "interop-pika";

/// pika sees at our broker what it sees at RabbitMQ, and at both it refreshes our service and hears its ack.
pub(super) async fn on_ours(peers: &dyn Peers) -> Outcome {
    let servers = Local::start(Area::Config, Logs::new()).await?;
    let start = servers.mark(Peer::Config).await?;
    let mark = peers.mark(Peer::Order).await?;
    let (mut theirs, event) = report(peers, peers, Side::Peer).await?;
    let (mut ours, _) = report(peers, &servers, Side::Ours).await?;

    let sane = json!({"heartbeats": true, "returned": 312, "same": true, "prefetched": [0, 1]});
    let told = json!({"heartbeats": theirs["heartbeats"], "returned": theirs["unroutable"]["code"],
        "same": theirs["by_hand"]["same"], "prefetched": theirs["prefetch"]["first"]});
    Side::Peer.same("what RabbitMQ does", sane, told)?;
    // Ours does not offer what nobody on the bus needs.
    let (can, could) = (list(&mut ours, "capabilities"), list(&mut theirs, "capabilities"));
    let known = can.iter().all(|capability| could.contains(capability));
    Side::Ours.holds(known && can.len() > 4, "what our broker can do", "most of RabbitMQ's", &can)?;
    for (part, expected) in theirs.as_object().into_iter().flatten() {
        Side::Ours.same(format!("what pika tells of our broker: {part}"), expected, &ours[part])?;
    }

    let events = servers.events(start).await?;
    let python: Vec<_> = events.iter().filter(|event| event.origin == "interop-python:0:1").collect();
    let one = python.len() == 1 && python[0].kind == REFRESH;
    Side::Ours.holds(one, "what our broker saw of pika", "a refresh event", &events)?;
    let acks = events.iter().filter(|event| event.kind == ACK && event.ack_id.as_ref() == Some(&python[0].id));
    Side::Ours.same("the acks of it that our broker saw", 1, acks.count())?;
    acked(peers, mark, "interop-pika:", event.as_str()).await?;
    Ok(())
}

/// Lets pika refresh a service of ours over the broker of `servers`; gives what it tells of the broker, without what
/// differs from one run to the next, and the id of its event.
async fn report(peers: &dyn Peers, servers: &dyn Peers, side: Side) -> Outcome<(Value, Value)> {
    let ours = Ours::start(servers, SERVICE, &[]).await?;
    let before = greet(servers)?;
    joined(&ours.url()).await?;
    ours_says(&ours, &before).await?;
    quiet(servers).await?;
    let text = greet(servers)?;
    let mut report = peers.pika(servers.broker_port(), SERVICE).await?;
    ours_says(&ours, &text).await?;
    ours.stop().await;

    let bus = &mut report["bus"];
    let queue = bus["queue"].take();
    let named = queue.as_str().is_some_and(|name| name.starts_with("amq.gen-"));
    side.holds(named, "the name of an anonymous queue", "amq.gen-...", &queue)?;
    let event = bus["event"].take();
    let seen = bus["seen"].as_array_mut().into_iter().flatten();
    let messages: Vec<_> = seen.map(|message| message["message"].take()).collect();
    let brief = |message: &Value| json!([message["type"], message["destinationService"], message["ackId"]]);
    let expected = json!([[REFRESH, format!("{SERVICE}:**"), null], [ACK, "**", event]]);
    side.same("the messages on the bus", expected, messages.iter().map(brief).collect::<Value>())?;
    let ack = &messages[1];
    let from = ack["originService"].as_str().is_some_and(|origin| origin.starts_with("interop-pika:"));
    let of = ack["event"].as_str().is_some_and(|class| class.ends_with(REFRESH));
    side.holds(from && of, "the ack", "one of a refresh, from interop-pika", ack)?;
    Ok((report, event))
}

/// Takes a list out of the part about the handshake.
fn list(report: &mut Value, name: &str) -> Vec<Value> {
    report["handshake"][name].take().as_array().cloned().unwrap_or_default()
}
