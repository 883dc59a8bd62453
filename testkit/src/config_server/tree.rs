//! The properties of all sources as one tree, as the alternative formats show it (`EnvironmentController`).

use indexmap::IndexMap;
use vernal_config_client::source::PropertySource;
use vernal_config_client::value::Value;

/// Largest index of a list: gaps are filled, so one line could ask for any amount of memory.
const LARGEST_INDEX: usize = 65_535;
/// Most parts of a key.
const DEEPEST: usize = 256;

/// A node of the tree. What is between two elements of a list is null.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Leaf(Value),
    Map(Map),
    List(Vec<Node>),
}

pub(super) type Map = IndexMap<String, Node>;

/// Why properties make no tree.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoTree {
    /// A key like `a..b`.
    InvalidKey(String),
    /// A list where a value or a map is, or the other way round.
    Conflict(String),
}

/// A part of a key.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

/// The properties that count, lowest source first: a higher source replaces a single value, and a list (all keys with the
/// same text before the first bracket) as a whole. Lists come last. `sources` has the highest first.
pub(super) fn flatten(sources: &[PropertySource]) -> IndexMap<String, Value> {
    let (mut plain, mut groups) = (IndexMap::new(), IndexMap::<String, IndexMap<String, Value>>::new());
    for source in sources.iter().rev() {
        let mut own = IndexMap::<String, IndexMap<String, Value>>::new();
        for (key, property) in source.iter().filter(|(key, _)| *key != "spring.profiles") {
            let (key, value) = (key.to_owned(), property.value().clone());
            match key.split_once('[') {
                Some((stem, _)) => drop(own.entry(stem.to_owned()).or_default().insert(key, value)),
                None => drop(plain.insert(key, value)),
            }
        }
        groups.extend(own);
    }
    plain.extend(groups.into_values().flatten());
    plain
}

/// The tree of these properties.
pub(super) fn grow(properties: &IndexMap<String, Value>) -> Result<Map, NoTree> {
    let mut root = Map::new();
    for (key, value) in properties {
        let steps = steps(key).ok_or_else(|| NoTree::InvalidKey(key.clone()))?;
        into_map(&mut root, &steps, "", value).ok_or_else(|| NoTree::Conflict(key.clone()))?;
    }
    Ok(root)
}

/// Where a value lies where a map should be, the rest of the key is kept beside it, under a name with a dot.
fn into_map(map: &mut Map, steps: &[Step], prefix: &str, value: &Value) -> Option<()> {
    let (Step::Name(name), rest) = steps.split_first()? else { return None };
    match rest.first() {
        None => drop(map.insert(format!("{prefix}{name}"), Node::Leaf(value.clone()))),
        Some(Step::Name(_)) => match map.entry(name.clone()).or_insert_with(|| Node::Map(Map::new())) {
            Node::Map(inner) => into_map(inner, rest, prefix, value)?,
            Node::Leaf(_) | Node::List(_) => into_map(map, rest, &format!("{prefix}{name}."), value)?,
        },
        Some(Step::Index(_)) => match map.entry(name.clone()).or_insert_with(|| Node::List(Vec::new())) {
            Node::List(inner) => into_list(inner, rest, value)?,
            Node::Leaf(_) | Node::Map(_) => return None,
        },
    }
    Some(())
}

fn into_list(list: &mut Vec<Node>, steps: &[Step], value: &Value) -> Option<()> {
    let (Step::Index(index), rest) = steps.split_first()? else { return None };
    while list.len() <= *index {
        list.push(Node::Leaf(Value::Null));
    }
    let element = list.get_mut(*index)?;
    let is_gap = *element == Node::Leaf(Value::Null);
    match rest.first() {
        None => *element = Node::Leaf(value.clone()),
        Some(Step::Name(_)) => {
            if is_gap {
                *element = Node::Map(Map::new());
            }
            let Node::Map(inner) = element else { return None };
            into_map(inner, rest, "", value)?;
        }
        Some(Step::Index(_)) => {
            if is_gap {
                *element = Node::List(Vec::new());
            }
            let Node::List(inner) = element else { return None };
            into_list(inner, rest, value)?;
        }
    }
    Some(())
}

/// The parts of a key. Brackets around anything but a number belong to the name, but a dot in them still parts it.
fn steps(key: &str) -> Option<Vec<Step>> {
    let (mut steps, mut rest) = (Vec::new(), key);
    loop {
        let end = rest.char_indices().find(|(at, letter)| match letter {
            '.' => true,
            '[' => index(&rest[*at..]).is_some(),
            _ => false,
        });
        let Some((end, _)) = end else {
            steps.push(Step::Name(rest.to_owned()));
            break;
        };
        if end == 0 {
            return None;
        }
        steps.push(Step::Name(rest[..end].to_owned()));
        rest = &rest[end..];
        while rest.starts_with('[') {
            let (number, behind) = index(rest)?;
            steps.push(Step::Index(number.parse().ok().filter(|number| *number <= LARGEST_INDEX)?));
            rest = behind;
        }
        if rest.is_empty() {
            break;
        }
        rest = rest.strip_prefix('.')?;
        if steps.len() > DEEPEST {
            return None;
        }
    }
    (steps.len() <= DEEPEST).then_some(steps)
}

/// The number in the bracket that `text` begins with, and what follows it.
fn index(text: &str) -> Option<(&str, &str)> {
    let (number, behind) = text.strip_prefix('[')?.split_once(']')?;
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some((number, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(pairs: &[(&str, &str)]) -> Result<Map, NoTree> {
        grow(&pairs.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect())
    }

    #[test]
    fn keys_that_cannot_be_parted_and_lists_among_values_are_refused() {
        for key in ["a..b", ".b", "a.[0]", "a[0]b", "a[0][x]", "a[65536]", &"a.".repeat(300)] {
            assert!(matches!(tree(&[(key, "x")]), Err(NoTree::InvalidKey(_))), "{key}");
        }
        assert!(matches!(tree(&[("a", "x"), ("a[0]", "y")]), Err(NoTree::Conflict(_))));
        assert!(matches!(tree(&[("a[0]", "x"), ("a[0].b", "y")]), Err(NoTree::Conflict(_))));
    }

    #[test]
    fn a_higher_source_replaces_a_list_as_a_whole() {
        let source = |name: &str, keys: &[(&str, &str)]| {
            PropertySource::with_properties(
                name.to_owned(),
                keys.iter().map(|(key, value)| (*key, Value::from(*value))),
            )
        };
        let low = source("low", &[("l[0]", "a"), ("l[1]", "b"), ("x", "1")]);
        let high = source("high", &[("l[0]", "c"), ("spring.profiles", "p")]);
        let flat = flatten(&[high, low]);
        assert_eq!(flat.keys().collect::<Vec<_>>(), ["x", "l[0]"]);
        assert_eq!(flat["l[0]"], Value::from("c"));
    }
}
