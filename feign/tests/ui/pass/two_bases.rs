//! A client whose trait extends two others, one of them generic.

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use vernal_feign::{FeignClient, Result, feign_client};

mod actuator {
    use vernal_feign::{Result, feign_client};

    #[feign_client(base)]
    pub trait HealthApi {
        #[get("/actuator/health")]
        async fn health(&self) -> Result<String>;

        #[cfg(any())]
        #[get("/actuator/gone")]
        async fn gone(&self) -> Result<String>;

        #[get("/actuator/info")]
        async fn info(&self) -> Result<String>;
    }
}

use actuator::HealthApi;

#[feign_client(base)]
pub trait ReadApi<T: DeserializeOwned + Send + 'static> {
    #[get("/{id}")]
    async fn read(&self, id: u64) -> Result<T>;
}

#[feign_client("order-service", path = "/orders")]
pub trait OrderClient: HealthApi + ReadApi<String> + Debug {
    #[delete("/{id}")]
    async fn cancel(&self, id: u64) -> Result<()>;
}

#[feign_client("user-service")]
pub trait UserClient: ReadApi<u64> {}

async fn all<T: OrderClient>(client: T) -> Result<String> {
    client.cancel(1).await?;
    client.info().await?;
    client.read(7).await
}

pub fn main() {
    fn client<T: OrderClient + FeignClient + Clone + Debug + Send + Sync + 'static>() {}
    client::<OrderClientFeign>();
    let _ = all::<OrderClientFeign>;
    let meta = OrderClientFeign::meta();
    let paths: Vec<_> = meta.methods.iter().map(|method| method.path.as_str()).collect();
    assert_eq!(paths, ["/{id}", "/actuator/health", "/actuator/info", "/{id}"]);
    assert_eq!(UserClientFeign::meta().methods.len(), 1);
}
