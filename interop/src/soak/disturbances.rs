//! What goes wrong, at set times.

use std::sync::Arc;
use std::time::Duration;

use super::stand::{BROKER, CONFIG, End, ORDER, REGISTRY, Stand};
use crate::check::Outcome;

/// Kills an order service this often, and half as long after it ends the config server or the registry.
const PERIOD: Duration = Duration::from_secs(15);
const ORDER_AWAY: Duration = Duration::from_secs(1);
const SERVER_AWAY: Duration = Duration::from_secs(2);
const BROKER_AWAY: Duration = Duration::from_secs(3);
/// Outages of the broker: two in a row every 90 s. The bus asks less and less often while its subscriptions last less
/// than a minute, so that outages at even distances below would keep it away for longer and longer.
const OUTAGES: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(45)];
const OUTAGES_PERIOD: Duration = Duration::from_secs(90);

/// An outage before the load: what a service makes at its first one and keeps is no leak.
pub(super) async fn rehearse(stand: &Stand) -> Outcome {
    stand.disturb(BROKER, End::Terminate, BROKER_AWAY).await
}

/// Kills order services, and restarts the servers that they start with, so never both at once.
pub(super) async fn of_services(stand: Arc<Stand>) -> Outcome {
    for number in 1.. {
        if !reached(&stand, PERIOD * number).await {
            break;
        }
        stand.disturb(ORDER, End::Kill, ORDER_AWAY).await?;
        if !reached(&stand, PERIOD * number + PERIOD / 2).await {
            break;
        }
        let server = if number % 2 == 1 { CONFIG } else { REGISTRY };
        stand.disturb(server, End::Terminate, SERVER_AWAY).await?;
    }
    Ok(())
}

/// Lets the broker be away, once after it has said good-bye, once without.
pub(super) async fn of_the_broker(stand: Arc<Stand>) -> Outcome {
    for round in 0.. {
        for (outage, end) in OUTAGES.into_iter().zip([End::Terminate, End::Kill]) {
            if !reached(&stand, OUTAGES_PERIOD * round + outage).await {
                return Ok(());
            }
            stand.disturb(BROKER, end, BROKER_AWAY).await?;
        }
    }
    Ok(())
}

/// Waits for a time under load; false if the load ends before.
async fn reached(stand: &Stand, at: Duration) -> bool {
    tokio::time::sleep(at.min(stand.time).saturating_sub(stand.now())).await;
    at < stand.time
}
