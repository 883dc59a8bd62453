//! Who is registered: leases, status overrides, recent changes and evictions.
//!
//! Everything here is a plain state machine: the time comes in as an argument, nothing waits.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use indexmap::IndexMap;
use tokio::time::Instant;
use vernal_commons::random::Random;

use super::record::{Action, Record, Stamps, Status};

/// An override is forgotten this long after its last use (`AbstractInstanceRegistry`, Eureka 2.0.5).
const OVERRIDE_LIFE: Duration = Duration::from_secs(3600);
/// `eureka.server.renewal-percent-threshold`.
const RENEWAL_PERCENT: f64 = 0.85;
/// `eureka.server.expected-client-renewal-interval-seconds`.
const EXPECTED_INTERVAL: f64 = 30.0;

/// A moment on both clocks: the one that runs and the one that is written on the wire.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) at: Instant,
    /// Milliseconds since 1970.
    pub(super) wall: u64,
}

/// How leases end and how long changes are told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) eviction_interval: Duration,
    pub(super) delta_retention: Duration,
    pub(super) delta_purge_interval: Duration,
    /// Java's arithmetic: a renewed lease lasts twice its duration.
    pub(super) doubled_leases: bool,
    /// At most 15 % of the registry goes in one scan.
    pub(super) eviction_limit: bool,
    pub(super) self_preservation: bool,
}

/// What became of a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Renewal {
    Renewed,
    /// The client shall register.
    NotFound,
}

/// A status change that was understood, but whose time stamp was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadTimestamp;

#[derive(Debug, Clone)]
pub(super) struct Lease {
    pub(super) record: Record,
    pub(super) stamps: Stamps,
    duration: Duration,
    expires: Instant,
}

/// The state of the registry.
#[derive(Debug)]
pub(super) struct Leases {
    rules: Rules,
    /// Application name to instance id to the number of the lease.
    apps: IndexMap<String, IndexMap<String, u64>>,
    /// Leases by number: those in `apps`, and ended or replaced ones that `changes` still tells of.
    leases: HashMap<u64, Lease>,
    last_lease: u64,
    changes: VecDeque<(Instant, u64)>,
    /// By instance id alone, as in Eureka.
    overrides: HashMap<String, (Status, Instant)>,
    next_eviction: Instant,
    next_purge: Instant,
    expected_clients: u64,
    renewals: PerMinute,
    random: Random,
}

/// Counts what happens in each minute; the last complete one is the measure.
#[derive(Debug)]
struct PerMinute {
    ends: Instant,
    current: u64,
    last: u64,
}

// ===== impl Leases =====

impl Leases {
    pub(super) fn new(rules: Rules, now: Now) -> Self {
        Self {
            rules,
            apps: IndexMap::new(),
            leases: HashMap::new(),
            last_lease: 0,
            changes: VecDeque::new(),
            overrides: HashMap::new(),
            next_eviction: now.at + rules.eviction_interval,
            next_purge: now.at + rules.delta_purge_interval,
            expected_clients: 1,
            renewals: PerMinute { ends: now.at + MINUTE, current: 0, last: 0 },
            random: Random::new(),
        }
    }

    /// Runs the scans that are due until `now`; tells which instances were evicted, and their VIP addresses.
    pub(super) fn catch_up(&mut self, now: Now) -> Vec<Record> {
        let mut evicted = Vec::new();
        loop {
            let at = self.next_eviction.min(self.next_purge);
            if at > now.at {
                return evicted;
            }
            if self.apps.is_empty() && self.changes.is_empty() {
                // Nothing can come of the scans in between.
                self.next_eviction = later(self.next_eviction, self.rules.eviction_interval, now.at);
                self.next_purge = later(self.next_purge, self.rules.delta_purge_interval, now.at);
                continue;
            }
            if at == self.next_purge {
                self.purge(at);
                self.next_purge = at + self.rules.delta_purge_interval;
            } else {
                let behind = now.at.duration_since(at).as_millis();
                let wall = now.wall.saturating_sub(u64::try_from(behind).unwrap_or(0));
                evicted.extend(self.evict(Now { at, wall }));
                self.next_eviction = at + self.rules.eviction_interval;
            }
        }
    }

