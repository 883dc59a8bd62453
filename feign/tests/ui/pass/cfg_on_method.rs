//! A method that is compiled out is gone everywhere, and the others keep their places.

use vernal_feign::{FeignClient, Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[cfg(any())]
    #[get("/gone")]
    async fn gone(&self) -> NoSuchType;

    #[cfg(not(target_os = "none"))]
    #[get("/kept")]
    async fn kept(&self) -> Result<String>;

    #[get("/last")]
    async fn last(&self) -> Result<String>;
}

#[cfg(any())]
#[feign_client("order-service")]
pub trait GoneClient {
    #[get("/gone")]
    async fn gone(&self) -> NoSuchType;
}

struct Orders;

impl OrderClient for Orders {
    async fn kept(&self) -> Result<String> {
        Ok("kept".to_owned())
    }

    async fn last(&self) -> Result<String> {
        Ok("last".to_owned())
    }
}

pub fn main() {
    let names: Vec<_> = OrderClientFeign::meta().methods.into_iter().map(|method| method.name).collect();
    assert_eq!(names, ["kept", "last"]);
    let _: Box<dyn DynOrderClient> = Box::new(Orders);
}
