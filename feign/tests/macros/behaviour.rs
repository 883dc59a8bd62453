//! What only a trait has: results, errors, decoders and bases of its methods, its twin.

use std::sync::Arc;

use async_trait::async_trait;
use vernal_commons::BoxError;
use vernal_feign::{
    Decoded, ErrorDecoder, ErrorKind, ErrorResponse, Feign, FeignBuilder, FeignClient, Interceptor, MethodContext,
    Outgoing, Result, feign_client,
};
use vernal_testkit::logs::Logs;

use crate::clients::{
    BodyClient, BodyClientFeign, DismissClient, DismissClientFeign, Order, OrderServiceClient, OrderServiceClientFeign,
    PathClient, PathClientFeign, PrefixClient, PrefixClientFeign, QueryClient, QueryClientFeign, ReturnClient,
    ReturnClientFeign, TracedClient, TracedClientFeign, UrlCtxClientUri, UrlCtxClientUriFeign,
};
use crate::replay::OrderService;
use crate::server::{Canned, Server};
use crate::settings::Relaxed;

fn json(status: &str, body: &str) -> Canned {
    Canned {
        line: format!("HTTP/1.1 {status}"),
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        body: Some(body.to_owned()),
        ..Canned::default()
    }
}

fn text(status: &str, body: &str) -> Canned {
    Canned {
        line: format!("HTTP/1.1 {status}"),
        headers: vec![("Content-Type".to_owned(), "text/plain".to_owned())],
        body: Some(body.to_owned()),
        ..Canned::default()
    }
}

fn context(server: &Server) -> FeignBuilder {
    let port = server.address.port();
    Feign::builder()
        .settings(Relaxed(vec![
            ("probe.port".to_owned(), port.to_string()),
            ("probe.seg".to_owned(), "seg".to_owned()),
        ]))
        .discover(Arc::new(OrderService(port)))
}

async fn client<C: FeignClient>(answer: Canned) -> (C, Server) {
    let server = Server::start(vec![answer]).await;
    let client = context(&server).build().unwrap().client().unwrap();
    (client, server)
}

fn lines(server: &Server) -> Vec<String> {
    server.seen().into_iter().map(|seen| seen.line).collect()
}

