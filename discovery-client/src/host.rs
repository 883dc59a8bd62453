//! Under which address this machine is registered.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use regex_lite::Regex;
use serde::Deserialize;
use vernal_commons::endpoints::Endpoint;

use crate::error::Error;

/// `spring.cloud.inetutils.*` (`InetUtilsProperties`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct InetSettings {
    /// Host name if nothing else is found. Default `localhost`.
    pub default_hostname: String,
    /// Address if nothing else is found. Default `127.0.0.1`.
    pub default_ip_address: String,
    /// Limit for finding out, in seconds. Default 1.
    pub timeout_seconds: u32,
    /// Network interfaces that are not used: patterns for their whole name.
    pub ignored_interfaces: Vec<String>,
    /// Addresses that are used: patterns for the whole address, or its beginning. Default any.
    pub preferred_networks: Vec<String>,
    /// Whether only private addresses (10, 172.16 to 172.31, 192.168) are used. Default false.
    pub use_only_site_local_interfaces: bool,
}

/// Name and address of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostAddress {
    /// Host name; the address itself if it has no other name.
    pub name: String,
    /// IP address.
    pub ip: String,
}

/// An address of a network interface that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interface {
    /// `eth0`, `docker0`, ...
    pub name: String,
    /// The system's number of the interface.
    pub index: u32,
    /// One of its addresses.
    pub address: IpAddr,
}

// ===== impl HostAddress =====

impl HostAddress {
    /// A machine by name and address.
    #[must_use]
    pub fn new(name: impl Into<String>, ip: impl Into<String>) -> Self {
        Self { name: name.into(), ip: ip.into() }
    }

    /// Chooses the address to register and logs it. First choice is the address from which the registry is reached,
    /// since the registry's other clients can most likely reach it too; a container's or VPN's interface with a lower
    /// number, Spring's choice, often cannot be (discovery.md 2.12).
    ///
    /// # Errors
    ///
    /// If `spring.cloud.inetutils.ignored-interfaces` or `preferred-networks` is no pattern.
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind but a look-up in the background.
    pub async fn detect(settings: &InetSettings, servers: &[Endpoint]) -> Result<Self, Error> {
        let targets: Vec<String> = servers.iter().filter_map(|server| socket_name(server.url())).collect();
        let limit = Duration::from_secs(settings.timeout_seconds.max(1).into());
        let facts = tokio::task::spawn_blocking(move || (route(&targets), interfaces(), local_host()));
        let (route, interfaces, local) = match tokio::time::timeout(limit, facts).await {
            Ok(Ok(facts)) => facts,
            Ok(Err(_)) | Err(_) => (None, interfaces(), local_host()),
        };
        let chosen = Self::choose(settings, &interfaces, route, local.as_ref())?;
        let via_route = route.is_some_and(|route| route.to_string() == chosen.ip);
        tracing::info!(
            host = chosen.name,
            ip = chosen.ip,
            reason = if via_route { "address that reaches the registry" } else { "first usable interface" },
            "chose the address to register"
        );
        Ok(chosen)
    }

    /// Chooses among `interfaces`: the one that holds `route`, else Spring's rule, the lowest number
    /// (`InetUtils.findFirstNonLoopbackAddress`). With none left it is `local`, the machine's own name, and without
    /// that the default of the settings. A registry on this machine means loopback, unless the settings ask for
    /// particular networks.
    ///
    /// # Errors
    ///
    /// If a pattern in the settings is none.
    pub fn choose(
        settings: &InetSettings,
        interfaces: &[Interface],
        route: Option<IpAddr>,
        local: Option<&Self>,
    ) -> Result<Self, Error> {
        let ignored = patterns("ignored-interfaces", &settings.ignored_interfaces)?;
        let preferred = patterns("preferred-networks", &settings.preferred_networks)?;
        let particular = settings.use_only_site_local_interfaces || !ignored.is_empty() || !preferred.is_empty();
        let named_as_itself = |address: IpAddr| Self::new(address.to_string(), address.to_string());
        if let Some(route) = route.filter(|route| route.is_loopback() && !particular) {
            return Ok(named_as_itself(route));
        }
        let allowed = |address: IpAddr| {
            if settings.use_only_site_local_interfaces {
                return matches!(address, IpAddr::V4(v4) if v4.is_private());
            }
            let text = address.to_string();
            preferred.is_empty()
                || preferred.iter().any(|pattern| pattern.is_match(&text))
                || settings.preferred_networks.iter().any(|prefix| text.starts_with(prefix.as_str()))
        };
        let usable = |interface: &&Interface| {
            let address = interface.address;
            !ignored.iter().any(|pattern| pattern.is_match(&interface.name))
                && !address.is_loopback()
                && (address.is_ipv4() || Some(address) == route)
                && allowed(address)
        };
        let usable: Vec<&Interface> = interfaces.iter().filter(usable).collect();
        let by_route = usable.iter().find(|interface| Some(interface.address) == route);
        let lowest = usable.iter().map(|interface| interface.index).min();
        let by_number = usable.iter().rfind(|interface| Some(interface.index) == lowest);
        Ok(by_route.or(by_number).map(|interface| named_as_itself(interface.address)).unwrap_or_else(|| {
            let default = || Self::new(&settings.default_hostname, &settings.default_ip_address);
            local.cloned().unwrap_or_else(default)
        }))
    }
}

