//! The text of a YAML file, by line: repairs positions and finds what SnakeYAML refuses and the parser does not.

use saphyr_parser::{Marker, ScalarStyle};

/// A text with the starts of its lines.
pub(super) struct Text<'a> {
    text: &'a str,
    lines: Vec<usize>,
    shifts: &'a [Shift],
    /// A place in `text`, in characters and in bytes: looking forward from it keeps a pass linear.
    cursor: (usize, usize),
}

/// A change of a line that moved what stands behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shift {
    line: usize,
    /// What stands behind this column was moved.
    column: usize,
    /// What to add to get the column in the file.
    by: isize,
}

/// How far back a line is looked at for the `-` of a missing value, in bytes.
const LOOK_BEHIND: usize = 256;

/// Line and column, both from 1.
pub(super) type Position = (u32, u32);

impl<'a> Text<'a> {
    pub(super) fn new(text: &'a str, shifts: &'a [Shift]) -> Self {
        let bytes = text.as_bytes();
        let mut lines = vec![0];
        for (at, byte) in bytes.iter().enumerate() {
            if *byte == b'\n' || (*byte == b'\r' && bytes.get(at + 1) != Some(&b'\n')) {
                lines.push(at + 1);
            }
        }
        Self { text, lines, shifts, cursor: (0, 0) }
    }

    /// Line `number` from 1, with its line break.
    fn line(&self, number: usize) -> &'a str {
        let start = self.lines.get(number.saturating_sub(1)).copied().unwrap_or(self.text.len());
        let end = self.lines.get(number).copied().unwrap_or(self.text.len());
        self.text.get(start..end).unwrap_or_default()
    }

    /// The place of a marker in the file as it was before any repair.
    pub(super) fn position(&self, mark: Marker) -> Position {
        self.at(mark.line(), mark.col())
    }

    fn at(&self, line: usize, column: usize) -> Position {
        let first = self.shifts.partition_point(|shift| shift.line < line);
        let shifts = self.shifts.iter().skip(first).take_while(|shift| shift.line == line && shift.column < column);
        let column = column.saturating_add_signed(shifts.map(|shift| shift.by).sum());
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column + 1).unwrap_or(u32::MAX))
    }

    /// What stands on the line before (its end, if it is long) and from a marker on.
    fn around(&mut self, mark: Marker) -> (&'a str, &'a str) {
        let (mut index, mut byte) = self.cursor;
        if mark.index() < index {
            (index, byte) = (0, 0);
        }
        let ahead = self.text.get(byte..).unwrap_or_default();
        byte += split_chars(ahead, mark.index() - index).0.len();
        self.cursor = (mark.index(), byte);
        let line = |number: usize| self.lines.get(number).copied().unwrap_or(self.text.len());
        let mut start = line(mark.line().saturating_sub(1)).max(byte.saturating_sub(LOOK_BEHIND)).min(byte);
        while !self.text.is_char_boundary(start) {
            start += 1;
        }
        let end = line(mark.line()).max(byte);
        (self.text.get(start..byte).unwrap_or_default(), self.text.get(byte..end).unwrap_or_default())
    }

    /// Where SnakeYAML says that a scalar begins. `bare` means that it has neither tag nor anchor.
    pub(super) fn scalar_position(&mut self, mark: Marker, value: &str, style: ScalarStyle, bare: bool) -> Position {
        match style {
            ScalarStyle::Literal | ScalarStyle::Folded if bare => self.block_header(mark, value),
            ScalarStyle::Plain if bare && value.is_empty() => self.missing_scalar(mark),
            _ => self.position(mark),
        }
    }

    /// Whether the anchor or alias at `mark`, perhaps behind a tag, has a name that SnakeYAML does not take.
    pub(super) fn has_bad_name(&mut self, mark: Marker) -> bool {
        let (_, text) = self.around(mark);
        text.split([' ', '\t', '\r', '\n', ',', '[', ']', '{', '}'])
            .filter(|word| !word.is_empty())
            .take(2)
            .find_map(|word| word.strip_prefix(['&', '*']))
            .is_some_and(|name| name.contains([':', '/', '.', '*', '&']))
    }

    /// A missing scalar stands right behind the `:` or `-` that announces it.
    fn missing_scalar(&mut self, mark: Marker) -> Position {
        let (before, after) = self.around(mark);
        if after.starts_with(':') {
            return self.at(mark.line(), mark.col() + 1);
        }
        let code = [" #", "\t#"].iter().filter_map(|comment| before.find(comment)).min();
        let code = before.get(..code.unwrap_or(before.len())).unwrap_or_default().trim_end();
        if code.ends_with('-') {
            let behind = before.get(code.len()..).unwrap_or_default().chars().count();
            return self.at(mark.line(), mark.col().saturating_sub(behind));
        }
        self.position(mark)
    }

    /// The parser reports the first line of the content of a block scalar, SnakeYAML the `|` or `>`.
    fn block_header(&mut self, mark: Marker, value: &str) -> Position {
        let (_, after) = self.around(mark);
        if value.trim_start_matches('\n').is_empty() && is_block_header(after) {
            return self.position(mark);
        }
        let mut number = mark.line();
        while number > 1 {
            number -= 1;
            let line = self.line(number);
            if line.trim().is_empty() {
                continue;
            }
            for (at, _) in line.match_indices(['|', '>']) {
                let (before, header) = line.split_at(at);
                if (before.is_empty() || before.ends_with([' ', '\t'])) && is_block_header(header) {
                    return self.at(number, before.chars().count());
                }
            }
            break;
        }
        self.position(mark)
    }
}

