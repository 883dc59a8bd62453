//! Our Feign clients and servers with odd values.

use std::time::Duration;

use serde_json::json;
use vernal::feign::ErrorKind;

use super::config::targets;
use super::discovery::until_found;
use crate::check::{Outcome, Side, within};
use crate::client::{EchoClient, EchoClientFeign};
use crate::ours::Ours;
use crate::peers::{Capability, Mark, Peer, Peers};
use crate::service::Echo;
use crate::web::{Answer, Web};

/// A file is written when it suits its writer.
const WRITTEN: Duration = Duration::from_secs(10);
/// Values of feign.md 2.4 and 2.5 that are not a single odd character.
const ODD: &[&str] = &[
    "a b",
    "a%20b",
    "a%2Cb",
    "a%2fb",
    "100%",
    "a%zz b",
    "a%20b c",
    "a+b",
    "a:b@c",
    "a;b=c,d",
    "a&b=c",
    "a?b#c",
    "[x]",
    "{x}",
    "${x}",
    "#{x}",
    "\"quoted\"",
    "it's",
    "...",
    "a..b",
    "~a_b-c.d",
    "<script>",
    "1e3",
    "null",
];
/// The same for path and query only: a header holds none of these.
const NOT_IN_A_HEADER: &[&str] = &["é", "ü ö", "日本", "😀", "\u{301}e", "a\u{a0}b", "a\tb", "a\r\nb", "\u{7f}"];

/// All that can be printed, each between two letters, so that nothing is trimmed.
fn ascii() -> impl Iterator<Item = String> {
    (' '..='~').filter(|c| !matches!(c, '/' | '\\')).map(|c| format!("a{c}b"))
}

/// What we put into path, query and header is what the controller decodes, and on the wire it is encoded once.
pub(super) async fn values(peers: &dyn Peers) -> Outcome {
    let ours = Ours::start(peers, "interop-values", &[]).await?;
    let client: EchoClientFeign = ours.app.feign()?;
    let mark = peers.mark(Peer::Order).await?;
    let mut sent = Vec::new();
    let headers = ascii().chain(ODD.iter().map(|&odd| odd.to_owned())).map(|value| (value, true));
    for (value, in_header) in headers.chain(NOT_IN_A_HEADER.iter().map(|&value| (value.to_owned(), false))) {
        let header = in_header.then_some(value.as_str());
        let echo = client.echo(&value, &[&value, "second"], header).await;
        let echo = echo.map_err(|error| format!("the call with {value:?} failed: {error}"))?;
        Side::Peer.same("the path value", value.as_str(), echo.path.as_str())?;
        Side::Peer.same(
            format!("the query of {value:?}"),
            vec![value.clone(), "second".into()],
            echo.parameter("q"),
        )?;
        let expected: Vec<String> = header.map(str::to_owned).into_iter().collect();
        Side::Peer.same(format!("the header of {value:?}"), expected, echo.header("X-Value"))?;
        sent.push(format!("/echo/{0}?q={0}&q=second", encoded(&value)));
    }
    // In a query `/` and `\` are nothing special, and empty values and lists are told apart.
    let lists: [&[&str]; 5] = [&["a/b", "c\\d", "/"], &[""], &["a", "", "b"], &["a,b", "c"], &[]];
    for list in lists {
        let echo = client.echo("lists", list, None).await?;
        Side::Peer.same("the query", list.to_vec(), echo.parameter("q"))?;
        let pairs: Vec<_> = list.iter().map(|value| format!("q={}", encoded(value))).collect();
        sent.push(format!("/echo/lists{}{}", if pairs.is_empty() { "" } else { "?" }, pairs.join("&")));
    }
    // Refused before anything is sent.
    for value in [".", "..", ""] {
        let refused = client.echo(value, &[], None).await.map_err(|error| error.kind());
        Side::Ours.same(format!("the path value {value:?}"), Err(ErrorKind::InvalidPathValue), refused)?;
    }
    let refused = client.echo("headers", &[], Some("a\r\nX-Evil: 1")).await.map_err(|error| error.kind());
    Side::Ours.same("a header with a line break", Err(ErrorKind::InvalidHeader), refused)?;
    let seen = echoed(peers, Peer::Order, mark).await?;
    for (expected, seen) in sent.iter().zip(&seen) {
        Side::Peer.same("the request line", expected, seen)?;
    }
    Side::Peer.same("the number of requests", sent.len(), seen.len())?;
    ours.stop().await;
    Ok(())
}

