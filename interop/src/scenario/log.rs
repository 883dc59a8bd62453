//! The lines of Feign's log at FULL: theirs and ours for the same exchange.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use vernal::feign::{Error, feign_client};
use vernal_testkit::logs::Logs;

use super::discovery::{until_found, until_there_are};
use crate::check::{Outcome, Side, within};
use crate::client::{self, EchoClient, EchoClientFeign};
use crate::ours::Ours;
use crate::peers::{Peer, Peers};
use crate::web::{Answer, Web};

/// A file is written when it suits its writer.
const WRITTEN: Duration = Duration::from_secs(10);
/// What must not be seen in our log.
const SECRET: &str = "c0nfidential";
const UNSAFE: (&str, &str) = ("spring.cloud.openfeign.client.config.default.log-unsafe", "true");
const ORDERS_LOG: &str = concat!(module_path!(), "::OrderServiceClient");

/// The same description as in the peers' user service, so that the log lines begin alike.
#[feign_client("order-service", context_id = "interop-orders")]
pub(crate) trait OrderServiceClient {
    /// The orders of a user.
    #[get("/order-service/{user_id}/orders")]
    async fn get_orders(&self, user_id: &str) -> vernal::feign::Result<Vec<Order>>;

    /// A path that the order service does not know.
    #[get("/order-service/{user_id}/orders_ng")]
    async fn get_orders_from_a_wrong_path(&self, user_id: &str) -> vernal::feign::Result<Vec<Order>>;
}

/// An order, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Order {
    product_id: String,
    total_price: u64,
}

/// Without a body in the request.
pub(super) async fn of_a_get(peers: &dyn Peers) -> Outcome {
    let (web, orders) = (Web::new()?, new_user(peers).await?);
    peers.place_order(&orders.user_id).await?;
    let (theirs, their_lines) = logged_by_theirs(peers, web.get(&format!("{}?via=feign", orders.url))).await?;
    let theirs: Vec<Order> = serde_json::from_value(theirs.expect(200, "their orders")?.json)?;
    let ours = Ours::start(peers, "interop-log", &[]).await?;
    let client: OrderServiceClientFeign = ours.app.feign()?;
    let (orders, logs) = logged(client.get_orders(&orders.user_id)).await;
    let expected = vec![Order { product_id: "CATALOG-001".to_owned(), total_price: 3000 }];
    Side::Peer.same("the orders as theirs read them", expected.clone(), theirs)?;
    Side::Ours.same("the orders as ours read them", expected, orders?)?;
    same(&their_lines, &logs.messages(ORDERS_LOG))?;
    ours.stop().await;
    Ok(())
}

/// With a body and headers; what is secret is hidden in our log unless that is switched off.
pub(super) async fn of_a_body(peers: &dyn Peers) -> Outcome {
    let body = body();
    let (answer, their_lines) = mirrored_by_theirs(peers, 200, &body).await?;
    let answer = answer.expect(200, "their call")?;
    Side::Peer.same("the body that came back to theirs", &body, &answer.json)?;
    let told = their_lines.iter().filter(|line| line.contains(SECRET)).count();
    Side::Peer.same("lines of theirs with the secret", 2, told)?;

    let ours = Ours::start(peers, "interop-log-unsafe", &[UNSAFE]).await?;
    let (mirrored, logs) = logged(mirrored_by_ours(&ours.app.feign()?, 200, &body)).await;
    Side::Ours.same("the body that came back to ours", body.to_string(), mirrored?)?;
    same(&their_lines, &logs.messages(client::LOG))?;
    ours.stop().await;

    let ours = Ours::start(peers, "interop-log-safe", &[]).await?;
    let (mirrored, logs) = logged(mirrored_by_ours(&ours.app.feign()?, 200, &body)).await;
    Side::Ours.same("the body that came back to ours", body.to_string(), mirrored?)?;
    same(&hidden(&their_lines), &logs.messages(client::LOG))?;
    Side::Ours.holds(!logs.contain(SECRET), "all that was logged", "no secret", logs.records())?;
    ours.stop().await;
    Ok(())
}

