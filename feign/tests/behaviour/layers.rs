use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use http::{HeaderValue, Request};
use tower::ServiceExt as _;
use tower_layer::layer_fn;
use vernal_commons::BoxError;
use vernal_commons::http::{Body, SharedTransport};
use vernal_feign::{CallInfo, ErrorKind, Feign, Interceptor, LogLevel, Outgoing};
use vernal_testkit::logs::Logs;

use crate::shop::{OrderClientFeign, Registry, answering};

/// Adds a value that is new each time.
struct Fresh(AtomicUsize);

#[async_trait]
impl Interceptor for Fresh {
    async fn intercept(&self, request: &mut Outgoing<'_>) -> Result<(), BoxError> {
        let count = self.0.fetch_add(1, Ordering::Relaxed).to_string();
        request.headers_mut().append("x-fresh", count.parse()?);
        request.append_query("k y", &count)?;
        assert_eq!(request.method_meta().name, "orders");
        assert_eq!(request.client().name, "order-service");
        Ok(())
    }
}

struct Refuses;

#[async_trait]
impl Interceptor for Refuses {
    async fn intercept(&self, _: &mut Outgoing<'_>) -> Result<(), BoxError> {
        Err("no token".into())
    }
}

type Seen = Arc<Mutex<Vec<String>>>;

/// A layer that writes its name and what it sees.
fn noting(
    name: &'static str,
    seen: &Seen,
) -> impl tower_layer::Layer<SharedTransport, Service = SharedTransport> + Send + Sync + 'static {
    let seen = Arc::clone(seen);
    layer_fn(move |inner: SharedTransport| {
        let seen = Arc::clone(&seen);
        SharedTransport::new(inner.map_request(move |mut request: Request<Body>| {
            let method = request.extensions().get::<CallInfo>().map(|info| info.method_key().to_owned());
            let host = request.uri().host().unwrap_or_default().to_owned();
            seen.lock().unwrap().push(format!("{name} {} {host}", method.unwrap_or_default()));
            request.headers_mut().append("x-layer", HeaderValue::from_static(name));
            request
        }))
    })
}

#[tokio::test]
async fn an_interceptor_sees_a_fresh_copy_each_time() {
    let (transport, asked) = answering(200, "[]");
    let feign = Feign::builder()
        .discover(Registry::of(&[("order-service", 1)]))
        .transport(transport)
        .interceptor(Fresh(AtomicUsize::new(1)))
        .build()
        .unwrap();
    let client: OrderClientFeign = feign.client().unwrap();
    client.orders("u").await.unwrap();
    client.orders("u").await.unwrap();
    let url = |n: u8| format!("GET http://10.0.0.1:81/u/orders?k%20y={n}");
    assert_eq!(*asked.lock().unwrap(), [url(1), url(2)]);
}

#[tokio::test]
async fn an_interceptor_that_fails_ends_the_call() {
    let (transport, asked) = answering(200, "[]");
    let feign = Feign::builder()
        .discover(Registry::of(&[("order-service", 1)]))
        .transport(transport)
        .interceptor(Refuses)
        .build()
        .unwrap();
    let error = feign.client::<OrderClientFeign>().unwrap().orders("u").await.unwrap_err();
    assert_eq!((error.kind(), error.is_sent()), (ErrorKind::Interceptor, Some(false)));
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "no token");
    assert_eq!(error.request().unwrap().method_key.as_ref(), "OrderClient#orders(String)");
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn layers_of_the_call_are_around_those_of_the_attempt_and_the_log_shows_what_they_did() {
    let seen = Seen::default();
    let (transport, _) = answering(200, "[]");
    let logs = Logs::new();
    let guard = logs.capture();
    let feign = Feign::builder()
        .discover(Registry::of(&[("order-service", 1)]))
        .transport(transport)
        .layer(noting("third", &seen))
        .layer(noting("fourth", &seen))
        .call_layer(noting("first", &seen))
        .call_layer(noting("second", &seen))
        .logger_level(LogLevel::Headers)
        .build()
        .unwrap();
    feign.client::<OrderClientFeign>().unwrap().orders("u").await.unwrap();
    drop(guard);
    let expected = ["first", "second", "third", "fourth"];
    let lines = expected.map(|name| format!("{name} OrderClient#orders(String) order-service"));
    assert_eq!(*seen.lock().unwrap(), lines);
    let logged: Vec<_> =
        logs.records().into_iter().map(|record| record.message).filter(|m| m.contains("X-Layer")).collect();
    assert_eq!(logged, expected.map(|name| format!("[OrderClient#orders] X-Layer: {name}")));
}

#[tokio::test]
async fn any_tower_layer_fits_and_its_own_errors_come_back() {
    let (transport, asked) = answering(200, "[]");
    let feign = Feign::builder()
        .discover(Registry::of(&[("order-service", 1)]))
        .transport(transport)
        .layer(layer_fn(|inner: SharedTransport| {
            tower::service_fn(move |request: Request<Body>| {
                let inner = inner.clone();
                async move {
                    if request.uri().path().contains("blocked") {
                        return Err::<_, BoxError>("blocked by policy".into());
                    }
                    Ok(inner.oneshot(request).await?)
                }
            })
        }))
        .build()
        .unwrap();
    let client: OrderClientFeign = feign.client().unwrap();
    client.orders("u").await.unwrap();
    let error = client.orders("blocked").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().starts_with("blocked by policy executing GET"), "{error}");
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_layer_that_loses_the_extensions_is_named() {
    let (transport, _) = answering(200, "[]");
    let feign = Feign::builder()
        .discover(Registry::of(&[("order-service", 1)]))
        .transport(transport)
        .layer(layer_fn(|inner: SharedTransport| {
            inner.map_request(|request: Request<Body>| {
                let (parts, body) = request.into_parts();
                Request::builder().method(parts.method).uri(parts.uri).body(body).unwrap()
            })
        }))
        .build()
        .unwrap();
    let error = feign.client::<OrderClientFeign>().unwrap().orders("u").await.unwrap_err();
    assert_eq!(error.to_string(), "a layer did not pass on the extensions of the request");
}
