//! A Spring Cloud Config Server over folders, on the loopback.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! # let folder = tempfile::tempdir()?;
//! # std::fs::write(folder.path().join("user-service.yml"), "greeting.message: hi")?;
//! use vernal_testkit::config_server::ConfigServer;
//!
//! let server = ConfigServer::builder(folder.path()).encrypt_key("secret").start().await?;
//! println!("curl {}/user-service/default", server.url());
//! server.stop().await;
//! # Ok(()) }
//! ```
//!
//! It answers as Spring Cloud Config Server 5.0.1 with its native backend does: `GET /{name}/{profiles}[/{label}]` in
//! the V1 and V2 media types with that server's order and names of property sources,
//! `GET /[{label}/]{name}-{profiles}.{yml,yaml,properties,json}` with placeholders resolved,
//! plain-text files below `/{name}/{profiles}/{label}/`, `POST /encrypt` and `/decrypt`,
//! `GET /encrypt/status`, `GET /key` (there is never a public one) and `GET /actuator/health`. `{cipher}`
//! values are decrypted. Files are read again for every request, so an edit is seen at once.
//!
//! # Where it differs from Spring
//!
//! | tag | difference |
//! |---|---|
//! | D-HTML | error pages for `Accept: text/html` and for paths that Tomcat refuses have their own text |
//! | D-MSG | the `message` of an error about a file or a body has its own text (only with [`Builder::error_messages`]) |
//! | D-FORMAT | plain-text files are read as UTF-8, whatever `Accept-Charset` and the request say |
//! | D-QUOTE | placeholders in `.json` are resolved before it is written; Java resolves the text, which is no JSON any more where a value has quotes |
//! | D-BINARY | a `!!binary` value is its text in base64; Java has a byte array, which `.yml` shows with its tag and `.properties` by its hash |
//! | D-CAP | more than 20,000 candidate files for one request, a body above 1 MiB or a file above 16 MiB is an error |

mod accept;
mod activation;
mod answer;
mod cipher;
mod document;
mod files;
mod formats;
mod journal;
mod plain;
mod profile;
mod resolve;
mod route;
mod tree;
mod xml;
mod yaml;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::net::TcpListener;
use vernal_commons::secret::Secret;
use vernal_commons::task::Task;
use vernal_config_client::cipher::CipherError;
use vernal_config_client::cipher::text::{self, DEFAULT_SALT, TextEncryptor};

pub use journal::Seen;

use answer::Call;
use files::Repository;
use journal::Journal;

/// A larger body is answered with 413.
const LARGEST_BODY: usize = 1 << 20;
/// How long a body may take to arrive.
const BODY_LIMIT: Duration = Duration::from_secs(10);
/// How long [`ConfigServer::stop`] waits for answers that are under way.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// A running config server. Dropping it closes it, too, but without waiting.
#[derive(Debug)]
pub struct ConfigServer {
    address: SocketAddr,
    prefix: String,
    inner: Arc<Inner>,
    router: Router,
    task: Task,
}

/// How a config server shall behave, before it runs.
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    port: u16,
    repository: Repository,
    key: Option<Secret>,
    salt: String,
    rules: Rules,
    routes: Router,
}

/// What does not depend on the files.
#[derive(Debug, Clone)]
struct Rules {
    prefix: String,
    overrides: BTreeMap<String, Secret>,
    decrypt: bool,
    mark_invalid: bool,
    accept_empty: bool,
    strip_document: bool,
    messages: bool,
    credentials: Option<(String, Secret)>,
}

#[derive(Debug)]
struct Inner {
    repository: Repository,
    encryptor: Option<Arc<dyn TextEncryptor>>,
    rules: Rules,
    journal: Journal,
}

// ===== impl ConfigServer =====

impl ConfigServer {
    /// A server over `folder`, with what else can be set before it starts.
    pub fn builder(folder: impl AsRef<Path>) -> Builder {
        let repository = Repository::default().location(&display(folder.as_ref()));
        Builder {
            port: 0,
            repository,
            key: None,
            salt: DEFAULT_SALT.to_owned(),
            rules: Rules {
                prefix: String::new(),
                overrides: BTreeMap::new(),
                decrypt: true,
                mark_invalid: true,
                accept_empty: true,
                strip_document: true,
                messages: false,
                credentials: None,
            },
            routes: Router::new(),
        }
    }

    /// The base URL for clients, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.prefix)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything it serves, for use without a socket.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// The requests seen so far, the latest 10,000 of them.
    #[must_use]
    pub fn journal(&self) -> Vec<Seen> {
        self.inner.journal.seen()
    }

