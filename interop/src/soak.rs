//! Our programs for a while: calls, edits of a setting, and servers and services that go away, all at once, and at the
//! end nothing may have been lost, leaked or left behind. Nothing but our own programs takes part.

mod calls;
mod disturbances;
mod edits;
mod record;
mod report;
mod samples;
mod stand;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use self::calls::{CALLERS, Call, Users};
use self::record::Record;
use self::stand::Stand;
use crate::check::{Outcome, within};
use crate::web::Web;

/// The shortest load in which everything goes wrong once.
pub const SHORTEST: Duration = Duration::from_secs(60);
/// Until everybody has found everybody.
const PATIENCE: Duration = Duration::from_secs(20);
/// What start, rest and end may add to the load.
const MORE: Duration = Duration::from_secs(240);

/// Starts the programs, puts them under load for `time` and tells what was seen as Markdown. Gives what is not as the
/// documentation promises, one sentence each.
///
/// # Errors
///
/// If a program could not be started or did not go on, or `time` is too short.
pub async fn run(time: Duration, tell: fn(&str)) -> Outcome<Vec<String>> {
    if time < SHORTEST {
        return Err(format!("a soak lasts at least {SHORTEST:?}, not {time:?}").into());
    }
    let limit = time + MORE;
    let record = tokio::time::timeout(limit, watch(time, tell)).await;
    let record = record.map_err(|_| format!("the soak did not end within {limit:?}"))??;
    tell(&report::report(&record));
    Ok(verdict::judge(&record))
}

async fn watch(time: Duration, tell: fn(&str)) -> Outcome<Record> {
    let mut stand = Stand::start(time).await?;
    let users = find_everybody(&stand).await?;
    edits::rehearse(&stand, async || disturbances::rehearse(&stand).await).await?;
    let before = samples::before(&stand).await?;
    tell(&format!("all programs run; now {} s of load\n", time.as_secs()));
    stand.begin();
    let stand = Arc::new(stand);
    load(&stand, &users).await?;
    samples::after(&stand, &before).await?;
    stand.close().await?;
    Ok(stand.take_record())
}

/// Makes the users, and waits until every call succeeds.
async fn find_everybody(stand: &Stand) -> Outcome<Users> {
    let (web, gateway) = (Web::new()?, stand.site.gateway());
    let users = Users { reader: user(&web, &gateway, "reader").await?, buyer: user(&web, &gateway, "buyer").await? };
    within(PATIENCE, async || calls::order(&web, &gateway, &users.reader).await.expect(201, "an order")).await?;
    for call in Call::ALL {
        let status = if call == Call::Create { 201 } else { 200 };
        within(PATIENCE, async || calls::send(&web, &gateway, &users, call).await.expect(status, call.words())).await?;
    }
    Ok(users)
}

async fn user(web: &Web, gateway: &str, name: &str) -> Outcome<String> {
    let (url, user) = (
        format!("{gateway}/user-service/users"),
        json!({"email": format!("{name}@example.com"), "name": name, "pwd": "test1111"}),
    );
    let made = within(PATIENCE, async || web.post_json(&url, &user).await.expect(201, &url)).await?;
    Ok(made.json["userId"].as_str().ok_or("a user has no `userId`")?.to_owned())
}

/// Everything at once, until the time is over or something cannot go on.
async fn load(stand: &Arc<Stand>, users: &Users) -> Outcome {
    let mut tasks = JoinSet::new();
    for caller in 0..CALLERS {
        tasks.spawn(calls::make(Arc::clone(stand), caller, users.clone()));
    }
    tasks.spawn(edits::make(Arc::clone(stand)));
    tasks.spawn(disturbances::of_services(Arc::clone(stand)));
    tasks.spawn(disturbances::of_the_broker(Arc::clone(stand)));
    tasks.spawn(samples::take(Arc::clone(stand)));
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}
