use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders")]
    async fn orders(&self, #[query] state: &str, #[query("s")] state: &str) -> Result<Vec<String>>;
}

fn main() {}
