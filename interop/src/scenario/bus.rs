//! Our bus client and other nodes of the bus.

use std::time::Duration;

use vernal::bus::{AmqpTransport, Bus, BusId, BusSettings, State};
use vernal::config::Settings;

use super::config::{targets, write};
use crate::check::{Outcome, Side, within};
use crate::ours::Ours;
use crate::peers::{BusEvent, Capability, Mark, Peer, Peers};
use crate::web::Web;

pub(super) const REFRESH: &str = "RefreshRemoteApplicationEvent";
pub(super) const ACK: &str = "AckRemoteApplicationEvent";
/// An event has done its work everywhere within this.
const DONE: Duration = Duration::from_secs(30);
/// The bus is joined again within this: the longest pause between two tries is 30 s.
const JOINED: Duration = Duration::from_secs(60);
/// After so long without a fetch no refresh is under way any more: between two of them our client waits for a second.
const QUIET: Duration = Duration::from_millis(1500);
/// Java's services answer fifty events one after the other.
const LONG: Duration = Duration::from_secs(90);
/// So many refreshes at once.
const MANY: usize = 50;

/// A refresh that a peer asks for reaches us, and it sees our ack.
pub(super) async fn theirs_refreshes_ours(peers: &dyn Peers) -> Outcome {
    let ours = on_the_bus(peers, "interop-theirs").await?;
    let mark = peers.mark(Peer::Order).await?;
    let text = greet(peers)?;
    post(&format!("{}/actuator/busrefresh", peers.url(Peer::Order)?)).await?;
    ours_says(&ours, &text).await?;
    theirs_says(peers, Peer::Order, &text).await?;
    theirs_says(peers, Peer::User, &text).await?;
    let event = refreshed_by(peers, mark, "order-service:").await?;
    acked(peers, mark, "interop-theirs:", Some(&event)).await?;
    ours.stop().await;
    Ok(())
}

/// A refresh that we are asked for reaches the peers.
pub(super) async fn ours_refreshes_theirs(peers: &dyn Peers) -> Outcome {
    let ours = on_the_bus(peers, "interop-publisher").await?;
    let mark = peers.mark(Peer::Order).await?;
    let text = greet(peers)?;
    post(&format!("{}/actuator/busrefresh", ours.url())).await?;
    theirs_says(peers, Peer::Order, &text).await?;
    theirs_says(peers, Peer::User, &text).await?;
    ours_says(&ours, &text).await?;
    let events = peers.events(mark).await?;
    let sent: Vec<_> = events.iter().filter(|event| event.kind == REFRESH).collect();
    let one = sent.len() == 1 && sent[0].origin.starts_with("interop-publisher:");
    Side::Peer.holds(one, "the refresh events", "one, from interop-publisher", &sent)?;
    Side::Peer.same("its destination", Some("**"), sent[0].destination.as_deref())?;
    acked(peers, mark, "order-service:", Some(&sent[0].id)).await?;
    ours.stop().await;
    Ok(())
}