/// Tomcat refuses an encoded `/` or `\` in a path, and the caller is told. No filter of the service sees the request.
pub(super) async fn solidus_is_refused(peers: &dyn Peers) -> Outcome {
    let ours = Ours::start(peers, "interop-solidus", &[]).await?;
    let client: EchoClientFeign = ours.app.feign()?;
    let mark = peers.mark(Peer::Order).await?;
    for value in ["a/b", "/", "a\\b"] {
        let answer = client.echo(value, &[], None).await;
        let status = answer.as_ref().err().and_then(|error| error.status()).map(|status| status.as_u16());
        Side::Ours.same(format!("the answer to the path value {value:?}"), Some(400), status)?;
    }
    client.echo("after", &[], None).await?;
    let seen = echoed(peers, Peer::Order, mark).await?;
    Side::Peer.same("the requests that the service saw", vec!["/echo/after".to_owned()], seen)?;
    ours.stop().await;
    Ok(())
}

/// A Tomcat that lets them through hands the controller what we sent.
pub(super) async fn solidus_let_through(peers: &dyn Peers) -> Outcome {
    peers.start(Peer::Solidus).await?;
    let mark = peers.mark(Peer::Solidus).await?;
    let ours = Ours::start(peers, "interop-solidus", &[]).await?;
    let client = ours.app.feign_context().client_builder::<EchoClientFeign>();
    let client = client.url(peers.url(Peer::Solidus)?).build()?;
    let values = ["a/b", "/", "a\\b", "a/../b"];
    for value in values {
        let echo = client.echo(value, &[value], None).await?;
        Side::Peer.same("the path value", value, echo.path.as_str())?;
        Side::Peer.same("the query", vec![value.to_owned()], echo.parameter("q"))?;
    }
    let expected: Vec<_> = values.iter().map(|value| format!("/echo/{0}?q={0}", encoded(value))).collect();
    let seen = echoed(peers, Peer::Solidus, mark).await?;
    Side::Peer.same("the request lines", expected, seen)?;
    ours.stop().await;
    Ok(())
}

/// What their client puts into path, query and header is what our server decodes.
pub(super) async fn their_values(peers: &dyn Peers) -> Outcome {
    let ours = Ours::start(peers, "interop-echo", &[]).await?;
    until_found(peers, "interop-echo").await?;
    let (mark, logged, mut called) = (peers.mark(Peer::User).await?, peers.feign_log().await?.len(), 0);
    // Feign takes these for encoded; that is another scenario.
    let encoded_already = |value: &str| value.contains("%2") && !value.contains(' ');
    let odd = ODD.iter().map(|&odd| odd.to_owned()).filter(|value| !encoded_already(value));
    let headers = ascii().chain(odd).map(|value| (value, true));
    for (value, in_header) in headers.chain(NOT_IN_A_HEADER.iter().map(|&value| (value.to_owned(), false))) {
        // A brace makes a header a template, which Feign fills in.
        let in_header = in_header && !value.contains(['{', '}']);
        let header = in_header.then_some(value.as_str());
        let echo = their_call(peers, &value, &[&value, "second"], header).await?;
        Side::Ours.same("the path value", value.as_str(), echo.path.as_str())?;
        Side::Ours.same(
            format!("the query of {value:?}"),
            vec![value.clone(), "second".into()],
            echo.parameter("q"),
        )?;
        let expected: Vec<String> = header.map(str::to_owned).into_iter().collect();
        Side::Ours.same(format!("the header of {value:?}"), expected, echo.header("X-Value"))?;
        called += 1;
    }
    let asked = targets(peers, Peer::User, mark, "/calls/").await?;
    Side::Peer.same("the calls that it made", vec![("/calls/interop-echo".to_owned(), 200); called], asked)?;
    let seen: Vec<_> = ours.journal.seen().into_iter().map(|seen| seen.target).collect();
    Side::Ours.same("the number of requests that reached us", called, seen.len())?;
    if peers.can(Capability::JavaFeign) {
        let sent = within(WRITTEN, async || {
            let lines = peers.feign_log().await?.split_off(logged);
            let urls = lines.iter().filter_map(|line| line.split_once("---> GET http://interop-echo"));
            let sent: Vec<_> = urls.map(|(_, rest)| rest.trim_end_matches(" HTTP/1.1").to_owned()).collect();
            Side::Peer.same("the number of requests in its log", called, sent.len())?;
            Ok(sent)
        });
        Side::Ours.same("the requests as its log has them", sent.await?, seen)?;
    }
    ours.stop().await;
    Ok(())
}

