use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders", timeout = "5s")]
    async fn orders(&self) -> Result<Vec<String>>;
}

fn main() {}
