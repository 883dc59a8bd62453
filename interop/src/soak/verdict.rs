//! Whether what was seen is what the documentation promises.

use std::collections::BTreeSet;
use std::time::Duration;

use super::calls::Call;
use super::record::{Edit, Failure, Footprint, Quiet, Record, spread};
use super::stand::{BROKER, CONFIG, LASTING, ORDER, PASSING};

/// Most that the middle of the resident memory may be above that of the third before.
const GROWTH_KIB: u64 = 1024;
/// Fewest looks at a program in a third.
const LOOKS: usize = 5;
/// A heartbeat and a fetch that have come to coincide use two connections to the registry: a descriptor more when quiet is
/// none that was left behind.
const MORE_DESCRIPTORS: u64 = 1;
/// A connection that a killed process had may be used for so long before it is found broken.
const BREAKS_WITHIN: Duration = Duration::from_secs(1);
/// From an edit, or the return of who was away meanwhile, until everybody shows it.
const SEEN_WITHIN: Duration = Duration::from_secs(15);
/// While peers answer, a program leaves as fast.
const LEAVES_WITHIN: Duration = Duration::from_secs(5);
const NOTHING_LEFT: &str = "broker: 0 queues and 0 connections are left";

/// What is not as promised, one sentence each; none if all is well.
pub(super) fn judge(record: &Record) -> Vec<String> {
    let mut faults = lacking(record);
    faults.extend(LASTING.iter().filter_map(|program| growth(record, program)));
    faults.extend(record.quiet.iter().filter_map(leak));
    faults.extend(failures(record));
    faults.extend(record.edits.iter().flat_map(|edit| lost(record, edit)));
    faults.extend(leavings(record));
    faults
}

/// A soak in which something did not happen proves nothing about it.
fn lacking(record: &Record) -> Vec<String> {
    let mut faults = Vec::new();
    for program in LASTING {
        if (0..3).any(|third| record.third(program, third).len() < LOOKS) {
            faults.push(format!("{program}: fewer than {LOOKS} looks in a third"));
        }
        if !record.quiet.iter().any(|quiet| quiet.program == program) {
            faults.push(format!("{program}: no look when quiet"));
        }
    }
    for call in Call::ALL {
        if record.calls.get(&call).is_none_or(|tally| tally.count == 0) {
            faults.push(format!("no {}", call.words()));
        }
    }
    for program in PASSING {
        if record.times_away(program) == 0 {
            faults.push(format!("{program} was never away"));
        }
    }
    if record.edits.is_empty() {
        faults.push("no setting was edited".to_owned());
    }
    faults
}

fn growth(record: &Record, program: &str) -> Option<String> {
    let middle = |third| {
        let [_, middle, _] = spread(record.third(program, third).iter().map(|footprint| footprint.kib))?;
        Some(middle)
    };
    let (before, last) = (middle(1)?, middle(2)?);
    (last > before + GROWTH_KIB).then(|| {
        format!("{program}: resident memory grew from {before} KiB to {last} KiB, by more than {GROWTH_KIB} KiB")
    })
}

/// Whether a program has let go of what the load took.
pub(super) const fn is_as_before(quiet: &Quiet) -> bool {
    let Quiet { before, after, .. } = quiet;
    after.descriptors <= before.descriptors + MORE_DESCRIPTORS && after.threads <= before.threads
}

fn leak(quiet: &Quiet) -> Option<String> {
    let Quiet { program, before, after } = quiet;
    let told = |held: &Footprint| format!("{} descriptors and {} threads", held.descriptors, held.threads);
    (!is_as_before(quiet))
        .then(|| format!("{program}: {} when quiet after the load, {} before it", told(after), told(before)))
}

/// One call of each caller may break with a killed order service, if it is of a kind that is not sent again.
fn failures(record: &Record) -> Vec<String> {
    let kills = || record.disturbances.iter().filter(|disturbance| disturbance.program == ORDER);
    let mut excused = BTreeSet::new();
    let mut fault = |failure: &Failure| {
        let Failure { call, caller, began, ended, status, text } = failure;
        let documented = call.broken_off().is_some_and(|(code, part)| *status == code && text.contains(part));
        let kill = kills().position(|kill| *began <= kill.from + BREAKS_WITHIN && *ended >= kill.from);
        let why = match kill {
            _ if !documented => "is none that is documented",
            None => "has no killed order service to excuse it",
            Some(kill) if !excused.insert((kill, *caller)) => "is the caller's second for one killed order service",
            Some(_) => return None,
        };
        let call = call.words();
        Some(format!("{call} by caller {caller}, {began:.1?} to {ended:.1?}: the failure {why}: {status} {text}"))
    };
    record.failures.iter().filter_map(&mut fault).collect()
}

