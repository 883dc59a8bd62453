//! Ours against the recording.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine as _;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use vernal_config_client::{DataSize, Error, Period, Settings, duration};

use super::server::{Seen, same_path, with_default};
use super::{Case, Replay, View};

/// What binding gave: a value, nothing to bind, or an error.
pub(crate) enum Bound {
    Value(Value),
    Unbound,
    Error(Error),
}

#[derive(serde::Deserialize)]
struct Span(#[serde(with = "duration")] Duration);

/// The types that are known here.
pub(crate) const TYPES: [&str; 11] =
    ["string", "boolean", "int", "long", "duration", "datasize", "period", "list", "map", "smap", "maplist"];

/// Binds `name|type`.
pub(crate) fn bind(settings: &Settings, request: &str) -> Bound {
    let (name, kind) = request.split_once('|').unwrap();
    match kind {
        "string" => bound::<String>(settings, name, |text| json!(text)),
        "boolean" => bound::<bool>(settings, name, |value| json!(value)),
        "int" => bound::<i32>(settings, name, |number| json!(number)),
        "long" => bound::<i64>(settings, name, |number| json!(number)),
        "duration" => bound::<Span>(settings, name, |span| json!({ "nanos": span.0.as_nanos() as u64 })),
        "datasize" => bound::<DataSize>(settings, name, |size| json!(size.bytes())),
        "period" => bound::<Period>(settings, name, |period| json!(period.to_string())),
        "list" => bound::<Vec<String>>(settings, name, |list| json!(list)),
        "map" => bound::<BTreeMap<String, Value>>(settings, name, |map| json!(map)),
        "smap" => bound::<BTreeMap<String, String>>(settings, name, |map| json!(map)),
        "maplist" => bound::<Vec<BTreeMap<String, Value>>>(settings, name, |list| json!(list)),
        other => panic!("the runner does not know the type {other}"),
    }
}

fn bound<T: DeserializeOwned>(settings: &Settings, name: &str, show: fn(T) -> Value) -> Bound {
    use vernal_commons::property::PropertyResolver;
    if settings.explain(name).candidates.is_empty() && settings.names_below(name).is_empty() {
        return Bound::Unbound;
    }
    match settings.bind(name) {
        Ok(value) => Bound::Value(show(value)),
        Err(Error::Missing { .. }) => Bound::Unbound,
        Err(error) => Bound::Error(error),
    }
}

/// The deviations of a case that is as recorded otherwise, or what is wrong.
pub(crate) fn judge(case: &Case, replay: &Replay) -> Result<BTreeSet<&'static str>, String> {
    let mut judge = Judge { case, deviations: BTreeSet::new(), wrong: Vec::new() };
    judge.start(replay);
    judge.requests(replay);
    if judge.wrong.is_empty() { Ok(judge.deviations) } else { Err(judge.wrong.join("\n    ")) }
}

struct Judge<'a> {
    case: &'a Case,
    deviations: BTreeSet<&'static str>,
    wrong: Vec<String>,
}