    /// Registers an instance. An existing record with a newer dirty time stamp stays; the lease is new in any case.
    pub(super) fn register(&mut self, mut record: Record, replicated: bool, now: Now) -> Record {
        let id = record.id().to_owned();
        let existing = self.number(&record.app, &id).and_then(|number| self.leases.get(&number)).cloned();
        let mut stamps = Stamps { registered: now.wall, renewed: now.wall, ..Stamps::default() };
        let terms = record.terms();
        match &existing {
            Some(lease) => {
                if lease.record.dirty > record.dirty {
                    record = lease.record.clone();
                }
                stamps.up = lease.stamps.up;
            }
            None => self.expected_clients += 1,
        }
        if record.overridden != Status::Unknown && self.override_of(&id, now).is_none() {
            self.overrides.insert(id.clone(), (record.overridden, now.at));
        }
        if let Some(status) = self.override_of(&id, now) {
            record.overridden = status;
        }
        let held = existing.map(|lease| lease.record.status);
        record.status = self.effective(record.status, &id, held.filter(|_| !replicated), now);
        if record.status == Status::Up && stamps.up == 0 {
            stamps.up = now.wall;
        }
        record.action = Action::Added;
        record.updated = now.wall;
        let duration = Duration::from_secs(u64::try_from(terms.duration).unwrap_or(0));
        self.last_lease += 1;
        let lease = Lease { record: record.clone(), stamps, duration, expires: now.at + duration };
        self.leases.insert(self.last_lease, lease);
        self.apps.entry(record.app.clone()).or_default().insert(id, self.last_lease);
        self.changes.push_back((now.at, self.last_lease));
        record
    }

    /// A heartbeat. It never changes the status, but applies an override that is still to be shown.
    pub(super) fn renew(&mut self, app: &str, id: &str, replicated: bool, now: Now) -> Renewal {
        let Some(status) = self.get(app, id).map(|record| record.status) else { return Renewal::NotFound };
        let effective = self.effective(status, id, Some(status).filter(|_| !replicated), now);
        if effective == Status::Unknown {
            return Renewal::NotFound;
        }
        self.renewals.count(now.at);
        if let Some(lease) = self.lease_mut(app, id) {
            lease.record.status = effective;
        }
        self.extend(app, id, now);
        Renewal::Renewed
    }

    /// Ends a lease; gives the record it was for.
    pub(super) fn cancel(&mut self, app: &str, id: &str, now: Now) -> Option<Record> {
        self.overrides.remove(id);
        let instances = self.apps.get_mut(app)?;
        let number = instances.shift_remove(id)?;
        if instances.is_empty() {
            self.apps.shift_remove(app);
        }
        let lease = self.leases.get_mut(&number)?;
        lease.stamps.evicted = now.wall;
        lease.record.action = Action::Deleted;
        lease.record.updated = now.wall;
        self.changes.push_back((now.at, number));
        self.expected_clients = self.expected_clients.saturating_sub(1);
        Some(lease.record.clone())
    }

    /// Stores a status override, unless the instance has that status already. `None` if there is no such instance;
    /// the record is given if it changed.
    pub(super) fn set_status(
        &mut self,
        app: &str,
        id: &str,
        status: Status,
        dirty: Option<&str>,
        now: Now,
    ) -> Option<Result<Option<Record>, BadTimestamp>> {
        self.extend(app, id, now);
        let number = self.number(app, id)?;
        let lease = self.leases.get_mut(&number)?;
        if lease.record.status == status {
            return Some(Ok(None));
        }
        if status == Status::Up && lease.stamps.up == 0 {
            lease.stamps.up = now.wall;
        }
        self.overrides.insert(id.to_owned(), (status, now.at));
        lease.record.overridden = status;
        Some(self.show_status(number, status, dirty, now).map(Some))
    }

    /// Removes a status override; `fallback` is shown until the client registers again.
    pub(super) fn clear_status(
        &mut self,
        app: &str,
        id: &str,
        fallback: Status,
        dirty: Option<&str>,
        now: Now,
    ) -> Option<Result<Option<Record>, BadTimestamp>> {
        self.extend(app, id, now);
        let number = self.number(app, id)?;
        if self.overrides.remove(id).is_none() {
            return Some(Ok(None));
        }
        self.leases.get_mut(&number)?.record.overridden = Status::Unknown;
        Some(self.show_status(number, fallback, dirty, now).map(Some))
    }

