//! Recordings, each replayed through a trait.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use vernal_feign::{CallOptions, Decoded, ErrorDecoder, ErrorResponse, MethodContext};

use crate::clients::{
    BodyClient, BodyClientFeign, CsvClient, CsvClientFeign, DismissClient, DismissClientFeign, Filter, HeaderClient,
    HeaderClientFeign, OptionsClient, OptionsClientFeign, Order, OrderServiceClient, OrderServiceClientFeign,
    PathClient, PathClientFeign, QueryClient, QueryClientFeign, RefusedClient, RefusedClientFeign, ReturnClient,
    ReturnClientFeign, State, UrlCtxClient, UrlCtxClientFeign,
};
use crate::replay::{bytes, replay, replay_with};

const USER: &str = "83cbfd15-6fd9-4588-a77f-96de61fd44d9";

fn shown<T: Serialize>(value: T) -> Value {
    json!(value)
}

fn some<T: Serialize>(value: Option<T>) -> Value {
    value.map_or_else(|| json!({"$none": true}), |value| json!({"$some": value}))
}

#[tokio::test]
async fn path_values_are_encoded_as_recorded() {
    let family = "requests/path";
    replay(family, "path-space", async |c: PathClientFeign| c.one("a b").await.map(shown)).await;
    replay(family, "path-korean", async |c: PathClientFeign| c.one("주문").await.map(shown)).await;
    replay(family, "path-brace-open", async |c: PathClientFeign| c.one("a{b").await.map(shown)).await;
    replay(family, "path-two-value-names-other", async |c: PathClientFeign| c.two("{b}", "2").await.map(shown)).await;
    let adjacent = async |c: PathClientFeign| c.adjacent("x".to_owned(), "y".to_owned()).await.map(shown);
    replay(family, "path-adjacent", adjacent).await;
    replay(family, "path-enum", async |c: PathClientFeign| c.one_enum(State::InTransit).await.map(shown)).await;
    replay(family, "path-list", async |c: PathClientFeign| c.one_list(&["x", "y z"]).await.map(shown)).await;
    replay(family, "path-regex-fail", async |c: PathClientFeign| c.regex("ab").await.map(shown)).await;
    replay(family, "path-regex-braces", async |c: PathClientFeign| c.regex_braces("ab").await.map(shown)).await;
    replay(family, "path-twice", async |c: PathClientFeign| c.twice("v 1").await.map(shown)).await;
}

#[tokio::test]
async fn path_literals_are_sent_as_recorded() {
    let family = "requests/path";
    replay(family, "path-trailing-slash", async |c: PathClientFeign| c.trailing().await.map(shown)).await;
    replay(family, "path-literals-encoded", async |c: PathClientFeign| c.literals().await.map(shown)).await;
    replay(family, "path-literal-triplet", async |c: PathClientFeign| c.literal_triplet().await.map(shown)).await;
    replay(family, "path-config-placeholder", async |c: PathClientFeign| c.placeholder().await.map(shown)).await;
}

#[tokio::test]
async fn queries_are_written_as_recorded() {
    let family = "requests/query";
    replay(family, "template-query-literals", async |c: PathClientFeign| c.query_template().await.map(shown)).await;
    let template = async |c: PathClientFeign| c.query_template_path("v 1").await.map(shown);
    replay(family, "template-query-from-path-variable", template).await;
    replay(family, "query-space", async |c: QueryClientFeign| c.one(Some("a b")).await.map(shown)).await;
    replay(family, "query-null", async |c: QueryClientFeign| c.one(None).await.map(shown)).await;
    replay(family, "query-after-literal", async |c: QueryClientFeign| c.with_literal("a b").await.map(shown)).await;
    replay(family, "query-two-last-null", async |c: QueryClientFeign| c.two("1", None).await.map(shown)).await;
    let list = ["a".to_owned(), "b".to_owned()];
    replay(family, "query-list", async |c: QueryClientFeign| c.list(&list).await.map(shown)).await;
    replay(family, "query-csv", async |c: QueryClientFeign| c.csv(vec!["a", "b"]).await.map(shown)).await;
    replay(family, "query-ssv", async |c: QueryClientFeign| c.ssv(&["a", "b"]).await.map(shown)).await;
    replay(family, "query-client-csv", async |c: CsvClientFeign| c.list(&["a", "b"]).await.map(shown)).await;
    let map = BTreeMap::from([("a".to_owned(), json!(1)), ("b".to_owned(), json!([true, false]))]);
    replay(family, "query-map-spring", async |c: QueryClientFeign| c.query_map(&map).await.map(shown)).await;
    let filter = Filter { name: "n v", age: 3, nul: None, tags: ["a", "b"], flag: false };
    let pojo = async |c: QueryClientFeign| c.query_pojo_plus("first", &filter).await.map(shown);
    replay(family, "query-pojo-same-name", pojo).await;
    replay(family, "query-enum", async |c: QueryClientFeign| c.enum_param(State::InTransit).await.map(shown)).await;
}

