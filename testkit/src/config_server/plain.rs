//! Plain-text files of the repository (`GenericResourceRepository`).

use std::fs::Metadata;
use std::path::Path;
use std::time::SystemTime;

use vernal_config_client::source;

use super::files::{Failure, Repository};
use super::profile;

/// A file as it is.
#[derive(Debug)]
pub(super) struct PlainFile {
    pub(super) bytes: Vec<u8>,
    pub(super) modified: Option<SystemTime>,
}

impl Repository {
    /// The file for a request; none if there is none. Against the order of settings the first folder counts, and in it
    /// the first profile: `stem-profile.ext`, at last the name as it is, for which the profile `default` stands as well.
    pub(super) fn plain_file(
        &self,
        name: &str,
        profiles: &str,
        label: Option<&str>,
        path: &[String],
    ) -> Result<Option<PlainFile>, Failure> {
        let Some((file, folders)) = path.split_last() else { return Ok(None) };
        let unfit = |part: &String| {
            matches!(part.as_str(), "" | "." | "..") || part.contains(['/', '\\', '\0']) || is_hidden(part)
        };
        // Each of these may be a part of a folder's name.
        let climbs = [Some(name), Some(profiles), label].into_iter().flatten().any(|text| text.contains(".."));
        if path.iter().any(unfit) || climbs {
            return Ok(None);
        }
        let (stem, extension) = match file.rsplit_once('.') {
            Some((stem, extension)) => (stem, format!(".{extension}")),
            None => (file.as_str(), String::new()),
        };
        let mut candidates: Vec<String> = profile::split(profiles)
            .into_iter()
            .map(|profile| match profile.as_str() {
                "default" => file.clone(),
                profile => format!("{stem}-{profile}{extension}"),
            })
            .collect();
        candidates.push(file.clone());
        let mut locations = self.search_locations(name, profiles, label);
        if self.is_reversed() {
            locations.reverse();
        }
        for location in locations {
            let folder = folders.iter().fold(Path::new(&location).to_owned(), |folder, part| folder.join(part));
            for candidate in candidates.iter().filter(|candidate| !candidate.contains(['/', '\\', '\0'])) {
                let path = folder.join(candidate);
                let Some(metadata) = std::fs::metadata(&path).ok().filter(Metadata::is_file) else { continue };
                let bytes = source::read_file(&path, candidate).map_err(|error| Failure(error.to_string()))?;
                return Ok(Some(PlainFile { bytes, modified: metadata.modified().ok() }));
            }
        }
        Ok(None)
    }
}

/// What Java keeps for itself.
fn is_hidden(part: &str) -> bool {
    part.eq_ignore_ascii_case("WEB-INF") || part.eq_ignore_ascii_case("META-INF")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_the_folders_is_served() {
        let folder = tempfile::tempdir().unwrap();
        let repository = folder.path().join("repository");
        std::fs::create_dir_all(repository.join("a/WEB-INF")).unwrap();
        for file in ["secret.txt", "repository/open.txt", "repository/a/in.txt", "repository/a/WEB-INF/x.txt"] {
            std::fs::write(folder.path().join(file), file).unwrap();
        }
        let location = format!("{}/", repository.to_str().unwrap());
        let repository = Repository::default().location(&location).location(&format!("{location}{{profile}}/"));
        let found = |profiles: &str, label: &str, path: &[&str]| {
            let path: Vec<_> = path.iter().map(|part| (*part).to_owned()).collect();
            repository.plain_file("foo", profiles, Some(label), &path).unwrap().is_some()
        };
        assert!(
            found("dev", "master", &["open.txt"]) && found("dev", "a", &["in.txt"]) && found("a", "x", &["in.txt"])
        );
        for (profiles, label, path) in [
            ("dev", "master", ["..", "secret.txt"].as_slice()),
            ("dev", "master", &["../secret.txt"]),
            ("dev", "master", &["..\\secret.txt"]),
            ("dev", "master", &["secret.txt\0"]),
            ("dev", "..", &["secret.txt"]),
            ("dev", "a/../..", &["secret.txt"]),
            ("..", "master", &["secret.txt"]),
            ("dev", "master", &["a", "WEB-INF", "x.txt"]),
            ("dev", "master", &["a"]),
            ("dev", "master", &[]),
        ] {
            assert!(!found(profiles, label, path), "{profiles} {label} {path:?}");
        }
    }
}
