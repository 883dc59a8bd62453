//! The HTTP server and what clients can do to it.

use std::convert::Infallible;

use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vernal::Body;
use vernal_testkit::logs::Logs;

use crate::home::{Home, assert_serves, start};
use crate::wire::{get, until};

#[tokio::test]
async fn what_is_no_request_harms_nobody() {
    let home = Home::new();
    let (_, running) = start(home.application()).await;
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    for (bytes, expected) in [
        (b"\0\xff\x16\x03\x01 nonsense\r\n\r\n".as_slice(), "HTTP/1.1 400"),
        (b"GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n".as_slice(), "HTTP/1.1 400"),
        (long.as_bytes(), "HTTP/1.1 431"),
        (b"GET / HT".as_slice(), ""),
    ] {
        let mut stream = TcpStream::connect(running.address()).await.unwrap();
        // The server may have had enough before the last byte.
        drop(stream.write_all(bytes).await);
        drop(stream.shutdown().await);
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(expected) || answer.is_empty(), "{answer}");
        assert_serves(running.address()).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_handler_that_panics_costs_its_own_connection_only() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let home = Home::new();
    let service = tower::service_fn(|request: Request<Body>| async move {
        assert_ne!(request.uri().path(), "/panic");
        Ok::<_, Infallible>(Response::new(Body::from("hello")))
    });
    let running = home.application().bootstrap().await.unwrap().start(service).await.unwrap();
    let mut stream = TcpStream::connect(running.address()).await.unwrap();
    stream.write_all(b"GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0);
    until("it is logged", async || logs.contain("a request ended in a panic")).await;
    assert_serves(running.address()).await;
    assert_eq!(get(running.address(), "/actuator/health").await.status, 200);
    running.stop().await;
}

#[tokio::test]
async fn an_application_serves_once() {
    let home = Home::new();
    let (app, running) = start(home.application()).await;
    let service = tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    let error = app.start(service).await.unwrap_err();
    assert_eq!(error.to_string(), "this application has been started before; bootstrap another one");
    assert_serves(running.address()).await;
    running.stop().await;
}
