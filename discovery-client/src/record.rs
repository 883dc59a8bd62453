//! What a registry knows of one instance.

use std::collections::BTreeMap;
use std::fmt;

use vernal_commons::instance::ServiceInstance;

use crate::error::Error;

/// One instance as it is registered (Netflix's `InstanceInfo`).
///
/// [`InstanceRecord::new`] gives one with Eureka's defaults; `InstanceRecord::from_settings` derives it from Spring's
/// properties.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstanceRecord {
    /// Unique within the application, compared with case.
    pub instance_id: String,
    /// Application name; upper case on the wire.
    pub app: String,
    /// Group of applications; upper case on the wire.
    pub app_group: Option<String>,
    /// Name or address under which peers reach the instance.
    pub host_name: String,
    /// IP address; empty if a foreign client did not say.
    pub ip_addr: String,
    /// What the instance says of itself; in a fetched document what the server makes of it.
    pub status: InstanceStatus,
    /// An operator's override; `Unknown` is none. Always sent as `Unknown`: another value would create an override.
    pub overridden_status: InstanceStatus,
    /// Plain port.
    pub port: Port,
    /// TLS port.
    pub secure_port: Port,
    /// Names, separated by commas, under which the plain port is looked up.
    pub vip_address: Option<String>,
    /// Names, separated by commas, under which the TLS port is looked up.
    pub secure_vip_address: Option<String>,
    /// Absolute URL.
    pub home_page_url: Option<String>,
    /// Absolute URL.
    pub status_page_url: Option<String>,
    /// Absolute URL.
    pub health_check_url: Option<String>,
    /// Absolute URL.
    pub secure_health_check_url: Option<String>,
    /// What the instance says of itself (`zone`, `weight`, `management.port`, ...).
    pub metadata: BTreeMap<String, String>,
    /// How the lease is kept.
    pub lease: Lease,
    /// Where it runs.
    pub data_center: DataCenter,
    /// Amazon's auto scaling group.
    pub asg_name: Option<String>,
    /// Whether it is a registry server.
    pub coordinating_server: bool,
    /// The server's clock at its last change, in milliseconds.
    pub last_updated_timestamp: Option<u64>,
    /// The instance's clock at its last change, in milliseconds.
    pub last_dirty_timestamp: Option<u64>,
    /// What happened to it, in a delta.
    pub action: Option<Action>,
}

/// A port and whether it is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Port {
    /// TCP port; 0 if none was given.
    pub number: u16,
    /// Whether it is in use.
    pub enabled: bool,
}

/// How a lease is kept, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Time between two heartbeats.
    pub renewal_interval: u32,
    /// Time without a heartbeat after which the server may drop the instance.
    pub duration: u32,
}

/// Where an instance runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DataCenter {
    /// The Java class that a server needs to read the rest.
    pub class: String,
    /// `MyOwn`, `Amazon` or `Netflix`.
    pub name: String,
    /// Amazon's facts about the machine.
    pub metadata: BTreeMap<String, String>,
}

/// The state of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum InstanceStatus {
    /// Shutting down, or a health check fails.
    Down,
    /// Taken out by an operator.
    OutOfService,
    /// Not ready yet.
    Starting,
    /// Not known, or a word that we do not know.
    #[default]
    Unknown,
    /// Ready: the only one that gets calls.
    Up,
}

/// What a delta says of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Registered. Treated like [`Modified`](Self::Modified).
    Added,
    /// Changed.
    Modified,
    /// Gone.
    Deleted,
}

// ===== impl InstanceRecord =====

impl InstanceRecord {
    /// An instance of `application` that is up at `host:port`: id `host:application:port`, found under the
    /// application's name, with Eureka's default lease (30 s, 90 s).
    #[must_use]
    pub fn new(application: &str, host: &str, port: u16) -> Self {
        Self {
            instance_id: format!("{host}:{application}:{port}"),
            app: application.to_uppercase(),
            vip_address: Some(application.to_owned()),
            secure_vip_address: Some(application.to_owned()),
            host_name: host.to_owned(),
            ip_addr: host.to_owned(),
            status: InstanceStatus::Up,
            port: Port { number: port, enabled: true },
            secure_port: Port { number: 443, enabled: false },
            ..Self::empty()
        }
    }

