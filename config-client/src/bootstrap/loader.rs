//! One load from nothing: files, profiles, servers, ranks, decryption. A refresh is another load.

use std::path::PathBuf;
use std::sync::Arc;

use vernal_commons::http::SharedTransport;

use crate::bind::scalar;
use crate::client;
use crate::client::options::ClientOptions;
use crate::environment::Environment;
use crate::error::Error;
use crate::layers::{Layer, Layers, RandomCache};
use crate::name::Name;
use crate::placeholder::Unknown;

use super::decrypt::{self, Key};
use super::import::{Import, ServerImport, without_credentials};
use super::local::{Document, Locations, list, outside, raw_list};
use super::profiles::Profiles;
use super::rank::{self, Anchor, Local, Remote};

/// How many times a file's profiles may change what a server is asked for: once (config.md 2.7).
const ROUNDS: usize = 2;

/// What a load starts from; the same for all loads of one [`Settings`](crate::Settings).
pub(crate) struct Loader {
    above: Vec<Layer>,
    below: Vec<Layer>,
    places: Vec<PathBuf>,
    transport: Option<SharedTransport>,
    random: RandomCache,
}

/// The outcome of a load.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Highest first; nothing is applied on top yet.
    pub(crate) layers: Vec<Layer>,
    pub(crate) profiles: Profiles,
    pub(crate) version: Option<String>,
    pub(crate) warnings: Vec<String>,
    /// Failures of servers that may fail.
    pub(crate) missing: Vec<Error>,
    /// Whether a server was asked.
    pub(crate) asked: bool,
    pub(crate) random: RandomCache,
}

/// What `bootstrap.yml` led to.
#[derive(Default)]
struct Bootstrapped {
    documents: Vec<Document>,
    remote: Option<Remote>,
}

#[derive(Default)]
struct Notes {
    warnings: Vec<String>,
    missing: Vec<Error>,
    asked: bool,
}

impl Loader {
    pub(crate) fn new(
        above: Vec<Layer>,
        below: Vec<Layer>,
        places: Vec<PathBuf>,
        transport: Option<SharedTransport>,
    ) -> Self {
        Self { above, below, places, transport, random: RandomCache::default() }
    }

    /// Loads everything anew.
    pub(crate) async fn load(&self) -> Result<Loaded, Error> {
        let mut notes = Notes::default();
        let base = self.layers(&[]);
        let bootstrapped = self.bootstrap(&base, &mut notes).await?;
        let missing = notes.missing.len();
        let locations = self.locations(&base, "spring.config", "application")?;
        let mut plain = self.outside_files(&base).await?;
        plain.extend(locations.plain().await?);

        let mut profiles = self.profiles(&bootstrapped, &plain, &[])?;
        let mut round = 1;
        let (documents, remotes) = loop {
            let documents = self.documents(&locations, &plain, &profiles).await?;
            let remotes = self.import(&bootstrapped, &documents, &profiles, &mut notes).await?;
            let now = self.profiles(&bootstrapped, &plain, &remotes)?;
            if now == profiles || round >= ROUNDS {
                break (documents, remotes);
            }
            profiles = now;
            round += 1;
            notes.missing.truncate(missing);
        };
        self.finish(bootstrapped, documents, remotes, profiles, notes)
    }

    fn finish(
        &self,
        bootstrapped: Bootstrapped,
        documents: Vec<Document>,
        remotes: Vec<Remote>,
        profiles: Profiles,
        notes: Notes,
    ) -> Result<Loaded, Error> {
        let Notes { mut warnings, missing, asked } = notes;
        let all = || remotes.iter().chain(&bootstrapped.remote);
        let version = all().find_map(|remote| remote.environment.version.clone());
        for source in all().flat_map(|remote| &remote.environment.sources) {
            for (key, property) in source.properties.iter() {
                if let (Some(key), Some("<n/a>")) = (key.strip_prefix("invalid."), property.value().as_str()) {
                    warnings.push(format!("the config server could not decrypt `{key}`"));
                }
            }
        }
        let local = Local { above: &self.above, documents, bootstrap: bootstrapped.documents, below: &self.below };
        let mut layers = rank::stack(local, bootstrapped.remote, remotes, profiles.accepted());
        let read = Layers::new(layers.clone(), Arc::clone(&self.random));
        let enabled = boolean(&read, "spring.cloud.config.enabled")? != Some(false);
        if !asked && enabled && read.contains(&Name::parse("spring.cloud.config.uri"), None) {
            warnings.push(
                "`spring.cloud.config.uri` is set, but no config server is asked: there is neither a `bootstrap.yml` \
                 nor an import of `configserver:`"
                    .to_owned(),
            );
        }
        let (decrypted, undecrypted) = decrypt::decrypt(&mut layers, &read)?;
        warnings.extend(undecrypted);
        if let Some(decrypted) = decrypted {
            layers.insert(0, decrypted);
        }
        Ok(Loaded { layers, profiles, version, warnings, missing, asked, random: Arc::clone(&self.random) })
    }

