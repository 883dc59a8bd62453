//! What the running services answer to callers who are wrong, or whose world is broken.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vernal_examples::estate::Estate;
use vernal_testkit::logs::Logs;

mod gateway;
mod programs;
mod raw;

struct World {
    estate: Estate,
    user: vernal::application::Running,
    client: reqwest::Client,
}

#[tokio::test]
async fn wrong_requests_are_answered_with_the_reason_and_without_a_secret() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let world = World::start().await;
    let user = world.create_user().await;
    let orders = format!("{}/order-service/{user}/orders", world.gateway());
    let users = format!("{}/user-service/users", world.gateway());

    let order = json!({"productId": "CATALOG-001", "qty": 1, "unitPrice": 900});
    let nobody = format!("{}/order-service/nobody/orders", world.gateway());
    world.refuses(&nobody, order.to_string(), 404, "no user `nobody`").await;
    let unknown = json!({"productId": "CATALOG-999", "qty": 1, "unitPrice": 900});
    world.refuses(&orders, unknown.to_string(), 404, "no product `CATALOG-999`").await;
    world.refuses(&orders, "{\"productId\": ".to_owned(), 400, "EOF while parsing").await;
    world.refuses(&orders, json!({"productId": "CATALOG-001"}).to_string(), 400, "missing field `qty`").await;
    world.refuses(&orders, json!({"productId": "a", "qty": 0, "unitPrice": 1}).to_string(), 400, "`qty` must be").await;
    let huge = json!({"productId": "a", "qty": u64::MAX, "unitPrice": 2});
    world.refuses(&orders, huge.to_string(), 400, "too large").await;
    let known = json!({"email": "a@example.com", "name": "A", "pwd": "anotherPassword"});
    world.refuses(&users, known.to_string(), 409, "`a@example.com`").await;
    let wrong = json!({"email": "nowhere", "name": " ", "pwd": "short"});
    world.refuses(&users, wrong.to_string(), 400, "invalid: email, name, pwd").await;
    world.refuses(&format!("{}/nobody-service/x", world.gateway()), "{}".to_owned(), 503, "nobody-service").await;

    for nothing in ["", ".", "..", &"x".repeat(70_000)] {
        let unknown = json!({"productId": nothing, "qty": 1, "unitPrice": 900});
        world.refuses(&orders, unknown.to_string(), 404, "no product `").await;
    }
    let array = json!(["CATALOG-001", 1, 900]);
    world.refuses(&orders, array.to_string(), 400, "must be a JSON object").await;
    let number = json!({"email": "b@example.com", "name": "B", "pwd": 31337});
    world.refuses(&users, number.to_string(), 400, "`pwd` must be a string").await;

    assert_eq!(world.get(&orders).await.0, 200, "the services go on");
    for secret in ["test1111", "anotherPassword", "31337", "pbkdf2-sha256"] {
        assert!(!logs.contain(secret), "`{secret}` was logged");
    }
    world.end().await;
}

