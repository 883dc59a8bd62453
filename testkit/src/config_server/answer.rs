//! One request to one answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    ACCEPT, ALLOW, AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName, HeaderValue, IF_MODIFIED_SINCE,
    LAST_MODIFIED, LOCATION, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{Response, StatusCode};
use vernal_commons::clock;
use vernal_config_client::source::{Property, PropertySource};
use vernal_config_client::value::{Origin, Value, write_json_text};

use super::Inner;
use super::accept::{Accept, BYTES, Format, JSON};
use super::cipher::{self, Reply};
use super::document::Environment;
use super::files::Failure;
use super::formats;
use super::resolve::{self, Escape};
use super::route::{Route, TextFormat};
use super::tree::{self, NoTree};

const TEXT: &str = "text/plain;charset=UTF-8";
const ACTUATOR: &str = "application/vnd.spring-boot.actuator.v3+json";

/// Extensions that Spring MVC lets through as they are.
const HARMLESS: [&str; 17] = [
    "txt",
    "text",
    "yml",
    "yaml",
    "properties",
    "csv",
    "json",
    "xml",
    "atom",
    "rss",
    "png",
    "jpe",
    "jpeg",
    "jpg",
    "gif",
    "wbmp",
    "bmp",
];

/// A request with what its `Accept` means.
#[derive(Debug)]
pub(super) struct Call {
    parts: Parts,
    accept: Accept,
}

pub(super) fn empty(status: StatusCode) -> Response<Bytes> {
    with_body(status, None, Bytes::new())
}