/// One service, one instance, nobody, all: only who is meant fetches and acknowledges, whoever asks.
pub(super) async fn destinations(peers: &dyn Peers) -> Outcome {
    let ours = on_the_bus(peers, "interop-addressed").await?;
    quiet(peers).await?;
    let (order, user) = (peers.url(Peer::Order)?, peers.url(Peer::User)?);
    let one = |service: &str, url: &str| format!("{service}:{}", url.rsplit(':').next().unwrap_or_default());
    let before = ours.greeting()?;
    let start = (peers.mark(Peer::Config).await?, peers.mark(Peer::Order).await?);
    let ask = async |from: &str, whom: &str| {
        let (mark, text) = (peers.mark(Peer::Order).await?, greet(peers)?);
        post(&format!("{from}/actuator/busrefresh{whom}")).await?;
        Ok::<_, vernal::BoxError>((mark, text))
    };

    // A service: the peer that publishes is another one than the peer that is meant; then we publish.
    for (from, sender) in [(&user, "user-service:"), (&ours.url(), "interop-addressed:")] {
        let (mark, text) = ask(from, "/order-service").await?;
        theirs_says(peers, Peer::Order, &text).await?;
        let event = refreshed_by(peers, mark, sender).await?;
        acked(peers, mark, "order-service:", Some(&event)).await?;
    }
    // One instance, from us.
    let (mark, shown) = ask(&ours.url(), &format!("/{}", one("order-service", &order)).replace(':', "/")).await?;
    theirs_says(peers, Peer::Order, &shown).await?;
    let event = refreshed_by(peers, mark, "interop-addressed:").await?;
    acked(peers, mark, "order-service:", Some(&event)).await?;
    // An instance that is not there: nobody.
    ask(&ours.url(), "/order-service:1").await?;
    // Us alone, from a peer, as an instance and as a service.
    for whom in [one("interop-addressed", &ours.url()), "interop-addressed".to_owned()] {
        let (mark, text) = ask(&order, &format!("/{whom}")).await?;
        ours_says(&ours, &text).await?;
        let event = refreshed_by(peers, mark, "order-service:").await?;
        acked(peers, mark, "interop-addressed:", Some(&event)).await?;
    }
    let (theirs, users) = (greeting_of(&order).await?, greeting_of(&user).await?);
    Side::Peer.same(
        "the greetings of order-service and user-service before the last event",
        (shown, before),
        (theirs, users),
    )?;
    // All.
    let (mark, last) = ask(&ours.url(), "").await?;
    theirs_says(peers, Peer::Order, &last).await?;
    theirs_says(peers, Peer::User, &last).await?;
    ours_says(&ours, &last).await?;
    let event = refreshed_by(peers, mark, "interop-addressed:").await?;
    for node in ["order-service:", "user-service:", "interop-addressed:"] {
        acked(peers, mark, node, Some(&event)).await?;
    }
    // Events come in order: who has handled the last one has handled, or left alone, all before it.
    quiet(peers).await?;
    let events = peers.events(start.1).await?;
    for (node, side, meant) in
        [("order-service", Side::Peer, 4), ("user-service", Side::Peer, 1), ("interop-addressed", Side::Ours, 3)]
    {
        let of_node = |event: &&BusEvent| event.kind == ACK && event.origin.starts_with(&format!("{node}:"));
        let acks = events.iter().filter(of_node).count();
        let fetches = targets(peers, Peer::Config, start.0, &format!("/{node}/")).await?.len();
        side.same(format!("the acks and the fetches of {node}"), (meant, meant), (acks, fetches))?;
    }
    ours.stop().await;
    Ok(())
}

/// A bare node of ours sees the acks of all nodes, and the peers see ours.
pub(super) async fn acks(peers: &dyn Peers) -> Outcome {
    let port = peers.broker_port().to_string();
    // An ack says that the work is done, which may be put off by 15 s otherwise.
    let at_once =
        ["quiet-period", "jitter.service", "jitter.fleet"].map(|key| (format!("spring.cloud.bus.{key}"), "0"));
    let settings = [("spring.rabbitmq.port".to_owned(), port.as_str())].into_iter().chain(at_once);
    let settings = Settings::fixed(settings);
    let node = Bus::builder(settings.bind::<BusSettings>("spring.cloud.bus")?, BusId::new("interop-bare:1:a")?)
        .transport(AmqpTransport::new(settings.bind("spring.rabbitmq")?)?)
        .on_refresh(|| async { Ok(Vec::new()) })
        .start()?;
    let consuming = tokio::time::timeout(JOINED, node.states().reach(|state| state == State::Consuming)).await;
    Side::Ours.holds(matches!(consuming, Ok(Some(_))), "the bare node", "on the bus", &consuming)?;
    let mark = peers.mark(Peer::Order).await?;
    let mut acks = node.acks();
    let id = node.publish_refresh(None).await?;
    let (mut missing, mut seen) = (vec!["order-service:", "user-service:", "interop-bare:"], Vec::new());
    let collected = tokio::time::timeout(DONE, async {
        while !missing.is_empty() {
            let Some(ack) = acks.next().await else { break };
            let from = ack.node.clone().unwrap_or_default();
            if ack.event_id.as_deref() == Some(id.as_str()) {
                missing.retain(|node| !from.starts_with(node));
            }
            seen.push(ack);
        }
    });
    let in_time = collected.await.is_ok();
    Side::Ours.holds(in_time && missing.is_empty(), "acks of our event", "one from each node", (&missing, &seen))?;
    let class = seen.first().and_then(|ack| ack.event_class.clone()).unwrap_or_default();
    Side::Ours.holds(class.ends_with(REFRESH), "the class that is acknowledged", REFRESH, &class)?;
    acked(peers, mark, "interop-bare:", Some(&id)).await?;
    node.stop().await;
    Ok(())
}

