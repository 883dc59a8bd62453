use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::any;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use vernal::Application;
use vernal::application::Running;
use vernal_examples::estate::folder_of;
use vernal_examples::gateway;

use crate::raw::{self, Answer};

/// A gateway that knows `shop` at these addresses, and no registry.
async fn gateway_to(instances: &[SocketAddr]) -> (Application, Running) {
    let mut app = Application::builder()
        .directory(folder_of("gateway-service"))
        .env([])
        .property("server.port", "0")
        .property("spring.cloud.config.enabled", "false")
        .property("spring.cloud.bus.enabled", "false")
        .property("eureka.client.enabled", "false");
    for (number, address) in instances.iter().enumerate() {
        let name = format!("spring.cloud.discovery.client.simple.instances.shop[{number}].uri");
        app = app.property(name, format!("http://{address}"));
    }
    let app = app.bootstrap().await.unwrap();
    let running = app.start(gateway::service(&app).unwrap()).await.unwrap();
    (app, running)
}

/// An instance that answers with the request's body.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().fallback(any(|body: String| async { body }));
    tokio::spawn(async { axum::serve(listener, routes).await.unwrap() });
    address
}

/// An instance that takes connections, reads a little and hangs up; counts the requests.
async fn hanging_up() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            // A connection that only asks whether somebody is there sends nothing.
            if stream.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {
                counter.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    (address, count)
}

async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn message(answer: &Answer) -> &str {
    answer.json["message"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_path_that_could_be_read_as_another_is_refused_before_anything_is_looked_up() {
    let (_app, gateway) = gateway_to(&[nobody().await]).await;
    for path in ["/shop/../other/x", "/shop/./x", "/shop/%2e%2e/x", "/shop/.%2E/x", "/%2E./x", "/shop\\..\\x"] {
        let answer = raw::send(gateway.address(), "GET", path, "").await;
        assert_eq!((answer.status, answer.json["path"].as_str()), (400, Some(path)), "{answer:?}");
        assert!(message(&answer).contains("must not hold"), "{answer:?}");
    }
    for path in ["/", "//x"] {
        let answer = raw::send(gateway.address(), "GET", path, "").await;
        assert_eq!((answer.status, answer.json["path"].as_str()), (404, Some(path)), "{answer:?}");
    }
    let answer = raw::send(gateway.address(), "POST", "/welcome", "").await;
    assert_eq!((answer.status, answer.json["error"].as_str()), (405, Some("Method Not Allowed")), "{answer:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_body_that_cannot_be_kept_goes_to_an_instance_that_takes_connections() {
    let (_app, gateway) = gateway_to(&[nobody().await, echo().await, nobody().await]).await;
    let large = "x".repeat(100_000);
    for _ in 0..10 {
        let answer = raw::send_in_chunks(gateway.address(), "/shop/x", "in chunks").await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "in chunks"), "{answer:?}");
        let answer = raw::send(gateway.address(), "POST", "/shop/x", &large).await;
        assert_eq!((answer.status, answer.text.len()), (200, large.len()));
    }
    gateway.stop().await;
}

#[tokio::test]
async fn without_anybody_who_takes_connections_the_answer_is_503() {
    let (_app, gateway) = gateway_to(&[nobody().await, nobody().await]).await;
    for answer in [
        raw::send(gateway.address(), "GET", "/shop/x", "").await,
        raw::send(gateway.address(), "POST", "/shop/x", "kept").await,
        raw::send_in_chunks(gateway.address(), "/shop/x", "in chunks").await,
    ] {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(message(&answer), "none of the 2 instances of `shop` takes connections");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn an_exchange_that_an_instance_breaks_off_is_502_with_the_reason() {
    let ((first, first_count), (second, second_count)) = (hanging_up().await, hanging_up().await);
    let (_app, gateway) = gateway_to(&[first, second]).await;
    let requests = || first_count.load(Ordering::SeqCst) + second_count.load(Ordering::SeqCst);
    let answer = raw::send(gateway.address(), "GET", "/shop/x", "").await;
    assert_eq!((answer.status, requests()), (502, 2), "what only reads is tried at both: {answer:?}");
    assert!(message(&answer).contains("connection broke during the exchange"), "{answer:?}");
    for answer in [
        raw::send(gateway.address(), "POST", "/shop/x", "kept").await,
        raw::send_in_chunks(gateway.address(), "/shop/x", "in chunks").await,
    ] {
        assert_eq!(answer.status, 502, "{answer:?}");
        assert!(message(&answer).contains("connection broke during the exchange"), "{answer:?}");
    }
    assert_eq!(requests(), 4, "nothing that changes something is sent twice");
    gateway.stop().await;
}
