//! The instance record: decoded as Netflix's codec does, written in its "full" JSON format.

use std::fmt;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::token::{Malformed, Token, Tokens};

/// The status of an instance (`InstanceInfo.InstanceStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the wire knows these five words and reads any other as `UNKNOWN`")]
pub enum Status {
    /// Shutting down, or its health check failed.
    Down,
    /// Taken out of traffic by an operator.
    OutOfService,
    /// Initialising.
    Starting,
    /// An override was removed, or the word was not understood.
    Unknown,
    /// Ready for traffic.
    Up,
}

/// What happened last to an instance (`InstanceInfo.ActionType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Added,
    Modified,
    Deleted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) number: i32,
    pub(super) enabled: bool,
}

/// Where the instance runs; only Amazon's has metadata of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DataCenter {
    Named(Option<&'static str>),
    Amazon(IndexMap<String, String>),
}

/// The client's part of the lease information, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) renewal: i32,
    pub(super) duration: i32,
}

/// The server's part of the lease information, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stamps {
    pub(super) registered: u64,
    pub(super) renewed: u64,
    pub(super) evicted: u64,
    pub(super) up: u64,
}

/// An instance as it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) instance_id: Option<String>,
    pub(super) host: Option<String>,
    pub(super) app: String,
    pub(super) ip: Option<String>,
    sid: Option<String>,
    pub(super) status: Status,
    pub(super) overridden: Status,
    pub(super) port: Port,
    pub(super) secure_port: Port,
    country: i32,
    pub(super) data_center: Option<DataCenter>,
    terms: Option<Terms>,
    pub(super) metadata: IndexMap<String, String>,
    app_group: Option<String>,
    home_page: Option<String>,
    status_page: Option<String>,
    health_check: Option<String>,
    secure_health_check: Option<String>,
    pub(super) vip: Option<String>,
    pub(super) secure_vip: Option<String>,
    pub(super) updated: u64,
    pub(super) dirty: i64,
    pub(super) action: Action,
    asg: Option<String>,
}

/// Why a body is no registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undecodable {
    /// Answered with 400.
    Malformed,
    /// The body `null` passes Netflix's decoder and breaks what comes behind it: 500.
    Null,
}

// ===== impl Status =====

impl Status {
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

    /// The status of a word, which must be written exactly so.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Down, Self::OutOfService, Self::Starting, Self::Unknown, Self::Up]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// ===== impl Action =====

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

// ===== impl Terms =====

impl Terms {
    /// `LeaseInfo.DEFAULT_LEASE_RENEWAL_INTERVAL` and `DEFAULT_LEASE_DURATION`.
    pub(super) const DEFAULT: Self = Self { renewal: 30, duration: 90 };
}

// ===== impl Record =====

impl Record {
    /// What Netflix's codec makes of the body of a registration at `now` (milliseconds since 1970).
    pub(super) fn decode(body: &[u8], now: u64) -> Result<Self, Undecodable> {
        let text = std::str::from_utf8(body).map_err(|_| Undecodable::Malformed)?;
        let mut tokens = Tokens::new(text.strip_prefix('\u{feff}').unwrap_or(text));
        match tokens.need()? {
            Token::BeginObject => {}
            Token::Null => return Err(Undecodable::Null),
            _ => return Err(Undecodable::Malformed),
        }
        if tokens.need()? != Token::Name("instance".into()) {
            return Err(Undecodable::Malformed);
        }
        tokens.need()?;
        let record = Self::read(&mut tokens, now)?;
        // A second member beside `instance`, or an instance that ended early, shows here.
        if tokens.need()? == Token::EndObject { Ok(record) } else { Err(Undecodable::Malformed) }
    }

