//! The registry as this client knows it: full documents and deltas applied to a cache. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use vernal_commons::instance::ServiceInstance;

use crate::record::{Action, InstanceRecord, InstanceStatus};
use crate::wire::json::Document;

/// All instances, by application (upper case) and id.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    applications: BTreeMap<String, BTreeMap<String, Entry>>,
}

/// What is kept of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    instance: Option<ServiceInstance>,
    status: InstanceStatus,
    vip: Option<Box<str>>,
    secure_vip: Option<Box<str>>,
    dirty: Option<u64>,
    suspect_since: Option<Instant>,
}

/// Protection against a server that forgot its instances (restarted, wrong network): what disappears by mere absence
/// from a full document stays for a while as *suspect* if the whole registry shrinks by more than half (and by at
/// least 5), or if an application loses its last instance (discovery.md 6.1). Suspects can be called, and do not
/// count in the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Guard {
    /// How long a suspect is kept before a further full document may confirm that it is gone. Zero turns the guard
    /// off.
    pub hold: Duration,
}

/// What a document changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Applied {
    /// Whether anything is different now.
    pub changed: bool,
    /// Whether the registry has the hash that the document promised.
    pub hash_matches: bool,
}

// ===== impl Registry =====

impl Registry {
    /// Nothing known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a full document in place of everything known, except for suspects.
    pub fn replace(&mut self, document: &Document, guard: Guard, now: Instant) -> Applied {
        let mut fresh = Self::default();
        for record in records(document) {
            fresh.insert(record);
        }
        let hash_matches = document.hash.as_deref() == Some(fresh.hash().as_str());
        fresh.keep_suspects(self, guard, now);
        let changed = fresh.applications != self.applications;
        *self = fresh;
        Applied { changed, hash_matches }
    }

    /// Applies a delta, entry by entry: `ADDED` and `MODIFIED` are the same, a missing action as well. A delta
    /// repeats the changes of minutes, so entries that change nothing are common.
    pub fn apply(&mut self, delta: &Document) -> Applied {
        let mut changed = false;
        for record in records(delta) {
            changed |= match record.action {
                Some(Action::Deleted) => self.remove(&record.app, &record.instance_id),
                Some(Action::Added | Action::Modified) | None => self.insert(record),
            };
        }
        Applied { changed, hash_matches: delta.hash.as_deref() == Some(self.hash().as_str()) }
    }

    /// The reconciliation hash: every status that occurs, by name, with its count (`Applications.getReconcileHashCode`,
    /// recorded: `vectors/apps-hashcode`).
    #[must_use]
    pub fn hash(&self) -> String {
        let mut counts: BTreeMap<InstanceStatus, usize> = BTreeMap::new();
        for entry in self.entries().filter(|entry| entry.suspect_since.is_none()) {
            *counts.entry(entry.status).or_default() += 1;
        }
        // The order of `InstanceStatus` is that of its words.
        counts.iter().map(|(status, count)| format!("{status}_{count}_")).collect()
    }