/// An edit must be seen, and may be refused only while the broker is away.
fn lost(record: &Record, edit: &Edit) -> Vec<String> {
    let mut due = edit.at + SEEN_WITHIN;
    let mut outages: Vec<_> =
        record.disturbances.iter().filter(|gone| [BROKER, CONFIG].contains(&gone.program)).collect();
    outages.sort_by_key(|gone| gone.from);
    for gone in outages {
        if gone.from <= due && gone.until >= edit.at {
            due = due.max(gone.until + SEEN_WITHIN);
        }
    }
    let Edit { value, at, refusals, seen, missing } = edit;
    let mut faults = Vec::new();
    if seen.is_none_or(|seen| seen > due) {
        let missing = missing.join("; ");
        faults.push(format!("`{value}` of {at:.1?} was due at {due:.1?}, seen by all at {seen:.1?} {missing}"));
    }
    let away = |time: Duration| {
        let mut outages = record.disturbances.iter().filter(|gone| gone.program == BROKER);
        outages.any(|gone| (gone.from..=gone.until + SEEN_WITHIN).contains(&time))
    };
    if let Some((time, status)) = refusals.iter().find(|(time, status)| *status != 503 || !away(*time)) {
        faults.push(format!("the refresh for `{value}` was refused with {status} at {time:.1?}"));
    }
    faults
}

