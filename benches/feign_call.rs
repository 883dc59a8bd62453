//! What a Feign call costs above a call written by hand.
//!
//! `cargo bench --bench feign_call`. Both sides send byte-identical requests through the same transport object and read
//! the same answer into the same type; logging is off. Allocations are those of the calling thread and exact. Times are
//! the median and the least of many short rounds, the two sides in turn: on a busy machine most rounds are disturbed, and
//! the least ones are the figures to compare.
//!
//! Two transports: one in memory, which shows the cost of the call itself, and reqwest over the loopback to a server
//! on a thread of its own, which shows what is left of it in practice. An argument names the one to run:
//! `cargo bench --bench feign_call -- memory`.
#![allow(missing_docs, reason = "a bench has no readers of its documentation but this page")]
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints its figures and ends on any error")]

use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request, Response};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vernal::Body;
use vernal::commons::http::{ReqwestTransport, SharedTransport};
use vernal::feign::{Feign, LogLevel};
use vernal::prelude::*;

const BODY: &str = r#"{"orderId":"83cbfd15-6fd9-4588-a77f-96de61fd44d9","productId":"CATALOG-001","qty":10}"#;
const ROUNDS: usize = 401;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    order_id: String,
    product_id: String,
    qty: u64,
}

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/order-service/{user_id}/orders")]
    async fn order(
        &self,
        user_id: &str,
        #[query] page: u32,
        #[header("X-Tenant")] tenant: &str,
    ) -> vernal::feign::Result<Order>;
}

/// The same call by hand: no encoding of the path value, no error with context, no limit on the answer.
async fn by_hand(transport: &SharedTransport, base: &str, user_id: &str, page: u32, tenant: &str) -> Order {
    let uri = format!("{base}/order-service/{user_id}/orders?page={page}");
    let request = Request::builder()
        .method(Method::GET)
        .uri(uri)
        .header("X-Tenant", HeaderValue::from_str(tenant).unwrap())
        .header(USER_AGENT, HeaderValue::from_static("vernal-feign/0.1.0"))
        .body(Body::empty())
        .unwrap();
    let response = transport.send(request).await.unwrap();
    assert!(response.status().is_success());
    let bytes = response.into_body().read(1 << 20).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

struct Figures {
    allocations: u64,
    bytes: u64,
    median: Duration,
    least: Duration,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let runs = |name: &str| wanted.as_ref().is_none_or(|wanted| name.contains(wanted));
    if runs("in memory") {
        compare(&runtime, "in memory", "http://127.0.0.1:1", in_memory(), 400);
    }
    if runs("reqwest, loopback") {
        let base = format!("http://127.0.0.1:{}", serve());
        compare(&runtime, "reqwest, loopback", &base, SharedTransport::new(ReqwestTransport::new().unwrap()), 40);
    }
}

fn compare(runtime: &tokio::runtime::Runtime, name: &str, base: &str, transport: SharedTransport, calls: usize) {
    let client: OrderClientFeign = Feign::builder()
        .transport(transport.clone())
        .logger_level(LogLevel::None)
        .build()
        .unwrap()
        .client_builder()
        .url(base)
        .build()
        .unwrap();
    same_request(runtime, base);
    let mut hand = || {
        runtime.block_on(async { black_box(by_hand(&transport, base, "83cbfd15", 3, "berlin").await) });
    };
    let mut feign = || {
        runtime.block_on(async { black_box(client.order("83cbfd15", 3, "berlin").await.unwrap()) });
    };
    let (hand, feign) = measure(&mut hand, &mut feign, calls);
    println!("\n{name}: {ROUNDS} rounds of {calls} calls, in turn");
    println!("  {:<16} {:>8} {:>10} {:>12} {:>12}", "", "allocs", "bytes", "median", "least");
    for (name, figures) in [("by hand", &hand), ("#[feign_client]", &feign)] {
        let Figures { allocations, bytes, median, least } = figures;
        println!("  {name:<16} {allocations:>8} {bytes:>10} {median:>12.2?} {least:>12.2?}");
    }
    let more = feign.allocations.cast_signed() - hand.allocations.cast_signed();
    let [median, least] =
        [(hand.median, feign.median), (hand.least, feign.least)].map(|(hand, feign)| nanos(feign) - nanos(hand));
    println!("  {:<16} {more:>+8} {:>10} {median:>+9} ns {least:>+9} ns", "difference", "");
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap()
}

fn measure<'a>(hand: &'a mut dyn FnMut(), feign: &'a mut dyn FnMut(), calls: usize) -> (Figures, Figures) {
    for _ in 0..200 {
        hand();
        feign();
    }
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (times, call) in times.iter_mut().zip([&mut *hand, &mut *feign]) {
            let start = Instant::now();
            (0..calls).for_each(|_| call());
            times.push(start.elapsed() / u32::try_from(calls).unwrap());
        }
    }
    let [hand_times, feign_times] = times;
    (figures(hand, hand_times), figures(feign, feign_times))
}

fn figures(call: &mut dyn FnMut(), mut times: Vec<Duration>) -> Figures {
    times.sort();
    let counts: Vec<_> = (0..20).map(|_| allocation_counter::measure(&mut *call)).collect();
    let least = counts.iter().min_by_key(|count| count.count_total).unwrap();
    Figures {
        allocations: least.count_total,
        bytes: least.bytes_total,
        median: times[times.len() / 2],
        least: times[0],
    }
}

/// Both ways must send the same bytes, or the comparison means nothing.
fn same_request(runtime: &tokio::runtime::Runtime, base: &str) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&seen);
    let transport = SharedTransport::new(tower::service_fn(move |request: Request<Body>| {
        let line = format!("{} {} {:?}", request.method(), request.uri(), request.headers());
        keep.lock().unwrap().push(line);
        std::future::ready(Ok::<_, std::convert::Infallible>(answer()))
    }));
    let client: OrderClientFeign =
        Feign::builder().transport(transport.clone()).build().unwrap().client_builder().url(base).build().unwrap();
    runtime.block_on(async {
        let order = by_hand(&transport, base, "83cbfd15", 3, "berlin").await;
        assert_eq!(client.order("83cbfd15", 3, "berlin").await.unwrap(), order);
    });
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0], seen[1], "the two sides do not send the same request");
}

fn answer() -> Response<Body> {
    let mut response = Response::new(Body::from(BODY));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn in_memory() -> SharedTransport {
    SharedTransport::new(tower::service_fn(|_: Request<Body>| {
        std::future::ready(Ok::<_, std::convert::Infallible>(answer()))
    }))
}

/// A server that answers every request at once, on a thread of its own.
fn serve() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                tokio::spawn(async move {
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{BODY}",
                        BODY.len()
                    );
                    let mut buffer = [0; 4096];
                    while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
    });
    port
}
