//! What to do with a message that has come in. No I/O.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::counters::Tally;
use crate::destination::Scope;
use crate::encoding::{self, Unreadable};
use crate::event::{Ack, Envelope, Kind, Malformed, Target, Values};
use crate::id::BusId;
use crate::transport::Message;
use vernal_commons::chain::Chain;

/// Largest body that is read.
const MAX_BODY: usize = 1 << 20;
/// Own events that are remembered.
const MAX_SENT: usize = 1024;
/// Foreign events that are remembered, and for how long.
const MAX_SEEN: usize = 4096;
const SEEN_FOR: Duration = Duration::from_secs(600);

/// Judges messages, one after the other.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) id: BusId,
    pub(crate) aliases: Vec<String>,
    /// Whether refresh, env-change and shutdown events are acted on.
    pub(crate) listens: Listens,
    pub(crate) sent: Arc<SentIds>,
    pub(crate) tally: Arc<Tally>,
    seen: SeenIds,
    malformed_log: Throttle,
    unsupported_log: Throttle,
    same_id_log: Throttle,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Listens {
    pub(crate) refresh: bool,
    pub(crate) env: bool,
    pub(crate) shutdown: bool,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Nothing,
    /// Acknowledge only: the event needs no handler here.
    Acknowledge(Receipt),
    Refresh(Scope, Option<Receipt>),
    Environment(Values, Option<Receipt>),
    Shutdown(Option<Receipt>),
    /// A foreign ack, for those who listen.
    Heard(Ack),
}

/// What an ack says about the event that was handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) event_id: String,
    pub(crate) destination: Option<String>,
    pub(crate) class: &'static str,
}

impl Inbox {
    pub(crate) fn new(
        id: BusId,
        aliases: Vec<String>,
        listens: Listens,
        sent: Arc<SentIds>,
        tally: Arc<Tally>,
    ) -> Self {
        Self {
            id,
            aliases,
            listens,
            sent,
            tally,
            seen: SeenIds::default(),
            malformed_log: Throttle::every(Duration::from_secs(60)),
            unsupported_log: Throttle::every(Duration::from_secs(3600)),
            same_id_log: Throttle::every(Duration::from_secs(3600)),
        }
    }

    /// Judges a message that came at `now`; `acks` says whether anybody wants to hear foreign acks.
    pub(crate) fn judge(&mut self, message: &Message, now: Instant, acks: bool) -> Verdict {
        self.tally.received.one();
        if message.body.len() > MAX_BODY {
            self.tally.oversize.one();
            return Verdict::Nothing;
        }
        let encoding = message.content_encoding.as_deref();
        let body = match (is_json(message.content_type.as_deref()), encoding::decode(&message.body, encoding)) {
            (true, Ok(body)) => body,
            (false, _) | (true, Err(Unreadable::Unsupported)) => {
                self.tally.unsupported.one();
                if self.unsupported_log.ready(now) {
                    let content_type = &message.content_type;
                    tracing::warn!(?content_type, ?encoding, "ignoring a bus message of an unsupported content type");
                }
                return Verdict::Nothing;
            }
            (true, Err(Unreadable::Oversize)) => {
                self.tally.oversize.one();
                return Verdict::Nothing;
            }
            (true, Err(error @ Unreadable::Malformed(_))) => return self.malformed(&message.body, &error, now),
        };
        let judged = Envelope::read(&body).and_then(|envelope| self.judge_event(envelope, now, acks));
        judged.unwrap_or_else(|error| self.malformed(&body, &error, now))
    }

