//! A tree as YAML, in the form of SnakeYAML's block style with its defaults: lists are not indented below their key, lines
//! are folded behind 80 columns.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex_lite::Regex;
use vernal_config_client::value::Value;

use super::tree::{Map, Node};

const WIDTH: usize = 80;
/// Longest key that is written without `?`.
const LONGEST_KEY: usize = 128;
/// Texts that a reader of YAML 1.1 takes for something else.
const NO_TEXT: &str = concat!(
    "^(?:(?i:true|false|yes|no|on|off|null)|~| |<<|[!&*]|",
    r"[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+|",
    r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|",
    r"\.[0-9_]+(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?i:inf)|\.(?i:nan)|",
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}|",
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?",
    r"(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::?[0-9]{2})?))?)$",
);

/// Writes one document.
#[derive(Debug)]
pub(super) struct Writer {
    text: String,
    no_text: Option<Regex>,
}

/// How a text can be written.
#[derive(Debug, Default)]
struct Manners {
    multiline: bool,
    plain: bool,
    single: bool,
    block: bool,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { text: String::new(), no_text: Regex::new(NO_TEXT).ok() }
    }

    pub(super) fn document(mut self, tree: &Map) -> String {
        match tree.is_empty() {
            true => "{}\n".clone_into(&mut self.text),
            false => self.map(tree, 0, false),
        }
        self.text
    }

    /// A document that is no map.
    pub(super) fn bare(mut self, node: &Node) -> String {
        match node {
            Node::Map(map) => return self.document(map),
            Node::List(list) => self.list(list, 0, false),
            Node::Leaf(value) => {
                self.scalar(value, 0);
                self.end_line();
            }
        }
        self.text
    }

    /// `inline`: the first line has been begun.
    fn map(&mut self, map: &Map, indent: usize, inline: bool) {
        for (position, (key, node)) in map.iter().enumerate() {
            if position > 0 || !inline {
                self.indent(indent);
            }
            let simple = !key.is_empty() && key.chars().count() <= LONGEST_KEY && !key.contains(is_break);
            if simple {
                self.string(key, indent, true);
                self.text.push(':');
            } else {
                self.text.push_str("? ");
                self.string(key, indent, false);
                self.end_line();
                self.indent(indent);
                self.text.push(':');
            }
            match node {
                Node::Leaf(value) => {
                    self.text.push(' ');
                    self.scalar(value, indent);
                    self.end_line();
                }
                Node::Map(inner) if simple => {
                    self.text.push('\n');
                    self.map(inner, indent + 2, false);
                }
                Node::Map(inner) => {
                    self.text.push(' ');
                    self.map(inner, indent + 2, true);
                }
                Node::List(inner) => {
                    self.text.push('\n');
                    self.list(inner, indent, false);
                }
            }
        }
    }

    fn list(&mut self, list: &[Node], indent: usize, inline: bool) {
        for (position, node) in list.iter().enumerate() {
            if position > 0 || !inline {
                self.indent(indent);
            }
            self.text.push_str("- ");
            match node {
                Node::Leaf(value) => {
                    self.scalar(value, indent);
                    self.end_line();
                }
                Node::Map(inner) => self.map(inner, indent + 2, true),
                Node::List(inner) => self.list(inner, indent + 2, true),
            }
        }
    }

    fn scalar(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Text(text) => self.string(text, indent, false),
            Value::Secret(text) => self.string(text.expose(), indent, false),
            Value::Float(number) if number.is_nan() => self.text.push_str(".NaN"),
            Value::Float(number) if number.is_infinite() => {
                self.text.push_str(if *number > 0.0 { ".inf" } else { "-.inf" });
            }
            value => match value.as_text() {
                Some(text) => self.text.push_str(&text),
                None => self.text.push_str("null"),
            },
        }
    }

    fn string(&mut self, text: &str, indent: usize, is_key: bool) {
        if !text.chars().all(is_printable) {
            let encoded = STANDARD.encode(text);
            if is_key {
                self.text.push_str("!!binary \"");
                self.text.push_str(&encoded);
                self.text.push('"');
            } else {
                self.text.push_str("!!binary ");
                self.literal(&encoded, indent);
            }
            return;
        }
        let manners = Manners::of(text);
        let is_text = !text.is_empty() && !self.no_text.as_ref().is_some_and(|no_text| no_text.is_match(text));
        let wants_block = text.contains(is_break);
        if !wants_block && is_text && manners.plain {
            self.folded(text, indent, !is_key, |letter| letter.to_string());
        } else if wants_block && !is_key && manners.block {
            self.literal(text, indent);
        } else if !wants_block && manners.single && !(is_key && manners.multiline) {
            self.text.push('\'');
            self.folded(text, indent, !is_key, |letter| if letter == '\'' { "''".into() } else { letter.into() });
            self.text.push('\'');
        } else {
            self.double_quoted(text, indent, !is_key);
        }
    }

    /// A single blank behind the last column becomes a line break.
    fn folded(&mut self, text: &str, indent: usize, split: bool, write: impl Fn(char) -> String) {
        let letters: Vec<char> = text.chars().collect();
        for (at, letter) in letters.iter().enumerate() {
            let alone = |other: Option<&char>| other.is_some_and(|other| *other != ' ');
            let single = *letter == ' ' && at > 0 && alone(letters.get(at - 1)) && alone(letters.get(at + 1));
            if split && single && self.column() > WIDTH {
                self.text.push('\n');
                self.indent(indent + 2);
            } else {
                self.text.push_str(&write(*letter));
            }
        }
    }

    fn double_quoted(&mut self, text: &str, indent: usize, split: bool) {
        self.text.push('"');
        let letters: Vec<char> = text.chars().collect();
        for (at, letter) in letters.iter().enumerate() {
            let inside = at > 0 && at + 1 < letters.len();
            if split && inside && *letter == ' ' && self.column() > WIDTH {
                self.text.push_str("\\\n");
                self.indent(indent + 2);
                self.text.push_str("\\ ");
                continue;
            }
            match letter {
                '"' | '\\' => self.text.extend(['\\', *letter]),
                '\t' => self.text.push_str("\\t"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\u{85}' => self.text.push_str("\\N"),
                '\u{a0}' => self.text.push_str("\\_"),
                '\u{2028}' => self.text.push_str("\\L"),
                '\u{2029}' => self.text.push_str("\\P"),
                letter => self.text.push(*letter),
            }
        }
        self.text.push('"');
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.text.push('|');
        if text.starts_with(|letter| letter == ' ' || is_break(letter)) {
            self.text.push('2');
        }
        let mut back = text.chars().rev();
        match (back.next().is_some_and(is_break), back.next()) {
            (false, _) => self.text.push('-'),
            (true, before) if before.is_none_or(is_break) => self.text.push('+'),
            (true, _) => {}
        }
        self.text.push('\n');
        let mut line_begins = true;
        for letter in text.chars() {
            if line_begins && !is_break(letter) {
                self.indent(indent + 2);
            }
            self.text.push(letter);
            line_begins = is_break(letter);
        }
    }

    fn indent(&mut self, columns: usize) {
        self.text.extend(std::iter::repeat_n(' ', columns));
    }

    /// A block may have ended its last line already.
    fn end_line(&mut self) {
        if !self.text.ends_with(is_break) {
            self.text.push('\n');
        }
    }

    fn column(&self) -> usize {
        self.text.rsplit(is_break).next().map_or(0, |line| line.chars().count())
    }
}

