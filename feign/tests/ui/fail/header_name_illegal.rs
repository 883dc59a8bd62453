use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders", headers("X Shop: vernal"))]
    async fn orders(&self, #[header("X Trace")] trace: &str) -> Result<Vec<String>>;
}

fn main() {}
