use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::Connection;

use super::web::Answer;
use super::{Failure, Proof, Step, Story};
use crate::estate::sqlite;
use crate::order::{Order, OrderStore};
use vernal::commons::chain::Chain;

/// How long the world may take to show something that is on its way.
const PATIENCE: Duration = Duration::from_secs(5);
const CALLS_AFTER_THE_KILL: usize = 20;

type Outcome = Result<Proof, Failure>;

impl Story {
    pub(super) async fn prove(&mut self, step: Step) -> Outcome {
        match step {
            Step::Config => self.config().await,
            Step::Cipher => self.cipher().await,
            Step::Registration => self.registration().await,
            Step::Gateway => self.gateway().await,
            Step::Url => self.url().await,
            Step::Name => self.name().await,
            Step::Feign => self.feign().await,
            Step::NotFound => self.not_found().await,
            Step::ServerError => self.server_error().await,
            Step::Data => self.data().await,
            Step::FailOver => self.fail_over().await,
            Step::Refresh => self.refresh().await,
            Step::Leave => self.leave().await,
        }
    }

    async fn config(&mut self) -> Outcome {
        let mut proof = Proof::default();
        let (app, running) = self.estate.user().await.map_err(|error| {
            proof.failure("the user service starts with the settings of the config server", Chain(&*error))
        })?;
        proof.note(format!("sources: {}", self.shortened(&app.settings().sources().join(", "))));
        (self.app, self.user) = (Some(app), Some(running));
        let file = std::fs::read_to_string(self.estate.config_file("application.yml")).unwrap_or_default();
        let line = file.lines().find_map(|line| line.trim().strip_prefix("message: ")).unwrap_or_default();
        let shown = self.web.get(&format!("{}/welcome", self.user_url())).await;
        proof.equal("GET /welcome of the user service, as in application.yml", line, &shown.text)?;
        proof.equal("the config server serves", line.to_owned(), self.served("greeting.message").await)?;
        Ok(proof)
    }

    async fn cipher(&mut self) -> Outcome {
        const NAME: &str = "spring.datasource.password";
        let mut proof = Proof::default();
        let file = std::fs::read_to_string(self.estate.config_file("user-service.yml")).unwrap_or_default();
        let line = file.lines().find(|line| line.contains("password:")).unwrap_or_default().trim();
        proof.note(format!("in user-service.yml: {line}"));
        let refresh = self.web.post(&format!("{}/actuator/refresh", self.user_url()), None).await;
        proof.note(format!("POST /actuator/refresh: {}", refresh.brief()));
        let settings = self.app.as_ref().map(vernal::Application::settings);
        let value =
            settings.and_then(|settings| settings.get(NAME).ok().flatten()).unwrap_or_else(|| "nothing".to_owned());
        proof.equal(&format!("{NAME} in the user service, the notes' plain text"), "1234".to_owned(), value)?;
        proof.equal("the config server serves", "1234".to_owned(), self.served(NAME).await)?;
        let health = self.web.get(&format!("{}/health_check", self.user_url())).await;
        proof.equal("the service itself shows it masked", "***", health.json[NAME].as_str().unwrap_or("nothing"))?;
        Ok(proof)
    }

    async fn registration(&mut self) -> Outcome {
        let mut proof = Proof::default();
        let port = self.user.as_ref().map_or(0, |user| user.address().port());
        let url = format!("{}/apps/USER-SERVICE", self.estate.addresses().registry);
        let entry = self.until(&url, |answer| answer.status == 200).await;
        let instance = first_instance(&entry.json);
        let seen = match entry.status {
            200 => format!("{} at port {}", text(&instance["status"]), instance["port"]["$"]),
            _ => entry.brief(),
        };
        proof.equal("GET /eureka/apps/USER-SERVICE", format!("UP at port {port}"), seen)?;
        let url = format!("{}/user-service/health_check", self.gateway_url());
        let through = self.until(&url, |answer| answer.status == 200).await;
        proof.ensure(through.status == 200, "the gateway finds the user service by its name", through.brief())?;
        // The order services ask for the user before they take an order, so they must have found the service too.
        for order in self.order_urls() {
            let url = format!("{order}/order-service/nobody/orders");
            let order = json!({"productId": "CATALOG-001", "qty": 1, "unitPrice": 1});
            let start = Instant::now();
            let mut answer = self.web.post(&url, Some(&order)).await;
            while answer.status != 404 && start.elapsed() < PATIENCE {
                tokio::time::sleep(Duration::from_millis(50)).await;
                answer = self.web.post(&url, Some(&order)).await;
            }
            proof.ensure(
                answer.status == 404,
                "an order service asks it by name: an order of `nobody` is refused",
                answer.brief(),
            )?;
        }
        Ok(proof)
    }

