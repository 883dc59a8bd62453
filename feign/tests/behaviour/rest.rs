use http::Request;
use vernal_commons::http::Body;
use vernal_feign::{ErrorKind, Feign, LogLevel};
use vernal_testkit::logs::Logs;

use crate::shop::{Order, Registry, answering};

#[tokio::test]
async fn a_known_host_is_a_service_and_every_other_an_ordinary_host() {
    let (transport, asked) = answering(200, r#"{"id":1}"#);
    let registry = Registry::of(&[("ORDER_SERVICE", 1)]);
    let rest = Feign::builder().discover(registry).transport(transport).build().unwrap().rest().unwrap();
    for url in
        ["http://ORDER_SERVICE/u/orders/", "http://order_service/u%2Fx?q=a b", "http://localhost:8000/order_service"]
    {
        assert_eq!(rest.get::<Order>(url).await.unwrap(), Order { id: 1 });
    }
    let expected = [
        "GET http://10.0.0.1:81/u/orders/",
        "GET http://10.0.0.1:81/u%2Fx?q=a%20b",
        "GET http://localhost:8000/order_service",
    ];
    assert_eq!(*asked.lock().unwrap(), expected);
}

#[tokio::test]
async fn strict_takes_every_host_for_a_service() {
    let (transport, asked) = answering(200, "{}");
    let rest = Feign::builder().discover(Registry::of(&[])).transport(transport).build().unwrap().rest().unwrap();
    let error = rest.strict().get_text("http://order-service/x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoInstance);
    assert!(asked.lock().unwrap().is_empty());
    assert_eq!(rest.get_text("http://order-service/x").await.unwrap(), "{}");
}

#[tokio::test]
async fn each_verb_goes_out_and_is_logged_as_the_rest_client() {
    let (transport, asked) = answering(200, r#"{"id":2}"#);
    let logs = Logs::new();
    let guard = logs.capture();
    let feign = Feign::builder().discover(Registry::of(&[("s", 1)])).transport(transport).logger_level(LogLevel::Basic);
    let rest = feign.build().unwrap().rest().unwrap();
    let order = Order { id: 2 };
    assert_eq!(rest.post::<Order>("http://s/orders", &order).await.unwrap(), order);
    rest.put("http://s/orders/2", &order).await.unwrap();
    rest.delete("http://s/orders/2").await.unwrap();
    assert_eq!(rest.get_optional::<Order>("http://s/orders/2").await.unwrap(), Some(order));
    let request = Request::patch("http://s/orders/2").header("x-a", "1").body(r#"{"id":3}"#).unwrap();
    let response = rest.exchange(request).await.unwrap();
    assert_eq!((response.status().as_u16(), response.body().as_ref()), (200, &br#"{"id":2}"#[..]));
    drop(guard);
    let verbs: Vec<_> = asked.lock().unwrap().iter().map(|asked| asked.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(verbs, ["POST", "PUT", "DELETE", "GET", "PATCH"]);
    assert_eq!(logs.messages("vernal_feign")[0], "[RestClient#post] ---> POST http://s/orders HTTP/1.1");
    assert_eq!(logs.messages("vernal_feign").len(), 10);
}

#[tokio::test]
async fn an_exchange_that_is_no_success_or_not_absolute_is_an_error() {
    let (transport, _) = answering(418, "tea");
    let rest = Feign::builder().transport(transport).build().unwrap().rest().unwrap();
    let error = rest.exchange(Request::get("http://h/x").body(Body::empty()).unwrap()).await.unwrap_err();
    assert_eq!(error.status().unwrap().as_u16(), 418);
    let error = rest.exchange(Request::get("/x").body(Body::empty()).unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidUrl, "URI `/x` is not absolute"));
    assert!(rest.get_text("x y").await.is_err());
}