/// The broker is away: a change made meanwhile is visible when it is back, without any event: a refresh that was refused
/// is not sent later.
pub(super) async fn broker_restarts(peers: &dyn Peers) -> Outcome {
    let ours = on_the_bus(peers, "interop-survivor").await?;
    quiet(peers).await?;
    let mark = peers.mark(Peer::Order).await?;
    peers.stop(Peer::Broker).await?;
    let text = greet(peers)?;
    let refresh = format!("{}/actuator/busrefresh", ours.url());
    within(DONE, async || {
        let answer = Web::new()?.post(&refresh).await;
        let told = (answer.status, answer.retry_after.as_deref());
        Side::Ours.same("busrefresh without a broker", (503, Some("5")), told)
    })
    .await?;
    let before = ours.greeting()?;
    Side::Ours.holds(before != text, "our greeting without a broker", "the old one", &before)?;
    tokio::time::sleep(peers.outage()).await;
    peers.start(Peer::Broker).await?;
    let seen = within(JOINED, async || Side::Ours.same("our greeting", text.as_str(), ours.greeting()?.as_str()));
    seen.await?;
    // Who was sent an event has it in its journal when it has fetched.
    quiet(peers).await?;
    let events = peers.events(mark).await?;
    let refreshes: Vec<_> = events.iter().filter(|event| event.kind == REFRESH).collect();
    Side::Peer.holds(refreshes.is_empty(), "the refresh events since the broker was stopped", "none", &refreshes)?;
    // The bus works again, both ways.
    within(JOINED, async || {
        let text = greet(peers)?;
        Web::new()?.post(&refresh).await.expect(204, "busrefresh with the broker back")?;
        within(Duration::from_secs(3), async || says(&peers.url(Peer::Order)?, &text).await).await
    })
    .await?;
    let mark = peers.mark(Peer::Order).await?;
    let text = greet(peers)?;
    post(&format!("{}/actuator/busrefresh", peers.url(Peer::Order)?)).await?;
    ours_says(&ours, &text).await?;
    let event = refreshed_by(peers, mark, "order-service:").await?;
    acked(peers, mark, "interop-survivor:", Some(&event)).await?;
    ours.stop().await;
    Ok(())
}

/// Fifty refreshes at once are one or two fetches, and the last value is visible.
pub(super) async fn fifty_at_once(peers: &dyn Peers) -> Outcome {
    // Spring has no such setting; the repository of the examples sets it to 0.
    fifty(peers, &[("spring.cloud.bus.quiet-period", "500ms")], Asked::Theirs).await
}

/// The same at a service that has none of the settings of the examples' repository: it waits, and at random, too.
pub(super) async fn fifty_by_default(peers: &dyn Peers) -> Outcome {
    let defaults = BusSettings::default();
    let millis = |time: Duration| format!("{}ms", time.as_millis());
    let (quiet, service, fleet) =
        (millis(defaults.quiet_period), millis(defaults.jitter.service), millis(defaults.jitter.fleet));
    let settings = [
        ("spring.cloud.bus.quiet-period", quiet.as_str()),
        ("spring.cloud.bus.jitter.service", &service),
        ("spring.cloud.bus.jitter.fleet", &fleet),
    ];
    fifty(peers, &settings, Asked::Theirs).await
}

