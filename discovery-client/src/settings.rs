//! Settings by Spring's names.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use vernal_commons::endpoints::Endpoint;

use crate::error::Error;
use crate::record::InstanceStatus;

/// `eureka.client.*` (`EurekaClientConfigBean`), as far as this client knows it; other names are ignored.
///
/// Field names are Spring's in kebab-case. There are no aliases: a binder that compares names by Spring's relaxed rules,
/// such as that of `vernal-config-client`, would find the same value twice.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct EurekaClientSettings {
    /// Whether there is a registry at all. Default true.
    pub enabled: bool,
    /// Whether this application registers. Default true.
    pub register_with_eureka: bool,
    /// Whether the registry is fetched. Default true.
    pub fetch_registry: bool,
    /// Registry URLs, separated by commas, by zone. Default `defaultZone: http://localhost:8761/eureka/`.
    pub service_url: ServiceUrls,
    /// The region whose zones are used. Default `us-east-1`.
    pub region: String,
    /// The zones of each region, separated by commas; a region without entry has the zone `defaultZone`.
    pub availability_zones: BTreeMap<String, String>,
    /// Seconds between two fetches. Default 30.
    pub registry_fetch_interval_seconds: u32,
    /// Seconds in which a connection must come about. Default 5.
    pub eureka_server_connect_timeout_seconds: u32,
    /// Seconds in which an answer must begin. Default 8.
    pub eureka_server_read_timeout_seconds: u32,
    /// Whether documents are asked for in compressed form. Default true.
    pub g_zip_content: bool,
    /// Whether the whole registry is fetched each time. Default false.
    pub disable_delta: bool,
    /// Whether only instances that are up are found. Default true.
    pub filter_only_up_instances: bool,
    /// Whether the instance is deregistered when the client stops. Default true.
    pub should_unregister_on_shutdown: bool,
    /// Fetch only the instances behind this virtual address, the whole list each time. Default none.
    pub registry_refresh_single_vip_address: Option<String>,
}

/// Registry URLs by zone; the zone `defaultZone` is also found as `default-zone` or `defaultzone`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceUrls(BTreeMap<String, UrlList>);

/// A comma-separated list of URLs that may hold passwords.
#[derive(Clone, PartialEq, Eq)]
struct UrlList(String);

/// `eureka.instance.*` (`EurekaInstanceConfigBean`), as far as this client knows it; other names are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct EurekaInstanceSettings {
    /// Application name in place of `spring.application.name`.
    pub appname: Option<String>,
    /// Group of applications.
    pub app_group_name: Option<String>,
    /// Virtual address, or several separated by commas. Default the application name.
    pub virtual_host_name: Option<String>,
    /// Secure virtual address. Default the application name.
    pub secure_virtual_host_name: Option<String>,
    /// Instance id. Default `host:application:port`.
    pub instance_id: Option<String>,
    /// Host name. Default the detected one.
    pub hostname: Option<String>,
    /// IP address. Default the detected one.
    pub ip_address: Option<String>,
    /// Whether the address is registered as the host name. Default false.
    pub prefer_ip_address: bool,
    /// Plain port. Default the server's port.
    pub non_secure_port: Option<u16>,
    /// TLS port. Default the server's port if it is enabled, else 443.
    pub secure_port: Option<u16>,
    /// Whether the plain port is in use. Default true.
    pub non_secure_port_enabled: bool,
    /// Whether the TLS port is in use. Default false.
    pub secure_port_enabled: bool,
    /// Seconds between two heartbeats. Default 30.
    pub lease_renewal_interval_in_seconds: u32,
    /// Seconds without a heartbeat after which the server may drop the instance. Default 90.
    pub lease_expiration_duration_in_seconds: u32,
    /// Status at registration. Default `UP`.
    pub initial_status: InstanceStatus,
    /// Metadata; empty values are not sent.
    pub metadata_map: BTreeMap<String, String>,
    /// Path of the status page. Default `/actuator/info`.
    pub status_page_url_path: String,
    /// Absolute URL of the status page in place of the path.
    pub status_page_url: Option<String>,
    /// Path of the health check. Default `/actuator/health`.
    pub health_check_url_path: String,
    /// Absolute URL of the health check in place of the path.
    pub health_check_url: Option<String>,
    /// Absolute URL of the health check by TLS.
    pub secure_health_check_url: Option<String>,
    /// Path of the home page. Default `/`.
    pub home_page_url_path: String,
    /// Absolute URL of the home page in place of the path.
    pub home_page_url: Option<String>,
    /// Amazon's auto scaling group.
    #[serde(rename = "a-s-g-name")]
    pub asg_name: Option<String>,
}