#[tokio::test]
async fn every_error_answer_is_springs_json_with_the_path_as_requested() {
    let world = World::start().await;
    let user = world.create_user().await;
    let order_service = world.estate.orders[0].address();
    let order = r#"{"productId":"CATALOG-001","qty":1,"unitPrice":1}"#;
    let huge = format!("{}{order}", " ".repeat(2 * 1024 * 1024));
    let via = format!("/user-service/users/{user}/orders?via=feign&via=url");
    for (address, method, path, body, status, reason) in [
        (world.user.address(), "DELETE", "/user-service/users", "", 405, "Method 'DELETE' is not supported."),
        (world.user.address(), "DELETE", "/users", "", 405, "Method 'DELETE' is not supported."),
        (order_service, "PUT", "/order_service/a/orders", "", 405, "Method 'PUT' is not supported."),
        (world.user.address(), "GET", &via, "", 400, "duplicate field `via`"),
        (world.user.address(), "GET", "/user-service/users/%FF", "", 400, "UTF-8"),
        (order_service, "GET", "/order-service/%FF/orders", "", 400, "UTF-8"),
        (order_service, "GET", "/order-service/nowhere/at/all", "", 404, "No message available"),
        (order_service, "POST", "/order-service/%2e%2E/orders", order, 404, "no user `..`"),
        (order_service, "POST", "/order-service/a/orders", &huge, 413, "length limit exceeded"),
    ] {
        let answer = raw::send(address, method, path, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert_eq!(answer.json["status"], status, "{method} {path}: {answer:?}");
        assert_eq!(answer.json["path"], path.split('?').next().unwrap(), "{method} {path}");
        assert!(answer.json["message"].as_str().unwrap().contains(reason), "{method} {path}: {answer:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn services_go_on_without_registry_broker_and_config_server() {
    let mut world = World::start().await;
    let user = world.create_user().await;
    let orders = format!("{}/user-service/users/{user}", world.gateway());
    world.estate.registry.take().unwrap().stop().await;
    world.estate.broker.take().unwrap().stop().await;
    world.estate.config.take().unwrap().stop().await;
    for _ in 0..10 {
        let (status, body) = world.get(&orders).await;
        assert_eq!(status, 200, "{body}");
    }
    let (status, body) =
        world.post(&format!("http://{}/actuator/busrefresh", world.user.address()), String::new()).await;
    assert_eq!((status, body["error"].as_str()), (503, Some("Service Unavailable")));
    let (status, _) = world.post(&format!("http://{}/actuator/refresh", world.user.address()), String::new()).await;
    assert_eq!(status, 200, "a refresh without the server keeps the old settings");
    assert_eq!(world.get(&format!("http://{}/welcome", world.user.address())).await.0, 200);
    world.end().await;
}

impl World {
    async fn start() -> Self {
        let mut estate = Estate::servers().await.unwrap();
        estate.services().await.unwrap();
        let (_, user) = estate.user().await.unwrap();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build().unwrap();
        Self { estate, user, client }
    }

    /// Made through the gateway; by then the order services know the user service too.
    async fn create_user(&self) -> String {
        let user = json!({"email": "a@example.com", "name": "A", "pwd": "test1111"});
        let url = format!("{}/user-service/users", self.gateway());
        let (_, created) = self.until(201, &url, user.to_string()).await;
        let id = created["userId"].as_str().unwrap().to_owned();
        let order = json!({"productId": "CATALOG-001", "qty": 1, "unitPrice": 900});
        for order_service in &self.estate.orders {
            let url = format!("http://{}/order-service/{id}/orders", order_service.address());
            self.until(201, &url, order.to_string()).await;
        }
        id
    }

    async fn until(&self, wanted: u16, url: &str, body: String) -> (u16, Value) {
        let start = Instant::now();
        loop {
            let (status, answer) = self.post(url, body.clone()).await;
            if status == wanted {
                return (status, answer);
            }
            assert!(start.elapsed() < Duration::from_secs(10), "POST {url}: {status} {answer}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn refuses(&self, url: &str, body: String, status: u16, reason: &str) {
        let (seen, answer) = self.post(url, body).await;
        assert_eq!(seen, status, "{answer}");
        assert_eq!(answer["status"], status, "{answer}");
        assert!(answer["message"].as_str().unwrap().contains(reason), "{answer}");
    }

    async fn post(&self, url: &str, body: String) -> (u16, Value) {
        let request = self.client.post(url).header("content-type", "application/json").body(body);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null))
    }

    async fn get(&self, url: &str) -> (u16, String) {
        let response = self.client.get(url).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    fn gateway(&self) -> String {
        format!("http://127.0.0.1:{}", self.estate.addresses().gateway)
    }

    async fn end(self) {
        self.user.stop().await;
        self.estate.stop().await;
    }
}
