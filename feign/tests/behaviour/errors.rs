use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use vernal_feign::{Decoded, Error, ErrorDecoder, ErrorKind, ErrorResponse, Feign, FeignClient as _, MethodContext};

use crate::shop::{Order, OrderClientFeign, Registry, answering};

/// Decodes the statuses it was made for as an error that carries its name.
struct Named(&'static str, u16);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Told(&'static str);

impl ErrorDecoder for Named {
    fn decode(&self, _: &MethodContext<'_>, response: &ErrorResponse) -> Decoded {
        if response.status.as_u16() == self.1 { Decoded::typed(Told(self.0)) } else { Decoded::Default }
    }
}

fn told(error: &Error) -> Option<&'static str> {
    error.decoded::<Told>().map(|told| told.0)
}

fn registry() -> Arc<Registry> {
    Registry::of(&[("order-service", 1)])
}

#[tokio::test]
async fn two_contexts_in_one_process_decode_each_in_its_own_way() {
    let feign = |name| {
        let (transport, _) = answering(500, "{}");
        Feign::builder().discover(registry()).transport(transport).error_decoder(Named(name, 500)).build().unwrap()
    };
    let (first, second) = (feign("first"), feign("second"));
    let (first, second): (OrderClientFeign, OrderClientFeign) = (first.client().unwrap(), second.client().unwrap());
    let (first, second) = tokio::join!(first.orders("u"), second.orders("u"));
    assert_eq!((told(&first.unwrap_err()), told(&second.unwrap_err())), (Some("first"), Some("second")));
}

#[tokio::test]
async fn the_most_specific_decoder_is_asked_first_and_default_falls_through() {
    for (status, expected) in [(401, "method"), (402, "client"), (403, "trait"), (404, "context")] {
        let (transport, _) = answering(status, "{}");
        let feign =
            Feign::builder().discover(registry()).transport(transport).error_decoder(Named("context", 404)).build();
        let meta = OrderClientFeign::meta().with_error_decoder(Named("trait", 403));
        let client = feign
            .unwrap()
            .describe(meta)
            .error_decoder(Named("client", 402))
            .method_error_decoder("orders", Named("method", 401))
            .build()
            .unwrap();
        let error = OrderClientFeign::from_client(client).orders("u").await.unwrap_err();
        assert_eq!(told(&error), Some(expected));
    }
}

#[tokio::test]
async fn a_decoded_error_keeps_the_response() {
    let (transport, _) = answering(409, r#"{"reason":"sold out"}"#);
    let feign = Feign::builder().discover(registry()).transport(transport).error_decoder(Named("x", 409)).build();
    let client: OrderClientFeign = feign.unwrap().client().unwrap();
    let error = client.create("u", &Order { id: 1 }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Status(StatusCode::CONFLICT));
    assert_eq!(error.status(), Some(StatusCode::CONFLICT));
    assert_eq!(error.headers().unwrap()["content-type"], "application/json");
    assert_eq!(error.json::<serde_json::Value>().unwrap()["reason"], "sold out");
    assert_eq!(told(&error), Some("x"));
    assert!(error.is_client_error() && !error.is_retryable() && !error.is_timeout() && !error.is_connect());
    assert_eq!(
        error.to_string(),
        r#"[409 Conflict] during [POST] to [http://order-service/u/orders] [OrderClient#create(String,Order)]: [{"reason":"sold out"}]"#
    );
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "x");
}

#[tokio::test]
async fn a_decoder_can_ask_for_a_retry_or_for_the_empty_value() {
    struct Busy;
    impl ErrorDecoder for Busy {
        fn decode(&self, _: &MethodContext<'_>, response: &ErrorResponse) -> Decoded {
            match response.status.as_u16() {
                503 => Decoded::Retry { after: Some(Duration::from_secs(9)), cause: None },
                _ => Decoded::Empty,
            }
        }
    }
    let client = |status| {
        let (transport, _) = answering(status, "{}");
        let feign = Feign::builder().discover(registry()).transport(transport).error_decoder(Busy).build().unwrap();
        feign.client::<OrderClientFeign>().unwrap()
    };
    let error = client(503).orders("u").await.unwrap_err();
    assert!(error.is_retryable() && error.retry_after().unwrap() > SystemTime::UNIX_EPOCH);
    assert_eq!(client(410).orders("u").await.unwrap(), []);
    // A struct has no empty value, so the error stays.
    let error = client(410).create("u", &Order { id: 1 }).await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::GONE));
}

#[tokio::test]
async fn a_missing_order_is_none_and_missing_orders_are_an_error() {
    let (transport, _) = answering(404, r#"{"status":404}"#);
    let feign = Feign::builder().discover(registry()).transport(transport).build().unwrap();
    let client: OrderClientFeign = feign.client().unwrap();
    assert_eq!(client.find(7).await.unwrap(), None);
    assert_eq!(client.orders("u").await.unwrap_err().status(), Some(StatusCode::NOT_FOUND));
}

#[tokio::test]
async fn a_dismissed_404_is_the_empty_value() {
    let (transport, _) = answering(404, r#"{"status":404}"#);
    let feign = Feign::builder().discover(registry()).transport(transport).build().unwrap();
    let meta = OrderClientFeign::meta().with_dismiss_404(true);
    let client = OrderClientFeign::from_client(feign.describe(meta).build().unwrap());
    assert_eq!(client.orders("u").await.unwrap(), []);
    assert!(client.create("u", &Order { id: 1 }).await.is_err());
}

#[tokio::test]
async fn what_does_not_fit_is_named_by_its_path() {
    let (transport, _) = answering(200, r#"[{"id":1},{"id":"x"}]"#);
    let feign = Feign::builder().discover(registry()).transport(transport).build().unwrap();
    let error = feign.client::<OrderClientFeign>().unwrap().orders("u").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("[1].id"));
    assert_eq!(error.body().unwrap(), r#"[{"id":1},{"id":"x"}]"#);
}
