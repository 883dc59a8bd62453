use std::collections::BTreeMap;
use std::time::Duration;

use vernal_feign::{CallOptions, ErrorKind, Feign, FeignBuilder, Phase};

use crate::shop::{OrderClientFeign, Registry, answering, endless, hanging};

fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let key = |name: &str| format!("spring.cloud.openfeign.client.config.default.{name}");
    pairs.iter().map(|(name, value)| (key(name), (*value).to_owned())).collect()
}

fn client(builder: FeignBuilder) -> OrderClientFeign {
    builder.discover(Registry::of(&[("order-service", 2)])).build().unwrap().client().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_costs_the_read_timeout() {
    let client = client(Feign::builder().transport(hanging()));
    let start = tokio::time::Instant::now();
    let error = client.orders("u").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout(Phase::ResponseHead));
    assert_eq!(error.to_string(), "Read timed out executing GET http://order-service/u/orders");
    assert!(error.is_timeout() && error.is_retryable());
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_costs_the_read_timeout_again() {
    let client = client(Feign::builder().transport(endless("[")).settings(settings(&[("read-timeout", "300")])));
    let start = tokio::time::Instant::now();
    let error = client.orders("u").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout(Phase::Body));
    assert_eq!(error.to_string(), "Read timed out reading GET http://order-service/u/orders");
    assert_eq!((error.status().map(|s| s.as_u16()), error.body()), (Some(200), None));
    assert_eq!(start.elapsed().as_millis(), 300);
}

#[tokio::test(start_paused = true)]
async fn a_call_has_a_deadline_if_it_is_given_one() {
    let client = client(Feign::builder().transport(endless("[")).settings(settings(&[("call-timeout", "2s")])));
    let start = tokio::time::Instant::now();
    let error = client.orders("u").await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Timeout(Phase::Call), false));
    assert_eq!(start.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn options_of_a_call_come_before_settings() {
    let client = client(Feign::builder().transport(hanging()).settings(settings(&[("read-timeout", "0")])));
    let start = tokio::time::Instant::now();
    assert!(client.raw(CallOptions::new().read_timeout(Duration::from_secs(3))).await.unwrap_err().is_timeout());
    assert!(client.raw(CallOptions::new().call_timeout(Duration::from_secs(4))).await.unwrap_err().is_timeout());
    assert_eq!(start.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_the_caller_reads_has_a_limit_too() {
    let client = client(Feign::builder().transport(endless("abc")));
    let response = client.raw(CallOptions::new()).await.unwrap();
    let error = response.into_body().read(1024).await.unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("timed out"));
}

#[tokio::test]
async fn a_response_over_the_limit_is_an_error() {
    let (transport, _) = answering(200, "[1,2,3]");
    let client = client(Feign::builder().transport(transport).settings(settings(&[("max-response-bytes", "5")])));
    let error = client.orders("u").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(error.to_string(), "body is larger than 5 bytes reading GET http://order-service/u/orders");
}
