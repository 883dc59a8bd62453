//! The catalog service: which products there are.

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use vernal::Application;
use vernal::config::Live;

use crate::problem::{InPath, Problem, answered};

/// A product on sale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Product {
    /// Its key.
    pub product_id: String,
    /// What customers read.
    pub product_name: String,
    /// Price of one piece.
    pub unit_price: u64,
    /// Pieces in stock.
    pub stock: u64,
}

/// `catalog.*` of the settings.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Catalog {
    /// All products.
    pub products: Vec<Product>,
}

/// The routes of the service; the products are live settings.
///
/// # Errors
///
/// If `catalog.products` in the settings has another form.
pub fn routes(app: &Application) -> Result<Router, vernal::Error> {
    let catalog: Live<Catalog> = app.live("catalog")?;
    let greeting = crate::greeting::routes(app)?;
    let routes = Router::new()
        .route("/catalogs", get(all))
        .route("/catalogs/{product_id}", get(one))
        .with_state(catalog)
        .merge(greeting);
    Ok(answered(Router::new().nest("/catalog-service", routes.clone()).merge(routes)))
}

async fn all(State(catalog): State<Live<Catalog>>) -> Json<Vec<Product>> {
    Json(catalog.get().products.clone())
}

async fn one(
    State(catalog): State<Live<Catalog>>,
    InPath(product_id): InPath<String>,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<Product>, Problem> {
    let catalog: Arc<Catalog> = catalog.get();
    let product = catalog.products.iter().find(|product| product.product_id == product_id);
    product.cloned().map(Json).ok_or_else(|| Problem::not_found(format!("no product `{product_id}`"), &uri))
}
