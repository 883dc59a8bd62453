//! Destinations and own events.

use serde_json::Value;
use vernal_bus_client::transport::Message;
use vernal_bus_client::{Bus, BusId, BusSettings, Destination, MemoryHub, MemoryTransport, State, destination};

use crate::fixtures::{cases, text};
use crate::report::{Outcome, Report};

pub(crate) fn destinations(report: &mut Report) {
    report.family("matching/destinations", &cases("matching/destinations"), |case| {
        let aliases: Vec<String> =
            case["aliases"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        let ours = destination::matches(case["destination"].as_str(), text(case, "id"), &aliases);
        same(&Value::Bool(ours), &case["expect"]["match"])
    });
}

pub(crate) fn normalise(report: &mut Report) {
    report.family("matching/normalise", &cases("matching/normalise"), |case| {
        let ours = Destination::normalise(case["input"].as_str());
        same(&Value::from(ours.as_str()), &case["expect"]["output"])
    });
}

/// An event with an id that this node has sent, under different origins: it is our own if the origin is our bus id.
pub(crate) fn own(report: &mut Report) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    report.family("matching/self", &cases("matching/self"), |case| {
        let (id, origin) = (text(case, "id"), text(case, "origin"));
        if BusId::new(id).is_err() {
            return Outcome::Deviates("3.1");
        }
        let ours = runtime.block_on(takes_as_own(id, origin));
        let recorded = case["expect"]["from_self"] == true;
        match (ours, recorded) {
            _ if ours == recorded && ours == (id == origin) => Outcome::Passed,
            (false, true) if id != origin && destination::matches(Some(origin), id, &[]) => Outcome::Deviates("3.4"),
            _ => Outcome::Failed(format!("own: {ours}, recorded: {recorded}")),
        }
    });
}

async fn takes_as_own(id: &str, origin: &str) -> bool {
    let hub = MemoryHub::new();
    let bus = Bus::builder(BusSettings::default().immediate(), BusId::new(id).unwrap())
        .transport(MemoryTransport::new(&hub))
        .start()
        .unwrap();
    bus.states().reach(|state| state == State::Consuming).await;
    let event = bus.publish_refresh(None).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let before = bus.counters().own;
    let body = serde_json::json!({"type": "RefreshRemoteApplicationEvent", "originService": origin, "destinationService": "**", "id": event});
    hub.publish("springCloudBus", Message::json(body.to_string())).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let own = bus.counters().own > before;
    bus.stop().await;
    own
}

fn same(ours: &Value, recorded: &Value) -> Outcome {
    if ours == recorded { Outcome::Passed } else { Outcome::Failed(format!("ours {ours}, recorded {recorded}")) }
}