    /// The status is stored before the time stamp is looked at, as in `AbstractInstanceRegistry`.
    fn show_status(
        &mut self,
        number: u64,
        status: Status,
        dirty: Option<&str>,
        now: Now,
    ) -> Result<Record, BadTimestamp> {
        let lease = self.leases.get_mut(&number).ok_or(BadTimestamp)?;
        lease.record.status = status;
        let dirty = dirty.map(str::parse).transpose().map_err(|_| BadTimestamp)?.unwrap_or(0);
        lease.record.dirty = lease.record.dirty.max(dirty);
        lease.record.action = Action::Modified;
        lease.record.updated = now.wall;
        self.changes.push_back((now.at, number));
        Ok(lease.record.clone())
    }

    /// The record of an instance.
    pub(super) fn get(&self, app: &str, id: &str) -> Option<&Record> {
        self.lease(app, id).map(|lease| &lease.record)
    }

    /// Every registered record, by application.
    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.current().map(|lease| &lease.record)
    }

    /// Whether so few heartbeats come that nobody is evicted (`isLeaseExpirationEnabled`, negated).
    pub(super) fn preserving(&mut self, now: Now) -> bool {
        self.rules.self_preservation && {
            let threshold = self.threshold();
            threshold == 0 || self.renewals.last(now.at) <= threshold
        }
    }

    /// Heartbeats per minute below which nobody is evicted.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "as Java does; small positive numbers"
    )]
    pub(super) fn threshold(&self) -> u64 {
        (self.expected_clients as f64 * (60.0 / EXPECTED_INTERVAL) * RENEWAL_PERCENT) as u64
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "as Java does; small positive numbers"
    )]
    fn evict(&mut self, now: Now) -> Vec<Record> {
        if self.preserving(now) {
            return Vec::new();
        }
        let mut expired: Vec<(String, String)> = self
            .current()
            .filter(|lease| now.at > lease.expires)
            .map(|lease| (lease.record.app.clone(), lease.record.id().to_owned()))
            .collect();
        if self.rules.eviction_limit {
            let size = self.current().count();
            let limit = size - (size as f64 * RENEWAL_PERCENT) as usize;
            for next in 0..expired.len().min(limit) {
                let pick = next + self.random.below(expired.len() - next);
                expired.swap(next, pick);
            }
            expired.truncate(limit);
        }
        expired.iter().filter_map(|(app, id)| self.cancel(app, id, now)).collect()
    }

    fn purge(&mut self, at: Instant) {
        let retention = self.rules.delta_retention;
        while self.changes.front().is_some_and(|(since, _)| *since + retention < at) {
            self.changes.pop_front();
        }
        let told = self.changes.iter().map(|(_, number)| *number);
        let held = self.apps.values().flat_map(IndexMap::values).copied();
        let keep: HashSet<u64> = told.chain(held).collect();
        self.leases.retain(|number, _| keep.contains(number));
    }

    /// The status to show: the rules of `InstanceStatusOverrideRule`, first match wins. `held` is the status of an
    /// existing lease, unless a peer speaks.
    fn effective(&mut self, reported: Status, id: &str, held: Option<Status>, now: Now) -> Status {
        let traffic = |status: &Status| matches!(status, Status::Up | Status::OutOfService);
        if !traffic(&reported) {
            return reported;
        }
        self.override_of(id, now).or(held.filter(traffic)).unwrap_or(reported)
    }

    fn override_of(&mut self, id: &str, now: Now) -> Option<Status> {
        let (status, used) = self.overrides.get_mut(id)?;
        if now.at.saturating_duration_since(*used) > OVERRIDE_LIFE {
            self.overrides.remove(id);
            return None;
        }
        *used = now.at;
        Some(*status)
    }

    /// Java stores `now + duration` as the moment of the last renewal, so the stamp lies in the future.
    fn extend(&mut self, app: &str, id: &str, now: Now) {
        let factor = if self.rules.doubled_leases { 2 } else { 1 };
        if let Some(lease) = self.lease_mut(app, id) {
            lease.expires = now.at + lease.duration * factor;
            lease.stamps.renewed = now.wall + u64::try_from(lease.duration.as_millis()).unwrap_or(0);
        }
    }

    /// The lease of an instance.
    pub(super) fn lease(&self, app: &str, id: &str) -> Option<&Lease> {
        self.leases.get(&self.number(app, id)?)
    }

    /// The leases of an application.
    pub(super) fn leases_of(&self, app: &str) -> Option<impl Iterator<Item = &Lease>> {
        Some(self.apps.get(app)?.values().filter_map(|number| self.leases.get(number)))
    }

    /// The leases that recently changed, oldest change first; a replaced lease stands beside its successor.
    pub(super) fn recently_changed(&self) -> impl Iterator<Item = &Lease> {
        self.changes.iter().filter_map(|(_, number)| self.leases.get(number))
    }

    fn number(&self, app: &str, id: &str) -> Option<u64> {
        self.apps.get(app)?.get(id).copied()
    }

    fn lease_mut(&mut self, app: &str, id: &str) -> Option<&mut Lease> {
        let number = self.number(app, id)?;
        self.leases.get_mut(&number)
    }

    /// The leases of everybody registered, by application.
    pub(super) fn current(&self) -> impl Iterator<Item = &Lease> {
        self.apps.values().flat_map(IndexMap::values).filter_map(|number| self.leases.get(number))
    }
}

