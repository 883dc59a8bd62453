//! Which nodes an event is for: Ant patterns over bus ids, with `:` between the segments.

use std::fmt;

const SEPARATOR: char = ':';

/// The `destinationService` of an event, in the form that a sender puts on the wire.
///
/// ```
/// use vernal_bus_client::Destination;
///
/// assert_eq!(Destination::normalise(None).as_str(), "**");
/// assert_eq!(Destination::normalise(Some("orders")).as_str(), "orders:**");
/// assert!(Destination::normalise(Some("orders:dev")).matches("orders:dev,cloud:8080:ab12", &[]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination(String);

/// How many nodes a destination can address. The order is the order of reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// One bus id: no wildcard in the pattern.
    Instance,
    /// The instances of one service: the first segment is literal.
    Service,
    /// Nodes of any service.
    Fleet,
}

impl Destination {
    /// What Spring's `PathDestinationFactory` (bus 5.0.1) makes of a destination given by a user: nothing means
    /// everybody, and a name with at most one `:` addresses all its instances (`fixtures/bus/matching/normalise`).
    #[must_use]
    pub fn normalise(destination: Option<&str>) -> Self {
        let Some(text) = destination else { return Self("**".to_owned()) };
        let few_segments = text.matches(SEPARATOR).count() <= 1;
        if text != "**" && few_segments && !text.ends_with(":**") {
            return Self(format!("{text}:**"));
        }
        Self(text.to_owned())
    }

    /// The pattern.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the node with this bus id, or with one of these other names, is addressed. See [`matches()`].
    #[must_use]
    pub fn matches(&self, id: &str, aliases: &[String]) -> bool {
        matches(Some(&self.0), id, aliases)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Scope {
    /// The scope of a `destinationService`; none or a blank one addresses everybody.
    #[must_use]
    pub fn of(destination: Option<&str>) -> Self {
        let wild = |text: &str| text.contains(['*', '?', '{']);
        match destination {
            Some(pattern) if !pattern.trim().is_empty() => {
                let first = pattern.split(SEPARATOR).find(|segment| !segment.is_empty());
                match (wild(pattern), first.is_some_and(wild)) {
                    (false, _) => Self::Instance,
                    (true, false) => Self::Service,
                    (true, true) => Self::Fleet,
                }
            }
            _ => Self::Fleet,
        }
    }
}

/// Whether an event for `destination` is for the node with the bus id `id`, which also goes by the names `aliases`.
///
/// Spring's `PathServiceMatcher` and `DefaultBusPathMatcher` (bus 5.0.1, `fixtures/bus/matching/destinations`):
/// no destination or a blank one is for everybody; an id with several profiles (`orders:dev,cloud:8080:1`) matches
/// with each of them alone; an alias takes the place of the id's first segment.
#[must_use]
pub fn matches(destination: Option<&str>, id: &str, aliases: &[String]) -> bool {
    let Some(pattern) = destination.filter(|pattern| !pattern.trim().is_empty()) else { return true };
    let tail = id.find(SEPARATOR).map_or("", |colon| &id[colon..]);
    matches_node(pattern, id) || aliases.iter().any(|alias| matches_node(pattern, &format!("{alias}{tail}")))
}

fn matches_node(pattern: &str, id: &str) -> bool {
    matches_path(pattern, id) || ids_with_one_profile(id).iter().any(|id| matches_path(pattern, id))
}

/// `a:p,q:b` as `a:p:b` and `a:q:b`; nothing if the second segment is not a list. Segments are trimmed, as Spring
/// takes the id apart with `tokenizeToStringArray`.
fn ids_with_one_profile(id: &str) -> Vec<String> {
    let tokens = |text: &'_ str, separator| -> Vec<String> {
        text.split(separator).map(str::trim).filter(|token| !token.is_empty()).map(str::to_owned).collect()
    };
    let mut segments = tokens(id, SEPARATOR);
    let profiles = segments.get(1).map(|profiles| tokens(profiles, ',')).unwrap_or_default();
    if profiles.len() < 2 {
        return Vec::new();
    }
    let with = |profile| {
        segments[1] = profile;
        segments.join(":")
    };
    profiles.into_iter().map(with).collect()
}

/// Spring's `AntPathMatcher` with `:` as separator, case-sensitive, segments not trimmed.
fn matches_path(pattern: &str, id: &str) -> bool {
    if pattern.starts_with(SEPARATOR) != id.starts_with(SEPARATOR) {
        return false;
    }
    let split = |text: &'_ str| -> Vec<String> {
        text.split(SEPARATOR).filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
    };
    let (wanted, given) = (split(pattern), split(id));
    let same_end = pattern.ends_with(SEPARATOR) == id.ends_with(SEPARATOR);
    // A final `*` stands for the empty segment behind the id's final colon.
    if id.ends_with(SEPARATOR)
        && let Some((last, rest)) = wanted.split_last()
        && last == "*"
        && rest.len() == given.len()
        && rest.iter().all(|segment| segment != "**")
    {
        return rest.iter().zip(&given).all(|(wanted, given)| matches_segment(wanted, given));
    }
    let open_end = wanted.last().is_some_and(|segment| segment == "**");
    (open_end || same_end) && wildcard(&wanted, &given, |wanted| wanted == "**", |w, g| matches_segment(w, g))
}

