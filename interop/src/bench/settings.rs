//! The same settings from Spring's config server and from ours.

use serde_json::Value;

use super::Bench;
use super::load::{self, CONCURRENCY};
use super::program::Recipe;
use crate::check::{Outcome, Side};
use crate::peers::{Peer, Peers};
use crate::table::Table;
use crate::web::Web;

const ASKED: &str = "/order-service/default";

pub(super) async fn measure(bench: &Bench<'_>) -> Outcome<Table> {
    let mut table = Table::new(
        "Settings of one service from a config server",
        ["config server", "at a time", "answers/s", "p50", "p99", "resident after"],
    );
    let repo = bench.peers.config_repo().display();
    let arguments = vec![
        format!("--spring.cloud.config.server.native.search-locations={repo}"),
        "--encrypt.key=abcdefghijklmnopqrstuvwxyz0123456789".to_owned(),
    ];
    let recipes = [
        ("Spring's", Recipe::java(bench.peers, Peer::Config, &[], &[])?),
        ("ours", Recipe::plain(bench.example("config-service"), arguments)),
    ];
    let mut answers: Vec<Value> = Vec::new();
    for (label, recipe) in recipes {
        let (server, _) = recipe.start(ASKED).await?;
        let url = format!("{}{ASKED}", server.url());
        answers.push(properties(Web::new()?.get(&url).await.expect(200, &url)?.json));
        for concurrency in CONCURRENCY {
            let rates = load::measure_gets(bench.effort.load(concurrency), url.clone()).await?;
            let [per_second, p50, p99] = rates.cells();
            let resident = server.resident()?.to_string();
            table.row([label.to_owned(), concurrency.to_string(), per_second, p50, p99, resident]);
        }
        server.stop().await?;
    }
    Side::Ours.same("the settings that were measured", &answers[0], &answers[1])?;
    Ok(table)
}

/// The values, without the names of the files, which each server writes in its own way.
fn properties(environment: Value) -> Value {
    let sources = environment["propertySources"].as_array().cloned().unwrap_or_default();
    sources.into_iter().map(|source| source["source"].clone()).collect()
}
