//! The programs as processes of their own, in the notes' order: broker, config, discovery, gateway, user, and then
//! catalog and two order services.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vernal_examples::process::{Ports, Program, Site};

const PATIENCE: Duration = Duration::from_secs(20);

struct System {
    site: Site,
    client: reqwest::Client,
    broker: Program,
    servers: Vec<Program>,
    services: Vec<Program>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_find_each_other_and_outlive_a_killed_one_and_a_lost_broker() {
    let mut system = System::start().await;
    let user = system.user_with_one_order().await;

    // An order service dies; calls through the gateway and the user service go on.
    let victim = system.services.pop().unwrap();
    assert!(victim.name().starts_with("order-service"), "{}", victim.name());
    let orders = format!("{}/order-service/{user}/orders", system.site.gateway());
    let detail = format!("{}/user-service/users/{user}", system.site.gateway());
    let mut lost = Vec::new();
    for call in 0..40 {
        if call == 5 {
            victim.kill_at_once().unwrap();
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
    assert_eq!(system.post(&format!("{}/actuator/busrefresh", system.site.user())).await.0, 204);
    system.everybody_says("Changed once.").await;

    // The broker is away: a change in the meantime is caught up when it is back, and refreshes work again.
    system.broker.terminate().unwrap();
    system.broker.wait_until_ended().await.unwrap();
    system.change_greeting("Changed once.", "Changed while the broker was away.");
    assert_eq!(system.post(&format!("{}/actuator/busrefresh", system.site.user())).await.0, 503);
    assert_eq!(system.get(&orders).await.0, 200);
    system.broker = system.site.broker().await.unwrap();
    system.everybody_says("Changed while the broker was away.").await;
    system.change_greeting("Changed while the broker was away.", "Changed again.");
    system.until_posted(&format!("{}/actuator/busrefresh", system.site.user()), 204).await;
    system.everybody_says("Changed again.").await;

    system.leaves_nothing_behind().await;
}

impl System {
    async fn start() -> Self {
        let site = Site::new().unwrap();
        let broker = site.broker().await.unwrap();
        let servers = vec![site.config_server().await.unwrap(), site.registry().await.unwrap()];
        let mut services = Vec::new();
        for service in ["gateway-service", "user-service", "catalog-service", "order-service", "order-service"] {
            services.push(site.service(service).await.unwrap());
        }
        let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build().unwrap();
        Self { site, client, broker, servers, services }
    }

    /// A user with one order, made through the gateway. Afterwards everybody has found everybody: the gateway both
    /// order services, the user service at least one.
    async fn user_with_one_order(&self) -> String {
        let url = format!("{}/user-service/users", self.site.gateway());
        let user = json!({"email": "a@example.com", "name": "A", "pwd": "test1111"});
        let created = self.until_created(&url, &user).await;
        assert!(!created.to_string().contains("test1111"), "{created}");
        let id = created["userId"].as_str().unwrap().to_owned();
        let order = json!({"productId": "CATALOG-001", "qty": 2, "unitPrice": 900});
        let created = self.until_created(&format!("{}/order-service/{id}/orders", self.site.gateway()), &order).await;
        assert_eq!(created["totalPrice"], 1800, "{created}");
        let mut seen = BTreeSet::new();
        let health = format!("{}/order-service/health_check", self.site.gateway());
        self.until_got(&health, |body| {
            seen.insert(body.to_owned());
            seen.len() == 2
        })
        .await;
        self.until_got(&format!("{}/user-service/users/{id}", self.site.gateway()), |_| true).await;
        id
    }

    /// Asks until the answer is 200 with a body that is `enough`.
    async fn until_got(&self, url: &str, mut enough: impl FnMut(&str) -> bool) {
        self.until(url, || self.client.get(url), |status, body| status == 200 && enough(body)).await;
    }

    async fn until_created(&self, url: &str, body: &Value) -> Value {
        let made = self.until(url, || self.client.post(url).json(body), |status, _| status == 201).await;
        serde_json::from_str(&made).unwrap()
    }

    async fn until_posted(&self, url: &str, wanted: u16) {
        self.until(url, || self.client.post(url), |status, _| status == wanted).await;
    }

    async fn until(
        &self,
        url: &str,
        request: impl Fn() -> reqwest::RequestBuilder,
        mut enough: impl FnMut(u16, &str) -> bool,
    ) -> String {
        let start = Instant::now();
        loop {
            let (status, body) = Self::answer(request()).await;
            if enough(status, &body) {
                return body;
            }
            assert!(start.elapsed() < PATIENCE, "{url}: {status} {body}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn everybody_says(&self, greeting: &str) {
        let urls = [format!("{}/welcome", self.site.user()), format!("{}/welcome", self.site.gateway())];
        let of_others =
            ["catalog-service", "order-service"].map(|name| format!("{}/{name}/welcome", self.site.gateway()));
        for url in urls.iter().chain(&of_others) {
            self.until_got(url, |said| said == greeting).await;
        }
    }

    fn change_greeting(&self, from: &str, to: &str) {
        self.site.edit("application.yml", from, to).unwrap();
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

    /// SIGTERM to all services: the registry forgets them, their queues go, their ports close, all within 5 s each.
    async fn leaves_nothing_behind(mut self) {
        let services = std::mem::take(&mut self.services);
        services.iter().for_each(|service| service.terminate().unwrap());
        for service in services {
            let taken = service.wait_until_ended().await.unwrap();
            assert!(taken < Duration::from_secs(5), "{} took {taken:?} to leave", service.name());
            assert_eq!(service.exit_code(), Some(0), "{}\n{}", service.name(), service.output());
        }
        let apps = format!("{}/apps", self.site.registry_url());
        for name in ["GATEWAY-SERVICE", "USER-SERVICE", "CATALOG-SERVICE"] {
            assert_eq!(self.get(&format!("{apps}/{name}")).await.0, 404, "{name} is still registered");
        }
        self.broker.terminate().unwrap();
        self.broker.wait_until_ended().await.unwrap();
        let said = self.broker.output();
        assert!(said.contains("broker: 0 queues and 0 connections are left"), "{said}");
        for server in &self.servers {
            server.terminate().unwrap();
            server.wait_until_ended().await.unwrap();
            assert_eq!(server.exit_code(), Some(0), "{}\n{}", server.name(), server.output());
        }
        let Ports { broker, config, registry, gateway, user } = self.site.ports();
        for port in [broker, config, registry, gateway, user] {
            let listener = std::net::TcpListener::bind(("127.0.0.1", port));
            assert!(listener.is_ok(), "port {port} is still taken");
        }
    }
}
