use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::command::{Outcome, cargo_output, root};
use crate::graph::{Graph, declared};

/// Which of our crates a crate may depend on, and which more its tests may.
const ARROWS: &[(&str, &[&str], &[&str])] = &[
    ("vernal-commons", &[], &[]),
    ("vernal-config-client", &["vernal-commons"], &["vernal-testkit"]),
    ("vernal-bus-client", &["vernal-commons"], &["vernal-testkit"]),
    ("vernal-discovery-client", &["vernal-commons"], &["vernal-testkit"]),
    ("vernal-feign-macros", &[], &[]),
    ("vernal-feign", &["vernal-commons", "vernal-feign-macros"], &["vernal-testkit"]),
    ("vernal-testkit", &["vernal-commons", "vernal-config-client"], &[]),
    (
        "vernal",
        &["vernal-commons", "vernal-config-client", "vernal-bus-client", "vernal-discovery-client", "vernal-feign"],
        &["vernal-testkit"],
    ),
    ("vernal-examples", &["vernal", "vernal-testkit"], &[]),
    ("vernal-benches", &["vernal"], &["vernal", "vernal-testkit"]),
    ("vernal-interop", &["vernal", "vernal-testkit", "vernal-examples"], &[]),
    ("xtask", &[], &[]),
];

/// What must not be in the tree of a crate with its default features.
const ABSENT: &[(&str, &[&str])] = &[
    ("vernal-commons", &["reqwest", "lapin", "axum"]),
    ("vernal-config-client", &["lapin", "axum", "rustls", "sqlx"]),
    ("vernal-bus-client", &["reqwest", "hyper", "axum", "rustls"]),
    ("vernal-discovery-client", &["lapin", "axum", "rustls"]),
    ("vernal-feign", &["lapin", "axum", "rustls"]),
    ("vernal", &["axum", "rustls", "sqlx", "rdkafka"]),
];

pub(crate) fn run() -> Outcome {
    let mut faults = arrows()?;
    faults.extend(absent()?);
    faults.extend(seam()?);
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

fn arrows() -> Outcome<Vec<String>> {
    let graph = Graph::workspace()?;
    let mut faults = Vec::new();
    for package in graph.packages() {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, normal, dev)) = ARROWS.iter().find(|(known, _, _)| *known == name) else {
            faults.push(format!("`{name}` has no row in xtask/src/isolate.rs"));
            continue;
        };
        for dependency in declared(package).filter(|d| d.name.starts_with("vernal")) {
            let allowed = normal.contains(&dependency.name) || dependency.dev && dev.contains(&dependency.name);
            if !allowed {
                let kind = if dependency.dev { "dev-depends" } else { "depends" };
                faults.push(format!("`{name}` {kind} on `{}`, which its row does not allow", dependency.name));
            }
            if dependency.dev && dependency.name == "vernal-testkit" && dependency.versioned {
                faults.push(format!("`{name}` names a version of `vernal-testkit`, which is never published"));
            }
            if name == "vernal-testkit" && dependency.name == "vernal-config-client" {
                let wanted = BTreeSet::from(["cipher", "source"]);
                if dependency.default_features || dependency.features != wanted {
                    faults.push(
                        "`vernal-testkit` may use only the features `source` and `cipher` of `vernal-config-client`"
                            .to_owned(),
                    );
                }
            }
        }
    }
    Ok(faults)
}

fn absent() -> Outcome<Vec<String>> {
    let mut faults = Vec::new();
    for (name, forbidden) in ABSENT {
        let tree = cargo_output(&[
            "tree",
            "--package",
            name,
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])?;
        let present: BTreeSet<_> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
        for crate_name in forbidden.iter().filter(|crate_name| present.contains(**crate_name)) {
            faults.push(format!("`{name}` pulls `{crate_name}` with its default features"));
        }
    }
    Ok(faults)
}

/// All HTTP calls of the libraries go through `commons::http`: nobody else names reqwest or hyper. The facade's
/// server answers calls, so it is no client; `hyper::ext` is a value that a response carries.
fn seam() -> Outcome<Vec<String>> {
    let mut faults = Vec::new();
    for folder in ["config-client", "bus-client", "discovery-client", "feign", "feign-macros", "vernal"] {
        let mut files = Vec::new();
        rust_files(&root().join(folder).join("src"), &mut files)?;
        for (path, text) in files.into_iter().filter(|(path, _)| !path.ends_with("vernal/src/server.rs")) {
            let text = text.replace("hyper::ext::", "");
            if ["reqwest::", "hyper::", "hyper_util::"].iter().any(|needle| text.contains(needle)) {
                faults.push(format!("{path} goes around commons::http"));
            }
        }
    }
    Ok(faults)
}

fn rust_files(folder: &Path, files: &mut Vec<(String, String)>) -> Outcome {
    let unreadable = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            rust_files(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push((path.display().to_string(), fs::read_to_string(&path).map_err(unreadable)?));
        }
    }
    Ok(())
}
