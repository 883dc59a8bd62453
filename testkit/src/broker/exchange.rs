//! Exchanges and the queues bound to them.

use amq_protocol::types::FieldTable;

/// How an exchange chooses among its bindings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExchangeKind {
    /// The routing key equals the binding's.
    Direct,
    /// Every binding.
    Fanout,
    /// The binding's key is a pattern of words: `*` stands for one word, `#` for any number.
    Topic,
}

#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) kind: ExchangeKind,
    pub(super) durable: bool,
    pub(super) auto_delete: bool,
    pub(super) internal: bool,
    pub(super) arguments: FieldTable,
    pub(super) bindings: Vec<Binding>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Binding {
    pub(super) queue: String,
    pub(super) routing_key: String,
    pub(super) arguments: FieldTable,
}

impl ExchangeKind {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Direct, Self::Fanout, Self::Topic].into_iter().find(|kind| kind.name() == name)
    }
}

impl Exchange {
    /// A durable exchange that every broker has.
    pub(super) fn predeclared(kind: ExchangeKind) -> Self {
        Self {
            kind,
            durable: true,
            auto_delete: false,
            internal: false,
            arguments: FieldTable::default(),
            bindings: Vec::new(),
        }
    }

    /// The queues that get a message with this key, each once, in the order of binding.
    pub(super) fn route(&self, routing_key: &str) -> Vec<String> {
        let mut seen = std::collections::HashSet::new();
        self.bindings
            .iter()
            .filter(|binding| match self.kind {
                ExchangeKind::Direct => binding.routing_key == routing_key,
                ExchangeKind::Fanout => true,
                ExchangeKind::Topic => topic_matches(&binding.routing_key, routing_key),
            })
            .filter(|binding| seen.insert(binding.queue.as_str()))
            .map(|binding| binding.queue.clone())
            .collect()
    }
}

/// Whether `key` is one of the keys that `pattern` stands for. Words are separated by dots; an empty key has no
/// words, as in RabbitMQ (`rabbit_exchange_type_topic`).
fn topic_matches(pattern: &str, key: &str) -> bool {
    let pattern = words(pattern);
    let key = words(key);
    let (mut p, mut k) = (0, 0);
    // The last `#` seen and how far the key was then: where to go on when the rest does not fit.
    let mut retry: Option<(usize, usize)> = None;
    while k < key.len() {
        if p < pattern.len() && pattern[p] == "#" {
            retry = Some((p, k));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == "*" || pattern[p] == key[k]) {
            p += 1;
            k += 1;
        } else if let Some((hash, taken)) = retry {
            retry = Some((hash, taken + 1));
            p = hash + 1;
            k = taken + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|word| *word == "#")
}

fn words(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split('.').collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_words() {
        for (pattern, key, expected) in [
            ("#", "", true),
            ("#", "springCloudBus", true),
            ("#", "a.b.c", true),
            ("*", "a", true),
            ("*", "", false),
            ("*", "a.b", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("a.#", "a", true),
            ("a.#", "a.b.c", true),
            ("#.c", "c", true),
            ("#.c", "a.b.c", true),
            ("#.c", "a.c.b", false),
            ("a.#.c", "a.c", true),
            ("a.#.c", "a.b.c.c", true),
            ("a.#.b.#.c", "a.b.b.x.c", true),
            ("a.#.b.#.c", "a.x.c", false),
            ("*.#", "", false),
            ("*.#", "a", true),
            ("#.*", "a.b", true),
            ("#.#", "", true),
            ("a", "a", true),
            ("a", "A", false),
            ("a*", "ab", false),
            ("a..b", "a..b", true),
            ("a.*.b", "a..b", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(topic_matches(pattern, key), expected, "`{pattern}` against `{key}`");
        }
    }

    #[test]
    fn many_wildcards_end_quickly() {
        let pattern = vec!["#.a"; 40].join(".");
        let key = vec!["a"; 60].join(".");
        assert!(topic_matches(&pattern, &key));
        assert!(!topic_matches(&format!("{pattern}.b"), &key));
    }

    #[test]
    fn a_queue_bound_twice_gets_one_copy() {
        let mut exchange = Exchange::predeclared(ExchangeKind::Topic);
        for key in ["a.*", "#"] {
            exchange.bindings.push(Binding {
                queue: "q".to_owned(),
                routing_key: key.to_owned(),
                arguments: FieldTable::default(),
            });
        }
        assert_eq!(exchange.route("a.b"), ["q"]);
    }
}
