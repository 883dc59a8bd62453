//! Cases without HTTP.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::value::MapDeserializer;
use serde::de::{Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::{Value, json};
use tokio::time::Instant;
use vernal_commons::instance::ServiceInstance;
use vernal_commons::property::PropertyResolver;
use vernal_discovery_client::registry::{Guard, Registry};
use vernal_discovery_client::wire::json::decode_applications;
use vernal_discovery_client::{
    ApplicationFacts, EurekaInstanceSettings, HostAddress, Index, InetSettings, InstanceRecord, Interface,
};

use crate::tally::{Outcome, Tally, same};

/// Runs the cases of a file.
pub(crate) type Runner = fn(&mut Tally, &Value);

pub(crate) const ALL: &[(&str, Runner)] = &[
    ("apps-hashcode", hashes),
    ("delta-application", deltas),
    ("instance-defaults", defaults),
    ("load-balancer-instances", look_ups),
];

fn cases(file: &Value) -> impl Iterator<Item = (String, &Value)> {
    let name = file["name"].as_str().unwrap();
    file["cases"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(move |(position, case)| (format!("{name}#{position}"), case))
}

fn document(applications: &[Value]) -> Value {
    json!({ "applications": { "versions__delta": "1", "apps__hashcode": "", "application": applications } })
}

fn loaded(document: &Value) -> Result<Registry, String> {
    let mut registry = Registry::new();
    let document = decode_applications(document.to_string().as_bytes()).map_err(|error| error.to_string())?;
    registry.replace(&document, Guard::OFF, Instant::now());
    Ok(registry)
}

fn hashes(tally: &mut Tally, file: &Value) {
    for (name, case) in cases(file) {
        let applications: Vec<_> = case["instances"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| json!({ "name": i[0], "instance": [{ "instanceId": i[1], "hostName": "h", "app": i[0], "status": i[2] }] }))
            .collect();
        let outcome = loaded(&document(&applications)).and_then(|registry| {
            same("hash", &registry.hash().as_str(), &case["hash"].as_str().unwrap())?;
            Ok(Outcome::Passed)
        });
        tally.count(&name, outcome);
    }
}

fn deltas(tally: &mut Tally, file: &Value) {
    for (name, case) in cases(file) {
        tally.count(&name, delta(case));
    }
}

/// A delta that does not lead to the next full document must be noticed by its hash.
fn delta(case: &Value) -> Result<Outcome, String> {
    let mut registry = loaded(&case["full"])?;
    let delta = decode_applications(case["delta"].to_string().as_bytes()).map_err(|error| error.to_string())?;
    let applied = registry.apply(&delta);
    let ours: BTreeSet<_> =
        registry.iter().map(|(app, id, entry)| [app.to_owned(), id.to_owned(), entry.status().to_string()]).collect();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let expected: BTreeSet<_> =
        case["expect"].as_array().unwrap().iter().map(|i| [text(&i[0]), text(&i[1]), text(&i[2])]).collect();
    same("applies cleanly", &(ours == expected), &case["applies_cleanly"].as_bool().unwrap())?;
    if ours == expected {
        same("hash", &registry.hash().as_str(), &case["expect_hash"].as_str().unwrap())?;
    }
    let promised = case["delta"]["applications"]["apps__hashcode"].as_str();
    same("hash matches", &applied.hash_matches, &(promised == Some(registry.hash().as_str())))?;
    Ok(Outcome::Passed)
}

/// The machine of the recordings: its address has no name, so Java takes the address as name.
const IP: &str = "192.0.2.7";
const HOST: &str = "recorder";

fn defaults(tally: &mut Tally, file: &Value) {
    for (name, case) in cases(file) {
        let text = case.to_string().replace("${IP}", IP).replace("${HOST}", HOST);
        tally.count(&name, default(&serde_json::from_str(&text).unwrap()));
    }
}

fn default(case: &Value) -> Result<Outcome, String> {
    let given: BTreeMap<String, String> = serde_json::from_value(case["given"].clone()).unwrap();
    let resolved: BTreeMap<String, String> = given
        .iter()
        .map(|(name, value)| Ok((name.clone(), given.resolve_placeholders(value)?)))
        .collect::<Result<_, vernal_commons::BoxError>>()
        .map_err(|error| error.to_string())?;
    let settings: EurekaInstanceSettings = bind(&resolved, "eureka.instance.")?;
    let inet: InetSettings = bind(&resolved, "spring.cloud.inetutils.")?;
    let expect = &case["expect"];
    let bound = u16::try_from(expect["boundPort"].as_u64().unwrap()).unwrap();
    let facts = ApplicationFacts::from_properties(&resolved).map_err(|error| error.to_string())?.listening_on(bound);
    let address = IP.parse().unwrap();
    let eth0 = Interface::new("eth0", 2, address);
    let local = HostAddress::new(HOST, "127.0.0.1");
    let host = HostAddress::choose(&inet, &[eth0], Some(address), Some(&local)).map_err(|error| error.to_string())?;
    let record = InstanceRecord::from_settings(&settings, &facts, &host);
    record.validate().map_err(|error| error.to_string())?;
    let instance = record.service_instance().unwrap();
    let health: Vec<_> = record.health_check_url.iter().chain(&record.secure_health_check_url).collect();
    let ours = json!({
        "instanceId": record.instance_id, "app": record.app, "appGroupName": record.app_group,
        "hostName": record.host_name, "ipAddr": record.ip_addr,
        "port": record.port.number, "portEnabled": record.port.enabled,
        "securePort": record.secure_port.number, "securePortEnabled": record.secure_port.enabled,
        "vipAddress": record.vip_address, "secureVipAddress": record.secure_vip_address,
        "homePageUrl": record.home_page_url, "statusPageUrl": record.status_page_url, "healthCheckUrls": health,
        "status": record.status.as_str(),
        "renewalIntervalInSecs": record.lease.renewal_interval, "durationInSecs": record.lease.duration,
        "metadata": record.metadata,
        "boundPort": bound,
        "registrationUri": format!("{}://{}", instance.scheme(), instance.authority()),
        "serviceId": expect["serviceId"],
    });
    // Spring's view of itself has the application's name as it was written.
    same("service", &expect["serviceId"].as_str().unwrap().to_uppercase(), &record.app)?;
    let mut expected = expect.clone();
    let random = given.get("server.port").is_some_and(|port| port == "0");
    if random && expect["instanceId"].as_str().is_some_and(|id| id.ends_with(":0")) {
        let id = expect["instanceId"].as_str().unwrap().trim_end_matches(":0");
        expected["instanceId"] = json!(format!("{id}:{bound}"));
    }
    for (member, value) in expected.as_object().unwrap() {
        same(member, &ours[member], value)?;
    }
    Ok(if expected == *expect { Outcome::Passed } else { Outcome::Deviation("2.12") })
}

/// Properties as a binder sees them: text, with an object wherever a name goes on.
fn bind<'de, T: Deserialize<'de>>(properties: &BTreeMap<String, String>, prefix: &str) -> Result<T, String> {
    let mut members: BTreeMap<String, Text> = BTreeMap::new();
    for (name, value) in properties {
        let Some(name) = name.strip_prefix(prefix) else { continue };
        match name.split_once('.') {
            None => drop(members.insert(name.to_owned(), Text::Scalar(value.clone()))),
            Some((map, key)) => match members.entry(map.to_owned()).or_insert_with(|| Text::Map(BTreeMap::new())) {
                Text::Map(map) => drop(map.insert(key.to_owned(), value.clone())),
                Text::Scalar(_) => return Err(format!("`{map}` is text and an object")),
            },
        }
    }
    T::deserialize(MapDeserializer::new(members.into_iter()))
        .map_err(|error: serde::de::value::Error| error.to_string())
}

#[derive(Debug)]
enum Text {
    Scalar(String),
    Map(BTreeMap<String, String>),
}

impl<'de> IntoDeserializer<'de> for Text {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            match self {
                Self::Scalar(text) => visitor.$visit(text.parse().map_err(Self::Error::custom)?),
                Self::Map(_) => Err(Self::Error::custom("an object, not text")),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Text {
    type Error = serde::de::value::Error;

    parsed! { deserialize_bool visit_bool deserialize_u16 visit_u16 deserialize_u32 visit_u32 }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self {
            Self::Scalar(text) => visitor.visit_string(text),
            Self::Map(map) => visitor.visit_map(MapDeserializer::new(map.into_iter())),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self {
            Self::Scalar(text) => {
                let parts: Vec<_> = text.split(',').map(|part| part.trim().to_owned()).collect();
                visitor.visit_seq(serde::de::value::SeqDeserializer::new(parts.into_iter()))
            }
            Self::Map(_) => Err(Self::Error::custom("an object, not a list")),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The registry is put together from the answers: an instance has as virtual addresses the ids that found it.
fn look_ups(tally: &mut Tally, file: &Value) {
    let mut registered: BTreeMap<String, (Value, Vec<String>)> = BTreeMap::new();
    for (_, case) in cases(file) {
        for instance in case["instances"].as_array().unwrap() {
            let entry = registered.entry(instance["instanceId"].to_string()).or_insert((instance.clone(), Vec::new()));
            entry.1.push(case["id"].as_str().unwrap().to_owned());
        }
    }
    let applications: Vec<_> = registered.values().map(|(instance, vips)| application(instance, vips)).collect();
    let registry = match loaded(&document(&applications)) {
        Ok(registry) => registry,
        Err(reason) => return tally.count(file["name"].as_str().unwrap(), Err(reason)),
    };
    let index = Index::build(&registry, &Index::default(), true);
    for (name, case) in cases(file) {
        tally.count(&name, look_up(&index, case));
    }
}

fn application(instance: &Value, vips: &[String]) -> Value {
    let secure = instance["secure"].as_bool().unwrap();
    let other = if secure { instance["port"].as_u64().unwrap() - 1 } else { 443 };
    let (port, secure_port) =
        if secure { (json!(other), &instance["port"]) } else { (instance["port"].clone(), &json!(other)) };
    json!({ "name": instance["serviceId"], "instance": [{
        "instanceId": instance["instanceId"], "app": instance["serviceId"], "hostName": instance["host"],
        "status": "UP", "vipAddress": vips.join(","), "metadata": instance["metadata"],
        "port": { "$": port, "@enabled": (!secure).to_string() },
        "securePort": { "$": secure_port, "@enabled": secure.to_string() },
    }] })
}

fn look_up(index: &Index, case: &Value) -> Result<Outcome, String> {
    let id = case["id"].as_str().unwrap();
    let show = |instance: &ServiceInstance| {
        json!({
            "serviceId": instance.service_id(), "instanceId": instance.instance_id(), "host": instance.host(),
            "port": instance.port(), "secure": instance.is_secure(), "scheme": instance.scheme(),
            "uri": format!("{}://{}", instance.scheme(), instance.authority()), "metadata": instance.metadata(),
        })
    };
    let by_vip: Vec<_> = index.by_vip(id).into_iter().flat_map(|view| view.instances().map(show)).collect();
    same("by virtual address", &json!(by_vip), &case["instances"])?;
    let found: Vec<_> = index.lookup(id).into_iter().flat_map(|view| view.instances().map(show)).collect();
    if by_vip == found {
        return Ok(Outcome::Passed);
    }
    // Spring knows no other way; ours goes on with the application's name.
    let by_name = index.by_application(id).map(|view| view.len());
    same("by application name", &Some(found.len()), &by_name)?;
    Ok(Outcome::Deviation("2.7"))
}
