//! Two applications in one process share nothing.

use http::StatusCode;
use vernal::application::Builder;
use vernal::prelude::*;

use crate::home::{Home, start};

#[feign_client("order-service")]
trait OrderClient {
    #[get("/orders")]
    async fn orders(&self) -> vernal::feign::Result<String>;
}

#[derive(Debug, thiserror::Error)]
#[error("decoded by {0}")]
struct DecodedBy(&'static str);

struct Decoder(&'static str);

impl ErrorDecoder for Decoder {
    fn decode(&self, _: &MethodContext<'_>, response: &ErrorResponse) -> Decoded {
        match response.status {
            StatusCode::IM_A_TEAPOT => Decoded::typed(DecodedBy(self.0)),
            _ => Decoded::Default,
        }
    }
}

#[tokio::test]
async fn each_application_has_its_own_error_decoder() {
    let teapot = axum::Router::new().fallback(async || StatusCode::IM_A_TEAPOT);
    let backend_home = Home::new();
    let backend = backend_home.application().bootstrap().await.unwrap().start(teapot).await.unwrap();
    let home = Home::new();
    let application = || -> Builder {
        let uri = format!("http://{}", backend.address());
        home.application().property("spring.cloud.discovery.client.simple.instances.order-service[0].uri", uri)
    };
    let (one, one_runs) = start(application().error_decoder(Decoder("one"))).await;
    let (other, other_runs) = start(application().error_decoder(Decoder("other"))).await;
    let (plain, plain_runs) = start(application()).await;
    for (app, expected) in [(&one, Some("one")), (&other, Some("other")), (&plain, None)] {
        let client: OrderClientFeign = app.feign().unwrap();
        let by_client = client.orders().await.unwrap_err();
        let by_rest = app.rest().unwrap().get_text("http://order-service/orders").await.unwrap_err();
        for error in [by_client, by_rest] {
            assert_eq!(error.status(), Some(StatusCode::IM_A_TEAPOT));
            assert_eq!(error.decoded::<DecodedBy>().map(|decoded| decoded.0), expected);
        }
    }
    for running in [one_runs, other_runs, plain_runs, backend] {
        running.stop().await;
    }
}

#[tokio::test]
async fn each_application_has_its_own_settings() {
    let (home, server) = Home::with_server("greeting: hi\n").await;
    let (one, one_runs) = start(home.application()).await;
    let (other, other_runs) = start(home.application()).await;
    let (one_greets, other_greets): (Live<String>, Live<String>) =
        (one.live("greeting").unwrap(), other.live("greeting").unwrap());
    home.serve("greeting: ho\n");
    crate::wire::post(one_runs.address(), "/actuator/refresh").await;
    assert_eq!((one_greets.get().as_str(), other_greets.get().as_str()), ("ho", "hi"));
    one_runs.stop().await;
    other_runs.stop().await;
    server.stop().await;
}
