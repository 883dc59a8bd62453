use std::collections::BTreeSet;

use serde_json::Value;

use crate::command::{Outcome, cargo_output};

/// What `cargo metadata` says of the workspace and, if asked for, of every resolved dependency.
pub(crate) struct Graph {
    metadata: Value,
}

/// One dependency as a manifest declares it.
pub(crate) struct Declared<'a> {
    pub(crate) name: &'a str,
    pub(crate) dev: bool,
    pub(crate) features: BTreeSet<&'a str>,
    pub(crate) default_features: bool,
    pub(crate) versioned: bool,
}

impl Graph {
    pub(crate) fn workspace() -> Outcome<Self> {
        Self::read(&["metadata", "--format-version", "1", "--no-deps"])
    }

    pub(crate) fn resolved() -> Outcome<Self> {
        Self::read(&["metadata", "--format-version", "1", "--locked"])
    }

    fn read(arguments: &[&str]) -> Outcome<Self> {
        let text = cargo_output(arguments)?;
        let metadata = serde_json::from_str(&text).map_err(|error| format!("cargo metadata is not JSON: {error}"))?;
        Ok(Self { metadata })
    }

    pub(crate) fn packages(&self) -> impl Iterator<Item = &Value> {
        self.metadata["packages"].as_array().into_iter().flatten()
    }

    pub(crate) fn package(&self, name: &str) -> Outcome<&Value> {
        self.packages().find(|package| package["name"] == name).ok_or_else(|| format!("no package `{name}`"))
    }
}

pub(crate) fn declared(package: &Value) -> impl Iterator<Item = Declared<'_>> {
    package["dependencies"].as_array().into_iter().flatten().map(|dependency| Declared {
        name: dependency["name"].as_str().unwrap_or_default(),
        dev: dependency["kind"] == "dev",
        features: dependency["features"].as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
        default_features: dependency["uses_default_features"] == true,
        versioned: dependency["req"] != "*",
    })
}
