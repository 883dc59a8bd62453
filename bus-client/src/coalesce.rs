//! When to refresh: many requests become one refresh, spread in time over the fleet.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use vernal_commons::backoff::Backoff;
use vernal_commons::random::Random;

use crate::destination::Scope;

/// Most requests whose names are kept for acks; older ones are forgotten, and counted.
const MAX_NAMES: usize = 1024;
/// A steady stream of requests puts off the refresh by no more than this.
const MAX_QUIET: Duration = Duration::from_secs(5);
/// Least time between the end of a refresh and one that was asked for meanwhile.
const REST: Duration = Duration::from_secs(1);
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60)).jitter(0.2);

/// How requests are gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// A refresh starts when no request came for this long.
    pub(crate) quiet: Duration,
    /// Longest random delay after that, by the widest scope of the requests.
    pub(crate) jitter: [Duration; 3],
}

/// Decides when to refresh, and which requests a refresh has answered. It reads no clock and starts nothing: the
/// caller asks [`deadline`](Self::deadline), sleeps, calls [`start`](Self::start) and later
/// [`finish`](Self::finish). `A` is what an answered request leads to, here an ack.
#[derive(Debug)]
pub(crate) struct Coalescer<A> {
    pace: Pace,
    random: Random,
    pending: Option<Batch<A>>,
    running: Option<Batch<A>>,
    /// A refresh failed: the next one starts at this time, whatever else comes in.
    retry_at: Option<Instant>,
    /// A refresh was asked for while one ran.
    not_before: Option<Instant>,
    failures: u32,
}

#[derive(Debug)]
struct Batch<A> {
    first: Instant,
    last: Instant,
    scope: Scope,
    /// Share of the jitter, drawn once.
    share: f64,
    names: VecDeque<A>,
    requests: u64,
    /// When the subscription began that asks to catch up, if that is all this batch is about.
    catch_up: Option<Instant>,
}

/// What became of the requests of a refresh.
#[derive(Debug)]
pub(crate) struct Finished<A> {
    /// What to acknowledge.
    pub(crate) answered: VecDeque<A>,
    /// How many requests beyond the first the refresh has saved.
    pub(crate) coalesced: u64,
}

impl<A> Coalescer<A> {
    pub(crate) fn new(pace: Pace, random: Random) -> Self {
        Self { pace, random, pending: None, running: None, retry_at: None, not_before: None, failures: 0 }
    }

    /// Asks for a refresh. Returns how many names had to be forgotten.
    pub(crate) fn request(&mut self, now: Instant, scope: Scope, name: Option<A>) -> usize {
        let mut batch = self.batch(now, scope, None);
        batch.names.extend(name);
        self.add(now, batch)
    }

    /// Asks for a refresh because events may have been missed before `now`, the begin of a subscription.
    pub(crate) fn catch_up(&mut self, now: Instant) {
        let batch = self.batch(now, Scope::Fleet, Some(now));
        self.add(now, batch);
    }

    /// The configuration was fetched by somebody else, beginning at `started`: a pending wish to catch up with an
    /// older gap is fulfilled.
    pub(crate) fn fetched(&mut self, started: Instant) {
        if self.pending.as_ref().and_then(|batch| batch.catch_up).is_some_and(|gap| started >= gap) {
            self.pending = None;
            self.retry_at = None;
            self.failures = 0;
        }
    }

    /// When to call [`start`](Self::start); none if there is nothing to do, or a refresh is running.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.running.is_some() {
            return None;
        }
        let batch = self.pending.as_ref()?;
        let due = self.retry_at.unwrap_or_else(|| batch.due(&self.pace));
        Some(self.not_before.map_or(due, |rest| rest.max(due)))
    }

    /// Begins a refresh if one is due.
    pub(crate) fn start(&mut self, now: Instant) -> bool {
        if self.deadline().is_none_or(|due| now < due) {
            return false;
        }
        self.running = self.pending.take();
        self.retry_at = None;
        self.not_before = None;
        true
    }

    /// Ends the refresh. A failed one keeps its requests and is tried again.
    pub(crate) fn finish(&mut self, now: Instant, succeeded: bool) -> Finished<A> {
        let none = Finished { answered: VecDeque::new(), coalesced: 0 };
        let Some(done) = self.running.take() else { return none };
        if succeeded {
            self.failures = 0;
            self.not_before = self.pending.is_some().then(|| now + REST);
            return Finished { answered: done.names, coalesced: done.requests.saturating_sub(1) };
        }
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(now + RETRY.delay(self.failures, &self.random));
        self.pending = Some(match self.pending.take() {
            Some(newer) => done.join(newer).0,
            None => done,
        });
        none
    }

    /// Refreshes that failed since one succeeded.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    fn batch(&self, now: Instant, scope: Scope, catch_up: Option<Instant>) -> Batch<A> {
        let share = self.random.unit();
        Batch { first: now, last: now, scope, share, names: VecDeque::new(), requests: 1, catch_up }
    }

    fn add(&mut self, now: Instant, newer: Batch<A>) -> usize {
        let Some(batch) = self.pending.take() else {
            self.pending = Some(newer);
            return 0;
        };
        // Once it was quiet for long enough, only the jitter is still waited for.
        let still_noisy = now < batch.quiet_until(&self.pace);
        let last = if still_noisy { now } else { batch.last };
        let (joined, forgotten) = batch.join(newer);
        self.pending = Some(Batch { last, ..joined });
        forgotten
    }
}

