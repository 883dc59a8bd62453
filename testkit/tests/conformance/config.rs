//! Requests to Spring Cloud Config Servers (`config/http`), replayed against the embedded one.
//!
//! `server.json` of a scenario says how the recorded server was started; ours is started alike. Compared are the
//! status, `Content-Type`, `Allow` and `Accept`, and the body byte for byte, but for the time stamp of errors.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use vernal_testkit::config_server::{Builder, ConfigServer};

use super::Outcome;

/// A recorded request.
#[derive(Debug)]
struct Recorded {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Option<String>,
    response: Value,
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

type Applies = fn(&Scenario, &Recorded) -> bool;

/// What the embedded server does not do, by what the request or the server's arguments say, with what will build it.
const NOT_BUILT: [(&str, Applies); 5] = [
    ("git and composite backends: no issue asks for them in the embedded server", |server, _| {
        server.arguments.iter().any(|(name, _)| name.contains(".server.git.") || name.contains(".server.composite["))
    }),
    ("key stores and RSA keys: the RSA issue", |server, _| {
        server.arguments.iter().any(|(name, value)| {
            name.starts_with("encrypt.key-store") || (name == "encrypt.key" && value.contains("RSA PRIVATE KEY"))
        })
    }),
    ("Spring Security's headers and session cookies: no issue asks for them", |server, _| {
        server.jar == "config-server-secure"
    }),
    ("webhook: no issue asks for it in the embedded server", |_, request| request.path.ends_with("/monitor")),
    ("server arguments that the embedded server does not have", |server, _| server.builder(Path::new("/")).is_err()),
];

/// How the recorded server was started.
#[derive(Debug)]
struct Scenario {
    jar: String,
    arguments: Vec<(String, String)>,
}

pub(crate) fn run(root: &Path) -> Outcome {
    let mut outcome = Outcome { family: "config/http", ..Outcome::default() };
    let mut scenarios: Vec<_> =
        std::fs::read_dir(root.join("http")).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    scenarios.sort();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let repos = copy.path().canonicalize().unwrap();
    copy_at_recorded_time(&root.join("repos"), &repos);
    for folder in scenarios {
        let scenario = Scenario::read(&folder);
        let mut server = None;
        for (case, request) in cases(&folder) {
            if let Some((reason, _)) = NOT_BUILT.iter().find(|(_, applies)| applies(&scenario, &request)) {
                *outcome.not_built.entry(reason).or_default() += 1;
                continue;
            }
            let server =
                server.get_or_insert_with(|| runtime.block_on(scenario.builder(&repos).unwrap().start()).unwrap());
            outcome.run += 1;
            match compare(server, &request, &repos) {
                Ok(deviation) => {
                    outcome.passed += 1;
                    if let Some(tag) = deviation {
                        *outcome.deviations.entry(tag).or_default() += 1;
                    }
                }
                Err(difference) => outcome.failures.push(format!("{case}: {difference}")),
            }
        }
        if let Some(server) = server {
            runtime.block_on(server.stop());
        }
    }
    outcome
}

/// Copies the repositories. Their files were as old as the year when they were recorded, which no checkout keeps.
fn copy_at_recorded_time(from: &Path, to: &Path) {
    const YEAR_2026: Duration = Duration::from_secs(1_767_225_600);
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).into_iter().flatten() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_at_recorded_time(&entry.path(), &target);
        } else {
            std::fs::write(&target, std::fs::read(entry.path()).unwrap()).unwrap();
            let file = std::fs::File::options().write(true).open(&target).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + YEAR_2026).unwrap();
        }
    }
}

fn cases(folder: &Path) -> Vec<(String, Recorded)> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.retain(|file| file.file_name().is_some_and(|name| name != "server.json"));
    files
        .iter()
        .map(|file| {
            let case: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
            let request = &case["request"];
            let headers = request["headers"].as_object().into_iter().flatten();
            let recorded = Recorded {
                method: request["method"].as_str().unwrap().to_owned(),
                path: request["path"].as_str().unwrap().to_owned(),
                headers: headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect(),
                body: request["body"].as_str().map(str::to_owned),
                response: case["response"].clone(),
            };
            (file.display().to_string(), recorded)
        })
        .collect()
}

