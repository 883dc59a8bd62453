use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders?state={state}")]
    async fn orders(&self, state: &str, #[query("state")] other: &str) -> Result<Vec<String>>;
}

fn main() {}
