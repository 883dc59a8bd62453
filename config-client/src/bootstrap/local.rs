//! Local files: `application.yml`, its profile variants, `bootstrap.yml`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bind;
use crate::error::Error;
use crate::layers::{Layer, Layers};
use crate::name::Name;
use crate::source::{LoadError, PropertySource, load_file};

use super::import::Import;

/// The extensions, the strongest first (config.md 4.2).
const EXTENSIONS: [&str; 3] = ["properties", "yml", "yaml"];
/// How deep files may import each other.
const MAX_IMPORTS: usize = 8;

/// One document of a local file.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) source: PropertySource,
    /// Whether it comes from a file of a profile.
    pub(crate) specific: bool,
    /// `spring.config.activate.on-profile`, if it is there.
    pub(crate) on_profile: Option<Vec<String>>,
    /// `spring.config.import` as written.
    pub(crate) imports: Vec<String>,
    /// Whether the file is imported by the command line, the environment or the program.
    pub(crate) outside: bool,
}

/// Where files are looked for.
#[derive(Debug, Clone)]
pub(crate) struct Locations {
    /// Folders, or files; the strongest first.
    pub(crate) places: Vec<PathBuf>,
    /// The name of the files without extension, or several, the strongest last.
    pub(crate) names: Vec<String>,
}

impl Locations {
    /// The documents of the plain files, the strongest first.
    pub(crate) async fn plain(&self) -> Result<Vec<Document>, Error> {
        self.load(Vec::new()).await
    }

    /// The documents of the files of `profiles`, of which later ones win; the strongest first.
    pub(crate) async fn specific(&self, profiles: &[String]) -> Result<Vec<Document>, Error> {
        if profiles.is_empty() {
            return Ok(Vec::new());
        }
        self.load(profiles.to_vec()).await
    }

    async fn load(&self, profiles: Vec<String>) -> Result<Vec<Document>, Error> {
        let locations = self.clone();
        blocking(move || {
            let mut documents = Vec::new();
            if profiles.is_empty() {
                locations
                    .stems("")
                    .try_for_each(|(place, file)| locations.read(place, &file, false, &mut documents))?;
            }
            for profile in profiles.iter().rev() {
                for (place, file) in locations.stems(&format!("-{profile}")) {
                    locations.read(place, &file, true, &mut documents)?;
                }
            }
            Ok(documents)
        })
        .await
    }

    /// Every place with every name, the strongest first.
    fn stems(&self, suffix: &str) -> impl Iterator<Item = (&Path, String)> {
        let suffix = suffix.to_owned();
        self.places.iter().flat_map(move |place| {
            let suffix = suffix.clone();
            self.names.iter().rev().map(move |name| (place.as_path(), format!("{name}{suffix}")))
        })
    }

    fn read(&self, place: &Path, stem: &str, specific: bool, documents: &mut Vec<Document>) -> Result<(), Error> {
        if place.is_file() {
            return if specific { Ok(()) } else { read_file(place, specific, 0, documents) };
        }
        // A profile named `../x` must not lead out of the folder.
        if stem.contains(['/', '\\']) {
            return Ok(());
        }
        for extension in EXTENSIONS {
            let path = place.join(format!("{stem}.{extension}"));
            if path.is_file() {
                read_file(&path, specific, 0, documents)?;
            }
        }
        Ok(())
    }
}

