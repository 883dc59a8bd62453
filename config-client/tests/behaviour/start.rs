use std::error::Error as _;
use std::time::Duration;

use http::Response;
use vernal_commons::http::{Body, TransportError, TransportErrorKind};
use vernal_config_client::{Bootstrap, Error, ServerErrorKind};
use vernal_testkit::logs::Logs;

use crate::stub::{Answer, IMPORT, Stub, answer, client, environment};

fn refused(_: usize) -> Answer {
    Err(TransportError::new(TransportErrorKind::Connect))
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| std::fs::write(folder.path().join(name), text).unwrap());
    folder
}

const NONE: [(&str, &str); 0] = [];
const BOOTSTRAP: (&str, &str) =
    ("bootstrap.yml", "spring: {application.name: app, cloud.config.uri: 'http://config:8888'}\ngreeting: local\n");

#[tokio::test]
async fn no_server_is_asked_that_nobody_named() {
    let (stub, files) = (Stub::default(), folder(&[("application.yml", "a: 1"), ("bootstrap.yml", "b: 2")]));
    let settings =
        Bootstrap::builder().directory(files.path()).env(NONE).transport(stub.transport(refused)).load().await.unwrap();
    assert!(stub.requests().is_empty());
    assert_eq!((settings.bind::<u8>("a").unwrap(), settings.bind::<u8>("b").unwrap()), (1, 2));
    assert!(!settings.status().uses_server);
}

#[tokio::test]
async fn bootstrap_yml_survives_a_server_that_is_down() {
    let (logs, stub, files) = (Logs::new(), Stub::default(), folder(&[BOOTSTRAP]));
    let _guard = logs.capture();
    let settings =
        Bootstrap::builder().directory(files.path()).env(NONE).transport(stub.transport(refused)).load().await.unwrap();
    assert_eq!(settings.get("greeting").unwrap().as_deref(), Some("local"));
    let status = settings.status();
    assert!(status.is_stale() && status.last_success.is_none() && status.failing_since.is_some(), "{status:?}");
    assert!(status.failure.unwrap().contains("http://config:8888/app/default"));
    assert!(logs.contain("starting without the settings of a config server"));
}

