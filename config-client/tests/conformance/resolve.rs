//! Starts and refreshes of a Spring client: settings in, requests and values out.
//!
//! A case is replayed with its settings against servers that give the recorded answers. Java's system properties do
//! not exist here; the environment, one rank below, stands in for them. Names of local files are compared by their
//! path.

mod compare;
mod deviation;
mod server;

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use vernal_config_client::{Bootstrap, Error, Settings};

use crate::Outcome;
use server::Servers;

/// A predicate on the input of a case, and what will build what it needs.
type NotBuilt = (fn(&Case) -> bool, &'static str);

/// What is not built.
const NOT_BUILT: [NotBuilt; 6] = [
    (|case| case.has_setting("spring.cloud.config.discovery.enabled", "true"), "config servers found by discovery"),
    (|case| case.mentions("PRIVATE KEY"), "RSA keys"),
    (|case| case.mentions("encrypt.key-store"), "key stores"),
    (|case| case.mentions("spring.cloud.config.tls."), "client certificates"),
    (|case| case.mentions("configtree:"), "configtree imports"),
    (|case| case.binds_other_types(), "a Rust type for what is bound"),
];

/// One recording.
pub(crate) struct Case {
    json: Value,
}

/// What came out of our side, phase by phase: the start, then each refresh.
pub(crate) struct Replay {
    pub(crate) start: Result<View, Error>,
    pub(crate) refreshes: Vec<(Result<Vec<String>, Error>, View)>,
    pub(crate) requests: Vec<server::Seen>,
}

/// What a started client sees.
pub(crate) struct View {
    pub(crate) values: Vec<(String, Result<Option<String>, Error>)>,
    pub(crate) bound: Vec<(String, compare::Bound)>,
    pub(crate) active_profiles: Vec<String>,
    pub(crate) sources: Vec<String>,
}

pub(crate) fn run(folder: &Path) -> Outcome {
    let mut outcome = Outcome::new("resolve");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for (name, json) in crate::cases(folder) {
        let case = Case { json };
        if let Some((_, what)) = NOT_BUILT.iter().find(|(applies, _)| applies(&case)) {
            outcome.not_built(what);
            continue;
        }
        let verdict = runtime.block_on(async {
            match tokio::time::timeout(Duration::from_secs(60), replay(&case)).await {
                Ok(replay) => compare::judge(&case, &replay),
                Err(_) => Err("did not end within a minute".to_owned()),
            }
        });
        match verdict {
            Ok(deviations) => outcome.pass(deviations),
            Err(why) => outcome.fail(&name, &why),
        }
    }
    outcome
}

async fn replay(case: &Case) -> Replay {
    let folder = tempfile::tempdir().unwrap();
    let servers = Servers::start(case.json["exchanges"].as_array().unwrap(), folder.path()).await;
    for (name, text) in case.pairs("files") {
        std::fs::write(folder.path().join(name), servers.fill(&text)).unwrap();
    }
    let args = case.json["args"].as_array().unwrap().iter().map(|arg| servers.fill(arg.as_str().unwrap()));
    let variable = |key: &str| key.to_uppercase().replace('.', "_").replace('-', "");
    let mut env: Vec<_> = case.pairs("env").into_iter().map(|(key, value)| (key, servers.fill(&value))).collect();
    env.extend(case.pairs("system_properties").into_iter().map(|(key, value)| (variable(&key), servers.fill(&value))));
    let started = Bootstrap::builder().directory(folder.path()).args(args).env(env).load().await;
    let settings = match started {
        Ok(settings) => settings,
        Err(error) => return Replay { start: Err(error), refreshes: Vec::new(), requests: servers.seen().await },
    };
    let start = Ok(View::of(&settings, case, &servers));
    let mut refreshes = Vec::new();
    for phase in 1..=case.json["refreshes"].as_u64().unwrap_or(0) {
        servers.enter(phase);
        let report = settings.refresh().await.map(|report| report.changed);
        refreshes.push((report, View::of(&settings, case, &servers)));
    }
    Replay { start, refreshes, requests: servers.seen().await }
}

impl View {
    fn of(settings: &Settings, case: &Case, servers: &Servers) -> Self {
        let lookup = |key: &str| match key.contains("${") {
            true => settings.resolve_lenient(key).map(Some),
            false => settings.get(key),
        };
        let texts = |list: &str| -> Vec<String> {
            let list = case.json[list].as_array().into_iter().flatten();
            list.map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        Self {
            values: texts("keys").into_iter().map(|key| (key.clone(), lookup(&key))).collect(),
            bound: texts("bind").into_iter().map(|key| (key.clone(), compare::bind(settings, &key))).collect(),
            active_profiles: settings.active_profiles(),
            sources: settings.sources().iter().map(|name| servers.unfill(name)).collect(),
        }
    }
}

impl Case {
    pub(crate) fn pairs(&self, member: &str) -> Vec<(String, String)> {
        let object = self.json[member].as_object().into_iter().flatten();
        object.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect()
    }

    /// The settings of command line, environment (by their property name) and system properties.
    pub(crate) fn any_setting(&self, wanted: impl Fn(&str, &str) -> bool) -> bool {
        let args = self.json["args"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|arg| arg.as_str()?.strip_prefix("--")?.split_once('='));
        let env = self.pairs("env");
        let env = env.iter().map(|(key, value)| (key.to_lowercase().replace('_', "."), value));
        args.into_iter().any(|(key, value)| wanted(key, value))
            || self.pairs("system_properties").iter().any(|(key, value)| wanted(key, value))
            || env.into_iter().any(|(key, value)| wanted(&key, value))
    }

    fn binds_other_types(&self) -> bool {
        let mut kinds =
            self.json["bind"].as_array().into_iter().flatten().filter_map(|bind| bind.as_str()?.split('|').nth(1));
        kinds.any(|kind| !compare::TYPES.contains(&kind))
    }

    /// Whether the settings, local files or answers hold this text.
    fn mentions(&self, text: &str) -> bool {
        let answers = self.exchanges().iter().filter_map(|exchange| exchange["response"]["body"].as_str());
        self.any_setting(|key, value| key.contains(text) || value.contains(text))
            || self.files().iter().any(|(_, file)| file.contains(text))
            || answers.into_iter().any(|body| body.contains(text))
    }

    pub(crate) fn has_setting(&self, key: &str, value: &str) -> bool {
        self.any_setting(|known, found| known == key && found == value)
    }

    pub(crate) fn expected(&self) -> &Value {
        &self.json["expected"]
    }

    pub(crate) fn exchanges(&self) -> &[Value] {
        self.json["exchanges"].as_array().unwrap()
    }

    pub(crate) fn files(&self) -> Vec<(String, String)> {
        self.pairs("files")
    }
}
