//! JSON as a stream of tokens, with the text that Jackson's parser gives for each of them.
//!
//! Netflix's decoder (`EurekaJacksonCodec`, Eureka 2.0.5) walks over tokens without looking at their kind, so what it
//! makes of an odd body can only be told by walking in the same way.

use std::borrow::Cow;

/// Deeper bodies are refused, as by Jackson's `StreamReadConstraints` (1000 there; nothing sane needs 64).
const MAX_DEPTH: usize = 64;

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    BeginObject,
    EndObject,
    BeginArray,
    EndArray,
    /// The name of a member.
    Name(Cow<'a, str>),
    /// A string value.
    Text(Cow<'a, str>),
    /// A number without fraction or exponent, as written.
    Integer(&'a str),
    /// Any other number, as written.
    Decimal(&'a str),
    Bool(bool),
    Null,
}

/// The body is not JSON, or not what the reader needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Yields the tokens of a text one by one; what lies behind the last one asked for is never looked at.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    rest: &'a str,
    nest: Vec<Nest>,
    expect: Expect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nest {
    Object,
    Array,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// A value; after `[` also the end of the array.
    Value {
        or_end: bool,
    },
    /// A name; after `{` also the end of the object.
    Name {
        or_end: bool,
    },
    /// A comma or the end of what is open.
    CommaOrEnd,
    Nothing,
}

// ===== impl Token =====

impl Token<'_> {
    /// The token as text, as `JsonParser.getText` gives it.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::BeginObject => "{",
            Self::EndObject => "}",
            Self::BeginArray => "[",
            Self::EndArray => "]",
            Self::Name(text) | Self::Text(text) => text,
            Self::Integer(text) | Self::Decimal(text) => text,
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
            Self::Null => "null",
        }
    }

    /// The token as a whole number: 0 for what is none, refused beyond 64 bits (`JsonParser.getValueAsLong`).
    pub(super) fn long(&self) -> Result<i64, Malformed> {
        match self {
            Self::Integer(text) => text.parse().map_err(|_| Malformed),
            Self::Decimal(text) => text.parse().map(truncate).map_err(|_| Malformed),
            Self::Text(text) => {
                let text = text.trim();
                Ok(text.parse().or_else(|_| text.parse().map(truncate)).unwrap_or(0))
            }
            Self::Bool(value) => Ok(i64::from(*value)),
            _ => Ok(0),
        }
    }

    /// As [`long`](Self::long) for 32 bits.
    pub(super) fn int(&self) -> Result<i32, Malformed> {
        let long = self.long()?;
        match self {
            Self::Integer(_) | Self::Decimal(_) => i32::try_from(long).map_err(|_| Malformed),
            _ => Ok(i32::try_from(long).unwrap_or(0)),
        }
    }

    /// The token as a truth value (`JsonParser.getValueAsBoolean`): only the exact text `true` counts.
    pub(super) fn truth(&self) -> bool {
        match self {
            Self::Bool(value) => *value,
            Self::Text(text) => text.trim() == "true",
            Self::Integer(text) => text.parse::<i64>().is_ok_and(|number| number != 0),
            _ => false,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "Java's cast to long saturates in the same way")]
fn truncate(number: f64) -> i64 {
    number as i64
}

// ===== impl Tokens =====

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, nest: Vec::new(), expect: Expect::Value { or_end: false } }
    }

    /// The next token, or `None` at the end of the text.
    pub(super) fn next(&mut self) -> Result<Option<Token<'a>>, Malformed> {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
            let Some(first) = self.rest.chars().next() else {
                // Input that ends inside a value is an error to Jackson, too.
                return if self.nest.is_empty() && self.expect == Expect::Nothing || self.fresh() {
                    Ok(None)
                } else {
                    Err(Malformed)
                };
            };
            return match (self.expect, first) {
                (Expect::Nothing, _) => Ok(None),
                (Expect::CommaOrEnd, ',') => {
                    self.skip(1);
                    self.expect = match self.nest.last() {
                        Some(Nest::Object) => Expect::Name { or_end: false },
                        _ => Expect::Value { or_end: false },
                    };
                    continue;
                }
                (Expect::CommaOrEnd | Expect::Name { or_end: true }, '}') => self.close(Nest::Object).map(Some),
                (Expect::CommaOrEnd | Expect::Value { or_end: true }, ']') => self.close(Nest::Array).map(Some),
                (Expect::Name { .. }, '"') => {
                    let name = self.string()?;
                    self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
                    if !self.rest.starts_with(':') {
                        return Err(Malformed);
                    }
                    self.skip(1);
                    self.expect = Expect::Value { or_end: false };
                    Ok(Some(Token::Name(name)))
                }
                (Expect::Value { .. }, _) => self.value(first).map(Some),
                _ => Err(Malformed),
            };
        }
    }

    /// As [`next`](Self::next) where the text must go on.
    pub(super) fn need(&mut self) -> Result<Token<'a>, Malformed> {
        self.next()?.ok_or(Malformed)
    }

    fn fresh(&self) -> bool {
        self.nest.is_empty() && self.expect == Expect::Value { or_end: false }
    }

    fn value(&mut self, first: char) -> Result<Token<'a>, Malformed> {
        match first {
            '{' => self.open(Nest::Object),
            '[' => self.open(Nest::Array),
            '"' => {
                let text = self.string()?;
                self.done();
                Ok(Token::Text(text))
            }
            '-' | '0'..='9' => self.number(),
            _ => {
                for (word, token) in [("true", Token::Bool(true)), ("false", Token::Bool(false)), ("null", Token::Null)]
                {
                    if self.rest.starts_with(word) {
                        self.skip(word.len());
                        self.done();
                        return Ok(token);
                    }
                }
                Err(Malformed)
            }
        }
    }

    fn open(&mut self, nest: Nest) -> Result<Token<'a>, Malformed> {
        if self.nest.len() == MAX_DEPTH {
            return Err(Malformed);
        }
        self.skip(1);
        self.nest.push(nest);
        match nest {
            Nest::Object => {
                self.expect = Expect::Name { or_end: true };
                Ok(Token::BeginObject)
            }
            Nest::Array => {
                self.expect = Expect::Value { or_end: true };
                Ok(Token::BeginArray)
            }
        }
    }

    fn close(&mut self, nest: Nest) -> Result<Token<'a>, Malformed> {
        if self.nest.pop() != Some(nest) {
            return Err(Malformed);
        }
        self.skip(1);
        self.done();
        Ok(match nest {
            Nest::Object => Token::EndObject,
            Nest::Array => Token::EndArray,
        })
    }

    fn done(&mut self) {
        self.expect = if self.nest.is_empty() { Expect::Nothing } else { Expect::CommaOrEnd };
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        let bytes = self.rest.as_bytes();
        let mut end = 1;
        let mut escaped = false;
        loop {
            match bytes.get(end).ok_or(Malformed)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    end += 2;
                }
                0..=0x1f => return Err(Malformed),
                _ => end += 1,
            }
        }
        let quoted = self.rest.get(..=end).ok_or(Malformed)?;
        self.skip(end + 1);
        if escaped {
            serde_json::from_str(quoted).map(Cow::Owned).map_err(|_| Malformed)
        } else {
            Ok(Cow::Borrowed(&quoted[1..end]))
        }
    }

    fn number(&mut self) -> Result<Token<'a>, Malformed> {
        let end = self.rest.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
        let text = &self.rest[..end.unwrap_or(self.rest.len())];
        serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|_| Malformed)?;
        self.skip(text.len());
        self.done();
        Ok(if text.contains(['.', 'e', 'E']) { Token::Decimal(text) } else { Token::Integer(text) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<String>, Malformed> {
        let mut tokens = Tokens::new(text);
        let mut seen = Vec::new();
        while let Some(token) = tokens.next()? {
            seen.push(token.text().to_owned());
        }
        Ok(seen)
    }

    #[test]
    fn tokens_come_in_order_with_their_text() {
        let seen = all(r#" {"a\u0041":[1, -2.50,"x\"y",{},[]] ,"b":null,"c":true} "#).unwrap();
        assert_eq!(
            seen,
            ["{", "aA", "[", "1", "-2.50", "x\"y", "{", "}", "[", "]", "]", "b", "null", "c", "true", "}"]
        );
    }

    #[test]
    fn broken_text_is_refused_where_it_breaks() {
        for text in
            ["{", "[1", "{\"a\"}", "[1,]", "{\"a\":1,}", "]", "[}", "nul", "\"a", "01", "[1 2]", "{\"a\":\u{1}}"]
        {
            assert_eq!(all(text), Err(Malformed), "{text}");
        }
        assert_eq!(all(&"[".repeat(100)), Err(Malformed));
        assert_eq!(all("").unwrap(), Vec::<String>::new());
        assert_eq!(all("{} trailing").unwrap(), ["{", "}"]);
    }

    #[test]
    fn numbers_are_read_as_java_coerces_them() {
        let text = |text| Token::Text(Cow::Borrowed(text));
        for (token, expected) in [
            (Token::Integer("8080"), Ok(8080)),
            (Token::Integer("3000000000"), Err(Malformed)),
            (Token::Decimal("7.9"), Ok(7)),
            (text(" 15 "), Ok(15)),
            (text("1.5"), Ok(1)),
            (text("abc"), Ok(0)),
            (Token::Bool(true), Ok(1)),
            (Token::Null, Ok(0)),
        ] {
            assert_eq!(token.int(), expected, "{token:?}");
        }
        assert_eq!(Token::Integer("99999999999999999999").long(), Err(Malformed));
        assert!(text("true").truth() && !text("True").truth() && Token::Integer("1").truth());
    }
}
