//! The rules for the body of a registration, a second time: what a recorded body must be for a client to have sent it,
//! and how the strict form of it looks (discovery.md 1.3, 1.7, 1.8).

use serde_json::{Map, Value, json};

/// Whether a body is a complete record that names itself: what is wrong, if not. Such bodies test a server.
pub(crate) fn flaw(body: &Value) -> Option<String> {
    let root = body.as_object()?;
    let Some(instance) = root.get("instance").and_then(Value::as_object).filter(|_| root.len() == 1) else {
        return Some("root is not `instance` alone".to_owned());
    };
    for member in ["instanceId", "hostName", "app", "ipAddr", "status", "vipAddress"] {
        if instance.get(member).and_then(Value::as_str).is_none_or(|text| text.trim().is_empty()) {
            return Some(format!("no `{member}`"));
        }
    }
    let known = ["UP", "DOWN", "STARTING", "OUT_OF_SERVICE", "UNKNOWN"];
    if !known.contains(&instance["status"].as_str().unwrap()) {
        return Some("unknown status".to_owned());
    }
    for port in ["port", "securePort"] {
        if number(&instance.get(port).unwrap_or(&Value::Null)["$"]).is_none_or(|n| u16::try_from(n).is_err()) {
            return Some(format!("no `{port}`"));
        }
    }
    if !matches!(instance.get("dataCenterInfo").and_then(|info| info["name"].as_str()), Some("MyOwn" | "Amazon")) {
        return Some("no data center".to_owned());
    }
    if instance.get("dataCenterInfo").is_some_and(|info| info["@class"].as_str().is_none()) {
        return Some("no class of the data center".to_owned());
    }
    if ["renewalIntervalInSecs", "durationInSecs"]
        .iter()
        .any(|member| number(&instance.get("leaseInfo").unwrap_or(&Value::Null)[member]).is_none_or(|n| n == 0))
    {
        return Some("no lease".to_owned());
    }
    if instance.get("lastDirtyTimestamp").and_then(number).is_none() {
        return Some("no time stamp".to_owned());
    }
    let plain = |value: &Value| !value.is_object() && !value.is_array();
    if instance.get("metadata").is_some_and(|map| map.as_object().is_some_and(|map| !map.values().all(plain))) {
        return Some("metadata is nested".to_owned());
    }
    None
}

/// The strict form of a body without [`flaw`].
pub(crate) fn strict(body: &Value) -> Value {
    let given = body["instance"].as_object().unwrap();
    let mut instance = Map::new();
    for member in [
        "instanceId",
        "hostName",
        "ipAddr",
        "status",
        "homePageUrl",
        "statusPageUrl",
        "healthCheckUrl",
        "secureHealthCheckUrl",
        "vipAddress",
        "secureVipAddress",
        "asgName",
    ] {
        if let Some(value) = given.get(member).filter(|value| !value.is_null()) {
            instance.insert(member.to_owned(), value.clone());
        }
    }
    for member in ["app", "appGroupName"] {
        if let Some(text) = given.get(member).and_then(Value::as_str) {
            instance.insert(member.to_owned(), json!(text.to_uppercase()));
        }
    }
    for member in ["port", "securePort"] {
        let port = &given[member];
        let default = member == "port";
        let enabled = flag(&port["@enabled"]).unwrap_or(default);
        instance.insert(member.to_owned(), json!({ "$": number(&port["$"]), "@enabled": enabled.to_string() }));
    }
    let center = &given["dataCenterInfo"];
    let mut data_center = json!({ "@class": center["@class"], "name": center["name"] });
    if let Some(metadata) = center["metadata"].as_object().filter(|metadata| !metadata.is_empty()) {
        data_center["metadata"] = json!(metadata);
    }
    let metadata = texts(given.get("metadata").unwrap_or(&Value::Null));
    let metadata =
        if metadata.is_empty() { json!({ "@class": "java.util.Collections$EmptyMap" }) } else { json!(metadata) };
    let lease = &given["leaseInfo"];
    instance.extend([
        ("overriddenStatus".to_owned(), json!("UNKNOWN")),
        ("countryId".to_owned(), json!(1)),
        ("dataCenterInfo".to_owned(), data_center),
        ("metadata".to_owned(), metadata),
        (
            "leaseInfo".to_owned(),
            json!({
                "renewalIntervalInSecs": number(&lease["renewalIntervalInSecs"]),
                "durationInSecs": number(&lease["durationInSecs"]),
            }),
        ),
        (
            "isCoordinatingDiscoveryServer".to_owned(),
            json!(
                flag(given.get("isCoordinatingDiscoveryServer").unwrap_or(&Value::Null)).unwrap_or(false).to_string()
            ),
        ),
        ("lastDirtyTimestamp".to_owned(), json!(number(&given["lastDirtyTimestamp"]).unwrap().to_string())),
    ]);
    json!({ "instance": instance })
}

/// Metadata as text, without the Java class and without nulls.
pub(crate) fn texts(metadata: &Value) -> Map<String, Value> {
    let Some(metadata) = metadata.as_object() else { return Map::new() };
    let entries = metadata.iter().filter(|(name, value)| name.as_str() != "@class" && !value.is_null());
    entries
        .map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (name.clone(), json!(text))
        })
        .collect()
}

pub(crate) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

pub(crate) fn flag(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_str()?.to_ascii_lowercase().parse().ok())
}
