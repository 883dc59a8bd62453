//! `.properties` files, as Spring Boot's `OriginTrackedPropertiesLoader` reads them.

use std::sync::Arc;

use super::{LoadError, Property, PropertySource, check_size, number_documents};
use crate::value::Origin;

/// Parses a file in ISO-8859-1, the encoding that Spring takes when none is given.
///
/// `#---` or `!---` alone on a line begins a new document, unless the line before is a comment of the same character
/// or the line after is a comment. `key[]=a,b` becomes `key[0]` and `key[1]`. Blanks at the end of a value stay.
///
/// # Errors
///
/// [`LoadError::TooLarge`]; [`LoadError::Syntax`] for `\u` without four hexadecimal digits and for half a surrogate
/// pair (which Java keeps).
///
/// ```
/// use vernal_config_client::source::properties;
///
/// let sources = properties::load("application.properties", b"a.b=1\nlist[]=x,y\n#---\na.b=2\n")?;
/// assert_eq!(sources[0].keys().collect::<Vec<_>>(), ["a.b", "list[0]", "list[1]"]);
/// assert_eq!(sources[1].get("a.b").unwrap().value().as_str(), Some("2"));
/// # Ok::<(), vernal_config_client::source::LoadError>(())
/// ```
pub fn load(name: &str, bytes: &[u8]) -> Result<Vec<PropertySource>, LoadError> {
    check_size(name, bytes)?;
    parse(name, bytes.iter().map(|byte| u32::from(*byte)).collect())
}

/// Parses a file in UTF-8: what `spring.config.import` with `[encoding=utf-8]` asks for.
///
/// # Errors
///
/// As [`load`], and [`LoadError::NotUtf8`].
pub fn load_utf8(name: &str, bytes: &[u8]) -> Result<Vec<PropertySource>, LoadError> {
    check_size(name, bytes)?;
    let text = std::str::from_utf8(bytes)
        .map_err(|error| LoadError::NotUtf8 { file: name.to_owned(), valid_up_to: error.valid_up_to() })?;
    parse(name, text.chars().map(u32::from).collect())
}

fn parse(name: &str, characters: Vec<u32>) -> Result<Vec<PropertySource>, LoadError> {
    let mut reader = Reader::new(name, characters);
    let mut documents: Vec<PropertySource> = Vec::new();
    let mut document = PropertySource::new(name);
    while reader.read()? {
        let Some(prefix) = reader.comment_prefix() else {
            reader.last_comment = None;
            reader.entry(&mut document)?;
            continue;
        };
        if reader.is_new_document(prefix)? {
            let finished = std::mem::replace(&mut document, PropertySource::new(name));
            if !finished.is_empty() {
                documents.push(finished);
            }
            continue;
        }
        // A comment right behind the separator takes it back.
        if document.is_empty()
            && let Some(last) = documents.pop()
        {
            document = last;
        }
        reader.last_comment = Some(prefix);
        reader.skip_comment();
    }
    if !document.is_empty() {
        documents.push(document);
    }
    Ok(number_documents(name, documents))
}

/// Reads characters, taking away continuations and escapes; every line break is `\n`.
///
/// Positions follow Spring's reader with its quirks: the column of an empty value is 0 and its line the next one,
/// and what stands behind a continuation counts from the continued line.
struct Reader {
    name: Arc<str>,
    characters: Vec<u32>,
    next: usize,
    line: u32,
    column: i64,
    character: Option<u32>,
    escaped: bool,
    last_comment: Option<u32>,
    /// Whether the last character taken was none of a line break.
    in_line: bool,
}

const LF: u32 = '\n' as u32;
const CR: u32 = '\r' as u32;

impl Reader {
    fn new(name: &str, characters: Vec<u32>) -> Self {
        Self {
            name: name.into(),
            characters,
            next: 0,
            line: 0,
            column: -1,
            character: None,
            escaped: false,
            last_comment: None,
            in_line: false,
        }
    }

    /// The next character as `LineNumberReader` gives it. Since JDK 16 it counts a last line without a line break.
    fn take(&mut self) -> Option<u32> {
        let Some(character) = self.characters.get(self.next).copied() else {
            self.line += u32::from(std::mem::take(&mut self.in_line));
            return None;
        };
        self.next += 1;
        if character == CR && self.characters.get(self.next) == Some(&LF) {
            self.next += 1;
        }
        if character == CR || character == LF {
            self.line += 1;
            self.in_line = false;
            return Some(LF);
        }
        self.in_line = true;
        Some(character)
    }

