//! A registry, as Eureka Server: `cargo run --example discovery-service`. `/` lists what is registered.

use std::process::ExitCode;

use vernal::BoxError;
use vernal_examples::program;
use vernal_testkit::registry::Registry;

#[tokio::main]
async fn main() -> ExitCode {
    program::run("discovery-service", run).await
}

async fn run(arguments: Vec<String>) -> Result<(), BoxError> {
    let settings = program::settings("discovery-service", arguments).await?;
    let port = program::port(&settings, "server.port", 8761)?;
    let registry = program::listening(Registry::builder().port(port).start().await, port, "server.port")?;
    program::say(&format!("discovery-service: {}", registry.url()));
    program::told_to_stop().await?;
    registry.stop().await;
    Ok(())
}