/// The same when it is our service that is asked: their services show the last value and acknowledge every event.
pub(super) async fn fifty_at_ours(peers: &dyn Peers) -> Outcome {
    fifty(peers, &[("spring.cloud.bus.quiet-period", "500ms")], Asked::Ours).await
}

/// Whom fifty refreshes are asked for.
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    Ours,
    Theirs,
}

async fn fifty(peers: &dyn Peers, settings: &[(&str, &str)], asked: Asked) -> Outcome {
    let ours = Ours::start(peers, "interop-fifty", settings).await?;
    settled(&ours, peers).await?;
    quiet(peers).await?;
    let (config, order) = (peers.mark(Peer::Config).await?, peers.mark(Peer::Order).await?);
    let text = greet(peers)?;
    let (side, url) = match asked {
        Asked::Ours => (Side::Ours, ours.url()),
        Asked::Theirs => (Side::Peer, peers.url(Peer::Order)?),
    };
    let (web, url) = (Web::new()?, format!("{url}/actuator/busrefresh"));
    let mut posts = tokio::task::JoinSet::new();
    for _ in 0..MANY {
        let (web, url) = (web.clone(), url.clone());
        posts.spawn(async move { web.post(&url).await.status });
    }
    let statuses = posts.join_all().await;
    side.same("the answers to busrefresh", vec![204; MANY], statuses)?;
    ours_says(&ours, &text).await?;
    theirs_says(peers, Peer::Order, &text).await?;
    theirs_says(peers, Peer::User, &text).await?;
    // Every event is acknowledged by everybody, so none is under way any more.
    within(LONG, async || {
        let events = peers.events(order).await?;
        let sent = events.iter().filter(|event| event.kind == REFRESH).count();
        let acks =
            |node: &str| events.iter().filter(|event| event.kind == ACK && event.origin.starts_with(node)).count();
        let acks = [acks("interop-fifty:"), acks("order-service:"), acks("user-service:")];
        Side::Peer.same("the events, and the acks of each service", (MANY, [MANY; 3]), (sent, acks))
    })
    .await?;
    let fetches = targets(peers, Peer::Config, config, "/interop-fifty/").await?;
    Side::Peer.holds(matches!(fetches.len(), 1 | 2), "our fetches for fifty events", "one or two", &fetches)?;
    Side::Ours.same("our greeting", text.as_str(), ours.greeting()?.as_str())?;
    ours.stop().await;
    Ok(())
}

/// A service of ours that is on the bus.
async fn on_the_bus(peers: &dyn Peers, name: &str) -> Outcome<Ours> {
    let ours = Ours::start(peers, name, &[]).await?;
    settled(&ours, peers).await?;
    Ok(ours)
}

/// Waits until our service and the peers hear the bus.
pub(super) async fn settled(ours: &Ours, peers: &dyn Peers) -> Outcome {
    let text = greet(peers)?;
    joined(&ours.url()).await?;
    for peer in [Peer::Order, Peer::User] {
        theirs_says(peers, peer, &text).await?;
    }
    ours_says(ours, &text).await
}

/// Waits until our service at this URL can publish: it subscribes before.
pub(super) async fn joined(url: &str) -> Outcome {
    let url = format!("{url}/actuator/busrefresh");
    within(JOINED, async || Web::new()?.post(&url).await.expect(204, "busrefresh at ours").map(drop)).await
}

/// Waits until nobody fetches settings: what made a greeting visible may have been a node's own catching up, and the
/// event that was meant to do so is then still to come.
pub(super) async fn quiet(peers: &dyn Peers) -> Outcome {
    within(DONE, async || {
        let mark = peers.mark(Peer::Config).await?;
        tokio::time::sleep(QUIET).await;
        let seen = peers.requests(Peer::Config, mark).await?;
        Side::Peer.holds(seen.is_empty(), "fetches of settings", "none for a while", seen.len())
    })
    .await
}

