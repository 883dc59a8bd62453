//! The management endpoints.

use std::path::PathBuf;

use serde_json::{Value, json};
use vernal_testkit::broker::Broker;
use vernal_testkit::registry::Registry;

use crate::home::{Home, Join, assert_serves, consumes, start};
use crate::wire::{Answer, get, post, send, send_with, until};

const V3: &str = "application/vnd.spring-boot.actuator.v3+json";

#[tokio::test]
async fn only_health_and_info_are_exposed_unless_the_settings_name_others() {
    let broker = Broker::builder().start().await.unwrap();
    let home = Home::new();
    home.write("application.yml", "management.endpoints.web.exposure.include: health,info");
    let (_, running) = start(home.application().bus(broker.port())).await;
    let address = running.address();
    let health = get(address, "/actuator/health").await;
    assert_eq!((health.status, health.body.as_str()), (200, r#"{"groups":["liveness","readiness"],"status":"UP"}"#));
    assert_eq!(health.header("content-type"), Some(V3));
    let info = get(address, "/actuator/info").await;
    assert_eq!((info.status, info.body.as_str(), info.header("content-type")), (200, "{}", Some(V3)));
    for path in ["/actuator/refresh", "/actuator/busrefresh", "/actuator/busrefresh/shop", "/actuator/busenv"] {
        assert_problem(&post(address, path).await, 404, "Not Found", path);
    }
    assert!(broker.published().is_empty());
    let links = get(address, "/actuator").await.json();
    let names: Vec<_> = links["_links"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["self", "health", "health-path", "info"]);
    let href = links["_links"]["health"]["href"].as_str().unwrap();
    assert!(href.starts_with("http://") && href.ends_with("/actuator/health"), "{href}");
    assert_serves(address).await;
    running.stop().await;
    broker.stop().await;
}

#[tokio::test]
async fn methods_and_media_types_are_springs() {
    let home = Home::new();
    let (_, running) = start(home.application()).await;
    let address = running.address();
    for (method, path, status, allow) in [
        ("POST", "/actuator/health", 405, Some("GET")),
        ("DELETE", "/actuator/info", 405, Some("GET")),
        ("GET", "/actuator/refresh", 405, Some("POST")),
        ("PUT", "/actuator/refresh", 405, Some("POST")),
        ("POST", "/actuator/refresh", 200, None),
        ("HEAD", "/actuator/health", 200, None),
        ("GET", "/actuator/health/readiness", 200, None),
        ("GET", "/actuator/health/unknown", 404, None),
        ("GET", "/actuator/beans", 404, None),
        ("GET", "/actuator/health/", 200, None),
        ("GET", "/actuator/", 404, None),
        ("GET", "/actuator//health", 404, None),
        ("GET", "/actuator/info/", 404, None),
        ("POST", "/actuator", 405, Some("GET")),
        ("OPTIONS", "/actuator/refresh", 200, Some("POST,OPTIONS")),
        ("OPTIONS", "/actuator/health", 200, Some("GET,HEAD,OPTIONS")),
        ("OPTIONS", "/actuator/beans", 404, None),
    ] {
        let answer = send(address, method, path, "").await;
        assert_eq!((answer.status, answer.header("allow")), (status, allow), "{method} {path}");
    }
    for (accept, status, media_type) in [
        ("application/json", 200, Some("application/json")),
        ("*/*", 200, Some(V3)),
        ("text/html", 406, Some("text/html;charset=UTF-8")),
        ("application/xml", 406, None),
    ] {
        let answer = send(address, "GET", "/actuator/health", &format!("Accept: {accept}\r\n")).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, media_type), "{accept}");
    }
    // What only begins like the base path is the application's.
    assert_eq!(get(address, "/actuators/health").await.body, "hello");
    running.stop().await;
}

