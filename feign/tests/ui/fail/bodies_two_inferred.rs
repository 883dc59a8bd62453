use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[post("/orders")]
    async fn create(&self, order: &str, note: &str) -> Result<()>;
}

fn main() {}
