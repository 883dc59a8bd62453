use std::path::Path;

use serde::Deserialize;
use vernal_config_client::{Bootstrap, BootstrapBuilder, Live};
use vernal_testkit::config_server::ConfigServer;

#[derive(Debug, Deserialize)]
struct Greeting {
    message: String,
    repeat: u8,
}

const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
const CIPHER: &str = "{cipher}0c7649b1698b8df8337716a26eafba4a90499ea5df3eff8d8492abfe0fff978a";

fn start(folder: &Path, url: &str) -> BootstrapBuilder {
    std::fs::write(folder.join("bootstrap.yml"), "spring.application.name: user-service\n").unwrap();
    Bootstrap::builder().directory(folder).env([("SPRING_CLOUD_CONFIG_URI", url)])
}

#[tokio::test]
async fn settings_follow_the_repository() {
    let (repository, local) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let write = |name: &str, text: &str| std::fs::write(repository.path().join(name), text).unwrap();
    write("application.yml", "greeting: {message: hi, repeat: 010}\n");
    write("user-service-dev.yml", "greeting.message: 'hello ${name:you}'\n");
    write("user-service.properties", &format!("pin={CIPHER}\n"));
    let server = ConfigServer::builder(repository.path()).encrypt_key(KEY).start().await.unwrap();

    let args = ["--spring.profiles.active=dev"];
    let settings = start(local.path(), &server.url()).args(args).load().await.unwrap();
    let mut greeting: Live<Greeting> = settings.live("greeting").unwrap();
    assert_eq!((greeting.get().message.as_str(), greeting.get().repeat), ("hello you", 8));
    assert_eq!(settings.get("pin").unwrap().as_deref(), Some("1234"));
    assert_eq!(server.journal().len(), 1);

    write("user-service-dev.yml", "greeting.message: 'bye ${name:you}'\n");
    let report = settings.refresh().await.unwrap();
    assert_eq!(report.changed, ["greeting.message"]);
    assert_eq!(greeting.changed().await.message, "bye you");

    write("user-service-dev.yml", "greeting: {message: [}\n");
    assert!(settings.refresh().await.unwrap().warnings[0].contains("500"));
    assert_eq!(greeting.get().message, "bye you");
    server.stop().await;
    assert!(settings.refresh().await.unwrap().warnings[0].contains("could be reached"));
    assert_eq!(settings.status().consecutive_failures, 2);
}

#[tokio::test]
async fn a_server_with_a_password_wants_it() {
    let (repository, local) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(repository.path().join("application.yml"), "k: 1\n").unwrap();
    let server = ConfigServer::builder(repository.path()).basic_auth("me", "p@ss:w").start().await.unwrap();
    let with_user = server.url().replace("://", "://me:p%40ss:w@");
    let settings = start(local.path(), &with_user).load().await.unwrap();
    assert_eq!(settings.bind::<u8>("k").unwrap(), 1);

    let fail_fast = ["--spring.cloud.config.fail-fast=true"];
    let error = start(local.path(), &server.url()).args(fail_fast).load().await.unwrap_err();
    let text = error.to_string();
    for part in ["asks for a name and a password", "`spring.cloud.config.username`", "`spring.cloud.config.password`"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    let wrong = server.url().replace("://", "://me:geheim@");
    for arguments in [&[][..], &["--spring.cloud.config.username=me", "--spring.cloud.config.password=geheim"]] {
        let uri = if arguments.is_empty() { &wrong } else { &server.url() };
        let loading = start(local.path(), uri).args(fail_fast.iter().chain(arguments).copied());
        let error = loading.load().await.unwrap_err();
        assert!(error.to_string().contains("refused the credentials"), "{error}");
        assert!(!format!("{error} {error:?}").contains("geheim"), "{error:?}");
    }
    let name = ["--spring.cloud.config.fail-fast=true", "--spring.cloud.config.username=me"];
    let error = start(local.path(), &server.url()).args(name).load().await.unwrap_err();
    assert!(error.to_string().contains("asks for a name and a password"), "a name alone is not sent: {error}");
}