    /// Forgets the requests seen so far.
    pub fn clear_journal(&self) {
        self.inner.journal.clear();
    }

    /// Closes it: waits up to 1 s for answers that are under way, then nothing listens any more.
    pub async fn stop(self) {
        self.task.stop(STOP_LIMIT).await;
    }
}

// ===== impl Builder =====

impl Builder {
    /// The port on the loopback; 0, the default, takes a free one.
    pub const fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// A further folder, which ranks above the ones before it. `{application}`, `{profile}` and `{label}` in it are
    /// replaced (`spring.cloud.config.server.native.search-locations`).
    pub fn location(mut self, folder: impl AsRef<Path>) -> Self {
        self.repository = self.repository.location(&display(folder.as_ref()));
        self
    }

    /// Where relative `file:` imports of the files start (default: the working directory of the process).
    pub fn working_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.repository = self.repository.working_dir(folder.into());
        self
    }

    /// The label of requests without one (default `master`, `..native.default-label`): the folder of that name ranks
    /// above the location that holds it.
    pub fn default_label(mut self, label: &str) -> Self {
        self.repository = self.repository.default_label(label);
        self
    }

    /// The `version` of every answer (default none, `..native.version`).
    pub fn version(mut self, version: &str) -> Self {
        self.repository = self.repository.version(version);
        self
    }

    /// The key of `{cipher}` values (default none: none can be decrypted, `encrypt.key`).
    pub fn encrypt_key(mut self, key: impl Into<Secret>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The salt that belongs to the key, in hexadecimal (default `deadbeef`, `encrypt.salt`).
    pub fn encrypt_salt(mut self, salt: &str) -> Self {
        self.salt = salt.to_owned();
        self
    }

    /// Whether values are decrypted before they are sent (default on, `..server.encrypt.enabled`).
    pub const fn decrypt(mut self, on: bool) -> Self {
        self.rules.decrypt = on;
        self
    }

    /// Whether a value that cannot be decrypted becomes `invalid.<key>` (default on,
    /// `..server.encrypt.prefix-invalid-properties`), or keeps its key without the mark `{cipher}`.
    pub const fn mark_invalid(mut self, on: bool) -> Self {
        self.rules.mark_invalid = on;
        self
    }

    /// A property above all files (`..server.overrides`). `\${` and `\{` lose their backslash.
    pub fn set_override(mut self, key: &str, value: &str) -> Self {
        let value = value.replace("\\${", "${").replace("\\{", "{");
        self.rules.overrides.insert(key.to_owned(), value.into());
        self
    }

    /// Whether an application without any property is answered with 200 (default on, `..server.accept-empty`), or
    /// with 404.
    pub const fn accept_empty(mut self, on: bool) -> Self {
        self.rules.accept_empty = on;
        self
    }

    /// Whether plain-text files are looked for in the last folder first (default off,
    /// `..server.reverse-location-order`).
    pub fn reverse_locations(mut self, on: bool) -> Self {
        self.repository = self.repository.reverse_locations(on);
        self
    }

    /// Whether `.yml` shows what a file that is no map holds without its key `document` (default on,
    /// `..server.strip-document-from-yaml`).
    pub const fn strip_document(mut self, on: bool) -> Self {
        self.rules.strip_document = on;
        self
    }

    /// What stands before all paths but `/actuator` (default nothing, `..server.prefix`), e.g. `/config`.
    pub fn prefix(mut self, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        self.rules.prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        self
    }

    /// Whether error bodies have a `message` (default off, `spring.web.error.include-message`).
    pub const fn error_messages(mut self, on: bool) -> Self {
        self.rules.messages = on;
        self
    }

    /// Asks for these credentials on everything but `/actuator/health`, as Spring Security does: without them 401, or
    /// a redirect to `/login` for clients that accept neither JSON nor `*/*`.
    pub fn basic_auth(mut self, user: &str, password: impl Into<Secret>) -> Self {
        self.rules.credentials = Some((user.to_owned(), password.into()));
        self
    }

    /// Further routes, which are looked at first. They are neither in the journal nor behind the credentials.
    pub fn routes(mut self, routes: Router) -> Self {
        self.routes = self.routes.merge(routes);
        self
    }

    /// Opens the port and serves.
    ///
    /// # Errors
    ///
    /// The port cannot be opened; `InvalidInput` for a key or salt that cannot be used.
    pub async fn start(self) -> io::Result<ConfigServer> {
        let encryptor = match &self.key {
            Some(key) => match text::encryptor(key, &self.salt) {
                // A blank key is no key.
                Err(CipherError::NoKey) => None,
                encryptor => Some(encryptor.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?),
            },
            None => None,
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await?;
        let address = listener.local_addr()?;
        let prefix = self.rules.prefix.clone();
        let inner =
            Arc::new(Inner { repository: self.repository, encryptor, rules: self.rules, journal: Journal::default() });
        let own = Router::new().fallback(serve).with_state(Arc::clone(&inner));
        let router = self.routes.fallback_service(own);
        let served = router.clone();
        let task = Task::spawn("config server", move |token| async move {
            let serving = axum::serve(listener, served).with_graceful_shutdown(token.cancelled_owned());
            if let Err(error) = serving.await {
                tracing::error!(error = &error as &dyn std::error::Error, "config server stopped serving");
            }
        });
        Ok(ConfigServer { address, prefix, inner, router, task })
    }
}

async fn serve(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let ticket = inner.journal.arrived(&parts);
    let call = Call::new(parts);
    let reading = axum::body::to_bytes(body, LARGEST_BODY);
    let answer = match tokio::time::timeout(BODY_LIMIT, reading).await {
        Ok(Ok(body)) => {
            let server = Arc::clone(&inner);
            // Files are read with blocking calls.
            match tokio::task::spawn_blocking(move || call.answer(&server, &body)).await {
                Ok(answer) => answer,
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "request could not be answered");
                    answer::empty(http::StatusCode::INTERNAL_SERVER_ERROR)
                }
            }
        }
        Ok(Err(_)) => answer::empty(http::StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => answer::empty(http::StatusCode::REQUEST_TIMEOUT),
    };
    inner.journal.answered(ticket, answer.status());
    answer.map(Body::from)
}