// ===== impl PerMinute =====

impl PerMinute {
    fn count(&mut self, at: Instant) {
        self.roll(at);
        self.current += 1;
    }

    fn last(&mut self, at: Instant) -> u64 {
        self.roll(at);
        self.last
    }

    fn roll(&mut self, at: Instant) {
        if at < self.ends {
            return;
        }
        let only_one = at < self.ends + MINUTE;
        self.last = if only_one { self.current } else { 0 };
        self.current = 0;
        self.ends = later(self.ends, MINUTE, at);
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// The first of the moments `from`, `from + step`, ... behind `at`.
fn later(from: Instant, step: Duration, at: Instant) -> Instant {
    let Some(gone) = at.checked_duration_since(from) else { return from };
    let steps = gone.as_nanos() / step.as_nanos().max(1) + 1;
    from + step.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const RULES: Rules = Rules {
        eviction_interval: Duration::from_secs(1),
        delta_retention: Duration::from_secs(180),
        delta_purge_interval: Duration::from_secs(30),
        doubled_leases: false,
        eviction_limit: false,
        self_preservation: false,
    };

    struct Clock(Now);

    impl Clock {
        fn new() -> Self {
            Self(Now { at: Instant::now(), wall: 1_000_000 })
        }

        fn after(&self, seconds: u64) -> Now {
            Now { at: self.0.at + Duration::from_secs(seconds), wall: self.0.wall + seconds * 1000 }
        }
    }

    fn record(app: &str, id: &str, status: &str, dirty: u64) -> Record {
        let body = format!(
            r#"{{"instance":{{"instanceId":"{id}","hostName":"h","app":"{app}","ipAddr":"10.0.0.1","status":"{status}",
            "dataCenterInfo":{{"@class":"com.netflix.appinfo.MyDataCenterInfo","name":"MyOwn"}},
            "leaseInfo":{{"durationInSecs":90}},"lastDirtyTimestamp":{dirty}}}}}"#
        );
        Record::decode(body.as_bytes(), 0).unwrap()
    }

    fn actions(delta: &Value) -> Vec<String> {
        let apps = delta["applications"]["application"].as_array().unwrap();
        apps.iter()
            .flat_map(|app| app["instance"].as_array().unwrap())
            .map(|instance| {
                format!("{} {}", instance["instanceId"].as_str().unwrap(), instance["actionType"].as_str().unwrap())
            })
            .collect()
    }

    #[test]
    fn a_lease_ends_at_its_duration_unless_renewed() {
        let clock = Clock::new();
        let mut leases = Leases::new(RULES, clock.0);
        leases.register(record("A", "a1", "UP", 1), false, clock.0);
        leases.register(record("A", "a2", "UP", 1), false, clock.0);
        assert_eq!(leases.renew("A", "a2", false, clock.after(60)), Renewal::Renewed);
        assert!(leases.catch_up(clock.after(90)).is_empty());
        assert_eq!(leases.catch_up(clock.after(92))[0].id(), "a1");
        assert_eq!(leases.catch_up(clock.after(152))[0].id(), "a2");
        assert_eq!(leases.hash(), "");
        assert_eq!(actions(&leases.delta(1)), ["a1 DELETED", "a2 DELETED"]);
    }

    #[test]
    fn with_java_arithmetic_a_renewed_lease_lasts_twice_as_long() {
        let clock = Clock::new();
        let mut leases = Leases::new(Rules { doubled_leases: true, ..RULES }, clock.0);
        leases.register(record("A", "never", "UP", 1), false, clock.0);
        leases.register(record("A", "once", "UP", 1), false, clock.0);
        leases.renew("A", "once", false, clock.0);
        assert_eq!(leases.catch_up(clock.after(92))[0].id(), "never");
        assert!(leases.catch_up(clock.after(180)).is_empty());
        assert_eq!(leases.catch_up(clock.after(182))[0].id(), "once");
    }

    #[test]
    fn the_limit_lets_fifteen_percent_go_per_scan() {
        let clock = Clock::new();
        let mut leases = Leases::new(Rules { eviction_limit: true, ..RULES }, clock.0);
        for number in 0..20 {
            leases.register(record("A", &format!("a{number}"), "UP", 1), false, clock.0);
        }
        let mut sizes = Vec::new();
        for second in 91..102 {
            leases.catch_up(clock.after(second));
            sizes.push(leases.records().count());
        }
        assert_eq!(sizes, [17, 14, 11, 9, 7, 5, 4, 3, 2, 1, 0]);
    }

    #[test]
    fn self_preservation_follows_the_worked_table() {
        for (clients, threshold, evicts) in [(1_u64, 3, false), (5, 10, false), (6, 11, false), (13, 23, true)] {
            let clock = Clock::new();
            let mut leases = Leases::new(Rules { self_preservation: true, ..RULES }, clock.0);
            for number in 0..clients {
                leases.register(record("A", &format!("a{number}"), "UP", 1), false, clock.0);
            }
            assert_eq!(leases.threshold(), threshold, "{clients} clients");
            // Client 0 is killed; the others renew every 30 s.
            for second in (0..=300).step_by(30) {
                leases.catch_up(clock.after(second));
                for number in 1..clients {
                    leases.renew("A", &format!("a{number}"), false, clock.after(second));
                }
            }
            assert_eq!(leases.get("A", "a0").is_none(), evicts, "{clients} clients");
        }
    }

    #[test]
    fn an_older_registration_keeps_the_record_an_equal_one_replaces_it() {
        let clock = Clock::new();
        let mut leases = Leases::new(RULES, clock.0);
        leases.register(record("A", "a1", "UP", 50), false, clock.0);
        leases.register(record("A", "a1", "DOWN", 49), false, clock.0);
        assert_eq!(leases.get("A", "a1").unwrap().status, Status::Up);
        leases.register(record("A", "a1", "DOWN", 50), false, clock.0);
        assert_eq!(leases.get("A", "a1").unwrap().status, Status::Down);
    }

    #[test]
    fn a_removed_override_asks_the_client_to_register() {
        let clock = Clock::new();
        let mut leases = Leases::new(RULES, clock.0);
        leases.register(record("A", "a1", "UP", 1), false, clock.0);
        assert!(leases.set_status("A", "a1", Status::OutOfService, None, clock.0).unwrap().unwrap().is_some());
        leases.register(record("A", "a1", "UP", 2), false, clock.0);
        assert_eq!(leases.get("A", "a1").unwrap().status, Status::OutOfService);
        assert!(leases.clear_status("A", "a1", Status::Unknown, None, clock.0).unwrap().unwrap().is_some());
        assert_eq!(leases.renew("A", "a1", false, clock.0), Renewal::NotFound);
        leases.register(record("A", "a1", "UP", 3), false, clock.0);
        assert_eq!(leases.get("A", "a1").unwrap().status, Status::Up);
    }

    #[test]
    fn a_delta_tells_each_instance_once_until_the_retention_ends() {
        let clock = Clock::new();
        let mut leases = Leases::new(RULES, clock.0);
        leases.register(record("A", "a1", "UP", 1), false, clock.0);
        leases.register(record("A", "a2", "UP", 1), false, clock.0);
        leases.set_status("A", "a1", Status::Down, None, clock.0);
        leases.cancel("A", "a2", clock.0);
        leases.register(record("A", "a2", "UP", 1), false, clock.0);
        assert_eq!(actions(&leases.delta(1)), ["a1 MODIFIED", "a2 ADDED"]);
        leases.renew("A", "a1", false, clock.after(60));
        leases.renew("A", "a2", false, clock.after(60));
        leases.catch_up(clock.after(140));
        assert_eq!(actions(&leases.delta(2)).len(), 2);
        leases.renew("A", "a1", false, clock.after(140));
        leases.renew("A", "a2", false, clock.after(140));
        leases.catch_up(clock.after(210));
        let empty = leases.delta(3);
        assert!(actions(&empty).is_empty());
        assert_eq!(empty["applications"]["apps__hashcode"], "DOWN_1_UP_1_");
        assert_eq!(leases.leases.len(), 2);
    }
}
