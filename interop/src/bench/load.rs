//! Calls at a fixed number at a time, as fast as they go.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use vernal::BoxError;

use crate::check::Outcome;
use crate::web::Web;

/// So many at a time are measured.
pub(super) const CONCURRENCY: [usize; 2] = [1, 16];

/// What is asked for.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Load {
    pub(super) concurrency: usize,
    /// Before anything counts.
    pub(super) warm_up_millis: u64,
    /// While it counts.
    pub(super) millis: u64,
}

/// What came out; the Java user service tells the same.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rates {
    per_second: f64,
    p50_micros: f64,
    p99_micros: f64,
}

impl Load {
    /// As the services with a client take it.
    pub(super) fn query(self) -> String {
        let Self { concurrency, warm_up_millis, millis } = self;
        format!("concurrency={concurrency}&warmUpMillis={warm_up_millis}&millis={millis}")
    }

    pub(super) const fn duration(self) -> Duration {
        Duration::from_millis(self.warm_up_millis + self.millis)
    }
}

impl Rates {
    pub(super) fn cells(self) -> [String; 3] {
        let micros = |value: f64| format!("{value:.0} us");
        [format!("{:.0}", self.per_second), micros(self.p50_micros), micros(self.p99_micros)]
    }
}

/// Tasks that call one after the other, as many as wanted.
///
/// # Errors
///
/// The first call that fails.
pub(super) async fn measure<C, F>(load: Load, call: C) -> Outcome<Rates>
where
    C: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Result<(), BoxError>> + Send,
{
    let begin = Instant::now() + Duration::from_millis(load.warm_up_millis);
    let time = Duration::from_millis(load.millis);
    let mut tasks = JoinSet::new();
    for _ in 0..load.concurrency {
        let call = call.clone();
        tasks.spawn(async move {
            let mut times = Vec::new();
            loop {
                let start = Instant::now();
                if start >= begin + time {
                    return Ok::<_, BoxError>(times);
                }
                call().await?;
                if start >= begin {
                    times.push(start.elapsed());
                }
            }
        });
    }
    let mut times = Vec::new();
    while let Some(of_one) = tasks.join_next().await {
        times.extend(of_one??);
    }
    times.sort_unstable();
    let per_second = times.len() as f64 / time.as_secs_f64();
    Ok(Rates { per_second, p50_micros: micros(&times, 0.5)?, p99_micros: micros(&times, 0.99)? })
}

/// The same with `GET`s of a URL, each of which must be answered with 200.
pub(super) async fn measure_gets(load: Load, url: String) -> Outcome<Rates> {
    let web = Web::new()?;
    let call = move || {
        let (web, url) = (web.clone(), url.clone());
        async move { web.get(&url).await.expect(200, &url).map(drop) }
    };
    measure(load, call).await
}

/// The quantile of sorted times, in microseconds.
fn micros(times: &[Duration], quantile: f64) -> Outcome<f64> {
    Ok(at(times, quantile)?.as_secs_f64() * 1e6)
}

/// The quantile of sorted times, in milliseconds, for a table.
pub(super) fn millis(times: &[Duration], quantile: f64) -> Outcome<String> {
    Ok(format!("{} ms", at(times, quantile)?.as_millis()))
}

/// The quantile of sorted times.
fn at(times: &[Duration], quantile: f64) -> Outcome<Duration> {
    let place = (times.len() as f64 * quantile) as usize;
    times.get(place.min(times.len().saturating_sub(1))).copied().ok_or_else(|| "nothing was measured".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_times() {
        let times: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(at(&times, 0.5).ok(), Some(Duration::from_millis(51)));
        assert_eq!(at(&times, 0.99).ok(), Some(Duration::from_millis(100)));
        assert_eq!(at(&times[..1], 0.5).ok(), Some(Duration::from_millis(1)));
        assert!(at(&[], 0.5).is_err());
    }
}
