//! A config server without a socket.

use std::sync::{Arc, Mutex};

use http::{Request, Response};
use tower::service_fn;
use vernal_commons::http::{Body, SharedTransport, TransportError};
use vernal_config_client::{Bootstrap, BootstrapBuilder};

/// Answers with what it is told to and keeps what it was asked.
#[derive(Clone, Default)]
pub(crate) struct Stub {
    requests: Arc<Mutex<Vec<String>>>,
}

/// What a stub answers: a response, or none.
pub(crate) type Answer = Result<Response<Body>, TransportError>;

impl Stub {
    /// A transport that answers the `n`th request (from 0) with `answer(n)`.
    pub(crate) fn transport(
        &self,
        answer: impl Fn(usize) -> Answer + Clone + Send + Sync + 'static,
    ) -> SharedTransport {
        let requests = Arc::clone(&self.requests);
        SharedTransport::new(service_fn(move |request: Request<Body>| {
            let count = {
                let mut requests = requests.lock().unwrap();
                requests.push(request.uri().to_string());
                requests.len() - 1
            };
            let answer = answer(count);
            async move {
                // As on a network, others get their turn before the answer is there.
                tokio::task::yield_now().await;
                answer
            }
        }))
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// An environment with one source `file:r/app.yml` of these properties, written in JSON.
pub(crate) fn environment(properties: &str) -> Answer {
    let body = format!(
        r#"{{"name":"app","version":"v","propertySources":[{{"name":"file:r/app.yml","source":{{{properties}}}}}]}}"#
    );
    answer(200, "application/json", body)
}

pub(crate) fn answer(status: u16, content_type: &str, body: impl Into<Body>) -> Answer {
    Ok(Response::builder().status(status).header("content-type", content_type).body(body.into()).unwrap())
}

/// A start from nothing but these arguments.
pub(crate) fn client(args: &[&str], transport: SharedTransport) -> BootstrapBuilder {
    let nowhere = std::env::temp_dir().join("vernal-no-such-folder");
    let none: [(&str, &str); 0] = [];
    Bootstrap::builder().directory(nowhere).env(none).args(args.iter().copied()).transport(transport)
}

/// An import of a server that must answer.
pub(crate) const IMPORT: &str = "--spring.config.import=configserver:http://config:8888";
