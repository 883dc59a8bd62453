// refused: use `#[path(allow_empty)]` for an `Option`
use vernal_feign::{Result, feign_client};

pub struct Opaque;

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders/{id}")]
    async fn order(&self, id: Option<u64>) -> Result<String>;
}

fn main() {}
