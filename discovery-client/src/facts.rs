//! From settings to the record that is registered.

use vernal_commons::BoxError;
use vernal_commons::property::PropertyResolver;

use crate::host::HostAddress;
use crate::record::{InstanceRecord, InstanceStatus, Lease, Port};
use crate::settings::EurekaInstanceSettings;

/// What a record needs to know besides `eureka.instance.*`: name, ports and paths of the application.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplicationFacts {
    /// `spring.application.name`.
    pub name: Option<String>,
    /// `server.port`; 0 is any free port.
    pub port: Option<u16>,
    /// The port that the application listens on.
    pub bound_port: Option<u16>,
    /// `management.server.port`, if the actuator listens on a port of its own.
    pub management_port: Option<u16>,
    /// `management.server.base-path`.
    pub management_base_path: Option<String>,
    /// `server.servlet.context-path`.
    pub context_path: Option<String>,
    /// `spring.application.instance_id`.
    pub application_instance_id: Option<String>,
    /// `vcap.application.instance_id`, Cloud Foundry's.
    pub vcap_instance_id: Option<String>,
    /// `spring.cloud.client.hostname`: the detected host name in the instance id.
    pub client_hostname: Option<String>,
}

impl ApplicationFacts {
    /// An application of this name that listens on this port.
    #[must_use]
    pub fn new(name: impl Into<String>, bound_port: u16) -> Self {
        Self { name: Some(name.into()), port: Some(bound_port), bound_port: Some(bound_port), ..Self::default() }
    }

    /// Reads them from settings. Say with [`listening_on`](Self::listening_on) which port is really listened on.
    ///
    /// # Errors
    ///
    /// If a value cannot be resolved or a port is no port.
    pub fn from_properties(properties: &dyn PropertyResolver) -> Result<Self, BoxError> {
        let text = |name: &str| Ok::<_, BoxError>(properties.property(name)?.filter(|value| !value.is_empty()));
        let port = |name: &str| match text(name)? {
            None => Ok(None),
            Some(value) => match value.trim().parse() {
                Ok(port) => Ok(Some(port)),
                Err(_) => Err(BoxError::from(format!("value `{value}` of `{name}` is no port"))),
            },
        };
        Ok(Self {
            name: text("spring.application.name")?,
            port: port("server.port")?,
            bound_port: None,
            management_port: port("management.server.port")?,
            management_base_path: text("management.server.base-path")?,
            context_path: text("server.servlet.context-path")?,
            application_instance_id: match text("spring.application.instance_id")? {
                None => text("spring.application.instance-id")?,
                id => id,
            },
            vcap_instance_id: text("vcap.application.instance_id")?,
            client_hostname: text("spring.cloud.client.hostname")?,
        })
    }

    /// The same, listening on this port.
    #[must_use]
    pub fn listening_on(mut self, bound_port: u16) -> Self {
        self.bound_port = Some(bound_port);
        self
    }

    fn actual_port(&self) -> Option<u16> {
        self.bound_port.or(self.port.filter(|port| *port != 0))
    }

    /// Spring writes the configured port into the id, so that all replicas with `server.port=0` overwrite each other
    /// in the registry; the bound port tells them apart (discovery.md 2.12).
    fn instance_id(&self, host: &HostAddress) -> String {
        if let Some(id) = &self.vcap_instance_id {
            return id.clone();
        }
        let port = self.actual_port().map(|port| port.to_string());
        let parts = [
            Some(self.client_hostname.clone().unwrap_or_else(|| host.name.clone())),
            self.name.clone(),
            self.application_instance_id.clone().or(port),
        ];
        parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(":")
    }

    /// Where the actuator answers: on its own port below its own base path, or on the server's below both
    /// (`DefaultManagementMetadataProvider`).
    fn management_url(&self, scheme: &str, host: &str, port: u16, path: &str) -> String {
        let own = self.management_port.filter(|port| *port != 0);
        let base = match (own, &self.management_base_path) {
            (Some(_), base) => base.clone().unwrap_or_default(),
            (None, base) => {
                format!("{}{}", self.context_path.as_deref().unwrap_or_default(), base.as_deref().unwrap_or_default())
            }
        };
        let base = base.trim_matches('/');
        let path = path.trim_start_matches('/');
        let slash = if base.is_empty() { "" } else { "/" };
        format!("{scheme}://{}:{}/{base}{slash}{path}", bracketed(host), own.unwrap_or(port))
    }
}

