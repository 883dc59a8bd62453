//! The native backend: which files of the folders answer a request, in which order and under which names.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use indexmap::IndexSet;
use vernal_config_client::source::{self, PropertySource, properties, yaml};

use super::activation;
use super::profile;
use super::xml;

/// Folders and what is said about them.
#[derive(Debug, Clone)]
pub(super) struct Repository {
    locations: Vec<String>,
    working_dir: Option<PathBuf>,
    default_label: String,
    version: Option<String>,
    reversed: bool,
}

/// Why a request has no answer. The text is for people.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure(pub(super) String);

/// Extensions in the order in which they rank, highest first.
const EXTENSIONS: [&str; 4] = ["properties", "xml", "yml", "yaml"];
/// Most candidate files for one request.
const MAX_CANDIDATES: usize = 20_000;
/// Deepest chain of imports.
const MAX_IMPORTS: usize = 32;

impl Default for Repository {
    fn default() -> Self {
        Self {
            locations: Vec::new(),
            working_dir: None,
            default_label: "master".to_owned(),
            version: None,
            reversed: false,
        }
    }
}

impl Repository {
    pub(super) fn location(mut self, folder: &str) -> Self {
        self.locations.push(folder.to_owned());
        self
    }

    pub(super) fn working_dir(mut self, folder: PathBuf) -> Self {
        self.working_dir = Some(folder);
        self
    }

    pub(super) fn default_label(mut self, label: &str) -> Self {
        label.clone_into(&mut self.default_label);
        self
    }

    pub(super) fn version(mut self, version: &str) -> Self {
        self.version = Some(version.to_owned());
        self
    }

    pub(super) fn reverse_locations(mut self, on: bool) -> Self {
        self.reversed = on;
        self
    }

    /// Whether the last folder comes first for plain-text files.
    pub(super) const fn is_reversed(&self) -> bool {
        self.reversed
    }

    pub(super) fn configured_version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The property sources of a request, highest first.
    ///
    /// Order (measured on Spring Cloud Config Server 5.0.1): profiles from the last to the first, in each the locations
    /// from the last to the first, in each the applications from the last to `application`, in each the extensions;
    /// then the same without a profile. Documents of a file rank from the last to the first, an import just above the
    /// document that names it.
    pub(super) fn sources(
        &self,
        name: &str,
        profiles: &str,
        label: Option<&str>,
    ) -> Result<Vec<PropertySource>, Failure> {
        if name.contains('*') {
            return Err(Failure(format!("config name `{name}` cannot contain `*`")));
        }
        let requested = profile::split(profiles);
        check_profiles(&requested)?;
        let locations = self.search_locations(name, profiles, label);
        let mut names = IndexSet::from(["application"]);
        names.extend(name.split(',').filter(|name| !name.is_empty()));
        if names.len() * locations.len() * (requested.len() + 1) * EXTENSIONS.len() > MAX_CANDIDATES {
            return Err(Failure(format!("more than {MAX_CANDIDATES} candidate files")));
        }
        let names: Vec<_> = names.into_iter().rev().collect();
        let mut search = Search { repository: self, locations: &locations, files: HashMap::new() };
        // Profiles that files add are known only after the files without a profile were read.
        let plain = search.walk(&names, &[], false)?;
        let active = if requested == ["default"] {
            requested
        } else {
            let unconditional: Vec<_> = plain.iter().map(|found| &found.document).collect();
            let active = activation::expand(&requested, &unconditional);
            check_profiles(&active)?;
            active
        };
        if names.len() * locations.len() * (active.len() + 1) * EXTENSIONS.len() > MAX_CANDIDATES {
            return Err(Failure(format!("more than {MAX_CANDIDATES} candidate files")));
        }
        let found = search.walk(&names, &active, true)?;
        Ok(found.into_iter().filter(|found| found.in_search_path).map(|found| found.document).collect())
    }

