//! Answers of a real config server, given to the client whatever they answered to.
//!
//! An environment must be read to the last value; everything else must end the start with an error of the right kind.
//! What the server should answer is judged by the test kit's runner.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ::http::{Request, Response};
use base64::Engine as _;
use serde_json::Value;
use vernal_commons::http::{Body, SharedTransport, TransportError};
use vernal_config_client::{Bootstrap, ServerErrorKind, Settings};

use crate::Outcome;

pub(crate) fn run(folder: &Path) -> Outcome {
    let mut outcome = Outcome::new("http");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let Ok(scenarios) = std::fs::read_dir(folder) else { return outcome };
    let mut scenarios: Vec<_> = scenarios.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    scenarios.sort();
    for scenario in scenarios {
        let name = scenario.file_name().unwrap().to_string_lossy().into_owned();
        for (case, json) in crate::cases(&scenario) {
            // `server.json` tells how the server was started.
            let Some(method) = json["request"]["method"].as_str() else { continue };
            if method != "GET" {
                outcome.not_built("requests that no client of settings sends");
                continue;
            }
            match runtime.block_on(judge(&json["response"])) {
                Ok(()) => outcome.pass([]),
                Err(why) => outcome.fail(&format!("{name}/{case}"), &why),
            }
        }
    }
    outcome
}

async fn judge(answer: &Value) -> Result<(), String> {
    let text = answer["body"].as_str().unwrap_or_default();
    let document = serde_json::from_str::<Value>(text).ok().filter(|document| {
        // Every member may be missing, so any object is one.
        answer["status"] == 200 && document.is_object()
    });
    match (start(answer).await, document) {
        (Ok(settings), Some(document)) => values(&settings, &document),
        (Ok(_), None) => Err("started from what is no environment".to_owned()),
        (Err(error), Some(_)) => Err(format!("did not start: {error}")),
        (Err(error), None) => {
            let kind = error.server().map(vernal_config_client::ServerError::kind);
            let wanted = match answer["status"].as_u64().unwrap() {
                200 => ServerErrorKind::BadPayload,
                401 | 403 => ServerErrorKind::Unauthorized,
                302 => ServerErrorKind::Unauthorized,
                404 => ServerErrorKind::LabelNotFound,
                400..=499 => ServerErrorKind::BadRequest,
                _ => ServerErrorKind::ServerError,
            };
            if kind == Some(wanted) { Ok(()) } else { Err(format!("{kind:?}, expected {wanted:?}: {error}")) }
        }
    }
}

async fn start(answer: &Value) -> Result<Settings, vernal_config_client::Error> {
    let body = match answer["body_base64"].as_str() {
        Some(text) => base64::engine::general_purpose::STANDARD.decode(text).unwrap(),
        None => answer["body"].as_str().unwrap_or_default().as_bytes().to_vec(),
    };
    let status = u16::try_from(answer["status"].as_u64().unwrap()).unwrap();
    let mut headers = Vec::new();
    for header in answer["headers"].as_array().into_iter().flatten() {
        // Numbers that change from run to run are not in the recordings.
        let value = header[1].as_str().unwrap().replace("${PORT}", "8888");
        headers.push((header[0].as_str().unwrap().to_owned(), value));
    }
    let service = tower::service_fn(move |_: Request<Body>| {
        let mut response = Response::builder().status(status);
        for (name, value) in &headers {
            response = response.header(name, value);
        }
        let response = response.body(Body::from(body.clone())).unwrap();
        async move { Ok::<_, TransportError>(response) }
    });
    let folder = std::env::temp_dir().join("vernal-no-such-folder");
    let none: [(&str, &str); 0] = [];
    Bootstrap::builder()
        .directory(folder)
        .env(none)
        .args([
            "--spring.config.import=configserver:http://localhost:8888",
            "--spring.cloud.decrypt-environment-post-processor.enabled=false",
        ])
        .transport(SharedTransport::new(service))
        .load()
        .await
}

/// Every property of the document must be there, with the source that has it first and its text.
fn values(settings: &Settings, document: &Value) -> Result<(), String> {
    // Of sources with the same name the last one counts (fixture `resolve/doc-same-names`).
    let mut sources: Vec<Value> = Vec::new();
    for source in document["propertySources"].as_array().into_iter().flatten() {
        match sources.iter_mut().find(|earlier| earlier["name"] == source["name"]) {
            Some(earlier) => *earlier = source.clone(),
            None => sources.push(source.clone()),
        }
    }
    let mut winners: BTreeMap<String, (String, Value)> = BTreeMap::new();
    let mut spellings: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in &sources {
        for (key, value) in source["source"].as_object().into_iter().flatten() {
            let pair = value.as_object().filter(|pair| pair.len() == 2 && pair.contains_key("origin"));
            let value = pair.and_then(|pair| pair.get("value")).unwrap_or(value).clone();
            spellings.entry(uniform(key)).or_default().insert(key.clone());
            winners.entry(key.clone()).or_insert_with(|| (source["name"].as_str().unwrap().to_owned(), value));
        }
    }
    for (key, (source, value)) in winners {
        let explanation = settings.explain(&key);
        let wanted = format!("configserver:{source}");
        let candidate = explanation
            .candidates
            .iter()
            .find(|candidate| candidate.source == wanted && candidate.key == key)
            .ok_or_else(|| format!("`{key}` of `{source}` is lost"))?;
        // Two spellings of one name, of which the higher source wins, or the command line's own settings.
        if spellings[&uniform(&key)].len() == 1 && key != "spring.config.import" && !candidate.wins {
            return Err(format!("`{key}` is taken from another source: {explanation}"));
        }
        let shown = candidate.value.as_deref();
        let same = match &value {
            Value::String(text) => shown == Some(text) || shown == Some("***"),
            Value::Number(number) => {
                let number = number.as_f64();
                shown == Some("***") || shown.and_then(|text| text.parse::<f64>().ok()) == number
            }
            Value::Bool(value) => shown == Some(if *value { "true" } else { "false" }) || shown == Some("***"),
            Value::Null => shown.is_none(),
            Value::Array(_) | Value::Object(_) => true,
        };
        if !same {
            return Err(format!("`{key}` is {shown:?}, recorded {value}"));
        }
    }
    Ok(())
}

/// What relaxed names have in common, near enough.
fn uniform(key: &str) -> String {
    key.chars().filter(|c| c.is_alphanumeric() || matches!(c, '.' | '[')).flat_map(char::to_lowercase).collect()
}
