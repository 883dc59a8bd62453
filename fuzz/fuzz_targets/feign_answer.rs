//! The answer of a peer to a call: a value or an error, whatever its status, headers, character set and body; the log
//! at FULL shows neither what the request's `Authorization` nor what the answer's `Set-Cookie` holds.
#![no_main]

use http::{HeaderValue, Request};
use libfuzzer_sys::fuzz_target;
use tower::ServiceExt as _;
use vernal_commons::http::{Body, SharedTransport};
use vernal_feign::{Feign, LogLevel};
use vernal_fuzz::{Answer, block_on};
use vernal_testkit::logs::Logs;

const SECRET: &str = "s3cr3t-v4lu3";

fuzz_target!(|input: &[u8]| {
    let Some(answer) = Answer::parse(input) else { return };
    let told = answer.holds(SECRET);
    let logs = Logs::new();
    let _guard = logs.capture();
    let transport = answer.transport().map_response(|mut response| {
        response.headers_mut().append("set-cookie", HeaderValue::from_static(SECRET));
        response
    });
    let feign = Feign::builder()
        .transport(SharedTransport::new(transport))
        .logger_level(LogLevel::Full)
        .build()
        .expect("a context");
    let rest = feign.rest().expect("a client");
    block_on(async {
        let url = "http://orders:8080/orders";
        drop(rest.get::<serde_json::Value>(url).await);
        drop(rest.get_text(url).await);
        drop(rest.get_optional::<Vec<String>>(url).await);
        let request = Request::get(url).header("authorization", SECRET).body(Body::empty()).expect("a request");
        if let Err(error) = rest.exchange(request).await {
            assert!(told || !format!("{error} {error:?}").contains(SECRET), "{error:?}");
        }
    });
    assert!(!logs.records().is_empty(), "FULL logs every exchange");
    assert!(told || !logs.contain(SECRET), "{:?}", logs.records());
});
