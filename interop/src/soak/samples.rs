//! Looks at the programs that live all the time.

use std::sync::Arc;
use std::time::Duration;

use super::record::{Footprint, Quiet, Sample};
use super::stand::{LASTING, Stand};
use super::verdict::is_as_before;
use crate::check::Outcome;

/// Between two looks under load.
const PERIOD: Duration = Duration::from_secs(2);
/// Between two looks without load.
const PAUSE: Duration = Duration::from_secs(1);
/// So many looks before the load.
const LOOKS: usize = 5;
/// Idle connections are closed after 15 s, found by a look every 15 s; idle threads end after 10 s.
const SETTLE: Duration = Duration::from_secs(35);

/// Looks until the load ends.
pub(super) async fn take(stand: Arc<Stand>) -> Outcome {
    while stand.now() < stand.time {
        for program in LASTING {
            let sample = Sample { at: stand.now(), program, footprint: stand.footprint(program)? };
            stand.note(|record| record.samples.push(sample));
        }
        tokio::time::sleep(PERIOD).await;
    }
    Ok(())
}

/// What each program holds at the least before the load, once it has let go of what the first calls took.
pub(super) async fn before(stand: &Stand) -> Outcome<Vec<Footprint>> {
    tokio::time::sleep(SETTLE).await;
    let mut least = LASTING.map(|program| stand.footprint(program)).into_iter().collect::<Outcome<Vec<_>>>()?;
    for _ in 1..LOOKS {
        tokio::time::sleep(PAUSE).await;
        for (program, least) in LASTING.into_iter().zip(&mut least) {
            let now = stand.footprint(program)?;
            least.kib = least.kib.min(now.kib);
            least.descriptors = least.descriptors.min(now.descriptors);
            least.threads = least.threads.min(now.threads);
        }
    }
    Ok(least)
}

/// Waits after the load until each program holds no more than before it, or for as long as that may take.
pub(super) async fn after(stand: &Stand, before: &[Footprint]) -> Outcome {
    let begin = stand.now();
    loop {
        let mut quiet = Vec::new();
        for (program, &before) in LASTING.into_iter().zip(before) {
            quiet.push(Quiet { program, before, after: stand.footprint(program)? });
        }
        if quiet.iter().all(is_as_before) || stand.now() > begin + SETTLE {
            stand.note(|record| record.quiet = quiet);
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
