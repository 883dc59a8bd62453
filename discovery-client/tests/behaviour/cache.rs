use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use vernal_commons::discover::{Discover, LookupError};
use vernal_commons::http::SharedTransport;
use vernal_discovery_client::{Error, EurekaClientSettings, Limits};
use vernal_testkit::registry::Registry;

use crate::estate::{Estate, Server, answer, document, ids, orders, pass, up};

const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test(start_paused = true)]
async fn before_the_first_document_the_registry_is_unavailable_and_afterwards_a_service_unknown() {
    let (estate, registry) = Estate::with_registry().await;
    estate.put("registry", Server::Refusing);
    let client = estate.client("http://registry/eureka").start().unwrap();
    let discovery = client.discovery();
    pass(20.0).await;
    let Err(LookupError::Unavailable { source: Some(source), .. }) = discovery.lookup("orders") else {
        panic!("{:?}", discovery.lookup("orders"))
    };
    assert_eq!(source.to_string(), "registry `http://registry/eureka` cannot be reached for full fetch");
    assert!(matches!(discovery.wait_ready(Duration::from_secs(1)).await, Err(Error::NotReady { .. })));
    estate.put("registry", up(&registry));
    discovery.wait_ready(Duration::from_secs(31)).await.unwrap();
    assert!(matches!(discovery.lookup("orders"), Err(LookupError::UnknownService { .. })));
    let missing = discovery.wait_for("orders", Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(missing.to_string(), "no instance of service `orders` within 1000 ms");
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_goes_away_takes_no_instance_with_it() {
    let (estate, registry) = Estate::with_registry().await;
    let server = estate.client("http://registry/eureka").start().unwrap();
    server.register(orders(8080)).await.unwrap();
    let client = estate.client("http://registry/eureka").start().unwrap();
    let discovery = client.discovery();
    discovery.wait_for("orders", LIMIT).await.unwrap();
    for broken in [
        Server::Refusing,
        Server::Hanging,
        Server::Script(Arc::new(|_| answer(200, "<html>Please log in</html>"))),
        Server::Script(Arc::new(|_| answer(200, r#"{"status":"ok"}"#))),
        Server::Script(Arc::new(|_| answer(503, ""))),
    ] {
        estate.put("registry", broken);
        pass(600.0).await;
        assert_eq!(ids(&discovery, "orders"), ["10.0.0.7:orders:8080"]);
        assert!(discovery.health().fetch.consecutive_failures > 3);
        assert!(discovery.health().fetch.last_error.is_some());
    }
    estate.put("registry", up(&registry));
    pass(70.0).await;
    assert_eq!(discovery.health().fetch.consecutive_failures, 0);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_restarts_empty_is_not_believed_at_once() {
    let (estate, registry) = Estate::with_registry().await;
    let server = estate.client("http://registry/eureka").start().unwrap();
    server.register(orders(8080)).await.unwrap();
    let client = estate.client("http://registry/eureka").start().unwrap();
    let discovery = client.discovery();
    discovery.wait_for("orders", LIMIT).await.unwrap();
    // The instance dies together with the registry.
    drop(server);
    let empty = Registry::start().await.unwrap();
    estate.put("registry", up(&empty));
    registry.stop().await;
    while discovery.health().fetch.suspects == 0 {
        pass(0.5).await;
    }
    assert_eq!(ids(&discovery, "orders"), ["10.0.0.7:orders:8080"]);
    pass(20.0).await;
    assert_eq!(ids(&discovery, "orders"), ["10.0.0.7:orders:8080"]);
    pass(50.0).await;
    assert!(discovery.lookup("orders").unwrap().is_empty(), "the name stays known");
    assert_eq!(discovery.health().fetch.suspects, 0);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_living_instances_come_back_without_a_gap() {
    let (estate, registry) = Estate::with_registry().await;
    let server = estate.client("http://registry/eureka").start().unwrap();
    server.register(orders(8080)).await.unwrap();
    let mut settings = EurekaClientSettings::for_servers("http://registry/eureka");
    settings.registry_fetch_interval_seconds = 1;
    let client = estate.client_with(settings).start().unwrap();
    let discovery = client.discovery();
    discovery.wait_for("orders", LIMIT).await.unwrap();
    let empty = Registry::start().await.unwrap();
    estate.put("registry", up(&empty));
    registry.stop().await;
    for _ in 0..600 {
        pass(0.1).await;
        assert_eq!(ids(&discovery, "orders").len(), 1);
    }
    assert_eq!((empty.instances().len(), discovery.health().fetch.suspects), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn deltas_follow_what_happens_in_the_registry() {
    let (estate, registry) = Estate::with_registry().await;
    let client = estate.client("http://registry/eureka").start().unwrap();
    let discovery = client.discovery();
    discovery.wait_ready(LIMIT).await.unwrap();
    let one = estate.client("http://registry/eureka").start().unwrap();
    one.register(orders(8080)).await.unwrap();
    let two = estate.client("http://registry/eureka").start().unwrap();
    two.register(orders(8081)).await.unwrap();
    pass(35.0).await;
    assert_eq!(discovery.lookup("orders").unwrap().len(), 2);
    two.stop().await.unwrap();
    pass(35.0).await;
    assert_eq!(ids(&discovery, "ORDERS"), ["10.0.0.7:orders:8080"]);
    assert_eq!((discovery.health().fetch.mismatches, discovery.services()), (0, vec!["orders".to_owned()]));
    assert!(registry.expire("ORDERS", "10.0.0.7:orders:8080"));
    drop(one);
    pass(35.0).await;
    assert!(discovery.lookup("orders").unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_delta_that_does_not_add_up_leads_to_a_full_fetch_and_three_of_them_to_a_pause() {
    let estate = Estate::default();
    estate.script("registry", |asked| match asked.line.as_str() {
        "GET /eureka/apps/delta" => answer(200, document(2, "UP_4_", &[("o1", "UP", "MODIFIED")])),
        _ => answer(200, document(1, "UP_2_", &[("o1", "UP", "ADDED"), ("o2", "UP", "ADDED")])),
    });
    let client = estate.client("http://registry/eureka").start().unwrap();
    pass(37.0).await;
    assert_eq!(estate.lines(&["GET"]), ["GET /eureka/apps/", "GET /eureka/apps/delta", "GET /eureka/apps/"]);
    assert_eq!(ids(&client.discovery(), "orders"), ["o1", "o2"]);
    pass(270.0).await;
    let deltas = |lines: &[String]| lines.iter().filter(|line| line.ends_with("delta")).count();
    assert_eq!(deltas(&estate.lines(&["GET"])), 3);
    assert_eq!(client.discovery().health().fetch.mismatches, 3);
    pass(200.0).await;
    assert!(deltas(&estate.lines(&["GET"])) > 3);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_deltas_is_asked_for_everything_in_the_same_cycle() {
    for (status, body) in [(403, "off"), (404, ""), (200, "")] {
        let estate = Estate::default();
        estate.script("registry", move |asked| match asked.line.as_str() {
            "GET /eureka/apps/delta" => answer(status, body),
            _ => answer(200, document(1, "UP_1_", &[("o1", "UP", "ADDED")])),
        });
        let client = estate.client("http://registry/eureka").start().unwrap();
        pass(34.0).await;
        let expected = ["GET /eureka/apps/", "GET /eureka/apps/delta", "GET /eureka/apps/"];
        assert_eq!(estate.lines(&["GET"]), expected, "{status}");
        assert_eq!(client.discovery().health().fetch.consecutive_failures, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn everything_is_fetched_when_deltas_are_off_or_cannot_be_trusted() {
    let full = |version| document(version, "UP_1_", &[("o1", "UP", "ADDED")]);
    let off = |settings: &mut EurekaClientSettings| settings.disable_delta = true;
    let vip = |settings: &mut EurekaClientSettings| {
        settings.registry_refresh_single_vip_address = Some("orders".to_owned());
    };
    type Change = fn(&mut EurekaClientSettings);
    let cases: [(Change, i64, &str); 3] =
        [(off, 1, "GET /eureka/apps/"), (vip, 1, "GET /eureka/vips/orders"), (|_| (), -1, "GET /eureka/apps/")];
    for (change, version, expected) in cases {
        let estate = Estate::default();
        let body = full(version);
        estate.script("registry", move |_| answer(200, body.clone()));
        let mut settings = EurekaClientSettings::for_servers("http://registry/eureka");
        change(&mut settings);
        let client = estate.client_with(settings).start().unwrap();
        pass(100.0).await;
        let lines = estate.lines(&["GET"]);
        assert!(lines.len() >= 3 && lines.iter().all(|line| line == expected), "{lines:?}");
        assert_eq!(ids(&client.discovery(), "orders"), ["o1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_whole_registry_is_fetched_now_and_then_since_the_hash_is_weak() {
    let estate = Estate::default();
    let fetches = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&fetches);
    estate.script("registry", move |asked| match asked.line.as_str() {
        "GET /eureka/apps/delta" => answer(200, document(2, "UP_1_", &[])),
        _ => {
            let id = format!("o{}", counter.fetch_add(1, Ordering::SeqCst));
            answer(200, document(1, "UP_1_", &[(id.as_str(), "UP", "ADDED")]))
        }
    });
    let _client = estate.client("http://registry/eureka").start().unwrap();
    pass(470.0).await;
    assert_eq!(fetches.load(Ordering::SeqCst), 1);
    pass(300.0).await;
    assert_eq!(fetches.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_brings_the_next_fetch_forward_but_not_every_time() {
    let (estate, _registry) = Estate::with_registry().await;
    let server = estate.client("http://registry/eureka").start().unwrap();
    server.register(orders(8080)).await.unwrap();
    let client = estate.client("http://registry/eureka").start().unwrap();
    let discovery = client.discovery();
    let view = discovery.wait_for("orders", LIMIT).await.unwrap();
    pass(1.0).await;
    estate.clear();
    for _ in 0..20 {
        discovery.suspect(view.candidates()[0].instance());
        pass(0.2).await;
    }
    let early = estate.lines(&["GET"]).len();
    assert_eq!(early, 1, "{:?}", estate.lines(&["GET"]));
    pass(5.0).await;
    assert_eq!(estate.lines(&["GET"]).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn documents_beyond_the_caps_are_refused_and_the_cache_is_kept() {
    let estate = Estate::default();
    let small = document(-1, "UP_1_", &[("o1", "UP", "ADDED")]);
    estate.script("registry", move |_| answer(200, small.clone()));
    let mut limits = Limits::default();
    (limits.instances, limits.document_bytes) = (2, 2000);
    let client = estate.client("http://registry/eureka").limits(limits).start().unwrap();
    let discovery = client.discovery();
    discovery.wait_for("orders", LIMIT).await.unwrap();
    let many = [("o1", "UP", ""), ("o2", "UP", ""), ("o3", "UP", "")];
    for body in [document(-1, "UP_3_", &many), format!("{}{}", document(-1, "", &[]), " ".repeat(2000))] {
        estate.script("registry", move |_| answer(200, body.clone()));
        pass(100.0).await;
        assert_eq!(ids(&discovery, "orders"), ["o1"]);
        assert!(discovery.health().fetch.consecutive_failures > 0);
    }
}

#[tokio::test]
async fn a_large_registry_is_taken_whole_and_by_deltas() {
    let estate = Estate::default();
    let names: Vec<String> = (0..3_000).map(|n| format!("o{n:04}")).collect();
    let up: Vec<_> = names.iter().map(|name| (name.as_str(), "UP", "ADDED")).collect();
    let (full, delta) =
        (document(1, "UP_3000_", &up), document(2, "DOWN_1_UP_2999_", &[("o0000", "DOWN", "MODIFIED")]));
    estate.script("registry", move |asked| match asked.line.as_str() {
        "GET /eureka/apps/delta" => answer(200, delta.clone()),
        _ => answer(200, full.clone()),
    });
    let mut settings = EurekaClientSettings::for_servers("http://registry/eureka");
    settings.registry_fetch_interval_seconds = 1;
    let client = estate.client_with(settings).start().unwrap();
    let view = client.discovery().wait_for("orders", LIMIT).await.unwrap();
    assert_eq!(view.len(), 3_000);
    let mut lookups = 0_u32;
    while client.discovery().lookup("orders").unwrap().len() == 3_000 {
        lookups += 1;
        tokio::task::yield_now().await;
    }
    assert!(lookups > 0);
    assert_eq!(client.discovery().lookup("orders").unwrap().len(), 2_999);
    assert_eq!(client.discovery().health().fetch.mismatches, 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_fetch_says_so() {
    let (estate, _registry) = Estate::with_registry().await;
    let mut settings = EurekaClientSettings::for_servers("http://registry/eureka");
    settings.fetch_registry = false;
    let client = estate.client_with(settings).start().unwrap();
    let Err(LookupError::Unavailable { source: Some(source), .. }) = client.discovery().lookup("x") else { panic!() };
    assert!(source.to_string().contains("`eureka.client.fetch-registry`"), "{source}");
    assert!(matches!(client.discovery().wait_ready(LIMIT).await, Err(Error::Off { .. })));
    client.register(orders(1)).await.unwrap();
    assert!(estate.lines(&["GET /eureka/apps/ "]).is_empty());
}

#[test]
fn handles_cross_threads() {
    fn assert_handle<T: Clone + Send + Sync + 'static>() {}
    assert_handle::<vernal_discovery_client::EurekaDiscovery>();
    assert_handle::<vernal_discovery_client::FixedResolver>();
    assert_handle::<vernal_discovery_client::CompositeResolver>();
    assert_handle::<SharedTransport>();
}