    /// Reads members until the first end of an object, wherever that is: an unknown member that is an object ends the
    /// instance, an unknown list shifts names and values against each other. That is the decoder's behaviour.
    fn read(tokens: &mut Tokens<'_>, now: u64) -> Result<Self, Malformed> {
        let mut record = Self::empty(now);
        let mut app = None;
        loop {
            let name = tokens.need()?;
            if name == Token::EndObject {
                break;
            }
            let value = tokens.need()?;
            if value == Token::Null {
                continue;
            }
            let text = || Some(value.text().to_owned());
            match name.text() {
                "instanceId" => record.instance_id = text(),
                "hostName" => record.host = text(),
                "app" => app = Some(value.text().to_uppercase()),
                "ipAddr" => record.ip = text(),
                "sid" => record.sid = text(),
                "status" => record.status = Status::parse(value.text()).unwrap_or(Status::Unknown),
                "overriddenStatus" | "overriddenstatus" => {
                    record.overridden = Status::parse(value.text()).unwrap_or(Status::Unknown);
                }
                "port" => read_port(tokens, &mut record.port)?,
                "securePort" => read_port(tokens, &mut record.secure_port)?,
                "countryId" => record.country = value.int()?,
                "dataCenterInfo" => record.data_center = Some(read_data_center(tokens, &value)?),
                "leaseInfo" => record.terms = Some(read_terms(tokens)?),
                "healthCheckUrl" => record.health_check = text(),
                "secureHealthCheckUrl" => record.secure_health_check = text(),
                "appGroupName" => record.app_group = Some(value.text().to_uppercase()),
                "homePageUrl" => record.home_page = text(),
                "statusPageUrl" => record.status_page = text(),
                "vipAddress" => record.vip = text(),
                "secureVipAddress" => record.secure_vip = text(),
                "lastUpdatedTimestamp" => {
                    value.long()?;
                }
                "lastDirtyTimestamp" => record.dirty = value.long()?,
                "asgName" => record.asg = text(),
                "metadata" => record.metadata = read_metadata(tokens)?,
                _ => {}
            }
        }
        record.app = app.ok_or(Malformed)?;
        Ok(record)
    }

    fn empty(now: u64) -> Self {
        Self {
            instance_id: None,
            host: None,
            app: String::new(),
            ip: None,
            sid: None,
            status: Status::Up,
            overridden: Status::Unknown,
            port: Port { number: 7001, enabled: true },
            secure_port: Port { number: 7002, enabled: false },
            country: 1,
            data_center: None,
            terms: None,
            metadata: IndexMap::new(),
            app_group: None,
            home_page: None,
            status_page: None,
            health_check: None,
            secure_health_check: None,
            vip: None,
            secure_vip: None,
            updated: now,
            dirty: i64::try_from(now).unwrap_or(i64::MAX),
            action: Action::Added,
            asg: None,
        }
    }

    /// What identifies the instance inside its application (`InstanceInfo.getId`).
    pub(super) fn id(&self) -> &str {
        let own = self.instance_id.as_deref().filter(|id| !id.is_empty());
        let amazon = match &self.data_center {
            Some(DataCenter::Amazon(metadata)) => metadata.get("instance-id").filter(|id| !id.is_empty()),
            _ => None,
        };
        own.or(amazon.map(String::as_str)).or(self.host.as_deref()).unwrap_or_default()
    }

    pub(super) fn terms(&self) -> Terms {
        self.terms.unwrap_or(Terms::DEFAULT)
    }

    /// Why the server refuses this record on the path of `app`: `ApplicationResource.addInstance`, in its order.
    pub(super) fn refusal(&self, app: &str) -> Option<String> {
        let blank = |value: &Option<String>| value.as_deref().is_none_or(str::is_empty);
        let refusal = if self.id().is_empty() {
            "Missing instanceId"
        } else if blank(&self.host) {
            "Missing hostname"
        } else if blank(&self.ip) {
            "Missing ip address"
        } else if self.app.is_empty() {
            "Missing appName"
        } else if self.app != app {
            return Some(format!("Mismatched appName, expecting {app} but was {}", self.app));
        } else {
            match self.data_center {
                None => "Missing dataCenterInfo",
                Some(DataCenter::Named(None)) => "Missing dataCenterInfo Name",
                Some(_) => return None,
            }
        };
        Some(refusal.to_owned())
    }

    /// Gives an Amazon record without `instance-id` its identity as one, as the server does.
    pub(super) fn complete(&mut self) {
        let id = self.id().to_owned();
        if let Some(DataCenter::Amazon(metadata)) = &mut self.data_center
            && metadata.get("instance-id").is_none_or(String::is_empty)
        {
            metadata.entry("instance-id".to_owned()).or_insert(id);
        }
    }

