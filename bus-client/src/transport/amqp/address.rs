//! Where the broker is, from `spring.rabbitmq.*`.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use vernal_commons::random::Random;
use vernal_commons::secret::Secret;

use crate::error::Error;
use crate::settings::{AddressShuffleMode, RabbitSettings};

const PLAIN_PORT: u16 = 5672;
const TLS_PORT: u16 = 5671;

/// The addresses of the broker, and which one is tried next.
pub(super) struct Addresses {
    hosts: Vec<Host>,
    pub(super) username: String,
    pub(super) password: Secret,
    pub(super) virtual_host: String,
    pub(super) tls: bool,
    mode: AddressShuffleMode,
    next: AtomicUsize,
    random: Random,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
}

/// One element of `spring.rabbitmq.addresses`.
#[derive(Default)]
struct Parsed {
    tls: Option<bool>,
    username: Option<String>,
    password: Option<Secret>,
    virtual_host: Option<String>,
    host: String,
    port: Option<u16>,
}

impl Addresses {
    pub(super) fn new(settings: &RabbitSettings) -> Result<Self, Error> {
        for (off, key) in [
            (settings.ssl.verify_hostname, "spring.rabbitmq.ssl.verify-hostname"),
            (settings.ssl.validate_server_certificate, "spring.rabbitmq.ssl.validate-server-certificate"),
        ] {
            if off == Some(false) {
                return Err(Error::Setting { key, reason: "checks of TLS cannot be switched off".to_owned() });
            }
        }
        let elements = settings.addresses.expose().split(',').map(str::trim).filter(|text| !text.is_empty());
        let mut parsed = elements.map(Parsed::new).collect::<Result<Vec<_>, _>>()?;
        if parsed.is_empty() {
            parsed.push(Parsed { host: settings.host.trim().to_owned(), port: settings.port, ..Parsed::default() });
        }
        // What the first address says holds for all of them, as in Spring's `RabbitProperties`.
        let first = std::mem::take(&mut parsed[0]);
        let tls = settings.ssl.enabled.or(first.tls).unwrap_or(false);
        if tls && !cfg!(feature = "amqps") {
            let wanted = if first.tls == Some(true) { "amqps://" } else { "spring.rabbitmq.ssl.enabled" };
            return Err(Error::MissingFeature { wanted: wanted.to_owned(), feature: "amqps" });
        }
        let virtual_host = first.virtual_host.clone().unwrap_or_else(|| settings.virtual_host.trim().to_owned());
        let username = first.username.clone().unwrap_or_else(|| settings.username.clone());
        let password = first.password.clone().unwrap_or_else(|| settings.password.clone());
        parsed[0] = first;
        let host = |address: Parsed| {
            let default = if address.tls.unwrap_or(tls) { TLS_PORT } else { PLAIN_PORT };
            Host { name: address.host, port: address.port.unwrap_or(default) }
        };
        let hosts: Vec<Host> = parsed.into_iter().map(host).collect();
        if hosts.iter().any(|host| host.name.is_empty()) {
            let reason = "expected the name of a host, found nothing".to_owned();
            return Err(Error::Setting { key: "spring.rabbitmq.host", reason });
        }
        Ok(Self {
            hosts,
            username,
            password,
            virtual_host: if virtual_host.is_empty() { "/".to_owned() } else { virtual_host },
            tls,
            mode: settings.address_shuffle_mode,
            next: AtomicUsize::new(0),
            random: Random::new(),
        })
    }

    /// The address for the next attempt.
    pub(super) fn pick(&self) -> Host {
        let index = match self.mode {
            AddressShuffleMode::None => self.next.load(Ordering::Relaxed),
            AddressShuffleMode::Random => self.random.below(self.hosts.len()),
            AddressShuffleMode::Inorder => self.next.fetch_add(1, Ordering::Relaxed),
        };
        self.hosts[index % self.hosts.len()].clone()
    }

    /// The attempt at the address picked last has failed.
    pub(super) fn failed(&self) {
        if self.mode == AddressShuffleMode::None {
            self.next.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// `host:port,host:port/vhost`: for logs.
impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, host) in self.hosts.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}:{}", host.name, host.port)?;
        }
        write!(f, "/{}", self.virtual_host.trim_start_matches('/'))
    }
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Addresses({self})")
    }
}