    /// All instances as (application, id, entry), sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Entry)> {
        self.applications
            .iter()
            .flat_map(|(app, entries)| entries.iter().map(|(id, entry)| (app.as_str(), id.as_str(), entry)))
    }

    /// One instance. The application's name is compared without case, the id with case, as the server does.
    #[must_use]
    pub fn get(&self, application: &str, instance_id: &str) -> Option<&Entry> {
        self.applications.get(&application.to_uppercase())?.get(instance_id)
    }

    /// The number of instances, suspects included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.applications.values().map(BTreeMap::len).sum()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.applications.is_empty()
    }

    /// The number of suspects.
    #[must_use]
    pub fn suspects(&self) -> usize {
        self.entries().filter(|entry| entry.suspect_since.is_some()).count()
    }

    /// When the oldest suspect became one.
    #[must_use]
    pub fn oldest_suspect(&self) -> Option<Instant> {
        self.entries().filter_map(|entry| entry.suspect_since).min()
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.applications.values().flat_map(BTreeMap::values)
    }

    fn insert(&mut self, record: &InstanceRecord) -> bool {
        let entry = Entry::new(record);
        let known = self.applications.entry(record.app.clone()).or_default();
        if known.get(&record.instance_id) == Some(&entry) {
            return false;
        }
        known.insert(record.instance_id.clone(), entry);
        true
    }

    fn remove(&mut self, application: &str, instance_id: &str) -> bool {
        let Some(entries) = self.applications.get_mut(application) else { return false };
        let removed = entries.remove(instance_id).is_some();
        if entries.is_empty() {
            self.applications.remove(application);
        }
        removed
    }

    fn keep_suspects(&mut self, old: &Self, guard: Guard, now: Instant) {
        if guard.hold.is_zero() {
            return;
        }
        let absent = |(app, id, _): &(&str, &str, &Entry)| self.get(app, id).is_none();
        let lost = old.iter().filter(absent).filter(|(_, _, entry)| entry.suspect_since.is_none()).count();
        let shrunk = lost >= 5 && lost * 2 > old.len() - old.suspects();
        let kept: Vec<_> = old
            .iter()
            .filter(absent)
            .filter(|(app, _, entry)| match entry.suspect_since {
                Some(since) => now.duration_since(since) < guard.hold,
                None => entry.status == InstanceStatus::Up && (shrunk || !self.applications.contains_key(*app)),
            })
            .map(|(app, id, entry)| (app.to_owned(), id.to_owned(), entry.clone()))
            .collect();
        for (app, id, mut entry) in kept {
            entry.suspect_since.get_or_insert(now);
            self.applications.entry(app).or_default().insert(id, entry);
        }
    }
}

/// The records of a document, without those that name no application.
fn records(document: &Document) -> impl Iterator<Item = &InstanceRecord> {
    document
        .applications
        .iter()
        .flat_map(|application| &application.instances)
        .filter(|record| !record.app.is_empty() && !record.instance_id.is_empty())
}

// ===== impl Entry =====

impl Entry {
    fn new(record: &InstanceRecord) -> Self {
        Self {
            instance: record.service_instance(),
            status: record.status,
            vip: record.vip_address.as_deref().map(Box::from),
            secure_vip: record.secure_vip_address.as_deref().map(Box::from),
            dirty: record.last_dirty_timestamp,
            suspect_since: None,
        }
    }

    /// The instance as callers see it; `None` if it names no port or host to call.
    #[must_use]
    pub const fn instance(&self) -> Option<&ServiceInstance> {
        self.instance.as_ref()
    }

    /// Its status, an override already applied by the server.
    #[must_use]
    pub const fn status(&self) -> InstanceStatus {
        self.status
    }

    /// Whether it is missing in the server's last full document.
    #[must_use]
    pub const fn is_suspect(&self) -> bool {
        self.suspect_since.is_some()
    }

    /// The instance's clock at its last change.
    pub(crate) fn dirty(&self) -> u64 {
        self.dirty.unwrap_or(0)
    }

    pub(crate) fn vip_names(&self) -> impl Iterator<Item = &str> {
        split(self.vip.as_deref())
    }

    pub(crate) fn secure_vip_names(&self) -> impl Iterator<Item = &str> {
        split(self.secure_vip.as_deref())
    }
}

fn split(names: Option<&str>) -> impl Iterator<Item = &str> {
    names.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty())
}

// ===== impl Guard =====

impl Guard {
    /// No guard: what a full document does not list is gone.
    pub const OFF: Self = Self { hold: Duration::ZERO };

    /// The guard of a client that fetches at this interval. After a restart every living instance is back within a
    /// heartbeat (30 s) and the spread of registrations (2 s). A client that asks more often than that waits for it; for
    /// others the second document confirms, since it comes about then.
    #[must_use]
    pub const fn for_interval(interval: Duration) -> Self {
        Self::holding(Duration::from_secs(if interval.as_secs() < 25 { 35 } else { 25 }))
    }

