//! What Spring Cloud OpenFeign was recorded doing, done by the runtime from the same descriptions.
//!
//! The recordings are in `tests/fixtures/feign`, or in `$VERNAL_FIXTURES/feign`. A case passes when request, result or
//! error, and log lines are the recorded ones; or when they are what a deliberate deviation gives (`rules.rs`, listed
//! in the crate's docs). Everything else fails.

#![allow(clippy::unwrap_used, clippy::needless_borrow, reason = "a test; references choose how arguments are sent")]

mod case;
mod log;
mod rules;
mod server;
mod settings;
mod value;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use vernal_feign::{Error, ErrorKind, Phase};
use vernal_testkit::logs::Logs;

use case::{Case, Mode, Outcome, Ports};
use rules::{Kind, NOT_BUILT, Ours};
use server::{Seen, Server};

const FAMILIES: [&str; 25] = [
    "requests/path",
    "requests/query",
    "requests/header",
    "requests/body",
    "requests/verb",
    "requests/response",
    "requests/defaults",
    "requests/join",
    "requests/redirect",
    "requests/form",
    "requests/matrix",
    "requests/compression",
    "errors/status",
    "errors/body",
    "errors/decode",
    "errors/seed-decoder",
    "errors/io",
    "errors/timeout",
    "logs/none",
    "logs/basic",
    "logs/headers",
    "logs/full",
    "logs/timeout",
    "logs/retry",
    "loadbalance/lb",
];

#[derive(Debug)]
enum Verdict {
    Passed,
    Deviated(&'static str),
    NotBuilt(&'static str),
    Failed(String),
}

/// Everything that could be seen of a call.
struct Observed {
    /// Of the first call.
    outcome: Outcome,
    /// Of the further calls, if the case has some.
    more: Vec<Outcome>,
    built: bool,
    seen: Vec<Seen>,
    log: Vec<String>,
    ports: Ports,
}

#[derive(Default)]
struct Tally {
    run: usize,
    passed: usize,
    deviations: BTreeMap<&'static str, usize>,
    not_built: BTreeMap<&'static str, usize>,
}

#[tokio::test]
async fn openfeign_is_reproduced() {
    let root = std::env::var_os("VERNAL_FIXTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), PathBuf::from)
        .join("feign");
    let only = std::env::var("VERNAL_CASE").ok();
    let refused = refused_port();
    let (blackhole, _queue) = blackhole_port().await;
    let mut total = Tally::default();
    let mut failures = Vec::new();
    for family in FAMILIES {
        let path = root.join(family).with_extension("json");
        let cases: Vec<Case> = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => panic!("{}: {error}", path.display()),
        };
        let mut tally = Tally::default();
        for case in cases.iter().filter(|case| only.as_ref().is_none_or(|only| *only == case.case)) {
            let verdict = judge(case, refused, blackhole).await;
            if only.is_some() {
                println!("{}: {verdict:?}", case.case);
            }
            tally.run += 1;
            match verdict {
                Verdict::Passed => tally.passed += 1,
                Verdict::Deviated(tag) => *tally.deviations.entry(tag).or_default() += 1,
                Verdict::NotBuilt(what) => *tally.not_built.entry(what).or_default() += 1,
                Verdict::Failed(why) => failures.push(format!("{family} {}: {why}", case.case)),
            }
        }
        tally.print(family);
        total.add(tally);
    }
    total.print("feign");
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.run += other.run;
        self.passed += other.passed;
        other.deviations.into_iter().for_each(|(tag, count)| *self.deviations.entry(tag).or_default() += count);
        other.not_built.into_iter().for_each(|(what, count)| *self.not_built.entry(what).or_default() += count);
    }

    fn print(&self, name: &str) {
        let list = |counts: &BTreeMap<&str, usize>| {
            counts.iter().map(|(name, count)| format!("{name}: {count}")).collect::<Vec<_>>().join(", ")
        };
        let line = format!(
            "{name}: {} run, {} passed, deviations [{}], not built [{}]\n",
            self.run,
            self.passed,
            list(&self.deviations),
            list(&self.not_built)
        );
        // Not through `print!`, which the harness swallows: the counts are to be read.
        std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes()).unwrap();
    }
}

