//! The name of one node on the bus.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::error::Error;

/// A bus id: `{application}:{profiles}:{index}:{random}`, or what `spring.cloud.bus.id` says.
///
/// Fixed for the life of a process: make it once, at the start. Two nodes with the same id take each other's events
/// for their own in Spring; here they do not (see [`crate`], "Deviations").
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BusId(Arc<str>);

impl BusId {
    /// A bus id of the user's choice.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidId`] if it is empty, or has an empty segment, white space or one of the pattern characters
    /// `* ? { }`: no destination could address such a node, or too many would.
    pub fn new(id: impl AsRef<str>) -> Result<Self, Error> {
        let id = id.as_ref();
        let invalid = |reason| Err(Error::InvalidId { id: id.to_owned(), reason });
        if id.split(':').any(str::is_empty) {
            return invalid("a segment is empty");
        }
        if id.contains(char::is_whitespace) {
            return invalid("it contains white space");
        }
        if id.contains(['*', '?', '{', '}']) {
            return invalid("it contains a pattern character");
        }
        Ok(Self(id.into()))
    }

    /// The id that Spring's `BusEnvironmentPostProcessor` (bus 5.0.1, `fixtures/bus/ids`) makes from the same
    /// settings. `lookup` answers with the resolved value of a property (placeholders replaced), by its canonical
    /// name, or by the name of the environment variable `VCAP_APPLICATION`.
    ///
    /// | part | first of |
    /// |---|---|
    /// | all | `spring.cloud.bus.id` |
    /// | application | `vcap.application.name` (then without profiles), `spring.application.name`, `application` |
    /// | profiles | `spring.profiles.active`, verbatim; left out if there is none |
    /// | index | `vcap.application.instance_index`, `spring.application.index`, `local.server.port`, `server.port`, `8080` |
    /// | random | `vcap.application.instance_id`, 32 random hex digits |
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn from_settings(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        if let Some(id) = lookup("spring.cloud.bus.id") {
            return Self::new(id);
        }
        let cloud_foundry = CloudFoundry::new(lookup("VCAP_APPLICATION"));
        let vcap = |key: &str| lookup(&format!("vcap.application.{key}")).or_else(|| cloud_foundry.value(key));
        let mut segments = Vec::with_capacity(4);
        if let Some(name) = vcap("name") {
            segments.push(name);
        } else {
            segments.push(lookup("spring.application.name").unwrap_or_else(|| "application".to_owned()));
            segments.extend(lookup("spring.profiles.active").filter(|profiles| !profiles.trim().is_empty()));
        }
        let index = vcap("instance_index")
            .or_else(|| lookup("spring.application.index"))
            .or_else(|| lookup("local.server.port"))
            .or_else(|| lookup("server.port"));
        segments.push(index.unwrap_or_else(|| "8080".to_owned()));
        segments.push(vcap("instance_id").unwrap_or_else(|| Uuid::new_v4().simple().to_string()));
        Self::new(segments.join(":"))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BusId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BusId({:?})", self.as_str())
    }
}

impl fmt::Display for BusId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `VCAP_APPLICATION`, the JSON that Cloud Foundry puts into the environment.
struct CloudFoundry(serde_json::Map<String, serde_json::Value>);

impl CloudFoundry {
    fn new(json: Option<String>) -> Self {
        Self(json.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default())
    }

    fn value(&self, key: &str) -> Option<String> {
        match self.0.get(key)? {
            serde_json::Value::String(text) => Some(text.clone()),
            serde_json::Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_no_pattern_can_address_are_refused() {
        for id in ["", "a::b", ":a", "a:", "my orders:1", "orders:**", "a:?", "{a}:1"] {
            assert!(BusId::new(id).is_err(), "{id}");
        }
        assert_eq!(BusId::new("orders:dev,cloud:8080:ab12").unwrap().as_str(), "orders:dev,cloud:8080:ab12");
    }

    #[test]
    fn random_part_differs_from_node_to_node() {
        let id =
            || BusId::from_settings(|key| (key == "spring.application.name").then(|| "orders".to_owned())).unwrap();
        let (one, other) = (id(), id());
        assert_ne!(one, other);
        assert!(one.as_str().starts_with("orders:8080:"));
        assert_eq!(one.as_str().len(), "orders:8080:".len() + 32);
    }

    #[test]
    fn blank_application_name_is_an_error() {
        let settings = |key: &str| match key {
            "spring.application.name" => Some(String::new()),
            "vcap.application.instance_id" => Some("x".to_owned()),
            _ => None,
        };
        let error = BusId::from_settings(settings).unwrap_err();
        assert_eq!(error.to_string(), "bus id `:8080:x` cannot be used: a segment is empty");
    }
}
