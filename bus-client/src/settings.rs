//! Settings under Spring's property names.

mod duration;

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use vernal_commons::secret::Secret;

/// `spring.cloud.bus.*`, and what is ours below the same prefix.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct BusSettings {
    /// `enabled`: false switches everything off; nothing connects. Default true.
    pub enabled: bool,
    /// `id`: the bus id, read by [`BusId::from_settings`](crate::BusId::from_settings). Default none.
    pub id: Option<String>,
    /// `destination`: the exchange, the routing key and the stem of the queue's name. Default `springCloudBus`.
    pub destination: String,
    /// `content-type`: accepted and not used, as in Spring 5: `application/json` is the only one its nodes read.
    pub content_type: Option<String>,
    /// `refresh.enabled`: whether refresh events are acted on. They are acknowledged either way. Default true.
    pub refresh: Switch,
    /// `env.*`: env-change events.
    pub env: EnvSettings,
    /// `ack.*`: the acks that this node sends.
    pub ack: AckSettings,
    /// `trace.enabled`: keep the last acks for [`Bus::recent_acks`](crate::Bus::recent_acks). Default false.
    pub trace: TraceSettings,
    /// `shutdown.enabled`: whether shutdown events are acted on. Default **false**, unlike Spring: anybody who may
    /// publish could stop the fleet.
    pub shutdown: ShutdownSettings,
    /// Ours, `quiet-period`: a refresh starts when no further request came for this long. Default 500 ms.
    #[serde(deserialize_with = "duration::millis")]
    pub quiet_period: Duration,
    /// Ours, `jitter.*`: longest random delay before a refresh.
    pub jitter: JitterSettings,
}

/// A part that can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Switch {
    /// `enabled`. Default true.
    pub enabled: bool,
}

/// `spring.cloud.bus.env.*`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct EnvSettings {
    /// `enabled`: whether env-change events are acted on. They are acknowledged either way. Default true.
    pub enabled: bool,
    /// Ours, `allowed-keys`: the only names that may be set; a trailing `*` stands for any ending. Default none, which
    /// allows every name, as Spring does.
    pub allowed_keys: Option<Vec<String>>,
}

/// `spring.cloud.bus.ack.*`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct AckSettings {
    /// `enabled`: whether handled events are acknowledged. Every ack goes to every node: switch it off above about
    /// 200 nodes. Default true.
    pub enabled: bool,
    /// `destination-service`: whom acks are addressed to. Default none: everybody.
    pub destination_service: Option<String>,
}

/// `spring.cloud.bus.trace.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct TraceSettings {
    /// `enabled`. Default false.
    pub enabled: bool,
}

/// `spring.cloud.bus.shutdown.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct ShutdownSettings {
    /// `enabled`. Default false.
    pub enabled: bool,
}

/// Longest random delay before a refresh, by the widest destination of the events it answers. To keep a config
/// server below `r` requests a second with `n` nodes, choose at least `n / r` seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct JitterSettings {
    /// `instance`: one bus id. Default 0.
    #[serde(deserialize_with = "duration::millis")]
    pub instance: Duration,
    /// `service`: all instances of a service. Default 2 s.
    #[serde(deserialize_with = "duration::millis")]
    pub service: Duration,
    /// `fleet`: several services, or catching up after a gap. Default 15 s.
    #[serde(deserialize_with = "duration::millis")]
    pub fleet: Duration,
}

/// `spring.rabbitmq.*` (Spring Boot 4.0.5, `RabbitProperties`), as far as it is used here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct RabbitSettings {
    /// `host`. Default `localhost`.
    pub host: String,
    /// `port`. Default 5672, with TLS 5671.
    pub port: Option<u16>,
    /// `username`. Default `guest`.
    pub username: String,
    /// `password`. Default `guest`.
    pub password: Secret,
    /// `virtual-host`; blank means `/`. Default `/`.
    pub virtual_host: String,
    /// `addresses`: a list separated by commas, each `host[:port]` or `amqp[s]://user:password@host:port/vhost`. It
    /// wins over `host` and `port`; user, password, virtual host and TLS of the first one win over the settings. No
    /// percent-decoding, as in Spring. A secret, since it may hold passwords. Default none.
    #[serde(deserialize_with = "list")]
    pub addresses: Secret,
    /// `address-shuffle-mode`. Default `none`.
    pub address_shuffle_mode: AddressShuffleMode,
    /// `requested-heartbeat`, in seconds unless it has a unit: the lower of this and the broker's wish counts.
    /// Default 20 s.
    #[serde(deserialize_with = "duration::optional_seconds")]
    pub requested_heartbeat: Option<Duration>,
    /// `connection-timeout`, in milliseconds unless it has a unit. Default 10 s.
    #[serde(deserialize_with = "duration::optional_millis")]
    pub connection_timeout: Option<Duration>,
    /// `ssl.*`.
    pub ssl: SslSettings,
}

