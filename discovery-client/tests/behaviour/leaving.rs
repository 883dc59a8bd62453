use std::time::Duration;

use tokio::time::Instant;
use vernal_discovery_client::{Error, EurekaClientSettings, Registration};
use vernal_testkit::registry::Status;

use crate::estate::{Estate, Server, orders, pass};

#[tokio::test(start_paused = true)]
async fn leaving_is_down_then_delete_then_silence() {
    let (estate, registry) = Estate::with_registry().await;
    let client = estate.client("http://registry/eureka").start().unwrap();
    client.register(orders(8080)).await.unwrap();
    let discovery = client.discovery();
    estate.clear();
    client.stop().await.unwrap();
    let log = estate.log();
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log[0].line.starts_with("POST") && log[0].body.contains(r#""status":"DOWN""#), "{log:?}");
    assert_eq!(log[1].line, "DELETE /eureka/apps/ORDERS/10.0.0.7:orders:8080");
    assert!(registry.instances().is_empty());
    assert_eq!(discovery.health().registration.state, Registration::Left);
    pass(300.0).await;
    assert_eq!(estate.log().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_heartbeat_on_its_way_is_awaited_and_its_answer_changes_nothing() {
    let (estate, registry) = Estate::with_registry().await;
    let client = estate.client("http://registry/eureka").shutdown_limit(Duration::from_secs(10)).start().unwrap();
    client.register(orders(8080)).await.unwrap();
    assert!(registry.expire("ORDERS", "10.0.0.7:orders:8080"));
    estate.clear();
    estate.delay("PUT", Duration::from_secs(3));
    while estate.lines(&["PUT"]).is_empty() {
        pass(0.1).await;
    }
    client.stop().await.unwrap();
    let lines = estate.lines(&["PUT", "POST", "DELETE"]);
    // The heartbeat's answer is 404, after which there is nothing to declare down.
    let methods: Vec<_> = lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(methods, ["PUT", "DELETE"]);
    pass(60.0).await;
    assert_eq!(estate.lines(&["PUT", "POST", "DELETE"]).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_hangs_holds_nobody_longer_than_the_limit() {
    let (estate, _registry) = Estate::with_registry().await;
    let client = estate.client("http://registry/eureka").start().unwrap();
    client.register(orders(8080)).await.unwrap();
    estate.put("registry", Server::Hanging);
    let start = Instant::now();
    let error = client.stop().await.unwrap_err();
    assert!(start.elapsed() < Duration::from_millis(5500), "{:?}", start.elapsed());
    assert!(matches!(&error, Error::NotDeregistered { instance_id, .. } if instance_id == "10.0.0.7:orders:8080"));
    assert!(error.is_timeout());
    assert_eq!(estate.lines(&["DELETE"]).len(), 1, "the end of the lease is tried even if DOWN got no answer");
}

#[tokio::test(start_paused = true)]
async fn a_registration_that_hangs_does_not_hold_up_the_end() {
    let (estate, _registry) = Estate::with_registry().await;
    estate.put("registry", Server::Hanging);
    let client = estate.client("http://registry/eureka").start().unwrap();
    let register = client.register(orders(8080));
    assert!(tokio::time::timeout(Duration::from_secs(1), register).await.is_err());
    let start = Instant::now();
    assert!(client.stop().await.is_err());
    assert!(start.elapsed() < Duration::from_millis(5500), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn without_unregistering_the_instance_is_only_declared_down() {
    let (estate, registry) = Estate::with_registry().await;
    let mut settings = EurekaClientSettings::for_servers("http://registry/eureka");
    settings.should_unregister_on_shutdown = false;
    let client = estate.client_with(settings).start().unwrap();
    client.register(orders(8080)).await.unwrap();
    client.stop().await.unwrap();
    assert_eq!(registry.instances()[0].status, Status::Down);
    assert!(estate.lines(&["DELETE"]).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_registered_leaves_without_a_word() {
    let (estate, _registry) = Estate::with_registry().await;
    let client = estate.client("http://registry/eureka").start().unwrap();
    client.stop().await.unwrap();
    assert!(estate.lines(&["POST", "DELETE"]).is_empty());
}

#[tokio::test(start_paused = true)]
async fn dropping_the_client_ends_its_tasks_without_telling_the_registry() {
    let (estate, registry) = Estate::with_registry().await;
    let client = estate.client("http://registry/eureka").start().unwrap();
    client.register(orders(8080)).await.unwrap();
    let discovery = client.discovery();
    drop(client);
    estate.clear();
    pass(60.0).await;
    assert!(estate.log().is_empty());
    assert_eq!(registry.instances().len(), 1);
    assert!(matches!(
        discovery.set_status(vernal_discovery_client::InstanceStatus::Down).await,
        Err(Error::Off { .. })
    ));
}
