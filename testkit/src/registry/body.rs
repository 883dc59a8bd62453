//! Reading what a client sends.

use std::pin::pin;
use std::sync::mpsc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;

/// A larger body is answered with 413.
pub(super) const LARGEST: usize = 1 << 20;
/// A body that is not there after this time is answered with 408.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// The body, or the status that refuses it. The limit runs by the machine's clock: with tokio's paused, a timer would be
/// over at once, and would take the leases with it. A thread waits instead, which keeps a paused clock still as well.
pub(super) async fn read(body: Body, limit: Duration) -> Result<Bytes, StatusCode> {
    let mut reading = pin!(axum::body::to_bytes(body, LARGEST));
    let result = tokio::select! {
        biased;
        read = &mut reading => read,
        // Not all of it is here yet.
        () = std::future::ready(()) => {
            let (_held, over) = mpsc::channel::<()>();
            let late = tokio::task::spawn_blocking(move || over.recv_timeout(limit));
            tokio::select! {
                biased;
                read = &mut reading => read,
                _ = late => return Err(StatusCode::REQUEST_TIMEOUT),
            }
        }
    };
    result.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use futures_util::stream;

    use super::*;

    fn late(after: Duration) -> Body {
        Body::from_stream(stream::once(async move {
            let (_held, over) = mpsc::channel::<()>();
            let waited = tokio::task::spawn_blocking(move || over.recv_timeout(after)).await;
            waited.map(|_| Bytes::from("late")).map_err(std::io::Error::other)
        }))
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let begin = Instant::now();
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(read(never, Duration::from_millis(50)).await, Err(StatusCode::REQUEST_TIMEOUT));
        assert!(begin.elapsed() >= Duration::from_millis(50));
    }

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_lets_no_time_pass_while_a_body_is_awaited() {
        let begin = tokio::time::Instant::now();
        assert_eq!(read(late(Duration::from_millis(20)), LIMIT).await, Ok(Bytes::from("late")));
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        assert_eq!(read(Body::from("x".repeat(LARGEST)), LIMIT).await.map(|body| body.len()), Ok(LARGEST));
        assert_eq!(read(Body::from("x".repeat(LARGEST + 1)), LIMIT).await, Err(StatusCode::PAYLOAD_TOO_LARGE));
    }
}