#[tokio::test(start_paused = true)]
async fn fail_fast_ends_the_start_after_all_attempts() {
    let (stub, files) = (Stub::default(), folder(&[BOOTSTRAP]));
    let started = tokio::time::Instant::now();
    let error = Bootstrap::builder()
        .directory(files.path())
        .env([("SPRING_CLOUD_CONFIG_FAILFAST", "true")])
        .transport(stub.transport(refused))
        .load()
        .await
        .unwrap_err();
    assert_eq!(error.server().map(|error| error.kind()), Some(ServerErrorKind::Unreachable));
    assert_eq!(stub.requests().len(), 6);
    // 1000 + 1100 + 1210 + 1331 + 1464
    assert_eq!(started.elapsed().as_millis(), 6105);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_comes_up_late_is_waited_for() {
    let stub = Stub::default();
    let transport = stub.transport(|count| if count < 2 { refused(count) } else { environment(r#""k":1"#) });
    let settings = client(&[IMPORT, "--spring.cloud.config.retry.enabled=true"], transport).load().await.unwrap();
    assert_eq!(settings.bind::<u8>("k").unwrap(), 1);
    assert_eq!(stub.requests().len(), 3);
}

#[tokio::test]
async fn a_login_page_is_told_from_settings() {
    let page = "<html><body>Please <b>sign in</b></body></html>";
    let transport = Stub::default().transport(move |_| answer(200, "text/html;charset=UTF-8", page));
    let import = "--spring.config.import=configserver:http://me:hunter2@config:8888/cfg/";
    let error = client(&[import], transport).load().await.unwrap_err();
    let text = error.to_string();
    for part in ["http://config:8888/cfg/application/default", "text/html;charset=UTF-8", "JSON", "<html>"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    assert!(!text.contains("hunter2") && !format!("{error:?}").contains("hunter2"));
    assert_eq!(error.server().map(|error| error.kind()), Some(ServerErrorKind::BadPayload));
}

#[tokio::test]
async fn a_redirect_to_a_login_page_asks_for_credentials() {
    let login = || Response::builder().status(302).header("location", "/login").body(Body::empty()).unwrap();
    let transport = Stub::default().transport(move |_| Ok(login()));
    let error = client(&[IMPORT], transport).load().await.unwrap_err();
    assert_eq!(error.server().map(|error| error.kind()), Some(ServerErrorKind::Unauthorized));
    assert!(!error.is_retryable());
    assert!(error.to_string().contains("asks for a name and a password"), "{error}");
}

#[tokio::test]
async fn credentials_are_not_sent_to_another_origin() {
    let moved = || Response::builder().status(307).header("location", "http://evil/x?t=1").body(Body::empty()).unwrap();
    let stub = Stub::default();
    let transport = stub.transport(move |_| Ok(moved()));
    let error = client(&[IMPORT, "--spring.cloud.config.token=t0ken"], transport).load().await.unwrap_err();
    assert!(error.to_string().contains("`http://evil/x`"), "{error}");
    assert_eq!(stub.requests(), ["http://config:8888/application/default"]);
}

#[tokio::test]
async fn an_answer_above_the_cap_is_refused() {
    let transport = Stub::default().transport(|_| answer(200, "application/json", vec![b' '; (16 << 20) + 1]));
    let error = client(&[IMPORT], transport).load().await.unwrap_err();
    assert!(error.to_string().contains("more than 16777216 bytes"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_given_up() {
    let service = tower::service_fn(|_: http::Request<Body>| std::future::pending::<Answer>());
    let transport = vernal_commons::http::SharedTransport::new(service);
    let started = tokio::time::Instant::now();
    let error = client(&[IMPORT], transport).load().await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::from_secs(30));
    assert!(error.to_string().contains("did not answer within 30s"), "{error}");
}

#[tokio::test]
async fn the_next_server_is_asked() {
    let stub = Stub::default();
    let transport = stub.transport(|count| match count {
        0 => refused(0),
        1 => answer(500, "application/json", r#"{"message":"git is away"}"#),
        2 => answer(200, "text/plain", "cut"),
        _ => environment(r#""k":"d""#),
    });
    let uris = "--spring.cloud.config.uri=http://a,http://b,http://c,http://d";
    let settings = client(&["--spring.config.import=configserver:", uris], transport).load().await.unwrap();
    assert_eq!(settings.get("k").unwrap().as_deref(), Some("d"));
    assert_eq!(stub.requests().len(), 4);
}

#[tokio::test]
async fn an_error_lists_every_attempt_and_is_of_the_worst() {
    let transport = Stub::default().transport(|count| match count {
        0 => answer(500, "application/json", r#"{"message":"git is away"}"#),
        _ => answer(404, "application/json", ""),
    });
    let uris = "--spring.cloud.config.uri=http://a,http://b";
    let error = client(&["--spring.config.import=configserver:", uris], transport).load().await.unwrap_err();
    let server = error.server().unwrap();
    assert_eq!((server.kind(), server.status(), server.attempts().len()), (ServerErrorKind::ServerError, Some(500), 2));
    assert!(error.to_string().contains("git is away") && error.to_string().contains("http://b/"), "{error}");
}

#[tokio::test]
async fn a_malformed_file_is_named_with_the_line() {
    let files = folder(&[("application.yml", "a: 1\nb: {\n")]);
    let error = Bootstrap::builder().directory(files.path()).env(NONE).load().await.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }) && error.source().is_none(), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("application.yml:2:") || text.contains("application.yml:3:"), "{text}");
}

#[tokio::test]
async fn a_value_that_cannot_be_decrypted_is_named_and_not_shown() {
    let cipher = "0c7649b1698b8df8337716a26eafba4a90499ea5df3eff8d8492abfe0fff978a";
    let transport = Stub::default().transport(move |_| {
        environment(&format!(r#""db.password":{{"value":"{{cipher}}{cipher}","origin":"3:9"}},"k":"1""#))
    });
    let error = client(&[IMPORT, "--encrypt.key=wrong"], transport).load().await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("`db.password`") && text.contains("file:r/app.yml:3:9"), "{text}");
    assert!(!text.contains(cipher) && !format!("{error:?}").contains(cipher));
}

#[tokio::test]
async fn a_value_that_cannot_be_decrypted_may_be_left_out() {
    let transport = Stub::default().transport(|_| environment(r#""a":"{cipher}00","b":"1""#));
    let args = [IMPORT, "--encrypt.key=wrong", "--encrypt.fail-on-error=false"];
    let settings = client(&args, transport).load().await.unwrap();
    assert_eq!((settings.get("a").unwrap(), settings.bind::<u8>("b").unwrap()), (None, 1));
    assert!(settings.warnings()[0].contains("`a`"), "{:?}", settings.warnings());
}

#[tokio::test]
async fn what_the_program_says_ranks_above_the_server_and_its_defaults_below_all() {
    let transport = Stub::default().transport(|_| environment(r#""a":"remote","b":"remote""#));
    let settings = client(&[IMPORT], transport)
        .property("a", "program")
        .default_property("b", "default")
        .default_property("c", "default")
        .load()
        .await
        .unwrap();
    let value = |key: &str| settings.get(key).unwrap().unwrap();
    assert_eq!([value("a"), value("b"), value("c")], ["program", "remote", "default"]);
    let explained = settings.explain("a").to_string();
    assert!(
        explained.contains("> programProperties") && explained.contains("  configserver:file:r/app.yml"),
        "{explained}"
    );
}

#[tokio::test]
async fn files_import_files_and_profiles_choose_documents() {
    let files = folder(&[
        (
            "application.yml",
            "spring.config.import: 'optional:file:none.yml,file:extra.properties'\na: plain\nb: plain\nc: plain\n---\nspring.config.activate.on-profile: dev & !eu\nd: dev\n",
        ),
        ("application-dev.yml", "a: dev"),
        ("extra.properties", "b=extra\na=extra"),
    ]);
    let start = || Bootstrap::builder().directory(files.path()).env(NONE);
    let settings = start().args(["--spring.profiles.active=dev"]).load().await.unwrap();
    let value = |key: &str| settings.get(key).unwrap().unwrap_or_default();
    assert_eq!([value("a"), value("b"), value("c"), value("d")], ["dev", "extra", "plain", "dev"]);
    assert_eq!(settings.active_profiles(), ["dev"]);
    let eu = start().args(["--spring.profiles.active=dev,eu"]).load().await.unwrap();
    assert_eq!(eu.get("d").unwrap(), None);
}

#[tokio::test]
async fn settings_of_the_client_itself_are_checked() {
    for (argument, part) in [
        ("--spring.cloud.config.request-read-timeout=5s", "request-read-timeout"),
        ("--spring.cloud.config.multiple-uri-strategy=sometimes", "connection-timeout-only"),
        ("--spring.cloud.config.label=..", "spring.cloud.config.label"),
        ("--spring.cloud.config.uri=ftp://u:hunter2@h", "spring.cloud.config.uri"),
    ] {
        let transport = Stub::default().transport(refused);
        let error = client(&["--spring.config.import=configserver:", argument], transport).load().await.unwrap_err();
        assert!(error.to_string().contains(part) && !error.to_string().contains("hunter2"), "{argument}: {error}");
    }
}

#[tokio::test]
async fn a_server_that_nobody_asks_is_pointed_out() {
    let folder = folder(&[("application.yml", "a: 1")]);
    let env = [("SPRING_CLOUD_CONFIG_URI", "http://u:hunter2@config:8888")];
    let settings = Bootstrap::builder().directory(folder.path()).env(env).load().await.unwrap();
    let warnings = settings.warnings();
    assert!(warnings[0].contains("no config server is asked") && !warnings[0].contains("hunter2"), "{warnings:?}");
}

#[cfg(not(feature = "rustls"))]
#[tokio::test]
async fn an_https_server_needs_the_feature() {
    let files = folder(&[("bootstrap.yml", "spring.cloud.config.uri: https://localhost:1\n")]);
    let error = Bootstrap::builder().directory(files.path()).env(NONE).load().await.unwrap_err();
    assert!(error.to_string().contains("feature `rustls`"), "{error}");
}

#[tokio::test]
async fn remote_profiles_cost_one_more_request_and_no_more() {
    let stub = Stub::default();
    let transport = stub.transport(|_| environment(r#""spring.profiles.active":"qa","spring.profiles.include":"x""#));
    let settings = client(&[IMPORT], transport).load().await.unwrap();
    assert_eq!(settings.active_profiles(), ["x", "qa"]);
    let base = "http://config:8888/application";
    assert_eq!(stub.requests(), [format!("{base}/default"), format!("{base}/x,qa")]);
}

#[tokio::test]
async fn an_import_from_outside_may_name_what_only_a_file_knows() {
    let (stub, files) =
        (Stub::default(), folder(&[("application.yml", "my.server: http://there:1"), ("x.yml", "x: 1")]));
    let import =
        format!("configserver:${{my.server}},file:${{FOLDER}}/x.yml,optional:file:{}/none.yml", files.path().display());
    let folder = files.path().display().to_string();
    let settings = Bootstrap::builder()
        .directory(files.path())
        .env([("SPRING_CONFIG_IMPORT", import.as_str()), ("FOLDER", folder.as_str())])
        .transport(stub.transport(|_| environment(r#""k":1"#)))
        .load()
        .await
        .unwrap();
    assert_eq!(stub.requests(), ["http://there:1/application/default"]);
    assert_eq!((settings.bind::<u8>("k").unwrap(), settings.bind::<u8>("x").unwrap()), (1, 1));
}

#[tokio::test]
async fn a_value_that_the_server_could_not_decrypt_is_pointed_out_where_it_is_needed() {
    let transport = Stub::default().transport(|_| environment(r#""invalid.db.pin":"<n/a>""#));
    let settings = client(&[IMPORT], transport).load().await.unwrap();
    assert!(settings.warnings()[0].contains("`db.pin`"), "{:?}", settings.warnings());
    let error = settings.bind::<String>("db.pin").unwrap_err().to_string();
    assert!(error.contains("`db.pin`") && error.contains("could not decrypt"), "{error}");
}
