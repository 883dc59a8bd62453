//! What generated code names. Not part of the public API: it changes without notice.
//!
//! The attribute turns
//!
//! ```text
//! #[feign_client("order-service")]
//! pub trait OrderClient {
//!     #[get("/order-service/{user_id}/orders")]
//!     async fn orders(&self, user_id: &str, #[query] state: Option<State>) -> vernal_feign::Result<Vec<Order>>;
//! }
//! ```
//!
//! into the trait, a struct, and two impls. The test below is that expansion written by hand and kept compiling;
//! the macro copies its shape. The rules behind it:
//!
//! * Trait methods are `fn .. -> impl Future<Output = R> + Send`; the impl's body makes the [`Call`], hands over
//!   every argument **before** the future exists (so that arguments need not be `Send`), and returns `call.send(..)`.
//! * Arguments are handed over by position in `MethodMeta::parameters`, always as `&argument`:
//!
//!   | parameter | call |
//!   |---|---|
//!   | `ParamIn::Path`, `allow_empty: false` | `call.path(i, &x)` |
//!   | `ParamIn::Path`, `allow_empty: true` | `call.value(i, &x)` |
//!   | `ParamIn::Query`, `Header`, `Template` | `call.value(i, &x)` |
//!   | `ParamIn::Query`, `flag: true` | `call.flag(i, x)` |
//!   | `ParamIn::QueryMap` | `call.query_map(i, &x)` |
//!   | `ParamIn::HeaderMap` | `call.header_map(i, &x)` |
//!   | `ParamIn::Body` | `call.body(i, { use BodyRaw as _; use BodyOptional as _; use BodyJson as _; (&&&BodyOf(&x)).body() })` |
//!   | `ParamIn::Uri` | `call.uri(i, &x)` |
//!   | `ParamIn::Options` | `call.options(i, &x)` |
//!
//! * The return type `R` is only named: `Value<R>` is its `Ok` type, and `(&&&Returning::<Value<R>>::new()).shape()`,
//!   with the three `Return..` traits in scope, chooses how the response is read.
//! * `ParamMeta::type_name` is what Java would print, since keys of settings and messages hold it: `i64`/`u64` `Long`,
//!   `i32`/`u32` `Integer`, `bool` `Boolean`, `f64` `Double`, `str`/`String` `String`, slices/`Vec` `List`, maps `Map`;
//!   references, `Option`, `Box` and `Arc` are looked through; else the last segment of the path.
//! * `MethodMeta::name` is lower camel case (`get_orders` -> `getOrders`).
//! * Paths are `$crate_path::__private::..` with `$crate_path` = `::vernal_feign`, `::vernal::feign`, or `crate = ..`.

pub use ::bytes::Bytes;
pub use ::http::{Method, Response};
pub use ::tracing;
pub use core::clone::Clone;
pub use core::fmt::{Debug, Formatter, Result as FmtResult};
pub use core::future::Future;
pub use core::marker::{PhantomData, Send, Sized, Sync};
pub use core::option::Option;
pub use core::pin::Pin;
pub use std::boxed::Box;
pub use std::string::String;
pub use std::sync::Arc;
pub use vernal_commons::http::Body;

pub use crate::__feign_log_sink as log_sink;
pub use crate::argument::{Argument, BodyJson, BodyOf, BodyOptional, BodyRaw, BodyValue, PathArgument};
pub use crate::base::{BaseMeta, Extended, Extends, Kind};
pub use crate::client::{Call, Client, FeignClient};
pub use crate::codec::{MethodResult, ReturnJson, ReturnKnown, ReturnOptional, Returning, Shape};
pub use crate::error::{Error, Result};
pub use crate::meta::{ClientMeta, CollectionFormat, LogSink, MethodMeta, ParamIn, ParamMeta};
pub use crate::options::CallOptions;

/// The `Ok` type of a method's return type.
pub type Value<R> = <R as MethodResult>::Value;

