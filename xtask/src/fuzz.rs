use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::{self, Outcome, cargo, cargo_output, root};

const VERSION: &str = "0.13.2";
/// How long each target runs, if `VERNAL_FUZZ_SECONDS` does not say.
const SECONDS: u32 = 60;
/// An input that takes longer, in seconds, counts as a crash.
const SLOWEST: u32 = 10;

/// Where the first inputs of a target come from.
struct Seeds {
    target: &'static str,
    folder: &'static str,
    /// What stands before a text of the recordings to make it an input.
    head: &'static str,
}

/// The recordings that look like a target's inputs; a target without any begins with nothing.
const SEEDS: &[Seeds] = &[
    Seeds { target: "yaml", folder: "config-client/tests/fixtures/config/yaml", head: "" },
    Seeds { target: "yaml", folder: "examples/config-repo", head: "" },
    Seeds { target: "properties", folder: "testkit/tests/fixtures/config/repos", head: "" },
    Seeds { target: "cipher", folder: "config-client/tests/fixtures/config/cipher", head: "" },
    Seeds { target: "values", folder: "config-client/tests/fixtures/config/resolve", head: "client." },
    Seeds { target: "config_client", folder: "config-client/tests/fixtures/config/http", head: "200\n\n" },
    Seeds { target: "config_server", folder: "config-client/tests/fixtures/config/http", head: "GET " },
    Seeds { target: "bus_event", folder: "bus-client/tests/fixtures/bus/messages", head: "" },
    Seeds { target: "bus_event", folder: "bus-client/tests/fixtures/bus/inbound", head: "" },
    Seeds { target: "bus_destination", folder: "bus-client/tests/fixtures/bus/matching", head: "" },
    Seeds {
        target: "registry_client",
        folder: "discovery-client/tests/fixtures/discovery/exchanges",
        head: "\n200\n\n",
    },
    Seeds {
        target: "registry_server",
        folder: "discovery-client/tests/fixtures/discovery/exchanges",
        head: "POST /eureka/apps/ORDERS\ncontent-type: application/json\n\n",
    },
    Seeds {
        target: "feign_answer",
        folder: "feign/tests/fixtures/feign",
        head: "200\ncontent-type: application/json\n\n",
    },
    Seeds { target: "feign_request", folder: "feign/tests/fixtures/feign/requests", head: "" },
];

/// Runs every fuzz target for a while. Installs the pinned cargo-fuzz when another or none is there.
///
/// No sanitizer: our code has no `unsafe`, and without one the stable toolchain will do.
pub(crate) fn run() -> Outcome {
    let seconds = command::seconds("VERNAL_FUZZ_SECONDS", SECONDS)?;
    command::install("fuzz", VERSION, &[])?;
    let list = cargo_output(&["fuzz", "list"])?;
    let targets: Vec<&str> = list.split_whitespace().collect();
    for seeds in SEEDS {
        if !targets.contains(&seeds.target) {
            return Err(format!("there are seeds for `{}`, which is no fuzz target", seeds.target));
        }
        seeds.write()?;
    }
    targets.into_iter().try_for_each(|target| fuzz(target, seconds))
}

fn fuzz(target: &str, seconds: u32) -> Outcome {
    // What a run finds is kept in the first folder.
    let folders = [made(root().join("fuzz/corpus").join(target))?, made(seed_folder(target))?];
    let [corpus, seeds] = folders.map(|folder| folder.display().to_string());
    let (time, slowest) = (format!("-max_total_time={seconds}"), format!("-timeout={SLOWEST}"));
    let limits = [&*time, &slowest, "-verbosity=0", "-print_final_stats=1"];
    cargo(&[&["fuzz", "run", "--sanitizer", "none", target, &corpus, &seeds, "--"], &limits[..]].concat())
}

fn seed_folder(target: &str) -> PathBuf {
    root().join("target/fuzz-seeds").join(target)
}

fn made(folder: PathBuf) -> Outcome<PathBuf> {
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

impl Seeds {
    /// Every text of every recording becomes a file.
    fn write(&self) -> Outcome {
        let place = made(seed_folder(self.target))?;
        let folder = root().join(self.folder);
        let mut texts = Vec::new();
        for file in files(&folder)? {
            let bytes = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            match serde_json::from_slice(&bytes) {
                Ok(recording) => collect(&recording, &mut texts),
                Err(_) => texts.push(String::from_utf8_lossy(&bytes).into_owned()),
            }
        }
        if texts.is_empty() {
            return Err(format!("{}: no recordings", folder.display()));
        }
        let prefix = self.folder.replace('/', "-");
        for (number, text) in texts.iter().enumerate() {
            let path = place.join(format!("{prefix}-{number}"));
            fs::write(&path, format!("{}{text}", self.head)).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(())
    }
}

fn files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let wrong = |error| format!("{}: {error}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    Ok(found)
}

fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(members) => members.values().for_each(|member| collect(member, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
