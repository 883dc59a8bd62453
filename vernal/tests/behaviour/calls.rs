//! Calls to services that are not there.

use std::error::Error as _;

use vernal::feign::{Error, ErrorKind};
use vernal::prelude::*;
use vernal_testkit::logs::Logs;
use vernal_testkit::registry::Registry;

use crate::home::{Home, Join, assert_has, assert_hidden, assert_logged, assert_serves, registered, start};
use crate::wire::{free_port, until};

const SECRET: &str = "hunter2-secret";

#[feign_client("order-service")]
trait OrderClient {
    #[get("/orders/{id}?token={token}")]
    async fn order(&self, id: u32, token: &str) -> vernal::feign::Result<String>;
}

#[cfg(not(feature = "rustls"))]
#[feign_client(name = "elsewhere", url = "https://elsewhere.test")]
trait SecureClient {
    #[get("/orders")]
    async fn orders(&self) -> vernal::feign::Result<String>;
}

/// The error with its causes.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_service_without_instances_is_named_until_it_has_one() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let registry = Registry::start().await.unwrap();
    let home = Home::new();
    let (app, running) = start(home.application().registry(&registry.url())).await;
    let orders: OrderClientFeign = app.feign().unwrap();
    let rest = app.rest().unwrap();
    let error = orders.order(7, SECRET).await.unwrap_err();
    assert_eq!((error.kind(), error.is_sent()), (ErrorKind::NoInstance, Some(false)));
    let text = chain(&error);
    assert_has(&text, &["[OrderClient#order(", "does not contain an instance for the service order-service"]);
    assert_has(&text, &["unknown service `order-service`"]);
    assert_hidden(SECRET, &logs, &[&text]);
    let error = rest.strict().get_text("http://order-service/orders/7").await.unwrap_err();
    assert_has(&error.to_string(), &["does not contain an instance for the service order-service"]);
    assert_serves(running.address()).await;

    let other = Home::new();
    let application = other.application().property("spring.application.name", "order-service");
    let (_, order_service) = start(application.registry(&registry.url())).await;
    until("the instance is known", async || orders.order(7, SECRET).await.is_ok_and(|answer| answer == "hello")).await;
    assert_eq!(rest.get_text("http://order-service/orders/7").await.unwrap(), "hello");
    order_service.stop().await;
    until("the instance is gone", async || {
        orders.order(7, SECRET).await.is_err_and(|error| error.kind() == ErrorKind::NoInstance)
    })
    .await;
    running.stop().await;
    registry.stop().await;
}

#[tokio::test]
async fn a_registry_that_is_down_does_not_keep_a_service_from_serving() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let port = free_port();
    let home = Home::new();
    let url = format!("http://shop:{SECRET}@127.0.0.1:{port}/eureka");
    let (app, running) = start(home.application().registry(&url)).await;
    assert_serves(running.address()).await;
    let orders: OrderClientFeign = app.feign().unwrap();
    let error = orders.order(7, "t").await.unwrap_err();
    let text = chain(&error);
    assert_eq!(error.kind(), ErrorKind::NoInstance);
    assert_has(&text, &["registry has not answered yet", &format!("registry `http://127.0.0.1:{port}/eureka`")]);
    assert_has(&text, &["cannot be reached for full fetch", "connection refused"]);
    assert_logged(&logs, &["registry did not take a write", "cannot be reached for register", "connection refused"]);
    assert_hidden(SECRET, &logs, &[&text]);

    let registry = Registry::builder().port(port).basic_auth("shop", SECRET).start().await.unwrap();
    until("it registers once the registry is there", async || registered(&registry) == ["SHOP"]).await;
    let discovery = app.registry().unwrap();
    until("it knows that it is registered", async || discovery.health().registration.consecutive_failures == 0).await;
    assert_serves(running.address()).await;
    running.stop().await;
    assert!(registry.instances().is_empty());
    assert_hidden(SECRET, &logs, &[]);
    registry.stop().await;
}

#[tokio::test]
async fn a_registry_that_wants_other_credentials_is_named_without_them() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let registry = Registry::builder().basic_auth("shop", "the right one").start().await.unwrap();
    let home = Home::new();
    let url = registry.url().replace("://", &format!("://shop:{SECRET}@"));
    let (_, running) = start(home.application().registry(&url)).await;
    assert_serves(running.address()).await;
    assert_logged(&logs, &[&format!("registry `{}` answered 401 to register", registry.url())]);
    running.stop().await;
    assert_hidden(SECRET, &logs, &[]);
    registry.stop().await;
}

#[tokio::test]
async fn a_registry_that_fails_changes_nothing() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let registry = Registry::start().await.unwrap();
    let home = Home::new();
    let (app, running) = start(home.application().registry(&registry.url())).await;
    let shop = app.rest().unwrap();
    until("it finds itself", async || shop.get_text("http://shop/").await.is_ok()).await;
    let before = registry.journal().len();
    registry.fail_with(500);
    until("two fetches failed", async || {
        let failed = registry.journal().into_iter().skip(before);
        failed.filter(|seen| seen.method == "GET" && seen.status == Some(500)).count() > 1
    })
    .await;
    // What was known stays known.
    assert_eq!(shop.get_text("http://shop/").await.unwrap(), "hello");
    registry.resume();
    running.stop().await;
    assert!(registry.instances().is_empty());
    registry.stop().await;
}

#[cfg(not(feature = "rustls"))]
#[tokio::test]
async fn a_call_by_https_without_the_feature_names_it() {
    let home = Home::new();
    let (app, running) = start(home.application()).await;
    let client: SecureClientFeign = app.feign().unwrap();
    let error = client.orders().await.unwrap_err();
    assert_eq!((error.kind(), error.is_sent()), (ErrorKind::InvalidUrl, Some(false)));
    assert_has(&chain(&error), &["https://elsewhere.test/orders", "feature `rustls`"]);
    assert_serves(running.address()).await;
    running.stop().await;
}
