//! Choice of one instance out of a snapshot.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::discover::{Candidate, ServiceView};
use crate::random::Random;

/// Chooses an instance. Called once per attempt, so it neither waits nor locks.
#[diagnostic::on_unimplemented(message = "`{Self}` is no load balancer: implement `Balance` for it")]
pub trait Balance: Send + Sync + 'static {
    /// The position in [`ServiceView::candidates`] of the instance to call, or `None` if `tried` holds them all.
    /// `tried` are the positions that this call has already failed on.
    fn pick(&self, view: &ServiceView, tried: &[usize]) -> Option<usize>;
}

/// One after the other (Spring's default).
#[derive(Debug, Default)]
pub struct RoundRobin {
    next: AtomicUsize,
}

/// Power of two choices: of two random instances the one with fewer requests in flight. Our default.
#[derive(Debug, Default)]
pub struct P2c {
    random: Random,
}

impl RoundRobin {
    /// Begins with the first instance.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl P2c {
    /// With a random seed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a fixed seed, for tests.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self { random: Random::seeded(seed) }
    }
}

impl Balance for RoundRobin {
    fn pick(&self, view: &ServiceView, tried: &[usize]) -> Option<usize> {
        let count = view.len();
        if count == 0 {
            return None;
        }
        let start = self.next.fetch_add(1, Ordering::Relaxed) % count;
        let eligible = eligible(view, tried);
        (0..count).map(|step| (start + step) % count).find(eligible)
    }
}

impl Balance for P2c {
    fn pick(&self, view: &ServiceView, tried: &[usize]) -> Option<usize> {
        let eligible = eligible(view, tried);
        let choices = (0..view.len()).filter(&eligible).count();
        let nth = |n: usize| (0..view.len()).filter(&eligible).nth(n);
        if choices < 2 {
            return nth(0);
        }
        let first = self.random.below(choices);
        let second = (first + 1 + self.random.below(choices - 1)) % choices;
        let (first, second) = (nth(first)?, nth(second)?);
        let pending = |position: usize| view.candidates().get(position).map_or(usize::MAX, Candidate::pending);
        Some(if pending(second) < pending(first) { second } else { first })
    }
}

/// Not tried yet, and not avoided unless all that is left is.
fn eligible<'a>(view: &'a ServiceView, tried: &'a [usize]) -> impl Fn(&usize) -> bool + 'a {
    let open = |position: &usize| !tried.contains(position);
    let avoided = |position: usize| view.candidates().get(position).is_some_and(Candidate::is_avoided);
    let some_are_fine = (0..view.len()).any(|position| open(&position) && !avoided(position));
    move |position| open(position) && !(some_are_fine && avoided(*position))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::ServiceInstance;

    fn view(count: u16) -> ServiceView {
        ServiceView::new((1..=count).map(|port| ServiceInstance::new("a", "h", port)))
    }

    #[test]
    fn round_robin_takes_turns() {
        let balance = RoundRobin::new();
        let picks: Vec<_> = (0..4).filter_map(|_| balance.pick(&view(3), &[])).collect();
        assert_eq!(picks, [0, 1, 2, 0]);
    }

    #[test]
    fn an_instance_that_was_tried_is_not_picked_again() {
        for balance in [&RoundRobin::new() as &dyn Balance, &P2c::new()] {
            for _ in 0..50 {
                assert_eq!(balance.pick(&view(3), &[0, 2]), Some(1));
            }
            assert_eq!(balance.pick(&view(3), &[0, 1, 2]), None);
            assert_eq!(balance.pick(&view(0), &[]), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_that_took_no_connection_is_avoided_for_a_second() {
        let view = view(3);
        view.candidates()[1].avoid();
        for balance in [&RoundRobin::new() as &dyn Balance, &P2c::new()] {
            assert!((0..50).all(|_| balance.pick(&view, &[]) != Some(1)));
            assert_eq!(balance.pick(&view, &[0, 2]), Some(1), "where nothing else is left it is picked all the same");
        }
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert!((0..50).any(|_| P2c::new().pick(&view, &[]) == Some(1)));
    }

    #[test]
    fn p2c_avoids_the_busy_instance() {
        let view = view(2);
        let _busy = view.candidates()[0].begin();
        let balance = P2c::seeded(5);
        assert!((0..50).all(|_| balance.pick(&view, &[]) == Some(1)));
    }

    #[test]
    fn p2c_spreads_over_idle_instances() {
        let balance = P2c::seeded(9);
        let view = view(4);
        let mut counts = [0; 4];
        (0..4000).filter_map(|_| balance.pick(&view, &[])).for_each(|position| counts[position] += 1);
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
