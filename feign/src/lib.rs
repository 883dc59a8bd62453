//! Declarative HTTP clients with Feign's wire format, log lines and error decoding.
//!
//! A trait says what a service offers; the attribute makes a client of it. On the wire and in the log the client
//! cannot be told from one of Spring Cloud OpenFeign 5.0 (feign-core 13.6), apart from the deviations listed below.
//!
//! ```
//! use vernal_feign::{Feign, feign_client};
//! # use vernal_commons::http::{Body, SharedTransport};
//! # let transport = SharedTransport::new(tower::service_fn(|request: http::Request<Body>| async move {
//! #     let known = request.uri() == "http://localhost:8000/order-service/u%2F1/orders";
//! #     let response = http::Response::builder().status(if known { 200 } else { 404 });
//! #     let response = response.header("content-type", "application/json");
//! #     Ok::<_, std::convert::Infallible>(response.body(Body::from(r#"[{"id":1}]"#)).unwrap())
//! # }));
//!
//! #[derive(serde::Deserialize)]
//! pub struct Order {
//!     id: u64,
//! }
//!
//! #[feign_client("order-service", url = "http://localhost:8000")]
//! pub trait OrderClient {
//!     #[get("/order-service/{user_id}/orders")]
//!     async fn orders(&self, user_id: &str) -> vernal_feign::Result<Vec<Order>>;
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let feign = Feign::builder().transport(transport).build()?;
//! let orders: OrderClientFeign = feign.client()?;
//! assert_eq!(orders.orders("u/1").await?[0].id, 1);
//! # Ok::<_, vernal_feign::Error>(()) }).unwrap();
//! ```
//!
//! # Concepts
//!
//! * [`Feign`] is the context: settings, discovery, balancer, transport, error decoder, interceptors, layers. Nothing is
//!   global; two contexts in one process share nothing.
//! * A client calls a **service by its name** through [`Discover`](vernal_commons::discover::Discover) and
//!   [`Balance`](vernal_commons::balance::Balance), or a **URL**: from the code ([`ClientBuilder::url`]), the attribute, or
//!   the setting `spring.cloud.openfeign.client.config.<context id>.url`, in this order. `#[uri]` gives one with the call.
//! * [`RestClient`] calls absolute URLs without a trait (Spring's `RestTemplate`).
//! * Return types: `T` read from JSON, `Option<T>` (`None` on 404), `()`, `String`, `Bytes`, `http::Response<Bytes>` and
//!   `http::Response<Body>` (the last two take any status); the error is [`Error`] or any `E: From<Error>`.
//! * [`ErrorDecoder`]: once per context; overridable per client and per method; what it made is [`Error::decoded`].
//! * [`Interceptor`] changes requests; `layer` and `call_layer` of [`FeignBuilder`] take any tower layer.
//! * The log is Feign's, one `tracing` event per line at DEBUG, with the trait's path as target and the levels of
//!   [`LogLevel`]. Around each call there is a span `feign.call`.
//!
//! # The stack
//!
//! Outermost first: span, deadline of the call, call layers, layers, interceptors, default headers and query of the
//! settings, log, balancing, limit for the response's head, transport. When no connection comes about, the balancer goes
//! to the next instance at once, whatever the verb: the request never left. Nothing else is sent again.
//!
//! # Settings
//!
//! Below `spring.cloud.openfeign.client` (or `feign.client`, as before Spring Cloud 2022). They are read again when
//! [`PropertyResolver::generation`](vernal_commons::property::PropertyResolver::generation) changes: the next call uses
//! them. New settings that are wrong are logged, and the old ones stay.
//!
//! | `config.<context id or default>.` | default | |
//! |---|---|---|
//! | `url` | | not from `default` |
//! | `connect-timeout`, `read-timeout` | 10000, 60000 | milliseconds, or `5s`; 0 is no limit. The second one limits the wait for the response's head (connecting included) and each pause in its body |
//! | `call-timeout` | none | the whole call; ours |
//! | `logger-level` | `NONE` | before [`FeignBuilder::logger_level`], unless `default-to-properties` is `false` |
//! | `dismiss404` | | wins over attributes in both directions |
//! | `default-request-headers`, `default-query-parameters` | | a client's list replaces the default one of its name |
//! | `max-response-bytes` | 64 MB | ours |
//! | `log-max-body-bytes` | 64 KB | ours; `unlimited` is Feign's behaviour |
//! | `log-redact.headers`, `log-redact.query` | | names that are hidden as well; ours |
//! | `log-unsafe` | `false` | hides nothing; ours |
//!
//! | `client.` | default | |
//! |---|---|---|
//! | `decode-slash` | `false` | Java: `true`; see 2.4 below |
//! | `remove-trailing-slash` | `false` | |
//! | `default-config`, `default-to-properties` | `default`, `true` | |
//!
//! # Deviations
//!
//! What differs from Spring's client on purpose. The conformance run counts them by these tags.
//!
//! | tag | Spring | here |
//! |---|---|---|
//! | 1 | the JDK sends a request without body again when the peer closes without an answer | nothing is sent again |
//! | 2.1 | a service name with `_` is refused | accepted |
//! | 2.2 | blanks around the name of a fixed header are sent | refused |
//! | 2.3 | an argument without annotation becomes a body, and a GET a POST | refused |
//! | 2.4 | path values that look encoded pass as they are, `/` is kept, `..` is sent, absent is empty | a value is one segment and always encoded (`#[path(encoded)]`, `#[path(rest)]`, `decode-slash`), dot segments are refused, empty needs `allow_empty`; numbers and dates print as in Rust |
//! | 2.5 | the same for query values; `""` and `[]` send a bare name; arrays are always CSV; a record as query map sends nothing | always encoded, `""` is `k=`, `[]` sends nothing, arrays are lists, every struct is sent, nested as `a.b` and `items[0].id` |
//! | 2.6 | levels of headers add up; illegal characters fail in the transport | the higher level replaces; control characters are [`ErrorKind::InvalidHeader`]; what is not ASCII is sent as UTF-8, as Java does |
//! | 2.8 | a null body is an error; texts in other charsets | no body; UTF-8 only |
//! | 2.10 | the host of a URI argument is taken for a service | only if it is the client's own |
//! | 2.13 | 204 is `null` for every type; the body of a dismissed 404 is decoded; a body that ends early is accepted | an empty list, map, text, `false`, `None`, or an error for other types; the empty value; an error |
//! | 2.15 | a placeholder without parameter is empty | refused |
//! | 2.16 | the JDK cannot send PATCH | sent |
//! | 3.1 | `exceptionPropagationPolicy` | `source()` |
//! | 4.3 | messages of the JDK's HTTP parser | hyper's |
//! | 4.4 | bodies are logged whole | up to 64 KB |
//! | 4.5 | everything is logged | `Authorization`, cookies, keys and tokens are `<hidden>`, in messages too |
//! | 5.2 | a `Retry-After` beyond 64 bits fails | ignored |
//! | 5.5 | a decoder that decides nothing is a `NullPointerException` | the ordinary error |
//! | 6.4 | a service without instances is a synthetic 503 | [`ErrorKind::NoInstance`], with the same text |
//!
//! # Features
//!
//! | feature | default | brings |
//! |---|---|---|
//! | `macros` | yes | `#[feign_client]` |
//! | `reqwest` | yes | the default transport; without it [`FeignBuilder::transport`] is needed |
//! | `rustls` | no | `https://` for the default transport |
//!
//! # Limits
//!
//! Not there yet: retries, circuit breaker, fallback, forms, multipart, cookies, matrix variables, pageables, redirects,
//! compression, streaming requests, typed responses with status and headers. A decoder reads JSON only. JSON is read
//! strictly: Jackson's coercions (a number in quotes) are errors. A number that is not finite is dropped from a query
//! map. A `Secret` is no argument: write `secret.expose()`. A list of instances may be as old as its source makes it.

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod answer;
mod argument;
mod attempt;
mod base;
mod call_info;
mod charset;
mod client;
mod client_core;
mod codec;
mod context;
mod decoder;
mod empty;
mod encode;
mod error;
mod exchange;
mod feign;
mod interceptor;
mod layer;
mod level;
mod message;
pub mod meta;
mod options;
mod pairs;
mod plan;
mod redact;
mod request;
mod rest;
mod retry_after;
mod settings;
mod template;
mod url;

pub use call_info::CallInfo;
pub use client::{Call, Client, FeignClient, OptionsArgument};
pub use codec::MethodResult;
pub use decoder::{Decoded, ErrorDecoder, MethodContext};
pub use error::{Error, ErrorKind, Phase, Result};
pub use exchange::{ErrorResponse, RequestContext};
pub use feign::{ClientBuilder, Feign, FeignBuilder};
pub use interceptor::{Interceptor, Outgoing};
pub use level::LogLevel;
pub use options::CallOptions;
pub use rest::RestClient;
#[cfg(feature = "macros")]
pub use vernal_feign_macros::feign_client;
#[cfg(feature = "macros")]
#[doc(hidden)]
pub use vernal_feign_macros::feign_client_facade;
