//! What happened to a recorded registry beside the recorded client: other instances, an operator.
//!
//! It is read off the recorded documents, always before the request whose answer first shows it.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use vernal_testkit::registry::{Registry, Status};

use super::Step;
use super::compare::plain;
use super::wire::Request;

/// Longer than any change stays in a delta.
const LONG_AGO: Duration = Duration::from_secs(420);

pub(super) struct Outside {
    /// Instances that the client registered itself.
    own: HashSet<(String, String)>,
    /// Changes of others that our deltas have told.
    told: HashSet<(String, String)>,
}

impl Outside {
    /// Registers who was there long before the first step, and lets that time pass, and `phase` more.
    pub(super) async fn new(registry: &Registry, steps: &[Step], phase: Duration) -> Self {
        let first =
            steps.iter().find_map(|step| step.response.json()?.get("applications").cloned().map(|it| (step, it)));
        if let Some((step, document)) = first {
            let delta = is_delta(step);
            let mut missing = counts(&plain(&document["apps__hashcode"]));
            for instance in instances(&document).into_iter().filter(|it| it["actionType"] != "DELETED") {
                if !delta {
                    post(registry, &instance).await;
                }
                if let Some(count) = missing.iter_mut().find(|(status, _)| *status == plain(&instance["status"])) {
                    count.1 = count.1.saturating_sub(1);
                }
            }
            let earlier = steps.iter().take_while(|it| !std::ptr::eq(*it, step)).any(|it| it.request.method == "POST");
            for (status, count) in missing.into_iter().filter(|_| delta && !earlier) {
                for number in 0..count {
                    post(registry, &filler("OUTSIDE", &format!("{status}-{number}"), &status)).await;
                }
            }
        }
        registry.advance(LONG_AGO + phase);
        Self { own: HashSet::new(), told: HashSet::new() }
    }

    /// Does what others must have done before `step` was answered as it was.
    pub(super) async fn act(&mut self, registry: &Registry, step: &Step, carried: &mut HashSet<String>) {
        if let Some(document) = step.response.json().and_then(|it| it.get("applications").cloned()) {
            for instance in instances(&document) {
                let key = (plain(&instance["app"]), plain(&instance["instanceId"]));
                if self.own.contains(&key) {
                    overridden(registry, &key, &instance).await;
                    continue;
                }
                carried.insert(plain(&instance["lastDirtyTimestamp"]));
                let change = (key.1.clone(), plain(&instance["lastUpdatedTimestamp"]));
                if is_delta(step) && self.told.insert(change) || !known(registry, &key) {
                    if instance["actionType"] == "DELETED" {
                        let _was_there: bool = registry.expire(&key.0, &key.1);
                    } else {
                        post(registry, &instance).await;
                    }
                }
            }
        }
        // A heartbeat that did not find its lease although nothing recorded has ended it.
        if step.request.method == "PUT" && step.response.status == 404 {
            let segments: Vec<_> = step.request.split().0.split('/').collect();
            let ["", "eureka", "apps", app, id] = segments[..] else { return };
            let Some(ours) = view(registry, app, id).await else { return };
            let newer = step.request.dirty().is_some_and(|dirty| dirty > plain(&ours["lastDirtyTimestamp"]));
            match plain(&ours["overriddenStatus"]).as_str() {
                _ if newer || ours["status"] == "UNKNOWN" => {}
                "UNKNOWN" => {
                    let _was_there: bool = registry.expire(app, id);
                }
                _ => clear(registry, app, id).await,
            }
        }
    }

    /// Notes what the client itself has done.
    pub(super) fn sent(&mut self, step: &Step) {
        let body: Value = serde_json::from_slice(&step.request.body).unwrap_or_default();
        if let Some(instance) = body.get("instance") {
            self.own.insert((plain(&instance["app"]).to_uppercase(), plain(&instance["instanceId"])));
        }
    }
}

/// The instances that a full document shows before any step has registered one: they were there before.
pub(super) fn earlier(steps: &[Step]) -> Vec<Value> {
    let unregistered = steps.iter().take_while(|step| step.request.method != "POST" || step.response.status != 204);
    let first =
        unregistered.filter(|step| !is_delta(step)).find_map(|step| step.response.json()?.get("applications").cloned());
    first.map(|document| instances(&document)).unwrap_or_default()
}

/// Registers a record as its own client would.
pub(super) async fn post(registry: &Registry, instance: &Value) {
    let path = format!("/eureka/apps/{}", plain(&instance["app"]));
    let mut request = Request::json("POST", &path, json!({ "instance": instance }).to_string());
    request.headers.push(("Authorization".to_owned(), "Basic ZXZlOnBAc3M=".to_owned()));
    assert_eq!(request.send(registry.address()).await.status, 204);
}

/// An instance of which nothing but its status is known.
pub(super) fn filler(app: &str, id: &str, status: &str) -> Value {
    json!({
        "instanceId": id, "hostName": "outside", "app": app, "ipAddr": "192.0.2.9", "status": status,
        "dataCenterInfo": { "@class": "com.netflix.appinfo.MyDataCenterInfo", "name": "MyOwn" },
    })
}

/// An operator's override, if the recorded record shows one that ours has not, or no longer that of ours.
async fn overridden(registry: &Registry, key: &(String, String), recorded: &Value) {
    let Some(ours) = view(registry, &key.0, &key.1).await else { return };
    if ours["overriddenStatus"] == recorded["overriddenStatus"] {
        return;
    }
    match Status::parse(&plain(&recorded["overriddenStatus"])) {
        None | Some(Status::Unknown) => clear(registry, &key.0, &key.1).await,
        Some(status) => assert!(registry.set_status(&key.0, &key.1, status)),
    }
}

async fn clear(registry: &Registry, app: &str, id: &str) {
    let path = format!("/eureka/apps/{app}/{id}/status");
    assert_eq!(Request::json("DELETE", &path, String::new()).send(registry.address()).await.status, 200);
}

async fn view(registry: &Registry, app: &str, id: &str) -> Option<Value> {
    let path = format!("/eureka/apps/{app}/{id}");
    Request::json("GET", &path, String::new()).send(registry.address()).await.json()?.get("instance").cloned()
}

fn known(registry: &Registry, key: &(String, String)) -> bool {
    registry.instances().iter().any(|it| it.app == key.0 && it.id == key.1)
}

fn is_delta(step: &Step) -> bool {
    step.request.split().0.trim_end_matches('/').ends_with("/delta")
}

fn instances(document: &Value) -> Vec<Value> {
    let empty = Vec::new();
    let apps = document["application"].as_array().unwrap_or(&empty);
    apps.iter().flat_map(|app| app["instance"].as_array().unwrap().clone()).collect()
}

/// The statuses of a hash: `DOWN_1_OUT_OF_SERVICE_2_`.
fn counts(hash: &str) -> Vec<(String, usize)> {
    let mut counts = Vec::new();
    let mut status = Vec::new();
    for word in hash.split('_').filter(|word| !word.is_empty()) {
        match word.parse() {
            Ok(count) => counts.push((std::mem::take(&mut status).join("_"), count)),
            Err(_) => status.push(word),
        }
    }
    counts
}
