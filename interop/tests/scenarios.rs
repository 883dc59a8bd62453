//! The scenarios against the testkit's servers and the example services; `cargo run -p vernal-interop` runs the same
//! ones against the real peers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a scenario tells how long it took")]

use std::sync::Once;

use vernal_interop::peers::{Local, Peers};
use vernal_interop::scenario::{ALL, Area, Scenario};
use vernal_testkit::logs::Logs;

/// One test for each scenario, and a list of their names.
macro_rules! tests {
    ($($test:ident $name:literal;)*) => {
        $(#[tokio::test]
        async fn $test() {
            run($name).await;
        })*

        const TESTED: &[&str] = &[$($name),*];
    };
}

tests! {
    profiles "config-profiles";
    labels "config-labels";
    values "config-values";
    cipher_of_the_server "config-cipher-of-the-server";
    cipher_of_the_client "config-cipher-of-the-client";
    unauthorized "config-unauthorized";
    not_found "config-not-found";
    config_server_restarts "config-server-restarts";
    both_ways "discovery-both-ways";
    instance_stops "discovery-instance-stops";
    instance_is_killed "discovery-instance-is-killed";
    registry_restarts "discovery-registry-restarts";
    feign_values "feign-values";
    their_values "feign-their-values";
    full_log "feign-full-log";
    full_log_of_a_body "feign-full-log-body";
    full_log_of_errors "feign-full-log-error";
    theirs_refreshes_ours "bus-theirs-refreshes-ours";
    ours_refreshes_theirs "bus-ours-refreshes-theirs";
    destinations "bus-destinations";
    acks "bus-acks";
    broker_restarts "bus-broker-restarts";
    fifty_at_once "bus-fifty-at-once";
    fifty_by_default "bus-fifty-by-default";
    fifty_at_ours "bus-fifty-at-ours";
    ours_among_theirs "estate-ours-among-theirs";
}

/// The testkit lacks what these need; `interop/run` runs them.
const REAL_PEERS_ONLY: &[&str] = &[
    "config-key-store",
    "config-monitor",
    "config-theirs-reads-ours",
    "discovery-theirs-at-ours",
    "feign-solidus-is-refused",
    "feign-solidus-let-through",
    "feign-their-quirks",
    "feign-full-log-refused",
    "bus-pika-on-ours",
    "bus-theirs-on-ours",
    "estate-theirs-among-ours",
];

async fn run(name: &str) {
    // Without a global subscriber, an event that is first met on a thread without one would be off for good.
    static GLOBAL: Once = Once::new();
    GLOBAL.call_once(|| drop(tracing::subscriber::set_global_default(tracing_subscriber::registry())));
    let logs = Logs::new();
    let _guard = logs.capture();
    let scenario = Scenario::named(name).expect("the list of tests is that of the scenarios");
    let peers = Local::start(scenario.area, logs.clone()).await.unwrap();
    assert!(scenario.lacking(&peers).is_none(), "{name} belongs into the list of those for real peers only");
    let ending = scenario.run(&peers, &logs).await;
    println!("{name}: {} ms, {}", ending.took.as_millis(), peers.version(scenario.area));
    if let Some(failure) = ending.failure {
        panic!("{name}\n    {failure}");
    }
}

#[tokio::test]
async fn every_scenario_is_tested_here_or_needs_what_the_testkit_lacks() {
    for scenario in ALL {
        let (tested, real) = (TESTED.contains(&scenario.name), REAL_PEERS_ONLY.contains(&scenario.name));
        assert!(tested != real, "{} stands in both lists or in none", scenario.name);
    }
    assert_eq!(TESTED.len() + REAL_PEERS_ONLY.len(), ALL.len());
    for name in REAL_PEERS_ONLY {
        let scenario = Scenario::named(name).expect("it is one of them, as seen above");
        let peers = Local::start(scenario.area, Logs::new()).await.unwrap();
        assert!(scenario.lacking(&peers).is_some(), "the testkit has all that {name} needs: test it here");
    }
}

#[test]
fn the_landing_tier_has_at_most_twelve_scenarios_and_some_of_every_client() {
    let smoke: Vec<_> = ALL.iter().filter(|scenario| scenario.smoke).collect();
    assert!((4..=12).contains(&smoke.len()), "{}", smoke.len());
    // All together needs restarts, which take their time.
    for scenario in ALL.iter().filter(|scenario| scenario.area != Area::Estate) {
        assert!(smoke.iter().any(|other| other.area == scenario.area), "{}", scenario.name);
    }
}
