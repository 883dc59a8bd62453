//! Edits of a setting, each of which every service must show.

use std::sync::Arc;
use std::time::Duration;

use super::record::Edit;
use super::stand::Stand;
use crate::check::Outcome;
use crate::web::Web;

/// Between two edits, unless one takes longer to be seen.
const PERIOD: Duration = Duration::from_secs(1);
/// Between two looks, or two requests that were refused.
const PAUSE: Duration = Duration::from_millis(50);
/// An edit that was not seen for so long is given up.
const GIVE_UP: Duration = Duration::from_secs(60);
/// The limit for one request.
const LIMIT: Duration = Duration::from_secs(10);
/// What `config-repo` says.
const THERE: &str = "Welcome to the Simple E-commerce.";
const REHEARSAL: [&str; 2] = ["Before the rehearsal.", "After the rehearsal."];

/// Edits before the load, up to the value that [`make`] expects. After the last one everybody has the connection for
/// acknowledgements, too: whoever showed the value before it was on the bus.
pub(super) async fn rehearse(stand: &Stand, between: impl AsyncFnOnce() -> Outcome) -> Outcome {
    let web = Web::with_limit(LIMIT)?;
    let [first, second] = REHEARSAL;
    seen(edit(stand, &web, THERE, first).await?)?;
    between().await?;
    seen(edit(stand, &web, first, second).await?)?;
    seen(edit(stand, &web, second, &value(0)).await?)
}

/// Edits until the load ends.
pub(super) async fn make(stand: Arc<Stand>) -> Outcome {
    let web = Web::with_limit(LIMIT)?;
    for number in 1.. {
        let begin = stand.now();
        if begin >= stand.time {
            break;
        }
        let edit = edit(&stand, &web, &value(number - 1), &value(number)).await?;
        stand.note(|record| record.edits.push(edit));
        tokio::time::sleep(PERIOD.saturating_sub(stand.now() - begin)).await;
    }
    Ok(())
}

async fn edit(stand: &Stand, web: &Web, from: &str, to: &str) -> Outcome<Edit> {
    let mut edit = Edit { value: to.to_owned(), at: stand.now(), ..Edit::default() };
    stand.site.edit("application.yml", from, to)?;
    announce(stand, web, &mut edit).await;
    watch(stand, web, &mut edit).await;
    Ok(edit)
}

fn value(number: u32) -> String {
    format!("Edit {number}.")
}

fn seen(edit: Edit) -> Outcome {
    let Edit { value, seen, missing, .. } = edit;
    seen.map(drop).ok_or_else(|| format!("`{value}` was not seen by all: {}", missing.join("; ")).into())
}

/// Asks for a refresh of everybody until that is taken.
async fn announce(stand: &Stand, web: &Web, edit: &mut Edit) {
    let url = format!("{}/actuator/busrefresh", stand.site.user());
    while stand.now() < edit.at + GIVE_UP {
        match web.post(&url).await.status {
            204 => return,
            status => edit.refusals.push((stand.now(), status)),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Looks at every service until all have shown the value.
async fn watch(stand: &Stand, web: &Web, edit: &mut Edit) {
    let mut shown = Vec::new();
    loop {
        edit.missing.clear();
        for service in stand.services() {
            if shown.contains(&service) {
                continue;
            }
            let (program, url) = &service;
            let answer = web.get(&format!("{url}/welcome")).await;
            if answer.status == 200 && answer.text == edit.value {
                shown.push(service);
            } else if stand.services().contains(&service) {
                // Not one that was killed meanwhile.
                edit.missing.push(format!("{program} at {url} says {} {}", answer.status, answer.text));
            }
        }
        if edit.missing.is_empty() {
            edit.seen = Some(stand.now());
            return;
        }
        if stand.now() > edit.at + GIVE_UP {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
