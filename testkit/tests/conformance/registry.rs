//! The embedded registry against recordings of Spring Cloud Netflix 5.0.1 (Eureka 2.0.5).
//!
//! A case is one request of an exchange or scenario with its answer, or one vector. Time does not pass by itself: the
//! registry's clock is moved as the recording says.

mod compare;
mod outside;
mod wire;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use vernal_testkit::registry::Registry;

use crate::Outcome;
use compare::{Leeway, compare, plain};
use outside::Outside;
use wire::{Request, Response};

type Predicate = fn(&Request) -> bool;

/// What no issue has asked for yet, told by the request alone.
const NOT_BUILT: [(&str, Predicate); 4] = [
    ("XML answers (XML for the registry)", wants_xml),
    ("XML bodies (XML for the registry)", |request| {
        request.header("content-type").is_some_and(|it| it.to_lowercase().starts_with("application/xml"))
    }),
    ("compact format (with XML)", |request| {
        request.header("x-eureka-accept") == Some("compact") && !request.split().0.contains("/instances/") && {
            // Look-ups of single instances ignore the header.
            names(request).len() < 3
        }
    }),
    ("peer replication (registry peers)", |request| {
        request.split().0.contains("/peerreplication/") || request.header("x-netflix-discovery-replication").is_some()
    }),
];

/// The purge timer of the recorded server may have stood anywhere in its interval.
const PHASES: std::ops::Range<u64> = 0..10;

/// Longer gaps were cut out of the recordings of clients; they polled on, as often as this.
const CUT: Duration = Duration::from_secs(35);
const POLL: Duration = Duration::from_secs(3);

struct Step {
    at: Duration,
    to: String,
    request: Request,
    response: Response,
    not_built: Option<&'static str>,
}

#[derive(Default)]
struct Replay {
    run: usize,
    tags: Vec<&'static str>,
    not_built: Vec<&'static str>,
    failures: Vec<String>,
}

/// Replays everything below `root`.
pub(crate) fn run(root: &Path) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let mut outcome = Outcome { family: "registry", ..Outcome::default() };
    // A paused clock jumps to the next timer whenever nothing is left to do, except while something blocks.
    let (end, ended) = std::sync::mpsc::channel::<()>();
    runtime.spawn_blocking(move || ended.recv());
    runtime.block_on(async {
        for file in files(&root.join("exchanges")).into_iter().chain(files(&root.join("scenarios"))) {
            let replay = replay_best(&file).await;
            outcome.run += replay.run;
            outcome.passed += replay.run - replay.failures.len();
            replay.tags.into_iter().for_each(|tag| *outcome.deviations.entry(tag).or_default() += 1);
            replay.not_built.into_iter().for_each(|why| *outcome.not_built.entry(why).or_default() += 1);
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            outcome.failures.extend(replay.failures.into_iter().map(|failure| format!("{name}: {failure}")));
        }
        for case in vectors(&root.join("vectors/apps-hashcode.json")) {
            outcome.run += 1;
            match hash_of(&case).await {
                Ok(()) => outcome.passed += 1,
                Err(failure) => outcome.failures.push(failure),
            }
        }
    });
    drop(end);
    outcome
}

async fn replay_best(file: &Path) -> Replay {
    let recording: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let of_client = recording.get("client").is_some();
    let steps: Vec<Step> = match recording.get("steps") {
        Some(steps) => steps.as_array().unwrap().iter().map(Step::read).collect(),
        None => vec![Step::read(&recording)],
    };
    // What a request would have changed is missing for all that follow.
    let whole = steps.iter().filter(|step| step.request.method != "GET").find_map(|step| step.not_built);
    if let Some(why) = whole {
        return Replay { not_built: vec![why; steps.len()], ..Replay::default() };
    }
    if !of_client {
        let registry = server(recording["server"].as_str().unwrap(), &steps).await;
        for instance in outside::earlier(&steps) {
            outside::post(&registry, &instance).await;
        }
        return replay(&steps, registry, None).await;
    }
    let mut best: Option<Replay> = None;
    for (read_only, phase) in copies(&steps).iter().flat_map(|copy| PHASES.map(move |phase| (*copy, phase))) {
        let registry = java_server(read_only).await;
        let outside = Outside::new(&registry, &steps, POLL * u32::try_from(phase).unwrap()).await;
        let replay = replay(&steps, registry, Some(outside)).await;
        if replay.failures.is_empty() {
            return replay;
        }
        if best.as_ref().is_none_or(|best| replay.failures.len() < best.failures.len()) {
            best = Some(replay);
        }
    }
    best.unwrap_or_default()
}