fn header(server: &Server, name: &str) -> Vec<String> {
    let seen = server.seen().pop().unwrap();
    seen.headers.into_iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

// ===== results =====

#[tokio::test]
async fn an_option_is_none_on_404_without_being_told() {
    let (client, _server) = client::<ReturnClientFeign>(json("404 Not Found", r#"{"status":404}"#)).await;
    assert_eq!(client.optional().await.unwrap(), None);
    let error = client.orders().await.unwrap_err();
    assert_eq!(error.status().unwrap().as_u16(), 404);
    assert_eq!(error.body().unwrap().as_ref(), br#"{"status":404}"#);
}

#[tokio::test]
async fn an_option_is_an_error_on_500() {
    let (client, _server) = client::<ReturnClientFeign>(json("500 Internal Server Error", "{}")).await;
    assert_eq!(client.optional().await.unwrap_err().status().unwrap().as_u16(), 500);
}

#[tokio::test]
async fn a_dismissed_404_is_empty_unless_the_method_says_otherwise() {
    let (client, _server) = client::<DismissClientFeign>(json("404 Not Found", r#"{"status":404}"#)).await;
    assert_eq!(client.orders().await.unwrap(), []);
    assert_eq!(client.strict().await.unwrap_err().status().unwrap().as_u16(), 404);
}

#[tokio::test]
async fn a_flag_is_a_bare_name_or_nothing() {
    let (client, server) = client::<QueryClientFeign>(text("200 OK", "ok")).await;
    client.flagged(true).await.unwrap();
    client.flagged(false).await.unwrap();
    assert_eq!(lines(&server), ["GET /q?archived HTTP/1.1", "GET /q HTTP/1.1"]);
}

#[tokio::test]
async fn rare_verbs_go_out_as_themselves() {
    let (client, server) = client::<OrderServiceClientFeign>(text("200 OK", "")).await;
    client.options_order(7).await.unwrap();
    client.trace_order(7).await.unwrap();
    assert_eq!(lines(&server), ["OPTIONS /order-service/7 HTTP/1.1", "TRACE /order-service/7 HTTP/1.1"]);
}

#[tokio::test]
async fn a_body_may_be_absent() {
    let (client, server) = client::<BodyClientFeign>(text("200 OK", "ok")).await;
    client.mixed(7, "q", "a", None).await.unwrap();
    assert!(server.seen().pop().unwrap().body.is_empty());
}

#[tokio::test]
async fn a_path_that_climbs_is_refused_before_anything_is_sent() {
    let (client, server) = client::<PathClientFeign>(text("200 OK", "ok")).await;
    let error = client.one("..").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidPathValue);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn the_uri_of_a_call_takes_the_place_of_the_clients() {
    let (client, server) = client::<UrlCtxClientUriFeign>(text("200 OK", "ok")).await;
    let uri = format!("http://{}/alt/base", server.address).parse().unwrap();
    client.p(&uri, "v").await.unwrap();
    assert_eq!(lines(&server), ["GET /alt/base/u?f=1&k=v HTTP/1.1"]);
}

#[tokio::test]
async fn url_and_path_of_the_trait_come_from_the_settings() {
    let (client, server) = client::<PrefixClientFeign>(text("200 OK", "ok")).await;
    client.no_lead().await.unwrap();
    assert_eq!(lines(&server), ["GET /api/v1/x HTTP/1.1"]);
}

#[tokio::test]
async fn headers_of_the_method_take_the_place_of_the_traits() {
    let (client, server) = client::<TracedClientFeign>(text("200 OK", "ok")).await;
    client.traced(Some("t-1")).await.unwrap();
    assert_eq!(header(&server, "X-Shop"), ["vernal"]);
    assert_eq!(header(&server, "X-Level"), ["method"]);
    assert_eq!(header(&server, "X-Trace"), ["t-1"]);
    client.traced(None).await.unwrap();
    assert!(header(&server, "X-Trace").is_empty());
}

// ===== errors =====

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Said(&'static str);

/// Decides for one status.
struct Says(u16, &'static str);

impl ErrorDecoder for Says {
    fn decode(&self, _: &MethodContext<'_>, response: &ErrorResponse) -> Decoded {
        if response.status.as_u16() == self.0 { Decoded::typed(Said(self.1)) } else { Decoded::Default }
    }
}

#[derive(Debug)]
enum StockError {
    SoldOut,
    Other(vernal_feign::Error),
}

impl From<vernal_feign::Error> for StockError {
    fn from(error: vernal_feign::Error) -> Self {
        match error.decoded::<Said>() {
            Some(Said("sold out")) => Self::SoldOut,
            _ => Self::Other(error),
        }
    }
}

#[feign_client("order-service", context_id = "stock", error_decoder = Says(410, "of the trait"))]
trait StockClient {
    #[get("/stock/{id}", error_decoder = Says(409, "sold out"))]
    async fn take(&self, id: u64) -> Result<u32, StockError>;

    #[get("/stock/{id}")]
    async fn count(&self, id: u64) -> Result<u32>;
}

#[tokio::test]
async fn a_method_has_an_error_and_a_decoder_of_its_own() {
    let (client, _server) = client::<StockClientFeign>(json("409 Conflict", "{}")).await;
    assert!(matches!(client.take(7).await, Err(StockError::SoldOut)));
    // The other method knows nothing of it.
    assert!(client.count(7).await.unwrap_err().decoded::<Said>().is_none());
}

#[tokio::test]
async fn what_a_decoder_leaves_open_the_next_one_decides() {
    for (status, expected) in
        [("409 Conflict", "sold out"), ("410 Gone", "of the trait"), ("500 Oops", "of the context")]
    {
        let server = Server::start(vec![json(status, "{}")]).await;
        let feign = context(&server).error_decoder(Says(500, "of the context")).build().unwrap();
        let client: StockClientFeign = feign.client().unwrap();
        let error = match client.take(7).await {
            Err(StockError::SoldOut) => "sold out".to_owned(),
            Err(StockError::Other(error)) => error.decoded::<Said>().unwrap().to_string(),
            Ok(count) => panic!("{count}"),
        };
        assert_eq!(error, expected);
    }
}

#[tokio::test]
async fn an_error_names_the_method_as_java_does() {
    let (client, _server) = client::<OrderServiceClientFeign>(text("500 Oops", "broken")).await;
    let error = client.put_order(7, Order::sample()).await.unwrap_err();
    let expected = "[500 Oops] during [PUT] to [http://order-service/order-service/7] \
                    [OrderServiceClient#putOrder(Long,Order)]: [broken]";
    assert_eq!(error.to_string(), expected);
}

// ===== interceptors =====

struct Signs;

#[async_trait]
impl Interceptor for Signs {
    async fn intercept(&self, request: &mut Outgoing<'_>) -> Result<(), BoxError> {
        let value = format!("{}#{}", request.client().trait_name, request.method_meta().name);
        request.headers_mut().insert("x-signed", value.parse()?);
        request.append_query("signed", "y s")
    }
}

#[tokio::test]
async fn an_interceptor_sees_which_method_is_called() {
    let server = Server::start(vec![text("200 OK", "ok")]).await;
    let feign = context(&server).interceptor(Signs).build().unwrap();
    feign.client::<QueryClientFeign>().unwrap().with_literal("v").await.unwrap();
    assert_eq!(header(&server, "x-signed"), ["QueryClient#withLiteral"]);
    assert_eq!(lines(&server), ["GET /q?z=1&k=v&signed=y%20s HTTP/1.1"]);
}

// ===== bases =====

#[feign_client(base)]
trait HealthApi {
    #[get("/actuator/health")]
    async fn health(&self) -> Result<String>;

    #[get("/actuator/info")]
    async fn info(&self) -> Result<String>;
}

#[feign_client(base)]
trait ReadApi<T: serde::de::DeserializeOwned + Send + 'static> {
    #[get("/items/{id}")]
    async fn read(&self, id: u64) -> Result<T>;
}

#[feign_client("order-service", context_id = "shop", path = "/shop")]
trait ShopClient: HealthApi + ReadApi<u32> {
    #[delete("/items/{id}")]
    async fn remove(&self, id: u64) -> Result<()>;
}

#[tokio::test]
async fn a_client_sends_the_methods_of_its_bases() {
    let server = Server::start(vec![json("200 OK", "5")]).await;
    let settings =
        Relaxed(vec![("spring.cloud.openfeign.client.config.shop.loggerLevel".to_owned(), "BASIC".to_owned())]);
    let logs = Logs::new();
    let captured = logs.capture();
    let feign = context(&server).settings(settings).build().unwrap();
    let shop: ShopClientFeign = feign.client().unwrap();
    shop.remove(1).await.unwrap();
    assert_eq!(shop.health().await.unwrap(), "5");
    assert_eq!(shop.info().await.unwrap(), "5");
    assert_eq!(shop.read(7).await.unwrap(), 5);
    drop(captured);
    let expected = [
        "DELETE /shop/items/1 HTTP/1.1",
        "GET /shop/actuator/health HTTP/1.1",
        "GET /shop/actuator/info HTTP/1.1",
        "GET /shop/items/7 HTTP/1.1",
    ];
    assert_eq!(lines(&server), expected);
    // Under the name of the client, as in Java.
    let logged = logs.messages(concat!(module_path!(), "::ShopClient"));
    assert_eq!(logged[2], "[ShopClient#health] ---> GET http://order-service/shop/actuator/health HTTP/1.1");
}

// ===== the twin =====

#[feign_client("order-service", context_id = "twin")]
trait OrderClient {
    #[get("/orders/{user_id}")]
    async fn orders(&self, user_id: &str) -> Result<Vec<Order>>;

    /// The first order of a user.
    async fn first(&self, user_id: &str) -> Result<Option<Order>> {
        Ok(self.orders(user_id).await?.into_iter().next())
    }
}

#[tokio::test]
async fn a_client_works_as_a_trait_object_in_a_task() {
    let (client, server) = client::<OrderClientFeign>(json("200 OK", r#"[{"id":1}]"#)).await;
    let orders: Arc<dyn DynOrderClient> = Arc::new(client);
    let task = tokio::spawn({
        let orders = Arc::clone(&orders);
        async move { orders.first("a/b").await }
    });
    assert_eq!(task.await.unwrap().unwrap().unwrap().id, Some(1));
    assert_eq!(orders.orders("7").await.unwrap().len(), 1);
    assert_eq!(lines(&server), ["GET /orders/a%2Fb HTTP/1.1", "GET /orders/7 HTTP/1.1"]);
}

#[tokio::test]
async fn clones_of_a_client_share_one_and_show_no_settings() {
    let (client, server) = client::<OrderClientFeign>(json("200 OK", "[]")).await;
    let other = client.clone();
    client.orders("1").await.unwrap();
    other.orders("2").await.unwrap();
    assert_eq!(lines(&server).len(), 2);
    assert_eq!(format!("{client:?}"), "OrderClientFeign(Client(OrderClient))");
}
