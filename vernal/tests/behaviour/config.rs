//! Settings that are wrong, or a config server that is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::response::Html;
use axum::routing::get as on_get;
use serde::Deserialize;
use vernal::Application;
use vernal::prelude::*;
use vernal_testkit::config_server::ConfigServer;
use vernal_testkit::logs::Logs;

use crate::home::{Home, assert_has, assert_hidden, assert_logged, assert_serves, failure, start};
use crate::wire::{free_port, get, post, until};

const SECRET: &str = "hunter2-secret";
/// `1234` under the key of the notes.
const CIPHER: &str = "0c7649b1698b8df8337716a26eafba4a90499ea5df3eff8d8492abfe0fff978a";
const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789";

#[derive(Debug, Deserialize)]
struct Database {
    password: String,
}

#[tokio::test]
async fn a_config_server_that_is_down_stops_a_fail_fast_start() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let port = free_port();
    let home = Home::asking(&format!(
        "uri: http://shop:{SECRET}@127.0.0.1:{port}\nfail-fast: true\nretry: {{max-attempts: 2, initial-interval: 1}}"
    ));
    let error = failure(home.application()).await;
    assert_has(&error, &["settings could not be loaded", "no config server could be reached", "connection refused"]);
    assert_has(&error, &[&format!("`http://127.0.0.1:{port}/shop/default`")]);
    assert_logged(&logs, &["config server gave no settings, trying again", "attempt=1"]);
    assert_hidden(SECRET, &logs, &[&error]);
}

#[tokio::test]
async fn a_config_server_that_is_down_leaves_the_local_settings_until_it_is_back() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let port = free_port();
    let home = Home::asking(&format!("uri: http://shop:{SECRET}@127.0.0.1:{port}"));
    home.write("application.yml", "greeting: local");
    home.serve("greeting: remote");
    let (app, running) = start(home.application()).await;
    let greeting: Live<String> = app.live("greeting").unwrap();
    assert_serves(running.address()).await;
    assert_eq!(*greeting.get(), "local");
    assert_logged(&logs, &["starting without the settings of a config server", &format!("127.0.0.1:{port}")]);
    assert_eq!(get(running.address(), "/actuator/health").await.json()["status"], "UP");
    let unchanged = post(running.address(), "/actuator/refresh").await;
    assert_eq!((unchanged.status, unchanged.body.as_str()), (200, "[]"));

    let server = home.server().port(port).basic_auth("shop", SECRET).start().await.unwrap();
    let refreshed = post(running.address(), "/actuator/refresh").await;
    assert_eq!((refreshed.status, refreshed.body.as_str()), (200, r#"["greeting"]"#));
    assert_eq!(*greeting.get(), "remote");
    assert_hidden(SECRET, &logs, &[]);
    running.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn a_config_server_that_wants_other_credentials_is_named_without_them() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let home = Home::new();
    home.serve("greeting: hi");
    let server = home.server().basic_auth("shop", "the right one").start().await.unwrap();
    let address = server.address();
    home.write(
        "bootstrap.yml",
        &format!("spring.cloud.config: {{uri: 'http://shop:{SECRET}@{address}', fail-fast: true}}"),
    );
    let error = failure(home.application()).await;
    assert_has(&error, &["refused the credentials", &format!("`http://{address}/shop/default` answered 401")]);
    assert_hidden(SECRET, &logs, &[&error]);
    assert_eq!(server.journal().len(), 1, "a refusal is not asked for twice");
    server.stop().await;
}

#[tokio::test]
async fn something_else_than_settings_is_named() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let page = Html(format!("<html><title>Please sign in</title><input type=hidden value={SECRET}></html>"));
    let json = axum::Json(serde_json::json!({"name": "shop", "propertySources": [{"source": SECRET}]}));
    let home = Home::new();
    for (routes, expected) in [
        (
            Router::new().route("/shop/default", on_get(async || page)),
            ["content type `text/html; charset=utf-8`", "expected an environment document in JSON"],
        ),
        (
            Router::new().route("/shop/default", on_get(async || axum::response::Redirect::to("/login?token=t0ken"))),
            ["asks for a name and a password", "/login`"],
        ),
        (
            Router::new().route("/shop/default", on_get(async || json)),
            ["is no environment document", "it is no such JSON at line 1 column"],
        ),
    ] {
        let server = home.server().routes(routes).start().await.unwrap();
        let url = server.url();
        home.write(
            "bootstrap.yml",
            &format!("spring.cloud.config: {{uri: '{url}', fail-fast: true, retry.enabled: false}}"),
        );
        let error = failure(home.application()).await;
        assert_has(&error, &[&format!("{url}/shop/default")]);
        assert_has(&error, &expected);
        // Without `fail-fast` the service starts all the same, and says why it has no settings.
        home.write("bootstrap.yml", &format!("spring.cloud.config.uri: '{url}'"));
        let (_, running) = start(home.application()).await;
        assert_serves(running.address()).await;
        assert_logged(&logs, &[&["starting without the settings of a config server"], expected.as_slice()].concat());
        assert_hidden(SECRET, &logs, &[&error]);
        assert_hidden("t0ken", &logs, &[&error]);
        running.stop().await;
        server.stop().await;
    }
}

