//! A config server over a folder, as Spring Cloud Config Server with its file backend: `cargo run --example config-service`.

use std::process::ExitCode;

use vernal::BoxError;
use vernal_examples::program;
use vernal_testkit::config_server::ConfigServer;

#[tokio::main]
async fn main() -> ExitCode {
    program::run("config-service", run).await
}

async fn run(arguments: Vec<String>) -> Result<(), BoxError> {
    let settings = program::settings("config-service", arguments).await?;
    let folder = program::folder(&settings, "spring.cloud.config.server.native.search-locations")?;
    let port = program::port(&settings, "server.port", 8888)?;
    let mut server = ConfigServer::builder(&folder).port(port);
    if let Some(key) = settings.get("encrypt.key")? {
        server = server.encrypt_key(key);
    }
    let server = program::listening(server.start().await, port, "server.port")?;
    program::say(&format!("config-service: {} over {}", server.url(), folder.display()));
    program::told_to_stop().await?;
    server.stop().await;
    Ok(())
}
