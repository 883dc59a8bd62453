// refused: `Opaque` is not `CallOptions`
use vernal_feign::{Result, feign_client};

pub struct Opaque;

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders")]
    async fn orders(&self, #[options] options: Opaque) -> Result<String>;
}

fn main() {}