#[tokio::test]
async fn headers_are_sent_as_recorded() {
    let family = "requests/header";
    replay(family, "header-plain", async |c: HeaderClientFeign| c.one(Some("1")).await.map(shown)).await;
    replay(family, "header-null", async |c: HeaderClientFeign| c.one(None).await.map(shown)).await;
    let map = BTreeMap::from([("X-L", ["a", "b"])]);
    replay(family, "header-map-list", async |c: HeaderClientFeign| c.map(&map).await.map(shown)).await;
    replay(family, "header-produces", async |c: HeaderClientFeign| c.produces().await.map(shown)).await;
}

#[tokio::test]
async fn bodies_are_sent_as_recorded() {
    let family = "requests/body";
    let order = Order::sample();
    replay(family, "body-json", async |c: BodyClientFeign| c.json(&order).await.map(shown)).await;
    let two = [order.clone(), order.clone()];
    replay(family, "body-list", async |c: BodyClientFeign| c.json_list(&two).await.map(shown)).await;
    replay(family, "body-string-json", async |c: BodyClientFeign| c.json_string(r#"{"a":1}"#).await.map(shown)).await;
    replay(family, "body-vendor-json", async |c: BodyClientFeign| c.vendor_json(order.clone()).await.map(shown)).await;
    replay(family, "body-number", async |c: BodyClientFeign| c.number(5).await.map(shown)).await;
    replay(family, "body-none-post", async |c: BodyClientFeign| c.none().await.map(shown)).await;
    let mixed = async |c: BodyClientFeign| c.mixed(7, "a b", "h", Some(&order)).await.map(shown);
    replay(family, "body-mixed", mixed).await;
}

#[tokio::test]
async fn urls_are_joined_as_recorded() {
    let family = "requests/join";
    replay(family, "url-context-slash", async |c: UrlCtxClientFeign| c.s().await.map(shown)).await;
}

#[tokio::test]
async fn every_verb_is_sent_as_recorded() {
    let family = "requests/verb";
    replay(family, "verb-get", async |c: OrderServiceClientFeign| c.get_order(7).await.map(shown)).await;
    let put = async |c: OrderServiceClientFeign| c.put_order(7, Order::sample()).await.map(shown);
    replay(family, "verb-put", put).await;
    replay(family, "verb-delete", async |c: OrderServiceClientFeign| c.delete_order(7).await.map(shown)).await;
    replay(family, "verb-head", async |c: OrderServiceClientFeign| c.head_order(7).await.map(shown)).await;
}

#[tokio::test]
async fn responses_are_read_as_recorded() {
    let family = "requests/response";
    replay(family, "return-string", async |c: ReturnClientFeign| c.string().await.map(shown)).await;
    replay(family, "return-bytes", async |c: ReturnClientFeign| c.bytes().await.map(|body| bytes(&body))).await;
    replay(family, "return-optional", async |c: ReturnClientFeign| c.optional().await.map(some)).await;
    replay(family, "return-optional-json-null", async |c: ReturnClientFeign| c.optional().await.map(some)).await;
    replay(family, "return-200-empty-optional", async |c: ReturnClientFeign| c.optional().await.map(some)).await;
    replay(family, "return-struct", async |c: ReturnClientFeign| c.order().await.map(shown)).await;
    replay(family, "return-list", async |c: ReturnClientFeign| c.orders().await.map(shown)).await;
    replay(family, "return-number", async |c: ReturnClientFeign| c.number().await.map(shown)).await;
    replay(family, "return-204-nothing", async |c: ReturnClientFeign| c.nothing().await.map(shown)).await;
    replay(family, "dismiss-404-nothing", async |c: DismissClientFeign| c.nothing().await.map(shown)).await;
    replay(family, "dismiss-404-optional", async |c: DismissClientFeign| c.optional().await.map(some)).await;
    replay(family, "dismiss-410-optional", async |c: DismissClientFeign| c.optional().await.map(some)).await;
}

#[tokio::test]
async fn a_raw_response_is_no_error() {
    let call = async |c: ReturnClientFeign| {
        let response = c.response().await?;
        let (length, kind) = (&response.headers()["content-length"], &response.headers()["content-type"]);
        Ok(json!({"$response": {
            "status": response.status().as_u16(),
            // hyper keeps a phrase only if it is not the usual one.
            "reason": response.status().canonical_reason(),
            "headers": {"content-length": [length.to_str().unwrap()], "content-type": [kind.to_str().unwrap()]},
            "body": String::from_utf8_lossy(response.body()),
        }}))
    };
    replay("requests/response", "return-response-404", call).await;
}

#[tokio::test]
async fn errors_read_as_recorded() {
    let order = async |c: OrderServiceClientFeign| c.get_order(7).await.map(shown);
    replay("errors/body", "error-body-399", order).await;
    replay("errors/body", "error-body-400", order).await;
    replay("errors/body", "error-body-korean-600", order).await;
    replay("errors/status", "status-404", order).await;
    replay("errors/status", "status-503", order).await;
    let put = async |c: OrderServiceClientFeign| c.put_order(7, Order::sample()).await.map(shown);
    replay("errors/status", "status-500-two-arguments", put).await;
    replay("logs/basic", "log-basic-connection-refused", async |c: RefusedClientFeign| c.s().await.map(shown)).await;
}

#[tokio::test]
async fn options_of_a_call_count() {
    let patient = CallOptions::new().read_timeout(Duration::from_millis(1500));
    let call = async |c: OptionsClientFeign| c.with_options(patient).await.map(shown);
    replay("errors/timeout", "timeout-options-argument", call).await;
}

#[tokio::test]
async fn logs_read_as_recorded() {
    let orders = async |c: OrderServiceClientFeign| c.get_orders(USER).await.map(shown);
    replay("logs/full", "log-full-get-200", orders).await;
    let wrong = async |c: OrderServiceClientFeign| c.get_orders_ng(USER).await.map(shown);
    replay("logs/full", "log-full-get-404", wrong).await;
    let create = async |c: OrderServiceClientFeign| c.create_order(USER, &Order::sample()).await.map(shown);
    replay("logs/full", "log-full-post-json", create).await;
    replay("logs/basic", "log-basic-post-json", create).await;
    let delete = async |c: OrderServiceClientFeign| c.delete_order(7).await.map(shown);
    replay("logs/full", "log-full-delete-204", delete).await;
    let binary = async |c: OrderServiceClientFeign| c.get_bytes().await.map(|body| bytes(&body));
    replay("logs/full", "log-full-binary", binary).await;
    let text = async |c: OrderServiceClientFeign| c.post_text("héllo").await.map(shown);
    replay("logs/headers", "log-headers-post-text", text).await;
    let query = async |c: QueryClientFeign| c.two("a b", Some("é".to_owned())).await.map(shown);
    replay("logs/headers", "log-headers-query", query).await;
}

/// The decoder of the notes, for all clients of a context.
struct SeedBeans;

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct ShopError(String);

impl ErrorDecoder for SeedBeans {
    fn decode(&self, method: &MethodContext<'_>, response: &ErrorResponse) -> Decoded {
        match response.status.as_u16() {
            404 if method.key().contains("getOrders") => {
                Decoded::typed(ShopError("404 NOT_FOUND \"User's orders is empty.\"".to_owned()))
            }
            404 => Decoded::Default,
            _ => Decoded::typed(ShopError(response.reason.as_deref().unwrap_or_default().to_owned())),
        }
    }
}

#[tokio::test]
async fn one_decoder_serves_all_methods_as_recorded() {
    let family = "errors/seed-decoder";
    let orders = async |c: OrderServiceClientFeign| c.get_orders(USER).await.map(shown);
    let seed = |feign: vernal_feign::FeignBuilder| feign.error_decoder(SeedBeans);
    replay_with(family, "seed-orders-200", seed, orders).await;
    replay_with(family, "seed-orders-404-returns-status-exception", seed, orders).await;
    let wrong = async |c: OrderServiceClientFeign| c.get_orders_ng(USER).await.map(shown);
    replay_with(family, "seed-orders-ng-404", seed, wrong).await;
}
