//! The documents of the registry: all of it, what changed, single instances; and the hash over it.

use std::collections::{BTreeMap, HashSet};

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::leases::{Lease, Leases};
use super::record::Status;

impl Leases {
    /// An instance as JSON.
    pub(super) fn instance(&self, app: &str, id: &str) -> Option<Value> {
        self.lease(app, id).map(Lease::encode)
    }

    /// The first instance with this id in any application.
    pub(super) fn instance_anywhere(&self, id: &str) -> Option<Value> {
        self.current().find(|lease| lease.record.id() == id).map(Lease::encode)
    }

    /// An application as JSON.
    pub(super) fn application(&self, app: &str) -> Option<Value> {
        let instances: Vec<_> = self.leases_of(app)?.map(Lease::encode).collect();
        Some(json!({ "application": { "name": app, "instance": instances } }))
    }

    /// The whole registry as JSON.
    pub(super) fn applications(&self) -> Value {
        document("1", &self.hash(), self.current())
    }

    /// Those whose VIP address (or secure one) has `name` among its comma-separated names, exactly so.
    pub(super) fn vip(&self, name: &str, secure: bool) -> Value {
        let found: Vec<_> = self
            .current()
            .filter(|lease| {
                let vip = if secure { &lease.record.secure_vip } else { &lease.record.vip };
                vip.as_deref().is_some_and(|vip| vip.split(',').any(|one| one == name))
            })
            .collect();
        document("-1", &hash_of(found.iter().map(|lease| lease.record.status)), found.into_iter())
    }

    /// The recent changes as JSON: each instance once, as it is now, in the order of the last change.
    pub(super) fn delta(&self, version: u64) -> Value {
        let changed: Vec<&Lease> = self.recently_changed().collect();
        let mut told = HashSet::new();
        let mut latest: Vec<_> = changed
            .into_iter()
            .rev()
            .filter(|lease| told.insert((lease.record.app.as_str(), lease.record.id())))
            .collect();
        latest.reverse();
        document(&version.to_string(), &self.hash(), latest.into_iter())
    }

    /// The reconciliation hash over all instances (`Applications.getReconcileHashCode`).
    pub(super) fn hash(&self) -> String {
        hash_of(self.current().map(|lease| lease.record.status))
    }
}

impl Lease {
    fn encode(&self) -> Value {
        self.record.encode(self.stamps)
    }
}

fn hash_of(statuses: impl Iterator<Item = Status>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for status in statuses {
        *counts.entry(status.as_str()).or_default() += 1;
    }
    counts.iter().map(|(status, count)| format!("{status}_{count}_")).collect()
}

fn document<'a>(version: &str, hash: &str, leases: impl Iterator<Item = &'a Lease>) -> Value {
    let mut apps: IndexMap<&str, Vec<Value>> = IndexMap::new();
    for lease in leases {
        apps.entry(lease.record.app.as_str()).or_default().push(lease.encode());
    }
    let apps: Vec<_> =
        apps.into_iter().map(|(name, instances)| json!({ "name": name, "instance": instances })).collect();
    json!({ "applications": { "versions__delta": version, "apps__hashcode": hash, "application": apps } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_counts_statuses_by_name() {
        let statuses = |list: &[(Status, usize)]| {
            hash_of(list.iter().flat_map(|(status, count)| std::iter::repeat_n(*status, *count)))
        };
        assert_eq!(statuses(&[]), "");
        assert_eq!(statuses(&[(Status::Down, 3)]), "DOWN_3_");
        let all = [
            (Status::Up, 10),
            (Status::Down, 1),
            (Status::OutOfService, 2),
            (Status::Unknown, 1),
            (Status::Starting, 1),
        ];
        assert_eq!(statuses(&all), "DOWN_1_OUT_OF_SERVICE_2_STARTING_1_UNKNOWN_1_UP_10_");
    }
}