fn leavings(record: &Record) -> Vec<String> {
    let mut faults = Vec::new();
    for leaving in &record.leavings {
        let (program, code, took) = (&leaving.program, leaving.code, leaving.took);
        if code != Some(0) {
            faults.push(format!("{program} left with exit code {code:?}"));
        }
        if took > LEAVES_WITHIN {
            faults.push(format!("{program} took {took:.1?} to leave"));
        }
    }
    for program in LASTING.into_iter().chain(PASSING) {
        if !record.leavings.iter().any(|leaving| leaving.program == program) {
            faults.push(format!("{program} was never told to leave"));
        }
    }
    if record.last_words != NOTHING_LEFT {
        faults.push(format!("expected `{NOTHING_LEFT}`, the broker said `{}`", record.last_words));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::record::{Disturbance, Leaving, Sample, Tally};
    use crate::soak::stand::REGISTRY;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const fn footprint(kib: u64) -> Footprint {
        Footprint { kib, descriptors: 20, threads: 4 }
    }

    /// A record of three minutes in which all is well.
    fn fine() -> Record {
        let mut record = Record { time: at(180), last_words: NOTHING_LEFT.to_owned(), ..Record::default() };
        for program in LASTING {
            let look = |second| Sample { at: at(second), program, footprint: footprint(20_000 + second % 7) };
            record.samples.extend((0..180).step_by(2).map(look));
            record.quiet.push(Quiet { program, before: footprint(20_000), after: footprint(21_000) });
        }
        for call in Call::ALL {
            record.calls.insert(call, Tally { count: 100, longest: at(1) });
        }
        for (program, from) in [(ORDER, 15), (BROKER, 20), (CONFIG, 22), (REGISTRY, 37), (ORDER, 45)] {
            record.disturbances.push(Disturbance { program, from: at(from), until: at(from + 3) });
        }
        for second in 0..180 {
            let value = format!("Edit {second}.");
            record.edits.push(Edit { value, at: at(second), seen: Some(at(second + 2)), ..Edit::default() });
        }
        for program in LASTING.into_iter().chain(PASSING) {
            record.leavings.push(Leaving { program: program.to_owned(), code: Some(0), took: at(1) });
        }
        record
    }

    fn broken(call: Call, caller: usize, second: u64) -> Failure {
        let (status, text) = call.broken_off().unwrap_or((502, "`order-service`: "));
        let ended = at(second) + Duration::from_millis(20);
        Failure { call, caller, began: at(second), ended, status, text: text.to_owned() }
    }

    /// What is found in the record after a change.
    fn found(change: impl FnOnce(&mut Record)) -> Vec<String> {
        let mut record = fine();
        change(&mut record);
        judge(&record)
    }

    fn one(part: &str, change: impl FnOnce(&mut Record)) {
        let faults = found(change);
        assert!(faults.len() == 1 && faults[0].contains(part), "expected `{part}`, found {faults:?}");
    }

    #[test]
    fn nothing_is_found_where_all_is_well() {
        assert_eq!(found(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn memory_that_grows_is_found_and_noise_is_not() {
        let grow = |by: u64| {
            move |record: &mut Record| {
                for sample in record.samples.iter_mut().filter(|sample| sample.program == "user-service") {
                    sample.footprint.kib += by * sample.at.as_secs();
                }
            }
        };
        one("user-service: resident memory grew from", grow(20));
        assert_eq!(found(grow(10)), Vec::<String>::new());
        let warm_up = |record: &mut Record| {
            record.samples.retain(|sample| sample.at >= at(60));
            let cold =
                |program| (0..60).map(move |second| Sample { at: at(second), program, footprint: footprint(9000) });
            record.samples.extend(LASTING.into_iter().flat_map(cold));
        };
        assert_eq!(found(warm_up), Vec::<String>::new());
    }

    #[test]
    fn leaked_descriptors_and_a_leaked_thread_are_found() {
        one("22 descriptors and 4 threads when quiet", |record| record.quiet[0].after.descriptors += 2);
        one("20 descriptors and 5 threads when quiet", |record| record.quiet[2].after.threads += 1);
        let second_connection_to_the_registry = |record: &mut Record| record.quiet[0].after.descriptors += 1;
        assert_eq!(found(second_connection_to_the_registry), Vec::<String>::new());
        assert_eq!(found(|record| record.quiet[0].after.threads -= 1), Vec::<String>::new());
    }

    #[test]
    fn calls_may_break_with_a_killed_service_once_each() {
        let each = |record: &mut Record| {
            record.failures = (0..4).map(|caller| broken(Call::Detail, caller, 15)).collect();
            record.failures.push(broken(Call::Create, 1, 45));
        };
        assert_eq!(found(each), Vec::<String>::new());
        one("second for one killed order service", |record| {
            record.failures = vec![broken(Call::Detail, 1, 15), broken(Call::ByName, 1, 15)];
        });
        one("has no killed order service", |record| record.failures = vec![broken(Call::Detail, 1, 20)]);
    }

    #[test]
    fn other_failures_have_no_excuse() {
        one("none that is documented", |record| record.failures = vec![broken(Call::Orders, 1, 15)]);
        one("none that is documented: 0 no answer", |record| {
            let hung = Failure { status: 0, text: "no answer: timed out".to_owned(), ..broken(Call::Detail, 1, 15) };
            record.failures = vec![hung];
        });
        one("none that is documented: 200", |record| {
            record.failures = vec![Failure { status: 200, text: "[]".to_owned(), ..broken(Call::ByName, 1, 15) }];
        });
    }

    #[test]
    fn a_lost_edit_is_found_and_one_that_waits_for_the_broker_is_none() {
        one("`Edit 100.` of 100.0s was due at 115.0s, seen by all at None x says y", |record| {
            record.edits[100].seen = None;
            record.edits[100].missing = vec!["x says y".to_owned()];
        });
        one("`Edit 100.` of 100.0s", |record| record.edits[100].seen = Some(at(116)));
        // The broker is back at 23 s, the config server at 25 s.
        assert_eq!(found(|record| record.edits[19].seen = Some(at(40))), Vec::<String>::new());
        one("`Edit 19.` of 19.0s was due at 40.0s", |record| record.edits[19].seen = Some(at(41)));
    }

    #[test]
    fn a_refresh_is_refused_only_while_the_broker_is_away() {
        assert_eq!(found(|record| record.edits[21].refusals = vec![(at(21), 503)]), Vec::<String>::new());
        one("refused with 503 at 100.0s", |record| record.edits[100].refusals = vec![(at(100), 503)]);
        one("refused with 500 at 21.0s", |record| record.edits[21].refusals = vec![(at(21), 500)]);
    }

    #[test]
    fn a_program_that_leaves_badly_is_found() {
        one("gateway-service left with exit code Some(1)", |record| record.leavings[0].code = Some(1));
        one("left with exit code None", |record| record.leavings[1].code = None);
        one("took 6.0s to leave", |record| record.leavings[2].took = at(6));
        one("broker was never told to leave", |record| record.leavings.retain(|leaving| leaving.program != BROKER));
        one("said `broker: 1 queues", |record| record.last_words = NOTHING_LEFT.replacen('0', "1", 1));
    }

    #[test]
    fn what_did_not_happen_is_found() {
        one("discovery-service was never away", |record| {
            record.disturbances.retain(|gone| gone.program != REGISTRY);
        });
        one("no POST of an order", |record| record.calls.retain(|call, _| *call != Call::Create));
        one("no setting was edited", |record| record.edits.clear());
        one("catalog-service: no look when quiet", |record| record.quiet.truncate(2));
        one("gateway-service: fewer than 5 looks", |record| {
            record.samples.retain(|sample| sample.program != "gateway-service" || sample.at > at(60));
        });
    }
}