/// A folder as text with a slash at its end.
fn display(folder: &Path) -> String {
    let text = folder.to_string_lossy();
    if text.ends_with('/') { text.into_owned() } else { format!("{text}/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(url: &str) -> (u16, String) {
        let answer = reqwest::get(url).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[tokio::test]
    async fn an_edit_is_seen_by_the_next_request() {
        let folder = folder(&[("svc.yml", "k: old")]);
        let server = ConfigServer::builder(folder.path()).start().await.unwrap();
        let url = format!("{}/svc/default", server.url());
        assert!(get(&url).await.1.contains("\"k\":\"old\""));
        std::fs::write(folder.path().join("svc.yml"), "k: new").unwrap();
        assert!(get(&url).await.1.contains("\"k\":\"new\""));
        std::fs::write(folder.path().join("svc.yml"), "k: 1\nk: 2").unwrap();
        let (status, body) = get(&url).await;
        assert_eq!(status, 500);
        assert!(body.contains("\"path\":\"/svc/default\""), "{body}");
        let (time, _) = body.strip_prefix("{\"timestamp\":\"").unwrap().split_once('"').unwrap();
        assert!(time.ends_with('Z'), "Boot 4 writes UTC so: {time}");
        server.stop().await;
    }

    /// Asked of Spring Cloud Config Server 5.0.1, but for the quotes in JSON (D-QUOTE).
    #[tokio::test]
    async fn placeholders_are_resolved_in_the_text_and_in_json_in_the_values() {
        let folder = folder(&[("svc.yml", "q: 'a\"b'\nn: 5\nm: '${n} '\nt: '${n}'\nj: '${q}'\ne: '\\\\${n}'\n")]);
        let server = ConfigServer::builder(folder.path()).start().await.unwrap();
        let text = async |extension: &str| get(&format!("{}/svc-default.{extension}", server.url())).await.1;
        assert_eq!(text("yml").await, "q: a\"b\nn: 5\nm: '5 '\nt: 5\nj: a\"b\ne: ${n}\n");
        assert_eq!(text("properties").await, "q: a\"b\nn: 5\nm: 5 \nt: 5\nj: a\"b\ne: ${n}");
        assert_eq!(text("json").await, r#"{"q":"a\"b","n":5,"m":"5 ","t":"5","j":"a\"b","e":"\\${n}"}"#);
        server.stop().await;
    }

    #[tokio::test]
    async fn encrypted_values_are_sent_in_plain_and_kept_out_of_debug() {
        let text = "p: '{cipher}0c7649b1698b8df8337716a26eafba4a90499ea5df3eff8d8492abfe0fff978a'";
        let folder = folder(&[("svc.yml", text)]);
        let builder = ConfigServer::builder(folder.path()).encrypt_key("abcdefghijklmnopqrstuvwxyz0123456789");
        let server = builder.clone().start().await.unwrap();
        assert!(get(&format!("{}/svc/default", server.url())).await.1.contains("\"p\":\"1234\""));
        assert!(!format!("{builder:?} {server:?}").contains("abcdefgh"));
        let client = reqwest::Client::new();
        let post = |path: &str, body: String| {
            client.post(format!("{}{path}", server.url())).header("Content-Type", "text/plain").body(body).send()
        };
        let cipher_text = post("/encrypt", "hello".to_owned()).await.unwrap().text().await.unwrap();
        assert_eq!(cipher_text.len(), 64);
        assert_eq!(post("/decrypt", cipher_text).await.unwrap().text().await.unwrap(), "hello");
        assert_eq!(post("/encrypt", "x".repeat(LARGEST_BODY + 1)).await.unwrap().status(), 413);
    }

    #[tokio::test]
    async fn a_key_that_cannot_be_used_is_an_error_at_the_start() {
        let start = |key: &str| ConfigServer::builder("/nowhere").encrypt_key(key).start();
        assert_eq!(start("ssh-rsa AAAA").await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(start(" ").await.is_ok());
        let salted = ConfigServer::builder("/nowhere").encrypt_key("k").encrypt_salt("xyz").start();
        assert_eq!(salted.await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[tokio::test]
    async fn requests_are_kept_in_the_journal_without_showing_credentials() {
        let server = ConfigServer::builder("/nowhere").start().await.unwrap();
        let client = reqwest::Client::new();
        client.get(format!("{}/a/b?x=1", server.url())).header("X-Config-Token", "t0ken").send().await.unwrap();
        let journal = server.journal();
        assert_eq!((journal[0].method.as_str(), journal[0].path.as_str()), ("GET", "/a/b?x=1"));
        assert_eq!((journal[0].status, journal[0].header("x-config-token")), (Some(200), Some("t0ken")));
        assert!(!format!("{journal:?}").contains("t0ken"));
        server.clear_journal();
        assert!(server.journal().is_empty());
    }

    #[tokio::test]
    async fn credentials_are_asked_for_on_all_but_health() {
        let server = ConfigServer::builder("/nowhere").basic_auth("user", "p@ss").start().await.unwrap();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();
        let url = format!("{}/a/b", server.url());
        assert_eq!(status(client.get(&url)).await, 401);
        assert_eq!(status(client.get(&url).header("Accept", accept::V2)).await, 302);
        assert_eq!(status(client.get(&url).header("Authorization", "Basic !!!")).await, 401);
        assert_eq!(status(client.get(&url).basic_auth("user", Some("wrong"))).await, 401);
        assert_eq!(status(client.get(&url).basic_auth("user", Some("p@ss"))).await, 200);
        assert_eq!(status(client.get(format!("{}/actuator/health", server.url()))).await, 200);
    }

    #[tokio::test]
    async fn further_routes_come_first_and_the_prefix_does_not_touch_them() {
        let routes = Router::new().route("/hello", axum::routing::get(async || "hi"));
        let server = ConfigServer::builder("/nowhere").prefix("cfg/").routes(routes).start().await.unwrap();
        assert!(server.url().ends_with("/cfg"));
        assert_eq!(get(&format!("http://{}/hello", server.address())).await, (200, "hi".to_owned()));
        assert_eq!(get(&format!("{}/a/b", server.url())).await.0, 200);
        assert_eq!(get(&format!("http://{}/a/b", server.address())).await.0, 404);
        assert_eq!(get(&format!("{}/a-b.yml", server.url())).await, (200, "{}\n".to_owned()));
        assert_eq!(get(&format!("{}/a/b/c/d.txt", server.url())).await, (404, String::new()));
    }

    #[tokio::test]
    async fn a_dropped_or_stopped_server_listens_no_more() {
        let server = ConfigServer::builder("/nowhere").start().await.unwrap();
        let address = server.address();
        server.stop().await;
        let again = ConfigServer::builder("/nowhere").port(address.port()).start().await.unwrap();
        assert_eq!(again.address(), address);
        assert!(ConfigServer::builder("/nowhere").port(address.port()).start().await.is_err());
    }

    #[tokio::test]
    async fn a_file_that_is_too_large_is_an_error() {
        let folder = folder(&[]);
        let file = std::fs::File::create(folder.path().join("svc.yml")).unwrap();
        file.set_len(100 << 20).unwrap();
        let server = ConfigServer::builder(folder.path()).error_messages(true).start().await.unwrap();
        let (status, body) = get(&format!("{}/svc/default", server.url())).await;
        assert_eq!(status, 500);
        assert!(body.contains("has more than 16777216 bytes"), "{body}");
    }
}
