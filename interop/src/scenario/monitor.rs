//! What a Git host tells the config server.

use serde_json::json;

use super::bus::{REFRESH, acked, greet, ours_says, quiet, refreshed_by, settled, theirs_says};
use crate::check::{Outcome, Side};
use crate::ours::Ours;
use crate::peers::{BusEvent, Mark, Peer, Peers};
use crate::web::{Answer, Web};

/// A change that is told to the config server's `/monitor` reaches exactly those that it concerns (bus.md 5,
/// recordings `bus/messages/monitor`).
pub(super) async fn tells(peers: &dyn Peers) -> Outcome {
    let ours = Ours::start(peers, "interop-monitor", &[]).await?;
    settled(&ours, peers).await?;
    quiet(peers).await?;
    let (web, monitor) = (Web::new()?, format!("{}/monitor", peers.url(Peer::Config)?));

    // By hand, as a form: the file of all services.
    let mark = peers.mark(Peer::Order).await?;
    let first = greet(peers)?;
    names(web.post_form(&monitor, &[("path", "application.yml")]).await, &["*"])?;
    ours_says(&ours, &first).await?;
    theirs_says(peers, Peer::Order, &first).await?;
    theirs_says(peers, Peer::User, &first).await?;
    let event = refreshed_by(peers, mark, "config-server:").await?;
    acked(peers, mark, "interop-monitor:", Some(&event)).await?;
    acked(peers, mark, "order-service:", Some(&event)).await?;
    sent(peers, mark, &["*:**"]).await?;

    // GitHub: a push with a file of ours.
    quiet(peers).await?;
    let mark = peers.mark(Peer::Order).await?;
    let second = greet(peers)?;
    let push = json!({"ref": "refs/heads/main", "commits": [{"id": "1", "modified": ["conf/interop-monitor.yml"]}]});
    let answer = web.post_json_as(&monitor, ("X-Github-Event", "push"), &push).await;
    names(answer, &["interop", "interop-monitor"])?;
    ours_says(&ours, &second).await?;
    acked(peers, mark, "interop-monitor:", None).await?;
    theirs_says(peers, Peer::Order, &first).await?;

    // A host that the server does not know, as JSON: a file of the order service.
    quiet(peers).await?;
    let third = greet(peers)?;
    names(web.post_json(&monitor, &json!({"path": ["order-service.yml"]})).await, &["order", "order-service"])?;
    theirs_says(peers, Peer::Order, &third).await?;
    ours_says(&ours, &second).await?;

    // What is no change refreshes nobody.
    quiet(peers).await?;
    let mark = peers.mark(Peer::Order).await?;
    names(web.post_json_as(&monitor, ("X-Github-Event", "ping"), &json!({"zen": "so"})).await, &[])?;
    web.post_form(&monitor, &[("other", "1")]).await.expect(400, "a form without `path`")?;
    sent(peers, mark, &[]).await?;
    ours.stop().await;
    Ok(())
}

/// The server answers with the names that it has told.
fn names(answer: Answer, expected: &[&str]) -> Outcome {
    let answer = answer.expect(200, "/monitor")?;
    let mut names: Vec<String> = serde_json::from_value(answer.json)?;
    names.sort();
    Side::Peer.same("the names that the config server has told", expected.to_vec(), names)
}

/// The refresh events that the order service saw: the config server sent them, to these destinations.
async fn sent(peers: &dyn Peers, since: Mark, destinations: &[&str]) -> Outcome {
    let events: Vec<BusEvent> = peers.events(since).await?.into_iter().filter(|event| event.kind == REFRESH).collect();
    let theirs = events.iter().all(|event| event.origin.starts_with("config-server:"));
    Side::Peer.holds(theirs, "who sent the refresh events", "the config server", &events)?;
    let seen: Vec<_> = events.iter().filter_map(|event| event.destination.as_deref()).collect();
    Side::Peer.same("the destinations of the refresh events", destinations.to_vec(), seen)
}
