//! A recording, and the call that it describes made through the runtime from data alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vernal_commons::discover::{Discover, LookupError, ServiceView};
use vernal_commons::instance::ServiceInstance;
use vernal_feign::__private::{
    BodyJson as _, BodyOf, BodyOptional as _, BodyRaw as _, Bytes, ReturnJson as _, ReturnKnown as _,
    ReturnOptional as _, Returning, Shape,
};
use vernal_feign::meta::{ClientMeta, CollectionFormat, MethodMeta, ParamIn, ParamMeta};
use vernal_feign::{
    Call, CallOptions, Client, Decoded, Error, ErrorDecoder, ErrorResponse, Feign, Interceptor, MethodContext, Outgoing,
};

use crate::server::Canned;
use crate::settings::Relaxed;
use crate::value::{plain, text, texts, to_base64};

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Case {
    pub(crate) case: String,
    pub(crate) client: ClientOf,
    pub(crate) method: MethodOf,
    pub(crate) arguments: Vec<Value>,
    #[serde(default)]
    pub(crate) config: BTreeMap<String, Value>,
    pub(crate) canned_responses: Vec<Canned>,
    #[serde(default)]
    pub(crate) canned_responses_b: Vec<Canned>,
    #[serde(default)]
    pub(crate) expect_requests: Vec<Value>,
    pub(crate) expect_result: Option<Value>,
    pub(crate) expect_error: Option<Value>,
    /// One per call, when the method is called several times.
    pub(crate) expect_outcomes: Option<Vec<Value>>,
    #[serde(default)]
    pub(crate) expect_log: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ClientOf {
    #[serde(rename = "trait")]
    pub(crate) trait_name: String,
    pub(crate) name: String,
    pub(crate) context_id: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) dismiss_404: Option<bool>,
    pub(crate) collection_format: Option<String>,
    pub(crate) fallback: Option<Value>,
    pub(crate) fallback_factory: Option<Value>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct MethodOf {
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) verb: String,
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) consumes: Vec<String>,
    #[serde(default)]
    pub(crate) produces: Vec<String>,
    #[serde(default)]
    pub(crate) headers: Vec<String>,
    #[serde(default)]
    pub(crate) params: Vec<String>,
    pub(crate) collection_format: Option<String>,
    pub(crate) returns: String,
    #[serde(default)]
    pub(crate) parameters: Vec<ParameterOf>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ParameterOf {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) type_name: String,
    #[serde(rename = "in")]
    pub(crate) place: String,
    pub(crate) wire_name: Option<String>,
}

/// Where things listen while a case runs.
#[derive(Debug, Clone)]
pub(crate) struct Ports {
    pub(crate) a: u16,
    pub(crate) b: u16,
    pub(crate) refused: u16,
    pub(crate) blackhole: u16,
}

/// The switches that give Feign's own bytes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Ours,
    Compatible,
}

impl Ports {
    /// `text` with the placeholders of ports filled in.
    pub(crate) fn fill(&self, text: &str) -> String {
        text.replace("${port_a}", &self.a.to_string())
            .replace("${port_b}", &self.b.to_string())
            .replace("${port_refused}", &self.refused.to_string())
            .replace("${port_blackhole}", &self.blackhole.to_string())
    }
}

impl ParameterOf {
    pub(crate) fn wire_name(&self) -> &str {
        self.wire_name.as_deref().unwrap_or(&self.name)
    }
}

impl MethodOf {
    pub(crate) fn verb(&self) -> &str {
        if self.verb.starts_with("GET") { "GET" } else { &self.verb }
    }
}

// ===== description =====

fn format(name: &str) -> CollectionFormat {
    match name {
        "EXPLODED" => CollectionFormat::Exploded,
        "CSV" => CollectionFormat::Csv,
        "SSV" => CollectionFormat::Ssv,
        "TSV" => CollectionFormat::Tsv,
        "PIPES" => CollectionFormat::Pipes,
        other => panic!("unknown collection format {other}"),
    }
}

