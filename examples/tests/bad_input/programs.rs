use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use vernal::Application;
use vernal_examples::catalog;
use vernal_examples::estate::folder_of;

use crate::raw;

const PROGRAMS: [&str; 7] = [
    "broker",
    "config-service",
    "discovery-service",
    "gateway-service",
    "user-service",
    "catalog-service",
    "order-service",
];
/// Nobody listens there.
const NO_SERVER: &str = "--spring.cloud.config.uri=http://127.0.0.1:1";

/// The program `target/<profile>/examples/<name>`, found from the place of this test.
fn program(name: &str) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let path = path.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(path.exists(), "{} is not there; build it with `cargo build --examples`", path.display());
    let mut command = Command::new(path);
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// What a program says that ends by itself, with an error.
fn refusal(name: &str, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = program(name).args(arguments).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(status.code(), Some(1), "{name} {arguments:?}: {said}");
    said
}

#[test]
fn unknown_arguments_are_an_error_and_help_is_none() {
    for name in PROGRAMS {
        for argument in ["bogus", "--bogus"] {
            let expected = format!("{name}: unknown argument `{argument}`");
            let said = refusal(name, &[argument]);
            assert!(said.contains(&expected), "{said}");
        }
        let help = program(name).arg("--help").output().unwrap();
        assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("--name=value"), "{help:?}");
    }
}

#[test]
fn a_port_that_is_taken_is_named_with_its_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (name, key) in
        [("broker", "spring.rabbitmq.port"), ("config-service", "server.port"), ("discovery-service", "server.port")]
    {
        let said = refusal(name, &[&format!("--{key}={port}")]);
        assert!(said.contains(&format!("cannot listen on `127.0.0.1:{port}` (`{key}`)")), "{said}");
    }
}

#[test]
fn a_config_folder_that_is_not_there_is_named() {
    let said = refusal("config-service", &["--spring.cloud.config.server.native.search-locations=file:not/there"]);
    assert!(said.contains("search-locations` is `file:not/there`, which is no folder"), "{said}");
}

#[test]
fn a_setting_that_is_missing_because_the_config_server_is_away_says_so() {
    for (name, arguments) in [("order-service", &[NO_SERVER][..]), ("user-service", &["--join", NO_SERVER])] {
        let said = refusal(name, arguments);
        let expected = format!("{name}: `spring.datasource.url` is not set; the config server did not answer: ");
        assert!(said.contains(&expected), "{said}");
    }
}

#[test]
fn the_login_of_a_database_that_cannot_be_opened_is_not_shown() {
    let url = "--spring.datasource.url=mysql://root:topsecretpw@db/orders";
    for (name, arguments) in [("order-service", &[NO_SERVER, url][..]), ("user-service", &["--join", NO_SERVER, url])] {
        let said = refusal(name, arguments);
        assert!(said.contains("`spring.datasource.url` is `mysql://db/orders`, expected"), "{said}");
        assert!(said.contains("`sqlite:orders.db`") && !said.contains("topsecretpw"), "{said}");
    }
}

#[test]
fn a_reader_who_goes_away_ends_the_story_quietly() {
    let errors = tempfile::NamedTempFile::new().unwrap();
    let mut story = program("user-service");
    let mut story = story.arg("--once").stdout(Stdio::piped()).stderr(errors.reopen().unwrap()).spawn().unwrap();
    let mut lines = BufReader::new(story.stdout.take().unwrap());
    lines.read_line(&mut String::new()).unwrap();
    drop(lines);
    assert_eq!(story.wait().unwrap().code(), Some(1));
    assert_eq!(std::fs::read_to_string(errors.path()).unwrap(), "");
}

#[tokio::test]
async fn a_service_without_the_config_server_listens_on_the_loopback_and_hides_logins() {
    for name in ["gateway-service", "user-service", "catalog-service", "order-service"] {
        let app = Application::builder()
            .directory(folder_of(name))
            .env([])
            .property("server.port", "0")
            .property("spring.cloud.config.uri", "http://127.0.0.1:1")
            .property("spring.cloud.bus.enabled", "false")
            .property("eureka.client.enabled", "false")
            .property("spring.datasource.url", "mysql://root:topsecretpw@db/orders")
            .bootstrap()
            .await
            .unwrap();
        let running = app.start(catalog::routes(&app).unwrap()).await.unwrap();
        assert!(running.address().ip().is_loopback(), "{name} listens on {}", running.address());
        let answer = raw::send(running.address(), "GET", "/health_check", "").await;
        assert_eq!(answer.json["spring.datasource.url"], "mysql://db/orders", "{answer:?}");
        running.stop().await;
    }
}
