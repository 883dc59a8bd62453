//! From files, environment and command line to settings.

pub(crate) mod decrypt;
pub(crate) mod import;
pub(crate) mod json;
pub(crate) mod loader;
pub(crate) mod local;
pub(crate) mod profiles;
pub(crate) mod rank;

use std::fmt;
use std::path::PathBuf;

use indexmap::IndexMap;
use vernal_commons::http::SharedTransport;

use crate::error::Error;
use crate::layers::Layer;
use crate::settings::Settings;
use crate::source::{PropertySource, env, memory};
use loader::Loader;

/// Loads [`Settings`]: local files, environment, command line, and the config server they name.
///
/// `bootstrap.yml` asks a config server when a `spring.cloud.config.uri` is set; `spring.config.import` asks one
/// when it says `configserver:`. Without either no server is asked.
///
/// ```no_run
/// # async fn run() -> Result<(), vernal_config_client::Error> {
/// let settings = vernal_config_client::Bootstrap::builder().args(std::env::args().skip(1)).load().await?;
/// let port: u16 = settings.bind("server.port")?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Bootstrap;

/// Collects what [`Bootstrap`] starts from.
#[must_use = "call `load`"]
pub struct BootstrapBuilder {
    places: Vec<PathBuf>,
    args: Vec<String>,
    env: Option<Vec<(String, String)>>,
    properties: IndexMap<String, String>,
    defaults: IndexMap<String, String>,
    transport: Option<SharedTransport>,
}

impl Bootstrap {
    /// Starts from the process's environment and the folders `./config/` and `./`.
    pub fn builder() -> BootstrapBuilder {
        BootstrapBuilder {
            places: Vec::new(),
            args: Vec::new(),
            env: None,
            properties: IndexMap::new(),
            defaults: IndexMap::new(),
            transport: None,
        }
    }
}

impl BootstrapBuilder {
    /// A folder with `bootstrap.yml`, `application.yml` and their profile variants, instead of Spring's `./config/`
    /// and `./`. The last one added is the strongest. `spring.config.location` replaces them.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.places.insert(0, path.into());
        self
    }

    /// Command line arguments: `--key=value` and `--flag` set properties, others are ignored. A repeated key makes
    /// a comma-separated list, as in Spring. Default: none.
    pub fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// The environment variables to see instead of the process's.
    pub fn env<I, K, V>(mut self, variables: I) -> Self
    where
        I: IntoIterator<Item = (K, V)>,
        K: Into<String>,
        V: Into<String>,
    {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        self.env.get_or_insert_default().extend(variables);
        self
    }

    /// A property above every other source, remote ones included.
    pub fn property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(key.into(), value.into());
        self
    }

    /// A property below every other source.
    pub fn default_property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.defaults.insert(key.into(), value.into());
        self
    }

    /// The transport to reach config servers with. Default: reqwest with
    /// `spring.cloud.config.request-connect-timeout`.
    pub fn transport(mut self, transport: SharedTransport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Reads the files, asks the config server and decrypts.
    ///
    /// # Errors
    ///
    /// A file that is malformed; a config server that gives no settings, if its import is not `optional:` or
    /// `spring.cloud.config.fail-fast` is set; `{cipher}` values that cannot be decrypted.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves nothing behind.
    pub async fn load(self) -> Result<Settings, Error> {
        let env = self.env.unwrap_or_else(process_environment);
        let json = json::text(&self.args, &env).map(|text| json::source(&text)).transpose()?;
        let mut above = Vec::new();
        if !self.properties.is_empty() {
            above.push(Layer::properties(memory::source("programProperties", self.properties)));
        }
        above.push(Layer::properties(command_line(&self.args)));
        above.extend(json.map(Layer::properties));
        above.push(Layer::environment(env::source(env)));
        above.push(Layer::random());
        let below = if self.defaults.is_empty() {
            Vec::new()
        } else {
            vec![Layer::properties(memory::source("defaultProperties", self.defaults))]
        };
        let places =
            if self.places.is_empty() { vec![PathBuf::from("./config"), PathBuf::from(".")] } else { self.places };
        let loader = Loader::new(above, below, places, self.transport);
        let loaded = loader.load().await?;
        Settings::started(loader, loaded)
    }
}

impl fmt::Debug for BootstrapBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BootstrapBuilder")
            .field("places", &self.places)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .field("defaults", &self.defaults.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Variables that are no Unicode stand for no property.
fn process_environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// `--key=value` arguments (Spring's `SimpleCommandLinePropertySource`).
fn command_line(args: &[String]) -> PropertySource {
    let mut pairs: IndexMap<String, String> = IndexMap::new();
    for arg in args {
        let Some(option) = arg.strip_prefix("--").filter(|option| !option.is_empty()) else { continue };
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        match pairs.get_mut(key) {
            Some(values) => {
                values.push(',');
                values.push_str(value);
            }
            None => {
                pairs.insert(key.to_owned(), value.to_owned());
            }
        }
    }
    memory::source("commandLineArgs", pairs)
}
