//! Interceptors and what the settings add to each request.

use http::{Request, Uri};
use vernal_commons::http::{Body, TransportError};

use crate::call_info::CallInfo;
use crate::error::{Error, ErrorKind};
use crate::interceptor::{Outgoing, append_encoded};

/// Runs the interceptors, then adds the default headers and query pairs of the settings where the request has none
/// of that name: Feign applies them last too.
pub(crate) async fn apply(info: &CallInfo, request: &mut Request<Body>) -> Result<(), TransportError> {
    let interceptors = info.interceptors();
    let settings = info.settings();
    if interceptors.is_empty() && settings.values.default_headers.is_empty() && settings.values.default_query.is_empty()
    {
        return Ok(());
    }
    let (mut parts, body) = std::mem::take(request).into_parts();
    for interceptor in interceptors {
        let mut outgoing = Outgoing::new(&mut parts, info.client(), info.method());
        let result = interceptor.intercept(&mut outgoing).await;
        result.map_err(|error| Error::new(ErrorKind::Interceptor, "an interceptor failed").because(error).carried())?;
    }
    for default in &settings.values.default_headers {
        if !parts.headers.contains_key(&default.name) {
            for value in &default.values {
                parts.headers.append(default.name.clone(), value.clone());
            }
        }
    }
    for default in &settings.values.default_query {
        if !has_query(&parts.uri, &default.name) {
            append_encoded(&mut parts, default.pairs.as_bytes()).map_err(|error| {
                Error::new(ErrorKind::InvalidUrl, "default query is too long").because(error).carried()
            })?;
        }
    }
    *request = Request::from_parts(parts, body);
    Ok(())
}

fn has_query(uri: &Uri, encoded_name: &str) -> bool {
    let names = uri.query().unwrap_or_default().split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    names.into_iter().any(|name| name == encoded_name)
}
