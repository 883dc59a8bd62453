//! Requests to a registry and what its answers mean, as pure functions.

use std::io::Read as _;

use base64::Engine as _;
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use vernal_commons::BoxError;
use vernal_commons::endpoints::Endpoint;
use vernal_commons::http::Body;

use crate::record::{InstanceRecord, InstanceStatus};
use crate::wire::json::{self, Application, DecodeError, Document};

/// One thing that a client asks of a registry.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Operation<'a> {
    /// Registers an instance, or replaces its record.
    Register(&'a InstanceRecord),
    /// Renews the lease (heartbeat).
    Renew(&'a InstanceRecord),
    /// Ends the lease.
    Cancel(&'a InstanceRecord),
    /// Overrides the status until [`ClearOverride`](Self::ClearOverride).
    Override(&'a InstanceRecord, InstanceStatus),
    /// Takes the override back.
    ClearOverride(&'a InstanceRecord),
    /// The whole registry.
    Full,
    /// The changes of the last minutes.
    Delta,
    /// The instances behind one virtual address.
    Vip(&'a str),
    /// The instances behind one secure virtual address.
    SecureVip(&'a str),
    /// The instances of one application.
    Application(&'a str),
    /// One instance, by application and id.
    Instance(&'a str, &'a str),
    /// The first instance with this id, whatever its application.
    AnyInstance(&'a str),
}

/// What every request of a client carries.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Identity {
    /// `DiscoveryIdentity-Id`: the client's address, if known.
    pub id: Option<String>,
    /// Whether compressed documents are asked for.
    pub gzip: bool,
}

/// An answer that has been read whole.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The body, decompressed.
    pub body: Bytes,
}

/// Why an answer is not what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The status means failure.
    #[error("status {0}")]
    Status(u16),
    /// The body is not what was asked for.
    #[error("body cannot be read")]
    Body(#[source] DecodeError),
    /// The document lists more instances than the client is willing to keep.
    #[error("document lists more than {0} instances")]
    TooMany(usize),
}

/// What a heartbeat brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// The lease lives on.
    Renewed,
    /// The server knows no such lease, or wants to see the record again.
    Unknown,
}

/// What may stand in a path segment as it is: RFC 3986's `pchar` without `;`, as Spring's `UriBuilder` writes it.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b'=');

// ===== impl Operation =====

impl Operation<'_> {
    /// What it is called in logs and errors.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Register(_) => "register",
            Self::Renew(_) => "heartbeat",
            Self::Cancel(_) => "deregister",
            Self::Override(..) | Self::ClearOverride(_) => "status override",
            Self::Full => "full fetch",
            Self::Delta => "delta fetch",
            Self::Vip(_) | Self::SecureVip(_) | Self::Application(_) | Self::Instance(..) | Self::AnyInstance(_) => {
                "look-up"
            }
        }
    }

    /// The HTTP method.
    #[must_use]
    pub const fn method(&self) -> Method {
        match self {
            Self::Register(_) => Method::POST,
            Self::Renew(_) | Self::Override(..) => Method::PUT,
            Self::Cancel(_) | Self::ClearOverride(_) => Method::DELETE,
            Self::Full
            | Self::Delta
            | Self::Vip(_)
            | Self::SecureVip(_)
            | Self::Application(_)
            | Self::Instance(..)
            | Self::AnyInstance(_) => Method::GET,
        }
    }

    /// Path and query below the service URL, beginning with `/`. Java asks for the whole registry with a slash at the
    /// end (recorded: `scenarios/client-java-tuned`).
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::Register(record) => format!("/apps/{}", segment(&record.app.to_uppercase())),
            Self::Renew(record) => {
                let dirty = record.last_dirty_timestamp.map(|millis| format!("&lastDirtyTimestamp={millis}"));
                format!("{}?status={}{}", lease(record), record.status, dirty.unwrap_or_default())
            }
            Self::Cancel(record) => lease(record),
            Self::Override(record, status) => {
                let dirty = record.last_dirty_timestamp.map(|millis| format!("&lastDirtyTimestamp={millis}"));
                format!("{}/status?value={status}{}", lease(record), dirty.unwrap_or_default())
            }
            Self::ClearOverride(record) => {
                let dirty = record.last_dirty_timestamp.map(|millis| format!("?lastDirtyTimestamp={millis}"));
                format!("{}/status{}", lease(record), dirty.unwrap_or_default())
            }
            Self::Full => "/apps/".to_owned(),
            Self::Delta => "/apps/delta".to_owned(),
            Self::Vip(vip) => format!("/vips/{}", segment(vip)),
            Self::SecureVip(vip) => format!("/svips/{}", segment(vip)),
            Self::AnyInstance(id) => format!("/instances/{}", segment(id)),
            Self::Application(app) => format!("/apps/{}", segment(&app.to_uppercase())),
            Self::Instance(app, id) => format!("/apps/{}/{}", segment(&app.to_uppercase()), segment(id)),
        }
    }

    /// The request to the server at `endpoint`.
    ///
    /// # Errors
    ///
    /// If the URL cannot be written, for example because of a host that HTTP does not allow.
    pub fn request(&self, endpoint: &Endpoint, identity: &Identity) -> Result<Request<Body>, http::Error> {
        let json = HeaderValue::from_static("application/json");
        let mut request = Request::builder()
            .method(self.method())
            .uri(format!("{}{}", endpoint.url(), self.path()))
            .header(ACCEPT, json.clone())
            .header(CONTENT_TYPE, json)
            .header("DiscoveryIdentity-Name", "DefaultClient")
            .header("DiscoveryIdentity-Version", "1.4")
            .header("X-Discovery-AllowRedirect", "false");
        if let Some(id) = &identity.id {
            request = request.header("DiscoveryIdentity-Id", id.as_str());
        }
        if identity.gzip && self.method() == Method::GET {
            request = request.header(ACCEPT_ENCODING, "gzip");
        }
        if let Some(credentials) = endpoint.credentials() {
            request = request.header(AUTHORIZATION, basic(&credentials.username, credentials.password.expose())?);
        }
        request.body(match self {
            Self::Register(record) => Body::from(json::encode_registration(record)),
            _ => Body::empty(),
        })
    }

    /// Whether an answer with this status ends the search for a server that can answer
    /// (`ServerStatusEvaluators`): it need not mean success.
    #[must_use]
    pub const fn settles(&self, status: u16) -> bool {
        match (self, status) {
            (_, 200..=299) | (Self::Cancel(_), _) => true,
            (Self::Renew(_) | Self::Application(_) | Self::Instance(..) | Self::AnyInstance(_), 404)
            | (Self::Delta, 403 | 404) => true,
            // The record itself is at fault; every server would say so.
            (Self::Register(_), 400) => true,
            _ => false,
        }
    }
}

