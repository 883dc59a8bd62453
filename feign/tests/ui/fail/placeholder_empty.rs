use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders/{}")]
    async fn order(&self) -> Result<String>;
}

fn main() {}
