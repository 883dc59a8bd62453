//! How a service leaves, and how it does not.

use std::convert::Infallible;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use tokio::sync::Semaphore;
use vernal::application::Running;
use vernal::{Application, Body};
use vernal_testkit::broker::Broker;
use vernal_testkit::logs::Logs;
use vernal_testkit::registry::Registry;

use crate::home::{Home, Join, assert_logged, consumes, hello, registered, start};
use crate::wire::{get, is_open, until};

struct Estate {
    home: Home,
    broker: Broker,
    registry: Registry,
}

impl Estate {
    async fn start() -> Self {
        let broker = Broker::builder().start().await.unwrap();
        let registry = Registry::start().await.unwrap();
        Self { home: Home::new(), broker, registry }
    }

    async fn bootstrap(&self) -> Application {
        let application = self.home.application().bus(self.broker.port()).registry(&self.registry.url());
        application.bootstrap().await.unwrap()
    }

    /// A service that has joined everything.
    async fn service(&self) -> (Application, Running) {
        let app = self.bootstrap().await;
        let running = app.start(hello()).await.unwrap();
        self.until_joined().await;
        (app, running)
    }

    async fn until_joined(&self) {
        until("the service is registered", async || registered(&self.registry) == ["SHOP"]).await;
        until("the service listens to the bus", async || consumes(&self.broker)).await;
    }
}

#[tokio::test]
async fn a_service_leaves_in_order() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let estate = Estate::start().await;
    let (begun, released) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let slow = {
        let (begun, released) = (Arc::clone(&begun), Arc::clone(&released));
        tower::service_fn(move |_: Request<Body>| {
            let (begun, released) = (Arc::clone(&begun), Arc::clone(&released));
            async move {
                begun.add_permits(1);
                released.acquire().await.unwrap().forget();
                Ok::<_, Infallible>(Response::new(Body::from("at last")))
            }
        })
    };
    let app = estate.bootstrap().await;
    let running = app.start(slow).await.unwrap();
    estate.until_joined().await;
    until("it finds itself", async || app.discovery().lookup("shop").is_ok()).await;
    let address = running.address();
    let request = tokio::spawn(get(address, "/slow"));
    begun.acquire().await.unwrap().forget();
    estate.registry.clear_journal();

    let begin = Instant::now();
    let stopping = tokio::spawn(running.stop());
    until("the port is closed", async || !is_open(address).await).await;
    // First out of the registry, DOWN before it is gone; the request still runs, and the bus is still there.
    assert!(estate.registry.instances().is_empty());
    let writes = estate.registry.journal().into_iter().filter(|seen| seen.method != "GET");
    let writes: Vec<_> = writes.map(|seen| (seen.method, seen.status)).collect();
    assert_eq!(writes, [("POST".to_owned(), Some(204)), ("DELETE".to_owned(), Some(200))]);
    assert!(!request.is_finished() && !stopping.is_finished());
    assert!(consumes(&estate.broker));
    // Who is still at work can look up others.
    let fetches = || estate.registry.journal().into_iter().filter(|seen| seen.method == "GET").count();
    let before = fetches();
    let itself = app.discovery().lookup("shop").unwrap();
    // Makes it look again at once.
    app.discovery().suspect(itself.candidates()[0].instance());
    until("the registry is still fetched", async || fetches() > before).await;

    released.add_permits(1);
    let answer = request.await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "at last"));
    stopping.await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(estate.broker.queues().is_empty() && estate.broker.connections().is_empty());
    let messages: Vec<_> = logs.records().into_iter().map(|record| record.message).collect();
    let position =
        |message: &str| messages.iter().position(|known| known == message).unwrap_or_else(|| panic!("{message}"));
    assert!(position("left the registry") < position("left the bus") && position("left the bus") < position("left"));
}