impl Document {
    fn new(source: PropertySource, specific: bool) -> Result<Self, Error> {
        let layers = Layers::new(vec![Layer::properties(source.clone())], Arc::default());
        let raw = |key: &str| layers.find(&Name::parse(key), None).and_then(|found| found.property.value().as_text());
        let on_profile = raw_list(&layers, "spring.config.activate.on-profile");
        let mut imports = raw_list(&layers, "spring.config.import").unwrap_or_default();
        // No platform is recognised, so only documents for none apply.
        let platform = raw("spring.config.activate.on-cloud-platform");
        let on_profile = match platform.as_deref() {
            None | Some("none") => on_profile,
            Some(_) => Some(Vec::new()),
        };
        let malformed = |reason: String| Error::Malformed { file: source.name().to_owned(), reason };
        if source.get("spring.profiles").is_some() {
            let reason = "`spring.profiles` has been replaced by `spring.config.activate.on-profile`".to_owned();
            return Err(malformed(reason));
        }
        if specific || on_profile.is_some() {
            for key in ["spring.profiles.active", "spring.profiles.include", "spring.profiles.default"] {
                if layers.contains(&Name::parse(key), None) {
                    return Err(malformed(format!("`{key}` is not allowed in a document of a profile")));
                }
            }
        }
        imports.retain(|import| !import.is_empty());
        Ok(Self { source, specific, on_profile, imports, outside: false })
    }
}

/// The documents of a file that no file imports, the strongest first. Relative to the working directory.
pub(crate) async fn outside(path: PathBuf, optional: bool) -> Result<Vec<Document>, Error> {
    blocking(move || {
        let mut documents = Vec::new();
        if !optional || path.is_file() {
            read_file(&path, false, 1, &mut documents)?;
        }
        documents.iter_mut().for_each(|document| document.outside = true);
        Ok(documents)
    })
    .await
}

/// Appends the documents of a file, the last one first. Files that it imports come right before the document.
fn read_file(path: &Path, specific: bool, depth: usize, documents: &mut Vec<Document>) -> Result<(), Error> {
    let name = path.display().to_string();
    let sources = load_file(path, &name).map_err(|error| match error {
        LoadError::Io { source, .. } => Error::Read { file: name.clone(), source: Arc::new(source) },
        other => Error::Malformed { file: name.clone(), reason: other.to_string() },
    })?;
    let folder = path.parent().unwrap_or(Path::new("."));
    for source in sources.into_iter().rev() {
        let mut document = Document::new(source, specific)?;
        let mut servers = Vec::new();
        for location in std::mem::take(&mut document.imports).into_iter().rev() {
            // What holds a placeholder can only be a server here; it is parsed once its value is known.
            let import = if location.contains("${") { None } else { Some(Import::parse(&location)?) };
            let Some(Import::File { path: imported, optional }) = import else {
                servers.insert(0, location);
                continue;
            };
            if depth >= MAX_IMPORTS {
                let reason = format!("files import each other more than {MAX_IMPORTS} deep");
                return Err(Error::Import { location, reason });
            }
            let imported = folder.join(imported);
            if !optional || imported.is_file() {
                read_file(&imported, specific, depth + 1, documents)?;
            }
        }
        document.imports = servers;
        documents.push(document);
    }
    Ok(())
}

/// Files are read off the runtime's threads.
async fn blocking<T, F>(read: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    match tokio::task::spawn_blocking(read).await {
        Ok(result) => result,
        Err(error) => Err(Error::Read { file: "local configuration".to_owned(), source: Arc::new(error) }),
    }
}

/// The elements of a list as they are written, `None` if there is no such list. Locations may hold placeholders that
/// are resolved later, from everything; in a text commas separate, in elements they do not.
pub(crate) fn raw_list(layers: &Layers, key: &str) -> Option<Vec<String>> {
    let name = Name::parse(key);
    if let Some(found) = layers.find(&name, None) {
        let text = found.property.value().as_text()?;
        return Some(text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect());
    }
    let mut elements: Vec<(Option<usize>, String)> = layers
        .below(&name, None)
        .filter_map(|below| {
            let index = below.name.canonical_element(below.at).and_then(|index| index.parse().ok());
            Some((index, below.found.property.value().as_text()?.into_owned()))
        })
        .collect();
    elements.sort();
    (!elements.is_empty()).then(|| elements.into_iter().map(|(_, text)| text).collect())
}

/// The list at `prefix` of already merged settings.
pub(crate) fn list(layers: &Layers, prefix: &str) -> Result<Vec<String>, Error> {
    if !layers.contains(&Name::parse(prefix), None) {
        return Ok(Vec::new());
    }
    bind::bind::<Vec<String>>(layers, prefix).map(|(list, _)| list)
}
