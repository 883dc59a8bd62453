use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders")]
    fn orders(&self) -> Result<Vec<String>>;
}

fn main() {}