    /// A record in which nothing is set, with Eureka's defaults for the rest.
    #[must_use]
    pub(crate) fn empty() -> Self {
        Self {
            instance_id: String::new(),
            app: String::new(),
            app_group: None,
            host_name: String::new(),
            ip_addr: String::new(),
            status: InstanceStatus::Up,
            overridden_status: InstanceStatus::Unknown,
            port: Port::default(),
            secure_port: Port::default(),
            vip_address: None,
            secure_vip_address: None,
            home_page_url: None,
            status_page_url: None,
            health_check_url: None,
            secure_health_check_url: None,
            metadata: BTreeMap::new(),
            lease: Lease::default(),
            data_center: DataCenter::default(),
            asg_name: None,
            coordinating_server: false,
            last_updated_timestamp: None,
            last_dirty_timestamp: None,
            action: None,
        }
    }

    /// The instance as callers see it, or `None` if it names no port or host to call. TLS wins when its port is
    /// enabled; the plain port is used even when it is not (Spring's `EurekaServiceInstance`, recorded:
    /// `vectors/load-balancer-instances`).
    #[must_use]
    pub fn service_instance(&self) -> Option<ServiceInstance> {
        let secure = self.secure_port.enabled;
        let port = if secure { self.secure_port.number } else { self.port.number };
        let host = if self.host_name.is_empty() { &self.ip_addr } else { &self.host_name };
        if port == 0 || host.is_empty() {
            return None;
        }
        let instance = ServiceInstance::new(self.app.as_str(), host.as_str(), port)
            .with_instance_id(self.instance_id.as_str())
            .with_secure(secure)
            .with_metadata(self.metadata.clone());
        Some(instance)
    }

    /// The names under which it is looked up by the plain port.
    pub fn vip_names(&self) -> impl Iterator<Item = &str> {
        names(self.vip_address.as_deref())
    }

    /// The names under which it is looked up by the TLS port.
    pub fn secure_vip_names(&self) -> impl Iterator<Item = &str> {
        names(self.secure_vip_address.as_deref())
    }

    /// Checks what the server checks at registration (`ApplicationResource.addInstance`), and what would make the
    /// instance unreachable for its own client: Tomcat answers 400 to every path with an escaped `/`, `\` or `;`
    /// (recorded: `scenarios/codec-id-slash`, `codec-id-semicolon`).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRecord`] naming the first member that is wrong.
    pub fn validate(&self) -> Result<(), Error> {
        let invalid = |reason: String| Err(Error::InvalidRecord { reason });
        for (member, value) in [
            ("instanceId", &self.instance_id),
            ("hostName", &self.host_name),
            ("ipAddr", &self.ip_addr),
            ("app", &self.app),
            ("dataCenterInfo.name", &self.data_center.name),
        ] {
            if value.trim().is_empty() {
                return invalid(format!("`{member}` is empty"));
            }
        }
        for (member, value) in [("instanceId", &self.instance_id), ("app", &self.app)] {
            if let Some(bad) = value.chars().find(|c| matches!(c, '/' | '\\' | ';') || c.is_control()) {
                return invalid(format!("`{member}` `{}` holds {bad:?}", value.escape_debug()));
            }
            if matches!(value.as_str(), "." | "..") {
                return invalid(format!("`{member}` is a dot segment"));
            }
        }
        if !matches!(self.data_center.name.as_str(), "MyOwn" | "Amazon" | "Netflix") {
            return invalid(format!("`dataCenterInfo.name` `{}` is unknown", self.data_center.name));
        }
        if self.service_instance().is_none() {
            return invalid("neither port can be called".to_owned());
        }
        // An empty key makes the server's XML malformed for every reader (discovery.md 1.10).
        if self.metadata.contains_key("") {
            return invalid("`metadata` has an empty key".to_owned());
        }
        Ok(())
    }

    /// Whether both say the same, time stamps and action aside.
    #[must_use]
    pub fn same_content(&self, other: &Self) -> bool {
        let timeless = |record: &Self| Self {
            last_updated_timestamp: None,
            last_dirty_timestamp: None,
            action: None,
            ..record.clone()
        };
        timeless(self) == timeless(other)
    }
}

