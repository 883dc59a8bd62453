// refused: `Opaque` is no error decoder
use vernal_feign::{Result, feign_client};

pub struct Opaque;

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders", error_decoder = Opaque)]
    async fn orders(&self) -> Result<String>;
}

fn main() {}
