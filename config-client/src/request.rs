//! The request for an environment: a pure function of the settings.

use base64::Engine as _;
use http::header::{ACCEPT, ACCEPT_CHARSET, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Uri};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use vernal_commons::endpoints::Endpoint;
use vernal_commons::http::Body;
use vernal_commons::secret::Secret;

use crate::client::options::ClientOptions;
use crate::error::Error;

/// Both media types: plain JSON keeps proxies and Spring Security content (deviation D-1).
pub(crate) const ACCEPT_DEFAULT: &str = "application/vnd.spring-cloud.config-server.v2+json, application/json;q=0.9";

/// What is escaped in a path segment. `& = ; , ( ) @ + :` and the unreserved characters stay, as Spring's client
/// leaves them (fixtures `resolve/request-label-*`).
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// `/{name}/{profiles}[/{label}]`, percent-encoded; `/` becomes `(_)` in every part (deviation D-2: Java does so in
/// the label only).
///
/// # Errors
///
/// If a part is empty or a dot segment, which would make it another path.
pub(crate) fn path(name: &str, profiles: &str, label: Option<&str>) -> Result<String, Error> {
    let mut path = String::new();
    for (key, part) in [("name", Some(name)), ("profile", Some(profiles)), ("label", label)] {
        let Some(part) = part else { continue };
        if matches!(part, "" | "." | "..") {
            return Err(Error::Setting {
                key: format!("spring.cloud.config.{key}"),
                origin: None,
                expected: format!("a name that is neither empty nor `.` nor `..`, found `{part}`"),
            });
        }
        path.push('/');
        path.extend(utf8_percent_encode(&part.replace('/', "(_)"), SEGMENT));
    }
    Ok(path)
}

/// The GET request for `path` at `endpoint`.
///
/// # Errors
///
/// If the URL or a configured header is invalid.
pub(crate) fn build(endpoint: &Endpoint, path: &str, options: &ClientOptions) -> Result<Request<Body>, Error> {
    let url = format!("{}{path}", endpoint.url());
    let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| Error::Setting {
        key: "spring.cloud.config.uri".to_owned(),
        origin: None,
        expected: format!("an absolute URL, not `{endpoint}` ({error})"),
    })?;
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = uri;
    *request.headers_mut() = headers(endpoint, options)?;
    Ok(request)
}

/// The headers for `endpoint`, credentials included.
fn headers(endpoint: &Endpoint, options: &ClientOptions) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, value("media-type", &options.media_type, false)?);
    headers.insert(ACCEPT_CHARSET, value("charset", &options.charset.to_ascii_lowercase(), false)?);
    for (name, text) in &options.headers {
        let key = format!("headers.{name}");
        let header = HeaderName::try_from(name.as_str()).map_err(|_| invalid(&key, "a name of a header"))?;
        headers.append(header, value(&key, text.expose(), true)?);
    }
    if let Some((username, password)) = credentials(endpoint, options) {
        if headers.contains_key(AUTHORIZATION) {
            return Err(invalid("headers.authorization", "either a password or an authorization header, not both"));
        }
        let pair = Secret::new(format!("{username}:{}", password.expose()));
        let encoded = base64::engine::general_purpose::STANDARD.encode(pair.expose());
        headers.insert(AUTHORIZATION, value("password", &format!("Basic {encoded}"), true)?);
    }
    if let Some(token) = &options.token {
        headers.insert(HeaderName::from_static("x-config-token"), value("token", token.expose(), true)?);
    }
    Ok(headers)
}

/// User name and password for `endpoint`: explicit ones replace those of the URL, but the user name `user` does not
/// (fixtures `resolve/uri-userinfo-*`). A user name alone is no credential.
fn credentials(endpoint: &Endpoint, options: &ClientOptions) -> Option<(String, Secret)> {
    let explicit = options.username.as_deref();
    match endpoint.credentials() {
        Some(own) => {
            let username = explicit.filter(|name| *name != "user").unwrap_or(&own.username);
            let password = options.password.clone().unwrap_or_else(|| own.password.clone());
            Some((username.to_owned(), password))
        }
        None => Some((explicit.unwrap_or("user").to_owned(), options.password.clone()?)),
    }
}

