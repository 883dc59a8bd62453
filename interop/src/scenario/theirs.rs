//! Spring's services at our servers: the testkit's, which an example estate runs, too.

use std::time::Duration;

use serde_json::{Value, json};
use vernal_testkit::logs::Logs;

use super::Area;
use super::bus::{ACK, REFRESH, greet, joined, ours_says, says};
use super::config::{SCALARS, scalars, targets, write};
use crate::check::{Outcome, Side, within};
use crate::ours::Ours;
use crate::peers::{Local, Peer, Peers};
use crate::service::Echo;
use crate::web::Web;

/// Leases, fetches and the Java client's caches.
const SEEN: Duration = Duration::from_secs(60);
const DONE: Duration = Duration::from_secs(30);

/// Our servers with a Java service at them.
async fn estate(peers: &dyn Peers) -> Outcome<(Local, String)> {
    let servers = Local::start(Area::Config, Logs::new()).await?;
    let file = servers.config_repo().join("user-service.yml");
    let text = std::fs::read_to_string(file)?;
    write(&servers, "user-service.yml", &format!("{text}\n{}", scalars()))?;
    peers.start_at(Peer::UserAtOurs, &servers).await?;
    let url = peers.url(Peer::UserAtOurs)?;
    Ok((servers, url))
}

/// Spring's client sees in our config server's settings what it would see in those of Spring's.
pub(super) async fn reads_our_config_server(peers: &dyn Peers) -> Outcome {
    let (servers, java) = estate(peers).await?;
    let web = Web::new()?;
    for (key, expected) in SCALARS.iter().map(|(key, _, expected)| (format!("interop.{key}"), *expected)) {
        let url = format!("{java}/actuator/env/{}", key.replace('[', "%5B").replace(']', "%5D"));
        let answer = web.get(&url).await.expect(200, &url)?;
        Side::Peer.same(key, Some(expected.to_owned()), text(&answer.json["property"]["value"]))?;
    }
    let secret = web.get(&format!("{java}/actuator/env/token.secret")).await.json;
    Side::Peer.same("what our server has decrypted", Some("1234".to_owned()), text(&secret["property"]["value"]))?;
    let mark = servers.start_mark();
    let seen = targets(&servers, Peer::Config, mark, "/user-service/").await?;
    let expected = ("/user-service/default".to_owned(), 200);
    Side::Ours.holds(seen.contains(&expected), "what our server was asked for", "/user-service/default", &seen)
}

/// A Java service registers at our registry, finds a service of ours there and calls it; we find and call it.
pub(super) async fn registers_at_our_registry(peers: &dyn Peers) -> Outcome {
    let (servers, java) = estate(peers).await?;
    let web = Web::new()?;
    let ours = Ours::start(&servers, "interop-at-ours", &[]).await?;
    let url = format!("{java}/calls/interop-at-ours");
    within(SEEN, async || {
        let answer = web.post_json(&url, &json!({"path": "theirs", "query": ["1"]})).await.expect(200, &url)?;
        let echo: Echo = serde_json::from_value(answer.json)?;
        Side::Peer.same("what came back", "theirs", echo.path.as_str())
    })
    .await?;
    let seen: Vec<_> = ours.journal.seen().into_iter().map(|seen| (seen.method, seen.target)).collect();
    let expected = ("GET".to_owned(), "/echo/theirs?q=1".to_owned());
    Side::Ours.holds(seen.contains(&expected), "the requests that reached us", "GET /echo/theirs?q=1", &seen)?;

    let (rest, mark) = (ours.app.rest()?, peers.mark(Peer::UserAtOurs).await?);
    within(SEEN, async || {
        let greeting = rest.get_text("http://user-service/welcome").await?;
        Side::Ours.holds(!greeting.is_empty(), "what the Java service answered", "a greeting", &greeting)
    })
    .await?;
    let seen = targets(peers, Peer::UserAtOurs, mark, "/welcome").await?;
    Side::Peer.same("our requests at the Java service", vec![("/welcome".to_owned(), 200)], seen)?;
    peers.stop(Peer::UserAtOurs).await?;
    let seen = servers.requests(Peer::Registry, servers.start_mark()).await?;
    let seen: Vec<_> = seen.iter().filter(|seen| seen.target.starts_with("/eureka/apps/USER-SERVICE")).collect();
    let answered = |method: &str, status| seen.iter().any(|seen| seen.method == method && seen.status == status);
    Side::Ours.holds(answered("POST", 204), "its words to our registry", "POST answered 204", &seen)?;
    Side::Ours.holds(answered("PUT", 200), "its words to our registry", "PUT answered 200", &seen)?;
    Side::Ours.holds(answered("DELETE", 200), "its words to our registry", "DELETE answered 200", &seen)?;
    ours.stop().await;
    Ok(())
}

/// A Java service and one of ours refresh each other over our broker.
pub(super) async fn joins_our_broker(peers: &dyn Peers) -> Outcome {
    let (servers, java) = estate(peers).await?;
    let web = Web::new()?;
    let ours = Ours::start(&servers, "interop-on-ours", &[]).await?;
    joined(&ours.url()).await?;
    for (from, sender) in [(java.clone(), "user-service:"), (ours.url(), "interop-on-ours:")] {
        let mark = servers.mark(Peer::Config).await?;
        let text = greet(&servers)?;
        let url = format!("{from}/actuator/busrefresh");
        web.post(&url).await.expect(204, &url)?;
        within(DONE, async || says(&java, &text).await).await?;
        ours_says(&ours, &text).await?;
        within(DONE, async || {
            let events = servers.events(mark).await?;
            let sent: Vec<_> = events.iter().filter(|event| event.kind == REFRESH).collect();
            let one = sent.len() == 1 && sent[0].origin.starts_with(sender);
            Side::Ours.holds(one, "the refresh events that our broker saw", &format!("one from {sender}"), &sent)?;
            let acks = events.iter().filter(|event| event.kind == ACK && event.ack_id.as_ref() == Some(&sent[0].id));
            let from = |name: &str| acks.clone().any(|ack| ack.origin.starts_with(name));
            let both = from("user-service:") && from("interop-on-ours:");
            let expected = format!("one from each service, of {}", sent[0].id);
            Side::Ours.holds(both, "the acks that our broker saw", &expected, &events)
        })
        .await?;
    }
    ours.stop().await;
    Ok(())
}

/// A JSON scalar as text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
