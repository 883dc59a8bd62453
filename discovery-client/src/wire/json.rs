//! Eureka's JSON: read with leniency, written strictly.
//!
//! What is accepted when reading is listed in discovery.md 1.8: objects in place of one-element lists, numbers and
//! booleans as text and the reverse, `null` as absent, unknown members and words. No member of a wrong type makes a
//! document unreadable; only broken JSON or a wrong root does.

use serde_json::{Map, Value, json};

use crate::record::{Action, DataCenter, InstanceRecord, InstanceStatus, Lease, Port};
use crate::wire::lenient::{
    ApplicationMembers, ApplicationRoot, ApplicationsRoot, InstanceMembers, InstanceRoot, PortMembers, Scalar,
};

/// A registry or delta document (`applications`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Document {
    /// `versions__delta`; -1 if it is missing, after which only full documents can be asked for.
    pub version: i64,
    /// `apps__hashcode`, if there is one.
    pub hash: Option<String>,
    /// The applications in order.
    pub applications: Vec<Application>,
}

/// One application with its instances.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Application {
    /// Its name as written.
    pub name: String,
    /// Its instances in order. Entries that do not say who they are are left out.
    pub instances: Vec<InstanceRecord>,
}

/// Why a body is no Eureka document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// There is nothing in it.
    #[error("body is empty")]
    Empty,
    /// It is no JSON (a login page, a truncated body).
    #[error("body is no JSON")]
    Syntax(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It is JSON without the member that was asked for.
    #[error("body has no member `{0}`")]
    Root(&'static str),
}

/// Reads `{"applications":{..}}`.
///
/// # Errors
///
/// If the body is empty, no JSON, or has another root.
pub fn decode_applications(body: &[u8]) -> Result<Document, DecodeError> {
    let root: ApplicationsRoot = parse(body)?;
    let members = root.applications.ok_or(DecodeError::Root("applications"))?;
    Ok(Document {
        version: members.version.0.unwrap_or(-1),
        hash: members.hash.0,
        applications: members.application.0.into_iter().map(application).collect(),
    })
}

/// Reads `{"application":{..}}`.
///
/// # Errors
///
/// If the body is empty, no JSON, or has another root.
pub fn decode_application(body: &[u8]) -> Result<Application, DecodeError> {
    let root: ApplicationRoot = parse(body)?;
    root.application.map(application).ok_or(DecodeError::Root("application"))
}

/// Reads `{"instance":{..}}`.
///
/// # Errors
///
/// If the body is empty, no JSON, has another root or an instance that does not say who it is.
pub fn decode_instance(body: &[u8]) -> Result<InstanceRecord, DecodeError> {
    let root: InstanceRoot = parse(body)?;
    root.instance.and_then(|members| instance(members, "")).ok_or(DecodeError::Root("instance"))
}

/// Writes `{"instance":{..}}` as a registration: every value in the type the server itself writes, nothing that only
/// the server knows, nothing that is `null` (discovery.md 1.7; nested unknown members make a server refuse the body).
#[must_use]
pub fn encode_registration(record: &InstanceRecord) -> Vec<u8> {
    let port = |port: Port| json!({ "$": port.number, "@enabled": if port.enabled { "true" } else { "false" } });
    let mut data_center = json!({ "@class": record.data_center.class, "name": record.data_center.name });
    if !record.data_center.metadata.is_empty() {
        data_center["metadata"] = json!(record.data_center.metadata);
    }
    let metadata = if record.metadata.is_empty() {
        json!({ "@class": "java.util.Collections$EmptyMap" })
    } else {
        json!(record.metadata)
    };
    let members = [
        ("instanceId", Some(json!(record.instance_id))),
        ("hostName", Some(json!(record.host_name))),
        ("app", Some(json!(record.app.to_uppercase()))),
        ("appGroupName", record.app_group.as_ref().map(|group| json!(group.to_uppercase()))),
        ("ipAddr", Some(json!(record.ip_addr))),
        ("status", Some(json!(record.status.as_str()))),
        ("overriddenStatus", Some(json!(InstanceStatus::Unknown.as_str()))),
        ("port", Some(port(record.port))),
        ("securePort", Some(port(record.secure_port))),
        ("countryId", Some(json!(1))),
        ("dataCenterInfo", Some(data_center)),
        (
            "leaseInfo",
            Some(json!({
                "renewalIntervalInSecs": record.lease.renewal_interval,
                "durationInSecs": record.lease.duration,
            })),
        ),
        ("metadata", Some(metadata)),
        ("homePageUrl", record.home_page_url.as_ref().map(|url| json!(url))),
        ("statusPageUrl", record.status_page_url.as_ref().map(|url| json!(url))),
        ("healthCheckUrl", record.health_check_url.as_ref().map(|url| json!(url))),
        ("secureHealthCheckUrl", record.secure_health_check_url.as_ref().map(|url| json!(url))),
        ("vipAddress", record.vip_address.as_ref().map(|vip| json!(vip))),
        ("secureVipAddress", record.secure_vip_address.as_ref().map(|vip| json!(vip))),
        ("isCoordinatingDiscoveryServer", Some(json!(if record.coordinating_server { "true" } else { "false" }))),
        ("asgName", record.asg_name.as_ref().map(|name| json!(name))),
        ("lastDirtyTimestamp", record.last_dirty_timestamp.map(|millis| json!(millis.to_string()))),
    ];
    let members: Map<String, Value> =
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    json!({ "instance": members }).to_string().into_bytes()
}

fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(DecodeError::Empty);
    }
    serde_json::from_slice(body).map_err(|error| DecodeError::Syntax(Box::new(error)))
}

