//! Names of profiles, and expressions over them.

use std::collections::VecDeque;

use indexmap::IndexSet;

/// Splits at commas and drops repetitions.
pub(super) fn split(profiles: &str) -> Vec<String> {
    profiles.split(',').map(str::to_owned).collect::<IndexSet<_>>().into_iter().collect()
}

/// What is wrong with a profile's name, if anything (Boot's `ProfilesValidator`).
pub(super) fn fault(name: &str) -> Option<String> {
    if name.trim().is_empty() {
        return Some("profile must not be empty".to_owned());
    }
    let allowed = |character: char| character.is_alphanumeric() || "-_.+@".contains(character);
    if let Some(bad) = name.chars().find(|character| !allowed(*character)) {
        return Some(format!("profile `{name}` must not contain `{bad}`"));
    }
    let edges = name.starts_with(char::is_alphanumeric) && name.ends_with(char::is_alphanumeric);
    (!edges).then(|| format!("profile `{name}` must start and end with a letter or digit"))
}

/// Whether an expression (`prod & !eu`) holds for the active profiles; `None` if it is malformed.
///
/// `&` and `|` must not be mixed without parentheses (Spring's `ProfilesParser`).
pub(super) fn matches(expression: &str, active: &[String]) -> Option<bool> {
    let mut tokens = tokens(expression);
    evaluate(&mut tokens, Context::Outside, active, 0)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    Outside,
    Negation,
    Parenthesis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    And,
    Or,
}

/// Deeper expressions count as malformed.
const MAX_DEPTH: usize = 100;

fn tokens(expression: &str) -> VecDeque<&str> {
    let mut tokens = VecDeque::new();
    let mut rest = expression;
    while let Some(at) = rest.find(['(', ')', '&', '|', '!']) {
        tokens.push_back(rest[..at].trim());
        tokens.push_back(&rest[at..=at]);
        rest = &rest[at + 1..];
    }
    tokens.push_back(rest.trim());
    tokens.retain(|token| !token.is_empty());
    tokens
}

fn evaluate(tokens: &mut VecDeque<&str>, context: Context, active: &[String], depth: usize) -> Option<bool> {
    if depth > MAX_DEPTH {
        return None;
    }
    let mut values: Vec<bool> = Vec::new();
    let mut operator: Option<Operator> = None;
    let merge = |values: &[bool], operator: Option<Operator>| match (values, operator) {
        ([], _) => None,
        ([only], _) => Some(*only),
        (_, Some(Operator::And)) => Some(values.iter().all(|value| *value)),
        (_, Some(Operator::Or) | None) => Some(values.iter().any(|value| *value)),
    };
    while let Some(token) = tokens.pop_front() {
        let value = match token {
            "(" => evaluate(tokens, Context::Parenthesis, active, depth + 1)?,
            "!" => {
                values.push(!evaluate(tokens, Context::Negation, active, depth + 1)?);
                continue;
            }
            "&" | "|" => {
                let this = if token == "&" { Operator::And } else { Operator::Or };
                if operator.is_some_and(|operator| operator != this) {
                    return None;
                }
                operator = Some(this);
                continue;
            }
            ")" => {
                let merged = merge(&values, operator)?;
                if context == Context::Parenthesis {
                    return Some(merged);
                }
                values = vec![merged];
                operator = None;
                continue;
            }
            name => active.iter().any(|profile| profile == name),
        };
        if context == Context::Negation {
            return Some(value);
        }
        values.push(value);
    }
    merge(&values, operator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_follow_springs_rules() {
        let active = ["a".to_owned(), "c".to_owned()];
        for (expression, expected) in [
            ("a", Some(true)),
            ("b", Some(false)),
            ("!b", Some(true)),
            ("a & c", Some(true)),
            ("a & !c", Some(false)),
            ("(a & b) | c", Some(true)),
            ("!(a & b)", Some(true)),
            ("a & b | c", None),
            ("a | b & c", None),
            ("", None),
            ("&", None),
            ("()", None),
            ("!", None),
        ] {
            assert_eq!(matches(expression, &active), expected, "{expression}");
        }
        assert_eq!(matches(&"(".repeat(10_000), &active), None);
    }

    #[test]
    fn names_begin_and_end_with_a_letter_or_digit() {
        for name in ["dev", "a-b_c.d+e@f", "配", "1"] {
            assert_eq!(fault(name), None, "{name}");
        }
        for name in ["", " ", "-dev", "dev-", "!dev", "de v", "a/b", "*"] {
            assert!(fault(name).is_some(), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_expression_makes_it_panic(expression in "[()&|! ab配]{0,40}") {
            let _ = matches(&expression, &["a".to_owned()]);
        }
    }
}