#[tokio::test]
async fn an_answer_of_100_megabytes_is_not_read_to_its_end() {
    const CHUNK: usize = 64 << 10;
    let logs = Logs::new();
    let _guard = logs.capture();
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let endless = async move || {
        let chunk = vec![b' '; CHUNK];
        let chunks = futures_util::stream::iter((0..(100 << 20) / CHUNK).map(move |_| {
            counter.fetch_add(CHUNK, Ordering::Relaxed);
            Ok::<_, std::io::Error>(chunk.clone())
        }));
        ([("content-type", "application/json")], axum::body::Body::from_stream(chunks))
    };
    let home = Home::new();
    let server = home.server().routes(Router::new().route("/shop/default", on_get(endless))).start().await.unwrap();
    home.write("bootstrap.yml", &format!("spring.cloud.config.uri: '{}'", server.url()));
    let (_, running) = start(home.application()).await;
    assert_serves(running.address()).await;
    assert_logged(&logs, &["starting without", "answered with more than 16777216 bytes"]);
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < 50 << 20, "{sent} bytes were taken");
    running.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn a_value_under_another_key_names_the_property_and_never_the_text() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let home = Home::new();
    home.serve(&format!("db:\n  user: sa\n  password: '{{cipher}}{CIPHER}'\n"));
    // The server leaves it to the service, which has another key.
    let server = home.server().decrypt(false).start().await.unwrap();
    let bootstrap =
        |url: &str, key: &str| format!("spring.cloud.config: {{uri: '{url}', fail-fast: true}}\nencrypt.key: {key}");
    home.write("bootstrap.yml", &bootstrap(&server.url(), SECRET));
    let error = failure(home.application()).await;
    assert_has(&error, &["cannot decrypt `db.password` from ", "shop.yml"]);
    for secret in [SECRET, CIPHER, KEY, "1234"] {
        assert_hidden(secret, &logs, &[&error]);
    }
    // With the right one it is there, and still nowhere to be seen.
    home.write("bootstrap.yml", &bootstrap(&server.url(), KEY));
    let (app, running) = start(home.application()).await;
    let database: Database = app.settings().bind("db").unwrap();
    assert_eq!(database.password, "1234");
    assert!(!format!("{app:?} {running:?}").contains("1234"));
    // A later value that cannot be decrypted fails the refresh, and the service goes on.
    home.serve(&format!("db:\n  user: sa\n  password: '{{cipher}}{}'\n", CIPHER.replace('7', "8")));
    let refused = post(running.address(), "/actuator/refresh").await;
    assert_eq!((refused.status, &refused.json()["error"]), (500, &serde_json::json!("Internal Server Error")));
    assert_logged(&logs, &["settings could not be refreshed", "cannot decrypt `db.password` from "]);
    assert_serves(running.address()).await;
    assert_eq!(app.settings().bind::<Database>("db").unwrap().password, "1234");
    for secret in [SECRET, CIPHER, KEY, "1234"] {
        assert_hidden(secret, &logs, &[&refused.body]);
    }
    running.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn a_value_that_the_server_could_not_decrypt_is_named() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let home = Home::new();
    home.serve(&format!("db:\n  password: '{{cipher}}{CIPHER}'\n"));
    let server = home.server().encrypt_key(SECRET).start().await.unwrap();
    home.write("bootstrap.yml", &format!("spring.cloud.config.uri: '{}'", server.url()));
    let (app, running) = start(home.application()).await;
    let error = format!("{:?}", app.live::<Database>("db").unwrap_err());
    assert_has(&error, &["cannot bind `db.password` from ", "shop.yml", "the config server could not decrypt it"]);
    assert_logged(&logs, &["could not decrypt `db.password`"]);
    assert_serves(running.address()).await;
    assert_hidden(CIPHER, &logs, &[&error]);
    assert_hidden(SECRET, &logs, &[&error]);
    running.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn malformed_yaml_names_file_and_line() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let home = Home::new();
    for file in ["application.yml", "bootstrap.yml"] {
        home.write(file, &format!("db:\n  password: {SECRET}\n  hosts: [a, {SECRET}\nport: 1\n"));
        let error = failure(home.application()).await;
        assert_has(&error, &["settings could not be loaded", &format!("{file}:4")]);
        assert_hidden(SECRET, &logs, &[&error]);
        home.write(file, "");
    }
    home.write("application.yml", "greeting: hi");
    let (app, running) = start(home.application()).await;
    home.write("application.yml", &format!("greeting: ho\npassword: '{SECRET}\n"));
    assert_eq!(post(running.address(), "/actuator/refresh").await.status, 500);
    assert_logged(&logs, &["settings could not be refreshed", "application.yml:"]);
    assert_serves(running.address()).await;
    assert_eq!(app.settings().get("greeting").unwrap().as_deref(), Some("hi"));
    assert_hidden(SECRET, &logs, &[]);
    running.stop().await;
}

