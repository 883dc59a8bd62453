//! Bus ids from settings.

use std::collections::BTreeMap;

use serde_json::Value;
use vernal_bus_client::BusId;
use vernal_commons::property::PropertyResolver;

use crate::fixtures::{family, text};
use crate::report::{Outcome, Report};

pub(crate) fn run(report: &mut Report) {
    report.family("ids", &family("ids", &["ids"]), |case| {
        let settings = settings(case);
        let lookup = |name: &str| {
            let value = settings.get(&relaxed(name))?;
            Some(settings.resolve_placeholders(value).unwrap())
        };
        let id = BusId::from_settings(lookup);
        // Settings that stop a Spring node from starting.
        let Some(recorded) = case["expect"]["pattern"].as_str() else {
            return match id {
                Err(_) => Outcome::Passed,
                Ok(id) => Outcome::Failed(format!("took `{id}`")),
            };
        };
        // What no destination could address is refused, where Spring takes it.
        let example = text(&case["expect"], "id");
        let unusable = example.split(':').any(str::is_empty)
            || example.contains(char::is_whitespace)
            || example.contains(['*', '?', '{', '}']);
        match id {
            Err(_) if unusable => Outcome::Deviates("3.1"),
            Err(error) => Outcome::Failed(error.to_string()),
            Ok(id) if unusable => Outcome::Failed(format!("took `{id}`")),
            Ok(id) if fits(id.as_str(), recorded) => Outcome::Passed,
            Ok(id) => Outcome::Failed(format!("ours `{id}`, recorded `{recorded}`")),
        }
    });
}

fn fits(id: &str, pattern: &str) -> bool {
    match pattern.strip_suffix("{32 hex}") {
        None => id == pattern,
        Some(start) => id.strip_prefix(start).is_some_and(|hex| {
            hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        }),
    }
}

/// All sources of a case, the strongest last.
fn settings(case: &Value) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut put = |name: &str, value: String| {
        // The name of an environment variable.
        if name.chars().all(|c| c == '_' || c.is_ascii_uppercase() || c.is_ascii_digit()) {
            all.insert(relaxed(&name.replace('_', ".")), value.clone());
        }
        all.insert(relaxed(name), value);
    };
    if let Some(yaml) = case["yaml"].as_str() {
        flatten(yaml).into_iter().for_each(|(name, value)| put(&name, value));
    }
    let properties = case["properties"].as_str().unwrap_or_default();
    for (name, value) in properties.lines().filter_map(|line| line.split_once('=')) {
        put(name.trim(), value.trim().to_owned());
    }
    for source in [&case["settings"], &case["system"]] {
        for (name, value) in source.as_object().into_iter().flatten() {
            put(name, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
    }
    all
}

fn relaxed(name: &str) -> String {
    name.replace('-', "").to_lowercase()
}

/// The little YAML of the recordings: nested maps, lists of scalars, plain or quoted scalars.
fn flatten(yaml: &str) -> Vec<(String, String)> {
    let mut path: Vec<(usize, String)> = Vec::new();
    let (mut out, mut index) = (Vec::new(), 0);
    for line in yaml.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        let join = |path: &[(usize, String)]| path.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(".");
        let scalar = |text: &str| text.trim().trim_matches(['"', '\'']).to_owned();
        if let Some(item) = text.strip_prefix("- ") {
            path.retain(|(depth, _)| *depth <= indent);
            out.push((format!("{}[{index}]", join(&path)), scalar(item)));
            index += 1;
            continue;
        }
        index = 0;
        path.retain(|(depth, _)| *depth < indent);
        let (name, value) = text.split_once(':').unwrap_or_else(|| panic!("not understood: {line}"));
        path.push((indent, name.trim().to_owned()));
        if let Some(items) = value.trim().strip_prefix('[').and_then(|items| items.strip_suffix(']')) {
            let items = items.split(',').enumerate();
            out.extend(items.map(|(index, item)| (format!("{}[{index}]", join(&path)), scalar(item))));
        } else if !value.trim().is_empty() {
            out.push((join(&path), scalar(value)));
        }
    }
    out
}
