//! Our registry client, Eureka, and services that find one another.

use std::cell::Cell;
use std::time::Duration;

use serde_json::{Value, json};
use vernal::feign::RestClient;

use crate::check::{Outcome, Side, within};
use crate::ours::Ours;
use crate::peers::{Mark, Peer, Peers, Seen};
use crate::service::Echo;
use crate::web::{Answer, Web};

/// A change of the registry is seen by everybody within this: leases of 3 s, fetches each second on our side, Eureka's
/// caches, the Java client's own.
const SEEN: Duration = Duration::from_secs(60);
/// Between two calls of a caller that must not notice anything.
const BETWEEN_CALLS: Duration = Duration::from_millis(20);

/// We register and are called; we look up and call; we leave and are gone.
pub(super) async fn both_ways(peers: &dyn Peers) -> Outcome {
    let (registry, order) = (peers.mark(Peer::Registry).await?, peers.mark(Peer::Order).await?);
    let ours = Ours::start(peers, "interop-ours", &[]).await?;
    let port = ours.url().rsplit(':').next().unwrap_or_default().to_owned();
    let told = within(SEEN, async || {
        let instances = instances(peers, "interop-ours").await?;
        Side::Peer.holds(instances.len() == 1, "the instances of interop-ours", "one", &instances)?;
        Ok(instances)
    })
    .await?;
    Side::Peer.same("our port", port, told[0]["port"].to_string())?;

    let answer = call(peers, "interop-ours", "theirs").await?.expect(200, "the call to us")?;
    let echo: Echo = serde_json::from_value(answer.json)?;
    Side::Peer.same("what we answered", "theirs", echo.path.as_str())?;
    let seen: Vec<_> = ours.journal.seen().into_iter().map(|seen| (seen.method, seen.target)).collect();
    let expected = ("GET".to_owned(), "/echo/theirs?q=1".to_owned());
    Side::Ours.holds(seen.contains(&expected), "the requests that reached us", "GET /echo/theirs?q=1", &seen)?;

    let answer = ours.app.rest()?.get::<Echo>("http://order-service/echo/ours").await?;
    Side::Ours.same("what the order service answered", "ours", answer.path.as_str())?;
    let seen = requests(peers, Peer::Order, order, "/echo/ours").await?;
    Side::Peer.same("our request", vec![("GET".to_owned(), 200)], seen)?;

    ours.stop().await;
    let seen = requests(peers, Peer::Registry, registry, "/eureka/apps/INTEROP-OURS").await?;
    Side::Peer.same("our first word to the registry", Some(&("POST".to_owned(), 204)), seen.first())?;
    Side::Peer.same("our last word to the registry", Some(&("DELETE".to_owned(), 200)), seen.last())?;
    within(SEEN, async || {
        let instances = instances(peers, "interop-ours").await?;
        Side::Peer.holds(instances.is_empty(), "the instances of interop-ours after it left", "none", &instances)
    })
    .await
}

/// An instance takes its leave while we call: no call fails, unless it crosses the closing of the connection that it was
/// sent on. The JDK would send it again, we never do (deviation 1 of `vernal_feign`).
pub(super) async fn instance_stops(peers: &dyn Peers) -> Outcome {
    let mark = peers.mark(Peer::Registry).await?;
    let lost = while_one_of_two_goes(peers, async || peers.stop(Peer::SecondOrder).await).await?;
    let crossed = lost.iter().all(|failure| failure.starts_with("Unexpected end of file from server"));
    Side::Ours.holds(crossed && lost.len() <= 1, "calls while an instance stops", "at most one that crossed", &lost)?;
    let seen = since_registered(peers, mark).await?;
    let left = seen.contains(&("DELETE".to_owned(), 200));
    Side::Peer.holds(left, "what the instance told the registry", "DELETE answered 200", &seen)
}

