use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders?state={state}")]
    async fn orders(&self, #[header("X-State")] state: &str) -> Result<Vec<String>>;
}

fn main() {}
