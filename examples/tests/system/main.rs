//! The programs as processes of their own, in the notes' order: broker, config, discovery, gateway, user, and then
//! catalog and two order services.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says what it saw")]

mod process;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use process::{Program, free_port};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

struct System {
    folder: tempfile::TempDir,
    client: reqwest::Client,
    ports: Ports,
    broker: Program,
    servers: Vec<Program>,
    services: Vec<Program>,
}

#[derive(Clone, Copy)]
struct Ports {
    broker: u16,
    config: u16,
    registry: u16,
    gateway: u16,
    user: u16,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_find_each_other_and_outlive_a_killed_one_and_a_lost_broker() {
    let mut system = System::start().await;
    let user = system.user_with_one_order().await;

    // An order service dies; calls through the gateway and the user service go on.
    let victim = system.services.pop().unwrap();
    assert!(victim.name().starts_with("order-service"), "{}", victim.name());
    let orders = format!("{}/order-service/{user}/orders", system.gateway());
    let detail = format!("{}/user-service/users/{user}", system.gateway());
    let mut lost = Vec::new();
    for call in 0..40 {
        if call == 5 {
            victim.kill_at_once();
        }
        let (status, body) = system.get(&orders).await;
        assert_eq!(status, 200, "call {call} of {orders}: {body}");
        let (status, body) = system.get(&detail).await;
        if status != 200 {
            lost.push(format!("call {call}: {status} {body}"));
        }
    }
    // A Feign call whose connection breaks under it is not sent again, since nobody knows whether it was acted on.
    assert!(lost.len() <= 1, "{}", lost.join("\n"));

    system.change_greeting("Welcome to the Simple E-commerce.", "Changed once.");
    assert_eq!(system.post(&format!("{}/actuator/busrefresh", system.user_service())).await.0, 204);
    system.everybody_says("Changed once.").await;

    // The broker is away: a change in the meantime is caught up when it is back, and refreshes work again.
    system.broker.terminate();
    system.broker.wait_until_ended().await;
    system.change_greeting("Changed once.", "Changed while the broker was away.");
    assert_eq!(system.post(&format!("{}/actuator/busrefresh", system.user_service())).await.0, 503);
    assert_eq!(system.get(&orders).await.0, 200);
    system.broker = Program::start("broker", &[("spring.rabbitmq.port", &system.ports.broker.to_string())]).await;
    system.everybody_says("Changed while the broker was away.").await;
    system.change_greeting("Changed while the broker was away.", "Changed again.");
    system.until_posted(&format!("{}/actuator/busrefresh", system.user_service()), 204).await;
    system.everybody_says("Changed again.").await;

    system.leaves_nothing_behind().await;
}

impl System {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repo = folder.path().join("config-repo");
        std::fs::create_dir(&repo).unwrap();
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/config-repo")).unwrap() {
            let path = entry.unwrap().path();
            // The config server's settings rank above arguments, so the databases are set there.
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.replace("target/orders.db", &folder.path().join("orders.db").display().to_string());
            std::fs::write(repo.join(path.file_name().unwrap()), text).unwrap();
        }
        let ports = Ports {
            broker: free_port(),
            config: free_port(),
            registry: free_port(),
            gateway: free_port(),
            user: free_port(),
        };
        let text = |port: u16| port.to_string();
        let broker = Program::start("broker", &[("spring.rabbitmq.port", &text(ports.broker))]).await;
        let locations = repo.display().to_string();
        let config =
            [("server.port", &*text(ports.config)), ("spring.cloud.config.server.native.search-locations", &locations)];
        let config = Program::start("config-service", &config).await;
        let registry = Program::start("discovery-service", &[("server.port", &text(ports.registry))]).await;
        let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build().unwrap();
        let mut system = Self { folder, client, ports, broker, servers: vec![config, registry], services: Vec::new() };
        system.start_service("gateway-service", ports.gateway).await;
        system.start_service("user-service", ports.user).await;
        for service in ["catalog-service", "order-service", "order-service"] {
            system.start_service(service, 0).await;
        }
        system
    }

    async fn start_service(&mut self, name: &str, port: u16) {
        let config = format!("http://127.0.0.1:{}", self.ports.config);
        let registry = format!("http://127.0.0.1:{}/eureka", self.ports.registry);
        let (port, broker, gateway) = (port.to_string(), self.ports.broker.to_string(), self.ports.gateway.to_string());
        let settings = [
            ("server.port", &*port),
            ("spring.cloud.config.uri", &config),
            ("eureka.client.service-url.defaultZone", &registry),
            ("spring.rabbitmq.port", &broker),
            ("gateway.port", &gateway),
        ];
        let program = match name {
            "user-service" => Program::start_with(name, &["--join"], &settings).await,
            _ => Program::start(name, &settings).await,
        };
        self.services.push(program);
    }

    /// A user with one order, made through the gateway. Afterwards everybody has found everybody: the gateway both
    /// order services, the user service at least one.
    async fn user_with_one_order(&self) -> String {
        let url = format!("{}/user-service/users", self.gateway());
        let user = json!({"email": "a@example.com", "name": "A", "pwd": "test1111"});
        let created = self.until_created(&url, &user).await;
        assert!(!created.to_string().contains("test1111"), "{created}");
        let id = created["userId"].as_str().unwrap().to_owned();
        let order = json!({"productId": "CATALOG-001", "qty": 2, "unitPrice": 900});
        let created = self.until_created(&format!("{}/order-service/{id}/orders", self.gateway()), &order).await;
        assert_eq!(created["totalPrice"], 1800, "{created}");
        let mut seen = BTreeSet::new();
        let health = format!("{}/order-service/health_check", self.gateway());
        self.until_got(&health, |body| {
            seen.insert(body.to_owned());
            seen.len() == 2
        })
        .await;
        self.until_got(&format!("{}/user-service/users/{id}", self.gateway()), |_| true).await;
        id
    }

    /// Asks until the answer is 200 with a body that is `enough`.
    async fn until_got(&self, url: &str, mut enough: impl FnMut(&str) -> bool) {
        let start = Instant::now();
        loop {
            let (status, body) = self.get(url).await;
            if status == 200 && enough(&body) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "GET {url}: {status} {body}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn until_created(&self, url: &str, body: &Value) -> Value {
        let start = Instant::now();
        loop {
            let response = self.client.post(url).json(body).send().await;
            let (status, text) = match response {
                Ok(response) => (response.status().as_u16(), response.text().await.unwrap()),
                Err(error) => (0, error.to_string()),
            };
            if status == 201 {
                return serde_json::from_str(&text).unwrap();
            }
            assert!(start.elapsed() < PATIENCE, "POST {url}: {status} {text}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn until_posted(&self, url: &str, wanted: u16) {
        let start = Instant::now();
        loop {
            let (status, body) = self.post(url).await;
            if status == wanted {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "POST {url}: {status} {body}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn everybody_says(&self, greeting: &str) {
        let urls = [format!("{}/welcome", self.user_service()), format!("{}/welcome", self.gateway())];
        let of_others = ["catalog-service", "order-service"].map(|name| format!("{}/{name}/welcome", self.gateway()));
        for url in urls.iter().chain(&of_others) {
            self.until_got(url, |said| said == greeting).await;
        }
    }

    fn change_greeting(&self, from: &str, to: &str) {
        let path = self.folder.path().join("config-repo/application.yml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    }

    async fn get(&self, url: &str) -> (u16, String) {
        Self::answer(self.client.get(url)).await
    }

    async fn post(&self, url: &str) -> (u16, String) {
        Self::answer(self.client.post(url)).await
    }

    async fn answer(request: reqwest::RequestBuilder) -> (u16, String) {
        match request.send().await {
            Ok(response) => (response.status().as_u16(), response.text().await.unwrap_or_default()),
            Err(error) => (0, error.to_string()),
        }
    }

    fn gateway(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.gateway)
    }

    fn user_service(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.user)
    }

    /// SIGTERM to all services: the registry forgets them, their queues go, their ports close, all within 5 s each.
    async fn leaves_nothing_behind(mut self) {
        let services = std::mem::take(&mut self.services);
        services.iter().for_each(Program::terminate);
        for service in services {
            let taken = service.wait_until_ended().await;
            assert!(taken < Duration::from_secs(5), "{} took {taken:?} to leave", service.name());
            assert_eq!(service.exit_code(), Some(0), "{}\n{}", service.name(), service.output());
        }
        let apps = format!("http://127.0.0.1:{}/eureka/apps", self.ports.registry);
        for name in ["GATEWAY-SERVICE", "USER-SERVICE", "CATALOG-SERVICE"] {
            assert_eq!(self.get(&format!("{apps}/{name}")).await.0, 404, "{name} is still registered");
        }
        self.broker.terminate();
        self.broker.wait_until_ended().await;
        let said = self.broker.output();
        assert!(said.contains("broker: 0 queues and 0 connections are left"), "{said}");
        for server in &self.servers {
            server.terminate();
            server.wait_until_ended().await;
            assert_eq!(server.exit_code(), Some(0), "{}\n{}", server.name(), server.output());
        }
        let Ports { broker, config, registry, gateway, user } = self.ports;
        for port in [broker, config, registry, gateway, user] {
            let listener = std::net::TcpListener::bind(("127.0.0.1", port));
            assert!(listener.is_ok(), "port {port} is still taken");
        }
    }
}