/// `spring.rabbitmq.ssl.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct SslSettings {
    /// `enabled`: needs the feature `amqps`. Default none: as the first of the addresses says.
    pub enabled: Option<bool>,
    /// `verify-hostname`: false is refused, it cannot be switched off here. Default true.
    pub verify_hostname: Option<bool>,
    /// `validate-server-certificate`: false is refused, it cannot be switched off here. Default true.
    pub validate_server_certificate: Option<bool>,
}

/// In which order several addresses are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum AddressShuffleMode {
    /// As given; the next one after each failure.
    #[default]
    None,
    /// Any, at each attempt.
    Random,
    /// The next one at each attempt.
    Inorder,
}

// ===== impl =====

impl Default for BusSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            id: None,
            destination: "springCloudBus".to_owned(),
            content_type: None,
            refresh: Switch::default(),
            env: EnvSettings::default(),
            ack: AckSettings::default(),
            trace: TraceSettings::default(),
            shutdown: ShutdownSettings::default(),
            quiet_period: Duration::from_millis(500),
            jitter: JitterSettings::default(),
        }
    }
}

impl Default for Switch {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl Default for EnvSettings {
    fn default() -> Self {
        Self { enabled: true, allowed_keys: None }
    }
}

impl Default for AckSettings {
    fn default() -> Self {
        Self { enabled: true, destination_service: None }
    }
}

impl Default for JitterSettings {
    fn default() -> Self {
        Self { instance: Duration::ZERO, service: Duration::from_secs(2), fleet: Duration::from_secs(15) }
    }
}

impl Default for RabbitSettings {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: None,
            username: "guest".to_owned(),
            password: Secret::from("guest"),
            virtual_host: "/".to_owned(),
            addresses: Secret::default(),
            address_shuffle_mode: AddressShuffleMode::None,
            requested_heartbeat: None,
            connection_timeout: None,
            ssl: SslSettings::default(),
        }
    }
}

impl BusSettings {
    /// These settings without waiting: a refresh starts as soon as it is asked for. For tests and examples.
    #[must_use]
    pub fn immediate(mut self) -> Self {
        self.quiet_period = Duration::ZERO;
        self.jitter = JitterSettings { instance: Duration::ZERO, service: Duration::ZERO, fleet: Duration::ZERO };
        self
    }
}

impl EnvSettings {
    pub(crate) fn allows(&self, key: &str) -> bool {
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => key.starts_with(start),
            None => key == pattern,
        };
        self.allowed_keys.as_ref().is_none_or(|patterns| patterns.iter().any(fits))
    }
}

/// A list of texts, or one text with commas.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    struct Addresses;

    impl<'de> Visitor<'de> for Addresses {
        type Value = Secret;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of addresses")
        }

        fn visit_str<E>(self, text: &str) -> Result<Secret, E> {
            Ok(Secret::from(text))
        }

        fn visit_unit<E>(self) -> Result<Secret, E> {
            Ok(Secret::default())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Secret, A::Error> {
            let mut all = String::new();
            while let Some(address) = seq.next_element::<Secret>()? {
                if !all.is_empty() {
                    all.push(',');
                }
                all.push_str(address.expose());
            }
            Ok(Secret::new(all))
        }
    }

    deserializer.deserialize_any(Addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_springs_names_and_defaults() {
        let json = r#"{"enabled":false,"destination":"teamBus","ack":{"enabled":false,"destination-service":"console"},
            "quiet-period":"250ms","jitter":{"service":100,"fleet":"PT1M"},"env":{"allowed-keys":["a.*","b"]}}"#;
        let settings: BusSettings = serde_json::from_str(json).unwrap();
        assert!(!settings.enabled && !settings.ack.enabled && settings.refresh.enabled && !settings.shutdown.enabled);
        assert_eq!(settings.ack.destination_service.as_deref(), Some("console"));
        assert_eq!(settings.quiet_period, Duration::from_millis(250));
        assert_eq!(settings.jitter.service, Duration::from_millis(100));
        assert_eq!(settings.jitter.fleet, Duration::from_secs(60));
        assert!(settings.env.allows("a.x") && settings.env.allows("b") && !settings.env.allows("bb"));
        assert_eq!(serde_json::from_str::<BusSettings>("{}").unwrap(), BusSettings::default());
    }

    #[test]
    fn rabbit_settings_never_show_a_password() {
        let json = r#"{"host":"mq","password":"geheim","addresses":["amqp://u:topsecret@a:1/v","b"],
            "requested-heartbeat":5,"connection-timeout":"2s","address-shuffle-mode":"inorder"}"#;
        let settings: RabbitSettings = serde_json::from_str(json).unwrap();
        assert_eq!(settings.addresses.expose(), "amqp://u:topsecret@a:1/v,b");
        assert_eq!(settings.requested_heartbeat, Some(Duration::from_secs(5)));
        assert_eq!(settings.connection_timeout, Some(Duration::from_secs(2)));
        let debug = format!("{settings:?}");
        assert!(!debug.contains("geheim") && !debug.contains("topsecret"), "{debug}");
    }
}