/// Changes the greeting of all services in the config repository; gives the new one.
pub(crate) fn greet(peers: &dyn Peers) -> Outcome<String> {
    let text = format!("Hello {}", uuid_like());
    let file = std::fs::read_to_string(peers.config_repo().join("application.yml"))?;
    let lines = file.lines().map(|line| match line.starts_with("  message: ") {
        true => format!("  message: {text}\n"),
        false => format!("{line}\n"),
    });
    write(peers, "application.yml", &lines.collect::<String>())?;
    Ok(text)
}

/// A number that no greeting had before.
fn uuid_like() -> u64 {
    vernal::commons::random::Random::new().next_u64()
}

async fn post(url: &str) -> Outcome {
    Web::new()?.post(url).await.expect(204, url).map(drop)
}

pub(super) async fn ours_says(ours: &Ours, text: &str) -> Outcome {
    within(DONE, async || Side::Ours.same("our greeting", text, ours.greeting()?.as_str())).await?;
    let shown = Web::new()?.get(&format!("{}/welcome", ours.url())).await.text;
    Side::Ours.same("what we answer to /welcome", text, shown.as_str())
}

pub(super) async fn theirs_says(peers: &dyn Peers, peer: Peer, text: &str) -> Outcome {
    within(DONE, async || says(&peers.url(peer)?, text).await).await
}

/// The service at this URL greets so.
pub(super) async fn says(url: &str, text: &str) -> Outcome {
    let shown = greeting_of(url).await?;
    Side::Peer.same(format!("{url}/welcome"), text, shown.as_str())
}

async fn greeting_of(url: &str) -> Outcome<String> {
    Ok(Web::new()?.get(&format!("{url}/welcome")).await.text)
}

/// After a refresh that this service is asked for, all show the new greeting.
pub(super) async fn all_refreshed(servers: &dyn Peers, from: &str, all: &[(Side, String)]) -> Outcome {
    let text = greet(servers)?;
    post(&format!("{from}/actuator/busrefresh")).await?;
    for (side, url) in all {
        within(DONE, async || {
            let shown = greeting_of(url).await?;
            side.same(format!("{url}/welcome after {from} was asked"), text.as_str(), shown.as_str())
        })
        .await?;
    }
    Ok(())
}

/// Waits for the one refresh event from a node whose id starts so that the order service could see: what it sends itself,
/// and what is for it. Gives its id.
pub(super) async fn refreshed_by(peers: &dyn Peers, since: Mark, from: &str) -> Outcome<String> {
    within(DONE, async || {
        let events = peers.events(since).await?;
        let sent = events.iter().filter(|event| event.kind == REFRESH && event.origin.starts_with(from));
        let ids: Vec<_> = sent.map(|event| event.id.clone()).collect();
        Side::Peer.holds(ids.len() == 1, format!("the refresh events from {from}"), "one", &events)?;
        Ok(ids.concat())
    })
    .await
}

/// Waits for an ack from a node whose id starts so; of the event with this id, if the scenario knows it.
///
/// A Spring 5 receiver reads null as the id from every ack but its own (see `BusJournal` of the Java peers): from there
/// an ack without an id counts, unless it is the order service's own.
pub(super) async fn acked(peers: &dyn Peers, since: Mark, from: &str, event: Option<&str>) -> Outcome {
    let read_as_null = peers.can(Capability::SpringServices) && !from.starts_with(Peer::Order.name());
    within(DONE, async || {
        let events = peers.events(since).await?;
        let acks = events.into_iter().filter(|event| event.kind == ACK).collect::<Vec<_>>();
        let of_event = |ack: &BusEvent| match (event, &ack.ack_id) {
            (Some(expected), Some(id)) => id == expected,
            (Some(_), None) => read_as_null,
            (None, _) => true,
        };
        let found = acks.iter().any(|ack| ack.origin.starts_with(from) && of_event(ack));
        let expected = format!("one from {from} of {}", event.unwrap_or("any event"));
        Side::Peer.holds(found, "the acks", &expected, &acks)
    })
    .await
}
