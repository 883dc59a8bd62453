//! Assertions that say on which side what was expected and what was seen.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::Instant;
use vernal::BoxError;

/// What a scenario ends with; the error is the whole story of its failure.
pub type Outcome<T = ()> = Result<T, BoxError>;

/// How long [`within`] waits between two looks. What happens in another process cannot wake us.
const PAUSE: Duration = Duration::from_millis(50);

/// Whose eyes saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Our crates.
    Ours,
    /// The peer.
    Peer,
}

/// What was seen is not what was expected.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}\n    expected {expected}\n    seen     {seen}", .side.words())]
struct Mismatch {
    side: Side,
    what: String,
    expected: String,
    seen: String,
}

impl Side {
    const fn words(self) -> &'static str {
        match self {
            Self::Ours => "on our side",
            Self::Peer => "on the peer's side",
        }
    }

    /// `seen` equals `expected`.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn same<E, S>(self, what: impl Into<String>, expected: E, seen: S) -> Outcome
    where
        E: Debug + PartialEq<S>,
        S: Debug,
    {
        let equal = expected == seen;
        self.holds(equal, what, &format!("{expected:?}"), seen)
    }

    /// `condition` is true; `expected` says it in words, `seen` is what it was found in.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn holds(self, condition: bool, what: impl Into<String>, expected: &str, seen: impl Debug) -> Outcome {
        match condition {
            true => Ok(()),
            false => {
                let (what, expected) = (what.into(), expected.to_owned());
                Err(Mismatch { side: self, what, expected, seen: format!("{seen:?}") }.into())
            }
        }
    }
}

/// Repeats `look` until it succeeds, for at most `limit`; then its last failure counts.
///
/// # Errors
///
/// The last failure of `look`, with the time that was given.
pub async fn within<T>(limit: Duration, mut look: impl AsyncFnMut() -> Outcome<T>) -> Outcome<T> {
    let start = Instant::now();
    loop {
        match look().await {
            Ok(seen) => return Ok(seen),
            Err(last) if start.elapsed() >= limit => return Err(format!("{last}\n    within   {limit:?}").into()),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_last_failure_is_told_with_both_values() {
        let mut looks = 0;
        let limit = Duration::from_secs(1);
        let failure = within(limit, async || {
            looks += 1;
            Side::Peer.same("the answer", 42, looks)
        });
        let told = failure.await.map(|()| 0).err();
        assert_eq!(told.map(|error| error.to_string()), {
            let text = "on the peer's side: the answer\n    expected 42\n    seen     21\n    within   1s";
            Some(text.to_owned())
        });
        assert!(within(limit, async || Side::Ours.same("it", 1, 1)).await.is_ok());
    }
}