fn value(key: &str, text: &str, sensitive: bool) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| invalid(key, "a text that fits a header"))?;
    value.set_sensitive(sensitive);
    Ok(value)
}

fn invalid(key: &str, expected: &str) -> Error {
    Error::Setting { key: format!("spring.cloud.config.{key}"), origin: None, expected: expected.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(base: &str, path: &str) -> String {
        build(&Endpoint::parse(base).unwrap(), path, &ClientOptions::default()).unwrap().uri().to_string()
    }

    fn authorization(base: &str, change: impl Fn(&mut ClientOptions)) -> Option<String> {
        let mut options = ClientOptions::default();
        change(&mut options);
        let request = build(&Endpoint::parse(base).unwrap(), "/a/b", &options).unwrap();
        let header = request.headers().get(AUTHORIZATION)?;
        let decoded =
            base64::engine::general_purpose::STANDARD.decode(header.to_str().unwrap().trim_start_matches("Basic "));
        Some(String::from_utf8(decoded.unwrap()).unwrap())
    }

    #[test]
    fn one_slash_joins_base_and_path() {
        let path = path("foo", "dev,mysql", None).unwrap();
        for (base, expected) in [
            ("http://h:8888", "http://h:8888/foo/dev,mysql"),
            ("http://h:8888/", "http://h:8888/foo/dev,mysql"),
            ("http://h:8888/cfg/", "http://h:8888/cfg/foo/dev,mysql"),
        ] {
            assert_eq!(url(base, &path), expected);
        }
    }

    #[test]
    fn parts_of_the_path_are_encoded() {
        for (label, expected) in [
            ("feature/x", "/team(_)app/d/feature(_)x"),
            ("a b", "/team(_)app/d/a%20b"),
            ("1.0.0", "/team(_)app/d/1.0.0"),
            ("a%20b", "/team(_)app/d/a%2520b"),
            ("a#b", "/team(_)app/d/a%23b"),
            ("a+b&c=d;e", "/team(_)app/d/a+b&c=d;e"),
            ("配", "/team(_)app/d/%E9%85%8D"),
        ] {
            assert_eq!(path("team/app", "d", Some(label)).unwrap(), expected);
        }
    }

    #[test]
    fn a_path_that_no_server_accepts_is_refused_here() {
        for label in ["..", ".", ""] {
            assert!(path("a", "d", Some(label)).is_err(), "{label}");
        }
    }

    #[test]
    fn credentials_of_the_url_give_way_to_explicit_ones() {
        let none = |_: &mut ClientOptions| {};
        assert_eq!(authorization("http://u:p%40x@h", none).as_deref(), Some("u:p@x"));
        assert_eq!(authorization("http://u@h", none).as_deref(), Some("u:"));
        assert_eq!(authorization("http://u:a+b@h", none).as_deref(), Some("u:a+b"));
        let password = |options: &mut ClientOptions| options.password = Some("q".into());
        assert_eq!(authorization("http://u:p@h", password).as_deref(), Some("u:q"));
        assert_eq!(authorization("http://h", password).as_deref(), Some("user:q"));
        let user = |options: &mut ClientOptions| options.username = Some("user".to_owned());
        assert_eq!(authorization("http://u:p@h", user).as_deref(), Some("u:p"));
        let other = |options: &mut ClientOptions| options.username = Some("v".to_owned());
        assert_eq!(authorization("http://u:p@h", other).as_deref(), Some("v:p"));
        assert_eq!(authorization("http://h", other), None);
    }

    #[test]
    fn two_kinds_of_credentials_are_refused() {
        let mut options = ClientOptions { password: Some("p".into()), ..ClientOptions::default() };
        options.headers.push(("Authorization".to_owned(), "Bearer z".into()));
        let error = build(&Endpoint::parse("http://h").unwrap(), "/a/b", &options).unwrap_err();
        assert!(error.to_string().contains("headers.authorization"), "{error}");
    }
}