impl Parsed {
    /// `[amqp[s]://][user[:password]@]host[:port][/vhost]`; nothing is percent-decoded.
    fn new(text: &str) -> Result<Self, Error> {
        let (tls, rest) = match text.split_once("://") {
            Some(("amqp", rest)) => (Some(false), rest),
            Some(("amqps", rest)) => (Some(true), rest),
            Some(_) => return Err(invalid("expected the scheme `amqp` or `amqps`")),
            None => (None, text),
        };
        let (credentials, rest) = match rest.split_once('@') {
            Some((credentials, rest)) => (Some(credentials), rest),
            None => (None, rest),
        };
        let (username, password) = match credentials.map(|text| text.split_once(':').unwrap_or((text, ""))) {
            Some((username, "")) => (Some(username.to_owned()), None),
            Some((username, password)) => (Some(username.to_owned()), Some(Secret::from(password))),
            None => (None, None),
        };
        let (authority, virtual_host) = match rest.split_once('/') {
            Some((authority, virtual_host)) => (authority, Some(virtual_host.to_owned())),
            None => (rest, None),
        };
        // The colons of an IPv6 address stand in brackets.
        let behind_brackets = authority.rfind(']').map_or(0, |bracket| bracket + 1);
        let (host, port) = match authority[behind_brackets..].rfind(':') {
            Some(colon) => {
                let colon = behind_brackets + colon;
                let port =
                    authority[colon + 1..].parse().map_err(|_| invalid("expected a port number behind the `:`"))?;
                (&authority[..colon], Some(port))
            }
            None => (authority, None),
        };
        Ok(Self { tls, username, password, virtual_host, host: host.to_owned(), port })
    }
}

/// The text itself is not shown: it may hold a password.
fn invalid(reason: &str) -> Error {
    Error::Setting { key: "spring.rabbitmq.addresses", reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &str) -> Result<Addresses, Error> {
        Addresses::new(&RabbitSettings { addresses: Secret::from(list), ..RabbitSettings::default() })
    }

    #[test]
    fn first_address_wins_over_the_settings() {
        let addresses = addresses("amqp://u:pw@a/team, b:1 ,[::1]:2").unwrap();
        assert_eq!(addresses.to_string(), "a:5672,b:1,[::1]:2/team");
        assert_eq!((addresses.username.as_str(), addresses.password.expose()), ("u", "pw"));
        assert!(!format!("{addresses:?}").contains("pw"));
    }

    #[test]
    fn settings_are_used_without_addresses() {
        let settings =
            RabbitSettings { host: "mq".to_owned(), virtual_host: " ".to_owned(), ..RabbitSettings::default() };
        let addresses = Addresses::new(&settings).unwrap();
        assert_eq!((addresses.to_string().as_str(), addresses.virtual_host.as_str()), ("mq:5672/", "/"));
        assert_eq!(addresses.username, "guest");
    }

    #[test]
    fn mistakes_are_named_without_showing_the_address() {
        for list in ["http://u:geheim@a", "u:geheim@a:x", "u:geheim@a:99999"] {
            let error = addresses(list).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains("spring.rabbitmq.addresses") && !text.contains("geheim"), "{text}");
        }
        assert!(addresses("u@:1").is_err());
    }

    #[test]
    fn next_address_is_tried_after_a_failure() {
        let addresses = addresses("a:1,b:2").unwrap();
        let mut ports = vec![addresses.pick().port, addresses.pick().port];
        addresses.failed();
        ports.push(addresses.pick().port);
        addresses.failed();
        ports.push(addresses.pick().port);
        assert_eq!(ports, [1, 1, 2, 1]);
    }

    #[cfg(not(feature = "amqps"))]
    #[test]
    fn tls_without_the_feature_is_an_error_that_names_it() {
        let error = addresses("amqps://a").unwrap_err();
        assert_eq!(error.to_string(), "`amqps://` needs the feature `amqps` of `vernal-bus-client`");
        let mut settings = RabbitSettings::default();
        settings.ssl.enabled = Some(true);
        assert!(matches!(Addresses::new(&settings), Err(Error::MissingFeature { feature: "amqps", .. })));
    }
}