/// The description of the client, as if a macro had read the interface.
pub(crate) fn meta(case: &Case, ports: &Ports, mode: Mode) -> ClientMeta {
    let encoded = mode == Mode::Compatible;
    let mut method = MethodMeta::new(&case.method.name, case.method.verb().parse().unwrap(), &case.method.path);
    for media_type in &case.method.consumes {
        method = method.with_consumes(media_type);
    }
    for media_type in &case.method.produces {
        method = method.with_produces(media_type);
    }
    for header in &case.method.headers {
        // Spring's conditions: only `Name=value` is a header.
        match header.split_once('=') {
            Some((name, value)) if !name.ends_with('!') && !name.starts_with('!') => {
                method = method.with_header(format!("{name}:{value}"));
            }
            _ => {}
        }
    }
    for param in &case.method.params {
        method = method.with_param(param);
    }
    if let Some(name) = &case.method.collection_format {
        method = method.with_collection_format(format(name));
    }
    for parameter in &case.method.parameters {
        let name = parameter.wire_name().to_owned();
        let place = match parameter.place.as_str() {
            "path" => ParamIn::Path { name, encoded, rest: false, allow_empty: false },
            "query" => ParamIn::Query { name, format: None, encoded, flag: false },
            "query_map" => ParamIn::QueryMap,
            "header" => ParamIn::Header { name },
            "header_map" => ParamIn::HeaderMap,
            "body" | "body (unannotated)" => ParamIn::Body,
            "uri" => ParamIn::Uri,
            "options" => ParamIn::Options,
            other => panic!("parameter in {other}: NOT_BUILT has to name it"),
        };
        let simple = parameter.type_name.split('<').next().unwrap_or_default();
        method = method.with_parameter(ParamMeta::new(&parameter.name, simple, place));
    }
    let mut client = ClientMeta::new(&case.client.trait_name, &case.client.name).with_method(method);
    if let Some(context_id) = &case.client.context_id {
        client = client.with_context_id(context_id);
    }
    if let Some(path) = &case.client.path {
        client = client.with_path(path);
    }
    if let Some(url) = &case.client.url {
        client = client.with_url(ports.fill(url));
    }
    if let Some(dismiss) = case.client.dismiss_404 {
        client = client.with_dismiss_404(dismiss);
    }
    if let Some(name) = &case.client.collection_format {
        client = client.with_collection_format(format(name));
    }
    client
}

fn settings(case: &Case, ports: &Ports, mode: Mode) -> Relaxed {
    let mut pairs: Vec<(String, String)> = case
        .config
        .iter()
        .filter(|(name, _)| name.contains('.'))
        .map(|(name, value)| (name.clone(), ports.fill(&text(value))))
        .collect();
    let level = "spring.cloud.openfeign.client.config.default.loggerLevel";
    if !case.config.contains_key(level) {
        pairs.push((level.to_owned(), "FULL".to_owned()));
    }
    if mode == Mode::Compatible {
        pairs.push(("spring.cloud.openfeign.client.decode-slash".to_owned(), "true".to_owned()));
    }
    for (name, value) in [
        ("probe.seg", "seg".to_owned()),
        ("probe.name", "order-service".to_owned()),
        ("probe.path", "/from/config/".to_owned()),
        ("probe.port", ports.a.to_string()),
        ("probe.refused", ports.refused.to_string()),
        ("probe.blackhole", ports.blackhole.to_string()),
    ] {
        pairs.push((name.to_owned(), value));
    }
    Relaxed(pairs)
}

/// `order-service` at port a (and b where there are two instances); nothing else is known.
struct Simple(Arc<ServiceView>);

impl Discover for Simple {
    fn lookup(&self, service_id: &str) -> Result<Arc<ServiceView>, LookupError> {
        match service_id {
            "order-service" => Ok(Arc::clone(&self.0)),
            other => Err(LookupError::unknown(other)),
        }
    }

    fn services(&self) -> Vec<String> {
        vec!["order-service".to_owned()]
    }
}

// ===== components =====

/// The error of `SeedBeans`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Seed(pub(crate) String);

