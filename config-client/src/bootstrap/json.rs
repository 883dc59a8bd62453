//! `SPRING_APPLICATION_JSON`: properties as one JSON object.

use indexmap::IndexMap;
use serde_json::value::RawValue;

use crate::error::Error;
use crate::source::{Property, PropertySource};
use crate::value::{Origin, Value};

/// The name that Spring gives to this source.
const NAME: &str = "spring.application.json";
const VARIABLE: &str = "SPRING_APPLICATION_JSON";
const MAX_DEPTH: usize = 64;

/// The text, from the command line or the environment.
pub(crate) fn text(args: &[String], env: &[(String, String)]) -> Option<String> {
    let argument = args.iter().rev().find_map(|arg| arg.strip_prefix("--")?.strip_prefix(NAME)?.strip_prefix('='));
    let variable = || env.iter().find(|(name, _)| name == VARIABLE || name == NAME).map(|(_, value)| value.as_str());
    argument.or_else(variable).filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

/// The properties of the text: dots between members, `[i]` behind lists; `null` stays, empty lists and objects
/// vanish (fixture `resolve/env-json`).
pub(crate) fn source(text: &str) -> Result<PropertySource, Error> {
    let mut source = PropertySource::new(NAME);
    let invalid = |expected: &str| Error::Setting {
        key: NAME.to_owned(),
        origin: Some(Origin::variable("systemEnvironment", VARIABLE)),
        expected: expected.to_owned(),
    };
    let members: IndexMap<String, Box<RawValue>> = serde_json::from_str(text).map_err(|_| invalid("a JSON object"))?;
    for (key, value) in members {
        flatten(key, value.get(), 0, &mut source).ok_or_else(|| invalid("JSON that nests at most 64 deep"))?;
    }
    Ok(source)
}

fn flatten(key: String, json: &str, depth: usize, source: &mut PropertySource) -> Option<()> {
    if depth > MAX_DEPTH {
        return None;
    }
    let json = json.trim();
    let value = match json.as_bytes().first()? {
        b'{' => {
            let members: IndexMap<String, Box<RawValue>> = serde_json::from_str(json).ok()?;
            for (member, value) in members {
                flatten(format!("{key}.{member}"), value.get(), depth + 1, source)?;
            }
            return Some(());
        }
        b'[' => {
            let elements: Vec<Box<RawValue>> = serde_json::from_str(json).ok()?;
            for (index, element) in elements.iter().enumerate() {
                flatten(format!("{key}[{index}]"), element.get(), depth + 1, source)?;
            }
            return Some(());
        }
        b'n' => Value::Null,
        b't' | b'f' => Value::Bool(json == "true"),
        b'"' => Value::Text(serde_json::from_str(json).ok()?),
        _ => Value::json_number(json)?,
    };
    source.insert(key, Property::new(value, Some(Origin::source_only(NAME))));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_and_lists_become_names() {
        let source = source(r#"{"k":"json","j":{"l":[1,null,{}],"n":null,"e":[]}}"#).unwrap();
        assert_eq!(source.keys().collect::<Vec<_>>(), ["k", "j.l[0]", "j.l[1]", "j.n"]);
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(500), "]".repeat(500));
        assert!(source(&deep).is_err());
        assert!(source("[1]").is_err());
    }
}
