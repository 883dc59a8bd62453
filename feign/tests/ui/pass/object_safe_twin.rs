//! A client behind `Box<dyn ..>`, `Arc<dyn ..>` and `&dyn ..`, with both traits in scope.
#![allow(clippy::needless_lifetimes)]

use std::fmt::Debug;
use std::sync::Arc;

use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient: Debug {
    #[get("/order-service/{user_id}/orders")]
    async fn orders(&self, user_id: &str, #[query] states: &[&str]) -> Result<Vec<String>>;

    #[get("/order-service/{user_id}/orders/{order_id}")]
    async fn order<'a>(&self, user_id: &'a str, order_id: &str) -> Result<Option<String>>;

    /// Overridden below, which must be seen through the twin.
    async fn first(&self, user_id: &str) -> Option<String> {
        self.orders(user_id, &[]).await.ok()?.into_iter().next()
    }

    fn label(&self) -> String {
        "the default".to_owned()
    }

    fn boxed(self) -> Box<dyn DynOrderClient>
    where
        Self: Sized + 'static,
    {
        Box::new(self)
    }
}

#[derive(Debug)]
struct Orders;

impl OrderClient for Orders {
    async fn orders(&self, user_id: &str, states: &[&str]) -> Result<Vec<String>> {
        Ok(vec![format!("{user_id} {states:?}")])
    }

    async fn order<'a>(&self, _: &'a str, _: &str) -> Result<Option<String>> {
        Ok(None)
    }

    fn label(&self) -> String {
        "overridden".to_owned()
    }
}

async fn generic(client: impl OrderClient) -> Option<String> {
    client.first("7").await
}

async fn borrowed(client: &dyn DynOrderClient) -> Result<Vec<String>> {
    client.orders("7", &[]).await
}

pub fn main() {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let boxed: Box<dyn DynOrderClient> = Orders.boxed();
        assert_eq!(boxed.orders("7", &["OPEN"]).await.unwrap(), [r#"7 ["OPEN"]"#]);
        assert_eq!(boxed.label(), "overridden");
        assert_eq!(generic(boxed).await.unwrap(), "7 []");

        let shared: Arc<dyn DynOrderClient> = Arc::new(Orders);
        assert_eq!(borrowed(&*shared).await.unwrap(), ["7 []"]);
        assert_eq!(generic(&shared).await.unwrap(), "7 []");
        assert_eq!(generic(&*shared).await.unwrap(), "7 []");
        let spawned = Arc::clone(&shared);
        let task = tokio::spawn(async move { spawned.order("7", "1").await });
        assert_eq!(task.await.unwrap().unwrap(), None);
        assert_eq!(generic(shared).await.unwrap(), "7 []");
    });
}
