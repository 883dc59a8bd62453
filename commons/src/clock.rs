//! The wall clock, for the time stamps that the protocols carry.
//!
//! Durations are measured with `tokio::time` everywhere else, so that tests can pause it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z; 0 if the clock stands before that.
#[must_use]
pub fn now_millis() -> u64 {
    u64::try_from(now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis())).unwrap_or(u64::MAX)
}

/// The wall clock's time.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// `millis` since 1970 as `2026-01-31T12:00:00.123+00:00`, the form of the error bodies of Spring Boot 2 and 3.
#[must_use]
pub fn iso_millis(millis: u64) -> String {
    format!("{}+00:00", date_and_time(millis))
}

/// `millis` since 1970 as `2026-01-31T12:00:00.123Z`, the form of the error bodies of Spring Boot 4.
#[must_use]
pub fn iso_millis_z(millis: u64) -> String {
    format!("{}Z", date_and_time(millis))
}

/// In UTC, without saying so.
fn date_and_time(millis: u64) -> String {
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's civil-from-days, for days since 1970-01-01 (never negative here).
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_form_is_the_one_of_spring_boot() {
        assert_eq!(iso_millis(1_638_099_131_699), "2021-11-28T11:32:11.699+00:00");
        assert_eq!(iso_millis(0), "1970-01-01T00:00:00.000+00:00");
        assert_eq!(iso_millis(1_709_164_800_000), "2024-02-29T00:00:00.000+00:00");
        assert_eq!(iso_millis_z(1_638_099_131_699), "2021-11-28T11:32:11.699Z");
    }
}
