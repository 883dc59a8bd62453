use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders")]
    async fn order(&self, #[path] id: u64) -> Result<String>;
}

fn main() {}