fn with_body(status: StatusCode, content_type: Option<&str>, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    if let Some(content_type) = content_type.and_then(|text| HeaderValue::from_str(text).ok()) {
        answer.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    answer
}

fn is_invalid(name: &str, label: Option<&str>) -> bool {
    [Some(name), label].into_iter().flatten().any(|text| text.contains("..") || text.contains('#'))
}

/// `resolvePlaceholders`, by default true; none if it is no boolean.
fn resolves(query: Option<&str>) -> Option<bool> {
    let mut pairs = query.unwrap_or_default().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    match pairs.find(|(name, _)| *name == "resolvePlaceholders").map(|(_, value)| value.to_ascii_lowercase()).as_deref()
    {
        None | Some("" | "true" | "on" | "yes" | "1") => Some(true),
        Some("false" | "off" | "no" | "0") => Some(false),
        Some(_) => None,
    }
}

impl Call {
    pub(super) fn new(parts: Parts) -> Self {
        let lines: Vec<_> = parts.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        let accept = Accept::parse((!lines.is_empty()).then(|| lines.join(", ")).as_deref());
        Self { parts, accept }
    }

    pub(super) fn answer(&self, server: &Inner, body: &[u8]) -> Response<Bytes> {
        let uri = &self.parts.uri;
        let route = Route::of(&self.parts.method, uri.path(), uri.query(), &server.rules.prefix);
        if !matches!(route, Route::Health | Route::Refused) && !self.is_allowed(server) {
            return self.unauthorized();
        }
        let encryptor = server.encryptor.as_deref();
        match route {
            Route::Environment { name, profiles, label } => {
                self.environment(server, &name, &profiles, label.as_deref())
            }
            Route::Encrypt => self.reply(server, cipher::encrypt_body(body, self.header(CONTENT_TYPE), encryptor)),
            Route::Decrypt => self.reply(server, cipher::decrypt_body(body, self.header(CONTENT_TYPE), encryptor)),
            Route::EncryptStatus => match cipher::status(encryptor) {
                Ok(()) => with_body(StatusCode::OK, Some(JSON), "{\"status\":\"OK\"}"),
                Err(reply) => self.reply(server, reply),
            },
            Route::PublicKey => {
                self.reply(server, Reply::Failure(StatusCode::NOT_FOUND, "NOT_FOUND", "No public key available"))
            }
            Route::Health => {
                with_body(StatusCode::OK, Some(ACTUATOR), "{\"groups\":[\"liveness\",\"readiness\"],\"status\":\"UP\"}")
            }
            Route::Options => {
                let mut answer = empty(StatusCode::OK);
                answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET,HEAD,OPTIONS"));
                answer.headers_mut().insert(HeaderName::from_static("accept-patch"), HeaderValue::from_static(""));
                answer
            }
            Route::WrongMethod { allow } => {
                let message = format!("Method '{}' is not supported.", self.parts.method);
                let mut answer = self.error(server, StatusCode::METHOD_NOT_ALLOWED, &message);
                answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
                answer
            }
            Route::Formatted { name, profiles, label, format } => {
                self.formatted(server, &name, &profiles, label.as_deref(), format)
            }
            Route::File { name, profiles, label, path } => self.file(server, &name, &profiles, label.as_deref(), &path),
            Route::Unknown => {
                let message = format!("No static resource {}.", uri.path().trim_start_matches('/'));
                self.error(server, StatusCode::NOT_FOUND, &message)
            }
            Route::Refused => {
                let page =
                    "<!doctype html><html lang=\"en\"><head><title>400</title></head><body>bad path</body></html>";
                with_body(StatusCode::BAD_REQUEST, Some("text/html;charset=utf-8"), page)
            }
        }
    }

    fn environment(&self, server: &Inner, name: &str, profiles: &str, label: Option<&str>) -> Response<Bytes> {
        let Some((format, charset)) = self.accept.format() else {
            let message = format!("Acceptable representations: [{}, {JSON}].", Format::V2.media_type());
            let mut answer = self.error(server, StatusCode::NOT_ACCEPTABLE, &message);
            let types =
                HeaderValue::from_static("application/json, application/vnd.spring-cloud.config-server.v2+json");
            answer.headers_mut().insert(ACCEPT, types);
            return answer;
        };
        if is_invalid(name, label) {
            return self.error(server, StatusCode::BAD_REQUEST, "Invalid Request");
        }
        // Jackson writes UTF-8 and fails on anything else, after the status was chosen.
        if charset.is_some_and(|charset| !charset.eq_ignore_ascii_case("utf-8")) {
            return empty(StatusCode::INTERNAL_SERVER_ERROR);
        }
        let sources = match self.sources(server, name, profiles, label, format == Format::V2) {
            Ok(sources) => sources,
            Err(answer) => return *answer,
        };
        if sources.is_empty() && !server.rules.accept_empty {
            return self.error(server, StatusCode::NOT_FOUND, "Application Not Found");
        }
        let version = server.repository.configured_version();
        let document = Environment { name, profiles, label, version, sources };
        let charset = charset.map_or_else(String::new, |charset| format!(";charset={charset}"));
        let answer =
            with_body(StatusCode::OK, Some(&format!("{}{charset}", format.media_type())), document.to_json(format));
        self.named_harmlessly(answer)
    }

    /// A path that ends like a file which a browser might run gets another name, by which it is saved.
    fn named_harmlessly(&self, mut answer: Response<Bytes>) -> Response<Bytes> {
        let file = self.parts.uri.path().rsplit('/').next().unwrap_or_default();
        let file = file.split(';').next().unwrap_or_default();
        let harmless = file.rsplit_once('.').is_none_or(|(_, extension)| {
            extension.is_empty() || HARMLESS.contains(&extension.to_ascii_lowercase().as_str())
        });
        if !harmless && !answer.body().is_empty() {
            answer.headers_mut().insert(CONTENT_DISPOSITION, HeaderValue::from_static("inline;filename=f.txt"));
        }
        answer
    }

    /// An alternative format (config.md 1.6). What the client accepts does not matter.
    fn formatted(
        &self,
        server: &Inner,
        name: &str,
        profiles: &str,
        label: Option<&str>,
        format: TextFormat,
    ) -> Response<Bytes> {
        let bad_request = |message: &str| self.error(server, StatusCode::BAD_REQUEST, message);
        if is_invalid(name, label) {
            return bad_request("Invalid Request");
        }
        let Some(resolves) = resolves(self.parts.uri.query()) else {
            return bad_request("`resolvePlaceholders` must be true or false");
        };
        let sources = match self.sources(server, name, profiles, label, false) {
            Ok(sources) => sources,
            Err(answer) => return *answer,
        };
        if sources.is_empty() && !server.rules.accept_empty {
            return self.error(server, StatusCode::NOT_FOUND, "Application Not Found");
        }
        let mut properties = tree::flatten(&sources);
        // Java resolves what it has written, which breaks JSON where a value has quotes: there each value is resolved.
        let is_json = format == TextFormat::Json;
        for value in properties.values_mut().filter(|_| resolves && is_json) {
            if let Some(text) = value.as_str() {
                *value = Value::from(resolve::resolve(text, &sources, Escape::One));
            }
        }
        let (media_type, text) = match formats::write(&properties, format, server.rules.strip_document) {
            Ok(written) => written,
            Err(NoTree::InvalidKey(key)) => return bad_request(&format!("Invalid key: {key}")),
            Err(NoTree::Conflict(key)) => {
                let message = format!("`{key}` cannot be both a value and a list");
                return self.error(server, StatusCode::INTERNAL_SERVER_ERROR, &message);
            }
        };
        let text = match resolves && !is_json {
            true => resolve::resolve(&text, &sources, Escape::OneOrTwo),
            false => text,
        };
        with_body(StatusCode::OK, Some(media_type), text)
    }

    /// A plain-text file (config.md 1.7): with placeholders resolved, or the bytes for who asks for them.
    fn file(
        &self,
        server: &Inner,
        name: &str,
        profiles: &str,
        label: Option<&str>,
        path: &[String],
    ) -> Response<Bytes> {
        let found = match server.repository.plain_file(name, profiles, label, path) {
            Ok(Some(found)) => found,
            Ok(None) => return empty(StatusCode::NOT_FOUND),
            Err(Failure(reason)) => return self.error(server, StatusCode::INTERNAL_SERVER_ERROR, &reason),
        };
        let Some(resolves) = resolves(self.parts.uri.query()) else {
            return self.error(server, StatusCode::BAD_REQUEST, "`resolvePlaceholders` must be true or false");
        };
        let known = self.header(IF_MODIFIED_SINCE).and_then(|text| httpdate::parse_http_date(text).ok());
        let modified = found.modified.map(httpdate::fmt_http_date);
        // Dates of HTTP know no parts of seconds.
        let unchanged = modified.as_deref().and_then(|text| httpdate::parse_http_date(text).ok()) <= known;
        let media_type = self.accept.file_type();
        let mut answer = if known.is_some() && modified.is_some() && unchanged {
            empty(StatusCode::NOT_MODIFIED)
        } else if media_type == BYTES {
            with_body(StatusCode::OK, Some(&media_type), found.bytes)
        } else {
            let mut text = String::from_utf8_lossy(&found.bytes).into_owned();
            if resolves {
                text = match self.sources(server, name, profiles, label, false) {
                    Ok(sources) => resolve::resolve(&text, &sources, Escape::OneOrTwo),
                    Err(answer) => return *answer,
                };
            }
            // JSON is UTF-8 without saying so.
            let is_json = media_type == JSON || media_type.ends_with("+json");
            let charset = if is_json { "" } else { ";charset=UTF-8" };
            with_body(StatusCode::OK, Some(&format!("{media_type}{charset}")), text)
        };
        if let Some(modified) = modified.and_then(|text| HeaderValue::try_from(text).ok()) {
            answer.headers_mut().insert(LAST_MODIFIED, modified);
        }
        self.named_harmlessly(answer)
    }

    /// What the repository has, decrypted and with the overrides on top, or the answer that says why not.
    fn sources(
        &self,
        server: &Inner,
        name: &str,
        profiles: &str,
        label: Option<&str>,
        origins: bool,
    ) -> Result<Vec<PropertySource>, Box<Response<Bytes>>> {
        let mut sources = match server.repository.sources(name, profiles, label) {
            Ok(sources) => sources,
            Err(Failure(reason)) => {
                tracing::warn!(name, profiles, label, reason, "configuration cannot be read");
                let message = format!(
                    "Could not construct context for config={name} profile={profiles} label={} \
                     includeOrigin={origins}; nested exception is {reason}",
                    label.unwrap_or("null"),
                );
                return Err(Box::new(self.error(server, StatusCode::INTERNAL_SERVER_ERROR, &message)));
            }
        };
        if server.rules.decrypt {
            let decrypt =
                |source| cipher::decrypt_source(source, server.encryptor.as_deref(), server.rules.mark_invalid);
            sources = sources.into_iter().map(decrypt).collect();
        }
        if !server.rules.overrides.is_empty() {
            let origin = Origin::server("overrides", "Config server overrides");
            let overrides = server.rules.overrides.iter();
            let overrides =
                overrides.map(|(key, text)| (key.as_str(), Property::new(text.expose(), Some(origin.clone()))));
            sources.insert(0, PropertySource::with_properties("overrides", overrides));
        }
        Ok(sources)
    }

    fn reply(&self, server: &Inner, reply: Reply) -> Response<Bytes> {
        match reply {
            Reply::Text(text) => with_body(StatusCode::OK, Some(TEXT), text.expose().to_owned()),
            // The controller's own errors are JSON and nothing else.
            Reply::Failure(..) if self.accept.text_only() => empty(StatusCode::INTERNAL_SERVER_ERROR),
            Reply::Failure(status, name, description) => {
                let body = format!("{{\"description\":\"{description}\",\"status\":\"{name}\"}}");
                with_body(status, Some(JSON), body)
            }
            Reply::Error(status, message) => self.error(server, status, message),
        }
    }

    /// Boot's error body, in the JSON type that the client accepts; without one there is no body.
    fn error(&self, server: &Inner, status: StatusCode, message: &str) -> Response<Bytes> {
        if self.accept.html() {
            let page = format!(
                "<!doctype html><html lang=\"en\"><head><title>{0}</title></head><body>{0}</body></html>",
                status.as_u16()
            );
            return with_body(status, Some("text/html;charset=UTF-8"), page);
        }
        let Some(content_type) = self.accept.error_type() else { return empty(status) };
        let mut body = format!(
            "{{\"timestamp\":\"{}\",\"status\":{},\"error\":\"{}\"",
            clock::iso_millis_z(clock::now_millis()),
            status.as_u16(),
            status.canonical_reason().unwrap_or_default()
        );
        if server.rules.messages {
            body.push_str(",\"message\":");
            write_json_text(message, &mut body);
        }
        body.push_str(",\"path\":");
        write_json_text(self.parts.uri.path(), &mut body);
        body.push('}');
        self.named_harmlessly(with_body(status, Some(&content_type), body))
    }

    fn header(&self, name: HeaderName) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    fn is_allowed(&self, server: &Inner) -> bool {
        let Some((user, password)) = &server.rules.credentials else { return true };
        self.header(AUTHORIZATION)
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
            .and_then(|(_, encoded)| STANDARD.decode(encoded.trim()).ok())
            .is_some_and(|given| given == format!("{user}:{}", password.expose()).into_bytes())
    }

    /// Clients that accept neither JSON nor everything are sent to a login page (Spring Security's defaults).
    fn unauthorized(&self) -> Response<Bytes> {
        let script = self.header(HeaderName::from_static("x-requested-with")) == Some("XMLHttpRequest");
        if self.accept.json_or_all() || script {
            let mut answer = empty(StatusCode::UNAUTHORIZED);
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Realm\""));
            return answer;
        }
        let host = self.header(http::header::HOST).unwrap_or("localhost");
        let mut answer = empty(StatusCode::FOUND);
        if let Ok(login) = HeaderValue::from_str(&format!("http://{host}/login")) {
            answer.headers_mut().insert(LOCATION, login);
        }
        answer
    }
}
