//! Traits and methods with parameters of their own; no twin.

use serde::Serialize;
use serde::de::DeserializeOwned;
use vernal_feign::{FeignClient, Result, feign_client};

#[feign_client("crud-service", dyn = false)]
pub trait Crud<T>
where
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    #[get("/{id}")]
    async fn read(&self, id: u64) -> Result<Option<T>>;

    #[post("/")]
    async fn create(&self, value: &T) -> Result<T>;

    #[put("/{id}")]
    async fn update<U: Serialize + Sync>(
        &self,
        id: u64,
        #[query] tags: &[impl AsRef<str> + std::fmt::Display + Sync],
        value: &U,
    ) -> Result<()>;
}

pub fn main() {
    fn client<T: Crud<String> + FeignClient + Clone + std::fmt::Debug>() {}
    client::<CrudFeign<String>>();
}
