use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders", collection_format = "comma")]
    async fn orders(&self, #[query] states: &[String]) -> Result<Vec<String>>;
}

fn main() {}
