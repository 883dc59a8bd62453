//! What a document says about itself: when it applies, what it imports, which profiles it adds.

use indexmap::IndexMap;
use vernal_config_client::source::PropertySource;
use vernal_config_client::value::Origin;

use super::profile;

/// Lists of Boot's own properties, as its binder reads them: indexed elements or one text with commas.
fn list(source: &PropertySource, name: &str) -> Option<Vec<String>> {
    let plain = find(source, name);
    if let Some(text) = plain {
        let items = text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty());
        return Some(items.collect());
    }
    let mut items = Vec::new();
    while let Some(item) = find(source, &format!("{name}[{}]", items.len())) {
        items.push(item.trim().to_owned());
    }
    (!items.is_empty()).then_some(items)
}

/// The text of the property whose name is `name` in any of the relaxed spellings.
fn find(source: &PropertySource, name: &str) -> Option<String> {
    let wanted = canonical(name);
    let (_, property) = source.iter().find(|(key, _)| canonical(key) == wanted)?;
    property.value().as_text().map(std::borrow::Cow::into_owned)
}

fn canonical(key: &str) -> String {
    key.chars().filter(|character| !matches!(character, '-' | '_')).flat_map(char::to_lowercase).collect()
}

/// Whether a document applies with these profiles; before profiles are known (`None`) a conditional one does not. The
/// error is a malformed expression.
pub(super) fn applies(document: &PropertySource, active: Option<&[String]>) -> Result<bool, String> {
    if find(document, "spring.config.activate.on-cloud-platform").is_some() {
        return Ok(false);
    }
    let Some(expressions) = list(document, "spring.config.activate.on-profile") else { return Ok(true) };
    let mut applies = false;
    for expression in &expressions {
        let holds = profile::matches(expression, active.unwrap_or_default())
            .ok_or_else(|| format!("malformed profile expression `{expression}`"))?;
        applies |= holds && active.is_some();
    }
    Ok(applies)
}

/// A property that must not be where it is: `spring.profiles` anywhere, and what chooses profiles in a document that
/// depends on a profile itself.
pub(super) fn misplaced(document: &PropertySource, profile_specific: bool) -> Option<String> {
    let place = |key: &str| {
        let origin = document.get(key).and_then(|property| property.origin()).map(Origin::to_string);
        origin.map_or_else(String::new, |origin| format!(" [origin: {origin}]"))
    };
    let conditional = profile_specific || list(document, "spring.config.activate.on-profile").is_some();
    document.keys().find_map(|key| match key.split('[').next()? {
        "spring.profiles" => Some(format!(
            "property `{key}` is invalid and should be replaced with `spring.config.activate.on-profile`{}",
            place(key)
        )),
        "spring.profiles.active" | "spring.profiles.include" | "spring.profiles.default" if conditional => {
            Some(format!("property `{key}` is invalid in a profile specific document{}", place(key)))
        }
        _ => None,
    })
}

/// The imports of a document, in order.
pub(super) fn imports(document: &PropertySource) -> Vec<String> {
    list(document, "spring.config.import").unwrap_or_default()
}

/// The active profiles of a request: the requested ones, then those that documents include, each followed by the
/// members of its group. `documents` are the unconditional ones, highest first.
pub(super) fn expand(requested: &[String], documents: &[&PropertySource]) -> Vec<String> {
    let mut groups: IndexMap<String, Vec<String>> = IndexMap::new();
    let mut stack: Vec<String> = Vec::new();
    for document in documents {
        stack.extend(list(document, "spring.profiles.include").unwrap_or_default());
        for key in document.keys() {
            let Some(group) = key.strip_prefix("spring.profiles.group.").and_then(|key| key.split('[').next()) else {
                continue;
            };
            let members = || list(document, &format!("spring.profiles.group.{group}")).unwrap_or_default();
            groups.entry(group.to_owned()).or_insert_with(members);
        }
    }
    stack.reverse();
    stack.extend(requested.iter().rev().cloned());
    let mut active: Vec<String> = Vec::new();
    while let Some(profile) = stack.pop() {
        if active.contains(&profile) {
            continue;
        }
        stack.extend(groups.get(&profile).into_iter().flatten().rev().cloned());
        active.push(profile);
    }
    active
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(pairs: &[(&str, &str)]) -> PropertySource {
        PropertySource::with_properties("d", pairs.iter().map(|(key, value)| (*key, *value)))
    }

    #[test]
    fn a_document_applies_if_one_expression_holds() {
        let active = ["dev".to_owned()];
        let of = |pairs: &[(&str, &str)]| applies(&document(pairs), Some(&active));
        assert_eq!(of(&[("a", "1")]), Ok(true));
        assert_eq!(of(&[("spring.config.activate.on-profile", "x, dev")]), Ok(true));
        assert_eq!(of(&[("spring.config.activate.onProfile[0]", "!dev")]), Ok(false));
        assert_eq!(of(&[("spring.config.activate.on-cloud-platform", "kubernetes")]), Ok(false));
        assert!(of(&[("spring.config.activate.on-profile", "a & b | c")]).is_err());
        assert_eq!(applies(&document(&[("spring.config.activate.on-profile", "!x")]), None), Ok(false));
    }

    #[test]
    fn properties_that_choose_profiles_are_refused_where_profiles_choose() {
        assert!(misplaced(&document(&[("spring.profiles", "dev")]), false).is_some());
        assert!(misplaced(&document(&[("spring.profiles.active", "x")]), false).is_none());
        assert!(misplaced(&document(&[("spring.profiles.active", "x")]), true).is_some());
        assert!(misplaced(&document(&[("spring.profiles.group.a", "x")]), true).is_none());
        let conditional = document(&[("spring.config.activate.on-profile", "a"), ("spring.profiles.include[0]", "x")]);
        assert!(misplaced(&conditional, false).is_some());
    }

    #[test]
    fn groups_and_includes_add_profiles() {
        let one = document(&[("spring.profiles.group.prod[0]", "db"), ("spring.profiles.group.prod[1]", "mq")]);
        let two = document(&[("spring.profiles.include", "extra"), ("spring.profiles.group.db", "prod,disk")]);
        let requested = ["prod".to_owned(), "eu".to_owned()];
        assert_eq!(expand(&requested, &[&one, &two]), ["prod", "db", "disk", "mq", "eu", "extra"]);
    }
}
