use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[post("/files")]
    async fn upload(&self, #[part] file: &[u8]) -> Result<()>;
}

fn main() {}
