//! Names, values and placeholders that are only text: every look-up ends with a value or an error, and every type that
//! a value can be read as refuses what it does not know.
#![no_main]

use std::collections::BTreeMap;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use vernal_config_client::{DataSize, Period, Settings};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Everything {
    port: Option<u16>,
    #[serde(with = "vernal_config_client::duration")]
    read_timeout: Duration,
    size: Option<DataSize>,
    period: Option<Period>,
    list: Vec<String>,
    nested: BTreeMap<String, BTreeMap<String, String>>,
    flag: bool,
    kind: Kind,
    ratio: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    #[default]
    Plain,
    Other,
}

fuzz_target!(|input: &str| {
    let pairs: Vec<(&str, &str)> = input.lines().filter_map(|line| line.split_once('=')).collect();
    let settings = Settings::fixed(pairs.iter().copied());
    for (key, value) in pairs {
        drop((value.parse::<DataSize>(), value.parse::<Period>(), vernal_config_client::duration::parse(value)));
        if let Err(error) = settings.get(key) {
            assert!(!error.to_string().is_empty());
        }
        drop((settings.resolve(value), settings.resolve_lenient(value)));
        drop(settings.explain(key).to_string());
        drop(settings.bind::<Everything>(key));
    }
    drop(settings.bind::<Everything>(""));
    drop(settings.bind::<Everything>("client"));
    drop(settings.bind::<serde_json::Value>(""));
});