impl Interface {
    /// An interface.
    #[must_use]
    pub fn new(name: impl Into<String>, index: u32, address: IpAddr) -> Self {
        Self { name: name.into(), index, address }
    }
}

impl Default for InetSettings {
    fn default() -> Self {
        Self {
            default_hostname: "localhost".to_owned(),
            default_ip_address: "127.0.0.1".to_owned(),
            timeout_seconds: 1,
            ignored_interfaces: Vec::new(),
            preferred_networks: Vec::new(),
            use_only_site_local_interfaces: false,
        }
    }
}

fn patterns(property: &str, texts: &[String]) -> Result<Vec<Regex>, Error> {
    texts
        .iter()
        .map(|text| {
            Regex::new(&format!("^(?:{text})$")).map_err(|error| Error::InvalidSetting {
                property: format!("spring.cloud.inetutils.{property}"),
                reason: format!("`{text}` is no pattern: {error}"),
            })
        })
        .collect()
}

/// `host:port` of a base URL.
fn socket_name(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let after_brackets = authority.rsplit(']').next()?;
    let port = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    Some(if after_brackets.contains(':') { authority.to_owned() } else { format!("{authority}:{port}") })
}

/// The address from which one of `targets` is reached. Connecting a datagram socket sends nothing.
fn route(targets: &[String]) -> Option<IpAddr> {
    let via = |target: SocketAddr| {
        let any = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(target).ok()?;
        socket.local_addr().ok().map(|address| address.ip())
    };
    targets.iter().filter_map(|target| target.to_socket_addrs().ok()).flatten().find_map(via)
}

fn interfaces() -> Vec<Interface> {
    let list = if_addrs::get_if_addrs().unwrap_or_default();
    list.into_iter()
        .map(|interface| Interface {
            index: interface.index.unwrap_or(u32::MAX),
            address: interface.ip(),
            name: interface.name,
        })
        .collect()
}

/// The machine's own name with the loopback address, as Java's `InetAddress.getLocalHost` gives it without a network.
fn local_host() -> Option<HostAddress> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let name = read("/proc/sys/kernel/hostname")
        .or_else(|| read("/etc/hostname"))
        .or_else(|| ["HOSTNAME", "COMPUTERNAME"].into_iter().find_map(|name| std::env::var(name).ok()))?;
    let name = name.trim();
    (!name.is_empty()).then(|| HostAddress::new(name, "127.0.0.1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Vec<Interface> {
        [("lo", 1, "127.0.0.1"), ("docker0", 2, "172.17.0.1"), ("eth0", 3, "fe80::1"), ("eth0", 3, "192.0.2.7")]
            .map(|(name, index, address)| Interface::new(name, index, address.parse().unwrap()))
            .into()
    }

    fn choose(settings: &InetSettings, route: Option<&str>) -> HostAddress {
        let local = HostAddress::new("box", "127.0.0.1");
        HostAddress::choose(settings, &machine(), route.map(|r| r.parse().unwrap()), Some(&local)).unwrap()
    }

    #[test]
    fn the_way_to_the_registry_wins_over_the_lowest_number() {
        let settings = InetSettings::default();
        assert_eq!(choose(&settings, Some("192.0.2.7")).ip, "192.0.2.7");
        assert_eq!(choose(&settings, Some("fe80::1")).ip, "fe80::1");
        assert_eq!(choose(&settings, Some("127.0.0.1")).ip, "127.0.0.1");
        assert_eq!(choose(&settings, None), HostAddress::new("172.17.0.1", "172.17.0.1"));
    }

    #[test]
    fn settings_exclude_interfaces_and_networks() {
        let ignoring =
            |name: &str| InetSettings { ignored_interfaces: vec![name.to_owned()], ..InetSettings::default() };
        assert_eq!(choose(&ignoring("docker.*"), None).ip, "192.0.2.7");
        assert_eq!(choose(&ignoring("docker"), None).ip, "172.17.0.1");
        assert_eq!(choose(&ignoring(".*"), Some("192.0.2.7")), HostAddress::new("box", "127.0.0.1"));
        let preferring = InetSettings { preferred_networks: vec!["192.0".to_owned()], ..InetSettings::default() };
        assert_eq!(choose(&preferring, None).ip, "192.0.2.7");
        let private = InetSettings { use_only_site_local_interfaces: true, ..InetSettings::default() };
        assert_eq!(choose(&private, Some("192.0.2.7")).ip, "172.17.0.1");
        assert!(HostAddress::choose(&ignoring("("), &[], None, None).is_err());
    }

    #[test]
    fn the_target_of_a_url_has_a_port() {
        assert_eq!(socket_name("http://r:8761/eureka").unwrap(), "r:8761");
        assert_eq!(socket_name("https://[::1]/eureka").unwrap(), "[::1]:443");
    }

    #[tokio::test]
    async fn a_registry_on_this_machine_means_loopback() {
        let server = Endpoint::parse("http://127.0.0.1:8761/eureka").unwrap();
        assert_eq!(HostAddress::detect(&InetSettings::default(), &[server]).await.unwrap().ip, "127.0.0.1");
    }
}
