//! Interceptors: code of the application that sees every attempt's request.

use async_trait::async_trait;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Uri};
use vernal_commons::BoxError;

use crate::encode::{self, Keep};
use crate::meta::{ClientMeta, MethodMeta};

/// Changes requests before they are sent (Feign's `RequestInterceptor`).
///
/// Every attempt gets a fresh copy of the request, so that what an interceptor adds does not pile up (in Feign it
/// does). They run in the order in which they were registered, those of the client after those of the context.
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no interceptor: implement `vernal_feign::Interceptor` for it",
    note = "the trait is made with `#[async_trait]`, which the impl needs too"
)]
pub trait Interceptor: Send + Sync + 'static {
    /// Changes `request`.
    ///
    /// # Errors
    ///
    /// An error ends the call with [`ErrorKind::Interceptor`](crate::ErrorKind::Interceptor); nothing is sent.
    async fn intercept(&self, request: &mut Outgoing<'_>) -> Result<(), BoxError>;
}

/// A request on its way out, with the service's name as host.
#[derive(Debug)]
pub struct Outgoing<'a> {
    parts: &'a mut Parts,
    client: &'a ClientMeta,
    method: &'a MethodMeta,
}

impl<'a> Outgoing<'a> {
    pub(crate) fn new(parts: &'a mut Parts, client: &'a ClientMeta, method: &'a MethodMeta) -> Self {
        Self { parts, client, method }
    }

    /// The verb.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The URI.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.parts.uri
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The headers, to change them.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.parts.headers
    }

    /// The client's description.
    #[must_use]
    pub fn client(&self) -> &ClientMeta {
        self.client
    }

    /// The method's description.
    #[must_use]
    pub fn method_meta(&self) -> &MethodMeta {
        self.method
    }

    /// Adds a query pair; both are percent-encoded.
    ///
    /// # Errors
    ///
    /// If the URI becomes too long.
    pub fn append_query(&mut self, name: &str, value: &str) -> Result<(), BoxError> {
        let mut pair = Vec::new();
        encode::push(&mut pair, name, Keep::Unreserved);
        pair.push(b'=');
        encode::push(&mut pair, value, Keep::Unreserved);
        append_encoded(self.parts, &pair)
    }
}

/// Adds query pairs that are encoded already.
pub(crate) fn append_encoded(parts: &mut Parts, pair: &[u8]) -> Result<(), BoxError> {
    let old = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let mut new = Vec::with_capacity(old.len() + 1 + pair.len());
    new.extend_from_slice(old.as_bytes());
    new.push(if parts.uri.query().is_some() { b'&' } else { b'?' });
    new.extend_from_slice(pair);
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.path_and_query = Some(PathAndQuery::from_maybe_shared(bytes::Bytes::from(new))?);
    parts.uri = Uri::from_parts(uri)?;
    Ok(())
}
