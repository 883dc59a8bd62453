//! Which source ranks above which (config.md 2.8).

use crate::bind::scalar;
use crate::environment::{Environment, RemoteSource};
use crate::layers::{Kind, Layer};
use crate::source::{Property, PropertySource, memory};
use crate::value::Value;

use super::local::Document;

/// What one server said, and where it goes.
pub(crate) struct Remote {
    pub(crate) anchor: Anchor,
    pub(crate) environment: Environment,
    /// The profiles that were asked for.
    pub(crate) profiles: Vec<String>,
}

/// What imported a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// The command line, the environment or the program.
    Outside,
    /// The document at this position.
    Document(usize),
}

/// Where `bootstrap.yml` puts the remote sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    Highest,
    BelowEnvironment,
    Lowest,
}

/// What does not come from a server, each list the strongest first.
pub(crate) struct Local<'a> {
    /// The program, the command line, the environment.
    pub(crate) above: &'a [Layer],
    /// The files: of profiles, then plain ones.
    pub(crate) documents: Vec<Document>,
    /// `bootstrap.yml` and its variants.
    pub(crate) bootstrap: Vec<Document>,
    /// The program's defaults.
    pub(crate) below: &'a [Layer],
}

/// All sources, highest first. `remote` is what `bootstrap.yml` led to, `remotes` what was imported.
pub(crate) fn stack(local: Local<'_>, remote: Option<Remote>, remotes: Vec<Remote>, profiles: &[String]) -> Vec<Layer> {
    let documents = local.documents;
    let mut outside = Vec::new();
    let mut specific = Vec::new();
    let mut before: Vec<Vec<Layer>> = documents.iter().map(|_| Vec::new()).collect();
    for Remote { anchor, environment, .. } in remotes {
        let marker = marker(&environment);
        for source in environment.sources {
            let is_specific = is_specific(source.properties.name(), profiles);
            let layer = remote_layer("configserver:", source);
            match anchor {
                Anchor::Outside => outside.push(layer),
                Anchor::Document(at) => {
                    let plain = documents.get(at).is_some_and(|d| !d.specific && d.on_profile.is_none());
                    if plain && is_specific {
                        specific.push(layer);
                    } else if let Some(before) = before.get_mut(at) {
                        before.push(layer);
                    }
                }
            }
        }
        let target = match anchor {
            Anchor::Outside => Some(&mut outside),
            Anchor::Document(at) => before.get_mut(at),
        };
        if let (Some(target), Some(marker)) = (target, marker) {
            // One marker is enough, below all that it speaks of.
            target.retain(|layer| layer.source.name() != MARKER);
            target.push(Layer::properties(marker));
        }
    }
    let mut layers = outside;
    layers.extend(specific);
    for (document, before) in documents.into_iter().zip(before) {
        layers.extend(before);
        layers.push(Layer::properties(document.source));
    }
    layers.extend(local.bootstrap.into_iter().map(|document| Layer::properties(document.source)));
    layers.extend(local.below.iter().cloned());

    let mut above = local.above.to_vec();
    let Some(Remote { environment, .. }) = remote else {
        above.extend(layers);
        return above;
    };
    let rank = rank(&environment);
    let mut remote: Vec<Layer> = marker(&environment)
        .map(|marker| Layer::properties(marker.renamed(format!("bootstrapProperties-{MARKER}"))))
        .into_iter()
        .collect();
    remote.extend(environment.sources.into_iter().map(|source| remote_layer("bootstrapProperties-", source)));
    match rank {
        Rank::Highest => {
            // What the program itself says stays on top.
            let at = above.iter().position(|layer| layer.source.name() != "programProperties").unwrap_or(0);
            above.splice(at..at, remote);
            above.extend(layers);
        }
        Rank::BelowEnvironment => {
            let random = above.iter().position(|layer| layer.kind == Kind::Random);
            let at = random.unwrap_or(above.len());
            above.splice(at..at, remote);
            above.extend(layers);
        }
        Rank::Lowest => {
            above.extend(layers);
            above.extend(remote);
        }
    }
    above
}

/// The source that tells what was loaded.
const MARKER: &str = "configClient";

/// `config.client.version` and `config.client.state` (Spring's source `configClient`).
fn marker(environment: &Environment) -> Option<PropertySource> {
    let pairs = [("config.client.version", &environment.version), ("config.client.state", &environment.state)];
    let pairs = pairs.into_iter().filter_map(|(key, text)| Some((key, text.clone()?)));
    Some(memory::source(MARKER, pairs))
}

fn remote_layer(prefix: &str, source: RemoteSource) -> Layer {
    let name = format!("{prefix}{}", source.properties.name());
    Layer { objects: source.objects, ..Layer::properties(source.properties.renamed(name)) }
}

/// The flags that the remote sources themselves hold.
fn rank(environment: &Environment) -> Rank {
    let flag = |key: &str, default: bool| {
        let value = environment.first(&format!("spring.cloud.config.{key}")).map(Property::value);
        let text = value.and_then(Value::as_text);
        text.as_deref().and_then(scalar::boolean).unwrap_or(default)
    };
    if !flag("allow-override", true) {
        Rank::Highest
    } else if flag("override-none", false) {
        Rank::Lowest
    } else if flag("override-system-properties", true) {
        Rank::Highest
    } else {
        Rank::BelowEnvironment
    }
}

/// Whether a remote source ranks with the files of profiles: it is one, or it is what the server overrides.
fn is_specific(name: &str, profiles: &[String]) -> bool {
    name == "overrides" || is_of_profile(name, profiles)
}

/// Whether a remote source is one of a profile: its file is named `<name>-<profile>.<extension>`, Vault's ends in
/// `,<profile>` (deviation D-10: Java searches the whole name).
pub(crate) fn is_of_profile(name: &str, profiles: &[String]) -> bool {
    let stem = stem(name);
    profiles.iter().filter(|profile| *profile != "default").any(|profile| {
        stem.strip_suffix(profile.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with(['-', ',']))
    })
}

/// The name of the file without folder and extension.
fn stem(name: &str) -> &str {
    let file = match name.split_once("file [") {
        Some((_, rest)) => rest.split(['\'', ']']).next().unwrap_or(rest),
        None => name,
    };
    let file = file.rsplit('/').next().unwrap_or(file);
    ["yml", "yaml", "properties", "xml", "json"]
        .iter()
        .find_map(|extension| file.strip_suffix(extension)?.strip_suffix('.'))
        .unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_of_a_profile_is_known_by_its_file() {
        let dev = ["dev".to_owned()];
        for name in [
            "file:r/app-dev.yml",
            "https://git/x/foo-dev.properties",
            "vault:app,dev",
            "foo-dev",
            "overrides",
            "Config resource 'file [/r/app-dev.yml]' via location 'file:/r/' (document #0)",
        ] {
            assert!(is_specific(name, &dev), "{name}");
        }
        for name in [
            "https://git/my-dev/foo.yml",
            "file:r/app-developer.yml",
            "file:r/app_dev.yml",
            "file:r/app-DEV.yml",
            "file:r/dev.yml",
            "Config resource 'file [/r-dev/app.yml]' via location 'file:/r-dev/' (document #0)",
        ] {
            assert!(!is_specific(name, &dev), "{name}");
        }
        assert!(!is_specific("file:r/app-default.yml", &["default".to_owned()]));
    }
}
