//! OpenFeign's client and ours against the same service, which both find by its name.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};
use vernal::Application;
use vernal::feign::feign_client;

use super::Bench;
use super::load::{self, CONCURRENCY, Load, Rates};
use super::program::{Program, Recipe};
use crate::check::{Outcome, within};
use crate::ours::Ours;
use crate::peers::{Peer, Real};
use crate::table::Table;
use crate::web::Web;

/// The service that the clients call, and the role that this program then plays.
pub const TARGET: &str = "bench-target";
/// The service with our client, and the role that this program then plays.
pub const CLIENT: &str = "bench-client";
const FOUND: Duration = Duration::from_secs(60);
/// What the target answers: two orders, as the order service tells them.
const ORDERS: &str = r#"[{"orderId":"34d4b2c4-0ac4-4db5-bb69-eb930a27ea85","productId":"CATALOG-001","qty":10,"unitPrice":900,"totalPrice":9000,"createdAt":"2026-11-24T08:54:33.886Z","instanceId":"78da52df-17f2-47e8-be05-01ae532073ee"},{"orderId":"df400f6f-d9fb-41fc-96d7-7c57ce26c446","productId":"CATALOG-002","qty":5,"unitPrice":900,"totalPrice":4500,"createdAt":"2026-11-24T08:54:33.890Z","instanceId":"78da52df-17f2-47e8-be05-01ae532073ee"}]"#;

/// The same description as in `LoadController` of the Java user service.
#[feign_client("bench-target")]
trait OrdersClient {
    #[get("/order-service/{user_id}/orders")]
    async fn get_orders(&self, user_id: &str) -> vernal::feign::Result<Vec<Order>>;
}

/// All that its record has.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "the Java record has these fields too: reading them is part of what is measured")]
struct Order {
    order_id: String,
    product_id: String,
    qty: i64,
    unit_price: i64,
    total_price: i64,
    created_at: String,
    instance_id: String,
}

/// The program that the clients call: a registered service with one answer. It runs until it is ended.
///
/// # Errors
///
/// What its start ends with.
pub async fn serve_target(peers: &Real, port: &str) -> Outcome {
    let answer = get(|| async { ([(CONTENT_TYPE, "application/json")], ORDERS) });
    let routes = Router::new().route("/order-service/{user_id}/orders", answer);
    serve(peers, TARGET, port, |_| Ok(routes)).await
}

/// The program with our client: `POST /load/bench-target` as the Java user service has it. It runs until it is ended.
///
/// # Errors
///
/// What its start ends with.
pub async fn serve_client(peers: &Real, port: &str) -> Outcome {
    let routes = |app: &Application| {
        let client: Arc<OrdersClientFeign> = Arc::new(app.feign()?);
        Ok(Router::new().route("/load/bench-target", post(put_to_load)).with_state(client))
    };
    serve(peers, CLIENT, port, routes).await
}

async fn serve(peers: &Real, name: &str, port: &str, routes: impl FnOnce(&Application) -> Outcome<Router>) -> Outcome {
    let service = Ours::start_with(peers, name, &[("server.port", port)], routes).await?;
    let mut told = signal(SignalKind::terminate())?;
    told.recv().await;
    service.stop().await;
    Ok(())
}

async fn put_to_load(
    State(client): State<Arc<OrdersClientFeign>>,
    Query(wanted): Query<Load>,
) -> Result<Json<Rates>, (StatusCode, String)> {
    let call = move || {
        let client = client.clone();
        async move { Ok(client.get_orders("ada").await.map(drop)?) }
    };
    let rates = load::measure(wanted, call).await;
    rates.map(Json).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

pub(super) async fn measure(bench: &Bench<'_>) -> Outcome<Table> {
    // The example repository makes all clients log everything.
    bench.settings_of(CLIENT, "spring.cloud.openfeign.client.config.default.logger-level: NONE\n")?;
    let this = std::env::current_exe()?;
    let ours = |role: &str| Recipe::plain(this.clone(), vec![role.to_owned()]);
    let java = |hc5: bool| {
        let hc5 = format!("--spring.cloud.openfeign.httpclient.hc5.enabled={hc5}");
        let name = format!("--spring.application.name={CLIENT}");
        Recipe::java(bench.peers, Peer::User, &[], &[&name, &hc5])
    };
    let clients = [
        ("OpenFeign, its default client", java(false)?),
        ("OpenFeign with Apache HttpClient 5", java(true)?),
        ("ours", ours(CLIENT)),
    ];
    let (target, _) = ours(TARGET).start("/order-service/ada/orders").await?;
    let mut table =
        Table::new("Calls of a Feign client", ["client", "at a time", "calls/s", "p50", "p99", "resident after"]);
    for (label, recipe) in clients {
        let (client, _) = recipe.start("/actuator/health").await?;
        for concurrency in CONCURRENCY {
            let [per_second, p50, p99] = rates(&client, bench.effort.load(concurrency)).await?.cells();
            let resident = client.resident()?;
            table.row([label.to_owned(), concurrency.to_string(), per_second, p50, p99, resident.to_string()]);
        }
        client.stop().await?;
    }
    target.stop().await?;
    Ok(table)
}

/// The service with the client measures by itself.
async fn rates(client: &Program, wanted: Load) -> Outcome<Rates> {
    let url = format!("{}/load/{TARGET}?{}", client.url(), wanted.query());
    let web = Web::with_limit(wanted.duration() + FOUND)?;
    // At first the client may not know the target yet.
    let answer = within(FOUND, async || web.post(&url).await.expect(200, &url)).await?;
    Ok(serde_json::from_value(answer.json)?)
}
