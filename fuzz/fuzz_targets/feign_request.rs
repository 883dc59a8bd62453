//! Arguments of a call: an error, or a request whose path and query give the arguments back when a server takes them
//! apart. No argument can add a segment, a parameter, a header or a second request.
#![no_main]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use tower::service_fn;
use vernal_commons::http::{Body, SharedTransport};
use vernal_feign::{Feign, Result, feign_client};
use vernal_fuzz::block_on;

#[feign_client(name = "order-service", url = "http://orders:8080", path = "/base")]
trait Orders {
    #[get("/{user}/orders/{id}/end")]
    async fn orders(
        &self,
        #[path] user: &str,
        #[path] id: &str,
        #[query("first")] first: &str,
        #[query("many")] many: &[String],
        #[header("X-Note")] note: &str,
    ) -> Result<String>;
}

fuzz_target!(|input: &str| {
    let mut parts = input.split('\0').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    let (user, id, first, note) = (next(), next(), next(), next());
    let many: Vec<String> = parts.collect();
    let seen: Arc<Mutex<Option<http::request::Parts>>> = Arc::default();
    let keep = Arc::clone(&seen);
    let transport = SharedTransport::new(service_fn(move |request: Request<Body>| {
        let earlier = keep.lock().expect("one thread").replace(request.into_parts().0);
        assert!(earlier.is_none(), "one call, one request");
        async { Ok::<_, Infallible>(Response::new(Body::from("done"))) }
    }));
    let feign = Feign::builder().transport(transport).build().expect("a context");
    let client: OrdersFeign = feign.client().expect("a client");
    let result = block_on(client.orders(&user, &id, &first, &many, &note));
    let Some(sent) = seen.lock().expect("one thread").take() else {
        let error = result.expect_err("nothing was sent");
        assert!(!error.to_string().is_empty());
        return;
    };
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().expect("UTF-8").into_owned();
    let segments: Vec<String> = sent.uri.path().split('/').map(decoded).collect();
    assert_eq!(segments, ["", "base", &user, "orders", &id, "end"], "{}", sent.uri);
    let pairs: Vec<(String, String)> =
        url::form_urlencoded::parse(sent.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let expected = std::iter::once(("first", &first)).chain(many.iter().map(|value| ("many", value)));
    let expected: Vec<(String, String)> = expected.map(|(name, value)| (name.to_owned(), value.clone())).collect();
    assert_eq!(pairs, expected, "{}", sent.uri);
    let sent_note = sent.headers.get("x-note").map(|value| value.as_bytes()).unwrap_or_default();
    assert_eq!(sent_note, note.as_bytes());
});
