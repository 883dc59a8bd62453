//! The members of documents, read a second time from plain JSON and compared with what the crate makes of them.

use serde_json::{Value, json};
use vernal_discovery_client::wire::json::{Application, Document};
use vernal_discovery_client::{Action, InstanceRecord, Port};

use crate::registration::{flag, number, texts};

/// Instances of a document by application.
pub(crate) fn ours(document: &Document) -> Value {
    json!(document.applications.iter().map(our_application).collect::<Vec<_>>())
}

pub(crate) fn recorded(document: &Value) -> Value {
    let applications = document["applications"]["application"].as_array().unwrap();
    json!(applications.iter().map(recorded_application).collect::<Vec<_>>())
}

pub(crate) fn our_application(application: &Application) -> Value {
    json!({ "name": application.name, "instance": application.instances.iter().map(our_instance).collect::<Vec<_>>() })
}

pub(crate) fn recorded_application(application: &Value) -> Value {
    let instances = application["instance"].as_array().unwrap();
    json!({ "name": application["name"], "instance": instances.iter().map(recorded_instance).collect::<Vec<_>>() })
}

pub(crate) fn our_instance(record: &InstanceRecord) -> Value {
    let port = |port: Port| json!([port.number, port.enabled]);
    let action = record.action.map(|action| match action {
        Action::Added => "ADDED",
        Action::Modified => "MODIFIED",
        Action::Deleted => "DELETED",
    });
    json!({
        "instanceId": record.instance_id,
        "app": record.app,
        "appGroupName": record.app_group,
        "hostName": record.host_name,
        "ipAddr": record.ip_addr,
        "status": record.status.as_str(),
        "overriddenStatus": record.overridden_status.as_str(),
        "port": port(record.port),
        "securePort": port(record.secure_port),
        "urls": [record.home_page_url, record.status_page_url, record.health_check_url, record.secure_health_check_url],
        "vips": [record.vip_address, record.secure_vip_address],
        "metadata": record.metadata,
        "lease": [record.lease.renewal_interval, record.lease.duration],
        "dataCenter": [record.data_center.class, record.data_center.name],
        "machine": record.data_center.metadata,
        "asgName": record.asg_name,
        "server": record.coordinating_server,
        "updated": record.last_updated_timestamp,
        "dirty": record.last_dirty_timestamp,
        "action": action,
    })
}

pub(crate) fn recorded_instance(instance: &Value) -> Value {
    let port = |port: &Value| {
        let number = number(&port["$"]).filter(|number| u16::try_from(*number).is_ok()).unwrap_or(0);
        json!([number, flag(&port["@enabled"])])
    };
    json!({
        "instanceId": instance["instanceId"],
        "app": instance["app"],
        "appGroupName": instance["appGroupName"],
        "hostName": instance["hostName"],
        "ipAddr": instance["ipAddr"],
        "status": instance["status"],
        "overriddenStatus": instance["overriddenStatus"],
        "port": port(&instance["port"]),
        "securePort": port(&instance["securePort"]),
        "urls": [instance["homePageUrl"], instance["statusPageUrl"], instance["healthCheckUrl"], instance["secureHealthCheckUrl"]],
        "vips": [instance["vipAddress"], instance["secureVipAddress"]],
        "metadata": texts(&instance["metadata"]),
        "lease": [instance["leaseInfo"]["renewalIntervalInSecs"], instance["leaseInfo"]["durationInSecs"]],
        "dataCenter": [instance["dataCenterInfo"]["@class"], instance["dataCenterInfo"]["name"]],
        "machine": texts(&instance["dataCenterInfo"]["metadata"]),
        "asgName": instance["asgName"],
        "server": flag(&instance["isCoordinatingDiscoveryServer"]),
        "updated": number(&instance["lastUpdatedTimestamp"]),
        "dirty": number(&instance["lastDirtyTimestamp"]),
        "action": instance["actionType"],
    })
}