/// The zone that is used when no other is configured.
const DEFAULT_ZONE: &str = "defaultZone";

// ===== impl EurekaClientSettings =====

impl Default for EurekaClientSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            register_with_eureka: true,
            fetch_registry: true,
            service_url: ServiceUrls::of("http://localhost:8761/eureka/"),
            region: "us-east-1".to_owned(),
            availability_zones: BTreeMap::new(),
            registry_fetch_interval_seconds: 30,
            eureka_server_connect_timeout_seconds: 5,
            eureka_server_read_timeout_seconds: 8,
            g_zip_content: true,
            disable_delta: false,
            filter_only_up_instances: true,
            should_unregister_on_shutdown: true,
            registry_refresh_single_vip_address: None,
        }
    }
}

impl EurekaClientSettings {
    /// The defaults with these registry URLs, separated by commas.
    #[must_use]
    pub fn for_servers(urls: &str) -> Self {
        Self { service_url: ServiceUrls::of(urls), ..Self::default() }
    }

    /// The servers in the order in which they are tried: those of the region's first zone, then of the others. A zone
    /// without URLs has those of `defaultZone` (`EndpointUtils`).
    ///
    /// # Errors
    ///
    /// If there is no URL, or one that cannot be read.
    pub fn servers(&self) -> Result<Vec<Endpoint>, Error> {
        let zones = self.availability_zones.get(&self.region).map_or(DEFAULT_ZONE, String::as_str);
        let mut servers: Vec<Endpoint> = Vec::new();
        for zone in zones.split(',').map(str::trim).filter(|zone| !zone.is_empty()) {
            for url in self.service_url.of_zone(zone).split(',').map(str::trim).filter(|url| !url.is_empty()) {
                let server = Endpoint::parse(url)
                    .map_err(|error| Error::InvalidServiceUrl { zone: zone.to_owned(), source: error.into() })?;
                if !servers.iter().any(|known| known.url() == server.url()) {
                    servers.push(server);
                }
            }
        }
        if servers.is_empty() {
            return Err(Error::NoServiceUrl { zone: DEFAULT_ZONE.to_owned() });
        }
        Ok(servers)
    }

    /// Time between two fetches, at least a second.
    #[must_use]
    pub fn fetch_interval(&self) -> Duration {
        Duration::from_secs(self.registry_fetch_interval_seconds.max(1).into())
    }

    /// Time in which an answer must begin, at least a second.
    #[must_use]
    pub fn read_timeout(&self) -> Duration {
        Duration::from_secs(self.eureka_server_read_timeout_seconds.max(1).into())
    }

    /// Time in which a connection must come about, at least a second.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.eureka_server_connect_timeout_seconds.max(1).into())
    }
}

// ===== impl ServiceUrls =====

impl ServiceUrls {
    /// These URLs, separated by commas, for `defaultZone`.
    #[must_use]
    pub fn of(urls: &str) -> Self {
        Self(BTreeMap::from([(DEFAULT_ZONE.to_owned(), UrlList(urls.to_owned()))]))
    }

    /// The same with these URLs for a zone.
    #[must_use]
    pub fn with(mut self, zone: &str, urls: &str) -> Self {
        self.0.insert(zone.to_owned(), UrlList(urls.to_owned()));
        self
    }

    fn of_zone(&self, zone: &str) -> &str {
        let relaxed = |name: &str| name.replace(['-', '_'], "").to_ascii_lowercase();
        let like = |zone: &str| {
            let wanted = relaxed(zone);
            self.0.iter().find(|(name, _)| relaxed(name) == wanted).map(|(_, urls)| urls)
        };
        let found = self.0.get(zone).or_else(|| like(zone)).filter(|urls| !urls.0.trim().is_empty());
        found.or_else(|| like(DEFAULT_ZONE)).map_or("", |urls| urls.0.as_str())
    }
}

