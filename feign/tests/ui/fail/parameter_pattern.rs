use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders")]
    async fn orders(&self, #[query] (from, to): (u64, u64)) -> Result<Vec<String>>;
}

fn main() {}