/// Where Feign does not send what it was given (feign.md 2.4, 2.5), our server still reads what was sent.
pub(super) async fn their_quirks(peers: &dyn Peers) -> Outcome {
    let ours = Ours::start(peers, "interop-quirks", &[]).await?;
    until_found(peers, "interop-quirks").await?;
    for (sent, decoded) in [("a%20b", "a b"), ("a%2Cb", "a,b")] {
        let echo = their_call_to(peers, "interop-quirks", sent, &[sent], None).await?;
        Side::Ours.same("the path value", decoded, echo.path.as_str())?;
        Side::Ours.same("the query", vec![decoded.to_owned()], echo.parameter("q"))?;
    }
    // `/` stays as it is, so it is another path; an empty list leaves its name behind.
    let mark = ours.journal.seen().len();
    let answer = ask_for_a_call(peers, "interop-quirks", "a/b", &[], None).await?;
    let seen: Vec<_> = ours.journal.seen().into_iter().skip(mark).map(|seen| (seen.target, seen.status)).collect();
    Side::Ours.same("the request", vec![("/echo/a/b?q".to_owned(), 404)], seen)?;
    Side::Peer.holds(answer.status >= 400, "what their caller gets", "an error", &answer)?;
    ours.stop().await;
    Ok(())
}

/// The targets of the requests to `/echo/` that a peer saw.
async fn echoed(peers: &dyn Peers, peer: Peer, since: Mark) -> Outcome<Vec<String>> {
    let targets = peers.requests(peer, since).await?.into_iter().map(|seen| seen.target);
    Ok(targets.filter(|target| target.starts_with("/echo/")).collect())
}

async fn their_call(peers: &dyn Peers, path: &str, query: &[&str], header: Option<&str>) -> Outcome<Echo> {
    their_call_to(peers, "interop-echo", path, query, header).await
}

async fn their_call_to(
    peers: &dyn Peers,
    service: &str,
    path: &str,
    query: &[&str],
    header: Option<&str>,
) -> Outcome<Echo> {
    let answer = ask_for_a_call(peers, service, path, query, header).await?;
    let answer = answer.expect(200, &format!("their call with {path:?}"))?;
    Ok(serde_json::from_value(answer.json)?)
}

async fn ask_for_a_call(
    peers: &dyn Peers,
    service: &str,
    path: &str,
    query: &[&str],
    header: Option<&str>,
) -> Outcome<Answer> {
    let url = format!("{}/calls/{service}", peers.url(Peer::User)?);
    Ok(Web::new()?.post_json(&url, &json!({"path": path, "query": query, "header": header})).await)
}

/// Everything but `A-Z a-z 0-9 - . _ ~` as `%XX` of UTF-8 (feign.md 2.4), written here a second time.
fn encoded(value: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    value.bytes().map(encode).collect()
}
