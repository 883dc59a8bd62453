//! Keeps the subscription up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use vernal_commons::backoff::Backoff;
use vernal_commons::chain::Chain;
use vernal_commons::random::Random;

use crate::counters::Tally;
use crate::error::TransportError;
use crate::event::Ack;
use crate::handlers::{Job, Wish};
use crate::inbox::{Inbox, Verdict};
use crate::publish::Outbox;
use crate::transport::{BusTransport, Delivery, Node, Subscription};

const BACKOFF: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30)).jitter(0.5);
/// A refused login does not get better by asking often.
const REFUSED: Backoff = Backoff::new(Duration::from_secs(30), Duration::from_secs(30)).jitter(0.5);
/// The first attempt after the broker has ended a healthy subscription, as when the queue was deleted.
const CANCELLED: Duration = Duration::from_millis(100);
/// A subscription that held for so long has proved the broker healthy.
const PROVEN: Duration = Duration::from_secs(60);
/// Time limit to end a subscription.
pub(crate) const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Whether the bus is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Switched off by `spring.cloud.bus.enabled`.
    Disabled,
    /// Connecting and declaring.
    Connecting,
    /// Subscribed: events come in.
    Consuming,
    /// An attempt failed or the subscription was lost; the next attempt is waited for. The application goes on.
    Backoff,
    /// Stopped by [`Bus::stop`](crate::Bus::stop).
    Stopped,
}

/// How the bus is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether it is up.
    pub state: State,
    /// Attempts to subscribe that failed in a row: 0 after one that succeeded, however soon that subscription ended.
    pub failures: u32,
    /// Why the last attempt failed or the last subscription ended; none while [`State::Consuming`].
    pub last_error: Option<String>,
    /// Refreshes that failed in a row.
    pub refresh_failures: u32,
}

/// Subscribes, hands on what comes in, and subscribes again, until it is stopped.
pub(crate) struct Supervisor {
    pub(crate) transport: Arc<dyn BusTransport>,
    pub(crate) node: Node,
    pub(crate) inbox: Inbox,
    pub(crate) wishes: mpsc::Sender<Wish>,
    pub(crate) jobs: mpsc::Sender<Job>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) heard: broadcast::Sender<Ack>,
    pub(crate) health: Arc<watch::Sender<Health>>,
    pub(crate) tally: Arc<Tally>,
}

/// How a subscription came to its end.
enum End {
    Stopped,
    Cancelled,
    Lost(TransportError),
}

impl Supervisor {
    pub(crate) async fn run(mut self, token: CancellationToken) {
        let random = Random::new();
        // Short subscriptions count as steps of the back-off, else a broker that ends each at once would be asked twice
        // a second.
        let (mut failures, mut steps, mut cancels) = (0_u32, 0_u32, 0_u32);
        loop {
            self.health.send_modify(|health| health.state = State::Connecting);
            let attempt = tokio::select! {
                attempt = self.transport.subscribe(&self.node) => attempt,
                () = token.cancelled() => return,
            };
            let pause = match attempt {
                Ok(subscription) => {
                    self.subscribed(failures);
                    failures = 0;
                    let begin = Instant::now();
                    let end = self.consume(subscription, begin, &token).await;
                    if begin.elapsed() >= PROVEN {
                        (steps, cancels) = (0, 0);
                    }
                    steps = steps.saturating_add(1);
                    let mut pause = BACKOFF.delay(steps, &random);
                    let error = match end {
                        End::Stopped => return,
                        End::Cancelled => {
                            cancels = cancels.saturating_add(1);
                            if cancels == 1 {
                                pause = CANCELLED;
                            }
                            "the broker ended the subscription".to_owned()
                        }
                        End::Lost(error) => Chain(&error).to_string(),
                    };
                    let broker = self.transport.broker();
                    tracing::warn!(broker, error, "lost the bus, subscribing again");
                    self.backing_off(failures, error);
                    pause
                }
                Err(error) => {
                    (failures, steps) = (failures.saturating_add(1), steps.saturating_add(1));
                    self.failed(failures, &error);
                    let backoff = if error.is_refused() { REFUSED } else { BACKOFF };
                    backoff.delay(steps, &random)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = token.cancelled() => return,
            }
        }
    }

    /// Hands on messages until the subscription ends.
    async fn consume(
        &mut self,
        mut subscription: Box<dyn Subscription>,
        begin: Instant,
        token: &CancellationToken,
    ) -> End {
        // Nobody knows what was missed before.
        self.wish(Wish::CatchUp(begin)).await;
        let end = loop {
            let next = tokio::select! {
                next = subscription.next() => next,
                () = token.cancelled() => break End::Stopped,
            };
            match next {
                Some(Ok(delivery)) => {
                    let tag = delivery.tag;
                    tokio::select! {
                        () = self.handle(delivery) => {}
                        () = token.cancelled() => break End::Stopped,
                    }
                    if let Err(error) = subscription.acknowledge(tag).await {
                        break End::Lost(error);
                    }
                }
                Some(Err(error)) => break End::Lost(error),
                None => break End::Cancelled,
            }
        };
        subscription.close(CLOSE_LIMIT).await;
        end
    }

    async fn handle(&mut self, delivery: Delivery) {
        let acks = self.heard.receiver_count() > 0;
        let message = &delivery.message;
        match self.inbox.judge(message, Instant::now(), acks) {
            Verdict::Nothing => {}
            Verdict::Acknowledge(receipt) => self.outbox.acknowledge(receipt),
            Verdict::Refresh(scope, receipt) => {
                tracing::debug!(?scope, traceparent = message.traceparent, "bus asks for a refresh");
                self.wish(Wish::Refresh(scope, receipt)).await;
            }
            Verdict::Environment(values, receipt) => {
                tracing::debug!(?values, traceparent = message.traceparent, "bus changes the environment");
                // An error means that the bus is being stopped.
                drop(self.jobs.send(Job::Environment(values, receipt, None)).await);
            }
            Verdict::Shutdown(receipt) => drop(self.jobs.send(Job::Shutdown(receipt)).await),
            Verdict::Heard(ack) => drop(self.heard.send(ack)),
        }
    }

    async fn wish(&self, wish: Wish) {
        // An error means that the bus is being stopped.
        drop(self.wishes.send(wish).await);
    }

    fn subscribed(&self, failures: u32) {
        self.tally.subscriptions.one();
        let (broker, topic) = (self.transport.broker(), self.node.topic());
        tracing::info!(broker, topic, bus_id = %self.node.id(), failures, "subscribed to the bus");
        self.health.send_modify(|health| {
            health.state = State::Consuming;
            health.failures = 0;
            health.last_error = None;
        });
    }

    fn failed(&self, failures: u32, error: &TransportError) {
        let (broker, text) = (self.transport.broker(), Chain(error).to_string());
        // The first failure and each new cause; otherwise only the count is of interest.
        let known = self.health.borrow().last_error.as_ref() == Some(&text);
        if known {
            tracing::debug!(broker, failures, error = text, "bus still not reachable");
        } else if error.is_refused() {
            tracing::error!(broker, failures, error = text, "the broker refuses us, trying again");
        } else {
            tracing::warn!(broker, failures, error = text, "bus not reachable, trying again");
        }
        self.backing_off(failures, text);
    }

    fn backing_off(&self, failures: u32, error: String) {
        self.health.send_modify(|health| {
            health.state = State::Backoff;
            health.failures = failures;
            health.last_error = Some(error);
        });
    }
}
