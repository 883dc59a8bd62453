//! The order service: stores orders and lists them.

use std::fmt;
use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vernal::commons::chain::Chain;
use vernal::feign::ErrorKind;
use vernal::prelude::*;
use vernal::{Application, BoxError};

use crate::catalog::Product;
use crate::datasource;
use crate::problem::{InPath, JsonBody, Problem, answered};

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
pub async fn service(app: &Application) -> Result<Router, BoxError> {
    let url = datasource::url(app.settings())?;
    let orders = Orders {
        store: OrderStore::open(&url).await?,
        catalog: Arc::new(app.feign::<CatalogClientFeign>()?),
        users: Arc::new(app.feign::<UserClientFeign>()?),
        instance_id: Uuid::new_v4().to_string().into(),
    };
    let routes = routes(orders).merge(crate::greeting::routes(app)?);
    let both = Router::new().nest("/order-service", routes.clone()).nest("/order_service", routes.clone());
    Ok(answered(both.merge(routes)))
}

/// The REST routes over `orders`.
pub fn routes(orders: Orders) -> Router {
    Router::new().route("/{user_id}/orders", get(list).post(create)).with_state(orders)
}

async fn list(
    State(orders): State<Orders>,
    InPath(user_id): InPath<String>,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<Vec<Order>>, Problem> {
    orders.store.of_user(&user_id).await.map(Json).map_err(|error| Problem::internal(&error, &uri))
}

async fn create(
    State(orders): State<Orders>,
    InPath(user_id): InPath<String>,
    OriginalUri(uri): OriginalUri,
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
    let no_user = || Problem::not_found(format!("no user `{user_id}`"), &uri);
    orders.users.check(&user_id).await.map_err(|error| match error.status() {
        Some(StatusCode::NOT_FOUND) => no_user(),
        _ if cannot_be_asked_for(&error) => no_user(),
        _ => asked("user", &error),
    })?;
    let product = match orders.catalog.product(&new.product_id).await {
        Err(error) if cannot_be_asked_for(&error) => None,
        product => product.map_err(|error| asked("catalog", &error))?,
    };
    if product.is_none() {
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

/// Whether the key is nothing that a path can hold (empty, `..`, endless), so nobody was asked and nothing has it.
fn cannot_be_asked_for(error: &vernal::feign::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidPathValue | ErrorKind::InvalidUrl) && error.is_sent() == Some(false)
}
