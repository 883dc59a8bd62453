use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders/{id}")]
    async fn order(&self, id: u64, #[path("id")] number: u64) -> Result<String>;
}

fn main() {}
