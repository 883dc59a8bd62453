//! When a server says that trying again makes sense.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

/// `Retry-After` as Feign reads it: whole seconds, perhaps with a point and zeros, or an RFC 1123 date.
/// What it does not read is ignored, as is a number of seconds beyond the clock (Feign fails on that).
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<SystemTime> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?;
    let (whole, zeros) = text.split_once('.').unwrap_or((text, ""));
    if !whole.is_empty() && whole.bytes().all(|b| b.is_ascii_digit()) && zeros.bytes().all(|b| b == b'0') {
        return now.checked_add(Duration::from_secs(whole.parse().ok()?));
    }
    rfc1123(text)
}

fn rfc1123(text: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut parts = text.split_once(',')?.1.trim().split(' ');
    let day: u64 = parts.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
    let year: u64 = parts.next()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
    let mut time = parts.next()?.split(':').map(|part| part.parse::<u64>().ok().filter(|part| *part < 60));
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    if hour > 23 || time.next().is_some() || parts.next() != Some("GMT") || parts.next().is_some() {
        return None;
    }
    // Days since 1970 of a civil date, years beginning in March so that the leap day comes last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    let seconds = days.checked_sub(719_468)? * 86_400 + hour * 3600 + minute * 60 + second;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(value: &str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", value.parse().unwrap());
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        Some(retry_after(&headers, now)?.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn retry_after_is_read_as_feign_reads_it() {
        let cases = [
            ("5", Some(1005)),
            ("5.0", Some(1005)),
            ("5.", Some(1005)),
            ("0", Some(1000)),
            ("1.5", None),
            ("-1", None),
            ("abc", None),
            ("99999999999999999999", None),
            ("18446744073709551615", None),
            ("Thu, 01 Jan 1970 00:00:10 GMT", Some(10)),
            ("Sun, 28 Nov 2021 11:32:11 GMT", Some(1_638_099_131)),
            ("Sun, 28 Nov 2021 11:32:11", None),
            ("Sun, 28 Foo 2021 11:32:11 GMT", None),
        ];
        for (value, expected) in cases {
            assert_eq!(wait(value), expected, "{value}");
        }
    }
}