fn lease(record: &InstanceRecord) -> String {
    format!("/apps/{}/{}", segment(&record.app.to_uppercase()), segment(&record.instance_id))
}

fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

fn basic(username: &str, password: &str) -> Result<HeaderValue, http::Error> {
    let token = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    let mut value = HeaderValue::try_from(format!("Basic {token}"))?;
    value.set_sensitive(true);
    Ok(value)
}

// ===== impl Identity =====

impl Identity {
    /// A client at address `id`.
    #[must_use]
    pub fn new(id: Option<String>, gzip: bool) -> Self {
        Self { id, gzip }
    }
}

// ===== impl Reply =====

impl Reply {
    /// An answer with its body as received; decompressed if its headers say that it is compressed.
    ///
    /// # Errors
    ///
    /// If the body does not decompress, or to more than `limit` bytes, or is compressed in a way that was not asked
    /// for.
    pub fn new(status: u16, headers: &HeaderMap, body: Bytes, limit: usize) -> Result<Self, BoxError> {
        let body = match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
            None | Some(b"" | b"identity") => body,
            Some(b"gzip" | b"x-gzip") if body.is_empty() => body,
            Some(b"gzip" | b"x-gzip") => gunzip(&body, limit)?,
            Some(_) => return Err("body is compressed in a way that was not asked for".into()),
        };
        Ok(Self { status, body })
    }

    /// An answer of which only the status counts.
    #[must_use]
    pub const fn empty(status: u16) -> Self {
        Self { status, body: Bytes::new() }
    }

    /// Whether a registration was taken. Java takes only 204; other servers say 200.
    ///
    /// # Errors
    ///
    /// Any status but 2xx.
    pub fn registered(&self) -> Result<(), ReplyError> {
        self.succeeded()
    }

    /// What a heartbeat brought. The status alone decides: the body of a 404 is empty, JSON, XML or HTML, depending
    /// on who wrote it (discovery.md 1.4).
    ///
    /// # Errors
    ///
    /// Any status but 2xx and 404.
    pub fn renewed(&self) -> Result<Renewal, ReplyError> {
        match self.status {
            404 => Ok(Renewal::Unknown),
            _ => self.succeeded().map(|()| Renewal::Renewed),
        }
    }

    /// Whether the lease is gone: 404 says so as well.
    ///
    /// # Errors
    ///
    /// Any status but 2xx and 404.
    pub fn cancelled(&self) -> Result<(), ReplyError> {
        if self.status == 404 { Ok(()) } else { self.succeeded() }
    }

    /// Whether a status override was taken.
    ///
    /// # Errors
    ///
    /// Any status but 2xx.
    pub fn overridden(&self) -> Result<(), ReplyError> {
        self.succeeded()
    }

    /// The whole registry, or what a virtual address gives.
    ///
    /// # Errors
    ///
    /// Any status but 2xx, a body that is no registry, or one with more than `most` instances.
    pub fn full(&self, most: usize) -> Result<Document, ReplyError> {
        self.succeeded()?;
        let document = json::decode_applications(&self.body).map_err(ReplyError::Body)?;
        let count: usize = document.applications.iter().map(|application| application.instances.len()).sum();
        if count > most { Err(ReplyError::TooMany(most)) } else { Ok(document) }
    }

    /// A delta, or `None` if a full document must be asked for: deltas are off (403, 404), or the body is empty.
    ///
    /// # Errors
    ///
    /// As [`full`](Self::full).
    pub fn delta(&self, most: usize) -> Result<Option<Document>, ReplyError> {
        match self.status {
            403 | 404 => Ok(None),
            _ => match self.full(most) {
                Err(ReplyError::Body(DecodeError::Empty)) => Ok(None),
                other => other.map(Some),
            },
        }
    }

    /// One application, or `None` if the server has none of that name.
    ///
    /// # Errors
    ///
    /// Any status but 2xx and 404, or a body that is no application.
    pub fn application(&self) -> Result<Option<Application>, ReplyError> {
        if self.status == 404 {
            return Ok(None);
        }
        self.succeeded()?;
        json::decode_application(&self.body).map(Some).map_err(ReplyError::Body)
    }

    /// One instance, or `None` if the server has no such lease.
    ///
    /// # Errors
    ///
    /// Any status but 2xx and 404, or a body that is no instance.
    pub fn instance(&self) -> Result<Option<InstanceRecord>, ReplyError> {
        if self.status == 404 {
            return Ok(None);
        }
        self.succeeded()?;
        json::decode_instance(&self.body).map(Some).map_err(ReplyError::Body)
    }

    /// The beginning of the body if it is short plain text, as the server's validation writes it.
    #[must_use]
    pub fn text(&self) -> String {
        let text = std::str::from_utf8(&self.body).unwrap_or_default().trim();
        if text.starts_with(['<', '{', '[']) || text.len() > 200 || text.chars().any(char::is_control) {
            return String::new();
        }
        text.to_owned()
    }

    fn succeeded(&self) -> Result<(), ReplyError> {
        match self.status {
            200..=299 => Ok(()),
            status => Err(ReplyError::Status(status)),
        }
    }
}

