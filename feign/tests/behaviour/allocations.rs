//! What a call costs above the transport.

use std::convert::Infallible;

use http::{HeaderValue, Method, Request, Response};
use tower::service_fn;
use vernal_commons::http::{Body, SharedTransport};
use vernal_feign::__private::{ReturnJson as _, Returning};
use vernal_feign::meta::{ClientMeta, MethodMeta, ParamIn, ParamMeta};
use vernal_feign::{Feign, Result};

use crate::shop::Order;

/// Counted allocations of the future, after it has run once.
fn count<F: Future>(make: impl Fn() -> F) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(make());
    allocation_counter::measure(|| {
        runtime.block_on(make());
    })
    .count_total
}

fn transport() -> SharedTransport {
    vernal_testkit::logs::stay_awake();
    SharedTransport::new(service_fn(|_: Request<Body>| {
        let mut response = Response::new(Body::from(r#"[{"id":1},{"id":2}]"#));
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
        std::future::ready(Ok::<_, Infallible>(response))
    }))
}

#[test]
fn a_call_adds_at_most_four_allocations_to_the_transport() {
    let bare = transport();
    let by_hand = count(|| {
        let bare = bare.clone();
        async move {
            let mut request = Request::new(Body::empty());
            *request.uri_mut() = "http://localhost:8000/u%2F1/orders/7?state=OPEN&page=2".parse().unwrap();
            request.headers_mut().insert("user-agent", HeaderValue::from_static("x"));
            request.headers_mut().insert("x-a", HeaderValue::from_str("value").unwrap());
            let response = bare.send(request).await.unwrap();
            let body = response.into_body().read(1 << 20).await.unwrap();
            let orders: Vec<Order> = serde_json::from_slice(&body).unwrap();
            assert_eq!(orders.len(), 2);
        }
    });
    let feign = Feign::builder().transport(transport()).build().unwrap();
    let meta = ClientMeta::new("Client", "x").with_url("http://localhost:8000").with_method(
        MethodMeta::new("m", Method::GET, "/{user}/orders/{id}")
            .with_parameter(ParamMeta::new("user", "String", ParamIn::path("user")))
            .with_parameter(ParamMeta::new("id", "Long", ParamIn::path("id")))
            .with_parameter(ParamMeta::new("state", "String", ParamIn::query("state")))
            .with_parameter(ParamMeta::new("page", "Integer", ParamIn::query("page")))
            .with_parameter(ParamMeta::new("a", "String", ParamIn::header("X-A"))),
    );
    let client = feign.describe(meta).build().unwrap();
    let call = || {
        let mut call = client.call(0);
        call.path(0, "u/1");
        call.path(1, &7);
        call.value(2, "OPEN");
        call.value(3, &Some(2));
        call.value(4, "value");
        let shape = (&&&Returning::<Vec<Order>>::new()).shape();
        call.send::<Result<Vec<Order>>>(shape)
    };
    let ours = count(|| async { assert_eq!(call().await.unwrap().len(), 2) });
    assert!(ours <= by_hand + 4, "{ours} allocations instead of {by_hand} by hand");
    // Futures are moved before they are polled, by us and by callers: a large one costs each time.
    let size = size_of_val(&call());
    assert!(size <= 2048, "the future of a call has {size} bytes");
}
