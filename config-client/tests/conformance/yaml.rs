//! `config/yaml`: what becomes of a scalar written behind `k: ` in a YAML file.
//!
//! The column `properties` (the alternative format of a server) is not compared: it belongs to the alternative
//! formats, which nothing here writes.

use std::path::Path;

use serde_json::Value;
use vernal_config_client::cipher::value::PREFIX;
use vernal_config_client::source::{Property, PropertySource, yaml};
use vernal_config_client::value::write_json_text;

use super::Outcome;

pub(crate) fn run(root: &Path) -> Outcome {
    let mut outcome = Outcome::new("config/yaml");
    let rows = std::fs::read(root.join("scalars.json"));
    let rows: Vec<Value> = rows.map_or_else(|_| Vec::new(), |bytes| serde_json::from_slice(&bytes).unwrap());
    for row in &rows {
        let text = row["text"].as_str().unwrap();
        match compare(row, text) {
            Ok(()) => outcome.pass(None),
            Err(difference) => outcome.fail(&format!("{} `{text}`", row["id"]), &difference),
        }
    }
    outcome
}

fn compare(row: &Value, text: &str) -> Result<(), String> {
    let loaded = yaml::load("application.yml", format!("k: {text}\n").as_bytes());
    if !row["status"].is_null() {
        return match loaded {
            Ok(sources) => {
                Err(format!("accepted as {}", sources.first().map(|source| json(source, false)).unwrap_or_default()))
            }
            Err(error) if error.to_string().starts_with("application.yml") => Ok(()),
            Err(error) => Err(format!("the error does not begin with the place: {error}")),
        };
    }
    let sources = loaded.map_err(|error| format!("refused: {error}"))?;
    let source = match sources.as_slice() {
        [] => &PropertySource::new("nothing"),
        [only] => only,
        _ => return Err("several documents".to_owned()),
    };
    // The recording server had no text that its key could decrypt here, and said so.
    let source = &PropertySource::with_properties(
        "marked",
        source.iter().map(|(key, property)| match property.value().as_str() {
            Some(text) if text.starts_with(PREFIX) => (format!("invalid.{key}"), Property::new("<n/a>", None)),
            _ => (key.to_owned(), property.clone()),
        }),
    );
    equal("V1", &json(source, false), row["source"].as_str().unwrap())?;
    equal("V2", &json(source, true), row["v2"].as_str().unwrap())?;
    for (key, expected) in row["client"].as_object().unwrap() {
        let found = source.get(key).and_then(|property| property.value().as_text());
        // Where the client failed, it was a placeholder, which this layer does not resolve: the text must be raw.
        match expected.as_str() {
            Some(expected) if found.as_deref() == Some(expected) => {}
            None if found.as_deref().is_some_and(|found| found.contains("${")) => {}
            _ => return Err(format!("text of `{key}` is {found:?} instead of {expected}")),
        }
    }
    Ok(())
}

fn equal(what: &str, found: &str, expected: &str) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what} is {found} instead of {expected}")) }
}

/// The flat map of a V1 or V2 answer.
fn json(source: &PropertySource, with_origins: bool) -> String {
    let mut json = String::from("{");
    for (index, (key, property)) in source.iter().enumerate() {
        json.push_str(if index > 0 { "," } else { "" });
        write_json_text(key, &mut json);
        json.push(':');
        match property.origin().and_then(|origin| origin.label()).filter(|_| with_origins) {
            Some(place) => {
                json.push_str(&format!("{{\"value\":{},\"origin\":\"{place}\"}}", property.value().to_json()));
            }
            None => property.value().write_json(&mut json),
        }
    }
    json.push('}');
    json
}