async fn replay(steps: &[Step], registry: Registry, mut outside: Option<Outside>) -> Replay {
    let mut replay = Replay::default();
    let mut carried: HashSet<String> = steps.iter().filter_map(|step| step.request.dirty()).collect();
    let mut clocks: HashMap<&str, Duration> = HashMap::new();
    let mut versions: HashMap<(&str, &str), (u64, u64)> = HashMap::new();
    for (number, step) in steps.iter().enumerate() {
        let gap = clocks.insert(&step.to, step.at).map_or(Duration::ZERO, |last| step.at.saturating_sub(last));
        match &mut outside {
            Some(outside) => {
                pass(&registry, gap).await;
                outside.act(&registry, step, &mut carried).await;
            }
            None => registry.advance(gap),
        }
        if let Some(why) = step.not_built {
            replay.not_built.push(why);
            continue;
        }
        let ours = step.request.send(registry.address()).await;
        if let Some(outside) = &mut outside {
            outside.sent(step);
        }
        replay.run += 1;
        let delta = step.request.split().0.trim_end_matches('/').ends_with("/apps/delta");
        let verdict = compare(&step.response, &ours, Leeway { carried: &carried, delta }).and_then(|tags| {
            let (Some(theirs), Some(mine)) = (version(&step.response), version(&ours)) else { return Ok(tags) };
            let before = versions.insert((&step.to, &step.request.path), (theirs, mine)).filter(|_| delta);
            match before {
                Some((their_last, my_last)) if (theirs > their_last) != (mine > my_last) => {
                    Err(format!("delta version went {my_last}, {mine}; recorded {their_last}, {theirs}"))
                }
                _ => Ok(tags),
            }
        });
        match verdict {
            Ok(tags) => replay.tags.extend(tags),
            Err(failure) => {
                replay.failures.push(format!("step {number}, {} {}: {failure}", step.request.method, step.request.path))
            }
        }
    }
    registry.stop().await;
    replay
}

/// Lets time pass for a client: in a gap that was cut out it went on polling.
async fn pass(registry: &Registry, gap: Duration) {
    let mut left = gap;
    if gap > CUT {
        while left > POLL {
            registry.advance(POLL);
            Request::json("GET", "/eureka/apps/delta", String::new()).send(registry.address()).await;
            left -= POLL;
        }
    }
    registry.advance(left);
}

/// A server of the recordings' README: all are the `plain` one and differ as their names say.
async fn server(kind: &str, steps: &[Step]) -> Registry {
    let mut builder = Registry::builder()
        .delta_retention(Duration::from_secs(3))
        .delta_purge_interval(Duration::from_millis(500))
        .response_cache(Duration::from_secs(1))
        .doubled_leases(true)
        .eviction_limit(true);
    if kind.contains("basic-auth") {
        builder = builder.basic_auth("eve", "p@ss").csrf_protection(kind.contains("csrf"));
    }
    if kind.contains("warm-up") {
        builder = builder.warm_up(opening(steps));
    }
    if kind.contains("disable-delta") {
        builder = builder.delta(false);
    }
    builder.start().await.unwrap()
}

/// When a server that warmed up opened is not recorded, only that it was before the first full fetch it answered.
fn opening(steps: &[Step]) -> Duration {
    let fetch = |step: &&Step| names(&step.request) == ["apps"] && step.response.status == 200;
    steps.iter().find(fetch).map_or(Duration::MAX, |step| step.at)
}

