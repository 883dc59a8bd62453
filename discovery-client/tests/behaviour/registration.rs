use std::time::Duration;

use tokio::time::Instant;
use vernal_discovery_client::{Error, EurekaClientSettings, InstanceStatus, Registration};
use vernal_testkit::registry::Status;

use crate::estate::{Estate, answer, ids, orders, pass};

const LIMIT: Duration = Duration::from_secs(120);

fn dirty(line_or_body: &str) -> u64 {
    let (_, rest) = line_or_body.split_once("lastDirtyTimestamp").unwrap();
    rest.trim_start_matches(['=', '"', ':'])
        .chars()
        .take_while(char::is_ascii_digit)
        .collect::<String>()
        .parse()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_registered_instance_is_found_by_another_client() {
    let (estate, registry) = Estate::with_registry().await;
    let server = estate.client("http://registry/eureka").start().unwrap();
    server.register(orders(8080)).await.unwrap();
    assert_eq!(server.discovery().health().registration.state, Registration::Registered);
    assert_eq!(registry.instances()[0].id, "10.0.0.7:orders:8080");
    let caller = estate.client("http://registry/eureka/").start().unwrap();
    let view = caller.discovery().wait_for("ORDERS", LIMIT).await.unwrap();
    assert_eq!(view.instances().next().unwrap().authority(), "10.0.0.7:8080");
}

#[tokio::test(start_paused = true)]
async fn heartbeats_come_within_the_renewal_interval() {
    let (estate, _registry) = Estate::with_registry().await;
    let client = estate.client("http://registry/eureka").start().unwrap();
    client.register(orders(8080)).await.unwrap();
    pass(300.0).await;
    let beats: Vec<Instant> =
        estate.log().iter().filter(|asked| asked.line.starts_with("PUT")).map(|asked| asked.at).collect();
    assert!((10..=13).contains(&beats.len()), "{}", beats.len());
    for pair in beats.windows(2) {
        let gap = (pair[1] - pair[0]).as_secs_f64();
        assert!((23.9..=30.1).contains(&gap), "{gap}");
    }
    assert_eq!(estate.lines(&["POST"]).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_expired_lease_is_registered_again_with_a_later_time_stamp() {
    let (estate, registry) = Estate::with_registry().await;
    let client = estate.client("http://registry/eureka").start().unwrap();
    client.register(orders(8080)).await.unwrap();
    let before = dirty(&estate.log().iter().find(|asked| asked.line.starts_with("POST")).unwrap().body);
    assert!(registry.expire("ORDERS", "10.0.0.7:orders:8080"));
    estate.clear();
    pass(40.0).await;
    let log = estate.log();
    let writes: Vec<_> = log.iter().filter(|asked| !asked.line.starts_with("GET")).collect();
    assert!(writes[0].line.starts_with("PUT") && writes[1].line.starts_with("POST"), "{writes:?}");
    assert!(dirty(&writes[1].body) > before);
    assert_eq!(registry.instances().len(), 1);
    pass(31.0).await;
    let beat = estate.lines(&["PUT"]).pop().unwrap();
    assert_eq!(dirty(&beat), dirty(&writes[1].body));
}

#[tokio::test(start_paused = true)]
async fn only_a_404_leads_to_a_new_registration_whatever_its_body_says() {
    for (status, body, registrations) in [
        (404, "<html>Not Found</html>", 2),
        (404, r#"{"status":404,"error":"Not Found"}"#, 2),
        (500, "", 1),
        (401, "", 1),
        (200, "<html>", 1),
    ] {
        let estate = Estate::default();
        estate.script("registry", move |asked| match asked.line.split(' ').next() {
            Some("PUT") => answer(status, body),
            Some("POST") => answer(204, ""),
            _ => answer(404, ""),
        });
        let client = estate.client("http://registry/eureka").start().unwrap();
        client.register(orders(8080)).await.unwrap();
        // The first heartbeat, and time for what it leads to; not for a second one.
        pass(33.0).await;
        assert_eq!(estate.lines(&["POST"]).len(), registrations, "{status} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_registration_is_tried_again_until_the_registry_is_there() {
    let (estate, registry) = Estate::with_registry().await;
    let there = crate::estate::up(&registry);
    estate.put("registry", crate::estate::Server::Refusing);
    let client = estate.client("http://registry/eureka").start().unwrap();
    let error = client.register(orders(8080)).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(client.discovery().health().registration.state, Registration::Pending);
    pass(20.0).await;
    let tries = estate.lines(&["POST"]).len();
    assert!((4..=7).contains(&tries), "{tries}");
    estate.put("registry", there);
    client.discovery().wait_registration(Registration::Registered, Duration::from_secs(31)).await.unwrap();
    assert_eq!(registry.instances().len(), 1);
    assert_eq!(client.discovery().health().registration.consecutive_failures, 0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_is_no_tight_loop_and_its_reason_is_shown() {
    let estate = Estate::default();
    estate.script("registry", |asked| match asked.line.starts_with("POST") {
        true => answer(400, "Missing ip address"),
        false => answer(404, ""),
    });
    let client = estate.client("http://registry/eureka,http://other/eureka").start().unwrap();
    let error = client.register(orders(8080)).await.unwrap_err();
    assert_eq!(error.to_string(), "registry `http://registry/eureka` answered 400 to register: Missing ip address");
    pass(65.0).await;
    assert_eq!(estate.lines(&["POST"]).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_could_not_be_found_again_is_never_sent() {
    let (estate, _registry) = Estate::with_registry().await;
    let client = estate.client("http://registry/eureka").start().unwrap();
    let mut record = orders(8080);
    record.instance_id = "a/b".to_owned();
    assert!(matches!(client.register(record).await, Err(Error::InvalidRecord { .. })));
    assert!(estate.lines(&["POST"]).is_empty());
}

#[tokio::test(start_paused = true)]
async fn heartbeats_do_not_wait_behind_a_fetch_that_hangs() {
    let (estate, registry) = Estate::with_registry().await;
    estate.hang("GET");
    let client = estate.client("http://registry/eureka").start().unwrap();
    client.register(orders(8080)).await.unwrap();
    pass(95.0).await;
    assert!(estate.lines(&["PUT"]).len() >= 2);
    assert_eq!(registry.instances().len(), 1);
    assert!(client.discovery().health().fetch.consecutive_failures > 0);
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_changes_is_told_in_two_registrations_and_the_last_one_counts() {
    let (estate, registry) = Estate::with_registry().await;
    let client = estate.client("http://registry/eureka").start().unwrap();
    client.register(orders(8080)).await.unwrap();
    pass(5.0).await;
    estate.clear();
    let discovery = client.discovery();
    for status in
        [InstanceStatus::Down, InstanceStatus::Up, InstanceStatus::Down, InstanceStatus::Up, InstanceStatus::Down]
    {
        discovery.set_status(status).await.unwrap();
        pass(0.02).await;
    }
    pass(1.5).await;
    assert!(estate.lines(&["POST"]).len() <= 2, "{:?}", estate.lines(&["POST"]));
    assert_eq!(registry.instances()[0].status, Status::Down);
    let stamps: Vec<_> =
        estate.log().iter().filter(|asked| asked.line.starts_with("POST")).map(|asked| dirty(&asked.body)).collect();
    assert!(stamps.is_sorted_by(|a, b| a < b), "{stamps:?}");
}

#[tokio::test(start_paused = true)]
async fn out_of_service_is_reached_and_left_although_the_server_holds_on_to_a_status() {
    let (estate, registry) = Estate::with_registry().await;
    let client = estate.client("http://registry/eureka").start().unwrap();
    client.register(orders(8080)).await.unwrap();
    let discovery = client.discovery();
    discovery.set_status(InstanceStatus::OutOfService).await.unwrap();
    pass(2.0).await;
    assert_eq!(registry.instances()[0].status, Status::OutOfService);
    pass(60.0).await;
    assert_eq!(registry.instances()[0].status, Status::OutOfService);
    assert_eq!(discovery.health().fetch.remote_status, Some(InstanceStatus::OutOfService));
    discovery.set_status(InstanceStatus::Up).await.unwrap();
    pass(40.0).await;
    assert_eq!(registry.instances()[0].status, Status::Up);
}

#[tokio::test(start_paused = true)]
async fn a_record_from_the_future_is_replaced() {
    let (estate, registry) = Estate::with_registry().await;
    let mut old = orders(8080);
    old.last_dirty_timestamp = Some(9_000_000_000_000);
    old.metadata.insert("build".to_owned(), "old".to_owned());
    let body = vernal_discovery_client::wire::json::encode_registration(&old);
    let request = http::Request::post("http://registry/eureka/apps/ORDERS")
        .header("content-type", "application/json")
        .body(vernal_commons::http::Body::from(body))
        .unwrap();
    let answer = vernal_commons::http::SharedTransport::new(registry.router()).send(request).await.unwrap();
    assert_eq!(answer.status(), 204);
    let client = estate.client("http://registry/eureka").start().unwrap();
    client.register(orders(8080)).await.unwrap();
    pass(1.0).await;
    assert!(registry.instances()[0].metadata.is_empty(), "{:?}", registry.instances());
}

#[tokio::test(start_paused = true)]
async fn the_same_record_is_registered_once_and_another_one_replaces_it() {
    let (estate, registry) = Estate::with_registry().await;
    let client = estate.client("http://registry/eureka").start().unwrap();
    client.register(orders(8080)).await.unwrap();
    client.register(orders(8080)).await.unwrap();
    assert_eq!(estate.lines(&["POST"]).len(), 1);
    let mut changed = orders(8080);
    changed.metadata.insert("zone".to_owned(), "eu-a".to_owned());
    client.register(changed).await.unwrap();
    assert_eq!(registry.instances()[0].metadata["zone"], "eu-a");
    assert!(estate.lines(&["DELETE"]).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_register_only_reads() {
    let (estate, registry) = Estate::with_registry().await;
    let other = estate.client("http://registry/eureka").start().unwrap();
    other.register(orders(8080)).await.unwrap();
    let mut settings = EurekaClientSettings::for_servers("http://registry/eureka");
    settings.register_with_eureka = false;
    let client = estate.client_with(settings).start().unwrap();
    client.register(orders(8081)).await.unwrap();
    client.discovery().wait_ready(LIMIT).await.unwrap();
    assert_eq!(ids(&client.discovery(), "orders"), ["10.0.0.7:orders:8080"]);
    assert!(matches!(client.discovery().set_status(InstanceStatus::Down).await, Err(Error::Off { .. })));
    client.stop().await.unwrap();
    assert_eq!(registry.instances().len(), 1);
}