impl Manners {
    fn of(text: &str) -> Self {
        let blank = |letter: char| matches!(letter, ' ' | '\t' | '\r') || is_break(letter);
        let letters: Vec<char> = text.chars().collect();
        let (Some(first), Some(last)) = (letters.first().copied(), letters.last().copied()) else {
            return Self { single: true, ..Self::default() };
        };
        let mut indicator = text.starts_with("---") || text.starts_with("...");
        let (mut special, mut break_space, mut space_break) = (false, false, false);
        for (at, letter) in letters.iter().copied().enumerate() {
            let before = at.checked_sub(1).and_then(|at| letters.get(at)).copied();
            let followed = letters.get(at + 1).copied().is_none_or(blank);
            indicator |= match letter {
                '#' => before.is_none_or(blank),
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => at == 0,
                '?' | '-' => at == 0 && followed,
                ':' => followed,
                _ => false,
            };
            special |= !(letter == '\n' || matches!(letter, ' '..='~' | '\u{85}' | '\u{a0}'..));
            break_space |= letter == ' ' && before.is_some_and(is_break);
            space_break |= is_break(letter) && before == Some(' ');
        }
        let multiline = text.contains(is_break);
        let edges = [first, last].into_iter().any(|letter| letter == ' ' || is_break(letter));
        Self {
            multiline,
            plain: !(edges || multiline || special || space_break || break_space || indicator),
            single: !(break_space || space_break || special),
            block: !(last == ' ' || space_break || special),
        }
    }
}

fn is_break(letter: char) -> bool {
    matches!(letter, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_printable(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let node = Node::Leaf(Value::from(text));
        Writer::new().document(&Map::from([("k".to_owned(), node)]))
    }

    #[test]
    fn texts_that_would_be_read_as_something_else_are_quoted() {
        for text in [
            "",
            "true",
            "No",
            "12",
            "1_000",
            "0x1F",
            "1:30",
            "1.5e3",
            ".5",
            "~",
            "null",
            "2001-12-14",
            "<<",
            "08",
            "._",
        ] {
            assert_eq!(written(text), format!("k: '{text}'\n"));
        }
        for text in ["- a", "a: b", "a #b", "#a", "? x", "@x", "'x", "%x", "[x", "{x", "a:", " x", "x ", "---"] {
            assert_eq!(written(text), format!("k: '{}'\n", text.replace('\'', "''")));
        }
        for text in ["a:b", "a#b", "-a", "a'b", "x]", "1s", "http://h:1/", "${a:b}", "2001", "a, b"].map(|text| text) {
            let quoted = text == "2001";
            assert_eq!(written(text), if quoted { "k: '2001'\n".to_owned() } else { format!("k: {text}\n") });
        }
    }

    #[test]
    fn long_lines_are_folded_at_a_blank() {
        let words = "word ".repeat(30);
        let text = written(words.trim_end());
        assert!(text.lines().count() == 2 && text.lines().all(|line| line.len() <= 85), "{text}");
        assert!(text.lines().nth(1).is_some_and(|line| line.starts_with("  word")), "{text}");
        assert_eq!(text.split_whitespace().count(), 31);
    }
}