/// Answered with an error that has a body.
pub(super) async fn of_errors(peers: &dyn Peers) -> Outcome {
    let body = body();
    let ours = Ours::start(peers, "interop-log-errors", &[]).await?;
    let client: EchoClientFeign = ours.app.feign()?;
    for status in [404, 500] {
        let (answer, their_lines) = mirrored_by_theirs(peers, status, &body).await?;
        // Their error decoder makes 502 of all but missing orders.
        answer.expect(502, "their call")?;
        let (mirrored, logs) = logged(mirrored_by_ours(&client, status, &body)).await;
        let error = mirrored.err().ok_or("no error")?;
        Side::Ours.same("the status of our error", Some(status), status_of(&error))?;
        let text = body.to_string();
        Side::Ours.same("the body of our error", Some(text.as_bytes()), error.body().map(|body| &**body))?;
        Side::Ours.holds(!error.to_string().contains(SECRET), "our error", "no secret", &error)?;
        same(&hidden(&their_lines), &logs.messages(client::LOG))?;
        Side::Ours.holds(!logs.contain(SECRET), "all that was logged", "no secret", logs.records())?;
    }

    // Written by the server itself.
    let (web, orders) = (Web::new()?, new_user(peers).await?);
    let (answer, their_lines) = logged_by_theirs(peers, web.get(&format!("{}?via=wrong", orders.url))).await?;
    answer.expect(404, "their call to a wrong path")?;
    let client: OrderServiceClientFeign = ours.app.feign()?;
    let (answer, logs) = logged(client.get_orders_from_a_wrong_path(&orders.user_id)).await;
    Side::Ours.same("the status of our error", Some(404), answer.err().as_ref().and_then(status_of))?;
    same(&their_lines, &logs.messages(ORDERS_LOG))?;
    ours.stop().await;
    Ok(())
}

/// Of a connection that nobody takes. Where Java has a stack trace, ours has the chain of causes (feign.md 4.3).
pub(super) async fn of_a_refused_connection(peers: &dyn Peers) -> Outcome {
    let service = "interop-refused";
    // Bound and not listening: refused, and nobody else gets the port.
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    let port = socket.local_addr()?.port();
    let registry = format!("{}/apps/{service}", peers.url(Peer::Registry)?);
    let web = Web::new()?;
    web.post_json(&registry, &instance(service, port)).await.expect(204, "a registration")?;
    let outcome = refused(peers, service).await;
    web.delete(&format!("{registry}/{service}:{port}")).await.expect(200, "its end")?;
    outcome
}

async fn refused(peers: &dyn Peers, service: &str) -> Outcome {
    until_found(peers, service).await?;
    let url = format!("{}/calls/{service}", peers.url(Peer::User)?);
    let (web, call) = (Web::new()?, json!({"path": "x"}));
    let (answer, their_lines) = logged_by_theirs(peers, web.post_json(&url, &call)).await?;
    Side::Peer.holds(answer.status >= 500, "what their caller gets", "an error", &answer)?;

    let ours = Ours::start(peers, "interop-log-refused", &[("interop.echo", service)]).await?;
    until_there_are(&ours, service, 1).await?;
    let client: EchoClientFeign = ours.app.feign()?;
    let (answer, logs) = logged(client.echo("x", &[], None)).await;
    let error = answer.err().ok_or("no error")?;
    Side::Ours.holds(error.is_connect(), "our error", "a connection that is refused", &error)?;
    let (their_head, their_trace) = trace(&their_lines);
    let our_lines: Vec<String> =
        logs.messages(client::LOG).iter().flat_map(|line| line.lines()).map(str::to_owned).collect();
    let (our_head, our_trace) = trace(&our_lines);
    same(&their_head, &our_head)?;
    let frame = |line: &String| ["\tat ", "\t... ", "Caused by: "].iter().any(|start| line.starts_with(start));
    // It ends with a line break of its own.
    let frames = their_trace.iter().all(|line| frame(line) || line.is_empty());
    Side::Peer.holds(frames && !their_trace.is_empty(), "the rest of their event", "a stack trace", &their_trace)?;
    let causes = our_trace.iter().all(|line| line.starts_with("Caused by: "));
    Side::Ours.holds(causes && !our_trace.is_empty(), "the rest of our event", "the causes", &our_trace)?;
    ours.stop().await;
    Ok(())
}

/// What a service on this port tells the registry.
fn instance(service: &str, port: u16) -> Value {
    json!({"instance": {
        "instanceId": format!("{service}:{port}"),
        "app": service.to_uppercase(),
        "vipAddress": service,
        "hostName": "127.0.0.1",
        "ipAddr": "127.0.0.1",
        "port": {"$": port, "@enabled": "true"},
        "securePort": {"$": 443, "@enabled": "false"},
        "status": "UP",
        "dataCenterInfo": {"@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn"},
        "leaseInfo": {"renewalIntervalInSecs": 30, "durationInSecs": 90},
    }})
}

/// The first lines of events, and those that continue one.
fn trace(lines: &[String]) -> (Vec<String>, Vec<String>) {
    lines.iter().cloned().partition(|line| line.starts_with('['))
}