    /// The record in the full JSON format, members in the order of `EurekaJacksonCodec`.
    pub(super) fn encode(&self, stamps: Stamps) -> Value {
        let mut out = Map::new();
        let mut put = |name: &str, value: Value| {
            out.insert(name.to_owned(), value);
        };
        let port = |port: Port| json!({ "$": port.number, "@enabled": port.enabled.to_string() });
        if let Some(id) = &self.instance_id {
            put("instanceId", json!(id));
        }
        put("hostName", json!(self.host));
        put("app", json!(self.app));
        put("ipAddr", json!(self.ip));
        if let Some(sid) = self.sid.as_deref().filter(|sid| !matches!(*sid, "na" | "unknown")) {
            put("sid", json!(sid));
        }
        put("status", json!(self.status.as_str()));
        put("overriddenStatus", json!(self.overridden.as_str()));
        put("port", port(self.port));
        put("securePort", port(self.secure_port));
        put("countryId", json!(self.country));
        if let Some(data_center) = &self.data_center {
            put("dataCenterInfo", data_center.encode());
        }
        let terms = self.terms();
        put(
            "leaseInfo",
            json!({
                "renewalIntervalInSecs": terms.renewal,
                "durationInSecs": terms.duration,
                "registrationTimestamp": stamps.registered,
                "lastRenewalTimestamp": stamps.renewed,
                "evictionTimestamp": stamps.evicted,
                "serviceUpTimestamp": stamps.up,
            }),
        );
        if self.metadata.is_empty() {
            put("metadata", json!({ "@class": "java.util.Collections$EmptyMap" }));
        } else {
            put("metadata", json!(self.metadata));
        }
        // Java writes the fields marked `@Auto` in the order of their declaration.
        for (name, value) in [
            ("appGroupName", &self.app_group),
            ("homePageUrl", &self.home_page),
            ("statusPageUrl", &self.status_page),
            ("healthCheckUrl", &self.health_check),
            ("secureHealthCheckUrl", &self.secure_health_check),
            ("vipAddress", &self.vip),
            ("secureVipAddress", &self.secure_vip),
        ] {
            if let Some(value) = value {
                put(name, json!(value));
            }
        }
        put("isCoordinatingDiscoveryServer", json!("false"));
        put("lastUpdatedTimestamp", json!(self.updated.to_string()));
        put("lastDirtyTimestamp", json!(self.dirty.to_string()));
        put("actionType", json!(self.action.as_str()));
        if let Some(asg) = &self.asg {
            put("asgName", json!(asg));
        }
        Value::Object(out)
    }
}

impl From<Malformed> for Undecodable {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

// ===== impl DataCenter =====

impl DataCenter {
    fn encode(&self) -> Value {
        match self {
            Self::Named(name) => {
                json!({ "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": name })
            }
            Self::Amazon(metadata) => {
                json!({ "@class": "com.netflix.appinfo.AmazonInfo", "name": "Amazon", "metadata": metadata })
            }
        }
    }
}

/// Only the two known members may stand here; a port that is a bare number fails at the member behind it.
fn read_port(tokens: &mut Tokens<'_>, port: &mut Port) -> Result<(), Malformed> {
    loop {
        let name = tokens.need()?;
        if name == Token::EndObject {
            return Ok(());
        }
        let field = name.text().to_owned();
        let value = if matches!(name, Token::Name(_)) { tokens.need()? } else { name };
        match field.as_str() {
            "$" => port.number = value.int()?,
            "@enabled" => port.enabled = value.truth(),
            _ => return Err(Malformed),
        }
    }
}

fn read_terms(tokens: &mut Tokens<'_>) -> Result<Terms, Malformed> {
    let mut terms = Terms::DEFAULT;
    let or = |seconds: i32, default: i32| if seconds > 0 { seconds } else { default };
    loop {
        let name = tokens.need()?;
        if name == Token::EndObject {
            return Ok(terms);
        }
        let value = tokens.need()?;
        if value == Token::Null {
            continue;
        }
        match name.text() {
            "renewalIntervalInSecs" => terms.renewal = or(value.int()?, Terms::DEFAULT.renewal),
            "durationInSecs" => terms.duration = or(value.int()?, Terms::DEFAULT.duration),
            // The server sets these itself; the client's must be readable only.
            "registrationTimestamp" | "lastRenewalTimestamp" | "evictionTimestamp" | "serviceUpTimestamp" => {
                value.long()?;
            }
            _ => {}
        }
    }
}

fn read_metadata(tokens: &mut Tokens<'_>) -> Result<IndexMap<String, String>, Malformed> {
    let mut metadata = IndexMap::new();
    loop {
        let key = tokens.need()?;
        if key == Token::EndObject {
            return Ok(metadata);
        }
        let value = tokens.need()?;
        if key.text() != "@class" {
            metadata.insert(key.text().to_owned(), value.text().to_owned());
        }
    }
}

/// `DataCenterTypeInfoResolver`: the class decides, and must be one of three.
fn read_data_center(tokens: &mut Tokens<'_>, value: &Token<'_>) -> Result<DataCenter, Malformed> {
    if *value != Token::BeginObject {
        return Err(Malformed);
    }
    let (mut class, mut name, mut metadata, mut foreign) = (None, None, IndexMap::new(), false);
    loop {
        let key = tokens.need()?;
        if key == Token::EndObject {
            break;
        }
        let value = tokens.need()?;
        match key.text() {
            "@class" => class = Some(value.text().to_owned()),
            "name" => name = (value != Token::Null).then(|| value.text().to_owned()),
            member => {
                foreign = true;
                if value == Token::BeginObject && member == "metadata" {
                    metadata = read_metadata(tokens)?;
                } else if matches!(value, Token::BeginObject | Token::BeginArray) {
                    return Err(Malformed);
                }
            }
        }
    }
    match class.as_deref() {
        Some("com.netflix.appinfo.AmazonInfo") => Ok(DataCenter::Amazon(metadata)),
        Some("com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo" | "com.netflix.appinfo.MyDataCenterInfo")
            if !foreign =>
        {
            match name {
                None => Ok(DataCenter::Named(None)),
                Some(name) => ["Netflix", "Amazon", "MyOwn"]
                    .into_iter()
                    .find(|known| *known == name)
                    .map(|known| DataCenter::Named(Some(known)))
                    .ok_or(Malformed),
            }
        }
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CENTER: &str = r#""dataCenterInfo":{"@class":"com.netflix.appinfo.MyDataCenterInfo","name":"MyOwn"}"#;

    fn decode(members: &str) -> Result<Record, Undecodable> {
        Record::decode(format!(r#"{{"instance":{{"app":"orders","hostName":"h1",{members}}}}}"#).as_bytes(), 7)
    }

    #[test]
    fn absent_members_get_java_defaults() {
        let record = decode(CENTER).unwrap();
        assert_eq!(record.id(), "h1");
        assert_eq!((record.app.as_str(), record.status, record.dirty), ("ORDERS", Status::Up, 7));
        assert_eq!(record.port, Port { number: 7001, enabled: true });
        assert_eq!(record.terms(), Terms::DEFAULT);
        assert_eq!(record.refusal("ORDERS").as_deref(), Some("Missing ip address"));
    }

    #[test]
    fn unknown_members_are_taken_as_the_token_walk_takes_them() {
        for (members, accepted) in [
            (format!("\"foo\":5,{CENTER}"), true),
            (format!("\"foo\":[1],{CENTER}"), true),
            (format!("{CENTER},\"foo\":[1,2]"), false),
            (format!("{CENTER},\"foo\":[]"), false),
            (format!("\"foo\":{{\"a\":1}},{CENTER}"), false),
            (format!("{CENTER},\"foo\":{{\"a\":1}}"), true),
            (format!("{CENTER},\"foo\":{{\"a\":[1]}}"), true),
            (format!("\"port\":8080,{CENTER}"), false),
            (format!("\"port\":null,{CENTER}"), true),
        ] {
            assert_eq!(decode(&members).is_ok(), accepted, "{members}");
        }
    }

    #[test]
    fn the_data_center_needs_a_known_class_and_name() {
        for (center, accepted) in [
            (r#"{"name":"MyOwn","@class":"com.netflix.appinfo.MyDataCenterInfo"}"#, true),
            (r#"{"name":"MyOwn"}"#, false),
            (r#"{"name":"MyOwn","@class":"com.example.Mine"}"#, false),
            (r#"{"name":"Home","@class":"com.netflix.appinfo.MyDataCenterInfo"}"#, false),
            (r#"{"@class":"com.netflix.appinfo.AmazonInfo","name":"Amazon","metadata":{"instance-id":"i-1"}}"#, true),
            (r#""MyOwn""#, false),
        ] {
            assert_eq!(decode(&format!("\"dataCenterInfo\":{center}")).is_ok(), accepted, "{center}");
        }
    }

    #[test]
    fn metadata_values_become_text() {
        let record = decode(r#""metadata":{"@class":"java.util.HashMap","n":5,"z":null,"f":1.50,"s":"a"}"#).unwrap();
        let seen: Vec<_> = record.metadata.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(seen, ["n=5", "z=null", "f=1.50", "s=a"]);
    }

    #[test]
    fn the_body_null_is_told_from_a_malformed_one() {
        assert_eq!(Record::decode(b"null", 0), Err(Undecodable::Null));
        for body in ["", "5", "[]", "{}", "{\"instance\":null}", "{\"instances\":{}}", "\u{e9}"] {
            assert_eq!(Record::decode(body.as_bytes(), 0), Err(Undecodable::Malformed), "{body}");
        }
    }
}
