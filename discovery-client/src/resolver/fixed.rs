use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use vernal_commons::discover::{Discover, LookupError, ServiceView};
use vernal_commons::instance::ServiceInstance;

use crate::error::Error;

/// `spring.cloud.discovery.client.simple.*` (`SimpleDiscoveryProperties`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct SimpleDiscoverySettings {
    /// The instances of each service.
    pub instances: BTreeMap<String, Vec<FixedInstance>>,
}

/// One instance: by `uri`, or by `host`, `port` and `secure`.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct FixedInstance {
    /// Scheme, host and port; a path is not used.
    pub uri: Option<String>,
    /// Host name or address.
    pub host: Option<String>,
    /// Port; 0 is the scheme's.
    pub port: u16,
    /// Whether it is reached by HTTPS.
    pub secure: bool,
    /// Service name in place of the key.
    pub service_id: Option<String>,
    /// Instance id in place of `host:port`.
    pub instance_id: Option<String>,
    /// Metadata.
    pub metadata: BTreeMap<String, String>,
}

/// Instances that are written in the settings (Spring's `SimpleDiscoveryClient`). Names are compared exactly.
#[derive(Debug, Clone)]
pub struct FixedResolver {
    services: Arc<BTreeMap<String, Arc<ServiceView>>>,
}

// ===== impl FixedResolver =====

impl FixedResolver {
    /// The instances of `settings`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSetting`] for an instance without a host, or with a `uri` that has none.
    pub fn new(settings: &SimpleDiscoverySettings) -> Result<Self, Error> {
        let mut services = BTreeMap::new();
        for (name, list) in &settings.instances {
            let instances = list.iter().enumerate().map(|(position, instance)| {
                instance.resolve(name).map_err(|reason| Error::InvalidSetting {
                    property: format!("spring.cloud.discovery.client.simple.instances.{name}[{position}]"),
                    reason: reason.to_owned(),
                })
            });
            let view = ServiceView::new(instances.collect::<Result<Vec<_>, _>>()?);
            services.insert(name.clone(), Arc::new(view));
        }
        Ok(Self { services: Arc::new(services) })
    }

    /// These instances, by their service id.
    #[must_use]
    pub fn of(instances: impl IntoIterator<Item = ServiceInstance>) -> Self {
        let mut lists: BTreeMap<String, Vec<ServiceInstance>> = BTreeMap::new();
        for instance in instances {
            lists.entry(instance.service_id().to_owned()).or_default().push(instance);
        }
        let services = lists.into_iter().map(|(name, list)| (name, Arc::new(ServiceView::new(list)))).collect();
        Self { services: Arc::new(services) }
    }
}

impl Discover for FixedResolver {
    fn lookup(&self, service_id: &str) -> Result<Arc<ServiceView>, LookupError> {
        self.services.get(service_id).map(Arc::clone).ok_or_else(|| LookupError::unknown(service_id))
    }

    fn services(&self) -> Vec<String> {
        self.services.keys().cloned().collect()
    }
}

// ===== impl FixedInstance =====

impl FixedInstance {
    /// An instance at this URI.
    #[must_use]
    pub fn at(uri: impl Into<String>) -> Self {
        Self { uri: Some(uri.into()), ..Self::default() }
    }

    fn resolve(&self, service: &str) -> Result<ServiceInstance, &'static str> {
        let (host, port, secure) = match (&self.uri, &self.host) {
            (Some(uri), _) => split(uri).ok_or("`uri` must be `http://host:port` or `https://host:port`")?,
            (None, Some(host)) => (host.clone(), self.port, self.secure),
            (None, None) => return Err("either `uri` or `host` must be set"),
        };
        let port = match port {
            0 if secure => 443,
            0 => 80,
            port => port,
        };
        let service = self.service_id.as_deref().unwrap_or(service);
        let instance =
            ServiceInstance::new(service, host, port).with_secure(secure).with_metadata(self.metadata.clone());
        Ok(match &self.instance_id {
            Some(id) => instance.with_instance_id(id.as_str()),
            None => instance,
        })
    }
}

/// Metadata may hold passwords, so only its names are shown; the URI may hold user info.
impl std::fmt::Debug for FixedInstance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let uri = self.uri.as_deref().and_then(split);
        f.debug_struct("FixedInstance")
            .field("uri", &uri)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("secure", &self.secure)
            .field("service_id", &self.service_id)
            .field("instance_id", &self.instance_id)
            .field("metadata", &self.metadata.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// Host, port (0 if there is none) and whether it is HTTPS. A URL type would refuse or change hosts such as `h_2` or
/// `orders.v1.2`.
fn split(uri: &str) -> Option<(String, u16, bool)> {
    let (scheme, rest) = uri.split_once("://")?;
    let secure = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit('@').next()?;
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, port) = v6.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        None => 0,
        Some(port) => port.parse().ok()?,
    };
    (!host.is_empty()).then(|| (host.to_owned(), port, secure))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver(json: &str) -> Result<FixedResolver, Error> {
        FixedResolver::new(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_uri_gives_host_port_and_scheme() {
        for (uri, authority, secure) in [
            ("https://h1:8443/ctx", "h1:8443", true),
            ("http://h_2:80", "h_2:80", false),
            ("http://orders.v1.2/", "orders.v1.2:80", false),
            ("https://[fe80::1]", "[fe80::1]:443", true),
        ] {
            let json = format!(r#"{{"instances":{{"orders":[{{"uri":"{uri}"}}]}}}}"#);
            let view = resolver(&json).unwrap().lookup("orders").unwrap();
            let instance = view.instances().next().unwrap();
            assert_eq!((instance.authority().as_str(), instance.is_secure()), (authority, secure), "{uri}");
        }
    }

    #[test]
    fn names_are_compared_exactly() {
        let resolver =
            resolver(r#"{"instances":{"orders":[{"host":"h","port":81,"metadata":{"zone":"a"},"instance-id":"o1"}]}}"#)
                .unwrap();
        assert_eq!(resolver.lookup("orders").unwrap().instances().next().unwrap().instance_id(), "o1");
        assert!(matches!(resolver.lookup("ORDERS"), Err(LookupError::UnknownService { .. })));
        assert_eq!(resolver.services(), ["orders"]);
    }

    #[test]
    fn an_instance_without_host_is_an_error_naming_the_property() {
        let error = resolver(r#"{"instances":{"orders":[{"uri":"http://h"},{"port":1}]}}"#).unwrap_err().to_string();
        assert!(error.contains("simple.instances.orders[1]"), "{error}");
        assert!(resolver(r#"{"instances":{"orders":[{"uri":"orders:80"}]}}"#).is_err());
    }
}