    // ----- local files -----

    /// Base layers around `documents`.
    fn layers(&self, documents: &[&Document]) -> Layers {
        let mut layers = self.above.clone();
        layers.extend(documents.iter().map(|document| Layer::properties(document.source.clone())));
        layers.extend(self.below.iter().cloned());
        Layers::new(layers, Arc::clone(&self.random))
    }

    /// `<prefix>.location`, `.additional-location` and `.name`, or the defaults.
    fn locations(&self, base: &Layers, prefix: &str, name: &str) -> Result<Locations, Error> {
        let places = |key: &str| -> Result<Vec<PathBuf>, Error> {
            let elements = list(base, &format!("{prefix}.{key}"))?;
            // `,` and `;` separate; `optional:` changes nothing, since a missing file is none.
            let parts = elements.iter().flat_map(|element| element.split(';'));
            let parts = parts.map(|part| part.trim().trim_start_matches("optional:"));
            Ok(parts
                .filter(|part| !part.is_empty() && !part.starts_with("classpath:"))
                .map(|part| PathBuf::from(part.trim_start_matches("file:")))
                .rev()
                .collect())
        };
        let mut all = places("location")?;
        if all.is_empty() {
            all.clone_from(&self.places);
        }
        let mut additional = places("additional-location")?;
        additional.extend(all);
        let mut names = list(base, &format!("{prefix}.name"))?;
        if names.is_empty() {
            names.push(name.to_owned());
        }
        Ok(Locations { places: additional, names })
    }

    /// Files that the command line, the environment or the program import; they rank above all other files.
    async fn outside_files(&self, base: &Layers) -> Result<Vec<Document>, Error> {
        let mut documents = Vec::new();
        for location in raw_list(base, "spring.config.import").unwrap_or_default().into_iter().rev() {
            // What the base cannot resolve is a server's, see `import`.
            let Ok(location) = base.resolve_text(&location, Unknown::Refuse) else { continue };
            if let Import::File { path, optional } = Import::parse(&location)? {
                documents.extend(outside(path, optional).await?);
            }
        }
        Ok(documents)
    }

    /// The documents that apply: files of profiles, then plain ones, each the strongest first.
    async fn documents(
        &self,
        locations: &Locations,
        plain: &[Document],
        profiles: &Profiles,
    ) -> Result<Vec<Document>, Error> {
        let mut documents: Vec<_> = plain.iter().filter(|document| document.outside).cloned().collect();
        documents.extend(locations.specific(profiles.accepted()).await?);
        documents.extend(plain.iter().filter(|document| !document.outside).cloned());
        let mut admitted = Vec::new();
        for document in documents {
            let admit = match &document.on_profile {
                None => true,
                Some(expressions) => profiles.admit(expressions)?,
            };
            if admit {
                admitted.push(document);
            }
        }
        Ok(admitted)
    }

    /// The profiles that everything known so far activates. Documents and sources of a profile have no say.
    fn profiles(&self, bootstrapped: &Bootstrapped, plain: &[Document], remotes: &[Remote]) -> Result<Profiles, Error> {
        let documents: Vec<_> =
            plain.iter().chain(&bootstrapped.documents).filter(|d| d.on_profile.is_none() && !d.specific).collect();
        let local = self.layers(&documents);
        let sources: Vec<Layer> = remotes
            .iter()
            .chain(&bootstrapped.remote)
            .flat_map(|remote| remote.environment.sources.iter().map(|source| (source, &remote.profiles)))
            .filter(|(source, profiles)| !rank::is_of_profile(source.properties.name(), profiles))
            .map(|(source, _)| Layer {
                objects: source.objects.clone(),
                ..Layer::properties(source.properties.clone())
            })
            .collect();
        if sources.is_empty() {
            return Profiles::read(&local, None, &local);
        }
        let remote = Layers::new(sources.clone(), Arc::clone(&self.random));
        let mut all = self.above.clone();
        all.extend(sources);
        all.extend(documents.iter().map(|document| Layer::properties(document.source.clone())));
        let all = Layers::new(all, Arc::clone(&self.random));
        Profiles::read(&local, Some(&remote), &all)
    }

    // ----- bootstrap.yml -----

