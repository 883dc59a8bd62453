//! The order service as a program of its own: `cargo run --example order-service`.
//!
//! Joins the servers that `bootstrap.yml` beside this file names. A setting can be given as an argument, unless the
//! config server sets it:
//! `cargo run --example order-service -- --server.port=0`.

use std::process::ExitCode;

use vernal::{Application, BoxError};
use vernal_examples::estate::folder_of;
use vernal_examples::{order, program};

#[tokio::main]
async fn main() -> ExitCode {
    program::run("order-service", run).await
}

async fn run(arguments: Vec<String>) -> Result<(), BoxError> {
    let app = Application::builder().directory(folder_of("order-service")).args(arguments).bootstrap().await?;
    let routes = order::service(&app).await?;
    app.serve(routes).await?;
    Ok(())
}
