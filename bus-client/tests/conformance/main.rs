//! Recordings of Spring Cloud Bus 5.0.1 against this client. Another set is run with `VERNAL_FIXTURES=<dir>`, which
//! holds `bus/<family>/*.json` in the same form.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends with what is wrong")]

mod fixtures;
#[cfg(feature = "amqp")]
mod frames;
mod ids;
mod inbound;
mod matching;
mod messages;
mod report;
#[cfg(feature = "amqp")]
mod topology;

use report::Report;

#[test]
fn every_recording_is_met_or_deviates_with_a_tag() {
    let mut report = Report::default();
    matching::destinations(&mut report);
    matching::normalise(&mut report);
    matching::own(&mut report);
    ids::run(&mut report);
    messages::run(&mut report);
    inbound::run(&mut report);
    #[cfg(feature = "amqp")]
    topology::run(&mut report);
    println!("{report}");
    assert!(
        report.failures().is_empty(),
        "{} recordings are not met:\n{}",
        report.failures().len(),
        report.failures().join("\n")
    );
}
