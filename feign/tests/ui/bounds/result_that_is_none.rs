// refused: a method of a Feign client must return a `Result`, not `String`
use vernal_feign::{Result, feign_client};

pub struct Opaque;

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders")]
    async fn orders(&self) -> String;
}

fn main() {}