fn application(members: ApplicationMembers) -> Application {
    let name = members.name.0.unwrap_or_default();
    let instances = members.instance.0.into_iter().filter_map(|members| instance(members, &name)).collect();
    Application { name, instances }
}

fn instance(members: InstanceMembers, application: &str) -> Option<InstanceRecord> {
    let data_center = members.data_center;
    let machine = data_center.metadata.0;
    let host_name = present(members.host_name).unwrap_or_default();
    // The server's own order: `InstanceInfo.getId`.
    let instance_id = present(members.instance_id)
        .or_else(|| machine.get("instance-id").filter(|id| !id.is_empty()).cloned())
        .or_else(|| Some(host_name.clone()).filter(|host| !host.is_empty()))?;
    let defaults = InstanceRecord::empty();
    let lease = Lease {
        renewal_interval: members.lease.renewal_interval.0.unwrap_or(defaults.lease.renewal_interval),
        // The server replaces what is not positive (recorded: `scenarios/codec-lease-zero`).
        duration: members.lease.duration.0.filter(|duration| *duration > 0).unwrap_or(defaults.lease.duration),
    };
    Some(InstanceRecord {
        instance_id,
        app: present(members.app).unwrap_or_else(|| application.to_owned()).to_uppercase(),
        app_group: present(members.app_group),
        host_name,
        ip_addr: present(members.ip_addr).unwrap_or_default(),
        status: members.status.0.map_or(InstanceStatus::Up, |word| InstanceStatus::from_word(&word)),
        overridden_status: (members.overridden_status.0.or(members.legacy_overridden_status.0))
            .map_or(InstanceStatus::Unknown, |word| InstanceStatus::from_word(&word)),
        port: port(&members.port, true),
        secure_port: port(&members.secure_port, false),
        vip_address: members.vip_address.0,
        secure_vip_address: members.secure_vip_address.0,
        home_page_url: members.home_page_url.0,
        status_page_url: members.status_page_url.0,
        health_check_url: members.health_check_url.0,
        secure_health_check_url: members.secure_health_check_url.0,
        metadata: members.metadata.0,
        lease,
        data_center: DataCenter {
            class: data_center.class.0.unwrap_or(defaults.data_center.class),
            name: data_center.name.0.unwrap_or(defaults.data_center.name),
            metadata: machine,
        },
        asg_name: members.asg_name.0,
        coordinating_server: members.coordinating_server.0.unwrap_or(false),
        last_updated_timestamp: members.last_updated_timestamp.0,
        last_dirty_timestamp: members.last_dirty_timestamp.0,
        action: members.action.0.and_then(|word| Action::from_word(&word)),
    })
}

/// A port without `@enabled` counts as enabled if it is the plain one (discovery.md 1.10).
fn port(members: &PortMembers, enabled: bool) -> Port {
    let number = members.number.0.unwrap_or(0);
    Port { number, enabled: members.enabled.0.unwrap_or(enabled && number != 0) }
}