    async fn gateway(&mut self) -> Outcome {
        let mut proof = Proof::default();
        let url = format!("{}/user-service/users", self.gateway_url());
        let user = json!({"email": "kenneth@example.com", "name": "Kenneth", "pwd": "test1111"});
        let created = self.web.post(&url, Some(&user)).await;
        proof.ensure(created.status == 201, format!("POST {url}: {}", created.brief_or("201")), created.brief())?;
        proof.ensure(!created.text.contains("test1111"), "the answer does not show the password", created.brief())?;
        text(&created.json["userId"]).clone_into(&mut self.user_id);
        let url = format!("{}/order-service/{}/orders", self.gateway_url(), self.user_id);
        for (product, qty) in [("CATALOG-001", 10), ("CATALOG-002", 5)] {
            let order = json!({"productId": product, "qty": qty, "unitPrice": 900});
            let created = self.web.post(&url, Some(&order)).await;
            proof.ensure(created.status == 201, format!("POST {url}: {}", created.brief_or("201")), created.brief())?;
        }
        let stored = self.stored(&proof).await?;
        proof.equal("orders in the database", 2, stored.len())?;
        Ok(proof)
    }

    async fn url(&mut self) -> Outcome {
        let mut proof = Proof::default();
        let configured = self.web.get(&format!("{}/health_check", self.user_url())).await;
        proof.note(format!("order_service.url: {}", text(&configured.json["order_service.url"])));
        self.orders_via("url", &mut proof).await?;
        Ok(proof)
    }

    async fn name(&mut self) -> Outcome {
        const GATEWAY: &str = "http://localhost:${gateway.port:8000}/order_service/%s/orders";
        const NAME: &str = "http://ORDER_SERVICE/order_service/%s/orders";
        let mut proof = Proof::default();
        self.estate
            .edit("user-service.yml", GATEWAY, NAME)
            .map_err(|error| proof.failure("the setting can be edited", error))?;
        let refresh = self.web.post(&format!("{}/actuator/refresh", self.user_url()), None).await;
        let changed = json!(["order_service.url"]);
        proof.equal("POST /actuator/refresh answers what changed", changed, refresh.json)?;
        let configured = self.web.get(&format!("{}/health_check", self.user_url())).await;
        proof.equal("order_service.url", NAME, text(&configured.json["order_service.url"]))?;
        self.orders_via("url", &mut proof).await?;
        self.orders_via("name", &mut proof).await?;
        Ok(proof)
    }

    async fn feign(&mut self) -> Outcome {
        let mut proof = Proof::default();
        self.logs.clear();
        self.orders_via("feign", &mut proof).await?;
        let lines = self.log_lines("[OrderServiceClient#getOrders] ");
        proof.note(lines.join("\n"));
        let begin = format!("---> GET http://order-service/order-service/{}/orders HTTP/1.1", self.user_id);
        let logged = |start: &str| lines.iter().any(|line| line.contains(start));
        let whole = logged(&begin) && logged("<--- HTTP/1.1 200") && logged("<--- END HTTP (");
        proof.ensure(
            whole,
            "the log holds the request, the answer with headers and body, and its end",
            lines.join("\n"),
        )?;
        Ok(proof)
    }

    async fn not_found(&mut self) -> Outcome {
        let mut proof = Proof::default();
        self.logs.clear();
        let answer = self.web.get(&format!("{}/users/{}/orders?via=wrong", self.user_url(), self.user_id)).await;
        let seen = format!("{} {}", answer.status, text(&answer.json["message"]));
        proof.equal(
            "the user service answers what the decoder made of it",
            "404 User's orders is empty.".to_owned(),
            seen,
        )?;
        let lines = self.log_lines("[OrderServiceClient#getOrdersFromAWrongPath] ");
        proof.note(lines.join("\n"));
        proof.ensure(
            lines.iter().any(|line| line.contains("<--- HTTP/1.1 404")),
            "the log holds the 404",
            lines.join("\n"),
        )?;
        for order in self.order_urls() {
            let direct = self.web.get(&format!("{order}/order-service/{}/orders_ng", self.user_id)).await;
            proof.equal("the order service itself answers", 404, direct.status)?;
        }
        Ok(proof)
    }

