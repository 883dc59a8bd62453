//! Methods with errors of their own.

use serde::Deserialize;
use vernal_feign::feign_client;

#[derive(Deserialize)]
pub struct Order;

#[derive(Debug)]
pub enum ShopError {
    Feign(vernal_feign::Error),
}

impl From<vernal_feign::Error> for ShopError {
    fn from(error: vernal_feign::Error) -> Self {
        Self::Feign(error)
    }
}

type ShopResult<T> = Result<T, ShopError>;

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders/{id}")]
    async fn order(&self, id: u64) -> Result<Order, ShopError>;

    #[get("/orders/{id}")]
    async fn found(&self, id: u64) -> ShopResult<Option<Order>>;

    #[get("/orders")]
    async fn orders(&self) -> Result<Vec<Order>, Box<dyn std::error::Error + Send + Sync>>;
}

pub fn main() {
    fn client<T: OrderClient>() {}
    client::<OrderClientFeign>();
}
