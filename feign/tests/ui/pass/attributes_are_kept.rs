//! Documentation, deprecation, lint and visibility attributes of the input; nothing generated breaks a lint.
#![deny(missing_docs, unused, unused_qualifications, unreachable_pub, deprecated, clippy::all, clippy::pedantic)]
#![allow(unreachable_pub, reason = "the file is a module of a test and a program of its own")]

mod shop {
    use vernal_feign::{Result, feign_client};

    /// Orders.
    #[feign_client("order-service", client = Orders)]
    #[must_use]
    #[allow(clippy::module_name_repetitions)]
    pub(super) trait OrderClient {
        /// One order.
        #[get("/orders/{id}")]
        #[allow(clippy::missing_errors_doc)]
        async fn order(&self, id: u64) -> Result<String>;

        /// Replaced by `order`.
        #[deprecated = "use `order`"]
        #[get("/order/{id}")]
        async fn old_order(&self, id: u64) -> Result<String>;

        /// Without a text of its own.
        #[delete("/orders/{id}")]
        async fn cancel(&self, id: u64) -> Result<()>;
    }
}

use shop::{DynOrderClient, OrderClient, Orders};

/// The program.
pub fn main() {
    fn client<T: OrderClient + DynOrderClient + Clone + std::fmt::Debug + Send + Sync + 'static>() {}
    client::<Orders>();
    let _ = every_method::<Orders>;
}

#[allow(deprecated)]
async fn every_method<T: OrderClient>(client: T) -> vernal_feign::Result<()> {
    client.order(1).await?;
    client.old_order(1).await?;
    client.cancel(1).await
}
