use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use vernal_commons::BoxError;
use vernal_commons::property::PropertyResolver;
use vernal_feign::{ErrorKind, Feign, FeignClient as _};
use vernal_testkit::logs::Logs;

use crate::shop::{OrderClientFeign, Registry, answering};

/// Settings that change.
#[derive(Clone, Default)]
struct Changing(Arc<(Mutex<BTreeMap<String, String>>, AtomicU64)>);

impl Changing {
    fn set(&self, name: &str, value: &str) {
        self.0.0.lock().unwrap().insert(name.to_owned(), value.to_owned());
        self.0.1.fetch_add(1, Ordering::Relaxed);
    }
}

impl PropertyResolver for Changing {
    fn property(&self, name: &str) -> Result<Option<String>, BoxError> {
        self.0.0.lock().unwrap().property(name)
    }

    fn names_below(&self, prefix: &str) -> Vec<String> {
        self.0.0.lock().unwrap().names_below(prefix)
    }

    fn resolve_placeholders(&self, text: &str) -> Result<String, BoxError> {
        self.0.0.lock().unwrap().resolve_placeholders(text)
    }

    fn generation(&self) -> u64 {
        self.0.1.load(Ordering::Relaxed)
    }
}

const URL: &str = "spring.cloud.openfeign.client.config.order-service.url";

#[tokio::test]
async fn a_changed_url_is_used_by_the_next_call_and_a_wrong_one_is_not() {
    let settings = Changing::default();
    let (transport, asked) = answering(200, "[]");
    let registry = Registry::of(&[("order-service", 1)]);
    let feign = Feign::builder().discover(registry).settings(settings.clone()).transport(transport).build().unwrap();
    let client: OrderClientFeign = feign.client().unwrap();
    client.orders("u").await.unwrap();
    settings.set(URL, "http://localhost:8000/ctx/");
    client.orders("u").await.unwrap();
    let logs = Logs::new();
    let guard = logs.capture();
    settings.set(URL, "ftp://user:letmein@h");
    client.orders("u").await.unwrap();
    client.orders("u").await.unwrap();
    drop(guard);
    let fixed = "GET http://localhost:8000/ctx/u/orders";
    assert_eq!(*asked.lock().unwrap(), ["GET http://10.0.0.1:81/u/orders", fixed, fixed, fixed]);
    assert_eq!(logs.records().len(), 1);
    assert!(logs.contain("old ones stay in force") && !logs.contain("letmein"));
}

#[tokio::test]
async fn code_then_trait_then_settings_then_name_give_the_url() {
    let (transport, asked) = answering(200, "[]");
    let settings = Changing::default();
    settings.set(URL, "http://settings");
    settings.set("order.host", "trait");
    let feign = Feign::builder().settings(settings).transport(transport).build().unwrap();
    let described = |url: Option<&str>| {
        let meta = OrderClientFeign::meta();
        feign.describe(if let Some(url) = url { meta.with_url(url) } else { meta })
    };
    let clients = [
        described(None).build().unwrap(),
        described(Some("${order.host}/p")).build().unwrap(),
        described(Some("${order.host}")).url("https://code").build().unwrap(),
    ];
    for client in clients {
        OrderClientFeign::from_client(client).orders("u").await.unwrap();
    }
    let expected = ["GET http://settings/u/orders", "GET http://trait/p/u/orders", "GET https://code/u/orders"];
    assert_eq!(*asked.lock().unwrap(), expected);
}

#[tokio::test]
async fn what_is_wrong_is_found_when_the_client_is_built() {
    let build = |change: fn(vernal_feign::meta::ClientMeta) -> vernal_feign::meta::ClientMeta| {
        let (transport, _) = answering(200, "[]");
        let feign = Feign::builder().transport(transport).build().unwrap();
        feign.describe(change(OrderClientFeign::meta())).build().map(|_| ()).unwrap_err()
    };
    let error = build(|meta| meta.with_url("${nowhere.set}"));
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.to_string(), "`${nowhere.set}` of client `order-service` could not be resolved");
    let error = build(|meta| meta.with_header("no colon"));
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "header `no colon` has no `:` between name and value");
    let error = build(|mut meta| {
        meta.methods[0].path = "/{other}".to_owned();
        meta
    });
    assert_eq!(error.to_string(), "method `OrderClient#orders(String)` cannot be built");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "placeholder `{other}` has no path parameter of that name");
}

#[tokio::test]
async fn a_decoder_for_an_unknown_method_is_refused() {
    struct Never;
    impl vernal_feign::ErrorDecoder for Never {
        fn decode(
            &self,
            _: &vernal_feign::MethodContext<'_>,
            _: &vernal_feign::ErrorResponse,
        ) -> vernal_feign::Decoded {
            vernal_feign::Decoded::Default
        }
    }
    let (transport, _) = answering(200, "[]");
    let feign = Feign::builder().transport(transport).build().unwrap();
    let error = feign.client_builder::<OrderClientFeign>().method_error_decoder("order", Never).build().unwrap_err();
    assert_eq!(error.to_string(), "client `OrderClient` has no method `order` to decode errors of");
}