fn present(text: Scalar<String>) -> Option<String> {
    text.0.filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(instance: &str) -> InstanceRecord {
        decode_instance(format!(r#"{{"instance":{instance}}}"#).as_bytes()).unwrap()
    }

    #[test]
    fn values_are_read_in_either_type() {
        let strict = one(r#"{"instanceId":"i","hostName":"h","app":"A","port":{"$":8080,"@enabled":"true"},
            "lastDirtyTimestamp":"5","isCoordinatingDiscoveryServer":"true"}"#);
        let loose = one(r#"{"instanceId":"i","hostName":"h","app":"a","port":{"$":"8080","@enabled":true},
            "lastDirtyTimestamp":5,"isCoordinatingDiscoveryServer":true,"sid":"na","actionType":null}"#);
        assert_eq!(strict, loose);
        assert_eq!((strict.port, strict.last_dirty_timestamp), (Port { number: 8080, enabled: true }, Some(5)));
    }

    #[test]
    fn the_camel_case_override_wins_over_the_legacy_one() {
        assert_eq!(
            one(r#"{"hostName":"h","overriddenstatus":"OUT_OF_SERVICE"}"#).overridden_status,
            InstanceStatus::OutOfService
        );
        let both = one(r#"{"hostName":"h","overriddenStatus":"DOWN","overriddenstatus":"UP"}"#);
        assert_eq!(both.overridden_status, InstanceStatus::Down);
    }

    #[test]
    fn metadata_is_text_without_the_java_class() {
        let record = one(r#"{"hostName":"h","metadata":
            {"@class":"java.util.HashMap","weight":5,"beta":true,"x":null,"y":{"z":1},"my__key":"1"}}"#);
        let expected = [("beta", "true"), ("my__key", "1"), ("weight", "5")];
        assert!(record.metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())).eq(expected), "{:?}", record.metadata);
        assert!(one(r#"{"hostName":"h","metadata":null}"#).metadata.is_empty());
    }

    #[test]
    fn an_instance_without_id_is_known_by_its_machine_or_host() {
        assert_eq!(one(r#"{"hostName":"h1"}"#).instance_id, "h1");
        let amazon = r#"{"hostName":"h1","dataCenterInfo":{"name":"Amazon","metadata":{"instance-id":"i-77"}}}"#;
        assert_eq!(one(amazon).instance_id, "i-77");
    }

    #[test]
    fn single_objects_stand_for_lists() {
        let document = decode_applications(
            br#"{"applications":{"versions__delta":1,"apps__hashcode":"UP_1_",
                "application":{"name":"A","instance":{"instanceId":"i","hostName":"h"}}}}"#,
        )
        .unwrap();
        assert_eq!((document.version, document.hash.as_deref()), (1, Some("UP_1_")));
        assert_eq!(document.applications[0].instances[0].app, "A");
    }

    #[test]
    fn an_empty_registry_has_many_forms() {
        for application in ["", r#","application":[]"#, r#","application":null"#, r#","application":"""#] {
            let body = format!(r#"{{"applications":{{"versions__delta":"1","apps__hashcode":""{application}}}}}"#);
            let document = decode_applications(body.as_bytes()).unwrap();
            assert_eq!((document.hash.as_deref(), document.applications.len()), (Some(""), 0), "{body}");
        }
    }

    #[test]
    fn a_broken_instance_does_not_hide_the_others() {
        let body = br#"{"applications":{"application":[{"name":"A","instance":[
            {"instanceId":"1","hostName":"h","port":{"$":"abc"}},
            {"instanceId":"2","hostName":"h","port":{"$":1},"status":"PAUSED","foo":{"a":[1]}},
            null, 7, {"instanceId":"3","hostName":["h"],"port":[]}]}]}}"#;
        let document = decode_applications(body).unwrap();
        let seen: Vec<_> =
            document.applications[0].instances.iter().map(|i| (i.instance_id.as_str(), i.status)).collect();
        assert_eq!(seen, [("1", InstanceStatus::Up), ("2", InstanceStatus::Unknown), ("3", InstanceStatus::Up)]);
        assert_eq!((document.version, document.hash), (-1, None));
    }

    #[test]
    fn what_is_no_document_is_an_error() {
        assert!(matches!(decode_applications(b" \n"), Err(DecodeError::Empty)));
        assert!(matches!(decode_applications(b"<html>"), Err(DecodeError::Syntax(_))));
        assert!(matches!(decode_applications(br#"{"status":404}"#), Err(DecodeError::Root(_))));
        assert!(matches!(decode_applications(br#"{"applications":null}"#), Err(DecodeError::Root(_))));
        assert!(decode_applications("\u{feff}{\"applications\":{}}\n".as_bytes()).is_ok());
        let deep = format!("{{\"applications\":{}", "[".repeat(100_000));
        assert!(matches!(decode_applications(deep.as_bytes()), Err(DecodeError::Syntax(_))));
    }

    #[test]
    fn a_registration_reads_back_as_it_was() {
        let mut record = InstanceRecord::new("order_service", "h", 8080);
        record.last_dirty_timestamp = Some(1_785_412_799_870);
        record.metadata.insert("team".to_owned(), "größe".to_owned());
        assert_eq!(decode_instance(&encode_registration(&record)).unwrap(), record);
    }

    /// Any JSON in the place of any member.
    fn anything() -> impl proptest::strategy::Strategy<Value = Value> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-zA-Z0-9$@_ ]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            let member = prop_oneof![
                Just("$".to_owned()),
                Just("@enabled".to_owned()),
                Just("@class".to_owned()),
                Just("name".to_owned()),
                "[a-z]{1,4}",
            ];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((member, inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest::proptest! {
        #[test]
        fn no_member_of_a_wrong_type_makes_a_document_unreadable(
            member in proptest::sample::select(vec![
                "hostName", "app", "status", "overriddenStatus", "port", "securePort", "dataCenterInfo", "leaseInfo",
                "metadata", "vipAddress", "isCoordinatingDiscoveryServer", "lastDirtyTimestamp", "actionType", "other",
            ]),
            value in anything(),
        ) {
            let mut instance = json!({ "instanceId": "i", "hostName": "h", "port": { "$": 1 } });
            instance[member] = value;
            let body = json!({ "applications": { "application": [{ "name": "A", "instance": [instance] }] } });
            let document = decode_applications(body.to_string().as_bytes()).unwrap();
            proptest::prop_assert_eq!(document.applications[0].instances.len(), 1);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(body in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
            drop(decode_applications(&body));
            drop(decode_instance(&body));
            drop(decode_application(&body));
        }
    }
}