/// The intervals of the read-only cache that a client may have been answered from. Peers had none; a server that stood
/// alone had Java's, but what it had copied when is not recorded.
fn copies(steps: &[Step]) -> &'static [Duration] {
    const COPIES: [Duration; 2] = [Duration::ZERO, Duration::from_secs(30)];
    let peers = steps.iter().any(|step| !step.to.is_empty() || step.response.text().contains("\"EUREKA-SERVER\""));
    if peers { &COPIES[..1] } else { &COPIES }
}

/// What clients were recorded with: Java's times. Its self-preservation never let go of anybody in so small an estate.
async fn java_server(read_only: Duration) -> Registry {
    Registry::builder()
        .eviction_interval(Duration::from_secs(1_000_000))
        .response_cache(Duration::from_secs(180))
        .read_only_cache(read_only)
        .start()
        .await
        .unwrap()
}

/// Registers the instances of a vector and compares the hash over them.
async fn hash_of(case: &Value) -> Result<(), String> {
    let registry = Registry::start().await.unwrap();
    for instance in case["instances"].as_array().unwrap() {
        let [app, id, status] = [0, 1, 2].map(|index| plain(&instance[index]));
        outside::post(&registry, &outside::filler(&app, &id, &status)).await;
    }
    let answer = Request::json("GET", "/eureka/apps", String::new()).send(registry.address()).await;
    let hash = plain(&answer.json().unwrap()["applications"]["apps__hashcode"]);
    registry.stop().await;
    let recorded = plain(&case["hash"]);
    if hash == recorded { Ok(()) } else { Err(format!("apps-hashcode: `{hash}` instead of `{recorded}`")) }
}

// ===== impl Step =====

impl Step {
    fn read(value: &Value) -> Self {
        let request = Request::recorded(&value["request"]);
        Self {
            at: Duration::from_millis(value["at_ms"].as_u64().unwrap_or(0)),
            to: value["to"].as_str().unwrap_or_default().to_owned(),
            not_built: NOT_BUILT.iter().find(|(_, applies)| applies(&request)).map(|(why, _)| *why),
            request,
            response: Response::recorded(&value["response"]),
        }
    }
}

impl Request {
    /// The dirty time stamp that the request carries.
    fn dirty(&self) -> Option<String> {
        let query = self.split().1.split('&').find_map(|pair| pair.strip_prefix("lastDirtyTimestamp="));
        let body: Option<Value> =
            serde_json::from_slice(self.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.body)).ok();
        let stamp = body.as_ref().and_then(|body| body.get("instance")?.get("lastDirtyTimestamp"));
        query.map(str::to_owned).or(stamp.map(plain))
    }
}

/// The segments below `/eureka` or `/eureka/v2`.
fn names(request: &Request) -> Vec<&str> {
    let path = request.split().0;
    let below = path.strip_prefix("/eureka/v2/").or(path.strip_prefix("/eureka/")).unwrap_or_default();
    below.split('/').filter(|segment| !segment.is_empty()).collect()
}

/// A document is asked for, and Eureka would write it as XML: it does so unless `json` is in `Accept`. Single instances
/// it writes in the first type that it has.
fn wants_xml(request: &Request) -> bool {
    let names = names(request);
    let documents = ["apps", "instances", "vips", "svips", "status"];
    if request.method != "GET" || !names.first().is_some_and(|first| documents.contains(first)) {
        return false;
    }
    let accept = request.header("accept").unwrap_or("*/*");
    let lower = accept.to_lowercase();
    let types: Vec<_> = lower.split(',').map(|range| range.split(';').next().unwrap_or_default().trim()).collect();
    let first = types.iter().find(|it| ["*/*", "application/*", "application/json", "application/xml"].contains(it));
    let single = names[0] == "instances" || names.len() == 3;
    first.is_some_and(|first| if single { *first != "application/json" } else { !accept.contains("json") })
}

fn version(response: &Response) -> Option<u64> {
    plain(response.json()?.get("applications")?.get("versions__delta")?).parse().ok()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files
}

fn vectors(file: &Path) -> Vec<Value> {
    let Ok(bytes) = std::fs::read(file) else { return Vec::new() };
    let vectors: Value = serde_json::from_slice(&bytes).unwrap();
    vectors["cases"].as_array().unwrap().clone()
}
