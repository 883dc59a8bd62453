//! The README's snippet.
#![allow(missing_docs, missing_debug_implementations)]

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use vernal::prelude::*;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    order_id: String,
    qty: u64,
}

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/order-service/{user_id}/orders")]
    async fn orders(&self, user_id: &str) -> vernal::feign::Result<Vec<Order>>;
}

#[derive(PartialEq, Deserialize)]
struct Greeting {
    message: String,
}

#[tokio::main]
async fn main() -> Result<(), vernal::Error> {
    let app = Application::builder()
        .error_decoder(ShopErrors) // for every client of this application; nothing is global
        .bootstrap() // bootstrap.yml -> config server -> settings; `{cipher}` values arrive in plain
        .await?;
    let orders: OrderClientFeign = app.feign()?; // name -> registry -> balanced, logged, decoded
    let greeting: Live<Greeting> = app.live("greeting")?; // follows every refresh
    app.serve(routes(Arc::new(orders), greeting)).await // listen, register, join the bus; leave in order on SIGTERM
}

#[derive(Clone)]
struct Shop {
    orders: Arc<dyn DynOrderClient>,
    greeting: Live<Greeting>,
}

fn routes(orders: Arc<dyn DynOrderClient>, greeting: Live<Greeting>) -> Router {
    Router::new()
        .route("/welcome", get(async |State(shop): State<Shop>| shop.greeting.get().message.clone()))
        .route("/users/{user_id}/orders", get(list))
        .with_state(Shop { orders, greeting })
}

async fn list(State(shop): State<Shop>, Path(user_id): Path<String>) -> Result<Json<Vec<Order>>, (StatusCode, String)> {
    shop.orders.orders(&user_id).await.map(Json).map_err(|error| (StatusCode::BAD_GATEWAY, error.to_string()))
}

#[derive(Debug, thiserror::Error)]
#[error("the order service is in trouble")]
struct OrdersDown;

struct ShopErrors;

impl ErrorDecoder for ShopErrors {
    fn decode(&self, _: &MethodContext<'_>, response: &ErrorResponse) -> Decoded {
        if response.status.is_server_error() { Decoded::typed(OrdersDown) } else { Decoded::Default }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    struct FakeOrders; // a test double is an ordinary impl: no server, no mock library

    impl OrderClient for FakeOrders {
        async fn orders(&self, _: &str) -> vernal::feign::Result<Vec<Order>> {
            Ok(vec![Order { order_id: "1".into(), qty: 2 }])
        }
    }

    #[tokio::test]
    async fn lists_orders() {
        let app = routes(Arc::new(FakeOrders), Live::fixed(Greeting { message: "hi".into() }));
        let response = app.oneshot(Request::get("/users/a/orders").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), r#"[{"orderId":"1","qty":2}]"#);
    }
}
