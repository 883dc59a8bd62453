use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[post("/orders")]
    async fn create<T: serde::Serialize + Sync>(&self, order: &T) -> Result<()>;
}

fn main() {}
