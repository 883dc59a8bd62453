use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders", headers("X-Shop: vérnal"))]
    async fn orders(&self) -> Result<Vec<String>>;
}

fn main() {}
