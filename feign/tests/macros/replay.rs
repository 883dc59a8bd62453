//! Replays a recorded call through a client made by the macro, and compares what was sent, returned and logged.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use vernal_commons::discover::{Discover, LookupError, ServiceView};
use vernal_commons::instance::ServiceInstance;
use vernal_feign::{Error, Feign, FeignBuilder, FeignClient, Result};
use vernal_testkit::logs::Logs;

use crate::clients;
use crate::server::{Canned, Seen, Server};
use crate::settings::Relaxed;
use crate::value;

/// What these tests need of a recording.
#[derive(Debug, Deserialize)]
struct Case {
    case: String,
    method: MethodOf,
    config: BTreeMap<String, Value>,
    canned_responses: Vec<Canned>,
    #[serde(default)]
    expect_requests: Vec<Expected>,
    expect_result: Option<Value>,
    expect_error: Option<ExpectedError>,
    #[serde(default)]
    expect_log: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct MethodOf {
    key: String,
    #[serde(default)]
    parameters: Vec<BTreeMap<String, Value>>,
}

#[derive(Debug, Deserialize)]
struct Expected {
    line: String,
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
}

#[derive(Debug, Deserialize)]
struct ExpectedError {
    message: String,
    status: Option<i32>,
    body: Option<String>,
}

/// `order-service`, alone, at one port.
pub(crate) struct OrderService(pub(crate) u16);

impl Discover for OrderService {
    fn lookup(&self, service_id: &str) -> Result<Arc<ServiceView>, LookupError> {
        match service_id {
            "order-service" => Ok(Arc::new(ServiceView::new([ServiceInstance::new(service_id, "127.0.0.1", self.0)]))),
            other => Err(LookupError::unknown(other)),
        }
    }

    fn services(&self) -> Vec<String> {
        vec!["order-service".to_owned()]
    }
}

/// Replays the case named `case` of `family` (`requests/path`).
pub(crate) async fn replay<C: FeignClient>(family: &str, case: &str, call: impl AsyncFnOnce(C) -> Result<Value>) {
    replay_with(family, case, |feign| feign, call).await;
}

/// As [`replay`], in a context of which `build` decides the rest.
pub(crate) async fn replay_with<C: FeignClient>(
    family: &str,
    case: &str,
    build: impl FnOnce(FeignBuilder) -> FeignBuilder,
    call: impl AsyncFnOnce(C) -> Result<Value>,
) {
    let case = read(family, case);
    let server = Server::start(case.canned_responses.clone()).await;
    let port = server.address.port();
    let refused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let fill =
        |text: &str| text.replace("${port_a}", &port.to_string()).replace("${port_refused}", &refused.to_string());

    let meta = C::meta();
    let keys: Vec<_> = meta.methods.iter().map(|method| method.key(&meta.trait_name)).collect();
    assert!(keys.contains(&case.method.key), "{}: {} is none of {keys:?}", case.case, case.method.key);

    let level = ("spring.cloud.openfeign.client.config.default.loggerLevel".to_owned(), "FULL".to_owned());
    let mut settings: Vec<(String, String)> =
        case.config.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
    settings.extend([
        level,
        ("probe.seg".to_owned(), "seg".to_owned()),
        ("probe.port".to_owned(), port.to_string()),
        ("probe.refused".to_owned(), refused.to_string()),
    ]);
    let logs = Logs::new();
    let captured = logs.capture();
    let feign = build(Feign::builder().settings(Relaxed(settings)).discover(Arc::new(OrderService(port))));
    let result = call(feign.build().unwrap().client::<C>().unwrap()).await;
    drop(captured);

    compare_requests(&case, &server.seen(), fill);
    match (&case.expect_error, result) {
        (Some(expected), Err(error)) => compare_errors(&case.case, expected, &error, fill),
        (None, Ok(value)) => assert_eq!(value, case.expect_result.clone().unwrap_or_default(), "{}", case.case),
        (_, result) => panic!("{}: {result:?}", case.case),
    }
    let logged = logs.messages(&format!("{}::{}", clients::MODULE, meta.trait_name));
    let expected: Vec<_> = case.expect_log.iter().map(|line| fill(line)).collect();
    assert_eq!(logged.len(), expected.len(), "{}: {logged:#?}", case.case);
    for (logged, expected) in logged.iter().zip(&expected) {
        let same = case.has_map() && sorted(logged) == sorted(expected);
        assert!(same || is_line(logged, expected), "{}: {logged} instead of {expected}", case.case);
    }
}

impl Case {
    fn has_map(&self) -> bool {
        self.method.parameters.iter().any(|parameter| parameter["in"] == "query_map")
    }
}

fn read(family: &str, name: &str) -> Case {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/feign").join(family).with_extension("json");
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let case = cases.into_iter().find(|case| case["case"] == name).unwrap_or_else(|| panic!("no case {name}"));
    assert!(case.get("ours_differs").is_none(), "{name} is recorded as Feign does it, not as we do");
    serde_json::from_value(case).unwrap()
}

fn compare_requests(case: &Case, seen: &[Seen], fill: impl Fn(&str) -> String) {
    assert_eq!(seen.len(), case.expect_requests.len(), "{}: {seen:?}", case.case);
    for (seen, expected) in seen.iter().zip(&case.expect_requests) {
        let (line, expected_line) = (seen.line.clone(), fill(&expected.line));
        // The order of a map's pairs is the map's.
        let (line, expected_line) =
            if case.has_map() { (sorted(&line), sorted(&expected_line)) } else { (line, expected_line) };
        assert_eq!(line, expected_line, "{}", case.case);
        assert_eq!(ours(&seen.headers), ours(&expected.headers), "{}", case.case);
        assert_eq!(String::from_utf8_lossy(&seen.body), expected.body, "{}", case.case);
    }
}

/// Headers that do not belong to the transport, by lower-case name.
fn ours(headers: &[(String, String)]) -> BTreeMap<String, Vec<String>> {
    let mut ours = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        let of_transport = ["host", "user-agent", "connection", "content-length"].contains(&name.as_str());
        if !of_transport && (name != "accept" || value != "*/*") {
            ours.entry(name).or_default().push(value.clone());
        }
    }
    ours
}

fn sorted(line: &str) -> String {
    let mut pieces: Vec<_> = line.split(['?', '&', ' ']).collect();
    pieces.sort_unstable();
    pieces.join(" ")
}

fn compare_errors(case: &str, expected: &ExpectedError, error: &Error, fill: impl Fn(&str) -> String) {
    // What a decoder makes of a response is the cause of our error, whose own text stays Feign's.
    let cause = std::error::Error::source(error).filter(|_| error.status().is_some() && expected.status.is_none());
    let message = cause.map_or_else(|| error.to_string(), ToString::to_string);
    assert_eq!(message, fill(&expected.message), "{case}");
    if let Some(status) = expected.status {
        assert_eq!(error.status().map_or(-1, |status| i32::from(status.as_u16())), status, "{case}");
    }
    if let Some(body) = &expected.body {
        assert_eq!(String::from_utf8_lossy(error.body().unwrap()), *body, "{case}");
    }
}

fn is_line(logged: &str, expected: &str) -> bool {
    match expected.split_once("${ms}") {
        Some((before, after)) => logged
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after))
            .is_some_and(|ms| !ms.is_empty() && ms.chars().all(|c| c.is_ascii_digit())),
        None => logged == expected,
    }
}

/// Bytes in the notation of the recordings.
pub(crate) fn bytes(bytes: &[u8]) -> Value {
    serde_json::json!({"$base64": value::to_base64(bytes)})
}
