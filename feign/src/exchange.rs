//! The exchange that an error tells of: what was asked, and what the answer was.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::response::Parts;
use http::{Extensions, HeaderMap, Method, StatusCode, Version};

/// The request that failed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RequestContext {
    /// Feign's config key: `OrderClient#order(Long)`.
    pub method_key: Arc<str>,
    /// The verb.
    pub method: Method,
    /// The URL with the service's name; secrets are hidden.
    pub url: String,
}

/// A response that is not a success, with its whole body (up to the limit).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ErrorResponse {
    /// Status code.
    pub status: StatusCode,
    /// HTTP version.
    pub version: Version,
    /// The reason phrase of the status line; `None` if it has none.
    pub reason: Option<Cow<'static, str>>,
    /// Headers in wire order.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl ErrorResponse {
    pub(crate) fn of(head: &Parts, body: Bytes) -> Self {
        Self {
            status: head.status,
            version: head.version,
            reason: reason(head.version, head.status, &head.extensions),
            headers: head.headers.clone(),
            body,
        }
    }
}

/// The reason phrase. hyper keeps it only when it is not the canonical one; a status line without phrase has an
/// empty one.
pub(crate) fn reason(version: Version, status: StatusCode, extensions: &Extensions) -> Option<Cow<'static, str>> {
    if version > Version::HTTP_11 {
        return None;
    }
    match extensions.get::<hyper::ext::ReasonPhrase>() {
        Some(phrase) if phrase.as_bytes().is_empty() => None,
        Some(phrase) => Some(String::from_utf8_lossy(phrase.as_bytes()).into_owned().into()),
        None => status.canonical_reason().map(Cow::Borrowed),
    }
}
