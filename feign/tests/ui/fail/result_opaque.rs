use vernal_feign::feign_client;

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders")]
    async fn orders(&self) -> impl Sized;
}

fn main() {}
