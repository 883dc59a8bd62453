//! Delays that grow from attempt to attempt.

use std::time::Duration;

use crate::random::Random;

/// Exponential back-off: the delay before attempt `n + 1` is `initial * multiplier^n`, at most `max`.
///
/// Pure: it computes delays, the caller sleeps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    initial: Duration,
    multiplier: f64,
    max: Duration,
    jitter: f64,
}

impl Backoff {
    /// A back-off that starts at `initial`, doubles, and stops growing at `max`; without jitter.
    #[must_use]
    pub const fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, multiplier: 2.0, max, jitter: 0.0 }
    }

    /// The factor between two delays; below 1 counts as 1. Default 2.
    #[must_use]
    pub const fn multiplier(mut self, multiplier: f64) -> Self {
        self.multiplier = multiplier.max(1.0);
        self
    }

    /// The share of each delay that is random, 0 to 1: with 0.5 a delay of 1 s lies in 0.5 s to 1 s. Default 0.
    #[must_use]
    pub const fn jitter(mut self, share: f64) -> Self {
        self.jitter = share.clamp(0.0, 1.0);
        self
    }

    /// The delay after `failures` failed attempts, of which there is at least one; without jitter.
    #[must_use]
    pub fn step(&self, failures: u32) -> Duration {
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.initial.as_secs_f64() * self.multiplier.powi(exponent);
        if seconds.is_finite() && seconds < self.max.as_secs_f64() {
            Duration::from_secs_f64(seconds)
        } else {
            self.max
        }
    }

    /// The delay after `failures` failed attempts, with jitter taken from `random`.
    #[must_use]
    pub fn delay(&self, failures: u32, random: &Random) -> Duration {
        self.step(failures).mul_f64(1.0 - self.jitter * random.unit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_cap() {
        let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
        let millis: Vec<_> = [1, 2, 3, 7, u32::MAX].map(|n| backoff.step(n).as_millis()).into();
        assert_eq!(millis, [500, 1000, 2000, 30_000, 30_000]);
    }

    #[test]
    fn jitter_shortens_a_delay_by_at_most_its_share() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(1)).jitter(0.5);
        let random = Random::seeded(3);
        for _ in 0..100 {
            let delay = backoff.delay(1, &random);
            assert!(delay > Duration::from_millis(499) && delay <= Duration::from_secs(1), "{delay:?}");
        }
    }
}
