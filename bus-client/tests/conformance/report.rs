//! What became of the cases.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// How ours compares to a recording.
pub(crate) enum Outcome {
    /// The same.
    Passed,
    /// Different on purpose: the tag of the crate's list of deviations.
    Deviates(&'static str),
    /// Different.
    Failed(String),
}

type Applies = fn(&Value) -> bool;

/// What no issue has asked for yet: a condition on the input of a case, and what will build it.
pub(crate) const NOT_BUILT: &[(&str, Applies)] = &[
    ("custom event types: the event hook of the bus client", is_custom),
    ("a named group: one durable queue shared by several nodes", declares_shared_queue),
    ("the estate's overrides of exchange, queue name and binding", overrides_topology),
    ("a body that was not kept and can only be described", has_no_body),
];

const BUILT_IN: [&str; 4] = [
    "RefreshRemoteApplicationEvent",
    "EnvironmentChangeRemoteApplicationEvent",
    "AckRemoteApplicationEvent",
    "ShutdownRemoteApplicationEvent",
];
/// What the receiver of `inbound` has registered, by the README of the fixtures.
const REGISTERED: [&str; 4] = ["CatalogChanged", "orders.renamed", "Failing", "CacheInvalidated"];

fn is_custom(case: &Value) -> bool {
    let Some(body) = case["body"].as_str().or_else(|| case["body_inflated"].as_str()) else { return false };
    let event: Value = serde_json::from_str(body).unwrap_or_default();
    match (event["type"].as_str(), case["direction"].as_str()) {
        (Some(name), Some("from_spring")) => !BUILT_IN.contains(&name),
        (Some(name), _) => REGISTERED.contains(&name),
        (None, _) => false,
    }
}

fn declares_shared_queue(case: &Value) -> bool {
    let shared = |queue: &Value| queue["exclusive"] == false && queue["durable"] == true;
    let mut frames = case["sequence"].as_array().into_iter().flatten();
    shared(&case["objects"]["queue"])
        || frames.any(|frame| frame["method"] == "Queue.Declare" && shared(&frame["args"]))
}

/// Another type of exchange, another binding or another name of the queue than Spring's defaults.
fn overrides_topology(case: &Value) -> bool {
    let (mut exchange, mut queue, mut binding) = (Value::Null, Value::Null, Value::Null);
    for frame in case["sequence"].as_array().into_iter().flatten().filter(|frame| frame["from"] == "client") {
        let args = &frame["args"];
        match frame["method"].as_str() {
            Some("Exchange.Declare") if args["passive"] == false => exchange = args.clone(),
            Some("Queue.Declare") if args["passive"] == false => queue = args["queue"].clone(),
            Some("Queue.Bind") => binding = args.clone(),
            _ => {}
        }
    }
    if let Some(objects) = case["objects"].as_object() {
        exchange = objects.get("exchange").cloned().unwrap_or_default();
        queue = case["objects"]["queue"]["name"].clone();
    }
    let name = exchange["exchange"].as_str().or_else(|| exchange["name"].as_str());
    let plain_exchange = exchange["type"] == "topic" && exchange["durable"] == true && exchange["auto_delete"] == false;
    let plain_queue = match (name, queue.as_str()) {
        (Some(name), Some(queue)) => queue.starts_with(&format!("{name}.anonymous.")),
        _ => true,
    };
    let plain_binding = binding.is_null() || binding["routing_key"] == "#";
    (!exchange.is_null() && !plain_exchange) || !plain_queue || !plain_binding
}

/// Above the limit of 1 MiB it does not matter what the body says.
fn has_no_body(case: &Value) -> bool {
    let size = case["size"].as_u64().unwrap_or(0);
    case["body_note"].is_string() && case["body"].is_null() && case["body_hex"].is_null() && size <= 1 << 20
}

#[derive(Default)]
pub(crate) struct Report {
    families: BTreeMap<&'static str, [usize; 4]>,
    deviations: BTreeMap<&'static str, usize>,
    not_built: BTreeMap<&'static str, usize>,
    failures: Vec<String>,
}

impl Report {
    /// Runs the cases of one family, each against `check` unless it is not built.
    pub(crate) fn family(&mut self, family: &'static str, cases: &[Value], mut check: impl FnMut(&Value) -> Outcome) {
        let counts = self.families.entry(family).or_default();
        for case in cases {
            if let Some((what, _)) = NOT_BUILT.iter().find(|(_, applies)| applies(case)) {
                counts[3] += 1;
                *self.not_built.entry(what).or_default() += 1;
                continue;
            }
            counts[0] += 1;
            match check(case) {
                Outcome::Passed => counts[1] += 1,
                Outcome::Deviates(tag) => {
                    counts[2] += 1;
                    *self.deviations.entry(tag).or_default() += 1;
                }
                Outcome::Failed(why) => {
                    self.failures.push(format!("{family} `{}`: {why}", case["case"].as_str().unwrap_or("?")))
                }
            }
        }
    }

    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut total = [0; 4];
        for (family, counts) in &self.families {
            let [run, passed, deviating, not_built] = counts;
            writeln!(f, "{family}: {run} run, {passed} passed, {deviating} deviate, {not_built} not built")?;
            total.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
        }
        self.not_built.iter().try_for_each(|(what, count)| writeln!(f, "not built: {count} x {what}"))?;
        let [run, passed, _, not_built] = total;
        let tags: Vec<String> = self.deviations.iter().map(|(tag, count)| format!("{tag}: {count}")).collect();
        let failed = self.failures.len();
        write!(
            f,
            "bus: {run} run, {passed} passed, deviations {{{}}}, {not_built} not built, {failed} failed",
            tags.join(", ")
        )
    }
}
