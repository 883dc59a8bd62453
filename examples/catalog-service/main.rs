//! The catalog service as a program of its own: `cargo run --example catalog-service`.
//!
//! Joins the servers that `bootstrap.yml` beside this file names. A setting can be given as an argument, unless the
//! config server sets it:
//! `cargo run --example catalog-service -- --server.port=0`.

use std::process::ExitCode;

use vernal::{Application, BoxError};
use vernal_examples::estate::folder_of;
use vernal_examples::{catalog, program};

#[tokio::main]
async fn main() -> ExitCode {
    program::run("catalog-service", run).await
}

async fn run(arguments: Vec<String>) -> Result<(), BoxError> {
    let app = Application::builder().directory(folder_of("catalog-service")).args(arguments).bootstrap().await?;
    let routes = catalog::routes(&app)?;
    app.serve(routes).await?;
    Ok(())
}
