//! The gateway service as a program of its own: `cargo run --example gateway-service`.
//!
//! Joins the servers that `bootstrap.yml` beside this file names. A setting can be given as an argument, unless the
//! config server sets it:
//! `cargo run --example gateway-service -- --server.port=0`.

use std::process::ExitCode;

use vernal::{Application, BoxError};
use vernal_examples::estate::folder_of;
use vernal_examples::{gateway, program};

#[tokio::main]
async fn main() -> ExitCode {
    program::run("gateway-service", run).await
}

async fn run(arguments: Vec<String>) -> Result<(), BoxError> {
    let app = Application::builder().directory(folder_of("gateway-service")).args(arguments).bootstrap().await?;
    let routes = gateway::service(&app)?;
    app.serve(routes).await?;
    Ok(())
}