/// `*` is any run of characters, `?` one character, `{name}` as good as `*`.
fn matches_segment(pattern: &str, segment: &str) -> bool {
    #[derive(PartialEq)]
    enum Part {
        Run,
        One,
        Char(char),
    }
    let mut parts = Vec::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        parts.push(match c {
            '*' => Part::Run,
            '?' => Part::One,
            '{' => match rest.as_str().split_once('}') {
                Some((name, behind)) if !name.is_empty() && !name.contains('{') => {
                    rest = behind.chars();
                    Part::Run
                }
                _ => Part::Char(c),
            },
            c => Part::Char(c),
        });
    }
    let chars: Vec<char> = segment.chars().collect();
    wildcard(&parts, &chars, |part| *part == Part::Run, |part, c| *part == Part::One || *part == Part::Char(*c))
}

/// Matches a whole sequence against a pattern in which a run stands for any number of items. Only the last run is
/// ever tried again, so the work is bounded by the product of the lengths.
fn wildcard<P, T>(pattern: &[P], items: &[T], is_run: impl Fn(&P) -> bool, fits: impl Fn(&P, &T) -> bool) -> bool {
    let (mut at, mut item) = (0, 0);
    let mut last_run: Option<(usize, usize)> = None;
    while item < items.len() {
        if at < pattern.len() && is_run(&pattern[at]) {
            last_run = Some((at, item));
            at += 1;
        } else if at < pattern.len() && fits(&pattern[at], &items[item]) {
            at += 1;
            item += 1;
        } else if let Some((run, start)) = last_run {
            last_run = Some((run, start + 1));
            at = run + 1;
            item = start + 1;
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(is_run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_is_the_reach_of_the_pattern() {
        let cases = [
            (None, Scope::Fleet),
            (Some("  "), Scope::Fleet),
            (Some("**"), Scope::Fleet),
            (Some("*:**"), Scope::Fleet),
            (Some("o?ders:**"), Scope::Fleet),
            (Some("orders:**"), Scope::Service),
            (Some("orders:8080:**"), Scope::Service),
            (Some("orders:dev:8080:ab12"), Scope::Instance),
        ];
        for (destination, scope) in cases {
            assert_eq!(Scope::of(destination), scope, "{destination:?}");
        }
    }

    #[test]
    fn hostile_pattern_is_matched_in_bounded_time() {
        let id = format!("{}:8080:{}", "a".repeat(200), "b:".repeat(100));
        let pattern = format!("{}c", "**:*a*b*:".repeat(400));
        assert!(!matches(Some(&pattern), &id, &[]));
        assert!(!matches_segment(&"*a".repeat(2000), &"a".repeat(1999)));
    }

    #[test]
    fn final_colon_must_be_on_both_sides_or_behind_an_open_end() {
        assert!(!matches_path("orders:", "orders"));
        assert!(matches_path("orders:**:", "orders:1"));
        assert!(matches_path("orders:*", "orders:"));
        assert!(!matches_path("a:**:b:", "a:x:b"));
    }

    proptest::proptest! {
        #[test]
        fn normalising_twice_changes_nothing_more(text in "[a-z*:,]{0,20}") {
            let once = Destination::normalise(Some(&text));
            // Up to two trailing segments are appended: `a` becomes `a:**`, which is final.
            let twice = Destination::normalise(Some(once.as_str()));
            proptest::prop_assert_eq!(once, twice);
        }

        #[test]
        fn everybody_pattern_takes_every_id(id in "[a-z]{1,8}(:[a-z0-9,]{1,8}){1,4}") {
            proptest::prop_assert!(matches(Some("**"), &id, &[]));
            proptest::prop_assert!(matches(Some(&id), &id, &[]));
        }
    }
}
