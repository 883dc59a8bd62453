//! Environment variables as a property source, and the mapping of names in both directions.

use super::{Property, PropertySource};
use crate::value::{Origin, Value};

/// The name that Spring gives to this source.
pub const NAME: &str = "systemEnvironment";

/// A source whose keys are the names of the variables as they are; [`property_name`] tells which property one of
/// them sets. Its name is [`NAME`].
///
/// Pass `std::env::vars()`, or what a test wants to be seen.
pub fn source(variables: impl IntoIterator<Item = (String, String)>) -> PropertySource {
    PropertySource::with_properties(
        NAME,
        variables.into_iter().map(|(name, text)| {
            let origin = Origin::variable(NAME, name.as_str());
            (name, Property::new(Value::Text(text), Some(origin)))
        }),
    )
}

/// The property that a variable stands for in listings and maps: lower case, cut at `_`, elements of digits become
/// indexes. `None` for names that stand for none (`FOO.BAR`).
///
/// Boot's `SystemEnvironmentPropertyMapper`: `MY_SERVICE_0_OTHER` is `my.service[0].other`.
///
/// ```
/// use vernal_config_client::source::env::property_name;
///
/// assert_eq!(property_name("MY_SERVICE_0_OTHER").as_deref(), Some("my.service[0].other"));
/// assert_eq!(property_name("FOO.BAR"), None);
/// ```
#[must_use]
pub fn property_name(variable: &str) -> Option<String> {
    if variable.contains('.') {
        return None;
    }
    let mut property = String::with_capacity(variable.len());
    for element in variable.split('_').filter(|element| !element.is_empty()) {
        if element.bytes().all(|byte| byte.is_ascii_digit()) {
            property.push('[');
            property.push_str(element);
            property.push(']');
            continue;
        }
        if !property.is_empty() {
            property.push('.');
        }
        property.extend(element.chars().flat_map(char::to_lowercase));
    }
    (!property.is_empty()).then_some(property)
}

/// The variables that set a property, in the order in which they are tried: upper case with `.` as `_`, dashes
/// removed and `[i]` as `_i`; the same with dashes as `_`; then both in lower case.
///
/// ```
/// use vernal_config_client::source::env::variable_names;
///
/// assert_eq!(variable_names("my.list[10].a-b")[..2], ["MY_LIST_10_AB", "MY_LIST_10_A_B"]);
/// ```
#[must_use]
pub fn variable_names(property: &str) -> Vec<String> {
    let spell = |dash: &str| {
        let mut name = String::with_capacity(property.len());
        for character in property.chars() {
            match character {
                '.' | '[' => name.push('_'),
                ']' => {}
                '-' => name.push_str(dash),
                other => name.extend(other.to_uppercase()),
            }
        }
        name
    };
    let mut names = vec![spell("")];
    let legacy = spell("_");
    if legacy != names[0] {
        names.push(legacy);
    }
    for index in 0..names.len() {
        let lower = names[index].to_lowercase();
        if !names.contains(&lower) {
            names.push(lower);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_map_to_properties() {
        for (variable, property) in [
            ("A_0_1_B", Some("a[0][1].b")),
            ("MY_2ND_NAME", Some("my.2nd.name")),
            ("MY__LIST", Some("my.list")),
            ("_FOO", Some("foo")),
            ("FOO-BAR", Some("foo-bar")),
            ("FOO.BAR", None),
            ("", None),
        ] {
            assert_eq!(property_name(variable).as_deref(), property, "{variable}");
        }
    }

    #[test]
    fn properties_map_to_variables() {
        assert_eq!(
            variable_names("spring.main.log-startup-info"),
            [
                "SPRING_MAIN_LOGSTARTUPINFO",
                "SPRING_MAIN_LOG_STARTUP_INFO",
                "spring_main_logstartupinfo",
                "spring_main_log_startup_info"
            ]
        );
        assert_eq!(variable_names("my.first"), ["MY_FIRST", "my_first"]);
    }

    #[test]
    fn a_value_knows_its_variable() {
        let source = source([("K".to_owned(), "v".to_owned())]);
        let shown = source.get("K").and_then(Property::origin).map(ToString::to_string);
        assert_eq!(shown.as_deref(), Some("environment variable `K`"));
    }
}