impl Scenario {
    fn read(folder: &Path) -> Self {
        let server: Value = serde_json::from_slice(&std::fs::read(folder.join("server.json")).unwrap()).unwrap();
        let arguments = server["arguments"].as_array().unwrap().iter().map(|argument| {
            let (name, value) = argument.as_str().unwrap().trim_start_matches("--").split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        });
        Self { jar: server["jar"].as_str().unwrap().to_owned(), arguments: arguments.collect() }
    }

    /// The embedded server with the same arguments; the error is one that it does not know.
    fn builder(&self, repos: &Path) -> Result<Builder, String> {
        let repos = repos.to_str().unwrap();
        let mut locations = Vec::new();
        for (_, value) in self.arguments.iter().filter(|(name, _)| name.ends_with(".native.search-locations")) {
            locations.extend(value.split(',').map(|location| location.replace("file:${REPO}", repos)));
        }
        let mut locations = locations.iter();
        let first = locations.next().ok_or("no native location")?;
        let mut builder = locations.fold(ConfigServer::builder(first), Builder::location).working_dir(repos);
        for (name, value) in &self.arguments {
            let on = value == "true";
            let server = name.strip_prefix("spring.cloud.config.server.").unwrap_or(name);
            builder = match server {
                "spring.profiles.active" if value == "native" => builder,
                "native.search-locations" => builder,
                "encrypt.key" => builder.encrypt_key(value.as_str()),
                "encrypt.enabled" => builder.decrypt(on),
                "encrypt.prefix-invalid-properties" => builder.mark_invalid(on),
                "accept-empty" => builder.accept_empty(on),
                "prefix" => builder.prefix(value),
                "native.version" => builder.version(value),
                "native.default-label" => builder.default_label(value),
                "spring.web.error.include-message" => builder.error_messages(value == "always"),
                "reverse-location-order" => builder.reverse_locations(on),
                "strip-document-from-yaml" => builder.strip_document(on),
                // Without effect on the recorded server.
                "encrypt.plain-text-encrypt" | "spring.profiles.validate" | "server.error.include-message" => builder,
                other => match other.strip_prefix("overrides.") {
                    Some(key) => builder.set_override(key, value),
                    None => return Err(format!("argument `{name}`")),
                },
            };
        }
        Ok(builder)
    }
}

/// Replays a request; the tag of a deviation that the server's documentation lists, or what differs.
fn compare(server: &ConfigServer, request: &Recorded, repos: &Path) -> Result<Option<&'static str>, String> {
    let answer = send(server.address(), &request.method, &request.path, &request.headers, request.body.as_deref());
    let expected = &request.response;
    if expected["status"] != answer.status {
        return Err(format!("status {} instead of {}: {}", answer.status, expected["status"], answer.body));
    }
    let header = |name: &str| {
        let found = expected["headers"].as_array().into_iter().flatten().find(|header| header[0] == name);
        found.and_then(|header| header[1].as_str())
    };
    let content_type = header("Content-Type").unwrap_or_default();
    if content_type.starts_with("text/html") {
        let page = answer.header("content-type").is_some_and(|found| found.starts_with("text/html"));
        return if page && !answer.body.is_empty() { Ok(Some("D-HTML")) } else { Err("no HTML page".to_owned()) };
    }
    if answer.header("content-type").unwrap_or_default() != content_type {
        return Err(format!("content type {:?} instead of {content_type}", answer.header("content-type")));
    }
    for name in ["Allow", "Accept", "WWW-Authenticate", "Content-Disposition", "Last-Modified"] {
        // A time that the recorded server gave to a copy of the file.
        if header(name) == Some("${MTIME}") && answer.header(&name.to_lowercase()).is_some() {
            continue;
        }
        let items = |list: Option<&str>| {
            let mut items: Vec<_> = list.unwrap_or_default().split(',').map(|item| item.trim().to_owned()).collect();
            items.sort();
            items
        };
        let (found, wanted) = (items(answer.header(&name.to_lowercase())), items(header(name)));
        if found != wanted {
            return Err(format!("{name} is {found:?} instead of {wanted:?}"));
        }
    }
    if request.method == "HEAD" {
        return if answer.body.is_empty() { Ok(None) } else { Err("HEAD with a body".to_owned()) };
    }
    // Not every recorded body is text that JSON can hold.
    let bytes = expected["body_base64"].as_str().map(|text| STANDARD.decode(text).unwrap());
    let bytes = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let wanted = bytes.as_deref().or_else(|| expected["body"].as_str()).unwrap_or_default();
    if is_encryption(request) && answer.status == 200 {
        return compare_cipher_texts(server, &answer.body, wanted);
    }
    let wanted = wanted.replace("${REPO}", repos.to_str().unwrap());
    let found = mask_timestamp(&answer.body);
    if found == wanted {
        return Ok(None);
    }
    match (without_message(&found), without_message(&wanted)) {
        (Some(found), Some(wanted)) if found == wanted => Ok(Some("D-MSG")),
        _ if is_but_for_bytes(&found, &wanted) => Ok(Some("D-BINARY")),
        _ => Err(format!("\n  found  {found}\n  wanted {wanted}")),
    }
}

