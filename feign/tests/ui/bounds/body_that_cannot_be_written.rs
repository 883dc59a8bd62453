// refused: `&Opaque` cannot be sent as a body
use vernal_feign::{Result, feign_client};

pub struct Opaque;

#[feign_client("order-service")]
pub trait OrderClient {
    #[post("/orders")]
    async fn create(&self, order: &Opaque) -> Result<()>;
}

fn main() {}