/// An instance is killed while we call: at most the call that it had begun to answer fails. It says no farewell; the
/// registry drops it when its lease ends.
pub(super) async fn instance_is_killed(peers: &dyn Peers) -> Outcome {
    let mark = peers.mark(Peer::Registry).await?;
    let lost = while_one_of_two_goes(peers, async || peers.kill(Peer::SecondOrder).await).await?;
    Side::Ours.holds(lost.len() <= 1, "calls while an instance is killed", "at most one failure", &lost)?;
    let seen = since_registered(peers, mark).await?;
    let left = seen.iter().any(|(method, _)| method == "DELETE");
    Side::Peer.holds(!left, "what the instance told the registry", "no DELETE", &seen)?;
    let url = format!("{}/apps/order-service", peers.url(Peer::Registry)?);
    let stays = peers.url(Peer::Order)?.rsplit(':').next().unwrap_or_default().to_owned();
    within(SEEN, async || {
        let listed = Web::new()?.get(&url).await.expect(200, &url)?.json;
        let listed = listed["application"]["instance"].as_array().cloned().unwrap_or_default();
        let ports: Vec<_> = listed.iter().map(|instance| instance["port"]["$"].to_string()).collect();
        Side::Peer.same("the ports of order-service in the registry", vec![stays.clone()], ports)
    })
    .await
}

/// What instances of the order service told the registry after the last registration, that one included: an instance that
/// an interrupted run has left behind takes its leave before.
async fn since_registered(peers: &dyn Peers, mark: Mark) -> Outcome<Vec<(String, u16)>> {
    let mut seen = requests(peers, Peer::Registry, mark, "/eureka/apps/ORDER-SERVICE").await?;
    let last = seen.iter().rposition(|seen| *seen == ("POST".to_owned(), 204));
    Side::Peer.holds(last.is_some(), "the registration of the instance", "POST answered 204", &seen)?;
    Ok(seen.split_off(last.unwrap_or_default()))
}

/// Calls the order service without a pause while one of its two instances goes and until the registry has dropped it;
/// gives what went wrong.
async fn while_one_of_two_goes(peers: &dyn Peers, goes: impl AsyncFnOnce() -> Outcome) -> Outcome<Vec<String>> {
    let ours = Ours::start(peers, "interop-caller", &[]).await?;
    peers.start(Peer::SecondOrder).await?;
    until_there_are(&ours, "order-service", 2).await?;
    let second = peers.mark(Peer::SecondOrder).await?;
    let (rest, done) = (ours.app.rest()?, Cell::new(false));
    // The second instance must be one that is called.
    let (_, reached) = tokio::join!(calls(&rest, &done), async {
        let reached = within(SEEN, async || {
            let seen = requests(peers, Peer::SecondOrder, second, "/echo/on").await?;
            Side::Peer.holds(!seen.is_empty(), "calls to the second instance", "some", &seen)
        });
        let reached = reached.await;
        done.set(true);
        reached
    });
    reached?;
    done.set(false);
    let mark = peers.mark(Peer::Order).await?;
    let (lost, gone) = tokio::join!(calls(&rest, &done), async {
        let gone = async {
            goes().await?;
            until_there_are(&ours, "order-service", 1).await
        };
        let gone = gone.await;
        done.set(true);
        gone
    });
    gone?;
    let seen = requests(peers, Peer::Order, mark, "/echo/on").await?;
    Side::Peer.holds(!seen.is_empty(), "calls to the instance that stays", "some", seen.len())?;
    ours.stop().await;
    Ok(lost)
}

