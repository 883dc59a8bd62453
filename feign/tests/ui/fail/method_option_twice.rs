use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders", dismiss_404, dismiss_404 = false)]
    async fn orders(&self) -> Result<Vec<String>>;
}

fn main() {}
