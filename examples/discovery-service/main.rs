//! A registry, as Eureka Server: `cargo run --example discovery-service`. `/` lists what is registered.
#![expect(clippy::print_stdout, reason = "a program says where it listens")]

use std::process::ExitCode;

use vernal::BoxError;
use vernal_examples::program;
use vernal_testkit::registry::Registry;

#[tokio::main]
async fn main() -> ExitCode {
    program::log();
    program::exit("discovery-service", run().await)
}

async fn run() -> Result<(), BoxError> {
    let settings = program::settings("discovery-service").await?;
    let registry = Registry::builder().port(program::port(&settings, "server.port", 8761)?).start().await?;
    println!("discovery-service: {}", registry.url());
    program::told_to_stop().await?;
    registry.stop().await;
    Ok(())
}