#[tokio::test]
async fn sigterm_makes_a_service_leave() {
    let estate = Estate::start().await;
    let app = estate.bootstrap().await;
    let serving = tokio::spawn(async move { app.serve(hello()).await });
    // The handler is there before the service is.
    estate.until_joined().await;
    let begin = Instant::now();
    let told = Command::new("sh").args(["-c", &format!("kill -TERM {}", std::process::id())]).status().unwrap();
    assert!(told.success());
    serving.await.unwrap().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(estate.registry.instances().is_empty() && estate.broker.queues().is_empty());
}

#[tokio::test]
async fn a_request_that_never_ends_is_given_up() {
    let home = Home::new();
    let endless = tower::service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, Infallible>>());
    let running = home.application().bootstrap().await.unwrap().start(endless).await.unwrap();
    let mut stream = tokio::net::TcpStream::connect(running.address()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let begin = Instant::now();
    running.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    let mut rest = Vec::new();
    drop(tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await);
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_registry_that_hangs_does_not_hold_up_the_end() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let estate = Estate::start().await;
    let (_, running) = estate.service().await;
    let address = running.address();
    estate.registry.hang();
    let begin = Instant::now();
    running.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(!is_open(address).await && estate.broker.queues().is_empty());
    assert_logged(&logs, &["left without the registry's word", "registry did not confirm"]);
}

#[tokio::test]
async fn a_broker_that_is_frozen_does_not_hold_up_the_end() {
    let estate = Estate::start().await;
    let (_, running) = estate.service().await;
    let address = running.address();
    estate.broker.freeze();
    let begin = Instant::now();
    running.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert!(!is_open(address).await && estate.registry.instances().is_empty());
    estate.broker.thaw();
    until("the queue went with the connection", async || estate.broker.queues().is_empty()).await;
}

#[tokio::test]
async fn nothing_takes_longer_than_ten_seconds() {
    let estate = Estate::start().await;
    let (_, running) = estate.service().await;
    let address = running.address();
    estate.registry.hang();
    estate.broker.freeze();
    let begin = Instant::now();
    running.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert!(!is_open(address).await);
}

#[tokio::test]
async fn a_killed_service_stays_in_the_registry() {
    for kill in [true, false] {
        let estate = Estate::start().await;
        let (app, running) = estate.service().await;
        let address = running.address();
        estate.registry.clear_journal();
        // Dropping it is the same, even while the application lives on.
        if kill {
            running.kill().await;
        } else {
            drop(running);
        }
        until("the port is closed", async || !is_open(address).await).await;
        until("the broker drops its queue", async || estate.broker.queues().is_empty()).await;
        assert_eq!(registered(&estate.registry), ["SHOP"]);
        assert!(estate.registry.journal().iter().all(|seen| seen.method == "GET"));
        drop(app);
    }
}

#[tokio::test]
async fn a_service_that_ends_while_it_joins_the_bus_leaves_no_connection() {
    const LIMIT: Duration = Duration::from_secs(10);
    for stop in [true, false] {
        let broker = Broker::builder().start().await.unwrap();
        let home = Home::new();
        let (_, running) = start(home.application().bus(broker.port())).await;
        // The broker has the consumer, but the service has not heard of it yet.
        assert!(broker.until(LIMIT, consumes).await);
        if stop {
            running.stop().await;
        } else {
            running.kill().await;
        }
        assert!(broker.until(LIMIT, |broker| broker.connections().is_empty()).await, "stop: {stop}");
        broker.stop().await;
    }
}

#[tokio::test]
async fn a_start_that_fails_leaves_nothing_behind() {
    let estate = Estate::start().await;
    let application = estate.home.application().bus(estate.broker.port()).registry(&estate.registry.url());
    let app = application.property("eureka.instance.lease-renewal-interval-in-seconds", "often").bootstrap().await;
    let app = app.unwrap();
    let error = app.start(hello()).await.unwrap_err();
    assert!(format!("{error:?}").contains("`eureka.instance.lease-renewal-interval-in-seconds`"), "{error:?}");
    until("nobody is on the bus", async || estate.broker.connections().is_empty()).await;
    assert!(estate.registry.instances().is_empty());
    let (_, other) = start(estate.home.application()).await;
    other.stop().await;
}
