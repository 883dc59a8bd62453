//! From `POST /actuator/busrefresh` to the new value.

use std::time::{Duration, Instant};

use super::Bench;
use super::load::millis;
use super::program::{Program, Recipe};
use crate::check::Outcome;
use crate::peers::{Peer, Peers};
use crate::scenario::greet;
use crate::table::Table;
use crate::web::Web;

const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks at the value.
const PAUSE: Duration = Duration::from_millis(2);
/// Between two refreshes: whoever else was refreshed is done.
const SETTLE: Duration = Duration::from_secs(2);

/// The client's own defaults, which the example repository shortens.
const OUR_DEFAULTS: &str = "spring.cloud.bus: {quiet-period: 500ms, jitter: {service: 2s, fleet: 15s}}\n";

pub(super) async fn measure(bench: &Bench<'_>) -> Outcome<Table> {
    let mut table = Table::new(
        "Refresh",
        ["order-service", "asked for this service", "slowest", "asked for all services", "slowest"],
    );
    let java = |name: &str, remade: bool| {
        let name = format!("--spring.application.name={name}");
        let remade = format!("--eureka.client.refresh.enable={remade}");
        Recipe::java(bench.peers, Peer::Order, &[], &[&name, &remade])
    };
    let ours = |name: &str| {
        let settings = ["spring.application.name", "spring.cloud.config.name"].map(|key| format!("--{key}={name}"));
        Recipe::ours(bench, "order-service", &settings)
    };
    let database = "spring.datasource.url: 'sqlite::memory:'\n";
    bench.settings_of("bench-ours", &format!("{OUR_DEFAULTS}{database}"))?;
    bench.settings_of("bench-at-once", database)?;
    let contenders = [
        ("Java, its defaults", "bench-java", java("bench-java", true)?),
        ("Java, `eureka.client.refresh.enable=false`", "bench-java-light", java("bench-java-light", false)?),
        ("ours, its defaults", "bench-ours", ours("bench-ours")?),
        ("ours, quiet period and jitter 0", "bench-at-once", ours("bench-at-once")?),
    ];
    for (label, name, recipe) in contenders {
        let (program, _) = recipe.start("/welcome").await?;
        // Until it is on the bus a refresh may pass it by.
        refreshed(bench, &program, &format!("/{name}"), 3).await?;
        let one = refreshed(bench, &program, &format!("/{name}"), bench.effort.refreshes).await?;
        let all = refreshed(bench, &program, "", bench.effort.refreshes).await?;
        program.stop().await?;
        table.row([label.to_owned(), millis(&one, 0.5)?, millis(&one, 1.0)?, millis(&all, 0.5)?, millis(&all, 1.0)?]);
    }
    Ok(table)
}

/// So many refreshes, one after the other; the times in order of size.
async fn refreshed(bench: &Bench<'_>, program: &Program, destination: &str, times: usize) -> Outcome<Vec<Duration>> {
    let web = Web::new()?;
    let refresh = format!("{}/actuator/busrefresh{destination}", bench.peers.url(Peer::Config)?);
    let shown = format!("{}/welcome", program.url());
    let mut seen = Vec::new();
    for _ in 0..times {
        tokio::time::sleep(SETTLE).await;
        let text = greet(bench.peers)?;
        let start = Instant::now();
        web.post(&refresh).await.expect(204, &refresh)?;
        while web.get(&shown).await.text != text {
            if start.elapsed() > LIMIT {
                return Err(format!("{shown} does not show the new value within {LIMIT:?} of {refresh}").into());
            }
            tokio::time::sleep(PAUSE).await;
        }
        seen.push(start.elapsed());
    }
    seen.sort_unstable();
    Ok(seen)
}
