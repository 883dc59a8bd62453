//! Nothing generated relies on the prelude or on names in scope.
#![no_implicit_prelude]

use ::vernal_feign::feign_client;

#[feign_client("order-service", context_id = "orders", headers("X-Shop: vernal"), collection_format = "csv")]
pub trait OrderClient {
    #[get("/orders/{id}", produces = "application/json")]
    async fn order(&self, #[path(encoded)] id: u64) -> ::vernal_feign::Result<::std::string::String>;

    #[post("/orders", headers("X-Trace: {trace}"))]
    async fn create(
        &self,
        trace: &str,
        #[query(format = "pipes")] tags: &[::std::string::String],
        #[query(flag)] dry: bool,
        order: &str,
    ) -> ::vernal_feign::Result<()>;
}

pub fn main() {
    fn client<T: ::vernal_feign::FeignClient + OrderClient>() {}
    client::<OrderClientFeign>();
}
