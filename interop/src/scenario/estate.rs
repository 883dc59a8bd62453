//! All together, both ways round: services of one side among servers and services of the other.

use std::time::Duration;

use axum::Router;
use serde_json::{Value, json};
use tempfile::TempDir;
use vernal::Application;
use vernal::application::{Builder, Running};
use vernal_examples::estate::{folder_of, sqlite};
use vernal_examples::user::ShopErrors;
use vernal_examples::{catalog, gateway, user};
use vernal_testkit::logs::Logs;

use super::Area;
use super::bus::{all_refreshed, joined, quiet};
use crate::check::{Outcome, Side, within};
use crate::peers::{Local, Peer, Peers};
use crate::web::Web;

/// Everybody has found everybody within this.
const FOUND: Duration = Duration::from_secs(60);

/// Their config server, registry and order service with our user, gateway and catalog services.
pub(super) async fn ours_among_theirs(peers: &dyn Peers) -> Outcome {
    // It has the name of ours: calls would go to either.
    peers.stop(Peer::User).await?;
    let home = tempfile::Builder::new().prefix("vernal-interop-").tempdir()?;
    let (web, mark) = (Web::new()?, peers.mark(Peer::Order).await?);
    let (gateway, user, catalog) = services(peers, &home).await?;
    let gateway_url = format!("http://{}", gateway.address());

    let wanted = json!({"email": "ada@example.org", "name": "Ada", "pwd": "longenough"});
    let users = format!("{gateway_url}/user-service/users");
    let created = within(FOUND, async || {
        web.post_json(&users, &wanted).await.expect(201, "our user service through our gateway")
    });
    let created = created.await?;
    let user_id = created.json["userId"].as_str().unwrap_or_default().to_owned();
    let order = json!({"productId": "CATALOG-001", "qty": 2, "unitPrice": 1500});
    let orders = format!("{gateway_url}/order-service/{user_id}/orders");
    within(FOUND, async || {
        web.post_json(&orders, &order).await.expect(201, "their order service through our gateway").map(drop)
    })
    .await?;
    let one = web.get(&format!("{users}/{user_id}")).await.expect(200, "our user with their orders")?;
    let expected = json!([{"productId": "CATALOG-001", "totalPrice": 3000}]);
    Side::Ours.same("the orders of our user", expected, brief(&one.json["orders"]))?;
    for (via, status) in [("feign", 200), ("name", 200), ("url", 200), ("wrong", 404)] {
        let url = format!("http://{}/users/{user_id}/orders?via={via}", user.address());
        web.get(&url).await.expect(status, &url)?;
    }
    let product = format!("{gateway_url}/catalog-service/catalogs/CATALOG-001");
    let product = web.get(&product).await.expect(200, "our catalog, whose products are in their config server")?;
    Side::Ours.same("the product", Some("Berlin"), product.json["productName"].as_str())?;

    let seen = peers.requests(Peer::Order, mark).await?.into_iter().map(|seen| {
        let path = seen.target.replace(&user_id, "U");
        (seen.method, path, seen.status)
    });
    let seen = seen.filter(|(_, path, _)| path.contains("/U/orders"));
    // It refuses orders until it has found our user service, whom it asks for the user.
    let seen: Vec<_> = seen.skip_while(|(method, _, status)| method == "POST" && *status == 502).collect();
    let row = |method: &str, path: &str, status| (method.to_owned(), path.to_owned(), status);
    let expected = vec![
        row("POST", "/order-service/U/orders", 201),
        row("GET", "/order-service/U/orders", 200),
        row("GET", "/order-service/U/orders", 200),
        row("GET", "/order_service/U/orders", 200),
        row("GET", "/order_service/U/orders", 200),
        row("GET", "/order-service/U/orders_ng", 404),
    ];
    Side::Peer.same("the requests at their order service", expected, seen)?;

    let ours = [&gateway, &user, &catalog].map(|service| format!("http://{}", service.address()));
    for url in &ours {
        joined(url).await?;
    }
    quiet(peers).await?;
    let theirs = peers.url(Peer::Order)?;
    let all =
        ours.iter().map(|url| (Side::Ours, url.clone())).chain([(Side::Peer, theirs.clone())]).collect::<Vec<_>>();
    for from in [&theirs, &ours[0]] {
        all_refreshed(peers, from, &all).await?;
    }
    for service in [gateway, user, catalog] {
        service.stop().await;
    }
    Ok(())
}

