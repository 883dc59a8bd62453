//! The interfaces of the recordings, as a user writes them.

use std::collections::BTreeMap;
use std::fmt;

use http::{Response, Uri};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vernal_feign::__private::Bytes;
use vernal_feign::{CallOptions, Result, feign_client};

/// Where the clients' log lines go.
pub(crate) const MODULE: &str = module_path!();

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: Option<i64>,
    pub(crate) product: Option<String>,
    pub(crate) qty: Option<i32>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum State {
    InTransit,
}

#[derive(Debug, Serialize)]
pub(crate) struct Filter {
    pub(crate) name: &'static str,
    pub(crate) age: i32,
    pub(crate) nul: Option<i32>,
    pub(crate) tags: [&'static str; 2],
    pub(crate) flag: bool,
}

impl Order {
    pub(crate) fn sample() -> Self {
        Self { id: Some(1), product: Some("CATALOG-001".to_owned()), qty: Some(10) }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InTransit => f.write_str("IN_TRANSIT"),
        }
    }
}

#[feign_client("order-service", context_id = "paths")]
pub(crate) trait PathClient {
    #[get("/p/{v}")]
    async fn one(&self, v: &str) -> Result<String>;

    #[get("/p/{a}/x/{b}")]
    async fn two(&self, a: &str, b: &str) -> Result<String>;

    #[get("/p/{a}{b}.json")]
    async fn adjacent(&self, a: String, b: String) -> Result<String>;

    #[get("/p/{v}")]
    async fn one_enum(&self, v: State) -> Result<String>;

    #[get("/p/{v}")]
    async fn one_list(&self, v: &[&str]) -> Result<String>;

    #[get("/r/{id:[0-9]+}")]
    async fn regex(&self, id: &str) -> Result<String>;

    #[get("/r/{id:[a-z]{2}}")]
    async fn regex_braces(&self, id: &str) -> Result<String>;

    #[get("/dup/{v}/{v}")]
    async fn twice(&self, v: &str) -> Result<String>;

    #[get("/trail/")]
    async fn trailing(&self) -> Result<String>;

    #[get("/a b/é")]
    async fn literals(&self) -> Result<String>;

    #[get("/enc%2Fliteral/%41")]
    async fn literal_triplet(&self) -> Result<String>;

    #[get("/ph/${probe.seg}/${probe.missing:dflt}")]
    async fn placeholder(&self) -> Result<String>;

    #[get("/t?fixed=1&flag&e=&sp=a b")]
    async fn query_template(&self) -> Result<String>;

    #[get("/t?k={k}")]
    async fn query_template_path(&self, k: &str) -> Result<String>;
}