fn is_encryption(request: &Recorded) -> bool {
    request.method == "POST" && request.path.split('/').any(|segment| segment == "encrypt")
}

/// Two cipher texts differ in their random part; they must have the same form and decrypt to the same text.
fn compare_cipher_texts(server: &ConfigServer, found: &str, wanted: &str) -> Result<Option<&'static str>, String> {
    let headers = BTreeMap::from([("Content-Type".to_owned(), "text/plain".to_owned())]);
    let decrypted = |text: &str| send(server.address(), "POST", "/decrypt", &headers, Some(text));
    let (ours, theirs) = (decrypted(found), decrypted(wanted));
    let same_form = found.len() == wanted.len()
        && found.rsplit_once('}').map(|(pairs, _)| pairs) == wanted.rsplit_once('}').map(|(pairs, _)| pairs);
    if same_form && theirs.status == 200 && ours.body == theirs.body {
        return Ok(None);
    }
    Err(format!("{found} is not {wanted}"))
}

fn mask_timestamp(body: &str) -> String {
    let Some((before, rest)) = body.split_once("\"timestamp\":\"") else { return body.to_owned() };
    let Some((_, rest)) = rest.split_once('"') else { return body.to_owned() };
    format!("{before}\"timestamp\":\"${{TIMESTAMP}}\"{rest}")
}

/// Whether the texts are the same but for what Java makes of a byte array: `!!binary` and a block of base64 in YAML, the
/// array's hash in lines. Ours is the base64 itself.
fn is_but_for_bytes(found: &str, wanted: &str) -> bool {
    let (array, block) = ("[B@${HASH}", "!!binary |-\n  ");
    let lines = found.lines().count() == wanted.lines().count()
        && found.lines().zip(wanted.lines()).all(|(found, wanted)| match wanted.strip_suffix(array) {
            Some(key) => found.starts_with(key),
            None => found == wanted,
        });
    (wanted.contains(array) && lines) || (wanted.contains(block) && found == wanted.replace(block, ""))
}

/// An error body without its message, if it has one.
fn without_message(body: &str) -> Option<Value> {
    let mut body: Value = serde_json::from_str(body).ok()?;
    let message = body.as_object_mut()?.remove("message")?;
    (!message.as_str()?.is_empty()).then_some(body)
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Sends a request as it was recorded: a client library would tidy the path up.
fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &BTreeMap<String, String>,
    body: Option<&str>,
) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(format!("{head}\r\n{}", body.unwrap_or_default()).as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Answer { status, headers, body: body.to_owned() }
}
