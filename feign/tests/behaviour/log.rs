use std::collections::BTreeMap;
use std::convert::Infallible;

use http::header::{HeaderValue, SET_COOKIE};
use http::{Request, Response};
use tower::service_fn;
use vernal_commons::http::{Body, SharedTransport};
use vernal_feign::{CallOptions, Feign, LogLevel};
use vernal_testkit::logs::Logs;

use crate::shop::{OrderClientFeign, Registry, answering, endless};

const TARGET: &str = "behaviour::shop::OrderClient";

fn feign(transport: SharedTransport, level: LogLevel, settings: &[(&str, &str)]) -> OrderClientFeign {
    let key = |name: &str| format!("spring.cloud.openfeign.client.config.order-service.{name}");
    let settings: BTreeMap<_, _> = settings.iter().map(|(name, value)| (key(name), (*value).to_owned())).collect();
    let builder = Feign::builder().discover(Registry::of(&[("order-service", 1)])).transport(transport);
    builder.settings(settings).logger_level(level).build().unwrap().client().unwrap()
}

/// The answer of the notes' sample, with the header values of the wire in Spring's order and Tomcat's missing phrase.
fn not_found() -> SharedTransport {
    vernal_testkit::logs::stay_awake();
    SharedTransport::new(service_fn(|_: Request<Body>| {
        let body = r#"{"timestamp":"2021-11-28T11:32:11.699+00:00","status":404,"error":"Not Found","message":"No message available","path":"/order-service/83cbfd15-6fd9-4588-a77f-96de61fd44d9/orders_ng"}"#;
        let response = Response::builder()
            .status(404)
            .extension(hyper::ext::ReasonPhrase::from_static(b""))
            .header("vary", "Origin")
            .header("vary", "Access-Control-Request-Method")
            .header("vary", "Access-Control-Request-Headers")
            .header("content-type", "application/json")
            .header("transfer-encoding", "chunked")
            .header("date", "Sun, 28 Nov 2021 11:32:11 GMT")
            .header("keep-alive", "timeout=60")
            .header("connection", "keep-alive");
        std::future::ready(Ok::<_, Infallible>(response.body(Body::from(body)).unwrap()))
    }))
}

#[tokio::test]
async fn the_sample_of_the_notes_comes_out_letter_by_letter() {
    let logs = Logs::new();
    let guard = logs.capture();
    feign(not_found(), LogLevel::Full, &[]).orders("u").await.unwrap_err();
    drop(guard);
    let messages = logs.messages(TARGET);
    let (start, end) = messages[2].split_once(" (").unwrap();
    assert!(start == "[OrderClient#orders] <--- HTTP/1.1 404" && end.ends_with("ms)"), "{}", messages[2]);
    assert_eq!(
        messages[3..].join("\n"),
        "[OrderClient#orders] connection: keep-alive\n\
         [OrderClient#orders] content-type: application/json\n\
         [OrderClient#orders] date: Sun, 28 Nov 2021 11:32:11 GMT\n\
         [OrderClient#orders] keep-alive: timeout=60\n\
         [OrderClient#orders] transfer-encoding: chunked\n\
         [OrderClient#orders] vary: Access-Control-Request-Headers\n\
         [OrderClient#orders] vary: Access-Control-Request-Method\n\
         [OrderClient#orders] vary: Origin\n\
         [OrderClient#orders] \n\
         [OrderClient#orders] {\"timestamp\":\"2021-11-28T11:32:11.699+00:00\",\"status\":404,\"error\":\"Not Found\",\
         \"message\":\"No message available\",\"path\":\"/order-service/83cbfd15-6fd9-4588-a77f-96de61fd44d9/orders_ng\"}\n\
         [OrderClient#orders] <--- END HTTP (182-byte body)"
    );
    assert!(logs.records().iter().all(|record| record.level == tracing::Level::DEBUG));
}

#[tokio::test]
async fn without_a_listener_nothing_is_buffered() {
    // With the log on, this call would wait for the end of the body.
    let response = feign(endless("x"), LogLevel::Full, &[]).raw(CallOptions::new()).await.unwrap();
    assert!(response.into_body().in_memory().is_none());
    let logs = Logs::new();
    let guard = logs.capture();
    let (transport, _) = answering(200, "[]");
    feign(transport, LogLevel::None, &[]).orders("u").await.unwrap();
    drop(guard);
    assert_eq!(logs.messages(TARGET), Vec::<String>::new());
}

#[tokio::test]
async fn a_body_that_the_caller_reads_is_not_logged() {
    let logs = Logs::new();
    let guard = logs.capture();
    feign(endless("x"), LogLevel::Full, &[]).raw(CallOptions::new()).await.unwrap();
    drop(guard);
    assert_eq!(logs.messages(TARGET).last().unwrap(), "[OrderClient#raw] <--- END HTTP (streamed body)");
}

#[tokio::test]
async fn secrets_are_hidden_and_names_can_be_added() {
    let transport = SharedTransport::new(service_fn(|_: Request<Body>| {
        let mut response = Response::new(Body::from("[]"));
        response.headers_mut().insert(SET_COOKIE, HeaderValue::from_static("session=letmein"));
        response.headers_mut().insert("x-pin", HeaderValue::from_static("letmein"));
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
        std::future::ready(Ok::<_, Infallible>(response))
    }));
    let mut sensitive = HeaderValue::from_static("letmein");
    sensitive.set_sensitive(true);
    let options = CallOptions::new()
        .header(http::header::AUTHORIZATION, HeaderValue::from_static("Bearer letmein"))
        .header("x-own".parse().unwrap(), sensitive);
    let logs = Logs::new();
    let guard = logs.capture();
    let client = feign(transport, LogLevel::Full, &[("log-redact.headers", "X-Pin, X-Other")]);
    client.raw(options).await.unwrap();
    drop(guard);
    assert!(!logs.contain("letmein"), "{:#?}", logs.records());
    for line in ["Authorization", "X-Own", "set-cookie", "x-pin"] {
        assert!(logs.contain(&format!("[OrderClient#raw] {line}: <hidden>")), "{line}");
    }
}

#[tokio::test]
async fn a_long_body_is_cut_and_its_length_is_true() {
    let (transport, _) = answering(500, "ééééé");
    let logs = Logs::new();
    let guard = logs.capture();
    feign(transport, LogLevel::Full, &[("log-max-body-bytes", "5")]).orders("u").await.unwrap_err();
    drop(guard);
    let messages = logs.messages(TARGET);
    assert_eq!(messages[messages.len() - 2], "[OrderClient#orders] éé ... (10 bytes)");
    assert_eq!(messages[messages.len() - 1], "[OrderClient#orders] <--- END HTTP (10-byte body)");
}

#[tokio::test]
async fn settings_decide_the_level_before_code_and_options_before_both() {
    let (transport, _) = answering(200, "[]");
    let client = feign(transport, LogLevel::Full, &[("logger-level", "basic")]);
    let logs = Logs::new();
    let guard = logs.capture();
    client.orders("u").await.unwrap();
    assert_eq!(logs.messages(TARGET).len(), 2);
    client.raw(CallOptions::new().log_level(LogLevel::None)).await.unwrap();
    drop(guard);
    assert_eq!(logs.messages(TARGET).len(), 2);
}
