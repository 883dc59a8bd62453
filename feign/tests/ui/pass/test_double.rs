//! A test double is an ordinary impl.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/order-service/{user_id}/orders")]
    async fn orders(&self, user_id: &str) -> Result<Vec<String>>;
}

#[derive(Default)]
struct FakeOrders {
    calls: AtomicUsize,
}

impl OrderClient for FakeOrders {
    async fn orders(&self, user_id: &str) -> Result<Vec<String>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(vec![user_id.to_owned()])
    }
}

struct Service {
    orders: Arc<dyn DynOrderClient>,
}

pub fn main() {
    let fake = Arc::new(FakeOrders::default());
    let service = Service { orders: fake.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(service.orders.orders("7")).unwrap(), ["7"]);
    assert_eq!(fake.calls.load(Ordering::Relaxed), 1);
}