/// `|` or `>`, an indentation and a chomping indicator in either order, and perhaps a comment.
fn is_block_header(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(['|', '>']) else { return false };
    let rest = rest.trim_start_matches(['+', '-', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    let comment = rest.trim_start_matches([' ', '\t']);
    comment.trim_end_matches(['\r', '\n']).is_empty() || (comment.starts_with('#') && comment.len() < rest.len())
}

fn split_chars(line: &str, chars: usize) -> (&str, &str) {
    let at = line.char_indices().nth(chars).map_or(line.len(), |(at, _)| at);
    line.split_at(at)
}

/// The first character that a YAML file must not contain as it is (SnakeYAML's `StreamReader`), with its place.
pub(super) fn unprintable(text: &str) -> Option<(char, Position)> {
    let printable = |character: char| {
        matches!(character,
            '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}'
            | '\u{10000}'..='\u{10ffff}')
    };
    let (at, character) = text.char_indices().find(|(_, character)| !printable(*character))?;
    let before = text.get(..at)?;
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    Some((character, (u32::try_from(line).ok()?, u32::try_from(column).ok()?)))
}

/// Watches the text between scalars, where SnakeYAML allows no tab outside comments.
pub(super) struct TabWatch<'a> {
    rest: &'a str,
    /// Characters before `rest`.
    index: usize,
    /// Whether the scalar before `rest` was a plain one: tabs right behind it belong to its line.
    behind_plain: bool,
}

impl<'a> TabWatch<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, index: 0, behind_plain: false }
    }

    /// Looks at the gap before a scalar that spans `start` to `end`; whether there is a tab in it.
    pub(super) fn tab_before(&mut self, start: Marker, end: Marker, style: ScalarStyle) -> bool {
        let gap = self.take(start.index().saturating_sub(self.index));
        let found = has_tab(gap, self.behind_plain);
        match style {
            // The parser counts blanks and comments behind the closing quote to the scalar.
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                let length = quoted_length(self.rest);
                self.take(length);
                self.behind_plain = false;
            }
            _ => {
                self.take(end.index().saturating_sub(self.index));
                self.behind_plain = style == ScalarStyle::Plain;
            }
        }
        found
    }

    /// Whether nothing stands behind the last scalar, not even a line break.
    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Looks at what stands behind the last scalar.
    pub(super) fn tab_at_end(&mut self) -> bool {
        has_tab(self.rest, self.behind_plain)
    }

    fn take(&mut self, chars: usize) -> &'a str {
        let (taken, rest) = split_chars(self.rest, chars);
        self.index += chars;
        self.rest = rest;
        taken
    }
}

fn has_tab(gap: &str, behind_plain: bool) -> bool {
    let mut gap = gap;
    if behind_plain {
        gap = gap.trim_start_matches([' ', '\t']);
    }
    gap.split(['\n', '\r']).any(|line| {
        let line = if line.starts_with('%') { "" } else { line };
        let comment = line
            .match_indices('#')
            .find(|(at, _)| line.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with([' ', '\t'])))
            .map_or(line.len(), |(at, _)| at);
        line.get(..comment).is_some_and(|code| code.contains('\t'))
    })
}

/// The number of characters of the quoted scalar at the start of `text` (or behind its tag or anchor), quotes included.
fn quoted_length(text: &str) -> usize {
    let mut characters = text.chars().enumerate().skip_while(|(_, character)| !matches!(character, '"' | '\''));
    let Some((_, quote)) = characters.next() else { return 0 };
    let mut characters = characters.peekable();
    while let Some((at, character)) = characters.next() {
        if character == '\\' && quote == '"' {
            characters.next();
        } else if character == quote {
            if quote == '\'' && characters.peek().is_some_and(|(_, next)| *next == '\'') {
                characters.next();
            } else {
                return at + 1;
            }
        }
    }
    text.chars().count()
}

