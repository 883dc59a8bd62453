//! Which profiles are active, and which documents they let in.

use crate::bind;
use crate::bind::scalar;
use crate::error::Error;
use crate::layers::Layers;
use crate::name::Name;

/// How many profiles there may be, groups expanded.
const MAX_PROFILES: usize = 1000;

/// The active profiles, and those that stand in when there are none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Profiles {
    active: Vec<String>,
    default: Vec<String>,
}

impl Profiles {
    /// What `local` and `remote` ask for: `spring.profiles.active` of the first that sets it, `include` of both,
    /// groups expanded. Remote sources come second, so that they cannot replace what is active here (config.md 2.7).
    pub(crate) fn read(local: &Layers, remote: Option<&Layers>, all: &Layers) -> Result<Self, Error> {
        let validate = all.text("spring.profiles.validate")?.as_deref().and_then(scalar::boolean) != Some(false);
        let mut wanted = Vec::new();
        for layers in [Some(local), remote].into_iter().flatten() {
            for position in 0..layers.layers().len() {
                push_all(&mut wanted, list(layers, "spring.profiles.include", Some(position))?);
            }
        }
        let mut active = list(local, "spring.profiles.active", None)?;
        if let (true, Some(remote)) = (active.is_empty(), remote) {
            active = list(remote, "spring.profiles.active", None)?;
        }
        push_all(&mut wanted, active);
        let mut expanded = Vec::new();
        for profile in wanted {
            expand(all, profile, &mut expanded)?;
        }
        let mut default = list(local, "spring.profiles.default", None)?;
        if default.is_empty() {
            default.push("default".to_owned());
        }
        if validate {
            expanded.iter().chain(&default).try_for_each(|profile| check(profile))?;
        }
        Ok(Self { active: expanded, default })
    }

    /// The active ones, later ones win.
    pub(crate) fn active(&self) -> &[String] {
        &self.active
    }

    /// The active ones, or the default ones.
    pub(crate) fn accepted(&self) -> &[String] {
        if self.active.is_empty() { &self.default } else { &self.active }
    }

    /// What a server is asked for.
    pub(crate) fn joined(&self) -> String {
        self.accepted().join(",")
    }