/// A port where nobody listens.
fn refused_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A port whose queue of connections is full, so that connecting hangs.
async fn blackhole_port() -> (u16, impl Sized) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    for _ in 0..8 {
        let connect = tokio::net::TcpStream::connect(address);
        match tokio::time::timeout(std::time::Duration::from_millis(100), connect).await {
            Ok(stream) => queue.push(stream.unwrap()),
            Err(_) => break,
        }
    }
    (address.port(), (listener, queue))
}

async fn observe(case: &Case, refused: u16, blackhole: u16, mode: Mode) -> Observed {
    let a = Server::start(case.canned_responses.clone()).await;
    let two = case.config.contains_key("instances") && case.canned_responses_b.is_empty();
    let b = Server::start(if two { &case.canned_responses } else { &case.canned_responses_b }.clone()).await;
    let port_a = if case.config.contains_key("instance_a") { refused } else { a.address.port() };
    let ports = Ports { a: port_a, b: b.address.port(), refused, blackhole };
    let further = case.expect_outcomes.as_ref().map_or(0, |outcomes| outcomes.len().saturating_sub(1));
    let mut more = Vec::new();
    let logs = Logs::new();
    let guard = logs.capture();
    let (outcome, built) = match case::client(case, &ports, mode) {
        Ok(client) => {
            let first = case::run(case, &client, &ports).await;
            for _ in 0..further {
                more.push(case::run(case, &client, &ports).await);
            }
            (first, true)
        }
        Err(error) => (Err(error), false),
    };
    drop(guard);
    let log = logs.messages("vernal_feign").into_iter().filter(|line| line.starts_with('[')).collect();
    // Which of two instances was asked first is chance, in the recordings too; all requests of these cases are alike.
    let (mut seen, at_b) = (a.seen(), b.seen());
    if further > 0 && two && port_a != refused {
        assert!(seen.len().abs_diff(at_b.len()) <= 1, "{} and {} requests", seen.len(), at_b.len());
    }
    seen.extend(at_b);
    Observed { outcome, more, built, seen, log, ports }
}

async fn judge(case: &Case, refused: u16, blackhole: u16) -> Verdict {
    if let Some((what, _)) = NOT_BUILT.iter().find(|(_, applies)| applies(case)) {
        return Verdict::NotBuilt(what);
    }
    let deviation = rules::deviation(case);
    if let Some((tag, Ours::NotExpressible)) = deviation {
        return Verdict::Deviated(tag);
    }
    let none = Ports { a: 0, b: 0, refused, blackhole };
    let key = case::meta(case, &none, Mode::Ours).methods[0].key(&case.client.trait_name);
    if key != case.method.key {
        return Verdict::Failed(format!("method key `{key}` instead of `{}`", case.method.key));
    }
    let observed = observe(case, refused, blackhole, Mode::Ours).await;
    let difference = match compare(case, &observed) {
        Ok(None) => return Verdict::Passed,
        Ok(Some(tag)) => return Verdict::Deviated(tag),
        Err(difference) => difference,
    };
    let Some((tag, ours)) = deviation else { return Verdict::Failed(difference) };
    if let Err(why) = deviates(case, &observed, &ours) {
        return Verdict::Failed(format!("{difference}; as deviation {tag}: {why}"));
    }
    if matches!(ours, Ours::Target(_)) && rules::switch_restores(case) {
        let compatible = observe(case, refused, blackhole, Mode::Compatible).await;
        let line = compatible.seen.first().map(|request| request.line.clone());
        if line.as_deref() != case.expect_requests.first().and_then(|request| request["line"].as_str()) {
            return Verdict::Failed(format!("the compatibility switches give {line:?}"));
        }
    }
    Verdict::Deviated(tag)
}

// ===== equality =====

