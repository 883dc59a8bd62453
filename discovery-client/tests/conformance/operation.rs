//! What a recorded request asks for, read from its request line.

use http::Method;
use percent_encoding::percent_decode_str;

/// A client's operation with its parameters decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    Register(String),
    Renew(String, String),
    Cancel(String, String),
    Override(String, String),
    ClearOverride(String, String),
    Full,
    Delta,
    Vip(String),
    SecureVip(String),
    Application(String),
    Instance(String, String),
    AnyInstance(String),
}

/// A request line of a recording.
#[derive(Debug)]
pub(crate) struct Line {
    /// `/eureka`, `/eureka/v2`: what the service URL of the client must have been.
    pub(crate) base: String,
    pub(crate) asked: Asked,
    pub(crate) query: Vec<(String, String)>,
}

impl Line {
    /// `None` if it is nothing that a client asks of a registry.
    pub(crate) fn read(method: &Method, target: &str) -> Option<Self> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let at = segments.iter().position(|segment| matches!(*segment, "apps" | "vips" | "svips" | "instances"))?;
        let (base, rest) = segments.split_at(at);
        let decoded: Vec<String> =
            rest.iter().map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned()).collect();
        let decoded: Vec<&str> = decoded.iter().map(String::as_str).collect();
        let own = str::to_owned;
        let asked = match (method.as_str(), decoded.as_slice()) {
            ("GET", ["apps"] | ["apps", ""]) => Asked::Full,
            ("GET", ["apps", "delta"] | ["apps", "delta", ""]) => Asked::Delta,
            ("GET", ["apps", app]) => Asked::Application(own(app)),
            ("GET", ["apps", app, id]) => Asked::Instance(own(app), own(id)),
            ("GET", ["vips", vip]) => Asked::Vip(own(vip)),
            ("GET", ["svips", vip]) => Asked::SecureVip(own(vip)),
            ("GET", ["instances", id]) => Asked::AnyInstance(own(id)),
            ("POST", ["apps", app]) if !app.is_empty() => Asked::Register(own(app)),
            ("PUT", ["apps", app, id]) => Asked::Renew(own(app), own(id)),
            ("PUT", ["apps", app, id, "status"]) => Asked::Override(own(app), own(id)),
            ("DELETE", ["apps", app, id]) => Asked::Cancel(own(app), own(id)),
            ("DELETE", ["apps", app, id, "status"]) => Asked::ClearOverride(own(app), own(id)),
            _ => return None,
        };
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Some(Self { base: format!("/{}", base.join("/")), asked, query: query.collect() })
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
