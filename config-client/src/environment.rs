//! The document in which a config server answers.

use std::collections::BTreeSet;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::source::{Property, PropertySource};
use crate::value::{Origin, Value};

/// The largest answer that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 16 << 20;

/// What a config server said: property sources, the first one wins.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) version: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) sources: Vec<RemoteSource>,
}

/// One property source of an answer.
#[derive(Debug)]
pub(crate) struct RemoteSource {
    pub(crate) properties: PropertySource,
    /// Keys whose value is a JSON object that is no `{"value", "origin"}` pair; they have no text.
    pub(crate) objects: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default, rename = "propertySources")]
    sources: Option<Vec<Source>>,
}

#[derive(Deserialize)]
struct Source {
    #[serde(default)]
    name: Option<String>,
    // Java fails on `null`; here it counts as empty (config.md 2.4).
    #[serde(default)]
    source: Option<IndexMap<String, Box<RawValue>>>,
}

impl Environment {
    /// Reads an answer of either version; the shape decides, not the content type. A byte order mark is skipped.
    pub(crate) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let text = text.trim_start_matches('\u{feff}');
        // serde would read a list as the members in their order.
        if !text.trim_start().starts_with('{') {
            return Err(serde::de::Error::custom("not an object"));
        }
        let document: Document = serde_json::from_str(text)?;
        let mut sources: Vec<RemoteSource> = Vec::new();
        for source in document.sources.unwrap_or_default() {
            let name = source.name.unwrap_or_else(|| "unnamed".to_owned());
            let source = RemoteSource::read(name, source.source.unwrap_or_default())?;
            // Of two equal names in one answer Java keeps the later one (fixture `resolve/doc-same-names`).
            match sources.iter_mut().find(|earlier| earlier.properties.name() == source.properties.name()) {
                Some(earlier) => *earlier = source,
                None => sources.push(source),
            }
        }
        let present = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        Ok(Self { version: present(document.version), state: present(document.state), sources })
    }

    /// The value of the first source that has one.
    pub(crate) fn first(&self, key: &str) -> Option<&Property> {
        self.sources.iter().filter_map(|source| source.properties.get(key)).find(|property| !property.value().is_null())
    }
}

impl RemoteSource {
    fn read(name: String, members: IndexMap<String, Box<RawValue>>) -> Result<Self, serde_json::Error> {
        let name: Arc<str> = name.into();
        let mut objects = BTreeSet::new();
        let mut properties = PropertySource::new(Arc::clone(&name));
        for (key, raw) in members {
            let property = match read_value(raw.get())? {
                Read::Value(value, label) => {
                    let origin = match label {
                        Some(label) => Origin::server(Arc::clone(&name), &label),
                        None => Origin::source_only(Arc::clone(&name)),
                    };
                    Property::new(value, Some(origin))
                }
                Read::Object => {
                    objects.insert(key.clone());
                    Property::new("", Some(Origin::source_only(Arc::clone(&name))))
                }
            };
            properties.insert(key, property);
        }
        Ok(Self { properties, objects })
    }
}

enum Read {
    Value(Value, Option<String>),
    Object,
}

/// Numbers are read from their literal text, so that none loses a digit or its kind.
fn read_value(json: &str) -> Result<Read, serde_json::Error> {
    let json = json.trim();
    if !json.starts_with('{') {
        return scalar(json).map(|value| Read::Value(value, None));
    }
    let members: IndexMap<String, Box<RawValue>> = serde_json::from_str(json)?;
    let origin = match members.get("origin") {
        Some(origin) => serde_json::from_str::<Option<String>>(origin.get()).ok().flatten(),
        None => None,
    };
    match (members.len(), members.get("value"), members.contains_key("origin")) {
        (2, Some(value), true) if !value.get().trim_start().starts_with('{') => {
            Ok(Read::Value(scalar(value.get())?, origin))
        }
        // The server leaves members out that are null (config.md 1.2).
        (1, None, true) => Ok(Read::Value(Value::Null, origin)),
        _ => Ok(Read::Object),
    }
}