/// `Ok(Some(tag))` if only what must be hidden differs, or what the JDK sends again.
fn compare(case: &Case, observed: &Observed) -> Result<Option<&'static str>, String> {
    let mut tag = requests(case, observed)?;
    match &case.expect_outcomes {
        None => {
            outcome(case, case.expect_error.as_ref(), case.expect_result.as_ref(), &observed.outcome, &observed.ports)?
        }
        Some(all) => {
            for (recorded, ours) in all.iter().zip(std::iter::once(&observed.outcome).chain(&observed.more)) {
                outcome(case, recorded.get("expect_error"), recorded.get("expect_result"), ours, &observed.ports)?;
            }
        }
    }
    if log::compare(case, observed, 0)? {
        tag = Some("4.5");
    }
    Ok(tag)
}

/// The requests are the recorded ones; with a tag where the JDK sends one again.
fn requests(case: &Case, observed: &Observed) -> Result<Option<&'static str>, String> {
    let resent = case.canned_responses.first().is_some_and(|answer| answer.action.is_some());
    let (tag, expected): (_, Vec<&Value>) = match (resent, case.expect_requests.as_slice()) {
        // The JDK sends a request without body again when the peer closes (spec 1); ours does not.
        (true, [first, _]) => (Some("1"), vec![first]),
        (_, all) => (None, all.iter().collect()),
    };
    if observed.seen.len() != expected.len() {
        let error = observed.outcome.as_ref().err();
        return Err(format!("{} requests instead of {} ({error:?})", observed.seen.len(), expected.len()));
    }
    for (ours, recorded) in observed.seen.iter().zip(expected) {
        request(case, ours, recorded)?;
    }
    Ok(tag)
}

fn outcome(
    case: &Case,
    error: Option<&Value>,
    result: Option<&Value>,
    ours: &Outcome,
    ports: &Ports,
) -> Result<(), String> {
    match (error, ours) {
        (Some(recorded), Err(error)) => error_equals(case, error, recorded, ports),
        (None, Ok(value)) => {
            let recorded = normal(result.cloned().unwrap_or(Value::Null));
            if *value == recorded { Ok(()) } else { Err(format!("result {value} instead of {recorded}")) }
        }
        (recorded, outcome) => Err(format!("outcome {outcome:?} instead of {recorded:?}")),
    }
}

/// The reason phrase of an undecoded response is not part of ours.
fn normal(mut value: Value) -> Value {
    if let Some(response) = value.get_mut("$response").and_then(Value::as_object_mut) {
        response.shift_remove("reason");
    }
    value
}

fn request(case: &Case, ours: &Seen, recorded: &Value) -> Result<(), String> {
    let line = recorded["line"].as_str().unwrap_or_default();
    if !same_line(case, &ours.line, line) {
        return Err(format!("request `{}` instead of `{line}`", ours.line));
    }
    headers_and_body(ours, recorded)
}