    fn malformed(&mut self, body: &[u8], error: &(dyn std::error::Error + 'static), now: Instant) -> Verdict {
        self.tally.malformed.one();
        if self.malformed_log.ready(now) {
            // Nothing of the body, which may be an env-change event with secrets.
            tracing::warn!(error = %Chain(error), bytes = body.len(), "ignoring a malformed bus message");
        }
        Verdict::Nothing
    }

    fn judge_event(&mut self, envelope: Envelope<'_>, now: Instant, acks: bool) -> Result<Verdict, Malformed> {
        let origin = envelope.origin();
        let same_origin = origin.as_deref() == Some(self.id.as_str());
        match envelope.type_name().as_deref() {
            Some("AckRemoteApplicationEvent") => {
                // Acks are the bulk of the traffic: nothing more is read unless somebody wants to know.
                if same_origin {
                    return Ok(Verdict::Nothing);
                }
                self.tally.acks_received.one();
                return Ok(if acks { Verdict::Heard(envelope.ack()) } else { Verdict::Nothing });
            }
            Some(
                "RefreshRemoteApplicationEvent"
                | "EnvironmentChangeRemoteApplicationEvent"
                | "ShutdownRemoteApplicationEvent",
            ) => {}
            other => {
                self.tally.unknown_type.one();
                tracing::debug!(event_type = ?other, "ignoring a bus event of an unknown type");
                return Ok(Verdict::Nothing);
            }
        }
        let destination = envelope.destination()?;
        if destination == Target::Absent {
            self.tally.no_destination.one();
            return Ok(Verdict::Nothing);
        }
        if !destination.matches(self.id.as_str(), &self.aliases) {
            self.tally.not_for_us.one();
            return Ok(Verdict::Nothing);
        }
        let id = envelope.id();
        let claim = match id.as_deref() {
            Some(id) if same_origin => self.sent.claim(id),
            _ => Claim::Foreign,
        };
        match claim {
            Claim::Foreign => {
                if same_origin {
                    self.tally.duplicate_bus_id.one();
                    if self.same_id_log.ready(now) {
                        tracing::warn!(bus_id = %self.id, "another process uses our bus id");
                    }
                }
                if id.as_deref().is_some_and(|id| self.seen.insert(id, now)) {
                    self.tally.duplicate.one();
                    return Ok(Verdict::Nothing);
                }
            }
            Claim::First | Claim::Again => self.tally.own.one(),
        }
        let event = envelope.open()?;
        let receipt = id.map(Cow::into_owned).map(|event_id| Receipt {
            event_id,
            destination: destination.pattern().map(str::to_owned),
            class: event.kind.java_class(),
        });
        let scope = Scope::of(destination.pattern());
        Ok(self.act(event.kind, scope, receipt, claim))
    }

    fn act(&self, kind: Kind, scope: Scope, receipt: Option<Receipt>, claim: Claim) -> Verdict {
        let foreign = claim == Claim::Foreign;
        if foreign {
            self.tally.handled.one();
        }
        let acknowledge = |receipt: Option<Receipt>| receipt.map_or(Verdict::Nothing, Verdict::Acknowledge);
        match kind {
            Kind::Refresh if !self.listens.refresh => acknowledge(receipt),
            // The refresh that `publish_refresh` asked for sends the ack.
            Kind::Refresh if claim == Claim::Again => Verdict::Nothing,
            Kind::Refresh => Verdict::Refresh(scope, receipt),
            // `publish_env` has called the handler before it published; it claims the event if that went well.
            Kind::EnvironmentChange(_) if claim == Claim::First && self.listens.env => Verdict::Nothing,
            Kind::EnvironmentChange(_) if !foreign || !self.listens.env => acknowledge(receipt),
            Kind::EnvironmentChange(values) => Verdict::Environment(values, receipt),
            Kind::Shutdown if self.listens.shutdown => Verdict::Shutdown(receipt),
            Kind::Shutdown => {
                self.tally.shutdown_ignored.one();
                tracing::warn!("ignoring a shutdown event: `spring.cloud.bus.shutdown.enabled` is off");
                Verdict::Nothing
            }
            Kind::Ack(_) | Kind::Unknown(_) => Verdict::Nothing,
        }
    }
}

/// Media types that are read as JSON: more than Spring 5 does, which fails on all but `application/json`. Parameters
/// do not count.
fn is_json(content_type: Option<&str>) -> bool {
    let Some(text) = content_type else { return true };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.split_once('/') {
        None => essence.is_empty(),
        Some(("application", "json" | "octet-stream") | ("text", "json")) => true,
        Some((kind, subtype)) => !kind.is_empty() && subtype.len() > "+json".len() && subtype.ends_with("+json"),
    }
}

/// The ids of our own events, and whether they have been handled here.
#[derive(Debug, Default)]
pub(crate) struct SentIds {
    ids: Mutex<VecDeque<(String, bool)>>,
}

/// Whose an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    Foreign,
    /// Ours, and not handled here yet.
    First,
    /// Ours, and handled.
    Again,
}

