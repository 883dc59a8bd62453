//! The order service: stores orders and lists them.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vernal::Application;
use vernal::commons::chain::Chain;
use vernal::prelude::*;

use crate::catalog::Product;
use crate::problem::{JsonBody, Problem, no_route};

mod store;

pub use store::{OrderStore, StoreError};

/// A stored order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// Made by the service.
    pub order_id: String,
    /// The product.
    pub product_id: String,
    /// Pieces.
    pub qty: u64,
    /// Price of one piece.
    pub unit_price: u64,
    /// `qty * unitPrice`.
    pub total_price: u64,
    /// When it was stored, ISO 8601 with milliseconds.
    pub created_at: String,
    /// The instance that stored it.
    pub instance_id: String,
}

/// An order as a customer sends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewOrder {
    /// The product.
    pub product_id: String,
    /// Pieces, at least one.
    pub qty: u64,
    /// Price of one piece.
    pub unit_price: u64,
}

/// What the order service asks of the catalog service.
#[feign_client("catalog-service")]
pub trait CatalogClient {
    /// `None` if there is no such product.
    #[get("/catalog-service/catalogs/{product_id}")]
    async fn product(&self, product_id: &str) -> vernal::feign::Result<Option<Product>>;
}

/// What the order service asks of the user service.
#[feign_client("user-service")]
pub trait UserClient {
    /// An error of status 404 if there is no such user.
    #[head("/user-service/users/{user_id}")]
    async fn check(&self, user_id: &str) -> vernal::feign::Result<()>;
}

/// What the routes need; the clients can be test doubles.
#[derive(Clone)]
pub struct Orders {
    store: OrderStore,
    catalog: Arc<dyn DynCatalogClient>,
    users: Arc<dyn DynUserClient>,
    instance_id: Arc<str>,
}

impl fmt::Debug for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Orders").field("store", &self.store).finish_non_exhaustive()
    }
}

/// The service as an application runs it.
///
/// # Errors
///
/// If the settings lack `spring.datasource.url` or the database cannot be opened.
pub async fn service(app: &Application) -> Result<Router, Box<dyn std::error::Error + Send + Sync>> {
    let url = app.settings().get("spring.datasource.url")?.ok_or("`spring.datasource.url` is not set")?;
    let orders = Orders {
        store: OrderStore::open(&url).await?,
        catalog: Arc::new(app.feign::<CatalogClientFeign>()?),
        users: Arc::new(app.feign::<UserClientFeign>()?),
        instance_id: Uuid::new_v4().to_string().into(),
    };
    let routes = routes(orders).merge(crate::greeting::routes(app)?);
    let both = Router::new().nest("/order-service", routes.clone()).nest("/order_service", routes.clone());
    Ok(both.merge(routes).fallback(no_route))
}

/// The REST routes over `orders`.
pub fn routes(orders: Orders) -> Router {
    Router::new().route("/{user_id}/orders", get(list).post(create)).with_state(orders)
}

async fn list(
    State(orders): State<Orders>,
    Path(user_id): Path<String>,
    uri: Uri,
) -> Result<Json<Vec<Order>>, Problem> {
    orders.store.of_user(&user_id).await.map(Json).map_err(|error| Problem::internal(&error, &uri))
}

async fn create(
    State(orders): State<Orders>,
    Path(user_id): Path<String>,
    uri: Uri,
    JsonBody(new): JsonBody<NewOrder>,
) -> Result<(StatusCode, Json<Order>), Problem> {
    if new.qty == 0 {
        return Err(Problem::bad_request("`qty` must be at least 1", &uri));
    }
    let total_price = new.qty.checked_mul(new.unit_price).filter(|total| i64::try_from(*total).is_ok());
    let total_price = total_price.ok_or_else(|| Problem::bad_request("`qty` times `unitPrice` is too large", &uri))?;
    let asked = |what: &str, error: &vernal::feign::Error| {
        tracing::warn!(error = %Chain(error), what, "order could not be checked");
        Problem::new(StatusCode::BAD_GATEWAY, format!("the {what} service could not be asked"), &uri)
    };
    orders.users.check(&user_id).await.map_err(|error| match error.status() {
        Some(StatusCode::NOT_FOUND) => Problem::not_found(format!("no user `{user_id}`"), &uri),
        _ => asked("user", &error),
    })?;
    if orders.catalog.product(&new.product_id).await.map_err(|error| asked("catalog", &error))?.is_none() {
        return Err(Problem::not_found(format!("no product `{}`", new.product_id), &uri));
    }
    let order = Order {
        order_id: Uuid::new_v4().to_string(),
        product_id: new.product_id,
        qty: new.qty,
        unit_price: new.unit_price,
        total_price,
        created_at: vernal::commons::clock::iso_millis(vernal::commons::clock::now_millis()),
        instance_id: orders.instance_id.to_string(),
    };
    orders.store.insert(&user_id, &order).await.map_err(|error| Problem::internal(&error, &uri))?;
    Ok((StatusCode::CREATED, Json(order)))
}
