//! The order client of these tests, as the attribute would generate it, and transports that answer from memory.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use serde::{Deserialize, Serialize};
use tower::service_fn;
use vernal_commons::discover::{Discover, LookupError, ServiceView};
use vernal_commons::http::{Body, SharedTransport, TransportError, TransportErrorKind};
use vernal_commons::instance::ServiceInstance;
use vernal_feign::__private::{
    BodyJson as _, BodyOf, ReturnJson as _, ReturnKnown as _, ReturnOptional as _, Returning,
};
use vernal_feign::meta::{ClientMeta, MethodMeta, ParamIn, ParamMeta};
use vernal_feign::{CallOptions, Client, FeignClient, Result};
use vernal_testkit::logs::stay_awake;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: u64,
}

/// `orders(user)`, `create(user, order)`, `find(id)`, `raw(options)`.
#[derive(Debug, Clone)]
pub(crate) struct OrderClientFeign(Client);

impl FeignClient for OrderClientFeign {
    fn meta() -> ClientMeta {
        let user = || ParamMeta::new("user_id", "String", ParamIn::path("user_id"));
        ClientMeta::new("OrderClient", "order-service")
            .with_log(vernal_feign::__private::log_sink!("OrderClient"))
            .with_method(MethodMeta::new("orders", Method::GET, "/{user_id}/orders").with_parameter(user()))
            .with_method(
                MethodMeta::new("create", Method::POST, "/{user_id}/orders")
                    .with_parameter(user())
                    .with_parameter(ParamMeta::new("order", "Order", ParamIn::Body)),
            )
            .with_method(MethodMeta::new("find", Method::GET, "/orders/{id}").with_parameter(ParamMeta::new(
                "id",
                "Long",
                ParamIn::path("id"),
            )))
            .with_method(MethodMeta::new("raw", Method::GET, "/raw").with_parameter(ParamMeta::new(
                "options",
                "CallOptions",
                ParamIn::Options,
            )))
    }

    fn from_client(client: Client) -> Self {
        Self(client)
    }
}

impl OrderClientFeign {
    pub(crate) async fn orders(&self, user_id: &str) -> Result<Vec<Order>> {
        let mut call = self.0.call(0);
        call.path(0, &user_id);
        call.send::<Result<Vec<Order>>>((&&&Returning::<Vec<Order>>::new()).shape()).await
    }

    pub(crate) async fn create(&self, user_id: &str, order: &Order) -> Result<Order> {
        let mut call = self.0.call(1);
        call.path(0, &user_id);
        call.body(1, (&&&BodyOf(&order)).body());
        call.send::<Result<Order>>((&&&Returning::<Order>::new()).shape()).await
    }

    pub(crate) async fn find(&self, id: u64) -> Result<Option<Order>> {
        let mut call = self.0.call(2);
        call.path(0, &id);
        call.send::<Result<Option<Order>>>((&&&Returning::<Option<Order>>::new()).shape()).await
    }

    pub(crate) async fn raw(&self, options: CallOptions) -> Result<Response<Body>> {
        let mut call = self.0.call(3);
        call.options(0, &options);
        call.send::<Result<Response<Body>>>((&&&Returning::<Response<Body>>::new()).shape()).await
    }
}

/// Services by name; every host is `10.0.0.<n>`, port 80 + n.
pub(crate) struct Registry(pub(crate) Vec<(&'static str, Arc<ServiceView>)>, pub(crate) Mutex<Vec<String>>);

impl Registry {
    pub(crate) fn of(services: &[(&'static str, u16)]) -> Arc<Self> {
        stay_awake();
        let view = |count: u16, name: &str| {
            ServiceView::new((1..=count).map(|n| ServiceInstance::new(name, format!("10.0.0.{n}"), 80 + n)))
        };
        let services = services.iter().map(|(name, count)| (*name, Arc::new(view(*count, name)))).collect();
        Arc::new(Self(services, Mutex::default()))
    }
}

impl Discover for Registry {
    fn lookup(&self, service_id: &str) -> std::result::Result<Arc<ServiceView>, LookupError> {
        let found = self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(service_id));
        found.map(|(_, view)| Arc::clone(view)).ok_or_else(|| LookupError::unknown(service_id))
    }

    fn services(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    fn suspect(&self, instance: &ServiceInstance) {
        self.1.lock().unwrap().push(instance.instance_id().to_owned());
    }
}

/// What a transport was asked: `VERB URI`.
pub(crate) type Asked = Arc<Mutex<Vec<String>>>;

fn keep(asked: &Asked, request: &Request<Body>) {
    asked.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
}

/// Answers everything alike.
pub(crate) fn answering(status: u16, body: &'static str) -> (SharedTransport, Asked) {
    stay_awake();
    let asked = Asked::default();
    let kept = Arc::clone(&asked);
    let service = service_fn(move |request: Request<Body>| {
        keep(&kept, &request);
        let response = Response::builder().status(status).header("content-type", "application/json");
        let response = response.body(Body::from(body)).unwrap();
        std::future::ready(Ok::<_, Infallible>(response))
    });
    (SharedTransport::new(service), asked)
}

/// Fails with these kinds, one per request, then answers `[]`.
pub(crate) fn failing(kinds: &[TransportErrorKind]) -> (SharedTransport, Asked) {
    stay_awake();
    let asked = Asked::default();
    let kept = Arc::clone(&asked);
    let kinds = kinds.to_vec();
    let service = service_fn(move |request: Request<Body>| {
        keep(&kept, &request);
        let position = kept.lock().unwrap().len() - 1;
        let result = match kinds.get(position) {
            Some(kind) => Err(TransportError::new(*kind)),
            None => Ok(Response::builder().header("content-type", "application/json").body(Body::from("[]")).unwrap()),
        };
        std::future::ready(result)
    });
    (SharedTransport::new(service), asked)
}

/// Never answers.
pub(crate) fn hanging() -> SharedTransport {
    stay_awake();
    SharedTransport::new(service_fn(|_: Request<Body>| {
        std::future::pending::<std::result::Result<Response<Body>, Infallible>>()
    }))
}

/// A body that sends `parts` and then nothing for ever.
pub(crate) struct Endless(pub(crate) Vec<&'static str>);

impl http_body::Body for Endless {
    type Data = bytes::Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<std::result::Result<http_body::Frame<bytes::Bytes>, Infallible>>> {
        match self.0.pop() {
            Some(part) => std::task::Poll::Ready(Some(Ok(http_body::Frame::data(bytes::Bytes::from(part))))),
            None => std::task::Poll::Pending,
        }
    }
}

/// Answers 200 with an [`Endless`] body.
pub(crate) fn endless(part: &'static str) -> SharedTransport {
    stay_awake();
    SharedTransport::new(service_fn(move |_: Request<Body>| {
        let response = Response::builder().header("content-type", "application/json");
        std::future::ready(Ok::<_, Infallible>(response.body(Body::wrap(Endless(vec![part]))).unwrap()))
    }))
}
