//! What a soak has seen, as plain values; times count from the begin of the load.

use std::collections::BTreeMap;
use std::time::Duration;

use super::calls::Call;
use crate::check::Outcome;
use crate::proc;

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// How long the load lasted.
    pub(super) time: Duration,
    pub(super) samples: Vec<Sample>,
    pub(super) calls: BTreeMap<Call, Tally>,
    pub(super) failures: Vec<Failure>,
    pub(super) disturbances: Vec<Disturbance>,
    pub(super) edits: Vec<Edit>,
    pub(super) quiet: Vec<Quiet>,
    pub(super) leavings: Vec<Leaving>,
    /// What the last broker said when it left.
    pub(super) last_words: String,
}

/// What a process holds at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Footprint {
    /// Resident memory that no file stands behind.
    pub(super) kib: u64,
    pub(super) descriptors: u64,
    pub(super) threads: u64,
}

/// A look at a program under load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) at: Duration,
    pub(super) program: &'static str,
    pub(super) footprint: Footprint,
}

/// Calls of one kind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) count: u64,
    pub(super) longest: Duration,
}

/// A call that was not answered as it should.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) call: Call,
    /// Who called: one caller has one call in flight.
    pub(super) caller: usize,
    pub(super) began: Duration,
    pub(super) ended: Duration,
    /// 0 if there was no answer.
    pub(super) status: u16,
    pub(super) text: String,
}

/// A program was away.
#[derive(Debug, Clone, Copy)]
pub(super) struct Disturbance {
    pub(super) program: &'static str,
    pub(super) from: Duration,
    /// When it, or the one in its place, listened again.
    pub(super) until: Duration,
}

/// A setting was edited, and the bus told.
#[derive(Debug, Clone, Default)]
pub(super) struct Edit {
    pub(super) value: String,
    pub(super) at: Duration,
    /// When `POST /actuator/busrefresh` was answered with something else than 204, and with what.
    pub(super) refusals: Vec<(Duration, u16)>,
    /// When every service had shown the value.
    pub(super) seen: Option<Duration>,
    /// Who did not show it.
    pub(super) missing: Vec<String>,
}

/// A program without load, before it and after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quiet {
    pub(super) program: &'static str,
    pub(super) before: Footprint,
    pub(super) after: Footprint,
}

/// A program was told to leave.
#[derive(Debug, Clone)]
pub(super) struct Leaving {
    pub(super) program: String,
    pub(super) code: Option<i32>,
    pub(super) took: Duration,
}

impl Record {
    /// What a program held in a third (0, 1, 2) of the time.
    pub(super) fn third(&self, program: &str, third: u32) -> Vec<Footprint> {
        let length = self.time / 3;
        let time = length * third..length * (third + 1);
        let of_it = self.samples.iter().filter(|sample| sample.program == program && time.contains(&sample.at));
        of_it.map(|sample| sample.footprint).collect()
    }

    /// How often a program was away.
    pub(super) fn times_away(&self, program: &str) -> usize {
        self.disturbances.iter().filter(|disturbance| disturbance.program == program).count()
    }
}

impl Footprint {
    pub(super) fn of(process: u32) -> Outcome<Self> {
        Ok(Self {
            kib: proc::anonymous(process)?,
            descriptors: proc::descriptors(process)?,
            threads: proc::threads(process)?,
        })
    }
}

/// The smallest, the middle and the largest of some values.
pub(super) fn spread(values: impl Iterator<Item = u64>) -> Option<[u64; 3]> {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    Some([*values.first()?, values[values.len() / 2], *values.last()?])
}