    async fn server_error(&mut self) -> Outcome {
        let mut proof = Proof::default();
        let broken = self.in_the_database("ALTER TABLE orders RENAME TO orders_lost").await;
        broken.map_err(|error| proof.failure("the table can be renamed", error))?;
        proof.note("the table `orders` is renamed");
        let answer = self.web.get(&format!("{}/users/{}", self.user_url(), self.user_id)).await;
        let direct = match self.order_urls().first() {
            Some(order) => self.web.get(&format!("{order}/order-service/{}/orders", self.user_id)).await.status,
            None => 0,
        };
        let mended = self.in_the_database("ALTER TABLE orders_lost RENAME TO orders").await;
        mended.map_err(|error| proof.failure("the table can be renamed back", error))?;
        let seen = format!("{} {}", answer.status, text(&answer.json["message"]));
        proof.equal("the user service answers", "502 the order service failed with 500".to_owned(), seen)?;
        proof.equal("the order service itself answers", 500, direct)?;
        let answer = self.web.get(&format!("{}/users/{}", self.user_url(), self.user_id)).await;
        proof.equal("after the table is back", 200, answer.status)?;
        Ok(proof)
    }

    async fn data(&mut self) -> Outcome {
        let mut proof = Proof::default();
        let orders = self.order_urls();
        let mut writers = Vec::new();
        for order in &orders {
            let url = format!("{order}/order-service/{}/orders", self.user_id);
            let created =
                self.web.post(&url, Some(&json!({"productId": "CATALOG-003", "qty": 1, "unitPrice": 700}))).await;
            proof.ensure(created.status == 201, format!("POST {url}: 201"), created.brief())?;
            writers.push(text(&created.json["instanceId"]).to_owned());
        }
        writers.dedup();
        proof.equal("instances that wrote", 2, writers.len())?;
        let stored = self.stored(&proof).await?;
        for order in &orders {
            let url = format!("{order}/order-service/{}/orders", self.user_id);
            let listed: Vec<Order> = serde_json::from_value(self.web.get(&url).await.json).unwrap_or_default();
            let same = listed == stored && listed.len() == 4;
            proof.ensure(
                same,
                format!("GET {url}: the 4 orders of the database"),
                format!("{} orders", listed.len()),
            )?;
        }
        Ok(proof)
    }

    async fn fail_over(&mut self) -> Outcome {
        let mut proof = Proof::default();
        if let Some(victim) = self.estate.orders.pop() {
            let address = victim.address();
            proof.note(format!("order service at {address} is killed; it does not deregister"));
            victim.kill().await;
            let dead = self.until(&format!("http://{address}/welcome"), |answer| answer.status == 0).await;
            proof.equal("answers at its port", 0, dead.status)?;
        }
        let mut failed = Vec::new();
        for _ in 0..CALLS_AFTER_THE_KILL {
            for url in [
                format!("{}/users/{}/orders?via=feign", self.user_url(), self.user_id),
                format!("{}/order-service/{}/orders", self.gateway_url(), self.user_id),
            ] {
                let answer = self.web.get(&url).await;
                if answer.status != 200 {
                    failed.push(answer.brief());
                }
            }
        }
        let registry = self.web.get(&format!("{}/apps/ORDER-SERVICE", self.estate.addresses().registry)).await;
        let listed = registry.json["application"]["instance"].as_array().map_or(0, Vec::len);
        proof.note(format!("the registry lists {listed} instances after the calls"));
        let calls = 2 * CALLS_AFTER_THE_KILL;
        let seen = failed
            .first()
            .map_or_else(String::new, |first| format!("{} of {calls} calls failed: {first}", failed.len()));
        proof.ensure(failed.is_empty(), format!("{calls} calls through Feign and the gateway succeed"), seen)?;
        Ok(proof)
    }

    async fn refresh(&mut self) -> Outcome {
        const NEW: &str = "Welcome back.";
        let mut proof = Proof::default();
        let old = self.served("greeting.message").await;
        self.estate
            .edit("application.yml", &old, NEW)
            .map_err(|error| proof.failure("the setting can be edited", error))?;
        proof.note(format!("application.yml: greeting.message: {old} -> {NEW}"));
        let answer = self.web.post(&format!("{}/actuator/busrefresh", self.user_url()), None).await;
        proof.ensure(answer.status == 204, "POST /actuator/busrefresh at the user service: 204", answer.brief())?;
        let services = [("user", self.user_url()), ("gateway", self.gateway_url()), ("catalog", self.catalog_url())];
        let services = services.into_iter().chain(self.order_urls().into_iter().map(|url| ("order", url)));
        for (service, url) in services {
            let answer = self.until(&format!("{url}/welcome"), |answer| answer.text == NEW).await;
            proof.equal(&format!("GET /welcome of the {service} service"), NEW.to_owned(), answer.text)?;
        }
        Ok(proof)
    }

