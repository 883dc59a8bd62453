//! A service in a folder of its own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;

use http::{Request, Response};
use tempfile::TempDir;
use tower::util::ServiceFn;
use vernal::application::{Builder, Running};
use vernal::{Application, Body};
use vernal_testkit::broker::Broker;
use vernal_testkit::config_server::{self, ConfigServer};
use vernal_testkit::logs::Logs;
use vernal_testkit::registry::Registry;

use crate::wire::get;

/// The folder of a service's files, with a folder for those of its config server in it.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("repo")).unwrap();
        Self(folder)
    }

    /// A home whose `bootstrap.yml` says this below `spring.cloud.config`.
    pub(crate) fn asking(config: &str) -> Self {
        let home = Self::new();
        let lines: String = config.lines().map(|line| format!("      {line}\n")).collect();
        home.write("bootstrap.yml", &format!("spring:\n  cloud:\n    config:\n{lines}"));
        home
    }

    /// A home and the config server that it asks.
    pub(crate) async fn with_server(settings: &str) -> (Self, ConfigServer) {
        let folder = Self::new();
        let server = folder.server().start().await.unwrap();
        folder.write("bootstrap.yml", &format!("spring.cloud.config: {{uri: '{}', fail-fast: true}}", server.url()));
        folder.serve(settings);
        (folder, server)
    }

    pub(crate) fn server(&self) -> config_server::Builder {
        ConfigServer::builder(self.repo())
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.0.path().join("repo")
    }

    /// Writes a file of the service.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    /// Writes what the config server says to the service.
    pub(crate) fn serve(&self, settings: &str) {
        std::fs::write(self.repo().join("shop.yml"), settings).unwrap();
    }

    /// The service `shop`, which neither registers nor joins a bus unless it is told to.
    pub(crate) fn application(&self) -> Builder {
        Application::builder()
            .directory(self.0.path())
            .env([])
            .default_property("spring.application.name", "shop")
            .default_property("server.address", "127.0.0.1")
            .default_property("server.port", "0")
            .default_property("management.endpoints.web.exposure.include", "*")
            .default_property("eureka.client.enabled", "false")
            .default_property("spring.cloud.bus.enabled", "false")
            .default_property("spring.cloud.bus.quiet-period", "0")
            .default_property("spring.cloud.bus.jitter.service", "0")
            .default_property("spring.cloud.bus.jitter.fleet", "0")
    }
}

/// What joins an application to servers.
pub(crate) trait Join {
    fn bus(self, port: u16) -> Self;
    fn registry(self, url: &str) -> Self;
}

impl Join for Builder {
    fn bus(self, port: u16) -> Self {
        self.property("spring.cloud.bus.enabled", "true").property("spring.rabbitmq.port", port.to_string())
    }

    fn registry(self, url: &str) -> Self {
        self.property("eureka.client.enabled", "true")
            .property("eureka.client.service-url.defaultZone", url)
            .property("eureka.client.registry-fetch-interval-seconds", "1")
            .property("eureka.instance.hostname", "localhost")
    }
}

type Hello = ServiceFn<fn(Request<Body>) -> std::future::Ready<Result<Response<Body>, Infallible>>>;

/// Answers `hello` to everything.
pub(crate) fn hello() -> Hello {
    tower::service_fn(|_| std::future::ready(Ok(Response::new(Body::from("hello")))))
}

pub(crate) async fn assert_serves(address: SocketAddr) {
    let answer = get(address, "/").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));
}

/// Starts an application that answers `hello`.
pub(crate) async fn start(application: Builder) -> (Application, Running) {
    let app = application.bootstrap().await.unwrap();
    let running = app.start(hello()).await.unwrap();
    (app, running)
}

/// The error of an application that does not come up, with its causes.
pub(crate) async fn failure(application: Builder) -> String {
    let error = match application.bootstrap().await {
        Ok(app) => app.start(hello()).await.expect_err("it started"),
        Err(error) => error,
    };
    format!("{error:?}")
}

/// Whether a node of the bus consumes from the broker.
pub(crate) fn consumes(broker: &Broker) -> bool {
    !broker.consumers().is_empty()
}

/// The instance that is registered, by application and id.
pub(crate) fn registered(registry: &Registry) -> Vec<String> {
    registry.instances().into_iter().map(|instance| instance.app).collect()
}

#[track_caller]
pub(crate) fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing: {text}");
    }
}

/// Nothing that was logged, and none of the texts, holds a secret.
#[track_caller]
pub(crate) fn assert_hidden(secret: &str, logs: &Logs, texts: &[&str]) {
    let logged: Vec<String> = logs.records().iter().map(ToString::to_string).collect();
    for text in logged.iter().map(String::as_str).chain(texts.iter().copied()) {
        assert!(!text.contains(secret), "a secret is shown: {text}");
    }
}

#[track_caller]
pub(crate) fn assert_logged(logs: &Logs, parts: &[&str]) {
    let ours = logs.records().into_iter().filter(|record| record.target.starts_with("vernal"));
    let logged: Vec<String> = ours.map(|record| record.to_string()).collect();
    assert!(logged.iter().any(|line| parts.iter().all(|part| line.contains(part))), "{parts:?} in {logged:#?}");
}