#[feign_client("order-service", context_id = "queries")]
pub(crate) trait QueryClient {
    #[get("/q")]
    async fn one(&self, #[query] k: Option<&str>) -> Result<String>;

    #[get("/q?z=1")]
    async fn with_literal(&self, #[query] k: &str) -> Result<String>;

    #[get("/q")]
    async fn two(&self, #[query] a: &str, #[query] b: Option<String>) -> Result<String>;

    #[get("/q")]
    async fn list(&self, #[query] k: &[String]) -> Result<String>;

    #[get("/q", collection_format = "csv")]
    async fn csv(&self, #[query] k: Vec<&str>) -> Result<String>;

    #[get("/q")]
    async fn ssv(&self, #[query(format = "ssv")] k: &[&str; 2]) -> Result<String>;

    #[get("/q")]
    async fn query_map(&self, #[query_map] m: &BTreeMap<String, Value>) -> Result<String>;

    #[get("/q")]
    async fn query_pojo_plus(&self, #[query("name")] n: &str, #[query_map] f: &Filter) -> Result<String>;

    #[get("/q")]
    async fn enum_param(&self, #[query] k: State) -> Result<String>;

    #[get("/q")]
    async fn flagged(&self, #[query(flag)] archived: bool) -> Result<String>;
}

#[feign_client(name = "order-service", context_id = "csvclient", collection_format = "csv")]
pub(crate) trait CsvClient {
    #[get("/q")]
    async fn list(&self, #[query] k: &[&str]) -> Result<String>;
}

#[feign_client("order-service", context_id = "headers")]
pub(crate) trait HeaderClient {
    #[get("/h")]
    async fn one(&self, #[header("X-A")] a: Option<&str>) -> Result<String>;

    #[get("/h")]
    async fn map(&self, #[header_map] m: &BTreeMap<&str, [&str; 2]>) -> Result<String>;

    #[get("/h", produces = "application/xml")]
    async fn produces(&self) -> Result<String>;
}

#[feign_client("order-service", context_id = "traced", headers("X-Shop: vernal", "X-Level: trait"))]
pub(crate) trait TracedClient {
    #[get("/h", headers("X-Trace: {trace}", "X-Level: method"))]
    async fn traced(&self, trace: Option<&str>) -> Result<String>;
}

#[feign_client("order-service", context_id = "bodies")]
pub(crate) trait BodyClient {
    #[post("/b")]
    async fn json(&self, o: &Order) -> Result<String>;

    #[post("/b")]
    async fn json_list(&self, #[body] o: &[Order]) -> Result<String>;

    #[post("/b", consumes = "application/json")]
    async fn json_string(&self, s: &str) -> Result<String>;

    #[post("/b", consumes("application/vnd.acme+json"))]
    async fn vendor_json(&self, s: Order) -> Result<String>;

    #[post("/b")]
    async fn number(&self, n: i32) -> Result<String>;

    #[post("/b")]
    async fn none(&self) -> Result<String>;

    #[post("/b/{id}")]
    async fn mixed(&self, id: i64, #[query] q: &str, #[header("X-A")] a: &str, o: Option<&Order>) -> Result<String>;
}

#[feign_client("prefix", context_id = "prefix", url = "http://127.0.0.1:${probe.port}", path = "api/v1/")]
pub(crate) trait PrefixClient {
    #[get("x")]
    async fn no_lead(&self) -> Result<String>;
}

#[feign_client("url1", url = "http://127.0.0.1:${probe.port}/ctx/")]
pub(crate) trait UrlCtxClient {
    #[get("/s")]
    async fn s(&self) -> Result<String>;
}

#[feign_client("url5", url = "http://127.0.0.1:${probe.port}/ctx")]
pub(crate) trait UrlCtxClientUri {
    #[get("/u?f=1")]
    async fn p(&self, u: &Uri, #[query] k: &str) -> Result<String>;
}

#[feign_client("refused", url = "http://127.0.0.1:${probe.refused}")]
pub(crate) trait RefusedClient {
    #[get("/s")]
    async fn s(&self) -> Result<String>;
}

#[feign_client("order-service", context_id = "optionsctx")]
pub(crate) trait OptionsClient {
    #[get("/s")]
    async fn with_options(&self, o: CallOptions) -> Result<String>;
}

#[feign_client("order-service", context_id = "seed")]
pub(crate) trait OrderServiceClient {
    #[get("/order-service/{userId}/orders")]
    async fn get_orders(&self, #[path("userId")] user_id: &str) -> Result<Vec<Order>>;

    #[get("/order-service/{user_id}/orders_ng")]
    async fn get_orders_ng(&self, user_id: &str) -> Result<Vec<Order>>;

    #[post("/order-service/{user_id}/orders")]
    async fn create_order(&self, user_id: &str, order: &Order) -> Result<Order>;

    #[get("/order-service/{id}")]
    async fn get_order(&self, id: i64) -> Result<Order>;

    #[put("/order-service/{id}")]
    async fn put_order(&self, id: i64, order: Order) -> Result<Order>;

    #[delete("/order-service/{id}")]
    async fn delete_order(&self, id: i64) -> Result<()>;

    #[head("/order-service/{id}")]
    async fn head_order(&self, id: i64) -> Result<()>;

    #[options("/order-service/{id}")]
    async fn options_order(&self, id: i64) -> Result<Response<Bytes>>;

    #[trace("/order-service/{id}")]
    async fn trace_order(&self, id: i64) -> Result<Response<Bytes>>;

    #[get("/order-service/bytes")]
    async fn get_bytes(&self) -> Result<Vec<u8>>;

    #[post("/order-service/text")]
    async fn post_text(&self, text: &str) -> Result<()>;
}

#[feign_client("order-service", context_id = "returns")]
pub(crate) trait ReturnClient {
    #[get("/o")]
    async fn string(&self) -> Result<String>;

    #[get("/o")]
    async fn bytes(&self) -> Result<Bytes>;

    #[get("/o")]
    async fn optional(&self) -> Result<Option<Order>>;

    #[get("/o")]
    async fn order(&self) -> Result<Order>;

    #[get("/o")]
    async fn orders(&self) -> Result<Vec<Order>>;

    #[get("/o")]
    async fn number(&self) -> Result<i32>;

    #[get("/o")]
    async fn nothing(&self) -> Result<()>;

    #[get("/o")]
    async fn response(&self) -> Result<Response<Bytes>>;
}

#[feign_client("order-service", context_id = "dismiss", dismiss_404)]
pub(crate) trait DismissClient {
    #[get("/o")]
    async fn nothing(&self) -> Result<()>;

    #[get("/o")]
    async fn optional(&self) -> Result<Option<Order>>;

    #[get("/o")]
    async fn orders(&self) -> Result<Vec<Order>>;

    #[get("/o", dismiss_404 = false)]
    async fn strict(&self) -> Result<Vec<Order>>;
}
