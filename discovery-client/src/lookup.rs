//! Service name to view: the index that callers read.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use vernal_commons::discover::ServiceView;
use vernal_commons::instance::ServiceInstance;

use crate::record::InstanceStatus;
use crate::registry::{Entry, Registry};

/// An immutable index of the registry. Looking up neither locks nor allocates.
///
/// A name that was known once stays known, with an empty view: a caller can tell "nobody is up" from a name that was
/// never there.
#[derive(Debug, Default)]
pub struct Index {
    vips: Names,
    secure_vips: Names,
    applications: Names,
    services: Vec<String>,
}

/// Views by name, sorted without regard to case.
#[derive(Debug, Default)]
struct Names(Box<[(Box<str>, Arc<ServiceView>)]>);

/// Views per upper-case name, while an index is built.
type Lists<'a> = BTreeMap<String, Vec<&'a Entry>>;

/// How many names without instances are remembered.
const REMEMBERED: usize = 10_000;

// ===== impl Index =====

impl Index {
    /// The index of `registry`. Views whose instances are the same as in `old` are kept, with the load on them.
    #[must_use]
    pub fn build(registry: &Registry, old: &Self, only_up: bool) -> Self {
        let mut lists_of = [Lists::new(), Lists::new(), Lists::new()];
        let mut services = BTreeSet::new();
        for (app, _, entry) in registry.iter() {
            let callable = entry.instance().is_some() && (!only_up || entry.status() == InstanceStatus::Up);
            for (lists, name) in std::iter::empty()
                .chain(entry.vip_names().map(|name| (0, name)))
                .chain(entry.secure_vip_names().map(|name| (1, name)))
                .chain([(2, app)])
            {
                let list = lists_of[lists].entry(name.to_ascii_uppercase()).or_default();
                list.extend(Some(entry).filter(|_| callable));
            }
            if callable {
                services.insert(app.to_lowercase());
            }
        }
        let [vips, secure_vips, applications] = lists_of;
        Self {
            vips: old.vips.updated(vips),
            secure_vips: old.secure_vips.updated(secure_vips),
            applications: old.applications.updated(applications),
            services: services.into_iter().collect(),
        }
    }

    /// The instances behind a service id: by virtual address, as Spring does, else by application name. Case does not
    /// matter, nothing is done to `_` or `-`.
    #[must_use]
    pub fn lookup(&self, service_id: &str) -> Option<&Arc<ServiceView>> {
        self.by_vip(service_id).or_else(|| self.by_application(service_id))
    }

    /// The instances behind a virtual address (`EurekaDiscoveryClient.getInstances`).
    #[must_use]
    pub fn by_vip(&self, vip: &str) -> Option<&Arc<ServiceView>> {
        self.vips.get(vip)
    }

    /// The instances behind a secure virtual address.
    #[must_use]
    pub fn by_secure_vip(&self, vip: &str) -> Option<&Arc<ServiceView>> {
        self.secure_vips.get(vip)
    }

    /// The instances of an application.
    #[must_use]
    pub fn by_application(&self, name: &str) -> Option<&Arc<ServiceView>> {
        self.applications.get(name)
    }

    /// The applications that have an instance to call, in lower case (`EurekaDiscoveryClient.getServices`).
    #[must_use]
    pub fn services(&self) -> &[String] {
        &self.services
    }

    /// A known name that differs from `service_id` only in `_` and `-`.
    #[must_use]
    pub fn similar(&self, service_id: &str) -> Option<&str> {
        let fold = |name: &str| name.to_ascii_lowercase().replace('_', "-");
        let wanted = fold(service_id);
        let mut names = self.vips.0.iter().chain(&self.applications.0).map(|(name, _)| name.as_ref());
        names.find(|name| fold(name) == wanted)
    }
}

// ===== impl Names =====

impl Names {
    fn get(&self, name: &str) -> Option<&Arc<ServiceView>> {
        let position = self.0.binary_search_by(|(known, _)| compare(known, name)).ok()?;
        self.0.get(position).map(|(_, view)| view)
    }

    fn updated(&self, mut lists: Lists<'_>) -> Self {
        for (name, _) in self.0.iter().take(REMEMBERED) {
            lists.entry(name.to_string()).or_default();
        }
        let mut views: Vec<_> = lists
            .into_iter()
            .map(|(name, entries)| {
                let view = self.view(&name, entries);
                (name.into_boxed_str(), view)
            })
            .collect();
        views.sort_by(|(a, _), (b, _)| compare(a, b));
        Self(views.into())
    }

    fn view(&self, name: &str, entries: Vec<&Entry>) -> Arc<ServiceView> {
        let mut instances = newest_per_address(entries);
        instances.sort_by(|a, b| a.instance_id().cmp(b.instance_id()));
        match self.get(name) {
            Some(old) if old.instances().eq(&instances) => Arc::clone(old),
            Some(old) => Arc::new(old.updated(instances)),
            None => Arc::new(ServiceView::new(instances)),
        }
    }
}