    /// The folders of a request, lowest first: the configured ones with their placeholders replaced, then those of the
    /// labels, the first label last. A folder that occurs twice ranks where it occurs last.
    pub(super) fn search_locations(&self, name: &str, profiles: &str, label: Option<&str>) -> Vec<String> {
        let label = label.unwrap_or(&self.default_label);
        let mut found: Vec<String> = Vec::new();
        for location in &self.locations {
            for profile in profiles.split(',') {
                for application in name.split(',') {
                    let folder = location
                        .replace("{application}", application)
                        .replace("{profile}", profile)
                        .replace("{label}", label);
                    found.push(with_slash(folder));
                    if found.len() > MAX_CANDIDATES {
                        return found;
                    }
                }
            }
        }
        if !label.trim().is_empty() {
            for location in self.locations.iter().filter(|location| !location.contains('{')) {
                for label in label.split(',').rev() {
                    found.push(with_slash(format!("{location}{label}")));
                }
            }
        }
        let mut unique: IndexSet<String> = found.into_iter().rev().map(|folder| folder.replace("//", "/")).collect();
        unique.reverse();
        unique.into_iter().collect()
    }
}

fn check_profiles(profiles: &[String]) -> Result<(), Failure> {
    profiles.iter().find_map(|name| profile::fault(name)).map_or(Ok(()), |fault| Err(Failure(fault)))
}

fn with_slash(folder: String) -> String {
    if folder.ends_with('/') { folder } else { folder + "/" }
}

/// One request's walk over the files; each file is read once.
struct Search<'a> {
    repository: &'a Repository,
    locations: &'a [String],
    files: HashMap<PathBuf, Rc<Vec<PropertySource>>>,
}

/// A document that takes part.
struct Found {
    document: PropertySource,
    in_search_path: bool,
}

/// A file that may take part, with what it is called.
struct Candidate {
    path: PathBuf,
    /// As in `file [..]`.
    shown: String,
    /// As in `via location '..'`.
    location: String,
    profile_specific: bool,
}

impl Search<'_> {
    /// All documents that apply, highest first. Without `known` the profiles are not known yet, and conditional
    /// documents do not apply.
    fn walk(&mut self, names: &[&str], active: &[String], known: bool) -> Result<Vec<Found>, Failure> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let suffixes = active.iter().rev().map(|profile| format!("-{profile}")).chain([String::new()]);
        for suffix in suffixes {
            for location in self.locations.iter().rev() {
                for name in names {
                    for extension in EXTENSIONS {
                        let shown = format!("{location}{}{suffix}.{extension}", name.trim_start_matches('/'));
                        let candidate = Candidate {
                            path: PathBuf::from(&shown),
                            shown,
                            location: format!("file:{location}"),
                            profile_specific: !suffix.is_empty(),
                        };
                        self.collect(&candidate, known.then_some(active), &mut seen, &mut found, 0)?;
                    }
                }
            }
        }
        Ok(found)
    }

    /// Adds the documents of a file, each below what it imports. A file is taken once, where it ranks highest.
    fn collect(
        &mut self,
        candidate: &Candidate,
        active: Option<&[String]>,
        seen: &mut HashSet<PathBuf>,
        found: &mut Vec<Found>,
        depth: usize,
    ) -> Result<(), Failure> {
        if !candidate.path.is_file() || !seen.insert(clean(&candidate.path)) {
            return Ok(());
        }
        if depth > MAX_IMPORTS {
            return Err(Failure(format!("imports nested deeper than {MAX_IMPORTS}")));
        }
        let documents = self.read(candidate)?;
        for document in documents.iter().rev() {
            if let Some(fault) = activation::misplaced(document, candidate.profile_specific) {
                return Err(Failure(fault));
            }
            if !activation::applies(document, active).map_err(Failure)? {
                continue;
            }
            for import in activation::imports(document).iter().rev() {
                for imported in self.imported(import, &candidate.path, active.unwrap_or_default())? {
                    self.collect(&imported, active, seen, found, depth + 1)?;
                }
            }
            let path = self.absolute(&candidate.path);
            let in_search_path =
                self.locations.iter().any(|location| path.starts_with(self.absolute(Path::new(location))));
            found.push(Found { document: document.clone(), in_search_path });
        }
        Ok(())
    }

    fn read(&mut self, candidate: &Candidate) -> Result<Rc<Vec<PropertySource>>, Failure> {
        if let Some(documents) = self.files.get(&candidate.path) {
            return Ok(Rc::clone(documents));
        }
        let failure = |error: &dyn std::error::Error| Failure(error.to_string());
        let name = format!("file:{}", candidate.shown);
        let bytes = source::read_file(&candidate.path, &name).map_err(|error| failure(&error))?;
        let documents = match candidate.path.extension().and_then(|extension| extension.to_str()) {
            Some("properties") => properties::load(&name, &bytes).map_err(|error| failure(&error))?,
            Some("xml") => vec![xml::load(&name, &bytes).map_err(|reason| Failure(format!("{name}: {reason}")))?],
            _ => yaml::load(&name, &bytes).map_err(|error| failure(&error))?,
        };
        let several = documents.len() > 1;
        let documents = documents.into_iter().enumerate().map(|(index, document)| {
            if several {
                let Candidate { shown, location, .. } = candidate;
                document
                    .renamed(format!("Config resource 'file [{shown}]' via location '{location}' (document #{index})"))
            } else {
                document
            }
        });
        let documents = Rc::new(documents.collect());
        self.files.insert(candidate.path.clone(), Rc::clone(&documents));
        Ok(documents)
    }

    /// The files of one import, highest first: its profile-specific siblings, then itself. `file:` starts at the
    /// working directory, anything else at the importing file. A missing file is no error.
    fn imported(&self, import: &str, importer: &Path, active: &[String]) -> Result<Vec<Candidate>, Failure> {
        let target = import.strip_prefix("optional:").unwrap_or(import);
        let (path, shown) = if let Some(file) = target.strip_prefix("file:") {
            let file = file.strip_prefix("./").unwrap_or(file);
            (self.absolute(Path::new(file)), file.to_owned())
        } else if target.contains(':') {
            return Err(Failure(format!("import `{import}` is not supported")));
        } else {
            let sibling = clean(&importer.with_file_name(target));
            let shown = sibling.to_string_lossy().into_owned();
            (sibling, shown)
        };
        let known = path.extension().and_then(|extension| extension.to_str());
        let Some(extension) = known.filter(|extension| EXTENSIONS.contains(extension)) else {
            return Err(Failure(format!("file extension of import `{import}` is not known")));
        };
        let candidate = |suffix: &str| {
            let insert = |text: &str| match text.strip_suffix(extension).and_then(|stem| stem.strip_suffix('.')) {
                Some(stem) => format!("{stem}{suffix}.{extension}"),
                None => text.to_owned(),
            };
            Candidate {
                path: PathBuf::from(insert(&path.to_string_lossy())),
                shown: insert(&shown),
                location: import.to_owned(),
                profile_specific: !suffix.is_empty(),
            }
        };
        Ok(active.iter().rev().map(|profile| candidate(&format!("-{profile}"))).chain([candidate("")]).collect())
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        match &self.repository.working_dir {
            Some(folder) => clean(&folder.join(path)),
            None => std::path::absolute(path).map_or_else(|_| clean(path), |path| clean(&path)),
        }
    }
}

