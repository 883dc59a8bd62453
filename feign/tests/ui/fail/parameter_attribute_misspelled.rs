use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders")]
    async fn orders(&self, #[querry] state: &str) -> Result<Vec<String>>;
}

fn main() {}
