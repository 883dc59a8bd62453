//! Spans of calendar time: `1y3m`, `P14D`.

use std::fmt;

use serde::de::Error as _;

/// Years, months and days (Spring's conversion to `java.time.Period`): `10y`, `3m`, `2w`, `5d`, combinations in that
/// order, ISO-8601 dates, a bare number of days. Prints as ISO-8601.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Period {
    years: i32,
    months: i32,
    days: i32,
}

impl Period {
    /// Whole years.
    #[must_use]
    pub const fn years(&self) -> i32 {
        self.years
    }

    /// Months beyond the years.
    #[must_use]
    pub const fn months(&self) -> i32 {
        self.months
    }

    /// Days beyond the months.
    #[must_use]
    pub const fn days(&self) -> i32 {
        self.days
    }
}

impl std::str::FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, InvalidPeriod> {
        let invalid = || InvalidPeriod { text: text.to_owned() };
        let lower = text.to_ascii_lowercase();
        let (negative, unsigned) = match (lower.strip_prefix("-p"), lower.strip_prefix("+p")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => (false, lower.strip_prefix('p').unwrap_or(&lower)),
        };
        if let Ok(days) = unsigned.parse::<i32>() {
            // Only the plain form may lack a unit.
            return if unsigned.len() == lower.len() { Ok(Self { days, ..Self::default() }) } else { Err(invalid()) };
        }
        let mut period = Self::default();
        let mut rest = unsigned;
        let mut found = false;
        for unit in ['y', 'm', 'w', 'd'] {
            let Some((number, behind)) = rest.split_once(unit) else { continue };
            let number: i32 = number.parse().map_err(|_| invalid())?;
            match unit {
                'y' => period.years = number,
                'm' => period.months = number,
                'w' => period.days = number.checked_mul(7).ok_or_else(invalid)?,
                _ => period.days = period.days.checked_add(number).ok_or_else(invalid)?,
            }
            (rest, found) = (behind, true);
        }
        if !found || !rest.is_empty() {
            return Err(invalid());
        }
        if negative {
            let negated = |number: i32| number.checked_neg().ok_or_else(invalid);
            period =
                Self { years: negated(period.years)?, months: negated(period.months)?, days: negated(period.days)? };
        }
        Ok(period)
    }
}

/// Why a text is no period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a period such as `10d`, `2w`, `1y3m` or `P1Y2M`, found `{text}`")]
pub struct InvalidPeriod {
    text: String,
}

impl<'de> serde::Deserialize<'de> for Period {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return f.write_str("P0D");
        }
        f.write_str("P")?;
        for (number, unit) in [(self.years, 'Y'), (self.months, 'M'), (self.days, 'D')] {
            if number != 0 {
                write!(f, "{number}{unit}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_as_spring_reads_them() {
        for (text, iso) in
            [("1y3m", "P1Y3M"), ("5", "P5D"), ("2w", "P14D"), ("P1Y2M", "P1Y2M"), ("-P1D", "P-1D"), ("0d", "P0D")]
        {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), iso, "{text}");
        }
        for text in ["", "1x", "3m1y", "P", "P5", "1.5d", "d", "-2147483648w", "-P-2147483648D"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
