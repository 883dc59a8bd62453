//! Over real sockets, with the default transport.

use std::time::Duration;

use vernal_discovery_client::{EurekaClient, EurekaClientSettings, InstanceRecord, Registration};
use vernal_testkit::registry::Registry;

const LIMIT: Duration = Duration::from_secs(20);

fn settings(registry: &Registry) -> EurekaClientSettings {
    let mut settings = EurekaClientSettings::for_servers(&registry.url());
    settings.registry_fetch_interval_seconds = 1;
    settings
}

fn record(port: u16) -> InstanceRecord {
    let mut record = InstanceRecord::new("ORDER_SERVICE", "127.0.0.1", port);
    record.lease.renewal_interval = 1;
    record
}

#[tokio::test]
async fn two_instances_come_and_go() {
    let registry = Registry::start().await.unwrap();
    let start = || EurekaClient::builder(settings(&registry)).start().unwrap();
    let (one, two, caller) = (start(), start(), start());
    one.register(record(9001)).await.unwrap();
    two.register(record(9002)).await.unwrap();
    let discovery = caller.discovery();
    discovery.wait_for("order_service", LIMIT).await.unwrap();
    one.stop().await.unwrap();
    two.discovery().wait_registration(Registration::Registered, LIMIT).await.unwrap();
    two.stop().await.unwrap();
    assert!(registry.instances().is_empty());
}

#[tokio::test]
async fn a_lost_lease_comes_back() {
    let registry = Registry::start().await.unwrap();
    let client = EurekaClient::builder(settings(&registry)).start().unwrap();
    client.register(record(9001)).await.unwrap();
    assert!(registry.expire("ORDER_SERVICE", "127.0.0.1:ORDER_SERVICE:9001"));
    let discovery = client.discovery();
    discovery.wait_registration(Registration::Pending, LIMIT).await.unwrap();
    discovery.wait_registration(Registration::Registered, LIMIT).await.unwrap();
    assert_eq!(registry.instances().len(), 1);
}

#[tokio::test]
async fn a_registry_that_hangs_does_not_hold_up_the_end() {
    let registry = Registry::start().await.unwrap();
    let client = EurekaClient::builder(settings(&registry)).shutdown_limit(Duration::from_millis(500)).start().unwrap();
    client.register(record(9001)).await.unwrap();
    registry.hang();
    let stopped = tokio::time::timeout(LIMIT, client.stop()).await;
    assert!(stopped.expect("within its limit").is_err());
}
