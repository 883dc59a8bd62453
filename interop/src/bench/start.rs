//! From the start of the order service to its first answer, and the memory that it holds.

use std::time::Duration;

use tempfile::TempDir;

use super::Bench;
use super::load::{self, Load, millis};
use super::program::Recipe;
use crate::check::Outcome;
use crate::peers::Peer;
use crate::proc::Resident;
use crate::table::Table;

const FIRST: &str = "/welcome";
/// A start may wait for the last instance to take its leave of the registry.
const SETTLE: Duration = Duration::from_secs(1);

/// The options that make a small Java service start fast.
const SMALL: [&str; 4] = ["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"];

pub(super) async fn measure(bench: &Bench<'_>) -> Outcome<Table> {
    let shared = TempDir::with_prefix("vernal-bench-")?;
    let archive = shared.path().join("classes.jsa");
    let use_archive = format!("-XX:SharedArchiveFile={}", archive.display());
    let with_archive: Vec<&str> = SMALL.into_iter().chain([use_archive.as_str()]).collect();
    let java = |options: &[&str]| Recipe::java(bench.peers, Peer::Order, options, &[]);
    let contenders = [
        ("Java, the JVM's defaults", java(&[])?),
        ("Java, small and quick to start", java(&SMALL)?),
        ("the same with a class data archive", java(&with_archive)?),
        ("ours", Recipe::ours(bench, "order-service", &[])?),
    ];
    train(bench, &archive.display().to_string()).await?;

    let mut seen: Vec<(Vec<Duration>, Vec<Resident>, Vec<Resident>)> = vec![Default::default(); contenders.len()];
    for _ in 0..bench.effort.starts {
        for ((_, recipe), (times, fresh, used)) in contenders.iter().zip(&mut seen) {
            let (program, took) = recipe.start(FIRST).await?;
            times.push(took);
            fresh.push(program.resident()?);
            let cold = Load { warm_up_millis: 0, ..bench.effort.load(16) };
            load::measure_gets(cold, format!("{}{FIRST}", program.url())).await?;
            used.push(program.resident()?);
            program.stop().await?;
            tokio::time::sleep(SETTLE).await;
        }
    }
    let mut table = Table::new(
        "Start and memory",
        ["order-service", "to the first answer", "slowest", "resident then", "after load"],
    );
    for ((name, _), (mut times, fresh, used)) in contenders.iter().zip(seen) {
        times.sort_unstable();
        let middle = millis(&times, 0.5)?;
        let slowest = millis(&times, 1.0)?;
        table.row([(*name).to_owned(), middle, slowest, median(fresh), median(used)]);
    }
    Ok(table)
}

/// Lets a Java order service write the archive of the classes that it loads.
async fn train(bench: &Bench<'_>, archive: &str) -> Outcome {
    let write = format!("-XX:ArchiveClassesAtExit={archive}");
    let options: Vec<&str> = SMALL.into_iter().chain([write.as_str()]).collect();
    let (program, _) = Recipe::java(bench.peers, Peer::Order, &options, &[])?.start(FIRST).await?;
    program.stop().await?;
    match std::fs::metadata(archive) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("Java wrote no class data archive: {error}").into()),
    }
}

fn median(mut values: Vec<Resident>) -> String {
    values.sort_unstable();
    values.get(values.len() / 2).map_or_else(String::new, ToString::to_string)
}
