use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders/{id:[0-9}")]
    async fn order(&self, id: u64) -> Result<String>;
}

fn main() {}