/// Spring merges a map with its default entry, so `defaultZone` keeps its default when only other zones are given.
impl<'de> Deserialize<'de> for ServiceUrls {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = BTreeMap::<String, String>::deserialize(deserializer)?;
        let mut urls: BTreeMap<_, _> = given.into_iter().map(|(zone, urls)| (zone, UrlList(urls))).collect();
        let default = |zone: &String| zone.replace(['-', '_'], "").eq_ignore_ascii_case(DEFAULT_ZONE);
        if !urls.keys().any(default) {
            urls.extend(EurekaClientSettings::default().service_url.0);
        }
        Ok(Self(urls))
    }
}

/// URLs may hold passwords, so only their number is shown.
impl std::fmt::Debug for UrlList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} URLs", self.0.split(',').count())
    }
}

// ===== impl EurekaInstanceSettings =====

impl Default for EurekaInstanceSettings {
    fn default() -> Self {
        Self {
            appname: None,
            app_group_name: None,
            virtual_host_name: None,
            secure_virtual_host_name: None,
            instance_id: None,
            hostname: None,
            ip_address: None,
            prefer_ip_address: false,
            non_secure_port: None,
            secure_port: None,
            non_secure_port_enabled: true,
            secure_port_enabled: false,
            lease_renewal_interval_in_seconds: 30,
            lease_expiration_duration_in_seconds: 90,
            initial_status: InstanceStatus::Up,
            metadata_map: BTreeMap::new(),
            status_page_url_path: "/actuator/info".to_owned(),
            status_page_url: None,
            health_check_url_path: "/actuator/health".to_owned(),
            health_check_url: None,
            secure_health_check_url: None,
            home_page_url_path: "/".to_owned(),
            home_page_url: None,
            asg_name: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(json: &str) -> EurekaClientSettings {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn names_that_are_not_known_are_ignored() {
        let settings = client(r#"{"registry-fetch-interval-seconds":5,"disable-delta":true,"unknown":1}"#);
        assert_eq!(settings.fetch_interval(), Duration::from_secs(5));
        assert!(settings.disable_delta && settings.enabled);
    }

    #[test]
    fn servers_are_those_of_the_zone_and_never_shown_with_passwords() {
        let settings = client(r#"{"service-url":{"defaultZone":"http://u:letmein@a:1/eureka/, http://b:2/eureka"}}"#);
        let urls: Vec<_> = settings.servers().unwrap().iter().map(|server| server.url().to_owned()).collect();
        assert_eq!(urls, ["http://a:1/eureka", "http://b:2/eureka"]);
        assert!(!format!("{settings:?}").contains("letmein"));
        let relaxed = client(r#"{"service-url":{"default-zone":"http://a:1/eureka,http://b:2/eureka"}}"#);
        assert_eq!(relaxed.servers().unwrap().len(), 2);
    }

    #[test]
    fn zones_without_urls_fall_back_to_the_default_zone() {
        let settings = client(
            r#"{"region":"eu","availability-zones":{"eu":"eu-b,eu-a"},
                "service-url":{"eu-a":"http://a/eureka","defaultZone":"http://d/eureka"}}"#,
        );
        let urls: Vec<_> = settings.servers().unwrap().iter().map(|server| server.url().to_owned()).collect();
        assert_eq!(urls, ["http://d/eureka", "http://a/eureka"]);
        assert_eq!(client("{}").servers().unwrap()[0].url(), "http://localhost:8761/eureka");
    }

    #[test]
    fn a_url_that_is_none_is_an_error_naming_its_zone() {
        let error = EurekaClientSettings::for_servers("registry:8761").servers().unwrap_err();
        assert_eq!(error.to_string(), "value of `eureka.client.service-url.defaultZone` is no list of URLs");
        assert!(matches!(EurekaClientSettings::for_servers(" ,").servers(), Err(Error::NoServiceUrl { .. })));
    }

    #[test]
    fn a_status_is_one_of_the_five_words() {
        let read = |json: &str| serde_json::from_str::<EurekaInstanceSettings>(json).map(|s| s.initial_status);
        assert_eq!(read(r#"{"initial-status":"out-of-service"}"#).unwrap(), InstanceStatus::OutOfService);
        assert!(read(r#"{"initial-status":"paused"}"#).unwrap_err().to_string().contains("`paused`"));
    }
}
