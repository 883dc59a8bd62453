//! Which resource a path names.

use http::Method;
use percent_encoding::percent_decode_str;

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/{name}/{profiles}[/{label}]`.
    Environment {
        name: String,
        profiles: String,
        label: Option<String>,
    },
    Encrypt,
    Decrypt,
    EncryptStatus,
    PublicKey,
    Health,
    /// `[/{label}]/{name}-{profiles}.{ext}`.
    Formatted {
        name: String,
        profiles: String,
        label: Option<String>,
        format: TextFormat,
    },
    /// `/{name}/{profiles}/{label}/{path}`, or without label and with `useDefaultLabel`.
    File {
        name: String,
        profiles: String,
        label: Option<String>,
        path: Vec<String>,
    },
    /// A path of the server, but not with this method.
    WrongMethod {
        allow: &'static str,
    },
    Options,
    Unknown,
    /// Tomcat refuses the path before anybody sees it.
    Refused,
}

/// An alternative format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextFormat {
    Yaml,
    Properties,
    Json,
}

const EXTENSIONS: [(&str, TextFormat); 4] = [
    (".yml", TextFormat::Yaml),
    (".yaml", TextFormat::Yaml),
    (".properties", TextFormat::Properties),
    (".json", TextFormat::Json),
];

impl Route {
    /// `path` is what the request line says, without the query.
    pub(super) fn of(method: &Method, path: &str, query: Option<&str>, prefix: &str) -> Self {
        if is_refused(path) {
            return Self::Refused;
        }
        if path == "/actuator/health" {
            return if reads(method) { Self::Health } else { Self::WrongMethod { allow: "GET" } };
        }
        let Some(path) = path.strip_prefix(prefix).and_then(|path| path.strip_prefix('/')) else {
            return Self::Unknown;
        };
        let Some(segments) = path.split('/').map(decode).collect::<Option<Vec<_>>>() else {
            return Self::Refused;
        };
        // A slash at the end makes no difference to the path of a plain-text file, and to nothing else.
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        if let Some((last, before)) = segments.split_last()
            && (before.contains(&"") || (last.is_empty() && before.len() < 3))
        {
            return Self::Unknown;
        }
        let post = *method == Method::POST;
        match segments.as_slice() {
            ["encrypt"] | ["encrypt", _, _] if post => return Self::Encrypt,
            ["decrypt"] | ["decrypt", _, _] if post => return Self::Decrypt,
            ["encrypt" | "decrypt"] => return Self::WrongMethod { allow: "POST" },
            ["encrypt", "status"] if reads(method) => return Self::EncryptStatus,
            ["key"] | ["key", _, _] if reads(method) => return Self::PublicKey,
            _ => {}
        }
        let Some(found) = Self::to_read(&segments, query) else { return Self::Unknown };
        match method.as_str() {
            "GET" | "HEAD" => found,
            "OPTIONS" => Self::Options,
            _ => Self::WrongMethod { allow: "GET" },
        }
    }

    /// The resources that are read with GET.
    fn to_read(segments: &[&str], query: Option<&str>) -> Option<Self> {
        let by_default_label =
            query.is_some_and(|query| query.split('&').any(|pair| pair.split('=').next() == Some("useDefaultLabel")));
        let (file, label) = match *segments {
            [file] => (Some(file), None),
            [label, file] => (Some(file), Some(label)),
            _ => (None, None),
        };
        if let Some((name, profiles, format)) = file.and_then(formatted) {
            let label = label.map(unescaped);
            return Some(Self::Formatted { name: unescaped(name), profiles: profiles.to_owned(), label, format });
        }
        match *segments {
            [name, profiles] if !looks_like_file(profiles) => Some(Self::environment(name, profiles, None)),
            [name, profiles, path] if by_default_label => Some(Self::file(name, profiles, None, &[path])),
            [name, profiles, label] => Some(Self::environment(name, profiles, Some(label))),
            [name, profiles, label, ref path @ ..] => Some(Self::file(name, profiles, Some(label), path)),
            _ => None,
        }
    }

    fn file(name: &str, profiles: &str, label: Option<&str>, path: &[&str]) -> Self {
        // A slash at the end makes no difference here.
        let path = if let [before @ .., ""] = path { before } else { path };
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        Self::File { name: unescaped(name), profiles: profiles.to_owned(), label: label.map(unescaped), path }
    }

    fn environment(name: &str, profiles: &str, label: Option<&str>) -> Self {
        Self::Environment { name: unescaped(name), profiles: profiles.to_owned(), label: label.map(unescaped) }
    }
}

fn unescaped(text: &str) -> String {
    text.replace("(_)", "/")
}

fn reads(method: &Method) -> bool {
    matches!(method.as_str(), "GET" | "HEAD")
}

/// Encoded slashes, backslashes, NULs, and dot segments that lead above the root.
fn is_refused(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    if ["%2f", "%5c", "%00", "\\"].iter().any(|bad| lower.contains(bad)) {
        return true;
    }
    let mut depth = 0_usize;
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        match decode(segment).as_deref() {
            Some("..") => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return true,
            },
            Some(".") => {}
            _ => depth += 1,
        }
    }
    false
}

/// A segment without its `;parameters`, decoded; `None` if it is not encoded properly.
fn decode(segment: &str) -> Option<String> {
    let segment = segment.split(';').next().unwrap_or_default();
    let bytes = segment.as_bytes();
    let proper = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'%')
        .all(|(at, _)| bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)));
    let text = percent_decode_str(segment).decode_utf8().ok()?;
    proper.then(|| text.into_owned())
}

/// The parts of `{name}-{profiles}.{ext}`.
fn formatted(file: &str) -> Option<(&str, &str, TextFormat)> {
    EXTENSIONS.iter().find_map(|(extension, format)| {
        let (name, profiles) = file.strip_suffix(extension)?.rsplit_once('-')?;
        (!name.is_empty() && !profiles.is_empty()).then_some((name, profiles, *format))
    })
}

/// Profiles that contain a known extension as a word (`EnvironmentController`'s pattern).
fn looks_like_file(profiles: &str) -> bool {
    let word = |character: char| character == '_' || character.is_ascii_alphanumeric();
    EXTENSIONS.iter().any(|(extension, _)| {
        profiles.match_indices(*extension).any(|(at, _)| {
            let (before, after) = (profiles.get(..at), profiles.get(at + extension.len()..));
            before.is_some_and(|before| before.ends_with(word)) && !after.is_some_and(|after| after.starts_with(word))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Route {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        Route::of(&Method::GET, path, query, "")
    }

    fn environment(name: &str, profiles: &str, label: Option<&str>) -> Route {
        Route::Environment { name: name.into(), profiles: profiles.into(), label: label.map(Into::into) }
    }

    fn formatted(name: &str, profiles: &str, label: Option<&str>, format: TextFormat) -> Route {
        Route::Formatted { name: name.into(), profiles: profiles.into(), label: label.map(Into::into), format }
    }

    fn file(label: Option<&str>, path: &[&str]) -> Route {
        Route::file("foo", "dev", label, path)
    }

    #[test]
    fn paths_name_resources_as_spring_maps_them() {
        for (path, route) in [
            ("/foo/dev", environment("foo", "dev", None)),
            ("/foo/dev;a=b/v1;x=1", environment("foo", "dev", Some("v1"))),
            ("/team(_)app/default", environment("team/app", "default", None)),
            ("/foo/dev/feature(_)x", environment("foo", "dev", Some("feature/x"))),
            ("/foo/dev/v1.yml", environment("foo", "dev", Some("v1.yml"))),
            ("/foo/dev.xml", environment("foo", "dev.xml", None)),
            ("/encrypt/status/foo", environment("encrypt", "status", Some("foo"))),
            ("/a%20b/%E9%85%8D", environment("a b", "配", None)),
            ("/foo/dev/..", environment("foo", "dev", Some(".."))),
            ("/foo/dev.yml", Route::Unknown),
            ("/foo/a.yml.b", Route::Unknown),
            ("/foo/dev/", Route::Unknown),
            ("/foo/dev/v1/", file(Some("v1"), &[])),
            ("//foo/dev", Route::Unknown),
            ("/foo", Route::Unknown),
            ("/", Route::Unknown),
            ("/foo-dev.yml", formatted("foo", "dev", None, TextFormat::Yaml)),
            ("/v1/foo-dev.json", formatted("foo", "dev", Some("v1"), TextFormat::Json)),
            ("/a(_)b/team(_)a-b-c,d.yaml", formatted("team/a-b", "c,d", Some("a/b"), TextFormat::Yaml)),
            ("/foo-dev.properties", formatted("foo", "dev", None, TextFormat::Properties)),
            ("/-dev.yml", Route::Unknown),
            ("/foo/dev/v1/a/b.txt", file(Some("v1"), &["a", "b.txt"])),
            ("/foo/dev/v1/a(_)b/", file(Some("v1"), &["a(_)b"])),
            ("/foo/dev/a.txt?useDefaultLabel", file(None, &["a.txt"])),
            ("/encrypt/status", Route::EncryptStatus),
            ("/encrypt", Route::WrongMethod { allow: "POST" }),
            ("/key/a/b", Route::PublicKey),
            ("/../dev", Route::Refused),
            ("/foo%2Fbar/dev", Route::Refused),
            ("/foo/%zz", Route::Refused),
            ("/foo/%ff", Route::Refused),
        ] {
            assert_eq!(get(path), route, "{path}");
        }
    }

    #[test]
    fn methods_and_prefix_are_looked_at() {
        let of = |method: Method, path| Route::of(&method, path, None, "/cfg");
        assert_eq!(of(Method::POST, "/cfg/encrypt/a/b"), Route::Encrypt);
        assert_eq!(of(Method::POST, "/cfg/encrypt/a/b/c"), Route::WrongMethod { allow: "GET" });
        assert_eq!(of(Method::DELETE, "/cfg/foo/dev"), Route::WrongMethod { allow: "GET" });
        assert_eq!(of(Method::OPTIONS, "/cfg/foo/dev"), Route::Options);
        assert_eq!(of(Method::GET, "/foo/dev"), Route::Unknown);
        assert_eq!(of(Method::GET, "/actuator/health"), Route::Health);
    }
}