impl SentIds {
    /// Remembers an event before it is sent, since it may come back before the sender goes on.
    pub(crate) fn remember(&self, id: &str) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.len() == MAX_SENT {
            ids.pop_front();
        }
        ids.push_back((id.to_owned(), false));
    }

    /// Asks for the right to handle an event of our own: it is given once.
    pub(crate) fn claim(&self, id: &str) -> Claim {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        match ids.iter_mut().rev().find(|(sent, _)| sent == id) {
            None => Claim::Foreign,
            Some((_, claimed)) if *claimed => Claim::Again,
            Some((_, claimed)) => {
                *claimed = true;
                Claim::First
            }
        }
    }
}

/// The ids of foreign events of the last minutes, as hashes with a secret seed: ids can be long and hostile.
#[derive(Debug, Default)]
struct SeenIds {
    hasher: RandomState,
    times: HashMap<u64, Instant>,
    order: VecDeque<(u64, Instant)>,
}

impl SeenIds {
    /// Whether `id` was seen before; remembers it.
    fn insert(&mut self, id: &str, now: Instant) -> bool {
        while let Some((hash, time)) = self.order.front().copied() {
            if self.order.len() < MAX_SEEN && now.duration_since(time) < SEEN_FOR {
                break;
            }
            self.order.pop_front();
            self.times.remove(&hash);
        }
        let hash = self.hasher.hash_one(id);
        if self.times.contains_key(&hash) {
            return true;
        }
        self.times.insert(hash, now);
        self.order.push_back((hash, now));
        false
    }
}

/// Lets a log line through once in a while.
#[derive(Debug)]
struct Throttle {
    every: Duration,
    last: Option<Instant>,
}

impl Throttle {
    const fn every(every: Duration) -> Self {
        Self { every, last: None }
    }

    fn ready(&mut self, now: Instant) -> bool {
        let ready = self.last.is_none_or(|last| now.duration_since(last) >= self.every);
        if ready {
            self.last = Some(now);
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_that_are_json() {
        let yes = ["application/json", "Application/JSON; charset=UTF-8", "", "text/json", "application/vnd.x+json"];
        yes.iter().for_each(|text| assert!(is_json(Some(text)), "{text}"));
        let no = ["text/plain", "*/*", "application/cbor", "\"application/json\"", "json", "application/+json"];
        no.iter().for_each(|text| assert!(!is_json(Some(text)), "{text}"));
        assert!(is_json(None));
    }

    #[test]
    fn seen_ids_are_bounded_and_grow_old() {
        let (mut seen, now) = (SeenIds::default(), Instant::now());
        assert!(!seen.insert("a", now) && seen.insert("a", now));
        (0..MAX_SEEN).for_each(|n| assert!(!seen.insert(&n.to_string(), now)));
        assert!(seen.order.len() <= MAX_SEEN && seen.times.len() <= MAX_SEEN);
        assert!(!seen.insert("a", now), "pushed out by newer ones");
        assert!(!seen.insert("a", now + SEEN_FOR), "too old");
    }

    #[test]
    fn own_event_is_claimed_once_and_forgotten_after_a_thousand_more() {
        let sent = SentIds::default();
        sent.remember("a");
        assert_eq!([sent.claim("a"), sent.claim("a"), sent.claim("b")], [Claim::First, Claim::Again, Claim::Foreign]);
        (0..MAX_SENT).for_each(|n| sent.remember(&n.to_string()));
        assert_eq!(sent.claim("a"), Claim::Foreign);
    }
}
