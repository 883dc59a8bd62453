//! Two answers compared, but for what the recordings' README calls volatile.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::wire::Response;

/// How two answers may differ.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leeway<'a> {
    /// Dirty time stamps that requests carried; any other was set by the server.
    pub(super) carried: &'a HashSet<String>,
    /// A delta: its version only grows.
    pub(super) delta: bool,
}

/// What differs, or the tags of the deviations that explain it.
pub(super) fn compare(recorded: &Response, ours: &Response, leeway: Leeway<'_>) -> Result<Vec<&'static str>, String> {
    if recorded.status != ours.status {
        return Err(format!("status {} instead of {}: {}", ours.status, recorded.status, ours.text()));
    }
    let type_of = |response: &Response| response.header("content-type").map(str::to_lowercase);
    if type_of(recorded) != type_of(ours) {
        return Err(format!("content type {:?} instead of {:?}", type_of(ours), type_of(recorded)));
    }
    for name in ["content-encoding", "www-authenticate", "location"] {
        if recorded.header(name) != ours.header(name) {
            return Err(format!("{name} {:?} instead of {:?}", ours.header(name), recorded.header(name)));
        }
    }
    let allow = |response: &Response| {
        let mut methods: Vec<_> =
            response.header("allow").unwrap_or_default().split(',').map(|name| name.trim().to_owned()).collect();
        methods.sort();
        methods
    };
    if allow(recorded) != allow(ours) {
        return Err(format!("allow {:?} instead of {:?}", allow(ours), allow(recorded)));
    }
    if type_of(recorded).is_some_and(|label| label.starts_with("text/html")) {
        return Ok(vec!["D-HTML"]);
    }
    match (recorded.json(), ours.json()) {
        (Some(theirs), Some(mine)) => {
            let mut tags = Vec::new();
            let mut mine = mine;
            if speaks_of_itself(&theirs) {
                follow(&theirs, &mut mine);
                tags.push("discovery.md 3.5");
            }
            // Text keeps the order of members, which `Value` does not compare.
            let (theirs, mine) = (steady(&theirs, "", leeway).to_string(), steady(&mine, "", leeway).to_string());
            if theirs == mine { Ok(tags) } else { Err(format!("body\n  recorded {theirs}\n  ours     {mine}")) }
        }
        _ if steady_text(&recorded.text()) == steady_text(&ours.text()) => Ok(Vec::new()),
        _ => Err(format!("body\n  recorded {}\n  ours     {}", recorded.text(), ours.text())),
    }
}

/// Whether the answering server is one of the instances: ours never registers itself.
fn speaks_of_itself(value: &Value) -> bool {
    match value {
        Value::Object(members) => members
            .iter()
            .any(|(name, value)| name == "isCoordinatingDiscoveryServer" && value == "true" || speaks_of_itself(value)),
        Value::Array(items) => items.iter().any(speaks_of_itself),
        _ => false,
    }
}

/// Sets the mark of the answering server as it was recorded, for instances of the same id.
fn follow(theirs: &Value, mine: &mut Value) {
    let mut marks = Vec::new();
    collect(theirs, &mut marks);
    mark(mine, &marks);
}

fn collect(value: &Value, marks: &mut Vec<Value>) {
    match value {
        Value::Object(members) if members.get("isCoordinatingDiscoveryServer") == Some(&Value::from("true")) => {
            marks.push(members["instanceId"].clone());
        }
        Value::Object(members) => members.values().for_each(|value| collect(value, marks)),
        Value::Array(items) => items.iter().for_each(|value| collect(value, marks)),
        _ => {}
    }
}

fn mark(value: &mut Value, marks: &[Value]) {
    match value {
        Value::Object(members) => {
            if members.get("instanceId").is_some_and(|id| marks.contains(id)) {
                members.insert("isCoordinatingDiscoveryServer".to_owned(), Value::from("true"));
            }
            members.values_mut().for_each(|value| mark(value, marks));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| mark(value, marks)),
        _ => {}
    }
}

/// A value with everything volatile replaced by its type, and lists without order sorted.
fn steady(value: &Value, name: &str, leeway: Leeway<'_>) -> Value {
    let volatile = match name {
        "timestamp"
        | "registrationTimestamp"
        | "lastRenewalTimestamp"
        | "evictionTimestamp"
        | "serviceUpTimestamp"
        | "lastUpdatedTimestamp" => true,
        "lastDirtyTimestamp" => !leeway.carried.contains(&plain(value)),
        "versions__delta" => leeway.delta,
        _ => false,
    };
    if volatile {
        return Value::from(if value.is_number() { "<number>" } else { "<text>" });
    }
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> =
                members.iter().map(|(key, value)| (key.clone(), steady(value, key, leeway))).collect();
            if name == "metadata" {
                members.sort_by(|a, b| a.0.cmp(&b.0));
            }
            Value::Object(Map::from_iter(members))
        }
        Value::Array(items) => {
            let mut items: Vec<_> = items.iter().map(|item| steady(item, "", leeway)).collect();
            match name {
                "application" => items.sort_by_key(|item| plain(&item["name"])),
                "instance" => items.sort_by_key(|item| plain(&item["instanceId"])),
                _ => {}
            }
            Value::Array(items)
        }
        other => other.clone(),
    }
}

/// A text or number without quotes.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// XML error objects carry a time stamp, too.
fn steady_text(text: &str) -> String {
    match (text.find("<timestamp>"), text.find("</timestamp>")) {
        (Some(start), Some(end)) if start < end => format!("{}{}", &text[..start], &text[end..]),
        _ => text.to_owned(),
    }
}
