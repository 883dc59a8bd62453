use std::time::Duration;

use vernal_discovery_client::Error;
use vernal_testkit::logs::Logs;
use vernal_testkit::registry::Registry;

use crate::estate::{Estate, Server, answer, document, ids, orders, pass, up};

const LIMIT: Duration = Duration::from_secs(120);
const BOTH: &str = "http://one/eureka, http://two/eureka";

#[tokio::test(start_paused = true)]
async fn another_server_answers_when_one_is_away_and_is_kept() {
    let estate = Estate::default();
    let registry = Registry::start().await.unwrap();
    estate.put("two", up(&registry));
    let client = estate.client(BOTH).start().unwrap();
    client.register(orders(8080)).await.unwrap();
    pass(95.0).await;
    assert_eq!(ids(&client.discovery(), "orders").len(), 1);
    assert_eq!(client.discovery().health().fetch.server.as_deref(), Some("http://two/eureka"));
    let to_one = estate.log().iter().filter(|asked| asked.host == "one").count();
    assert!((1..=2).contains(&to_one), "{to_one}");
}

#[tokio::test(start_paused = true)]
async fn a_switch_to_another_server_is_a_full_fetch() {
    let estate = Estate::default();
    for host in ["one", "two"] {
        estate.script(host, |asked| match asked.line.as_str() {
            "GET /eureka/apps/delta" => answer(200, document(9, "UP_1_", &[])),
            _ => answer(200, document(1, "UP_1_", &[("o1", "UP", "ADDED")])),
        });
    }
    let client = estate.client(BOTH).start().unwrap();
    pass(70.0).await;
    estate.put("one", Server::Refusing);
    estate.clear();
    pass(75.0).await;
    let to_two: Vec<_> = estate.log().into_iter().filter(|asked| asked.host == "two").map(|asked| asked.line).collect();
    assert_eq!(to_two[..2], ["GET /eureka/apps/", "GET /eureka/apps/delta"], "{to_two:?}");
    assert_eq!(ids(&client.discovery(), "orders"), ["o1"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_warms_up_is_passed_over() {
    let estate = Estate::default();
    estate.script("one", |_| answer(403, ""));
    estate.script("two", |_| answer(200, document(1, "UP_1_", &[("o1", "UP", "ADDED")])));
    let client = estate.client(BOTH).start().unwrap();
    client.discovery().wait_for("orders", Duration::from_secs(1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_left_after_its_time() {
    let estate = Estate::default();
    estate.put("one", Server::Hanging);
    estate.script("two", |_| answer(200, document(1, "UP_1_", &[("o1", "UP", "ADDED")])));
    let client = estate.client(BOTH).start().unwrap();
    client.discovery().wait_for("orders", Duration::from_secs(9)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_redirect_to_elsewhere_is_not_followed() {
    let estate = Estate::default();
    let redirect = |target: &'static str| {
        move |_: &crate::estate::Asked| {
            http::Response::builder().status(302).header("location", target).body("".into()).unwrap()
        }
    };
    estate.script("registry", redirect("http://evil/eureka/apps/"));
    estate.script("evil", |_| answer(200, document(1, "", &[])));
    let client = estate.client("http://eve:letmein@registry/eureka").start().unwrap();
    pass(60.0).await;
    assert!(estate.log().iter().all(|asked| asked.host == "registry"));
    assert!(client.discovery().wait_ready(Duration::from_secs(1)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_redirect_within_the_server_is_followed() {
    let estate = Estate::default();
    estate.script("registry", |asked| match asked.line.as_str() {
        "GET /eureka/apps/" => {
            http::Response::builder().status(307).header("location", "/v2/apps/").body("".into()).unwrap()
        }
        _ => answer(200, document(1, "UP_1_", &[("o1", "UP", "ADDED")])),
    });
    let client = estate.client("http://registry/eureka").start().unwrap();
    client.discovery().wait_for("orders", LIMIT).await.unwrap();
    assert_eq!(estate.lines(&["GET"])[..2], ["GET /eureka/apps/", "GET /v2/apps/"]);
}

#[tokio::test(start_paused = true)]
async fn passwords_appear_in_no_log_error_or_debug_text() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let estate = Estate::default();
    let registry = Registry::start().await.unwrap();
    let url = "http://eve:letmein@registry/eureka,http://eve:letmein@two/eureka";
    let client = estate.client(url).start().unwrap();
    let error = client.register(orders(8080)).await.unwrap_err();
    estate.script("registry", |_| answer(401, ""));
    pass(30.0).await;
    estate.put("registry", up(&registry));
    pass(120.0).await;
    let shown = format!("{client:?} {:?} {error} {error:?}", client.discovery().health());
    client.stop().await.unwrap();
    assert!(!logs.records().is_empty() && logs.records().iter().any(|record| record.message == "registered"));
    for secret in ["letmein", "ZXZlOmxldG1laW4"] {
        assert!(!logs.contain(secret) && !shown.contains(secret), "{secret}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_logged_once_and_its_end_too() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let (estate, registry) = Estate::with_registry().await;
    estate.put("registry", Server::Refusing);
    let _client = estate.client("http://registry/eureka").start().unwrap();
    pass(300.0).await;
    estate.put("registry", up(&registry));
    pass(70.0).await;
    let loud: Vec<_> = logs
        .records()
        .into_iter()
        .filter(|record| record.level <= tracing::Level::INFO && record.target.starts_with("vernal_discovery_client"))
        .map(|record| record.message)
        .collect();
    assert_eq!(loud, ["registry could not be fetched, going on with what is known", "registry answers again"]);
}

#[test]
fn a_start_without_usable_url_is_an_error() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let estate = Estate::default();
    assert!(matches!(estate.client("").start(), Err(Error::NoServiceUrl { .. })));
    let Err(error) = estate.client("ftp://eve:letmein@registry/").start() else { panic!() };
    assert!(!format!("{error:?}").contains("letmein"));
}