    async fn leave(&mut self) -> Outcome {
        let mut proof = Proof::default();
        let queues = self.estate.broker.as_ref().map_or(0, |broker| broker.queues().len());
        let url = self.user_url();
        let start = Instant::now();
        self.app = None;
        if let Some(user) = self.user.take() {
            user.stop().await;
        }
        let elapsed = start.elapsed();
        let entry = self.web.get(&format!("{}/apps/USER-SERVICE", self.estate.addresses().registry)).await;
        proof.equal("GET /eureka/apps/USER-SERVICE", 404, entry.status)?;
        let left = self.estate.broker.as_ref().map_or(0, |broker| broker.queues().len());
        proof.equal("queues at the broker", queues.saturating_sub(1), left)?;
        let gone = self.web.get(&format!("{url}/welcome")).await;
        proof.equal("answers at its port", 0, gone.status)?;
        proof.ensure(elapsed < PATIENCE, format!("in {} ms", elapsed.as_millis()), format!("{elapsed:?}"))?;
        Ok(proof)
    }
}

/// Ways to look at the world.
impl Story {
    /// Waits until every service has found the others.
    pub(super) async fn wait_for_the_estate(&self) -> Result<(), vernal::BoxError> {
        for path in ["catalog-service/catalogs", "order-service/nobody/orders"] {
            let answer = self.until(&format!("{}/{path}", self.gateway_url()), |answer| answer.status == 200).await;
            if answer.status != 200 {
                return Err(format!("the gateway does not reach /{path}: {}", answer.brief()).into());
            }
        }
        Ok(())
    }

    async fn until(&self, url: &str, enough: impl Fn(&Answer) -> bool) -> Answer {
        let start = Instant::now();
        loop {
            let answer = self.web.get(url).await;
            if enough(&answer) || start.elapsed() > PATIENCE {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A property as the config server itself serves it to the user service.
    async fn served(&self, name: &str) -> String {
        let answer = self.web.get(&format!("{}/user-service/default", self.estate.addresses().config)).await;
        let sources = answer.json["propertySources"].as_array().into_iter().flatten();
        let value = sources.filter_map(|source| source["source"].get(name)).next();
        value.map_or_else(|| format!("nothing ({})", answer.brief()), |value| text(value).to_owned())
    }

    async fn orders_via(&self, via: &str, proof: &mut Proof) -> Result<(), Failure> {
        let url = format!("{}/users/{}/orders?via={via}", self.user_url(), self.user_id);
        let answer = self.web.get(&url).await;
        let listed: Option<Vec<Order>> = serde_json::from_value(answer.json.clone()).ok();
        let stored = self.stored(proof).await?;
        let expected = format!("GET {url}: the {} orders of the database", stored.len());
        proof.ensure(answer.status == 200 && listed.as_ref() == Some(&stored), expected, answer.brief())
    }

    async fn stored(&self, proof: &Proof) -> Result<Vec<Order>, Failure> {
        let orders = async {
            let store = OrderStore::open(&sqlite(&self.estate.order_database())).await?;
            store.of_user(&self.user_id).await
        };
        orders.await.map_err(|error| proof.failure("the database can be read", Chain(&error)))
    }

    async fn in_the_database(&self, statement: &'static str) -> Result<(), String> {
        let url = sqlite(&self.estate.order_database());
        let change = async {
            let mut connection = sqlx::SqliteConnection::connect(&url).await?;
            sqlx::query(statement).execute(&mut connection).await?;
            connection.close().await
        };
        change.await.map_err(|error: sqlx::Error| Chain(&error).to_string())
    }

    /// Without the folders that differ from machine to machine.
    fn shortened(&self, text: &str) -> String {
        let repo = self.estate.config_file("application.yml");
        let repo = repo.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
        text.replace(&repo, "config-repo").replace(env!("CARGO_MANIFEST_DIR"), "examples")
    }

    fn log_lines(&self, prefix: &str) -> Vec<String> {
        let records = self.logs.records().into_iter().map(|record| record.message);
        records.filter(|message| message.starts_with(prefix)).collect()
    }

    pub(super) fn user_url(&self) -> String {
        url_of(self.user.as_ref())
    }

    fn gateway_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.estate.addresses().gateway)
    }

    fn catalog_url(&self) -> String {
        url_of(self.estate.catalog.as_ref())
    }

    fn order_urls(&self) -> Vec<String> {
        self.estate.orders.iter().map(|order| url_of(Some(order))).collect()
    }
}

fn url_of(service: Option<&vernal::application::Running>) -> String {
    service.map_or_else(|| "http://127.0.0.1:0".to_owned(), |service| format!("http://{}", service.address()))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn first_instance(document: &Value) -> &Value {
    &document["application"]["instance"][0]
}