    /// Keeps suspects for `hold`.
    #[must_use]
    pub const fn holding(hold: Duration) -> Self {
        Self { hold }
    }
}

/// The guard for Eureka's default interval of 30 s.
impl Default for Guard {
    fn default() -> Self {
        Self::for_interval(Duration::from_secs(30))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::decode_applications;

    fn document(hash: &str, instances: &[(&str, &str, &str, &str)]) -> Document {
        let applications: Vec<_> = instances
            .iter()
            .map(|(app, id, status, action)| {
                format!(
                    r#"{{"name":"{app}","instance":[{{"instanceId":"{id}","hostName":"{id}","app":"{app}",
                    "status":"{status}","port":{{"$":80,"@enabled":"true"}},"actionType":"{action}"}}]}}"#
                )
            })
            .collect();
        let body = format!(
            r#"{{"applications":{{"versions__delta":"1","apps__hashcode":"{hash}","application":[{}]}}}}"#,
            applications.join(",")
        );
        decode_applications(body.as_bytes()).unwrap()
    }

    fn ids(registry: &Registry) -> Vec<String> {
        registry.iter().map(|(app, id, entry)| format!("{app}/{id} {}", entry.status())).collect()
    }

    fn many(app: &'static str, count: usize) -> Vec<(&'static str, String)> {
        (0..count).map(|n| (app, format!("i{n}"))).collect()
    }

    fn full(instances: &[(&'static str, String)]) -> Document {
        let list: Vec<_> = instances.iter().map(|(app, id)| (*app, id.as_str(), "UP", "ADDED")).collect();
        document("", &list)
    }

    #[test]
    fn a_chain_of_deltas_follows_the_server() {
        let mut registry = Registry::new();
        let now = Instant::now();
        let applied =
            registry.replace(&document("UP_2_", &[("O", "1", "UP", ""), ("O", "2", "UP", "")]), Guard::default(), now);
        assert_eq!(applied, Applied { changed: true, hash_matches: true });
        for (hash, entries, expected) in [
            ("UP_3_", vec![("O", "3", "UP", "ADDED")], vec!["O/1 UP", "O/2 UP", "O/3 UP"]),
            (
                "DOWN_1_UP_1_",
                vec![("O", "3", "UP", "ADDED"), ("O", "2", "DOWN", "MODIFIED"), ("O", "1", "UP", "DELETED")],
                vec!["O/2 DOWN", "O/3 UP"],
            ),
            ("", vec![("O", "2", "DOWN", "DELETED"), ("O", "3", "UP", "DELETED")], vec![]),
        ] {
            let delta = document(hash, &entries);
            assert_eq!(registry.apply(&delta), Applied { changed: true, hash_matches: true }, "{hash}");
            assert_eq!(ids(&registry), expected);
            assert_eq!(registry.apply(&delta), Applied { changed: false, hash_matches: true }, "{hash} again");
        }
        assert!(registry.is_empty());
    }

    #[test]
    fn the_order_of_a_delta_leaves_no_ghost() {
        for entries in [
            [("X", "x1", "UP", "DELETED"), ("X", "x2", "UP", "ADDED")],
            [("X", "x2", "UP", "ADDED"), ("X", "x1", "UP", "DELETED")],
        ] {
            let mut registry = Registry::new();
            assert!(registry.apply(&document("UP_1_", &entries)).hash_matches);
            assert_eq!(ids(&registry), ["X/x2 UP"]);
        }
    }

    #[test]
    fn a_delta_without_hash_or_with_another_one_does_not_match() {
        let mut delta = document("UP_4_", &[("A", "a", "UP", "ADDED")]);
        assert!(!Registry::new().apply(&delta).hash_matches);
        delta.hash = None;
        assert!(!Registry::new().apply(&delta).hash_matches);
    }

    #[test]
    fn an_emptied_registry_is_believed_the_second_time() {
        let (mut registry, start) = (Registry::new(), Instant::now());
        let guard = Guard::default();
        registry.replace(&full(&many("A", 50)), guard, start);
        registry.replace(&full(&[]), guard, start + Duration::from_secs(30));
        assert_eq!((registry.len(), registry.suspects(), registry.hash().as_str()), (50, 50, ""));
        registry.replace(&full(&[]), guard, start + Duration::from_secs(31));
        assert_eq!(registry.suspects(), 50, "a confirmation after a second proves nothing");
        registry.replace(&full(&[]), guard, start + Duration::from_secs(60));
        assert!(registry.is_empty());
    }

    #[test]
    fn a_few_lost_instances_are_believed_at_once() {
        let (mut registry, now) = (Registry::new(), Instant::now());
        registry.replace(&full(&many("A", 50)), Guard::default(), now);
        registry.replace(&full(&many("A", 48)), Guard::default(), now);
        assert_eq!((registry.len(), registry.suspects()), (48, 0));
    }

    #[test]
    fn the_last_instance_of_an_application_is_suspect_when_absent_and_gone_when_deleted() {
        let (mut registry, now) = (Registry::new(), Instant::now());
        let other = ("B", "b".to_owned());
        registry.replace(&full(&[("A", "a".to_owned()), other.clone()]), Guard::default(), now);
        registry.replace(&full(std::slice::from_ref(&other)), Guard::default(), now);
        assert_eq!((registry.len(), registry.suspects(), registry.hash().as_str()), (2, 1, "UP_1_"));
        let mut returned = registry.clone();
        returned.apply(&document("UP_2_", &[("A", "a", "UP", "ADDED")]));
        assert_eq!((returned.len(), returned.suspects()), (2, 0));
        registry.apply(&document("UP_1_", &[("A", "a", "UP", "DELETED")]));
        assert_eq!(ids(&registry), ["B/b UP"]);
    }

    #[test]
    fn without_guard_absence_is_the_end() {
        let (mut registry, now) = (Registry::new(), Instant::now());
        registry.replace(&full(&many("A", 9)), Guard::OFF, now);
        registry.replace(&full(&[]), Guard::OFF, now);
        assert!(registry.is_empty());
    }

    proptest::proptest! {
        #[test]
        fn a_delta_leads_to_what_a_full_fetch_gives(
            before in proptest::collection::btree_map(0_u8..12, 0_u8..5, 0..12),
            after in proptest::collection::btree_map(0_u8..12, 0_u8..5, 0..12),
            repeat in 1_usize..3,
        ) {
            const WORDS: [&str; 5] = ["UP", "DOWN", "STARTING", "OUT_OF_SERVICE", "UNKNOWN"];
            let app = |id: u8| ["A", "B", "C"][usize::from(id % 3)];
            let id = |id: u8| format!("i{id}");
            let full = |state: &BTreeMap<u8, u8>| {
                let ids: Vec<_> = state.iter().map(|(i, word)| (app(*i), id(*i), WORDS[usize::from(*word)])).collect();
                let list: Vec<_> = ids.iter().map(|(app, id, word)| (*app, id.as_str(), *word, "ADDED")).collect();
                let mut registry = Registry::new();
                registry.replace(&document("", &list), Guard::OFF, Instant::now());
                registry
            };
            let (mut registry, expected) = (full(&before), full(&after));
            let changes: Vec<_> = before.keys().filter(|i| !after.contains_key(i)).map(|i| (*i, 0, "DELETED"))
                .chain(after.iter().map(|(i, word)| (*i, *word, "MODIFIED")))
                .map(|(i, word, action)| (app(i), id(i), WORDS[usize::from(word)], action)).collect();
            let list: Vec<_> = changes.iter().map(|(app, id, word, action)| (*app, id.as_str(), *word, *action)).collect();
            let delta = document(&expected.hash(), &list);
            for _ in 0..repeat {
                proptest::prop_assert!(registry.apply(&delta).hash_matches);
            }
            proptest::prop_assert_eq!(ids(&registry), ids(&expected));
        }
    }
}
