//! Supertraits of the language, parameters of every kind, constants.

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use vernal_feign::{FeignClient, Result, feign_client};

#[feign_client("order-service")]
pub trait Owned: Debug + Unpin + 'static {
    const PAGE: usize = 20;

    #[get("/orders")]
    async fn orders(&self) -> Result<String>;

    fn page(&self) -> usize {
        Self::PAGE
    }
}

#[feign_client("order-service")]
pub trait Cloned: Clone {
    #[get("/orders")]
    async fn orders(&self) -> Result<String>;
}

#[feign_client("order-service")]
pub trait Borrowing<'a, T, const N: usize>
where
    T: DeserializeOwned + Send + 'static,
{
    #[get("/orders")]
    async fn orders(&self, #[query] ids: [u64; N], #[query] state: &'a str) -> Result<T>;
}

fn boxed(client: Box<dyn DynOwned>) -> impl Owned {
    client
}

pub fn main() {
    fn client<T: FeignClient + Clone + Debug>() {}
    client::<OwnedFeign>();
    client::<ClonedFeign>();
    client::<BorrowingFeign<'static, String, 2>>();
    let _: fn(Box<dyn DynOwned>) -> _ = boxed;
}
