// refused: `Opaque` cannot be read from a response
use vernal_feign::{Result, feign_client};

pub struct Opaque;

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders")]
    async fn orders(&self) -> Result<Opaque>;
}

fn main() {}
