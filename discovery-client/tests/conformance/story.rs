//! An exchange, or the steps of a scenario in order: the cache follows the documents, and what a real client did next
//! must be what ours would do.

use std::collections::{BTreeMap, HashMap};

use http::Method;
use serde_json::Value;
use tokio::time::Instant;
use vernal_discovery_client::registry::{Guard, Registry};
use vernal_discovery_client::wire::json::Document;

use crate::operation::{Asked, Line};
use crate::step::{self, Brought};
use crate::tally::{Outcome, Tally, same};

pub(crate) fn run(tally: &mut Tally, name: &str, file: &Value) {
    let Some(steps) = file["steps"].as_array() else {
        let outcome = step::run(&file["request"], &file["response"]).map(|(outcome, _)| outcome);
        return tally.count(name, outcome);
    };
    let mut caches: HashMap<&str, Registry> = HashMap::new();
    for (position, step) in steps.iter().enumerate() {
        let case = format!("{name}#{position}");
        let server = step["to"].as_str().unwrap_or_default();
        let ran = step::run(&step["request"], &step["response"]).and_then(|(outcome, brought)| {
            let outcome = match follow(&mut caches, server, brought, file, &steps[position + 1..])? {
                Some(differs) => differs,
                None => outcome,
            };
            consequence(file, step, &steps[position + 1..])?;
            Ok(outcome)
        });
        tally.count(&case, ran);
    }
}

/// Applies a document to the cache of its server.
fn follow<'a>(
    caches: &mut HashMap<&'a str, Registry>,
    server: &'a str,
    brought: Brought,
    file: &Value,
    later: &[Value],
) -> Result<Option<Outcome>, String> {
    match brought {
        Brought::Nothing => Ok(None),
        Brought::Full(document) => {
            let mut fresh = Registry::new();
            let applied = fresh.replace(&document, Guard::OFF, Instant::now());
            let counted = counted(&document);
            same("hash of a full document", &fresh.hash(), &counted)?;
            // A server that changes between counting and writing promises another hash; that must be noticed.
            same("hash matches", &applied.hash_matches, &(document.hash.as_ref() == Some(&counted)))?;
            caches.insert(server, fresh);
            Ok(None)
        }
        Brought::Delta(document) => {
            // A client that came from another server: Java goes on with deltas, ours asks for everything (2.4).
            let Some(cache) = caches.get_mut(server) else {
                let switched = file["client"].is_string() && !caches.is_empty();
                return Ok(switched.then_some(Outcome::Deviation("2.4")));
            };
            let applied = cache.apply(&document);
            if cache.apply(&document).changed {
                return Err("the same delta changes something the second time".to_owned());
            }
            // A client that asked for deltas to the end was content with each of them.
            let content = file["client"].is_string() && !later.iter().any(|step| asks(step, &Asked::Full));
            if content && !applied.hash_matches {
                return Err(format!("delta leads to {:?}, recorded {:?}", cache.hash(), document.hash));
            }
            Ok(None)
        }
    }
}

/// The hash of a document by counting its words.
fn counted(document: &Document) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for instance in document.applications.iter().flat_map(|application| &application.instances) {
        *counts.entry(instance.status.to_string()).or_default() += 1;
    }
    counts.into_iter().map(|(word, count)| format!("{word}_{count}_")).collect()
}

/// What a Java client does after an answer.
fn consequence(file: &Value, step: &Value, later: &[Value]) -> Result<(), String> {
    if !file["client"].as_str().is_some_and(|client| client.contains("Spring")) {
        return Ok(());
    }
    let asked = read(step);
    let writes = |step: &&Value| matches!(read(step), Some(Asked::Register(_) | Asked::Renew(..) | Asked::Cancel(..)));
    let dirty = |step: &Value| {
        let body: Option<Value> = serde_json::from_str(step["request"]["body"].as_str()?).ok();
        crate::registration::number(&body?["instance"]["lastDirtyTimestamp"])
    };
    match asked {
        Some(Asked::Renew(..)) if step["response"]["status"] == 404 => {
            let Some(next) = later.iter().find(writes) else { return Ok(()) };
            let path = step["request"]["path"].as_str().unwrap();
            let before: Option<u64> = path.rsplit_once("lastDirtyTimestamp=").and_then(|(_, text)| text.parse().ok());
            same("404 to a heartbeat leads to a registration", &matches!(read(next), Some(Asked::Register(_))), &true)?;
            same("with a later time stamp", &(dirty(next) > before), &true)
        }
        Some(Asked::Cancel(..)) => same("writes after the deregistration", &later.iter().filter(writes).count(), &0),
        _ => Ok(()),
    }
}

fn read(step: &Value) -> Option<Asked> {
    let method = Method::try_from(step["request"]["method"].as_str()?).ok()?;
    Line::read(&method, step["request"]["path"].as_str()?).map(|line| line.asked)
}

fn asks(step: &Value, asked: &Asked) -> bool {
    read(step).as_ref() == Some(asked)
}