/// The registry is away and comes back empty: calls go on, we register again and are found.
pub(super) async fn registry_restarts(peers: &dyn Peers) -> Outcome {
    let ours = Ours::start(peers, "interop-stays", &[]).await?;
    until_there_are(&ours, "order-service", 1).await?;
    let (rest, done) = (ours.app.rest()?, Cell::new(false));
    let (lost, mark) = tokio::join!(calls(&rest, &done), async {
        let restart = async {
            peers.stop(Peer::Registry).await?;
            let without = rest.get::<Echo>("http://order-service/echo/without").await;
            let answered = without.as_ref().is_ok_and(|echo| echo.path == "without");
            Side::Ours.holds(answered, "a call without a registry", "an answer", &without)?;
            peers.start(Peer::Registry).await?;
            let mark = peers.mark(Peer::Registry).await;
            within(SEEN, async || {
                let found = instances(peers, "interop-stays").await?;
                Side::Peer.holds(found.len() == 1, "our instances after the restart", "one", &found)
            })
            .await?;
            mark
        };
        let mark = restart.await;
        done.set(true);
        mark
    });
    // The journal is new with the registry's run, and the mark may come after our first word.
    let _ = mark?;
    Side::Ours.holds(lost.is_empty(), "calls while the registry restarts", "no failure", &lost)?;
    let start = peers.start_mark();
    let seen = requests(peers, Peer::Registry, start, "/eureka/apps/INTEROP-STAYS").await?;
    let unknown = seen.iter().position(|seen| *seen == ("PUT".to_owned(), 404));
    let again = seen.iter().position(|seen| *seen == ("POST".to_owned(), 204));
    let in_order = unknown.is_some() && unknown < again;
    Side::Peer.holds(in_order, "what we told the new registry", "PUT answered 404, then POST answered 204", &seen)?;
    ours.stop().await;
    Ok(())
}

/// Calls the order service until `done`; gives what the calls failed with.
async fn calls(rest: &RestClient, done: &Cell<bool>) -> Vec<String> {
    let mut lost = Vec::new();
    while !done.get() {
        match rest.get::<Echo>("http://order-service/echo/on").await {
            Ok(echo) if echo.path == "on" => {}
            Ok(echo) => lost.push(format!("{echo:?}")),
            Err(error) => lost.push(vernal::commons::chain::Chain(&error).to_string()),
        }
        tokio::time::sleep(BETWEEN_CALLS).await;
    }
    lost
}

/// Waits until we know so many instances of a service.
pub(super) async fn until_there_are(ours: &Ours, service: &str, count: usize) -> Outcome {
    within(SEEN, async || {
        let view = ours.app.discovery().lookup(service)?;
        let ids: Vec<_> = view.instances().map(|instance| instance.instance_id().to_owned()).collect();
        Side::Ours.holds(ids.len() == count, format!("the instances of {service}"), &count.to_string(), &ids)
    })
    .await
}

/// The instances of a service as the peers' user service finds them.
pub(super) async fn instances(peers: &dyn Peers, service: &str) -> Outcome<Vec<Value>> {
    let url = format!("{}/instances/{service}", peers.url(Peer::User)?);
    let answer = Web::new()?.get(&url).await.expect(200, &url)?;
    Ok(answer.json.as_array().cloned().unwrap_or_default())
}

/// Waits until the peers' user service finds our service.
pub(super) async fn until_found(peers: &dyn Peers, service: &str) -> Outcome {
    within(SEEN, async || {
        let found = instances(peers, service).await?;
        Side::Peer.holds(found.len() == 1, format!("the instances of {service}"), "one", &found)
    })
    .await
}

/// Lets the peers' user service call `/echo/{path}?q=1` of a service.
async fn call(peers: &dyn Peers, service: &str, path: &str) -> Outcome<Answer> {
    let url = format!("{}/calls/{service}", peers.url(Peer::User)?);
    Ok(Web::new()?.post_json(&url, &json!({"path": path, "query": ["1"]})).await)
}

async fn requests(peers: &dyn Peers, peer: Peer, since: Mark, below: &str) -> Outcome<Vec<(String, u16)>> {
    let fits = |seen: &Seen| seen.target.starts_with(below);
    let seen = peers.requests(peer, since).await?.into_iter().filter(fits);
    Ok(seen.map(|seen| (seen.method, seen.status)).collect())
}
