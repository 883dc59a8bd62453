//! From a service's name to one of its instances.

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use vernal_commons::discover::{Discover, LookupError};
use vernal_commons::http::{Body, TransportError};
use vernal_commons::instance::ServiceInstance;

use super::timeout;
use crate::call_info::CallInfo;
use crate::client_core::Hosts;
use crate::error::{Error, ErrorKind};
use crate::message::no_instance_text;

/// Sends `request` to an instance of the service that its host names. When no connection comes about, the request
/// goes to the next instance at once, whatever its verb: it never left. Nothing else is tried again here.
pub(crate) async fn send(info: &CallInfo, request: &mut Request<Body>) -> Result<Response<Body>, TransportError> {
    let transport = info.transport();
    let limit = info.head_timeout();
    let Some(service) = service(info, request.uri()) else {
        return timeout::send(transport, request, limit).await;
    };
    let view = match info.discover().map(|discover| discover.lookup(&service)) {
        Some(Ok(view)) => view,
        Some(Err(error)) => return Err(no_instance(&service, Some(error)).carried()),
        None => return Err(no_instance(&service, None).carried()),
    };
    let mut tried = Vec::new();
    let mut last_error = None;
    while let Some(position) = info.balance().pick(&view, &tried) {
        let Some(candidate) = view.candidates().get(position) else { break };
        // The copy is only made when there is another instance to go to.
        let more = view.len() > tried.len() + 1;
        let spare = if more { copy(request) } else { None };
        let instance = candidate.instance();
        *request.uri_mut() = rewrite(request.uri(), instance).map_err(Error::carried)?;
        let pending = candidate.begin();
        let result = timeout::send(transport, request, limit).await;
        drop(pending);
        let error = match result {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        if !(error.never_sent() && error.is_connect()) {
            return Err(error);
        }
        candidate.avoid();
        if let Some(discover) = info.discover() {
            discover.suspect(instance);
        }
        tracing::debug!(
            target: "vernal_feign",
            service = %service,
            instance = instance.instance_id(),
            "instance could not be reached",
        );
        tried.push(position);
        match spare {
            Some(spare) => *request = spare,
            None => return Err(error),
        }
        last_error = Some(error);
    }
    Err(last_error.unwrap_or_else(|| no_instance(&service, None).carried()))
}

/// The service's name, if the host of `uri` is one.
fn service(info: &CallInfo, uri: &Uri) -> Option<String> {
    let base = &info.settings().base;
    // Finding the host is left until it is needed: most clients with a URL never need it.
    let host = || uri.host();
    let is_service = match info.facts().core.hosts {
        Hosts::Client if !base.balanced => false,
        // A URI given with the call leaves the service unless it names it again.
        Hosts::Client => !info.facts().own_uri || host()?.eq_ignore_ascii_case(base.authority.host()),
        Hosts::Discovered { strict: true } => true,
        Hosts::Discovered { strict: false } => {
            info.discover().is_some_and(|discover| host().is_some_and(|host| knows(discover, host)))
        }
    };
    if is_service { host().map(str::to_owned) } else { None }
}

/// A copy of the request, if its body is in memory.
fn copy(request: &Request<Body>) -> Option<Request<Body>> {
    let mut copy = Request::new(request.body().try_clone()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}

/// The URI at an instance, as Spring makes it (spring-cloud-commons 5.0 `LoadBalancerUriTools`): `https` for a secure
/// instance, nothing encoded anew, but `//` in the path becomes `/`.
fn rewrite(uri: &Uri, instance: &ServiceInstance) -> Result<Uri, Error> {
    let mut parts = uri.clone().into_parts();
    if instance.is_secure() {
        parts.scheme = Some(Scheme::HTTPS);
    }
    let authority = Authority::from_maybe_shared(bytes::Bytes::from(instance.authority())).map_err(|error| {
        let message = format!("instance `{}` has an invalid address", instance.instance_id());
        Error::new(ErrorKind::InvalidUrl, message).because(error)
    })?;
    parts.authority = Some(authority);
    if uri.path().contains("//") {
        let text = collapse(uri.path(), uri.query());
        let path_and_query = PathAndQuery::try_from(text)
            .map_err(|error| Error::new(ErrorKind::InvalidUrl, "path is not valid").because(error))?;
        parts.path_and_query = Some(path_and_query);
    }
    Uri::from_parts(parts).map_err(|error| Error::new(ErrorKind::InvalidUrl, "URL is not valid").because(error))
}

fn collapse(path: &str, query: Option<&str>) -> String {
    let mut out = String::with_capacity(path.len() + query.map_or(0, |query| query.len() + 1));
    for c in path.chars() {
        if c != '/' || !out.ends_with('/') {
            out.push(c);
        }
    }
    if let Some(query) = query {
        out.push('?');
        out.push_str(query);
    }
    out
}

fn no_instance(service: &str, cause: Option<LookupError>) -> Error {
    let error = Error::new(ErrorKind::NoInstance, no_instance_text(service));
    match cause {
        Some(cause) => error.because(cause),
        None => error,
    }
}

/// Whether `discover` knows the service, by its name as the source compares it.
fn knows(discover: &dyn Discover, service: &str) -> bool {
    match discover.lookup(service) {
        Ok(_) => true,
        Err(LookupError::UnknownService { .. }) => false,
        // A registry that has not answered yet may know it; better an error that says so than a DNS query.
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_host_and_scheme_change_and_double_slashes() {
        let instance = ServiceInstance::new("a", "10.0.0.1", 81);
        let rewritten =
            |uri: &str, instance: &ServiceInstance| rewrite(&uri.parse().unwrap(), instance).unwrap().to_string();
        assert_eq!(rewritten("http://ORDER_SERVICE/a%2Fb/?q=x,y//z", &instance), "http://10.0.0.1:81/a%2Fb/?q=x,y//z");
        assert_eq!(rewritten("http://a/p//x/k?q=//", &instance), "http://10.0.0.1:81/p/x/k?q=//");
        assert_eq!(rewritten("http://a/x", &instance.clone().with_secure(true)), "https://10.0.0.1:81/x");
        assert_eq!(rewritten("http://a", &ServiceInstance::new("a", "::1", 81)), "http://[::1]:81/");
    }
}
