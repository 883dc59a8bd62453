//! What was seen, as Markdown.

use std::time::Duration;

use super::calls::Call;
use super::record::{Footprint, Record, spread};
use super::stand::{LASTING, ORDER, PASSING};
use crate::table::Table;

type Measure = (&'static str, fn(&Footprint) -> u64);

const MEASURES: [Measure; 3] = [
    ("anonymous resident, KiB", |footprint| footprint.kib),
    ("descriptors", |footprint| footprint.descriptors),
    ("threads", |footprint| footprint.threads),
];

/// All tables.
pub(super) fn report(record: &Record) -> String {
    [programs(record), calls(record), edits(record), disturbances(record)].map(|table| table.to_string()).concat()
}

fn programs(record: &Record) -> Table {
    let header = ["program", "holds", "before", "first third", "second", "last", "quiet after"];
    let mut table = Table::new("Programs: least / middle / most in each third of the load", header);
    for program in LASTING {
        let quiet = record.quiet.iter().find(|quiet| quiet.program == program);
        for (name, measure) in MEASURES {
            let third = |number| {
                let spread = spread(record.third(program, number).iter().map(measure));
                spread.map_or_else(String::new, |[least, middle, most]| format!("{least} / {middle} / {most}"))
            };
            let one = |footprint: Option<&Footprint>| {
                footprint.map(measure).map_or_else(String::new, |value| value.to_string())
            };
            table.row([
                program.to_owned(),
                name.to_owned(),
                one(quiet.map(|quiet| &quiet.before)),
                third(0),
                third(1),
                third(2),
                one(quiet.map(|quiet| &quiet.after)),
            ]);
        }
    }
    table
}

fn calls(record: &Record) -> Table {
    let mut table = Table::new("Calls", ["through the gateway", "calls", "per second", "longest", "failed"]);
    for call in Call::ALL {
        let tally = record.calls.get(&call).copied().unwrap_or_default();
        let failed = record.failures.iter().filter(|failure| failure.call == call).count();
        let per_second = tally.count as f64 / record.time.as_secs_f64();
        table.row([
            call.words().to_owned(),
            tally.count.to_string(),
            format!("{per_second:.1}"),
            format!("{} ms", tally.longest.as_millis()),
            failed.to_string(),
        ]);
    }
    table
}

fn edits(record: &Record) -> Table {
    let mut table = Table::new("Edits", ["", "edits", "seen by all", "refused first", "middle", "slowest"]);
    let calm = |at: Duration, seen: Duration| {
        let mut servers = record.disturbances.iter().filter(|gone| gone.program != ORDER);
        !servers.any(|gone| gone.from <= seen && gone.until + Duration::from_secs(5) >= at)
    };
    for (label, wanted) in [("all servers there", true), ("one away, or just back", false)] {
        let edits = record.edits.iter().filter(|edit| calm(edit.at, edit.seen.unwrap_or(edit.at)) == wanted);
        let edits: Vec<_> = edits.collect();
        let times =
            edits.iter().filter_map(|edit| edit.seen.map(|seen| seen.saturating_sub(edit.at).as_millis() as u64));
        let (seen, refused) = (times.clone().count(), edits.iter().filter(|edit| !edit.refusals.is_empty()).count());
        let [_, middle, slowest] = spread(times).unwrap_or_default().map(|millis| format!("{millis} ms"));
        table.row([label.to_owned(), edits.len().to_string(), seen.to_string(), refused.to_string(), middle, slowest]);
    }
    table
}

fn disturbances(record: &Record) -> Table {
    let mut table = Table::new("Away", ["program", "times"]);
    for program in PASSING {
        table.row([program.to_owned(), record.times_away(program).to_string()]);
    }
    table
}
