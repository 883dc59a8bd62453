//! A spawned task that somebody owns.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The handle of a background task: [`stop`](Self::stop) ends it cleanly, dropping it aborts it.
#[derive(Debug)]
#[must_use = "dropping a task aborts it"]
pub struct Task {
    name: &'static str,
    token: CancellationToken,
    handle: JoinHandle<()>,
}

/// How a task came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// It returned by itself or after being asked to.
    Finished,
    /// It did not return within the time limit and was aborted.
    Aborted,
    /// It panicked.
    Panicked,
}

impl Task {
    /// Spawns what `start` returns on the current tokio runtime. The token is cancelled when the task shall end.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn spawn<F, Fut>(name: &'static str, start: F) -> Self
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let token = CancellationToken::new();
        let handle = tokio::spawn(start(token.clone()));
        Self { name, token, handle }
    }

    /// The name given at the start, for logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the task has returned (or panicked).
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Asks the task to end, without waiting.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Asks the task to end and waits for at most `limit`, then aborts it and waits until it has let go of what it
    /// owned, which happens at its next point of suspension.
    ///
    /// # Cancel safety
    ///
    /// A dropped future aborts the task.
    pub async fn stop(mut self, limit: Duration) -> Ending {
        self.token.cancel();
        match tokio::time::timeout(limit, &mut self.handle).await {
            Ok(Ok(())) => Ending::Finished,
            Ok(Err(error)) if error.is_panic() => {
                tracing::error!(task = self.name, "background task panicked");
                Ending::Panicked
            }
            Ok(Err(_)) => Ending::Aborted,
            Err(_) => {
                tracing::warn!(
                    task = self.name,
                    limit_ms = limit.as_millis(),
                    "background task aborted at its time limit"
                );
                Ending::Aborted
            }
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.token.cancel();
        self.handle.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn stop_lets_a_task_finish_its_work() {
        let task = Task::spawn("polite", |token| async move { token.cancelled().await });
        assert_eq!(task.stop(Duration::from_secs(1)).await, Ending::Finished);
    }

    #[tokio::test(start_paused = true)]
    async fn stop_aborts_a_task_that_does_not_listen() {
        let task = Task::spawn("deaf", |_| std::future::pending());
        assert_eq!(task.stop(Duration::from_secs(1)).await, Ending::Aborted);
    }

    #[tokio::test]
    async fn dropping_the_handle_aborts_the_task() {
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        drop(Task::spawn("owned", |_| async move {
            std::future::pending::<()>().await;
            drop(sender);
        }));
        assert!(receiver.await.is_err());
    }
}
