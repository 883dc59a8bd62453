// refused: `Opaque` cannot be a path value
use vernal_feign::{Result, feign_client};

pub struct Opaque;

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders/{id}")]
    async fn order(&self, id: Opaque) -> Result<String>;
}

fn main() {}
