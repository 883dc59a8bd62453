//! A trait in a function's body.

pub fn main() {
    use vernal_feign::{FeignClient, Result, feign_client};

    #[feign_client("order-service")]
    trait OrderClient {
        #[head("/orders/{id}")]
        async fn exists(&self, id: u64) -> Result<()>;
    }

    fn client<T: OrderClient>() {}
    client::<OrderClientFeign>();
    let _: fn(&OrderClientFeign) -> bool = |client| {
        drop(client.exists(7));
        true
    };
    assert_eq!(OrderClientFeign::meta().name, "order-service");
}
