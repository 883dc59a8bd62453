// refused: `&Opaque` cannot be sent as a query or header value
use vernal_feign::{Result, feign_client};

pub struct Opaque;

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders")]
    async fn orders(&self, #[header("X-State")] state: &Opaque) -> Result<String>;
}

fn main() {}