    /// Whether a document with this `spring.config.activate.on-profile` applies: one element of the list must match.
    pub(crate) fn admit(&self, expressions: &[String]) -> Result<bool, Error> {
        for expression in expressions {
            if Expression::parse(expression)?.matches(self.accepted()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn list(layers: &Layers, key: &str, only: Option<usize>) -> Result<Vec<String>, Error> {
    if !layers.contains(&Name::parse(key), only) {
        return Ok(Vec::new());
    }
    let list = match only {
        Some(position) => bind::bind_in::<Vec<String>>(layers, key, position)?,
        None => bind::bind::<Vec<String>>(layers, key)?.0,
    };
    Ok(list.into_iter().map(|profile| profile.trim().to_owned()).filter(|profile| !profile.is_empty()).collect())
}

fn push_all(profiles: &mut Vec<String>, more: Vec<String>) {
    for profile in more {
        if !profiles.contains(&profile) {
            profiles.push(profile);
        }
    }
}

/// Adds `profile` and then the members of its group, depth first, so that members win.
fn expand(layers: &Layers, profile: String, expanded: &mut Vec<String>) -> Result<(), Error> {
    let mut pending = vec![profile];
    while let Some(profile) = pending.pop() {
        if expanded.contains(&profile) {
            continue;
        }
        let mut members = list(layers, &format!("spring.profiles.group[{profile}]"), None)?;
        if members.is_empty() {
            members = list(layers, &format!("spring.profiles.group.{profile}"), None)?;
        }
        expanded.push(profile);
        if expanded.len() > MAX_PROFILES {
            return Err(invalid("spring.profiles.group", format!("at most {MAX_PROFILES} profiles")));
        }
        pending.extend(members.into_iter().rev());
    }
    Ok(())
}

fn check(profile: &str) -> Result<(), Error> {
    let edges = [profile.chars().next(), profile.chars().next_back()];
    let good = edges.iter().all(|edge| edge.is_some_and(char::is_alphanumeric))
        && profile.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '@'));
    if good {
        return Ok(());
    }
    let expected = format!(
        "names of letters, digits, `-`, `_`, `.`, `+`, `@` that begin and end with a letter or digit, found `{profile}`"
    );
    Err(invalid("spring.profiles.active", expected))
}

fn invalid(key: &str, expected: String) -> Error {
    Error::Setting { key: key.to_owned(), origin: None, expected }
}

/// A profile expression: names, `!`, `&`, `|`, parentheses.
#[derive(Debug, PartialEq, Eq)]
enum Expression {
    Name(String),
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
}

impl Expression {
    fn parse(text: &str) -> Result<Self, Error> {
        let malformed = || {
            let expected = format!("a profile expression (`&` and `|` mixed need parentheses), found `{text}`");
            invalid("spring.config.activate.on-profile", expected)
        };
        let tokens = tokens(text);
        let mut rest = tokens.as_slice();
        let expression = Self::sequence(&mut rest, 0).ok_or_else(malformed)?;
        if rest.is_empty() { Ok(expression) } else { Err(malformed()) }
    }

    fn sequence(rest: &mut &[String], depth: usize) -> Option<Self> {
        if depth > 32 {
            return None;
        }
        let mut operands = vec![Self::operand(rest, depth)?];
        let mut operator: Option<&str> = None;
        while let Some(token @ ("&" | "|")) = rest.first().map(String::as_str) {
            if operator.is_some_and(|operator| operator != token) {
                return None;
            }
            operator = Some(token);
            *rest = &rest[1..];
            operands.push(Self::operand(rest, depth)?);
        }
        match operator {
            None => operands.pop(),
            Some("&") => Some(Self::All(operands)),
            Some(_) => Some(Self::Any(operands)),
        }
    }

    fn operand(rest: &mut &[String], depth: usize) -> Option<Self> {
        let (first, behind) = rest.split_first()?;
        *rest = behind;
        match first.as_str() {
            "!" if depth > 32 => None,
            "!" => Some(Self::Not(Box::new(Self::operand(rest, depth + 1)?))),
            "(" => {
                let inner = Self::sequence(rest, depth + 1)?;
                let (closing, behind) = rest.split_first()?;
                *rest = behind;
                (closing == ")").then_some(inner)
            }
            ")" | "&" | "|" => None,
            name => Some(Self::Name(name.to_owned())),
        }
    }

    fn matches(&self, profiles: &[String]) -> bool {
        match self {
            Self::Name(name) => profiles.contains(name),
            Self::Not(inner) => !inner.matches(profiles),
            Self::All(inner) => inner.iter().all(|inner| inner.matches(profiles)),
            Self::Any(inner) => inner.iter().any(|inner| inner.matches(profiles)),
        }
    }
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut name = String::new();
    for character in text.chars().chain([' ']) {
        if !matches!(character, '(' | ')' | '&' | '|' | '!') && !character.is_whitespace() {
            name.push(character);
            continue;
        }
        if !name.is_empty() {
            tokens.push(std::mem::take(&mut name));
        }
        if !character.is_whitespace() {
            tokens.push(character.to_string());
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Layer;
    use crate::source::memory;

    fn profiles(pairs: &[(&str, &str)]) -> Result<Profiles, Error> {
        let layer = Layer::properties(memory::source("s", pairs.iter().copied()));
        let layers = Layers::new(vec![layer], Default::default());
        Profiles::read(&layers, None, &layers)
    }

    #[test]
    fn members_of_a_group_come_after_it_and_includes_first() {
        let profiles = profiles(&[
            ("spring.profiles.active", "prod"),
            ("spring.profiles.include", "x"),
            ("spring.profiles.group.prod", "db,mq"),
            ("spring.profiles.group.db[0]", "prod"),
        ]);
        assert_eq!(profiles.unwrap().active(), ["x", "prod", "db", "mq"]);
    }

    #[test]
    fn the_default_profile_stands_in() {
        let none = profiles(&[]).unwrap();
        assert!(none.active().is_empty());
        assert_eq!(none.joined(), "default");
        assert_eq!(profiles(&[("spring.profiles.default", "p")]).unwrap().joined(), "p");
    }

    #[test]
    fn impossible_names_are_refused() {
        for name in ["-a", "a-", "a b", "a/b"] {
            assert!(profiles(&[("spring.profiles.active", name)]).is_err(), "{name}");
        }
    }

    #[test]
    fn expressions_are_read_as_springs() {
        let prod = profiles(&[("spring.profiles.active", "prod,eu")]).unwrap();
        for (expression, expected) in [
            ("prod", true),
            ("prod & !eu", false),
            ("prod & eu", true),
            ("a | (prod & eu)", true),
            ("!a", true),
            ("a|b", false),
        ] {
            assert_eq!(prod.admit(&[expression.to_owned()]).unwrap(), expected, "{expression}");
        }
        for expression in ["a & b | c", "a &", "(a", "!", "", "a b"] {
            assert!(prod.admit(&[expression.to_owned()]).is_err(), "{expression}");
        }
    }
}