impl Judge<'_> {
    fn differs(&mut self, reason: Option<&'static str>, what: impl FnOnce() -> String) {
        match reason {
            Some(tag) => {
                self.deviations.insert(tag);
            }
            None => self.wrong.push(what()),
        }
    }

    fn start(&mut self, replay: &Replay) {
        let expected = self.case.expected();
        match (&replay.start, expected["outcome"].as_str()) {
            (Err(_), Some("failed")) => {}
            (Ok(view), Some("started")) => {
                self.view(view, expected, 0);
                let refreshes = expected["refreshes"].as_array().cloned().unwrap_or_default();
                if refreshes.len() != replay.refreshes.len() {
                    self.wrong.push(format!("{} refreshes, ours {}", refreshes.len(), replay.refreshes.len()));
                }
                for (phase, (recorded, (report, view))) in refreshes.iter().zip(&replay.refreshes).enumerate() {
                    self.refresh(recorded, report, phase + 1);
                    self.view(view, recorded, phase + 1);
                }
            }
            (Ok(_), _) => self.differs(self.case.starts_although(), || "started, recorded: failed".to_owned()),
            (Err(error), _) => {
                self.differs(self.case.fails_although(), || format!("failed, recorded: started: {error}"));
            }
        }
    }

    fn refresh(&mut self, recorded: &Value, report: &Result<Vec<String>, Error>, phase: usize) {
        match (recorded["changed"].as_array(), report) {
            (None, Err(_)) => {}
            (None, Ok(changed)) => self.wrong.push(format!("refresh {phase} gave {changed:?}, recorded: an error")),
            // Java logs it and goes on with the old values, as we do.
            (Some(changed), Err(error)) => {
                let kept = changed.is_empty() && error.server().is_some();
                self.differs(kept.then_some("5.7"), || format!("refresh {phase} failed: {error}"));
            }
            (Some(recorded), Ok(changed)) => {
                let mut recorded: Vec<_> = recorded.iter().map(|key| key.as_str().unwrap().to_owned()).collect();
                recorded.sort();
                if recorded == *changed {
                    return;
                }
                recorded.retain(|key| !key.starts_with("config.client."));
                let reason = if recorded == *changed { Some("5.7") } else { self.case.refresh_differs() };
                self.differs(reason, || format!("refresh {phase} changed {changed:?}, recorded {recorded:?}"));
            }
        }
    }

    fn view(&mut self, view: &View, recorded: &Value, phase: usize) {
        for (key, value) in &view.values {
            let wanted = &recorded["values"][key.as_str()];
            let same = match value {
                Ok(None) => wanted.is_null(),
                Ok(Some(text)) => wanted.as_str() == Some(text),
                Err(_) => wanted.get("error").is_some(),
            };
            if !same {
                let seen = value.as_ref().ok().and_then(Option::as_deref);
                let reason = self.case.value_differs(key, wanted, seen, phase);
                self.differs(reason, || format!("phase {phase}: `{key}` is {value:?}, recorded {wanted}"));
            }
        }
        for (request, bound) in &view.bound {
            let wanted = &recorded["bound"][request.as_str()];
            self.bound(request, bound, wanted, phase);
        }
        let profiles: Vec<_> = recorded["active_profiles"].as_array().into_iter().flatten().cloned().collect();
        if profiles != view.active_profiles {
            self.wrong.push(format!("phase {phase}: profiles {:?}, recorded {profiles:?}", view.active_profiles));
        }
        let sources = recorded_sources(&recorded["sources"]);
        let ours: Vec<_> = view.sources.iter().filter(|name| *name != "programProperties").cloned().collect();
        if sources != ours {
            let reason = match phase {
                0 => self.case.ranks_differ(),
                _ => self.case.refresh_differs(),
            };
            self.differs(reason, || format!("phase {phase}: sources {ours:#?}, recorded {sources:#?}"));
        }
    }

    fn bound(&mut self, request: &str, bound: &Bound, wanted: &Value, phase: usize) {
        let (name, kind) = request.split_once('|').unwrap();
        let wanted_error = wanted.get("error").is_some();
        let reason = match bound {
            Bound::Unbound if wanted.get("unbound").is_some() => return,
            Bound::Error(_) if wanted_error => return,
            Bound::Value(value) if !wanted_error && same(value, wanted, kind) => return,
            Bound::Error(Error::Placeholder { .. }) if wanted.as_str().is_some_and(|text| text.contains("${")) => {
                Some("D-17")
            }
            // `std::time::Duration` has no sign.
            Bound::Error(_) if wanted.as_str().is_some_and(|text| text.starts_with("PT-")) => Some("4.7"),
            Bound::Value(Value::Bool(value)) if wanted_error => {
                let number = json!(i32::from(*value));
                if self.case.remote_values(name).contains(&number) {
                    Some("4.7")
                } else {
                    // Java's binder accepts names in kebab-case only.
                    name.chars().any(|c| c.is_ascii_uppercase()).then_some("D-18")
                }
            }
            Bound::Value(value) if kind == "map" && same_but_lists(value, wanted) => Some("4.6"),
            Bound::Value(_) if self.case.refers_relaxed(name) => Some("D-18"),
            Bound::Unbound if wanted == "" && self.case.drops_ciphers() => Some("D-15"),
            _ if phase > 0 => self.case.refresh_differs(),
            _ => None,
        };
        self.differs(reason, || {
            let ours = match bound {
                Bound::Value(value) => value.to_string(),
                Bound::Unbound => "unbound".to_owned(),
                Bound::Error(error) => format!("error: {error}"),
            };
            format!("phase {phase}: `{request}` binds to {ours}, recorded {wanted}")
        });
    }

    fn requests(&mut self, replay: &Replay) {
        let phases = self.case.exchanges().iter().filter_map(|exchange| exchange["phase"].as_u64()).max().unwrap_or(0);
        let ended = replay.start.is_err() || self.case.expected()["outcome"] == "failed";
        for phase in 0..=phases {
            let recorded: Vec<_> = self.case.exchanges().iter().filter(|exchange| exchange["phase"] == phase).collect();
            let ours: Vec<_> = replay.requests.iter().filter(|seen| seen.phase == phase).collect();
            self.order(&recorded, &ours, ended);
            for seen in ours {
                let same = |exchange: &&&Value| {
                    let path = exchange["request"]["path"].as_str().map(same_path);
                    exchange["server"] == *seen.server && path == Some(same_path(&seen.path))
                };
                if let Some(exchange) = recorded.iter().find(same) {
                    self.headers(seen, &exchange["request"]);
                }
            }
        }
    }

    /// Which servers and paths were asked, in which order and how often.
    fn order(&mut self, recorded: &[&Value], ours: &[&Seen], ended: bool) {
        let texts = |value: &Value| value.as_str().unwrap().to_owned();
        let mut wanted: Vec<_> = recorded.iter().map(|e| (texts(&e["server"]), texts(&e["request"]["path"]))).collect();
        let mut asked: Vec<_> = ours.iter().map(|seen| (seen.server.clone(), seen.path.clone())).collect();
        if wanted == asked {
            return;
        }
        for (mark, tag) in [("%2F", "D-2"), (",%20", "2.1-labels")] {
            if wanted.iter().any(|(_, path)| path.contains(mark)) && !asked.iter().any(|(_, path)| path.contains(mark))
            {
                self.deviations.insert(tag);
            }
        }
        wanted.iter_mut().for_each(|(_, path)| *path = same_path(path));
        asked.iter_mut().for_each(|(_, path)| *path = same_path(path));
        if wanted == asked {
            return;
        }
        // Java asks again without need: an optional server three times, a broken connection at once.
        let retries = self.case.any_setting(|key, value| {
            (key.ends_with("fail-fast") && value == "true") || value.contains("fail-fast=true")
        });
        if !retries {
            wanted.dedup();
            asked.dedup();
            if wanted == asked {
                self.deviations.insert("2.4");
                return;
            }
        }
        // Profiles that are known are asked for at once.
        let wanted_distinct: BTreeSet<_> = wanted.iter().cloned().collect();
        let asked_distinct: BTreeSet<_> = asked.iter().cloned().collect();
        let first_phase: BTreeSet<_> = wanted_distinct
            .iter()
            .flat_map(|(server, path)| with_default(path).into_iter().map(|path| (server.clone(), path)))
            .filter(|request| wanted_distinct.contains(request))
            .collect();
        let needed: BTreeSet<_> = wanted_distinct.difference(&first_phase).cloned().collect();
        let improvised = ours.iter().filter(|seen| seen.improvised).count();
        if !first_phase.is_empty()
            && needed.is_subset(&asked_distinct)
            && improvised <= first_phase.len()
            && asked_distinct.len() <= wanted_distinct.len()
        {
            self.deviations.insert("D-9");
            return;
        }
        if let Some(tag) = self.case.requests_differ().first() {
            self.deviations.insert(tag);
            return;
        }
        // A failing start may end sooner, and two servers that must answer need not both be asked.
        let mut rest = wanted.iter();
        if ended && asked.iter().all(|request| rest.any(|other| other == request)) && !asked.is_empty() {
            return;
        }
        if asked.is_empty() && self.case.fails_although().is_some() {
            return;
        }
        self.wrong.push(format!("asked {asked:?}, recorded {wanted:?}"));
    }

    fn headers(&mut self, seen: &Seen, recorded: &Value) {
        let ignored = ["host", "user-agent", "connection", "accept-encoding", "accept", "content-length"];
        let mut wanted: Vec<(String, String)> = recorded["headers"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|header| (header[0].as_str().unwrap().to_lowercase(), header[1].as_str().unwrap().to_owned()))
            .collect();
        let accept = wanted.iter().find(|(name, _)| name == "accept").map(|(_, value)| value.clone());
        wanted.retain(|(name, _)| !ignored.contains(&name.as_str()));
        wanted.sort();
        let mut ours: Vec<_> = seen.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
        let our_accept = ours.iter().find(|(name, _)| name == "accept").map(|(_, value)| value.clone());
        ours.retain(|(name, _)| !ignored.contains(&name.as_str()));
        ours.sort();
        if accept != our_accept {
            let first = our_accept.as_deref().and_then(|value| value.split(',').next()).map(str::to_owned);
            let tag = (first == accept).then_some("D-1");
            self.differs(tag, || format!("accepts {our_accept:?}, recorded {accept:?}"));
        }
        if wanted != ours {
            let tag = self.case.decodes_credentials().then_some("D-5");
            self.differs(tag, || format!("sent headers {:?}, recorded {:?}", decoded(&ours), decoded(&wanted)));
        }
    }
}

