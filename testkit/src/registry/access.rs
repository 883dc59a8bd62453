//! Who may ask at all: HTTP basic authentication and CSRF protection, as Spring Security answers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use vernal_commons::secret::Secret;

/// What a secured registry demands.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub(super) user: String,
    pub(super) password: Secret,
    /// Writing needs a token that Eureka clients do not have.
    pub(super) csrf: bool,
}

impl Access {
    /// The 401 for whoever may not pass. It is also the answer to a path with `//` and to writing without a CSRF
    /// token, whatever the password (Spring Security 7 with an error page that is protected itself).
    pub(super) fn refusal(&self, parts: &Parts) -> Option<Response<Bytes>> {
        let writes = !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        if self.knows(parts) && !(self.csrf && writes) && !parts.uri.path().contains("//") {
            return None;
        }
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Realm\""));
        Some(response)
    }

    fn knows(&self, parts: &Parts) -> bool {
        let given = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Basic "))
            .and_then(|value| STANDARD.decode(value).ok());
        given.is_some_and(|given| given == format!("{}:{}", self.user, self.password.expose()).as_bytes())
    }
}
