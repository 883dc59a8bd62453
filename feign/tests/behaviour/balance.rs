use std::sync::Arc;

use vernal_commons::balance::RoundRobin;
use vernal_commons::discover::{Discover, LookupError, ServiceView};
use vernal_commons::http::TransportErrorKind::{Connect, ConnectTimeout, Io, Timeout};
use vernal_commons::instance::ServiceInstance;
use vernal_feign::{ErrorKind, Feign, FeignClient as _, Phase};

use crate::shop::{Order, OrderClientFeign, Registry, answering, failing};

#[tokio::test]
async fn no_connection_sends_any_request_to_the_next_instance_at_once() {
    let registry = Registry::of(&[("order-service", 3)]);
    let (transport, asked) = failing(&[Connect, ConnectTimeout]);
    let feign = Feign::builder()
        .discover(Arc::clone(&registry) as Arc<dyn Discover>)
        .balance(RoundRobin::new())
        .transport(transport)
        .build()
        .unwrap();
    let client: OrderClientFeign = feign.client().unwrap();
    // The answer is a list, so that decoding fails: the request arrived.
    assert_eq!(client.create("u", &Order { id: 1 }).await.unwrap_err().kind(), ErrorKind::Decode);
    let asked = asked.lock().unwrap().clone();
    let to = |n: u16| format!("POST http://10.0.0.{n}:8{n}/u/orders");
    assert_eq!(asked, [to(1), to(2), to(3)]);
    assert_eq!(*registry.1.lock().unwrap(), ["10.0.0.1:81", "10.0.0.2:82"]);
    assert_eq!(registry.0[0].1.candidates().iter().map(|c| c.pending()).sum::<usize>(), 0);
}

#[tokio::test]
async fn when_no_instance_can_be_reached_the_last_error_comes_back() {
    let (transport, asked) = failing(&[Connect, Connect, Connect]);
    let feign = Feign::builder().discover(Registry::of(&[("order-service", 2)])).transport(transport).build().unwrap();
    let error = feign.client::<OrderClientFeign>().unwrap().orders("u").await.unwrap_err();
    assert!(error.is_connect() && error.is_retryable());
    assert_eq!(error.is_sent(), Some(false));
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn nothing_else_is_sent_again() {
    for (kind, expected) in [(Io, ErrorKind::Io), (Timeout, ErrorKind::Timeout(Phase::ResponseHead))] {
        let (transport, asked) = failing(&[kind]);
        let feign = Feign::builder().discover(Registry::of(&[("order-service", 2)])).transport(transport).build();
        let error = feign.unwrap().client::<OrderClientFeign>().unwrap().orders("u").await.unwrap_err();
        assert_eq!((error.kind(), error.is_sent()), (expected, None));
        assert_eq!(asked.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_status_is_an_answer_and_not_sent_again() {
    let (transport, asked) = answering(503, "busy");
    let feign = Feign::builder().discover(Registry::of(&[("order-service", 2)])).transport(transport).build().unwrap();
    let error = feign.client::<OrderClientFeign>().unwrap().orders("u").await.unwrap_err();
    assert!(error.is_server_error());
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_service_without_instances_is_an_error_with_springs_text() {
    for services in [&[][..], &[("order-service", 0)][..]] {
        let (transport, asked) = answering(200, "[]");
        let feign = Feign::builder().discover(Registry::of(services)).transport(transport).build().unwrap();
        let error = feign.client::<OrderClientFeign>().unwrap().orders("u").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoInstance);
        assert_eq!(
            error.to_string(),
            "[503] during [GET] to [http://order-service/u/orders] [OrderClient#orders(String)]: \
             [Load balancer does not contain an instance for the service order-service]"
        );
        assert!(asked.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_registry_that_has_not_answered_is_the_cause() {
    struct Silent;
    impl Discover for Silent {
        fn lookup(&self, service_id: &str) -> Result<Arc<ServiceView>, LookupError> {
            Err(LookupError::unavailable(service_id, None))
        }
        fn services(&self) -> Vec<String> {
            Vec::new()
        }
    }
    let (transport, _) = answering(200, "[]");
    let feign = Feign::builder().discover(Arc::new(Silent)).transport(transport).build().unwrap();
    let error = feign.client::<OrderClientFeign>().unwrap().orders("u").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoInstance);
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("has not answered yet"));
}

#[tokio::test]
async fn a_secure_instance_is_called_by_https_and_names_may_hold_underscores() {
    struct Secure;
    impl Discover for Secure {
        fn lookup(&self, service_id: &str) -> Result<Arc<ServiceView>, LookupError> {
            assert_eq!(service_id, "ORDER_SERVICE");
            let instance = ServiceInstance::new(service_id, "10.0.0.1", 8443).with_secure(true);
            Ok(Arc::new(ServiceView::new([instance])))
        }
        fn services(&self) -> Vec<String> {
            vec!["ORDER_SERVICE".to_owned()]
        }
    }
    let (transport, asked) = answering(200, "[]");
    let feign = Feign::builder().discover(Arc::new(Secure)).transport(transport).build().unwrap();
    let mut meta = OrderClientFeign::meta();
    meta.name = "ORDER_SERVICE".to_owned();
    let client = OrderClientFeign::from_client(feign.describe(meta).build().unwrap());
    client.orders("a/b").await.unwrap();
    assert_eq!(*asked.lock().unwrap(), ["GET https://10.0.0.1:8443/a%2Fb/orders"]);
}