/// Basic credentials readable, for messages.
fn decoded(headers: &[(String, String)]) -> Vec<String> {
    headers
        .iter()
        .map(|(name, value)| match value.strip_prefix("Basic ") {
            Some(text) => {
                let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
                format!("{name}: Basic {}", String::from_utf8_lossy(&bytes))
            }
            None => format!("{name}: {value}"),
        })
        .collect()
}

fn same(ours: &Value, recorded: &Value, kind: &str) -> bool {
    match (ours, recorded) {
        _ if kind == "duration" => {
            let nanos = recorded.as_str().and_then(|text| duration::parse(text).ok()).map(|d| d.as_nanos() as u64);
            nanos.is_some() && ours["nanos"].as_u64() == nanos
        }
        (Value::Array(ours), Value::Array(recorded)) => {
            ours.len() == recorded.len() && ours.iter().zip(recorded).all(|(one, other)| same(one, other, kind))
        }
        // Java's untyped maps hold a list as a map with numbers as keys.
        (Value::Array(elements), Value::Object(recorded)) => {
            elements.len() == recorded.len()
                && elements.iter().enumerate().all(|(index, element)| {
                    recorded.get(&index.to_string()).is_some_and(|other| same(element, other, kind))
                })
        }
        (Value::Object(ours), Value::Object(recorded)) => {
            ours.len() == recorded.len()
                && ours.iter().all(|(key, value)| recorded.get(key).is_some_and(|other| same(value, other, kind)))
        }
        _ => ours == recorded,
    }
}

