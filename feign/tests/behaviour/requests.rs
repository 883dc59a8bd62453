//! What the recordings do not have: options that Feign lacks.

use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use serde_json::json;
use tower::service_fn;
use vernal_commons::http::{Body, SharedTransport};
use vernal_feign::__private::{Bytes, ReturnKnown as _, Returning};
use vernal_feign::meta::{ClientMeta, CollectionFormat, MethodMeta, ParamIn, ParamMeta};
use vernal_feign::{Call, CallOptions, ErrorKind, Feign, Result};

/// Calls a method with one parameter; gives the request's line and headers, or the error.
async fn one(method: MethodMeta, place: ParamIn, give: impl FnOnce(&mut Call)) -> Result<(String, http::HeaderMap)> {
    vernal_testkit::logs::stay_awake();
    let seen = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&seen);
    let transport = SharedTransport::new(service_fn(move |request: Request<Body>| {
        let target = request.uri().path_and_query().unwrap().to_string();
        *kept.lock().unwrap() = Some((target, request.headers().clone()));
        std::future::ready(Ok::<_, std::convert::Infallible>(Response::new(Body::empty())))
    }));
    let feign = Feign::builder().transport(transport).build().unwrap();
    let meta = ClientMeta::new("Client", "x")
        .with_url("http://h")
        .with_header("Accept: trait/level")
        .with_method(method.with_parameter(ParamMeta::new("v", "String", place)));
    let client = feign.describe(meta).build()?;
    let mut call = client.call(0);
    give(&mut call);
    call.send::<Result<()>>((&&&Returning::<()>::new()).shape()).await?;
    let seen = seen.lock().unwrap().take();
    Ok(seen.unwrap())
}

fn get(path: &str) -> MethodMeta {
    MethodMeta::new("m", Method::GET, path)
}

fn path(encoded: bool, rest: bool, allow_empty: bool) -> ParamIn {
    ParamIn::Path { name: "v".to_owned(), encoded, rest, allow_empty }
}

fn query(format: Option<CollectionFormat>, flag: bool) -> ParamIn {
    ParamIn::Query { name: "k".to_owned(), format, encoded: false, flag }
}

#[tokio::test]
async fn path_options_do_what_they_say() {
    let sent = |place, value: &'static str| async move { one(get("/p/{v}"), place, |call| call.path(0, value)).await };
    assert_eq!(sent(path(false, true, false), "a b/c").await.unwrap().0, "/p/a%20b/c");
    assert_eq!(sent(path(true, false, false), "a%2Fb").await.unwrap().0, "/p/a%2Fb");
    assert_eq!(sent(path(false, false, true), "").await.unwrap().0, "/p/");
    for (place, value) in [
        (path(false, true, false), "a/../b"),
        (path(true, false, false), "%2e%2E"),
        (path(false, false, false), "."),
        (path(false, false, false), ""),
    ] {
        assert_eq!(sent(place, value).await.unwrap_err().kind(), ErrorKind::InvalidPathValue, "{value}");
    }
    let absent = one(get("/p/{v}"), path(false, false, true), |call| call.value(0, &None::<String>)).await;
    assert_eq!(absent.unwrap().0, "/p/");
}

#[tokio::test]
async fn query_options_do_what_they_say() {
    let list = [Some("a b"), None, Some("c")];
    let sent = |place| async move { one(get("/q"), place, |call| call.value(0, &list)).await.unwrap().0 };
    assert_eq!(sent(query(Some(CollectionFormat::Indexed), false)).await, "/q?k%5B0%5D=a%20b&k%5B1%5D=c");
    assert_eq!(sent(query(Some(CollectionFormat::Pipes), false)).await, "/q?k=a%20b%7Cc");
    for (flag, expected) in [(true, "/q?k"), (false, "/q")] {
        assert_eq!(one(get("/q"), query(None, true), |call| call.flag(0, flag)).await.unwrap().0, expected);
    }
    let params = get("/q?fixed=1").with_param("mode=upsert").with_param("x").with_param("!y").with_param("z!=1");
    assert_eq!(
        one(params, query(None, false), |call| call.value(0, "")).await.unwrap().0,
        "/q?fixed=1&mode=upsert&x&k="
    );
    let map = json!({"a": {"b": 1}, "items": [{"id": 1}], "k y": "a b/c"});
    let sent = one(get("/q"), ParamIn::QueryMap, |call| call.query_map(0, &map)).await.unwrap().0;
    assert_eq!(sent, "/q?a.b=1&items%5B0%5D.id=1&k%20y=a%20b%2Fc");
}

#[tokio::test]
async fn headers_of_a_higher_level_replace_those_below() {
    let method = || get("/h").with_header("X-B: b1").with_header("X-B: b2").with_produces("method/level");
    let accept = |headers: &http::HeaderMap| headers.get("accept").map(|value| value.to_str().unwrap().to_owned());
    let (_, headers) = one(method(), ParamIn::header("X-A"), |call| call.value(0, "1")).await.unwrap();
    assert_eq!((accept(&headers).as_deref(), &headers["x-b"]), (Some("method/level"), &"b1, b2".parse().unwrap()));
    let (_, headers) = one(method(), ParamIn::header("Accept"), |call| call.value(0, "argument")).await.unwrap();
    assert_eq!(accept(&headers).as_deref(), Some("argument"));
    let (_, headers) = one(method(), ParamIn::header("Accept"), |call| call.value(0, &None::<u8>)).await.unwrap();
    assert_eq!(accept(&headers), None);
    let options = CallOptions::new().header(http::header::ACCEPT, "options".parse().unwrap());
    let (_, headers) = one(method(), ParamIn::Options, |call| call.options(0, &options)).await.unwrap();
    assert_eq!(accept(&headers).as_deref(), Some("options"));
}

#[tokio::test]
async fn a_header_template_with_an_absent_part_is_dropped_whole() {
    let place = || ParamIn::Template { name: "v".to_owned() };
    let method = || get("/h").with_header("X-T: a-{v}-b");
    let (_, headers) = one(method(), place(), |call| call.value(0, &7)).await.unwrap();
    assert_eq!(headers["x-t"], "a-7-b");
    let (_, headers) = one(method(), place(), |call| call.value(0, &None::<u8>)).await.unwrap();
    assert!(!headers.contains_key("x-t"));
}

#[tokio::test]
async fn a_header_value_with_a_line_break_is_refused_and_not_shown() {
    let error = one(get("/h"), ParamIn::header("X-A"), |call| call.value(0, "letmein\r\nX: y")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidHeader);
    assert!(!format!("{error} {error:?}").contains("letmein"));
}

#[tokio::test]
async fn a_post_without_body_says_that_it_has_none() {
    let post = MethodMeta::new("m", Method::POST, "/b");
    let (_, headers) = one(post, query(None, false), |_| {}).await.unwrap();
    assert_eq!(headers["content-length"], "0");
    assert!(headers["user-agent"].to_str().unwrap().starts_with("vernal-feign/"));
}

#[test]
fn handles_cross_threads() {
    fn assert_send_sync<T: Send + Sync + Clone + 'static>() {}
    assert_send_sync::<Feign>();
    assert_send_sync::<vernal_feign::Client>();
    assert_send_sync::<vernal_feign::RestClient>();
    assert_send_sync::<vernal_feign::Error>();
    let _ = Returning::<Bytes>::new();
}