/// The path without `.` and `..`.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                cleaned.pop();
            }
            other => cleaned.push(other),
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_the_locations_and_the_first_one_ranks_highest() {
        let repository = Repository::default().location("/r/").location("/x/{application}/{profile}");
        assert_eq!(
            repository.search_locations("a,b", "dev", Some("v1,v2")),
            ["/r/", "/x/a/dev/", "/x/b/dev/", "/r/v2/", "/r/v1/"]
        );
        assert_eq!(Repository::default().location("/r/").search_locations("a", "d", Some(",v1")), ["/r/v1/", "/r/"]);
        assert_eq!(Repository::default().location("/r/").search_locations("a", "d", None), ["/r/", "/r/master/"]);
    }

    #[test]
    fn imports_rank_above_their_document_and_end() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("a.yml", "spring.config.import: [b.yml, c.yml]\nk: a\n");
        write("b.yml", "spring.config.import: a.yml\nk: b\n");
        write("c-dev.yml", "k: c-dev\n");
        write("c.yml", "k: c\n");
        let repository = Repository::default().location(&with_slash(folder.path().to_string_lossy().into_owned()));
        let sources = repository.sources("a", "dev", None).unwrap();
        let values: Vec<_> = sources.iter().map(|source| source.get("k").unwrap().value().as_str().unwrap()).collect();
        assert_eq!(values, ["c-dev", "c", "b", "a"]);
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("r")).unwrap();
        std::fs::write(folder.path().join("secret.yml"), "k: 1").unwrap();
        let repository = Repository::default().location(&format!("{}/r/", folder.path().display()));
        let absolute = folder.path().join("secret");
        assert_eq!(repository.sources(&absolute.to_string_lossy(), "default", None).unwrap(), []);
    }

    #[test]
    fn huge_requests_are_refused() {
        let many = (0..3000).map(|number| format!("p{number}")).collect::<Vec<_>>().join(",");
        let repository = Repository::default().location("/r/");
        assert!(repository.sources("a,b,c", &many, None).is_err());
    }
}