/// Java does not trim the parts; a name with a blank before it could never be found, so ours are trimmed.
fn names(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty())
}

/// Metadata can hold passwords (`user`, `password` of a config server), so only its names are shown.
impl fmt::Debug for InstanceRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceRecord")
            .field("instance_id", &self.instance_id)
            .field("app", &self.app)
            .field("host_name", &self.host_name)
            .field("ip_addr", &self.ip_addr)
            .field("status", &self.status)
            .field("port", &self.port)
            .field("secure_port", &self.secure_port)
            .field("vip_address", &self.vip_address)
            .field("metadata", &self.metadata.keys().collect::<Vec<_>>())
            .field("last_dirty_timestamp", &self.last_dirty_timestamp)
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

impl Default for Lease {
    fn default() -> Self {
        Self { renewal_interval: 30, duration: 90 }
    }
}

impl Default for DataCenter {
    fn default() -> Self {
        Self {
            class: "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo".to_owned(),
            name: "MyOwn".to_owned(),
            metadata: BTreeMap::new(),
        }
    }
}

// ===== impl InstanceStatus =====

impl InstanceStatus {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Down => "DOWN",
            Self::OutOfService => "OUT_OF_SERVICE",
            Self::Starting => "STARTING",
            Self::Unknown => "UNKNOWN",
            Self::Up => "UP",
        }
    }

    /// Reads a word, whatever its case; one that is not known is [`Unknown`](Self::Unknown).
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        const ALL: [InstanceStatus; 4] =
            [InstanceStatus::Down, InstanceStatus::OutOfService, InstanceStatus::Starting, InstanceStatus::Up];
        ALL.into_iter().find(|status| status.as_str().eq_ignore_ascii_case(word.trim())).unwrap_or(Self::Unknown)
    }
}

/// Reads a setting: a word that is not known is an error there.
impl<'de> serde::Deserialize<'de> for InstanceStatus {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let word = text.replace('-', "_");
        match Self::from_word(&word) {
            Self::Unknown if !word.eq_ignore_ascii_case("unknown") => Err(serde::de::Error::custom(format_args!(
                "expected a status such as `UP` or `STARTING`, found `{text}`"
            ))),
            status => Ok(status),
        }
    }
}

impl fmt::Display for InstanceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Action {
    /// Reads a word, whatever its case.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word.to_ascii_uppercase().as_str() {
            "ADDED" => Some(Self::Added),
            "MODIFIED" => Some(Self::Modified),
            "DELETED" => Some(Self::Deleted),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_metadata_value() {
        let mut record = InstanceRecord::new("config", "h", 1);
        record.metadata.insert("password".to_owned(), "letmein".to_owned());
        let text = format!("{record:?}");
        assert!(text.contains("password") && !text.contains("letmein"), "{text}");
    }

    #[test]
    fn an_id_that_could_never_be_reached_again_is_refused() {
        for id in ["a/b", "a;b", "a\\b", "a\nb", "..", " "] {
            let mut record = InstanceRecord::new("orders", "h", 1);
            record.instance_id = id.to_owned();
            assert!(matches!(record.validate(), Err(Error::InvalidRecord { .. })), "{id:?}");
        }
        let mut record = InstanceRecord::new("ORDER_SERVICE", "h", 1);
        record.instance_id = "a b?c#d:8080".to_owned();
        record.validate().unwrap();
    }

    #[test]
    fn tls_wins_and_a_record_without_port_cannot_be_called() {
        let mut record = InstanceRecord::new("orders", "h", 80);
        record.secure_port.enabled = true;
        assert_eq!(record.service_instance().unwrap().port(), 443);
        record.secure_port = Port::default();
        record.port.enabled = false;
        assert_eq!(record.service_instance().unwrap().port(), 80);
        record.port.number = 0;
        assert!(record.service_instance().is_none());
    }

    #[test]
    fn names_of_a_list_are_trimmed() {
        let mut record = InstanceRecord::new("orders", "h", 80);
        record.vip_address = Some("orders,orders-v2, legacy,,".to_owned());
        assert_eq!(record.vip_names().collect::<Vec<_>>(), ["orders", "orders-v2", "legacy"]);
    }
}