struct SeedBeans;

impl ErrorDecoder for SeedBeans {
    fn decode(&self, method: &MethodContext<'_>, response: &ErrorResponse) -> Decoded {
        match response.status.as_u16() {
            400 => Decoded::Default,
            404 if method.key().contains("getOrders") => {
                Decoded::typed(Seed("404 NOT_FOUND \"User's orders is empty.\"".to_owned()))
            }
            404 => Decoded::Default,
            _ => Decoded::typed(Seed(response.reason.as_deref().unwrap_or_default().to_owned())),
        }
    }
}

struct Appends(&'static str, bool);

#[async_trait::async_trait]
impl Interceptor for Appends {
    async fn intercept(&self, request: &mut Outgoing<'_>) -> Result<(), vernal_commons::BoxError> {
        request.headers_mut().append("x-seq", self.0.parse()?);
        if self.1 {
            request.append_query("seq", self.0)?;
        }
        Ok(())
    }
}

pub(crate) fn components(case: &Case) -> Vec<&str> {
    let names = case.config.get("components").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The client of a case in a context of its own.
pub(crate) fn client(case: &Case, ports: &Ports, mode: Mode) -> Result<Client, Error> {
    let mut instances = vec![ServiceInstance::new("order-service", "127.0.0.1", ports.a)];
    if case.config.contains_key("instances") {
        instances.push(ServiceInstance::new("order-service", "127.0.0.1", ports.b));
    }
    let mut feign = Feign::builder()
        .settings(settings(case, ports, mode))
        .discover(Arc::new(Simple(Arc::new(ServiceView::new(instances)))));
    if case.config.contains_key("instances") {
        // Spring's default; ours is another.
        feign = feign.balance(vernal_commons::balance::RoundRobin::new());
    }
    for name in components(case) {
        feign = match name {
            "SeedBeans" => feign.error_decoder(SeedBeans),
            // Beans of a Spring context come in order of declaration, ordered classes by their order.
            "InterceptorsOrdered" => {
                feign.interceptor(Appends("b", true)).interceptor(Appends("a", true)).interceptor(Appends("c", true))
            }
            "InterceptorsOrderedClass" => feign
                .interceptor(Appends("o-5", false))
                .interceptor(Appends("o1", false))
                .interceptor(Appends("o2", false)),
            other => panic!("component {other}: NOT_BUILT has to name it"),
        };
    }
    feign.build()?.describe(meta(case, ports, mode)).build()
}

// ===== call =====

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    id: Option<i64>,
    product: Option<String>,
    qty: Option<i64>,
}

fn give(call: &mut Call, parameter: u16, described: &ParameterOf, argument: &Value, ports: &Ports) {
    let value = plain(argument);
    let is_list = value.is_array();
    match described.place.as_str() {
        "path" => match &value {
            Value::Null => call.value(parameter, &None::<String>),
            Value::Array(_) => call.path(parameter, &texts(&value).into_iter().flatten().collect::<Vec<String>>()),
            one => call.path(parameter, &text(one)),
        },
        "query" | "header" if is_list => call.value(parameter, &texts(&value)),
        "query" | "header" => call.value(parameter, &texts(&value).pop().flatten()),
        "query_map" => call.query_map(parameter, &value),
        "header_map" => call.header_map(parameter, &value),
        "uri" => call.uri(parameter, &ports.fill(&text(&value))),
        "options" => {
            let number = |name: &str| value[name].as_u64().map(Duration::from_millis);
            let mut options = CallOptions::new();
            if let Some(limit) = number("connect_timeout_ms") {
                options = options.connect_timeout(limit);
            }
            if let Some(limit) = number("read_timeout_ms") {
                options = options.read_timeout(limit);
            }
            call.options(parameter, &options);
        }
        _ => {
            let body = match described.type_name.as_str() {
                "byte[]" => (&&&BodyOf(&Bytes::from(crate::value::base64(&text(&value))))).body(),
                "String" => (&&&BodyOf(&value.as_str().map(str::to_owned))).body(),
                _ if value.is_null() => (&&&BodyOf(&None::<Value>)).body(),
                _ => (&&&BodyOf(&value)).body(),
            };
            call.body(parameter, body);
        }
    }
}

/// What came back, in the notation of the recordings.
pub(crate) type Outcome = Result<Value, Error>;

/// Makes the call of a case.
pub(crate) async fn run(case: &Case, client: &Client, ports: &Ports) -> Outcome {
    let mut call = client.call(0);
    for (position, described) in case.method.parameters.iter().enumerate() {
        let argument = case.arguments.get(position).unwrap_or(&Value::Null);
        give(&mut call, u16::try_from(position).unwrap(), described, argument, ports);
    }
    async fn send<T: Send>(call: Call, shape: Shape<T>, show: fn(T) -> Value) -> Outcome {
        call.send::<vernal_feign::Result<T>>(shape).await.map(show)
    }
    fn some<T>(value: Option<T>, show: fn(T) -> Value) -> Value {
        value.map_or_else(|| json!({"$none": true}), |value| json!({"$some": show(value)}))
    }
    match case.method.returns.as_str() {
        "void" => send(call, (&&&Returning::<()>::new()).shape(), |()| Value::Null).await,
        "String" => send(call, (&&&Returning::<String>::new()).shape(), Value::from).await,
        "byte[]" => {
            send(call, (&&&Returning::<Bytes>::new()).shape(), |bytes| json!({"$base64": to_base64(&bytes)})).await
        }
        "Resource" => {
            let show = |bytes: Bytes| json!({"$resource": String::from_utf8_lossy(&bytes)});
            send(call, (&&&Returning::<Bytes>::new()).shape(), show).await
        }
        "Response" => send(call, (&&&Returning::<http::Response<Bytes>>::new()).shape(), show_response).await,
        "Order" => send(call, (&&&Returning::<Order>::new()).shape(), |order| json!(order)).await,
        "Integer" | "Long" => send(call, (&&&Returning::<i64>::new()).shape(), Value::from).await,
        "Double" => send(call, (&&&Returning::<f64>::new()).shape(), Value::from).await,
        "Boolean" => send(call, (&&&Returning::<bool>::new()).shape(), Value::from).await,
        "Optional<Order>" => {
            send(call, (&&&Returning::<Option<Order>>::new()).shape(), |order| some(order, |order| json!(order))).await
        }
        "Optional<String>" => {
            send(call, (&&&Returning::<Option<String>>::new()).shape(), |text| some(text, Value::from)).await
        }
        optional if optional.starts_with("Optional<") => {
            send(call, (&&&Returning::<Option<Value>>::new()).shape(), |value| some(value, |value| value)).await
        }
        "List<Order>" => send(call, (&&&Returning::<Vec<Order>>::new()).shape(), |orders| json!(orders)).await,
        list if list.starts_with("List<") => send(call, (&&&Returning::<Vec<Value>>::new()).shape(), Value::from).await,
        map if map.starts_with("Map<") => {
            let shape = (&&&Returning::<serde_json::Map<String, Value>>::new()).shape();
            send(call, shape, Value::Object).await
        }
        _ => send(call, (&&&Returning::<Value>::new()).shape(), |value| value).await,
    }
}

fn show_response(response: http::Response<Bytes>) -> Value {
    let headers = headers(response.headers());
    json!({"$response": {
        "status": response.status().as_u16(),
        "headers": headers,
        "body": String::from_utf8_lossy(response.body()),
    }})
}

/// Lower-case names, the values of a repeated one last first: as the JDK hands them over.
pub(crate) fn headers(headers: &http::HeaderMap) -> Value {
    let mut out = BTreeMap::new();
    for name in headers.keys() {
        let values: Vec<String> = headers
            .get_all(name)
            .iter()
            .map(|value| value.as_bytes().iter().map(|b| char::from(*b)).collect())
            .collect();
        out.insert(name.as_str().to_owned(), values.into_iter().rev().collect::<Vec<String>>());
    }
    json!(out)
}