#[cfg(test)]
#[allow(
    clippy::needless_borrow,
    unused_imports,
    unused_qualifications,
    unreachable_pub,
    reason = "written as the attribute writes it"
)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    pub struct Order {
        id: u64,
    }

    pub enum State {
        Open,
    }

    impl std::fmt::Display for State {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            match self {
                Self::Open => f.write_str("OPEN"),
            }
        }
    }

    #[derive(Debug)]
    pub struct OrderError(#[expect(dead_code, reason = "the test only needs the conversion")] crate::Error);

    impl From<crate::Error> for OrderError {
        fn from(error: crate::Error) -> Self {
            Self(error)
        }
    }

    // ----- what the attribute generates, beginning here -----

    pub trait OrderClient: Send + Sync {
        fn orders(
            &self,
            user_id: &str,
            state: Option<State>,
            tags: &[String],
        ) -> impl crate::__private::Future<Output = crate::Result<Vec<Order>>> + Send;

        fn create(
            &self,
            user_id: u64,
            order: &Order,
        ) -> impl crate::__private::Future<Output = Result<Option<Order>, OrderError>> + Send;
    }

    #[derive(Debug, Clone)]
    pub struct OrderClientFeign {
        client: crate::__private::Client,
    }

    impl crate::__private::FeignClient for OrderClientFeign {
        fn meta() -> crate::__private::ClientMeta {
            use crate::__private::{ClientMeta, Method, MethodMeta, ParamIn, ParamMeta};
            ClientMeta::new("OrderClient", "order-service")
                .with_log(crate::__private::log_sink!("OrderClient"))
                .with_method(
                    MethodMeta::new("orders", Method::GET, "/order-service/{user_id}/orders")
                        .with_parameter(ParamMeta::new("user_id", "String", ParamIn::path("user_id")))
                        .with_parameter(ParamMeta::new("state", "State", ParamIn::query("state")))
                        .with_parameter(ParamMeta::new("tags", "List", ParamIn::query("tags"))),
                )
                .with_method(
                    MethodMeta::new("create", Method::POST, "/order-service/{user_id}/orders")
                        .with_parameter(ParamMeta::new("user_id", "Long", ParamIn::path("user_id")))
                        .with_parameter(ParamMeta::new("order", "Order", ParamIn::Body)),
                )
        }

        fn from_client(client: crate::__private::Client) -> Self {
            Self { client }
        }
    }

    impl OrderClient for OrderClientFeign {
        fn orders(
            &self,
            user_id: &str,
            state: Option<State>,
            tags: &[String],
        ) -> impl crate::__private::Future<Output = crate::Result<Vec<Order>>> + Send {
            let mut call = self.client.call(0);
            call.path(0, &user_id);
            call.value(1, &state);
            call.value(2, &tags);
            let shape = {
                use crate::__private::{ReturnJson as _, ReturnKnown as _, ReturnOptional as _};
                (&&&crate::__private::Returning::<crate::__private::Value<crate::Result<Vec<Order>>>>::new()).shape()
            };
            call.send::<crate::Result<Vec<Order>>>(shape)
        }

        fn create(
            &self,
            user_id: u64,
            order: &Order,
        ) -> impl crate::__private::Future<Output = Result<Option<Order>, OrderError>> + Send {
            let mut call = self.client.call(1);
            call.path(0, &user_id);
            let body = {
                use crate::__private::{BodyJson as _, BodyOptional as _, BodyRaw as _};
                (&&&crate::__private::BodyOf(&order)).body()
            };
            call.body(1, body);
            let shape = {
                use crate::__private::{ReturnJson as _, ReturnKnown as _, ReturnOptional as _};
                (&&&crate::__private::Returning::<crate::__private::Value<Result<Option<Order>, OrderError>>>::new())
                    .shape()
            };
            call.send::<Result<Option<Order>, OrderError>>(shape)
        }
    }

    // ----- to here -----

    #[tokio::test]
    async fn the_expansion_calls_the_service() {
        use std::sync::Arc;
        use vernal_commons::discover::{Discover, LookupError, ServiceView};
        use vernal_commons::http::{Body, SharedTransport};
        use vernal_commons::instance::ServiceInstance;

        struct Fixed;
        impl Discover for Fixed {
            fn lookup(&self, service_id: &str) -> Result<Arc<ServiceView>, LookupError> {
                Ok(Arc::new(ServiceView::new([ServiceInstance::new(service_id, "10.0.0.1", 8080)])))
            }
            fn services(&self) -> Vec<String> {
                vec!["order-service".to_owned()]
            }
        }
        let echo = tower::service_fn(|request: http::Request<Body>| async move {
            let line = format!("{} {}", request.method(), request.uri());
            let known = [
                "GET http://10.0.0.1:8080/order-service/a%2Fb/orders?state=OPEN&tags=x&tags=y",
                "POST http://10.0.0.1:8080/order-service/7/orders",
            ];
            let status = if known.contains(&line.as_str()) { 200 } else { 400 };
            let body = if request.method() == "GET" { r#"[{"id":1}]"# } else { r#"{"id":2}"# };
            let response = http::Response::builder().status(status).header("content-type", "application/json");
            Ok::<_, std::convert::Infallible>(response.body(Body::from(body)).unwrap())
        });
        let feign =
            crate::Feign::builder().discover(Arc::new(Fixed)).transport(SharedTransport::new(echo)).build().unwrap();
        let client: OrderClientFeign = feign.client().unwrap();
        let tags = ["x".to_owned(), "y".to_owned()];
        assert_eq!(client.orders("a/b", Some(State::Open), &tags).await.unwrap(), [Order { id: 1 }]);
        assert_eq!(client.create(7, &Order { id: 2 }).await.unwrap(), Some(Order { id: 2 }));
        let task = tokio::spawn(async move { client.create(7, &Order { id: 2 }).await.is_ok() });
        assert!(task.await.unwrap());
    }
}