fn headers_and_body(ours: &Seen, recorded: &Value) -> Result<(), String> {
    let recorded_headers: Vec<(String, String)> = recorded["headers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|pair| (pair[0].as_str().unwrap_or_default().to_owned(), pair[1].as_str().unwrap_or_default().to_owned()))
        .collect();
    let (ours_headers, recorded_headers) = (own_headers(&ours.headers), own_headers(&recorded_headers));
    if ours_headers != recorded_headers {
        return Err(format!("headers {ours_headers:?} instead of {recorded_headers:?}"));
    }
    let body = match recorded["body_base64"].as_str() {
        Some(text) => value::base64(text),
        None => recorded["body"].as_str().unwrap_or_default().as_bytes().to_vec(),
    };
    if ours.body != body {
        return Err(format!(
            "body {:?} instead of {:?}",
            String::from_utf8_lossy(&ours.body),
            String::from_utf8_lossy(&body)
        ));
    }
    Ok(())
}

/// The pairs of maps and structs come in any order.
fn same_line(case: &Case, ours: &str, recorded: &str) -> bool {
    if ours == recorded {
        return true;
    }
    let any_order = case.method.parameters.iter().any(|parameter| parameter.place == "query_map")
        || case.config.keys().any(|name| name.contains("defaultQueryParameters"));
    let sorted = |line: &str| {
        let (path, query) = line.trim_end_matches(" HTTP/1.1").split_once('?')?;
        let mut pairs: Vec<String> = query.split('&').map(str::to_owned).collect();
        pairs.sort();
        Some((path.to_owned(), pairs))
    };
    any_order && sorted(ours).is_some() && sorted(ours) == sorted(recorded)
}

/// Without what belongs to the transport; names in lower case, sorted, values of one name in their order.
fn own_headers(headers: &[(String, String)]) -> Vec<(String, String)> {
    let mut own: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .filter(|(name, value)| match name.as_str() {
            "host" | "connection" | "content-length" | "transfer-encoding" => false,
            "accept" => value != "*/*",
            "user-agent" => !value.starts_with("Java/") && !value.starts_with("vernal-feign/"),
            _ => true,
        })
        .collect();
    own.sort_by(|a, b| a.0.cmp(&b.0));
    own
}

fn error_equals(case: &Case, error: &Error, recorded: &Value, ports: &Ports) -> Result<(), String> {
    let class = recorded["type"].as_str().unwrap_or_default();
    let message = recorded["message"].as_str().map(|text| log::without_secrets(&ports.fill(text)));
    let fail = |what: &str| Err(format!("{what}: {error:?} instead of {recorded}"));
    let same_status = || match recorded["status"].as_i64() {
        Some(-1) | None => error.status().is_none(),
        Some(status) => error.status().is_some_and(|ours| i64::from(ours.as_u16()) == status),
    };
    match class {
        // What Spring Framework or the reflection of Java wraps around: the cause counts.
        "java.lang.reflect.UndeclaredThrowableException" if recorded["cause"]["type"] == "java.lang.Exception" => {
            let decoded = error.decoded::<case::Seed>().map(|seed| seed.0.as_str());
            if decoded != recorded["cause"]["message"].as_str() {
                return fail("decoded error");
            }
        }
        "org.springframework.web.server.ResponseStatusException" => {
            if error.decoded::<case::Seed>().map(|seed| seed.0.clone()) != message {
                return fail("decoded error");
            }
        }
        "java.lang.IllegalArgumentException" if message.as_deref().is_some_and(|text| text.starts_with("Value ")) => {
            if Some(error.to_string()) != message || error.kind() != ErrorKind::InvalidPathValue {
                return fail("error");
            }
        }
        "feign.codec.DecodeException" => {
            if error.kind() != ErrorKind::Decode || !same_status() {
                return fail("error");
            }
        }
        "feign.codec.EncodeException" => {
            if error.kind() != ErrorKind::Encode {
                return fail("error");
            }
        }
        // What a description cannot say is refused when the client is built, there and here.
        class if class.starts_with("java.lang.Illegal") && error.kind() == ErrorKind::Config => {}
        class if class.starts_with("feign.") => {
            if Some(error.to_string()) != message || !same_status() {
                return fail(&format!("message `{error}` or status {:?}", error.status()));
            }
            if let Some(body) = recorded["body"].as_str() {
                let ours = error.body().map(|body| String::from_utf8_lossy(body).into_owned());
                if ours.as_deref() != Some(body) {
                    return fail(&format!("body {ours:?}"));
                }
            }
            let headers = &recorded["headers"];
            if let (Some(ours), false) = (error.headers(), recorded["body"].is_null())
                && headers.as_object().is_some_and(|headers| !headers.is_empty())
                && case::headers(ours) != *headers
            {
                return fail(&format!("headers {ours:?}"));
            }
            retry_after(error, recorded)?;
        }
        _ => return Err(format!("error {error:?} instead of {recorded} (case {})", case.case)),
    }
    Ok(())
}

fn retry_after(error: &Error, recorded: &Value) -> Result<(), String> {
    let Some(expected) = recorded["retry_after_ms_from_now"].as_i64() else { return Ok(()) };
    let now = vernal_commons::clock::now();
    let ours = match error.retry_after() {
        Some(date) => match date.duration_since(now) {
            Ok(ahead) => i64::try_from(ahead.as_millis()).unwrap(),
            Err(past) => -i64::try_from(past.duration().as_millis()).unwrap(),
        },
        None => return Err(format!("no retry-after instead of {expected} ms")),
    };
    // The recorded number is rounded to a second, and a little time has passed.
    if (ours - expected).abs() > 2_000 { Err(format!("retry after {ours} ms instead of {expected}")) } else { Ok(()) }
}

// ===== deviations =====

fn deviates(case: &Case, observed: &Observed, ours: &Ours) -> Result<(), String> {
    let seen = observed.seen.len();
    let first = observed.seen.first();
    let kind = observed.outcome.as_ref().err().map(Error::kind);
    let check = |holds: bool, what: &str| {
        if holds { Ok(()) } else { Err(format!("{what}; outcome {:?}, {seen} requests {first:?}", observed.outcome)) }
    };
    match ours {
        Ours::NotExpressible => Ok(()),
        Ours::Refused => check(!observed.built && seen == 0, "the client was not refused"),
        Ours::Fails(expected) => {
            check(kind == Some(*expected) && seen == 0, "the call did not fail before it was sent")
        }
        Ours::Target(target) => {
            let line = format!("{} {target} HTTP/1.1", case.method.verb());
            check(first.is_some_and(|request| same_line(case, &request.line, &line)), &format!("expected `{line}`"))?;
            check(observed.outcome.is_ok() == case.expect_result.is_some(), "another outcome")?;
            if let (Some(ours), Some(recorded)) = (first, case.expect_requests.first()) {
                headers_and_body(ours, recorded)?;
            }
            // The first line shows the target.
            log::compare(case, observed, 1).map(|_| ())
        }
        Ours::Headers(replaced) => {
            let headers = first.map(|request| own_headers(&request.headers)).unwrap_or_default();
            let names: Vec<&String> = replaced.iter().map(|(name, _)| name).collect();
            let ours: Vec<_> = headers.into_iter().filter(|(name, _)| names.contains(&name)).collect();
            check(ours == *replaced && observed.outcome.is_ok(), &format!("headers {ours:?} instead of {replaced:?}"))
        }
        Ours::Sends => {
            let line = format!("{} {} HTTP/1.1", case.method.verb(), rules::target(case));
            let sent = first.is_some_and(|request| request.line == line);
            check(sent && observed.outcome.is_ok(), &format!("expected `{line}`"))
        }
        Ours::Value(value) => {
            check(observed.outcome.as_ref().ok() == Some(value), &format!("expected {value}"))?;
            requests(case, observed)?;
            log::compare(case, observed, 0).map(|_| ())
        }
        Ours::ErrorAfter(expected) => {
            // Up to here the exchange is the recorded one.
            if matches!(expected, Kind::Decode | Kind::Status) {
                log::compare(case, observed, 0)?;
            }
            if *expected != Kind::Connect {
                requests(case, observed)?;
            }
            let matches = match (kind, expected) {
                (Some(ErrorKind::Decode), Kind::Decode) | (Some(ErrorKind::Io), Kind::Io) => true,
                (Some(ErrorKind::Status(_)), Kind::Status) => true,
                (Some(ErrorKind::Connect | ErrorKind::Timeout(Phase::Connect)), Kind::Connect) => true,
                // The text is Feign's, though the error is not a 503.
                (Some(ErrorKind::NoInstance), Kind::NoInstance) => {
                    let recorded = case.expect_error.as_ref();
                    let ours = observed.outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
                    match recorded.filter(|error| error["status"] == 503).and_then(|error| error["message"].as_str()) {
                        Some(recorded) => ours == recorded,
                        None => ours.contains("Load balancer does not contain an instance for the service"),
                    }
                }
                _ => false,
            };
            check(matches, &format!("expected {expected:?}"))
        }
        Ours::AllSucceed => {
            let calls = case.expect_outcomes.as_ref().map_or(1, Vec::len);
            let succeeded = observed.outcome.is_ok() && observed.more.iter().all(Result::is_ok);
            check(succeeded && seen == calls, "a call failed or was sent twice")
        }
        Ours::Text => check(kind == Some(ErrorKind::Io), "expected an I/O error"),
    }
}