/// What Spring Boot 4.0.5 answered to the same requests, but for the time.
#[tokio::test]
async fn errors_have_springs_form() {
    let broker = Broker::builder().start().await.unwrap();
    let home = Home::new();
    let (_, running) = start(home.application().bus(broker.port())).await;
    let address = running.address();
    let documents = Some(
        "application/vnd.spring-boot.actuator.v3+json, application/vnd.spring-boot.actuator.v2+json, application/json",
    );
    let any_json = Some("application/json, application/*+json");
    let json = "Content-Type: application/json\r\n";
    for (method, path, headers, body, status, error, accept) in [
        ("GET", "/actuator/nope", "", "", 404, "Not Found", None),
        ("GET", "/actuator/n%20%22x?q=1", "", "", 404, "Not Found", None),
        ("PUT", "/actuator/busrefresh", "", "", 405, "Method Not Allowed", None),
        ("GET", "/actuator/health", "Accept: application/problem+json\r\n", "", 406, "Not Acceptable", documents),
        ("POST", "/actuator/busenv", "", "", 415, "Unsupported Media Type", documents),
        ("POST", "/actuator/busenv", "Content-Type: text/json\r\n", "{}", 415, "Unsupported Media Type", documents),
        ("POST", "/actuator/busenv/shop", json, "", 400, "Bad Request", None),
        ("POST", "/actuator/busenv/shop", json, r#"{"name":"x"} x"#, 400, "Bad Request", None),
        ("POST", "/actuator/refresh", "", "{}", 415, "Unsupported Media Type", any_json),
        ("POST", "/actuator/refresh", "Content-Type: text/plain\r\n", "", 415, "Unsupported Media Type", any_json),
        ("POST", "/actuator/refresh", json, "[]", 400, "Bad Request", None),
        ("POST", "/actuator/busrefresh", json, r#"{"a":{}}"#, 400, "Bad Request", None),
    ] {
        let headers = format!("{headers}Content-Length: {}\r\n", body.len());
        let answer = send_with(address, method, path, &headers, body).await;
        assert_problem(&answer, status, error, path.split('?').next().unwrap());
        assert_eq!(answer.header("accept"), accept, "{method} {path}");
    }
    for (path, accept) in [("/actuator/health/nope", "*/*"), ("/actuator/nope", "application/xml")] {
        let answer = send(address, "GET", path, &format!("Accept: {accept}\r\n")).await;
        assert_eq!((answer.status, answer.header("content-type"), answer.body.as_str()), (404, None, ""), "{path}");
    }
    let answer = send(address, "GET", "/actuator/nope", "Accept: application/json, text/html\r\n").await;
    assert_eq!((answer.status, answer.header("content-type")), (404, Some("text/html;charset=UTF-8")));
    // Where there is nothing to be sent back it does not matter what the caller takes.
    let answer = send(address, "POST", "/actuator/busrefresh/nobody", "Accept: text/html\r\n").await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    running.stop().await;
    broker.stop().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_read() {
    let broker = Broker::builder().start().await.unwrap();
    let home = Home::new();
    let (_, running) = start(home.application().bus(broker.port())).await;
    let head = "Content-Type: application/json\r\nContent-Length: 262145\r\n";
    let answer = send(running.address(), "POST", "/actuator/busenv", head).await;
    assert_problem(&answer, 413, "Payload Too Large", "/actuator/busenv");
    running.stop().await;
    broker.stop().await;
}

#[tokio::test]
async fn without_a_bus_there_is_nothing_to_publish_to() {
    let home = Home::new();
    let (_, running) = start(home.application()).await;
    for path in ["/actuator/busrefresh", "/actuator/busenv"] {
        assert_eq!(post(running.address(), path).await.status, 404);
    }
    running.stop().await;
}

/// Spring Boot 4.0.5 sends these four fields in this order, the time in UTC with `Z`, and no `message`.
#[track_caller]
fn assert_problem(answer: &Answer, status: u16, error: &str, path: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let kind = answer.header("content-type").unwrap();
    assert!(kind == "application/json" || kind == "application/problem+json", "{answer:?}");
    let time = answer.json()["timestamp"].as_str().unwrap().to_owned();
    assert!(time.len() == "2026-11-24T09:44:04.262Z".len() && time.ends_with('Z'), "{time}");
    let expected = json!({"timestamp": time, "status": status, "error": error, "path": path});
    assert_eq!(answer.body, expected.to_string());
}

#[tokio::test]
async fn endpoints_can_be_moved_and_lie_beside_the_applications_paths() {
    let home = Home::new();
    for (base, health, other) in [("/manage", "/manage/health", "/actuator/health"), ("/", "/health", "/healthy")] {
        let application = home.application().property("management.endpoints.web.base-path", base);
        let (_, running) = start(application).await;
        assert_eq!(get(running.address(), health).await.body, r#"{"groups":["liveness","readiness"],"status":"UP"}"#);
        assert_eq!(get(running.address(), other).await.body, "hello");
        assert_serves(running.address()).await;
        running.stop().await;
    }
}

#[tokio::test]
async fn health_shows_the_parts_when_it_may() {
    let broker = Broker::builder().start().await.unwrap();
    let registry = Registry::start().await.unwrap();
    let (home, server) = Home::with_server("db.password: hunter2-secret\n").await;
    let application = home.application().bus(broker.port()).registry(&registry.url());
    let (_, running) = start(application.property("management.endpoint.health.show-details", "always")).await;
    let state = async || {
        let health = get(running.address(), "/actuator/health").await;
        assert!(!health.body.contains("hunter2-secret"), "{}", health.body);
        let health = health.json();
        assert_eq!((&health["status"]), "UP", "a part that is away makes no service unhealthy");
        let status = |part: &str| health["components"][part]["status"].clone();
        [status("clientConfigServer"), status("eureka"), status("bus")]
    };
    until("all parts are up", async || state().await == ["UP", "UP", "UP"]).await;
    broker.stop().await;
    registry.fail_with(500);
    server.stop().await;
    post(running.address(), "/actuator/refresh").await;
    until("no part is up", async || state().await == ["UNKNOWN", "UNKNOWN", "UNKNOWN"]).await;
    registry.resume();
    running.stop().await;
    registry.stop().await;
}

/// Fixtures `bus/endpoints`: calls on Spring nodes, and what these published.
#[tokio::test]
async fn the_endpoints_of_the_bus_do_what_springs_were_seen_to_do() {
    let root = std::env::var_os("VERNAL_FIXTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), PathBuf::from);
    let broker = Broker::builder().start().await.unwrap();
    let home = Home::new();
    let application = home.application().property("spring.application.name", "orders");
    let application = application.property("spring.profiles.active", "dev,cloud");
    let (_, running) = start(application.bus(broker.port())).await;
    until("the service listens", async || consumes(&broker)).await;
    let (mut run, mut not_built, mut failures) = (0, 0, Vec::new());
    let folder = root.join("bus/endpoints");
    for file in std::fs::read_dir(&folder).into_iter().flatten() {
        let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(file.unwrap().path()).unwrap()).unwrap();
        for case in cases {
            let (request, expected) = (&case["request"], &case["expect"]);
            let (method, path) = (request["method"].as_str().unwrap(), request["path"].as_str().unwrap());
            if path.starts_with("/actuator/busshutdown") {
                not_built += 1;
                continue;
            }
            broker.forget_published();
            let body = request["body"].as_str().unwrap_or_default();
            let kind = request["content_type"].as_str().map(|kind| format!("Content-Type: {kind}\r\n"));
            let headers = format!("{}Content-Length: {}\r\n", kind.unwrap_or_default(), body.len());
            let answer = send_with(running.address(), method, path, &headers, body).await;
            let published: Vec<Value> = broker
                .published()
                .iter()
                .map(|message| serde_json::from_slice::<Value>(&message.body).unwrap())
                .filter(|event| event["type"] != "AckRemoteApplicationEvent")
                .map(|event| {
                    let mut seen = json!({"type": event["type"], "destinationService": event["destinationService"]});
                    if !event["values"].is_null() {
                        seen["values"] = event["values"].clone();
                    }
                    seen
                })
                .collect();
            let ours = json!({
                "status": answer.status,
                "body_empty": answer.body.is_empty(),
                "content_type": answer.header("content-type"),
                "allow": answer.header("allow"),
                "events": published,
                // Who acknowledges depends on who else is there.
                "acks": expected["acks"],
            });
            run += 1;
            if ours != *expected {
                failures.push(format!("{}: {ours}, expected {expected}", case["case"]));
            }
        }
    }
    let passed = run - failures.len();
    println!("bus/endpoints: {run} run, {passed} passed, 0 deviations, {not_built} not built (busshutdown)");
    assert!(failures.is_empty(), "{failures:#?}");
    running.stop().await;
    broker.stop().await;
}