/// A process that restarted under a new id is listed twice until the old lease expires; the newer entry counts.
fn newest_per_address(entries: Vec<&Entry>) -> Vec<ServiceInstance> {
    let mut newest: HashMap<(&str, u16), (&Entry, &ServiceInstance)> = HashMap::with_capacity(entries.len());
    for entry in entries {
        let Some(instance) = entry.instance() else { continue };
        let address = (instance.host(), instance.port());
        let rank = |entry: &Entry| (!entry.is_suspect(), entry.dirty());
        match newest.get(&address) {
            Some((known, _)) if rank(known) > rank(entry) => {}
            _ => drop(newest.insert(address, (entry, instance))),
        }
    }
    newest.into_values().map(|(_, instance)| instance.clone()).collect()
}

fn compare(a: &str, b: &str) -> Ordering {
    let fold = |byte: u8| byte.to_ascii_uppercase();
    a.bytes().map(fold).cmp(b.bytes().map(fold))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::InstanceRecord;
    use crate::registry::Guard;
    use crate::wire::json::{Document, decode_applications, encode_registration};

    fn document(records: &[InstanceRecord]) -> Document {
        let applications: Vec<_> = records
            .iter()
            .map(|record| {
                let instance = String::from_utf8(encode_registration(record)).unwrap();
                let instance = instance.strip_prefix("{\"instance\":").unwrap().strip_suffix('}').unwrap().to_owned();
                format!(r#"{{"name":"{}","instance":[{instance}]}}"#, record.app)
            })
            .collect();
        let body = format!(r#"{{"applications":{{"application":[{}]}}}}"#, applications.join(","));
        decode_applications(body.as_bytes()).unwrap()
    }

    fn index(records: &[InstanceRecord], old: &Index) -> Index {
        let mut registry = Registry::new();
        registry.replace(&document(records), Guard::OFF, tokio::time::Instant::now());
        Index::build(&registry, old, true)
    }

    #[test]
    fn names_are_found_by_vip_and_then_by_application_without_case() {
        let mut record = InstanceRecord::new("ORDER_SERVICE", "h", 1);
        record.vip_address = Some("sales, legacy".to_owned());
        let index = index(&[record], &Index::default());
        for name in ["sales", "SALES", "Legacy", "order_service", "ORDER_SERVICE"] {
            assert_eq!(index.lookup(name).map(|view| view.len()), Some(1), "{name}");
        }
        assert!(index.lookup("order-service").is_none() && index.lookup("").is_none());
        assert_eq!(index.similar("order-service"), Some("ORDER_SERVICE"));
        assert!(index.by_vip("order_service").is_none());
        assert_eq!(index.services(), ["order_service"]);
    }

    #[test]
    fn a_service_that_did_not_change_keeps_its_view_and_another_its_load() {
        let (a, b) = (InstanceRecord::new("a", "h", 1), InstanceRecord::new("b", "h", 2));
        let old = index(&[a.clone(), b.clone()], &Index::default());
        let _busy = old.lookup("b").unwrap().candidates()[0].begin();
        let new = index(&[a, b, InstanceRecord::new("b", "h", 3)], &old);
        assert!(Arc::ptr_eq(old.lookup("a").unwrap(), new.lookup("a").unwrap()));
        let pending: Vec<_> = new.lookup("b").unwrap().candidates().iter().map(|c| c.pending()).collect();
        assert_eq!(pending, [1, 0]);
    }

    #[test]
    fn only_instances_that_are_up_are_called_but_the_name_is_known() {
        let mut record = InstanceRecord::new("stock", "h", 1);
        let before = index(&[record.clone()], &Index::default());
        record.status = InstanceStatus::Starting;
        assert!(index(&[record], &Index::default()).lookup("stock").unwrap().is_empty());
        let after = index(&[], &before);
        assert!(after.lookup("stock").unwrap().is_empty() && after.services().is_empty());
    }

    #[test]
    fn of_two_entries_with_one_address_the_newer_counts() {
        let [mut old, mut new] = [InstanceRecord::new("a", "h", 1), InstanceRecord::new("a", "h", 1)];
        (old.instance_id, old.last_dirty_timestamp) = ("z-old".to_owned(), Some(1));
        (new.instance_id, new.last_dirty_timestamp) = ("a-new".to_owned(), Some(2));
        let index = index(&[old, new], &Index::default());
        let ids: Vec<_> = index.lookup("a").unwrap().instances().map(ServiceInstance::instance_id).collect();
        assert_eq!(ids, ["a-new"]);
    }
}