    async fn bootstrap(&self, base: &Layers, notes: &mut Notes) -> Result<Bootstrapped, Error> {
        let enabled = boolean(base, "spring.cloud.bootstrap.enabled")?;
        if enabled == Some(false) {
            return Ok(Bootstrapped::default());
        }
        let locations = self.locations(base, "spring.cloud.bootstrap", "bootstrap")?;
        let plain = locations.plain().await?;
        let profiles = self.profiles(&Bootstrapped::default(), &plain, &[])?;
        let documents = self.documents(&locations, &plain, &profiles).await?;
        let layers = self.layers(&documents.iter().collect::<Vec<_>>());
        let names_uri = layers.contains(&Name::parse("spring.cloud.config.uri"), None);
        let asks = enabled == Some(true) || (!documents.is_empty() && names_uri);
        let mut bootstrapped = Bootstrapped { documents, remote: None };
        if !asks || boolean(&layers, "spring.cloud.config.enabled")? == Some(false) {
            return Ok(bootstrapped);
        }
        let options = ClientOptions::read(&layers, &Key::read(&layers)?)?;
        // Spring refuses such a name, whose files would be taken for those of a profile.
        if options.name.starts_with("application-") {
            let error = Error::Setting {
                key: "spring.cloud.config.name".to_owned(),
                origin: None,
                expected: format!("a name that does not begin with `application-`, found `{}`", options.name),
            };
            if options.fail_fast {
                return Err(error);
            }
            tracing::warn!(error = %error, "no config server is asked");
            notes.warnings.push(error.to_string());
            return Ok(bootstrapped);
        }
        notes.asked = true;
        match self.fetch(&options, &profiles).await {
            Ok(environment) => {
                let profiles = profiles.accepted().to_vec();
                bootstrapped.remote = Some(Remote { anchor: Anchor::Outside, environment, profiles });
            }
            Err(error) if options.fail_fast || error.server().is_none() => return Err(error),
            Err(error) => notes.missing.push(error),
        }
        Ok(bootstrapped)
    }

    async fn fetch(&self, options: &ClientOptions, profiles: &Profiles) -> Result<Environment, Error> {
        let transport = match &self.transport {
            Some(transport) => transport.clone(),
            None => client::default_transport(options)?,
        };
        client::fetch(&transport, options, &profiles.joined()).await
    }

    // ----- spring.config.import -----

    /// Asks the servers that are imported; later imports are stronger and asked first.
    async fn import(
        &self,
        bootstrapped: &Bootstrapped,
        documents: &[Document],
        profiles: &Profiles,
        notes: &mut Notes,
    ) -> Result<Vec<Remote>, Error> {
        let known: Vec<_> = documents.iter().chain(&bootstrapped.documents).collect();
        let layers = self.layers(&known);
        let base = self.layers(&[]);
        let outside = raw_list(&base, "spring.config.import").unwrap_or_default();
        let mut wanted: Vec<(Anchor, Vec<String>)> = vec![(Anchor::Outside, outside)];
        wanted.extend(
            documents.iter().enumerate().map(|(at, document)| (Anchor::Document(at), document.imports.clone())),
        );
        let mut remotes = Vec::new();
        let mut asked: Vec<ServerImport> = Vec::new();
        for (anchor, locations) in wanted {
            for location in locations.iter().rev() {
                let resolved = layers.resolve_text(location, Unknown::Refuse)?;
                let server = match Import::parse(&resolved)? {
                    Import::Server(server) => server,
                    // It was read with the first files.
                    Import::File { .. }
                        if anchor == Anchor::Outside && base.resolve_text(location, Unknown::Refuse).is_ok() =>
                    {
                        continue;
                    }
                    // Files are read before it is known what a placeholder stands for.
                    Import::File { .. } => {
                        return Err(Error::Import {
                            location: without_credentials(&resolved),
                            reason: "the path of a file must not hold placeholders".to_owned(),
                        });
                    }
                };
                // Deviation D-3: Java refuses a mandatory import while the client is disabled.
                if boolean(&layers, "spring.cloud.config.enabled")? == Some(false) {
                    continue;
                }
                let options =
                    ClientOptions::read(&layers, &Key::read(&layers)?)?.with_import(&server.uris, &server.query)?;
                let same = ServerImport {
                    optional: server.optional,
                    uris: options.uris.iter().map(|uri| uri.url().to_owned()).collect(),
                    query: Vec::new(),
                };
                if asked.contains(&same) {
                    continue;
                }
                asked.push(same);
                notes.asked = true;
                match self.fetch(&options, profiles).await {
                    Ok(environment) => {
                        let profiles = profiles.accepted().to_vec();
                        remotes.push(Remote { anchor, environment, profiles });
                    }
                    Err(error) if !server.optional || options.fail_fast || error.server().is_none() => {
                        return Err(error);
                    }
                    Err(error) => notes.missing.push(error),
                }
            }
        }
        Ok(remotes)
    }
}

fn boolean(layers: &Layers, key: &str) -> Result<Option<bool>, Error> {
    let Some(value) = layers.value(&Name::parse(key), None)? else { return Ok(None) };
    let text = value.value.as_text().unwrap_or_default();
    if text.trim().is_empty() {
        return Ok(None);
    }
    scalar::boolean(&text).map(Some).ok_or_else(|| Error::Setting {
        key: key.to_owned(),
        origin: value.origin.clone(),
        expected: format!("a boolean, found `{text}`"),
    })
}