/// A user of theirs, and where their orders are.
struct Orders {
    user_id: String,
    url: String,
}

async fn new_user(peers: &dyn Peers) -> Outcome<Orders> {
    let email = format!("{}@example.org", vernal::commons::random::Random::new().next_u64());
    let user = json!({"email": email, "name": "Ada", "pwd": "longenough"});
    let users = format!("{}/users", peers.url(Peer::User)?);
    let user = Web::new()?.post_json(&users, &user).await.expect(201, "the user could not be created")?;
    let user_id = user.json["userId"].as_str().unwrap_or_default().to_owned();
    Ok(Orders { url: format!("{users}/{user_id}/orders"), user_id })
}

fn body() -> Value {
    json!({"productId": "CATALOG-001", "qty": 2, "note": "ü \"so\"\nnext"})
}

async fn mirrored_by_theirs(peers: &dyn Peers, status: u16, body: &Value) -> Outcome<(Answer, Vec<String>)> {
    let url = format!("{}/calls/order-service", peers.url(Peer::User)?);
    let call = json!({"path": status.to_string(), "query": [SECRET], "header": "plain",
        "authorization": format!("Bearer {SECRET}"), "body": body.to_string()});
    let web = Web::new()?;
    logged_by_theirs(peers, web.post_json(&url, &call)).await
}

async fn mirrored_by_ours(client: &EchoClientFeign, status: u16, body: &Value) -> vernal::feign::Result<String> {
    client.mirror(status, &[SECRET], Some("plain"), Some(&format!("Bearer {SECRET}")), body).await
}

fn status_of(error: &Error) -> Option<u16> {
    error.status().map(|status| status.as_u16())
}

/// What ends, and what was logged on this thread meanwhile.
async fn logged<T>(exchange: impl Future<Output = T>) -> (T, Logs) {
    let logs = Logs::new();
    let guard = logs.capture();
    let outcome = exchange.await;
    drop(guard);
    (outcome, logs)
}

/// What ends, and the lines that their client logged because of it.
async fn logged_by_theirs(peers: &dyn Peers, exchange: impl Future<Output = Answer>) -> Outcome<(Answer, Vec<String>)> {
    let before = peers.feign_log().await?.len();
    let answer = exchange.await;
    let lines = within(WRITTEN, async || {
        let lines = peers.feign_log().await?.split_off(before);
        let whole = lines.last().is_some_and(|line| line.contains("<--- END "));
        Side::Peer.holds(whole, "the lines that theirs logged", "an exchange", &lines)?;
        Ok(lines)
    });
    Ok((answer, lines.await?))
}

fn same(their_lines: &[String], our_lines: &[String]) -> Outcome {
    Side::Ours.holds(our_lines.len() > 3, "the lines that ours logged", "more than three", our_lines)?;
    let expected = comparable(&without_keep_alive(their_lines));
    Side::Ours.same("the lines for the same exchange", expected, comparable(our_lines))
}

/// Lines without what differs from one exchange to the next: the time that it took, and the date's value.
fn comparable(lines: &[String]) -> Vec<String> {
    let lines = lines.iter().map(|line| match line.rsplit_once(" (") {
        Some((start, end)) if end.ends_with("ms)") => format!("{start} (?ms)"),
        _ => replaced(&replaced(line, "\"timestamp\":\"", "\"", "?"), "] date: ", "\n", "?"),
    });
    lines.collect()
}

/// Their lines without those that only they have: Tomcat adds `Connection` and `Keep-Alive` for a client that asks for
/// them, as the JDK's does and ours does not.
fn without_keep_alive(lines: &[String]) -> Vec<String> {
    let text = |line: &String| line.split_once("] ").map_or(String::new(), |(_, text)| text.to_ascii_lowercase());
    let added = |line: &String| {
        let text = text(line);
        text == "connection: keep-alive" || text.starts_with("keep-alive: ")
    };
    lines.iter().filter(|line| !added(line)).cloned().collect()
}

/// Their lines as ours are with what is secret hidden.
fn hidden(lines: &[String]) -> Vec<String> {
    let line =
        |line: &String| replaced(&replaced(line, "Authorization: ", "\n", "<hidden>"), "token=", " ", "<hidden>");
    lines.iter().map(line).collect()
}

/// The text with what stands between `before` and `after`, or the end, replaced.
fn replaced(text: &str, before: &str, after: &str, by: &str) -> String {
    let Some((start, rest)) = text.split_once(before) else { return text.to_owned() };
    let end = rest.find(after).map_or("", |at| &rest[at..]);
    format!("{start}{before}{by}{end}")
}