fn scalar(json: &str) -> Result<Value, serde_json::Error> {
    let json = json.trim();
    Ok(match json.as_bytes().first() {
        Some(b'n') => Value::Null,
        Some(b't' | b'f') => Value::Bool(json == "true"),
        Some(b'"') => Value::Text(serde_json::from_str(json)?),
        // No server sends lists; Java prints one as its elements joined by commas.
        Some(b'[') => {
            let elements: Vec<Box<RawValue>> = serde_json::from_str(json)?;
            let texts = elements.iter().map(|element| Ok(element_text(element.get())?.unwrap_or_default()));
            Value::Text(texts.collect::<Result<Vec<_>, serde_json::Error>>()?.join(","))
        }
        _ => Value::json_number(json).unwrap_or_else(|| Value::Text(json.to_owned())),
    })
}

fn element_text(json: &str) -> Result<Option<String>, serde_json::Error> {
    let json = json.trim();
    // Elements that are lists or objects stay JSON, so that hostile nesting costs no stack.
    if json.starts_with(['[', '{']) {
        return Ok(Some(json.to_owned()));
    }
    Ok(scalar(json)?.as_text().map(std::borrow::Cow::into_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(sources: &str) -> Environment {
        Environment::parse(&format!(r#"{{"name":"a","propertySources":{sources}}}"#)).unwrap()
    }

    fn text(environment: &Environment, key: &str) -> Option<String> {
        Some(environment.first(key)?.value().as_text()?.into_owned())
    }

    #[test]
    fn missing_and_null_members_count_as_empty() {
        for body in [
            r#"{"name":"a"}"#,
            r#"{"propertySources":null,"profiles":null,"new":[{}]}"#,
            r#"{"propertySources":[{"name":"s","source":null,"x":1}],"state":"","version":null}"#,
        ] {
            let environment = Environment::parse(body).unwrap();
            assert!(environment.sources.iter().all(|source| source.properties.is_empty()), "{body}");
            assert!(environment.version.is_none() && environment.state.is_none(), "{body}");
        }
    }

    #[test]
    fn numbers_keep_their_text() {
        let environment = parse(
            r#"[{"name":"s","source":{"b":true,"f":1.5,"t":"007","big":12345678901234567890,"ten":10.0,"e":1e8,"z":-0.0}}]"#,
        );
        let texts = ["b", "f", "t", "big", "ten", "e", "z"].map(|key| text(&environment, key).unwrap());
        assert_eq!(texts, ["true", "1.5", "007", "12345678901234567890", "10.0", "1.0E8", "-0.0"]);
    }

    #[test]
    fn pairs_of_value_and_origin_are_unwrapped_and_nothing_else() {
        let environment = parse(
            r#"[{"name":"s","source":{"k":{"value":3,"origin":"3:9"},"n":{"origin":"3:9"},"p":"x","o":{"value":1,"origin":"1:1","x":2},"v":{"value":7}}}]"#,
        );
        assert_eq!(text(&environment, "k").as_deref(), Some("3"));
        assert_eq!(environment.first("k").unwrap().origin().unwrap().to_string(), "s:3:9");
        assert!(environment.first("n").is_none());
        assert_eq!(environment.sources[0].objects.iter().collect::<Vec<_>>(), ["o", "v"]);
    }

    #[test]
    fn null_lets_a_lower_source_speak() {
        let environment = parse(r#"[{"name":"a","source":{"k":null}},{"name":"b","source":{"k":2}}]"#);
        assert_eq!(text(&environment, "k").as_deref(), Some("2"));
    }

    #[test]
    fn anything_but_a_document_is_an_error() {
        for body in ["[]", "{", "<html>", "", "null", r#"{"propertySources":[1]}"#] {
            assert!(Environment::parse(body).is_err(), "{body}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_a_result(body in "[\\[\\]{}\":,a0.e\\- ntfp]{0,60}") {
            let _ = Environment::parse(&body);
            let wrapped = format!(r#"{{"propertySources":[{{"name":"s","source":{{"k":{body}}}}}]}}"#);
            let _ = Environment::parse(&wrapped);
        }
    }
}
