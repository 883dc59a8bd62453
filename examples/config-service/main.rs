//! A config server over a folder, as Spring Cloud Config Server with its file backend: `cargo run --example config-service`.
#![expect(clippy::print_stdout, reason = "a program says where it listens")]

use std::process::ExitCode;

use vernal::BoxError;
use vernal_examples::program;
use vernal_testkit::config_server::ConfigServer;

#[tokio::main]
async fn main() -> ExitCode {
    program::log();
    program::exit("config-service", run().await)
}

async fn run() -> Result<(), BoxError> {
    let settings = program::settings("config-service").await?;
    let folder = settings.get("spring.cloud.config.server.native.search-locations")?;
    let folder = program::folder(&folder.ok_or("`spring.cloud.config.server.native.search-locations` is not set")?);
    let mut server = ConfigServer::builder(&folder).port(program::port(&settings, "server.port", 8888)?);
    if let Some(key) = settings.get("encrypt.key")? {
        server = server.encrypt_key(key);
    }
    let server = server.start().await?;
    println!("config-service: {} over {}", server.url(), folder.display());
    program::told_to_stop().await?;
    server.stop().await;
    Ok(())
}