    /// Moves to the next character; `false` at the end of the file.
    fn read(&mut self) -> Result<bool, LoadError> {
        loop {
            self.escaped = false;
            self.character = self.take();
            self.column += 1;
            if self.column == 0 {
                self.skip_blanks();
            }
            if self.is('\\') {
                self.escaped = true;
                self.character = self.take();
                match self.character.and_then(char::from_u32) {
                    Some('t') => self.character = Some(0x09),
                    Some('r') => self.character = Some(0x0d),
                    Some('n') => self.character = Some(0x0a),
                    Some('f') => self.character = Some(0x0c),
                    Some('u') => self.unicode()?,
                    Some('\n') => {
                        self.column = -1;
                        continue;
                    }
                    _ => {}
                }
            } else if self.is('\n') {
                self.column = -1;
            }
            return Ok(self.character.is_some());
        }
    }

    fn unicode(&mut self) -> Result<(), LoadError> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.take().and_then(char::from_u32).and_then(|digit| digit.to_digit(16));
            unit = unit << 4 | digit.ok_or_else(|| self.syntax("`\\u` needs four hexadecimal digits"))?;
        }
        self.character = Some(unit);
        Ok(())
    }

    fn is(&self, character: char) -> bool {
        self.character == Some(u32::from(character))
    }

    fn is_unescaped(&self, characters: &[char]) -> bool {
        !self.escaped && characters.iter().any(|character| self.is(*character))
    }

    fn is_blank(&self) -> bool {
        self.is_unescaped(&[' ', '\t', '\u{c}'])
    }

    fn is_end_of_line(&self) -> bool {
        self.character.is_none() || self.is_unescaped(&['\n'])
    }

    fn skip_blanks(&mut self) {
        while self.is_blank() {
            self.character = self.take();
            self.column += 1;
        }
    }

    fn skip_comment(&mut self) {
        while self.character.is_some() && !self.is('\n') {
            self.character = self.take();
        }
        self.column = -1;
    }

    /// `#` or `!`, escaped ones too, at the start of a line.
    fn comment_prefix(&self) -> Option<u32> {
        self.character.filter(|_| self.is('#') || self.is('!'))
    }

    fn is_new_document(&mut self, prefix: u32) -> Result<bool, LoadError> {
        if self.last_comment == Some(prefix) {
            return Ok(false);
        }
        let mut separator = self.column == 0;
        for _ in 0..3 {
            if separator {
                self.read()?;
                separator = self.is('-');
            }
        }
        if !self.is_end_of_line() {
            self.read()?;
            self.skip_blanks();
        }
        Ok(separator && self.is_end_of_line())
    }

    /// Reads a line from its first character.
    fn entry(&mut self, document: &mut PropertySource) -> Result<(), LoadError> {
        let key = self.key()?;
        let key = key.trim_matches(|character: char| character <= ' ');
        let Some(list) = key.strip_suffix("[]") else {
            let value = self.value(false)?;
            if !key.is_empty() {
                document.insert(key, value);
            }
            return Ok(());
        };
        let mut index = 0;
        loop {
            let value = self.value(true)?;
            document.insert(format!("{list}[{index}]"), value);
            index += 1;
            if !self.is_end_of_line() {
                self.read()?;
            }
            if self.is_end_of_line() {
                return Ok(());
            }
        }
    }

    fn key(&mut self) -> Result<String, LoadError> {
        let mut key = Vec::new();
        let mut behind_blank = false;
        while !self.is_end_of_line() {
            if self.is_unescaped(&['=', ':']) {
                self.read()?;
                break;
            }
            if !self.is_blank() && behind_blank {
                break;
            }
            behind_blank = self.is_blank();
            key.extend(self.character);
            self.read()?;
        }
        self.text(&key)
    }

    fn value(&mut self, in_list: bool) -> Result<Property, LoadError> {
        while self.is_blank() && !self.is_end_of_line() {
            self.read()?;
        }
        let column = u32::try_from(self.column + 1).unwrap_or(u32::MAX);
        let origin = Origin::position(self.name.clone(), self.line + 1, column);
        let mut value = Vec::new();
        while !self.is_end_of_line() && (!in_list || !self.is_unescaped(&[','])) {
            value.extend(self.character);
            self.read()?;
        }
        Ok(Property::new(self.text(&value)?, Some(origin)))
    }

    /// The text of code points and UTF-16 units.
    fn text(&self, units: &[u32]) -> Result<String, LoadError> {
        let mut text = String::with_capacity(units.len());
        let mut units = units.iter().copied().peekable();
        while let Some(unit) = units.next() {
            let character = match (unit, units.peek()) {
                (0xd800..0xdc00, Some(low @ 0xdc00..0xe000)) => {
                    let character = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                    units.next();
                    character
                }
                _ => unit,
            };
            text.push(char::from_u32(character).ok_or_else(|| self.syntax("half a surrogate pair"))?);
        }
        Ok(text)
    }

    fn syntax(&self, reason: &str) -> LoadError {
        let column = u32::try_from(self.column + 1).unwrap_or(u32::MAX);
        LoadError::Syntax {
            origin: Origin::position(self.name.clone(), self.line + 1, column),
            reason: reason.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<Vec<String>> {
        load("f", bytes)
            .unwrap()
            .iter()
            .map(|document| {
                document
                    .iter()
                    .map(|(key, property)| {
                        let place = property.origin().and_then(Origin::label).unwrap_or_default();
                        format!("{key}={} @{place}", property.value().as_str().unwrap_or_default())
                    })
                    .collect()
            })
            .collect()
    }

    #[test]
    fn entries_are_read_as_spring_reads_them() {
        for (text, expected) in [
            (&b"a\\ b=c\\u00e9\n"[..], vec!["a b=c\u{e9} @1:5"]),
            (b"k:v", vec!["k=v @1:3"]),
            (b"k v", vec!["k=v @1:3"]),
            (b"k = v  \n", vec!["k=v   @1:5"]),
            (b"long = one, \\\n    two\n", vec!["long=one, two @1:8"]),
            (b"e=\xe9", vec!["e=\u{e9} @1:3"]),
            (b"x[]=1, 2\n", vec!["x[0]=1 @1:5", "x[1]=2 @1:8"]),
            (b"a\nb=1", vec!["a= @2:0", "b=1 @2:3"]),
            (b"! x\n# y\nq=\"z\"\n", vec!["q=\"z\" @3:3"]),
            (b"r=\\ud83d\\ude80", vec!["r=\u{1f680} @1:3"]),
            (b"a=1\r\nb=2\rc=3", vec!["a=1 @1:3", "b=2 @2:3", "c=3 @3:3"]),
            (b"=v\n", vec![]),
            (b"a=1\nb=", vec!["a=1 @1:3", "b= @3:3"]),
        ] {
            assert_eq!(lines(text).concat(), expected, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn three_hyphens_behind_a_comment_character_separate_documents() {
        let count = |text: &str| lines(text.as_bytes()).len();
        assert_eq!(count("a=1\n#---\na=2\n"), 2);
        assert_eq!(count("a=1\n!---\na=2\n"), 2);
        assert_eq!(count("a=1\n#--- \na=2\n"), 2);
        assert_eq!(count("a=1\n#----\na=2\n"), 1);
        assert_eq!(count("a=1\n #---\na=2\n"), 1);
        assert_eq!(count("a=1\n# x\n#---\na=2\n"), 1);
        assert_eq!(count("a=1\n! x\n#---\na=2\n"), 2);
        assert_eq!(count("a=1\n#---\n# x\na=2\n"), 1);
        assert_eq!(count("#---\na=1\n#---\n"), 1);
        assert_eq!(load("f", b"a=1\n#---\na=2\n").unwrap()[1].name(), "f (document #1)");
    }

    #[test]
    fn bad_escapes_are_errors_with_their_place() {
        assert_eq!(
            load("f", b"a=1\nb=\\u00g0\n").unwrap_err().to_string(),
            "f:2:3: `\\u` needs four hexadecimal digits"
        );
        assert!(load("f", b"a=\\ud83d\n").unwrap_err().to_string().contains("surrogate"));
        assert_eq!(load_utf8("f", "ä=é".as_bytes()).unwrap()[0].get("ä").unwrap().value().as_str(), Some("é"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(bytes in proptest::collection::vec(proptest::prop_oneof![
            proptest::sample::select(b"\\u#!-=: \t\n\r[],ab0".to_vec()), proptest::num::u8::ANY], 0..80)) {
            let _ = load("f", &bytes);
            let _ = load_utf8("f", &bytes);
        }
    }
}
