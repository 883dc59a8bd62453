//! `crate = ..` names where `vernal_feign` is found.

mod shop {
    pub mod deep {
        pub use vernal_feign as feign;
    }
}

use shop::deep::feign;

#[feign::feign_client("order-service", crate = feign)]
pub trait OrderClient {
    #[get("/orders/{id}")]
    async fn order(&self, id: u64) -> feign::Result<String>;
}

#[feign::feign_client("order-service", crate = "self::shop::deep::feign", client = Orders, dyn = false)]
pub trait OtherClient {
    #[get("/orders/{id}")]
    async fn order(&self, id: u64) -> feign::Result<String>;
}

pub fn main() {
    fn client<T: feign::FeignClient>() {}
    client::<OrderClientFeign>();
    client::<Orders>();
}