#[tokio::test]
async fn a_setting_of_the_wrong_type_names_key_origin_and_expectation() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let home = Home::new();
    for (text, expected) in [
        (
            "server:\n  port: eighty\n",
            ["`server.port`", "application.yml:2:9", "an integer from 0 to 65535", "`eighty`"],
        ),
        ("server: {address: home, port: 0}\n", ["`server.address`", "application.yml:1:", "an IP address", "`home`"]),
        (
            "spring.cloud.bus:\n  enabled: maybe\n",
            ["`spring.cloud.bus.enabled`", "application.yml:2:12", "boolean", "`maybe`"],
        ),
        (
            "eureka.client:\n  enabled: true\n  registry-fetch-interval-seconds: often\n",
            ["`eureka.client.registry-fetch-interval-seconds`", "application.yml:3:36", "expected", "`often`"],
        ),
    ] {
        home.write("application.yml", text);
        let error = failure(home.application()).await;
        assert_has(&error, &expected);
    }
}

#[tokio::test]
async fn a_change_to_the_wrong_type_is_refused_whole_and_the_service_goes_on() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let (home, server) = Home::with_server("limit: 5\nother: a\ntoken: 1\n").await;
    let (app, running) = start(home.application()).await;
    let limit: Live<u32> = app.live("limit").unwrap();
    let token: Live<u64> = app.live("token").unwrap();
    home.serve("limit: five\nother: b\ntoken: 1\n");
    assert_eq!(post(running.address(), "/actuator/refresh").await.status, 500);
    assert_logged(&logs, &["settings could not be refreshed", "cannot bind `limit` from ", "shop.yml", "`five`"]);
    home.serve(&format!("limit: 6\nother: c\ntoken: {SECRET}\n"));
    assert_eq!(post(running.address(), "/actuator/refresh").await.status, 500);
    assert_logged(&logs, &["settings could not be refreshed", "cannot bind `token` from ", "shop.yml"]);
    assert_hidden(SECRET, &logs, &[]);
    assert_eq!((*limit.get(), *token.get()), (5, 1));
    assert_eq!(app.settings().get("other").unwrap().as_deref(), Some("a"));
    assert_serves(running.address()).await;
    home.serve("limit: 7\nother: c\ntoken: 1\n");
    let refreshed = post(running.address(), "/actuator/refresh").await;
    assert_eq!(refreshed.body, r#"["limit","other"]"#);
    assert_eq!(*limit.get(), 7);
    running.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn a_refresh_returns_the_keys_tells_the_hooks_and_changes_live_settings() {
    let (home, server) = Home::with_server("a: 1\nb: {c: x, d: y}\n").await;
    let (app, running) = start(home.application()).await;
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    app.on_refresh(move |keys| {
        let told = told.clone();
        async move { told.send(keys).unwrap() }
    });
    let a: Live<u32> = app.live("a").unwrap();
    home.serve("a: 2\nb: {c: x, e: z}\n");
    let answer = post(running.address(), "/actuator/refresh").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"["a","b.d","b.e"]"#));
    assert_eq!(heard.recv().await.unwrap(), ["a", "b.d", "b.e"]);
    assert_eq!(*a.get(), 2);
    // Nothing changed: nobody is told.
    assert_eq!(post(running.address(), "/actuator/refresh").await.body, "[]");
    assert!(heard.try_recv().is_err());
    running.stop().await;
    server.stop().await;
}

#[cfg(not(feature = "rustls"))]
#[tokio::test]
async fn an_https_url_without_the_feature_names_it() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let begin = Instant::now();
    for fail_fast in [false, true] {
        let home = Home::asking(&format!("uri: https://shop:{SECRET}@config.test\nfail-fast: {fail_fast}"));
        let error = failure(home.application()).await;
        assert_has(&error, &["`spring.cloud.config.uri`", "https://config.test", "feature `rustls`"]);
        assert_hidden(SECRET, &logs, &[&error]);
    }
    let home = Home::new();
    let registry = home
        .application()
        .property("eureka.client.enabled", "true")
        .property("eureka.client.service-url.defaultZone", format!("https://shop:{SECRET}@registry.test/eureka"));
    let error = failure(registry).await;
    assert_has(&error, &["`https://registry.test/eureka`", "feature `rustls`"]);
    assert_hidden(SECRET, &logs, &[&error]);
    // Nobody waited for a server that cannot be asked.
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[cfg(not(feature = "amqps"))]
#[tokio::test]
async fn amqp_over_tls_without_the_feature_names_it() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let home = Home::new();
    for (key, value) in [
        ("spring.rabbitmq.ssl.enabled", "true".to_owned()),
        ("spring.rabbitmq.addresses", format!("amqps://shop:{SECRET}@broker.test")),
    ] {
        let application = home.application().property("spring.cloud.bus.enabled", "true").property(key, value);
        let error = failure(application).await;
        assert_has(&error, &["bus could not be joined", "feature `amqps`"]);
        assert_hidden(SECRET, &logs, &[&error]);
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let error = failure(home.application().property("server.port", &port)).await;
    assert_has(&error, &[&format!("cannot listen on `127.0.0.1:{port}`"), "in use"]);
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let home = Home::asking(&format!("uri: http://{address}\nrequest-read-timeout: 200"));
    let begin = Instant::now();
    let (app, running) = start(home.application()).await;
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_serves(running.address()).await;
    assert_logged(&logs, &["starting without", "did not answer within 200ms"]);
    // It comes back as something that answers.
    drop(listener);
    home.serve("greeting: hi");
    let server: ConfigServer = home.server().port(address.port()).start().await.unwrap();
    until("the settings are there", async || {
        post(running.address(), "/actuator/refresh").await;
        Application::settings(&app).get("greeting").unwrap().as_deref() == Some("hi")
    })
    .await;
    running.stop().await;
    server.stop().await;
}