fn gunzip(body: &[u8], limit: usize) -> Result<Bytes, BoxError> {
    let mut plain = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    flate2::read::MultiGzDecoder::new(body).take(most.saturating_add(1)).read_to_end(&mut plain)?;
    if plain.len() > limit {
        return Err(format!("body is larger than {limit} bytes when decompressed").into());
    }
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn record() -> InstanceRecord {
        let mut record = InstanceRecord::new("orders", "h", 8080);
        record.instance_id = "a b?c#d:8080".to_owned();
        record.last_dirty_timestamp = Some(7);
        record
    }

    #[test]
    fn ids_are_one_escaped_segment() {
        assert_eq!(
            Operation::Renew(&record()).path(),
            "/apps/ORDERS/a%20b%3Fc%23d:8080?status=UP&lastDirtyTimestamp=7"
        );
        assert_eq!(Operation::Instance("a.b c", "größe/1").path(), "/apps/A.B%20C/gr%C3%B6%C3%9Fe%2F1");
    }

    #[test]
    fn credentials_leave_the_url_for_a_header() {
        let endpoint = Endpoint::parse("http://eve:p%40ss:w0rd@reg:8761/eureka").unwrap();
        let request = Operation::Full.request(&endpoint, &Identity::new(Some("10.0.0.7".into()), true)).unwrap();
        assert_eq!(request.uri(), "http://reg:8761/eureka/apps/");
        // base64 of `eve:p@ss:w0rd`
        assert_eq!(request.headers()[AUTHORIZATION], "Basic ZXZlOnBAc3M6dzByZA==");
        assert!(!format!("{request:?}").contains("ZXZl"));
        assert_eq!(request.headers()["DiscoveryIdentity-Id"], "10.0.0.7");
        assert!(!request.headers().contains_key("x-netflix-discovery-replication"));
    }

    #[test]
    fn a_compressed_body_is_read_up_to_its_limit() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&[b'x'; 1000]).unwrap();
        let bytes = Bytes::from(gzip.finish().unwrap());
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
        assert_eq!(Reply::new(200, &headers, bytes.clone(), 1000).unwrap().body.len(), 1000);
        assert!(Reply::new(200, &headers, bytes.clone(), 999).is_err());
        assert!(Reply::new(200, &headers, bytes.slice(..bytes.len() - 9), 1000).is_err());
    }

    #[test]
    fn an_empty_delta_asks_for_a_full_document() {
        let reply = |status, body: &'static str| Reply { status, body: Bytes::from_static(body.as_bytes()) };
        assert!(reply(200, "").delta(9).unwrap().is_none());
        assert!(reply(403, "x").delta(9).unwrap().is_none());
        assert!(reply(200, "<html>").delta(9).is_err());
        assert!(reply(200, "").full(9).is_err());
        assert!(reply(500, "").delta(9).is_err());
    }

    #[test]
    fn documents_beyond_the_cap_are_refused() {
        let body = br#"{"applications":{"application":[{"name":"A","instance":[{"hostName":"1"},{"hostName":"2"}]}]}}"#;
        let reply = Reply { status: 200, body: Bytes::from_static(body) };
        assert!(matches!(reply.full(1), Err(ReplyError::TooMany(1))));
        assert_eq!(reply.full(2).unwrap().applications.len(), 1);
    }
}