/// Replaces each `\ud83d\ude80` of the double-quoted scalar at `mark` by `\U0001F680`, which the parser knows; `None`
/// if there is none.
pub(super) fn join_surrogates(text: &str, mark: Marker, shifts: &mut Vec<Shift>) -> Option<String> {
    let (before, scalar) = split_chars(text, mark.index());
    let (mut line, mut column) = (mark.line(), mark.col());
    let mut joined = before.to_owned();
    let mut rest = scalar;
    let mut length = quoted_length(scalar);
    let mut found = false;
    while length > 0 {
        if let Some(character) = surrogate_pair(rest) {
            joined.push_str(&format!("\\U{:08X}", u32::from(character)));
            column += 10;
            length = length.saturating_sub(12);
            rest = rest.get(12..)?;
            shifts.push(Shift { line, column: column - 1, by: 2 });
            found = true;
            continue;
        }
        let escaped = rest.starts_with('\\') && length > 1;
        for _ in 0..=usize::from(escaped) {
            let character = rest.chars().next()?;
            joined.push(character);
            rest = rest.get(character.len_utf8()..)?;
            length -= 1;
            column += 1;
            if character == '\n' || (character == '\r' && !rest.starts_with('\n')) {
                (line, column) = (line + 1, 0);
            }
        }
    }
    joined.push_str(rest);
    shifts.sort_by_key(|shift| (shift.line, shift.column));
    found.then_some(joined)
}

/// Indents what the parser finds indented too little, where SnakeYAML does not care: the line at `mark`, or the further
/// lines of the `quoted` scalar there. Blanks at the start of such lines mean nothing. `None` if the text would grow
/// by more than [`MAX_GROWTH`] bytes.
pub(super) fn indent(text: &str, mark: Marker, quoted: bool, shifts: &mut Vec<Shift>) -> Option<String> {
    let (before, rest) = split_chars(text, mark.index());
    // A scalar stands to the right of the key it belongs to.
    let width = if quoted { mark.col() + 1 } else { INDENT };
    let from = if quoted { before.len() } else { before.len() - last_line(before).len() };
    let length = split_chars(rest, if quoted { quoted_length(rest) } else { 0 }).0.len() + before.len() - from;
    let blanks = " ".repeat(width);
    let mut indented = text.get(..from)?.to_owned();
    let mut moved = Vec::new();
    for (number, line) in text.get(from..from + length)?.split_inclusive('\n').enumerate() {
        if (number > 0 || !quoted) && !line.trim().is_empty() {
            indented.push_str(&blanks);
            moved.push(mark.line() + number);
        }
        indented.push_str(line);
        if indented.len() > text.len() + MAX_GROWTH {
            return None;
        }
    }
    if !quoted && moved.is_empty() {
        indented.push_str(&blanks);
        moved.push(mark.line());
    }
    indented.push_str(text.get(from + length..)?);
    for shift in shifts.iter_mut().filter(|shift| moved.binary_search(&shift.line).is_ok()) {
        shift.column += width;
    }
    let by = -isize::try_from(width).ok()?;
    shifts.extend(moved.into_iter().map(|line| Shift { line, column: width - 1, by }));
    shifts.sort_by_key(|shift| (shift.line, shift.column));
    Some(indented)
}

/// Puts a blank before the comment at `mark`, which follows a quote or bracket without one; `None` if it follows
/// anything else.
pub(super) fn separate_comment(text: &str, mark: Marker, shifts: &mut Vec<Shift>) -> Option<String> {
    let (before, comment) = split_chars(text, mark.index());
    if !before.ends_with(['"', '\'', '[', ']', '{', '}', ',']) {
        return None;
    }
    let behind = shifts.iter_mut().filter(|shift| shift.line == mark.line() && shift.column >= mark.col());
    behind.for_each(|shift| shift.column += 1);
    shifts.push(Shift { line: mark.line(), column: mark.col(), by: -1 });
    shifts.sort_by_key(|shift| (shift.line, shift.column));
    Some(format!("{before} {comment}"))
}

/// Deeper than any block that is allowed to nest, unless it is indented by more than four blanks a level.
const INDENT: usize = 200;
/// Most bytes by which indenting lets a text grow.
const MAX_GROWTH: usize = 8 << 20;

fn last_line(text: &str) -> &str {
    text.rsplit(['\n', '\r']).next().unwrap_or_default()
}

fn surrogate_pair(text: &str) -> Option<char> {
    let unit = |text: &str| u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok();
    let pair = [unit(text)?, unit(text.get(6..)?)?];
    if !(0xd800..0xdc00).contains(&pair[0]) {
        return None;
    }
    char::decode_utf16(pair).next()?.ok()
}
