//! `Send` is in the contract: generic code may spawn.

use std::sync::Arc;

use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders/{id}")]
    async fn order(&self, id: u64) -> Result<String>;
}

fn spawn<T: OrderClient + 'static>(client: Arc<T>) -> tokio::task::JoinHandle<Result<String>> {
    tokio::spawn(async move { client.order(7).await })
}

struct Orders;

impl OrderClient for Orders {
    async fn order(&self, id: u64) -> Result<String> {
        Ok(id.to_string())
    }
}

pub fn main() {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        assert_eq!(spawn(Arc::new(Orders)).await.unwrap().unwrap(), "7");
    });
    // The generated client fits as well.
    let _: fn(Arc<OrderClientFeign>) -> tokio::task::JoinHandle<Result<String>> = spawn;
}
