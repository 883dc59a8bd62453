//! Settings with Spring's relaxed names, as a config client would hand them over.

use std::collections::BTreeMap;

use vernal_commons::BoxError;
use vernal_commons::property::PropertyResolver;

/// Names are compared without case and dashes.
pub(crate) struct Relaxed(pub(crate) Vec<(String, String)>);

fn uniform(name: &str) -> String {
    name.chars().filter(|c| *c != '-').flat_map(char::to_lowercase).collect()
}

impl PropertyResolver for Relaxed {
    fn property(&self, name: &str) -> Result<Option<String>, BoxError> {
        let wanted = uniform(name);
        match self.0.iter().find(|(known, _)| uniform(known) == wanted) {
            Some((_, value)) => Ok(Some(self.resolve_placeholders(value)?)),
            None => Ok(None),
        }
    }

    fn names_below(&self, prefix: &str) -> Vec<String> {
        let depth = prefix.split('.').count();
        let wanted = uniform(prefix);
        let mut names: Vec<String> = self
            .0
            .iter()
            .filter_map(|(name, _)| {
                let parts: Vec<&str> = name.splitn(depth + 1, '.').collect();
                let (rest, head) = parts.split_last()?;
                (head.len() == depth && uniform(&head.join(".")) == wanted).then(|| (*rest).to_owned())
            })
            .collect();
        names.sort();
        names
    }

    fn resolve_placeholders(&self, text: &str) -> Result<String, BoxError> {
        let map: BTreeMap<String, String> = self.0.iter().cloned().collect();
        map.resolve_placeholders(text)
    }
}
