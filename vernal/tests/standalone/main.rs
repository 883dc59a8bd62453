//! A user's crate whose only dependency of ours is `vernal`: generated, built, run.
//!
//! Its `main.rs` is the README's snippet (`examples/readme.rs`), so the snippet is what a newcomer can paste.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use vernal_testkit::broker::Broker;
use vernal_testkit::config_server::ConfigServer;
use vernal_testkit::registry::Registry;

const MANIFEST: &str = r#"
[package]
name = "shop"
edition = "2024"

[dependencies]
axum = { version = "0.8", default-features = false, features = ["tokio", "http1", "json"] }
serde = { version = "1", features = ["derive"] }
thiserror = "2"
tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
vernal = { path = "{vernal}" }

[workspace]
"#;

const BOOTSTRAP: &str = "\
spring:
  application:
    name: shop
  cloud:
    config:
      uri: {config}
    discovery:
      client:
        simple:
          instances:
            order-service:
              - uri: http://{orders}
  rabbitmq:
    port: {broker}
server:
  address: 127.0.0.1
  port: 0
eureka:
  client:
    service-url:
      defaultZone: {registry}
  instance:
    hostname: localhost
";

struct Shop(Child);

impl Drop for Shop {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readme_works_in_a_crate_that_has_only_vernal() {
    let folder = tempfile::tempdir().unwrap();
    let program = build(folder.path());

    let repo = folder.path().join("repo");
    std::fs::create_dir(&repo).unwrap();
    std::fs::write(repo.join("shop.yml"), "greeting: {message: Hello from the config server}\n").unwrap();
    let config = ConfigServer::builder(&repo).start().await.unwrap();
    let registry = Registry::builder().start().await.unwrap();
    let broker = Broker::builder().start().await.unwrap();
    let orders = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bootstrap = BOOTSTRAP
        .replace("{config}", &config.url())
        .replace("{registry}", &registry.url())
        .replace("{broker}", &broker.port().to_string())
        .replace("{orders}", &orders.local_addr().unwrap().to_string());
    std::fs::write(folder.path().join("bootstrap.yml"), bootstrap).unwrap();
    let served = tokio::spawn(answer_one_call(orders));

    let child = Command::new(&program).current_dir(folder.path()).stdin(Stdio::null()).spawn().unwrap();
    let _shop = Shop(child);
    let port = until_registered(&registry).await;
    assert_eq!(get(port, "/welcome").await, "Hello from the config server");
    assert_eq!(get(port, "/users/a%2Fb/orders").await, r#"[{"orderId":"7","qty":2}]"#);
    assert_eq!(served.await.unwrap(), "GET /order-service/a%2Fb/orders HTTP/1.1");
}

fn build(folder: &Path) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::create_dir(folder.join("src")).unwrap();
    let manifest = MANIFEST.replace("{vernal}", env!("CARGO_MANIFEST_DIR"));
    // With the workspace's profiles most of what it needs has been built already.
    let ours = std::fs::read_to_string(workspace.join("Cargo.toml")).unwrap();
    let profiles = &ours[ours.find("[profile.dev]").unwrap()..];
    std::fs::write(folder.join("Cargo.toml"), manifest + profiles).unwrap();
    std::fs::copy(workspace.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    std::fs::copy(workspace.join("examples/readme.rs"), folder.join("src/main.rs")).unwrap();
    let target = target_folder();
    let status = Command::new(env!("CARGO"))
        .args(["build", "--offline", "--quiet"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", &target)
        .status()
        .unwrap();
    assert!(status.success(), "the generated crate does not build");
    target.join("debug/shop")
}

/// The folder that holds this test: `<target>/<profile>/deps/standalone-...`.
fn target_folder() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned()
}

async fn answer_one_call(listener: TcpListener) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let body = r#"[{"orderId":"7","qty":2}]"#;
    let answer =
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.unwrap();
    String::from_utf8(head).unwrap().lines().next().unwrap().to_owned()
}

async fn until_registered(registry: &Registry) -> u16 {
    let start = Instant::now();
    loop {
        if let Some(instance) = registry.instances().into_iter().find(|instance| instance.app == "SHOP") {
            return u16::try_from(instance.port).unwrap();
        }
        assert!(start.elapsed() < Duration::from_secs(20), "the program does not register");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    body.to_owned()
}
