//! What changed between two states of the settings.

use std::collections::BTreeMap;

use crate::layers::Layers;

/// Properties that tell about the load itself; a commit that does not concern us changes nothing else, so they are
/// not listed (config.md 5.7, L4; Java lists them).
const NOT_LISTED: [&str; 2] = ["config.client.version", "config.client.state"];

/// Every property with its resolved text, by canonical name. What cannot be resolved stands for itself.
pub(crate) fn resolved(layers: &Layers) -> BTreeMap<String, (String, String)> {
    layers
        .winners()
        .filter(|(_, name, _)| !NOT_LISTED.contains(&name.to_string().as_str()))
        .map(|(canonical, name, found)| {
            let text = match layers.resolve(found) {
                Ok(reading) => reading.value.as_text().map(std::borrow::Cow::into_owned),
                Err(_) => found.property.value().as_text().map(std::borrow::Cow::into_owned),
            };
            (canonical.to_owned(), (name.to_string(), text.unwrap_or_default()))
        })
        .collect()
}

/// The names of the properties that were added, removed, or resolve to another text; sorted (deviation D-21: Java
/// compares raw values, so it misses what changes through a placeholder).
pub(crate) fn changed(
    before: &BTreeMap<String, (String, String)>,
    after: &BTreeMap<String, (String, String)>,
) -> Vec<String> {
    let mut names: Vec<String> = after
        .iter()
        .filter(|(canonical, (_, text))| before.get(*canonical).is_none_or(|(_, old)| old != text))
        .map(|(_, (name, _))| name.clone())
        .collect();
    let removed = before.iter().filter(|(canonical, _)| !after.contains_key(*canonical));
    names.extend(removed.map(|(_, (name, _))| name.clone()));
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Layer;
    use crate::source::memory;

    fn layers(pairs: &[(&str, &str)]) -> Layers {
        Layers::new(vec![Layer::properties(memory::source("s", pairs.iter().copied()))], Default::default())
    }

    fn diff(before: &[(&str, &str)], after: &[(&str, &str)]) -> Vec<String> {
        changed(&resolved(&layers(before)), &resolved(&layers(after)))
    }

    #[test]
    fn added_removed_and_changed_names_are_listed() {
        assert_eq!(diff(&[("a", "1"), ("b", "1"), ("c", "1")], &[("a", "1"), ("b", "2"), ("d", "1")]), ["b", "c", "d"]);
    }

    #[test]
    fn what_changes_through_a_placeholder_is_listed() {
        let url = ("url", "http://${host}");
        assert_eq!(diff(&[("host", "a"), url], &[("host", "b"), url]), ["host", "url"]);
    }

    #[test]
    fn another_spelling_or_version_is_no_change() {
        assert!(diff(&[("my.first-name", "1")], &[("my.firstName", "1")]).is_empty());
        assert!(diff(&[("config.client.version", "1")], &[("config.client.version", "2")]).is_empty());
    }
}