impl<A> Batch<A> {
    fn quiet_until(&self, pace: &Pace) -> Instant {
        (self.last + pace.quiet).min(self.first + MAX_QUIET.max(pace.quiet))
    }

    fn due(&self, pace: &Pace) -> Instant {
        let jitter = match self.scope {
            Scope::Instance => pace.jitter[0],
            Scope::Service => pace.jitter[1],
            Scope::Fleet => pace.jitter[2],
        };
        self.quiet_until(pace) + jitter.mul_f64(self.share)
    }

    /// This batch with the requests of a newer one, and how many names were one too many.
    fn join(mut self, newer: Self) -> (Self, usize) {
        self.scope = self.scope.max(newer.scope);
        self.last = newer.last;
        self.requests += newer.requests;
        self.catch_up = match (self.catch_up, newer.catch_up) {
            (Some(old), Some(new)) => Some(old.max(new)),
            _ => None,
        };
        self.names.extend(newer.names);
        let forgotten = self.names.len().saturating_sub(MAX_NAMES);
        self.names.drain(..forgotten);
        (self, forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn coalescer(quiet: u64, jitter: [u64; 3]) -> Coalescer<u32> {
        Coalescer::new(Pace { quiet: millis(quiet), jitter: jitter.map(millis) }, Random::seeded(5))
    }

    /// Runs until `end`, each refresh taking no time, and returns when refreshes started.
    fn run(coalescer: &mut Coalescer<u32>, epoch: Instant, requests: &[(u64, Scope)], end: u64) -> Vec<u64> {
        let mut starts = Vec::new();
        let mut requests = requests.iter().copied().peekable();
        for at in 0..=end {
            let now = epoch + millis(at);
            while requests.next_if(|(time, _)| *time == at).is_some_and(|(_, scope)| {
                coalescer.request(now, scope, None);
                true
            }) {}
            if coalescer.start(now) {
                starts.push(at);
                coalescer.finish(now, true);
            }
        }
        starts
    }

    #[test]
    fn burst_becomes_one_refresh_that_answers_every_request() {
        let (mut coalescer, epoch) = (coalescer(500, [0; 3]), Instant::now());
        for n in 0..50 {
            coalescer.request(epoch + millis(u64::from(n) * 8), Scope::Fleet, Some(n));
        }
        let due = epoch + millis(49 * 8 + 500);
        assert_eq!(coalescer.deadline(), Some(due));
        assert!(!coalescer.start(due - millis(1)) && coalescer.start(due));
        let finished = coalescer.finish(due, true);
        assert_eq!(Vec::from(finished.answered), (0..50).collect::<Vec<_>>());
        assert_eq!(finished.coalesced, 49);
        assert_eq!(coalescer.deadline(), None);
    }

    #[test]
    fn steady_requests_do_not_starve_the_refresh() {
        let requests: Vec<_> = (0..200).map(|n| (n * 100, Scope::Fleet)).collect();
        let starts = run(&mut coalescer(500, [0; 3]), Instant::now(), &requests, 20_000);
        assert_eq!(starts[0], 5000);
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] <= 5100), "{starts:?}");
    }

    #[test]
    fn request_during_a_refresh_starts_one_more_after_a_rest() {
        let (mut coalescer, epoch) = (coalescer(0, [0; 3]), Instant::now());
        coalescer.request(epoch, Scope::Fleet, Some(1));
        assert!(coalescer.start(epoch));
        coalescer.request(epoch + millis(10), Scope::Fleet, Some(2));
        coalescer.request(epoch + millis(20), Scope::Fleet, Some(3));
        assert_eq!(coalescer.deadline(), None);
        assert_eq!(Vec::from(coalescer.finish(epoch + millis(100), true).answered), [1]);
        assert_eq!(coalescer.deadline(), Some(epoch + millis(1100)));
        assert!(coalescer.start(epoch + millis(1100)));
        assert_eq!(Vec::from(coalescer.finish(epoch + millis(1200), true).answered), [2, 3]);
        assert_eq!(coalescer.deadline(), None);
    }

    #[test]
    fn widest_scope_of_a_batch_decides_on_the_jitter() {
        let epoch = Instant::now();
        let late = |scopes: &[Scope]| {
            let mut latest = Duration::ZERO;
            for seed in 0..200 {
                let pace = Pace { quiet: Duration::ZERO, jitter: [millis(0), millis(2000), millis(15_000)] };
                let mut coalescer: Coalescer<u32> = Coalescer::new(pace, Random::seeded(seed));
                scopes.iter().for_each(|scope| _ = coalescer.request(epoch, *scope, None));
                latest = latest.max(coalescer.deadline().unwrap() - epoch);
            }
            latest
        };
        assert_eq!(late(&[Scope::Instance]), Duration::ZERO);
        let service = late(&[Scope::Service, Scope::Instance]);
        assert!(service > millis(1800) && service <= millis(2000), "{service:?}");
        let fleet = late(&[Scope::Instance, Scope::Fleet]);
        assert!(fleet > millis(14_000) && fleet <= millis(15_000), "{fleet:?}");
    }

    #[test]
    fn thousand_nodes_spread_over_the_jitter() {
        let (epoch, random) = (Instant::now(), Random::seeded(1));
        let mut per_second = [0_u32; 16];
        for _ in 0..1000 {
            let pace = Pace { quiet: millis(500), jitter: [Duration::ZERO, millis(2000), millis(15_000)] };
            let mut coalescer: Coalescer<u32> = Coalescer::new(pace, Random::seeded(random.next_u64()));
            coalescer.request(epoch, Scope::Fleet, None);
            let second = (coalescer.deadline().unwrap() - epoch).as_secs();
            per_second[usize::try_from(second).unwrap()] += 1;
        }
        assert!(per_second.iter().all(|starts| *starts <= 110), "{per_second:?}");
    }

    #[test]
    fn request_during_the_jitter_joins_without_delay() {
        let (mut coalescer, epoch) = (coalescer(100, [0, 0, 10_000]), Instant::now());
        coalescer.request(epoch, Scope::Fleet, None);
        let due = coalescer.deadline().unwrap();
        assert!(due > epoch + millis(200), "the seed gives some jitter");
        coalescer.request(epoch + millis(150), Scope::Fleet, None);
        assert_eq!(coalescer.deadline(), Some(due));
    }

    #[test]
    fn failed_refresh_is_tried_again_with_growing_delays_and_keeps_its_requests() {
        let (mut coalescer, epoch) = (coalescer(0, [0; 3]), Instant::now());
        coalescer.request(epoch, Scope::Fleet, Some(1));
        let mut now = epoch;
        for expected in [1000, 2000, 4000] {
            assert!(coalescer.start(now));
            assert!(coalescer.finish(now, false).answered.is_empty());
            // A new request joins and does not start the count again.
            coalescer.request(now, Scope::Fleet, None);
            let next = coalescer.deadline().unwrap();
            let delay = next - now;
            assert!(delay <= millis(expected) && delay >= millis(expected * 8 / 10), "{delay:?}");
            now = next;
        }
        assert_eq!(coalescer.failures(), 3);
        assert!(coalescer.start(now));
        assert_eq!(Vec::from(coalescer.finish(now, true).answered), [1]);
        assert_eq!((coalescer.failures(), coalescer.deadline()), (0, None));
    }

    #[test]
    fn names_are_bounded_and_the_oldest_go_first() {
        let (mut coalescer, epoch) = (coalescer(0, [0; 3]), Instant::now());
        let forgotten: usize = (0..5000).map(|n| coalescer.request(epoch, Scope::Fleet, Some(n))).sum();
        assert_eq!(forgotten, 5000 - MAX_NAMES);
        assert!(coalescer.start(epoch));
        let answered = coalescer.finish(epoch, true).answered;
        assert_eq!((answered.front(), answered.back(), answered.len()), (Some(&3976), Some(&4999), MAX_NAMES));
    }

    #[test]
    fn fetch_after_the_gap_makes_the_catch_up_needless() {
        let (mut coalescer, epoch) = (coalescer(500, [0; 3]), Instant::now());
        coalescer.catch_up(epoch);
        coalescer.fetched(epoch - millis(1));
        assert!(coalescer.deadline().is_some());
        coalescer.fetched(epoch + millis(1));
        assert_eq!(coalescer.deadline(), None);
        // A request of somebody else is answered by a refresh of our own.
        coalescer.catch_up(epoch);
        coalescer.request(epoch, Scope::Service, Some(1));
        coalescer.fetched(epoch + millis(1));
        assert!(coalescer.deadline().is_some());
    }
}