/// As [`same`], but a list of ours may have fewer elements than Java's merged map.
fn same_but_lists(ours: &Value, recorded: &Value) -> bool {
    match (ours, recorded) {
        (Value::Array(elements), Value::Object(recorded)) => {
            elements.iter().enumerate().all(|(index, element)| recorded.get(&index.to_string()) == Some(element))
        }
        (Value::Object(ours), Value::Object(recorded)) => {
            ours.len() == recorded.len()
                && ours.iter().all(|(key, value)| recorded.get(key).is_some_and(|other| same_but_lists(value, other)))
        }
        _ => ours == recorded,
    }
}

/// The names of the recorded sources that exist here, too.
fn recorded_sources(sources: &Value) -> Vec<String> {
    const JAVA: [&str; 7] = [
        "configurationProperties",
        "systemProperties",
        "random",
        "cachedrandom",
        "springCloudClientHostInfo",
        "applicationInfo",
        "springCloudDefaultProperties",
    ];
    let names = sources.as_array().into_iter().flatten().filter_map(Value::as_str);
    names
        .filter(|name| !JAVA.contains(name) && !name.starts_with("applicationConfig:"))
        .map(|name| {
            let file = name.strip_prefix("Config resource 'file [").and_then(|rest| rest.split_once("]' via location"));
            match file {
                Some((path, rest)) => {
                    let document = rest.find(" (document").map_or("", |at| &rest[at..]);
                    format!("{path}{document}")
                }
                None => name.to_owned(),
            }
        })
        .collect()
}