/// Our config server, registry, broker and order service with their user service.
pub(super) async fn theirs_among_ours(peers: &dyn Peers) -> Outcome {
    let servers = Local::start(Area::Config, Logs::new()).await?;
    servers.start(Peer::Order).await?;
    peers.start_at(Peer::UserAtOurs, &servers).await?;
    let (web, java) = (Web::new()?, peers.url(Peer::UserAtOurs)?);
    let wanted = json!({"email": "ada@example.org", "name": "Ada", "pwd": "longenough"});
    let created = web.post_json(&format!("{java}/users"), &wanted).await.expect(201, "their user service")?;
    let user_id = created.json["userId"].as_str().unwrap_or_default().to_owned();
    servers.place_order(&user_id).await?;
    let mark = servers.mark(Peer::Order).await?;
    let one = within(FOUND, async || {
        web.get(&format!("{java}/users/{user_id}")).await.expect(200, "their user with our orders")
    });
    let expected = json!([{"productId": "CATALOG-001", "totalPrice": 3000}]);
    Side::Peer.same("the orders of their user", expected, brief(&one.await?.json["orders"]))?;
    let wrong = web.get(&format!("{java}/users/{user_id}/orders?via=wrong")).await;
    Side::Peer.same("a path that our order service does not know", 404, wrong.status)?;
    let seen = servers.requests(Peer::Order, mark).await?.into_iter().map(|seen| (seen.target, seen.status));
    let expected =
        vec![(format!("/order-service/{user_id}/orders"), 200), (format!("/order-service/{user_id}/orders_ng"), 404)];
    Side::Ours.same("the requests at our order service", expected, seen.collect::<Vec<_>>())?;

    let ours = servers.url(Peer::Order)?;
    joined(&ours).await?;
    quiet(&servers).await?;
    let all = [(Side::Ours, ours.clone()), (Side::Peer, java.clone())];
    for from in [&java, &ours] {
        all_refreshed(&servers, from, &all).await?;
    }
    Ok(())
}

/// Our gateway, user and catalog services at the peers' servers.
async fn services(peers: &dyn Peers, home: &TempDir) -> Outcome<(Running, Running, Running)> {
    let app = application(peers, "gateway-service")?.bootstrap().await?;
    let gateway = start(&app, gateway::service(&app)?).await?;
    let app = application(peers, "user-service")?
        .property("spring.datasource.url", sqlite(&home.path().join("users.db")))
        .property("gateway.port", gateway.address().port().to_string())
        .error_decoder(ShopErrors)
        .bootstrap()
        .await?;
    let user = start(&app, user::service(&app).await?).await?;
    let app = application(peers, "catalog-service")?.bootstrap().await?;
    let catalog = start(&app, catalog::routes(&app)?).await?;
    Ok((gateway, user, catalog))
}

fn application(peers: &dyn Peers, name: &str) -> Outcome<Builder> {
    Ok(Application::builder()
        .directory(folder_of(name))
        .env([])
        .property("server.port", "0")
        .property("spring.cloud.config.uri", peers.url(Peer::Config)?)
        .property("eureka.client.service-url.defaultZone", peers.url(Peer::Registry)?)
        .property("spring.rabbitmq.port", peers.broker_port().to_string()))
}

async fn start(app: &Application, routes: Router) -> Outcome<Running> {
    Ok(app.start(routes).await?)
}

/// What does not differ from one order to the next.
fn brief(orders: &Value) -> Value {
    let orders = orders.as_array().cloned().unwrap_or_default();
    let brief = |order: &Value| json!({"productId": order["productId"], "totalPrice": order["totalPrice"]});
    orders.iter().map(brief).collect()
}
