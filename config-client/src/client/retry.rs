//! How often and how fast a failed load is repeated.

use std::time::Duration;

use vernal_commons::random::Random;

use crate::error::Error;

/// The longest wait that a server's `Retry-After` may impose.
const MAX_RETRY_AFTER: u64 = 60;

/// `spring.cloud.config.retry.*` (Spring's `RetryProperties`).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RetryOptions {
    /// Default: as `fail-fast` (deviation D-7: Java has no such key).
    pub(crate) enabled: Option<bool>,
    /// Milliseconds.
    pub(crate) initial_interval: u64,
    pub(crate) multiplier: f64,
    /// Milliseconds.
    pub(crate) max_interval: u64,
    /// The first one included.
    pub(crate) max_attempts: u64,
    pub(crate) random: bool,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self {
            enabled: None,
            initial_interval: 1000,
            multiplier: 1.1,
            max_interval: 2000,
            max_attempts: 6,
            random: false,
        }
    }
}

impl RetryOptions {
    /// Refuses what spring-retry refuses.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let invalid = |key: &str, expected: &str| Error::Setting {
            key: format!("spring.cloud.config.retry.{key}"),
            origin: None,
            expected: expected.to_owned(),
        };
        if self.multiplier.is_nan() || self.multiplier <= 1.0 {
            return Err(invalid("multiplier", "a number greater than 1"));
        }
        if self.initial_interval < 1 {
            return Err(invalid("initial-interval", "at least 1 ms"));
        }
        if self.max_interval <= self.initial_interval {
            return Err(invalid("max-interval", "more than `initial-interval`"));
        }
        if self.max_attempts < 1 {
            return Err(invalid("max-attempts", "at least 1"));
        }
        Ok(())
    }

    /// The sleeps between attempts. Whole milliseconds, cut at each step, as spring-retry counts.
    pub(crate) fn sleeps(&self) -> Sleeps<'_> {
        Sleeps { options: self, next: self.initial_interval, random: self.random.then(Random::new) }
    }
}

/// The lengths of the sleeps, endless.
pub(crate) struct Sleeps<'a> {
    options: &'a RetryOptions,
    next: u64,
    random: Option<Random>,
}

impl Sleeps<'_> {
    /// The next sleep, at least what the server asked for (in seconds, a minute at most).
    pub(crate) fn after(&mut self, retry_after: Option<u64>) -> Duration {
        let asked = Duration::from_secs(retry_after.unwrap_or(0).min(MAX_RETRY_AFTER));
        self.step().max(asked)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "milliseconds below 2^32, cut on purpose"
    )]
    fn step(&mut self) -> Duration {
        let (max, multiplier) = (self.options.max_interval, self.options.multiplier);
        let base = self.next.min(max);
        if self.next <= max {
            self.next = (self.next as f64 * multiplier) as u64;
        }
        let sleep = match &self.random {
            Some(random) => ((base as f64 * random.unit().mul_add(multiplier - 1.0, 1.0)) as u64).min(max),
            None => base,
        };
        Duration::from_millis(sleep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeps(options: &RetryOptions, count: usize) -> Vec<u128> {
        let mut sleeps = options.sleeps();
        (0..count).map(|_| sleeps.after(None).as_millis()).collect()
    }

    #[test]
    fn sleeps_grow_as_spring_retry_counts_them() {
        assert_eq!(sleeps(&RetryOptions::default(), 5), [1000, 1100, 1210, 1331, 1464]);
        let options = RetryOptions { multiplier: 1.5, max_interval: 1800, ..RetryOptions::default() };
        assert_eq!(sleeps(&options, 4), [1000, 1500, 1800, 1800]);
    }

    #[test]
    fn random_sleeps_lie_between_the_step_and_the_next() {
        let options = RetryOptions { random: true, ..RetryOptions::default() };
        for _ in 0..50 {
            let sleep = sleeps(&options, 1)[0];
            assert!((1000..=1100).contains(&sleep), "{sleep}");
        }
    }

    #[test]
    fn impossible_settings_are_refused() {
        for options in [
            RetryOptions { multiplier: 1.0, ..RetryOptions::default() },
            RetryOptions { multiplier: f64::NAN, ..RetryOptions::default() },
            RetryOptions { max_interval: 1000, ..RetryOptions::default() },
            RetryOptions { initial_interval: 0, ..RetryOptions::default() },
        ] {
            assert!(options.check().is_err(), "{options:?}");
        }
    }

    #[test]
    fn a_server_may_ask_for_a_longer_sleep_but_not_for_an_endless_one() {
        let options = RetryOptions::default();
        assert_eq!(options.sleeps().after(Some(3)).as_secs(), 3);
        assert_eq!(options.sleeps().after(Some(u64::MAX)).as_secs(), 60);
    }
}
