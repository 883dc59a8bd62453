//! One running copy of a service.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Where one copy of a service listens (Spring's `ServiceInstance`). Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceInstance(Arc<Parts>);

#[derive(Clone, PartialEq, Eq)]
struct Parts {
    service_id: String,
    instance_id: String,
    host: String,
    port: u16,
    secure: bool,
    metadata: BTreeMap<String, String>,
}

impl ServiceInstance {
    /// An instance of `service_id` at `host:port`, plain HTTP, without metadata. Its id is `host:port`.
    #[must_use]
    pub fn new(service_id: impl Into<String>, host: impl Into<String>, port: u16) -> Self {
        let host = host.into();
        Self(Arc::new(Parts {
            service_id: service_id.into(),
            instance_id: format!("{host}:{port}"),
            host,
            port,
            secure: false,
            metadata: BTreeMap::new(),
        }))
    }

    /// The same with another instance id.
    #[must_use]
    pub fn with_instance_id(mut self, instance_id: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).instance_id = instance_id.into();
        self
    }

    /// The same, reached by HTTPS or not.
    #[must_use]
    pub fn with_secure(mut self, secure: bool) -> Self {
        Arc::make_mut(&mut self.0).secure = secure;
        self
    }

    /// The same with other metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: BTreeMap<String, String>) -> Self {
        Arc::make_mut(&mut self.0).metadata = metadata;
        self
    }

    /// The service's name, as its source spells it.
    #[must_use]
    pub fn service_id(&self) -> &str {
        &self.0.service_id
    }

    /// Unique within the service.
    #[must_use]
    pub fn instance_id(&self) -> &str {
        &self.0.instance_id
    }

    /// Host name or IP address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Whether it is reached by HTTPS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.0.secure
    }

    /// What the instance says of itself (`zone`, `weight`, `management.port`, ...).
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.0.metadata
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.0.secure { "https" } else { "http" }
    }

    /// `host:port`, with brackets around an IPv6 address.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.0.host.contains(':') && !self.0.host.starts_with('[') {
            format!("[{}]:{}", self.0.host, self.0.port)
        } else {
            format!("{}:{}", self.0.host, self.0.port)
        }
    }

    /// Whether both are reached over the same connection: a change of metadata alone keeps connections.
    #[must_use]
    pub fn same_address(&self, other: &Self) -> bool {
        (&self.0.host, self.0.port, self.0.secure) == (&other.0.host, other.0.port, other.0.secure)
    }
}

/// Metadata can hold passwords (`user`, `password` of a config server), so only its names are shown.
impl fmt::Debug for ServiceInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceInstance")
            .field("service_id", &self.0.service_id)
            .field("instance_id", &self.0.instance_id)
            .field("host", &self.0.host)
            .field("port", &self.0.port)
            .field("secure", &self.0.secure)
            .field("metadata", &self.0.metadata.keys().collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_metadata_value() {
        let metadata = BTreeMap::from([("password".to_owned(), "letmein".to_owned())]);
        let text = format!("{:?}", ServiceInstance::new("config", "h", 1).with_metadata(metadata));
        assert!(text.contains("password") && !text.contains("letmein"), "{text}");
    }

    #[test]
    fn authority_brackets_an_ipv6_host() {
        assert_eq!(ServiceInstance::new("a", "::1", 80).authority(), "[::1]:80");
        assert_eq!(ServiceInstance::new("a", "h", 80).authority(), "h:80");
    }
}