impl InstanceRecord {
    /// What Spring would register for these settings (`InstanceInfoFactory`, `EurekaClientAutoConfiguration`;
    /// recorded: `vectors/instance-defaults`), except that with `server.port=0` the id holds the bound port.
    #[must_use]
    pub fn from_settings(settings: &EurekaInstanceSettings, facts: &ApplicationFacts, host: &HostAddress) -> Self {
        let text = |setting: &Option<String>| setting.clone().filter(|text| !text.trim().is_empty());
        let name = facts.name.clone().unwrap_or_else(|| "unknown".to_owned());
        let ip_addr = text(&settings.ip_address).unwrap_or_else(|| host.ip.clone());
        let host_name = if settings.prefer_ip_address {
            ip_addr.clone()
        } else {
            text(&settings.hostname).unwrap_or_else(|| host.name.clone())
        };
        let server_port = facts.actual_port();
        let port = settings.non_secure_port.or(server_port).unwrap_or(80);
        let default_secure_port = server_port.filter(|_| settings.secure_port_enabled).unwrap_or(443);
        let management =
            |scheme: &str, path: &str| facts.management_url(scheme, &host_name, server_port.unwrap_or(port), path);
        let mut metadata = settings.metadata_map.clone();
        metadata.retain(|_, value| !value.is_empty());
        // Spring leaves it out when the port is not known beforehand.
        let known = server_port.filter(|_| facts.port != Some(0));
        let management_port = facts.management_port.or(known).filter(|port| *port != 0);
        if let Some(management_port) = management_port {
            metadata.entry("management.port".to_owned()).or_insert_with(|| management_port.to_string());
        }
        let secure_health_check_url = settings
            .secure_health_check_url
            .clone()
            .or_else(|| settings.secure_port_enabled.then(|| management("https", &settings.health_check_url_path)));
        Self {
            instance_id: text(&settings.instance_id).unwrap_or_else(|| facts.instance_id(host)),
            app: text(&settings.appname).unwrap_or_else(|| name.clone()).to_uppercase(),
            app_group: text(&settings.app_group_name).map(|group| group.to_uppercase()),
            ip_addr,
            status: settings.initial_status,
            overridden_status: InstanceStatus::Unknown,
            port: Port { number: port, enabled: settings.non_secure_port_enabled },
            secure_port: Port {
                number: settings.secure_port.unwrap_or(default_secure_port),
                enabled: settings.secure_port_enabled,
            },
            vip_address: Some(text(&settings.virtual_host_name).unwrap_or_else(|| name.clone())),
            secure_vip_address: Some(text(&settings.secure_virtual_host_name).unwrap_or(name)),
            home_page_url: Some(text(&settings.home_page_url).unwrap_or_else(|| {
                let slash = if settings.home_page_url_path.starts_with('/') { "" } else { "/" };
                format!("http://{}:{port}{slash}{}", bracketed(&host_name), settings.home_page_url_path)
            })),
            status_page_url: Some(
                text(&settings.status_page_url).unwrap_or_else(|| management("http", &settings.status_page_url_path)),
            ),
            health_check_url: Some(
                settings
                    .health_check_url
                    .clone()
                    .unwrap_or_else(|| management("http", &settings.health_check_url_path)),
            ),
            secure_health_check_url,
            metadata,
            lease: Lease {
                renewal_interval: settings.lease_renewal_interval_in_seconds.max(1),
                duration: settings.lease_expiration_duration_in_seconds.max(1),
            },
            asg_name: text(&settings.asg_name),
            host_name,
            ..Self::empty()
        }
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_port_gives_ids_that_differ() {
        let facts = ApplicationFacts { port: Some(0), ..ApplicationFacts::new("orders", 0) }.listening_on(41_233);
        let host = HostAddress::new("h", "10.0.0.7");
        let record = InstanceRecord::from_settings(&EurekaInstanceSettings::default(), &facts, &host);
        assert_eq!((record.instance_id.as_str(), record.port.number), ("h:orders:41233", 41_233));
        assert_eq!(record.status_page_url.as_deref(), Some("http://h:41233/actuator/info"));
        record.validate().unwrap();
    }

    #[test]
    fn the_port_that_is_listened_on_counts() {
        let properties =
            std::collections::BTreeMap::from([("spring.application.name".to_owned(), "orders".to_owned())]);
        let facts = ApplicationFacts::from_properties(&properties).unwrap().listening_on(9001);
        let host = HostAddress::new("h", "10.0.0.7");
        let record = InstanceRecord::from_settings(&EurekaInstanceSettings::default(), &facts, &host);
        assert_eq!((record.instance_id.as_str(), record.port.number), ("h:orders:9001", 9001));
        assert_eq!(record.metadata["management.port"], "9001");
    }

    #[test]
    fn an_ipv6_host_is_bracketed_in_urls() {
        let host = HostAddress::new("fe80::1", "fe80::1");
        let facts = ApplicationFacts::new("orders", 80);
        let record = InstanceRecord::from_settings(&EurekaInstanceSettings::default(), &facts, &host);
        assert_eq!(record.home_page_url.as_deref(), Some("http://[fe80::1]:80/"));
    }

    #[test]
    fn a_port_that_is_none_is_an_error_naming_the_property() {
        let properties = std::collections::BTreeMap::from([("server.port".to_owned(), "http".to_owned())]);
        let error = ApplicationFacts::from_properties(&properties).unwrap_err();
        assert_eq!(error.to_string(), "value `http` of `server.port` is no port");
    }
}
