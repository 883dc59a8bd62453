//! YAML 1.1 files, as SnakeYAML 2.5 and Spring Boot's `OriginTrackedYamlLoader` read them.
//!
//! Maps become dotted keys, lists indexes, keys that are no text brackets. Nulls and empty lists become the empty
//! text, empty maps vanish. Scalars have the types of YAML 1.1 (`yes`, `0777`, `22:22`), merge keys work, duplicate
//! keys, tabs between tokens and unknown tags are errors.
//!
//! Differences from SnakeYAML, all of them refusals: a structure that contains itself; more than a hundred lines of
//! flow collections that are indented less than their key; expansion beyond the caps below.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};

use super::flatten::Flattener;
use super::node::{Content, Nodes};
use super::scalar;
use super::text::{self, Position, Shift, TabWatch, Text};
use super::{LoadError, PropertySource, check_size, number_documents};
use crate::value::Origin;

/// Deepest nesting, scalars counted (SnakeYAML's default).
pub const MAX_DEPTH: usize = 50;
/// Most nodes of a file after aliases are expanded.
pub const MAX_NODES: usize = 1_000_000;
/// Most bytes of keys and values of a file after aliases are expanded.
pub const MAX_EXPANDED: usize = 128 << 20;

/// Most places in a file where the parser needs help; each costs a pass.
const MAX_REPAIRS: usize = 100;

/// Parses a file of one or more documents, see [`load_file`](super::load_file) for the names. Documents without
/// content are skipped, as Spring skips them. The text must be UTF-8; a leading byte order mark is ignored.
///
/// Whether a document with `spring.config.activate.*` applies is for the caller to say.
///
/// # Errors
///
/// See [`LoadError`].
///
/// ```
/// use vernal_config_client::source::yaml;
///
/// let sources = yaml::load("application.yml", b"a: {b: [1, 0x10, yes]}\n---\nc: 22:22\n")?;
/// assert_eq!(sources[0].keys().collect::<Vec<_>>(), ["a.b[0]", "a.b[1]", "a.b[2]"]);
/// assert_eq!(sources[1].name(), "application.yml (document #1)");
/// assert_eq!(sources[1].get("c").unwrap().value().as_text().as_deref(), Some("1342"));
/// # Ok::<(), vernal_config_client::source::LoadError>(())
/// ```
pub fn load(name: &str, bytes: &[u8]) -> Result<Vec<PropertySource>, LoadError> {
    check_size(name, bytes)?;
    let text = std::str::from_utf8(bytes)
        .map_err(|error| LoadError::NotUtf8 { file: name.to_owned(), valid_up_to: error.valid_up_to() })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file: Arc<str> = name.into();
    if let Some((character, (line, column))) = text::unprintable(text) {
        return Err(LoadError::Syntax {
            origin: Origin::position(file, line, column),
            reason: format!("character U+{:04X} is not allowed", u32::from(character)),
        });
    }
    let mut repaired = None;
    let mut shifts = Vec::new();
    for pass in 1.. {
        if pass > MAX_REPAIRS.min(MAX_EXPANDED / (text.len() + 1) + 1) {
            break;
        }
        let current = repaired.as_deref().unwrap_or(text);
        let (help, error) = match Loader::new(&file, current, &shifts).load() {
            Ok(documents) => return Ok(number_documents(name, documents)),
            Err(Failure::Load(error)) => return Err(error),
            Err(Failure::Helpless(help, error)) => (help, error),
        };
        let mark = *error.marker();
        repaired = match help {
            Help::Escape => text::join_surrogates(current, mark, &mut shifts),
            Help::Line => text::indent(current, mark, false, &mut shifts),
            Help::QuotedLines => text::indent(current, mark, true, &mut shifts),
            Help::Comment => text::separate_comment(current, mark, &mut shifts),
        }
        .map_or_else(|| Err(Loader::new(&file, current, &shifts).scan_error(&error)), |text| Ok(Some(text)))?;
    }
    let reason = "too many escaped surrogate pairs, or lines of flow collections that are indented too little";
    let reason = reason.to_owned();
    Err(LoadError::Syntax { origin: Origin::source_only(file), reason })
}

/// What ends a pass.
enum Failure {
    Load(LoadError),
    /// YAML 1.1 allows it, the parser does not.
    Helpless(Help, ScanError),
}

/// What to change in a text so that the parser takes it.
#[derive(Clone, Copy)]
enum Help {
    /// A surrogate pair is escaped as two characters.
    Escape,
    /// A line of a flow collection is indented less than its key.
    Line,
    /// The further lines of a quoted text are.
    QuotedLines,
    /// A comment follows a token without a blank.
    Comment,
}

impl Help {
    /// By what the parser says.
    fn for_error(error: &ScanError) -> Option<Self> {
        match error.info() {
            "invalid indentation" | "invalid indentation in flow construct" => Some(Self::Line),
            "invalid indentation in quoted scalar" => Some(Self::QuotedLines),
            "comments must be separated from other tokens by whitespace" => Some(Self::Comment),
            other => other.contains("Unicode character escape code").then_some(Self::Escape),
        }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::Load(error)
    }
}

/// A pass over a text.
struct Loader<'a> {
    file: &'a Arc<str>,
    source: &'a str,
    text: Text<'a>,
    nodes: Nodes,
    anchors: HashMap<usize, usize>,
    stack: Vec<Frame>,
    flattener: Flattener,
}

/// A collection whose end was not seen yet.
struct Frame {
    position: Position,
    anchor: usize,
    kind: FrameKind,
}

enum FrameKind {
    Sequence { items: Vec<usize>, ordered_map: bool },
    Mapping { entries: Vec<(usize, usize)>, key: Option<usize>, set: bool },
}

impl<'a> Loader<'a> {
    fn new(file: &'a Arc<str>, source: &'a str, shifts: &'a [Shift]) -> Self {
        Self {
            file,
            source,
            text: Text::new(source, shifts),
            nodes: Nodes::new(file),
            anchors: HashMap::new(),
            stack: Vec::new(),
            flattener: Flattener::default(),
        }
    }

    fn load(mut self) -> Result<Vec<PropertySource>, Failure> {
        let mut documents = Vec::new();
        let mut tabs = TabWatch::new(self.source);
        let mut root = None;
        let mut seen_document = false;
        for event in Parser::new_from_str(self.source) {
            let (event, Span { start, end }) = event.map_err(|error| match Help::for_error(&error) {
                Some(help) => Failure::Helpless(help, error),
                None => Failure::Load(self.scan_error(&error)),
            })?;
            let node = match event {
                Event::Nothing | Event::StreamStart | Event::StreamEnd => continue,
                Event::DocumentStart(explicit) => {
                    if seen_document && !explicit {
                        return Err(self.syntax(start, "a further document begins with `---`").into());
                    }
                    seen_document = true;
                    // Anchors do not outlive their document.
                    self.anchors.clear();
                    self.nodes.clear();
                    root = None;
                    continue;
                }
                Event::DocumentEnd => {
                    if let Some(root) = root.take() {
                        documents.extend(self.flattener.document(&self.nodes, root)?);
                    }
                    continue;
                }
                Event::Alias(_) if self.text.has_bad_name(start) => return Err(self.bad_name(start).into()),
                Event::Alias(anchor) => match self.anchors.get(&anchor) {
                    Some(node) => *node,
                    None => return Err(self.syntax(start, "alias of an unknown anchor or of its own parent").into()),
                },
                Event::Scalar(value, style, anchor, tag) => {
                    if tabs.tab_before(start, end, style) {
                        return Err(self.syntax(start, "tab before this place, use blanks").into());
                    }
                    // The parser ends a block at the end of the file with a line break that is not there.
                    let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                    let open_end = block && tabs.is_at_end() && !self.source.ends_with(['\n', '\r']);
                    let value = if open_end { value.strip_suffix('\n').unwrap_or(&value) } else { &value };
                    self.scalar(start, value, style, anchor, tag.as_deref())?
                }
                Event::SequenceStart(anchor, tag) => {
                    let ordered_map = match core_tag(tag.as_deref()).as_deref() {
                        None | Some("!" | "seq") => false,
                        Some("omap") => true,
                        Some(other) => return Err(self.bad_tag(start, other, "list").into()),
                    };
                    self.open(start, anchor, FrameKind::Sequence { items: Vec::new(), ordered_map })?;
                    continue;
                }
                Event::MappingStart(anchor, tag) => {
                    let set = match core_tag(tag.as_deref()).as_deref() {
                        None | Some("!" | "map") => false,
                        Some("set") => true,
                        Some(other) => return Err(self.bad_tag(start, other, "map").into()),
                    };
                    self.open(start, anchor, FrameKind::Mapping { entries: Vec::new(), key: None, set })?;
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    let Some(frame) = self.stack.pop() else { continue };
                    self.close(frame)?
                }
            };
            match self.stack.last_mut().map(|frame| &mut frame.kind) {
                None => root = Some(node),
                Some(FrameKind::Sequence { items, .. }) => items.push(node),
                Some(FrameKind::Mapping { entries, key, .. }) => match key.take() {
                    None => *key = Some(node),
                    Some(key) => entries.push((key, node)),
                },
            }
        }
        if tabs.tab_at_end() {
            let origin = Origin::source_only(self.file.clone());
            return Err(LoadError::Syntax { origin, reason: "tab behind the last value".to_owned() }.into());
        }
        Ok(documents)
    }

    fn scalar(
        &mut self,
        start: Marker,
        value: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
    ) -> Result<usize, LoadError> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(self.too_deep(start));
        }
        if anchor > 0 && self.text.has_bad_name(start) {
            return Err(self.bad_name(start));
        }
        let position = self.text.scalar_position(start, value, style, tag.is_none() && anchor == 0);
        let tag = tag.map(full_tag);
        let scalar = scalar::resolve(value, style == ScalarStyle::Plain, tag.as_deref())
            .map_err(|reason| self.syntax(start, &reason))?;
        self.add(Content::Scalar(scalar), position, anchor)
    }

    fn open(&mut self, start: Marker, anchor: usize, kind: FrameKind) -> Result<(), LoadError> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(self.too_deep(start));
        }
        if anchor > 0 && self.text.has_bad_name(start) {
            return Err(self.bad_name(start));
        }
        self.stack.push(Frame { position: self.text.position(start), anchor, kind });
        Ok(())
    }

    fn close(&mut self, frame: Frame) -> Result<usize, LoadError> {
        let content = match frame.kind {
            FrameKind::Sequence { items, ordered_map: false } => Content::Sequence(items),
            FrameKind::Sequence { items, ordered_map: true } => self.nodes.ordered_map(&items, frame.position)?,
            FrameKind::Mapping { entries, set, .. } => {
                let entries = self.nodes.mapping(&entries)?;
                if set { Content::Set(entries) } else { Content::Mapping(entries) }
            }
        };
        self.add(content, frame.position, frame.anchor)
    }

    fn add(&mut self, content: Content, position: Position, anchor: usize) -> Result<usize, LoadError> {
        let index = self.nodes.add(content, position)?;
        if anchor > 0 {
            self.anchors.insert(anchor, index);
        }
        Ok(index)
    }

    fn syntax(&self, mark: Marker, reason: &str) -> LoadError {
        self.nodes.syntax_at(self.text.position(mark), reason)
    }

    fn scan_error(&self, error: &ScanError) -> LoadError {
        self.syntax(*error.marker(), error.info())
    }

    fn bad_tag(&self, mark: Marker, tag: &str, what: &str) -> LoadError {
        self.syntax(mark, &format!("tag `{tag}` is not supported for a {what}"))
    }

    fn bad_name(&self, mark: Marker) -> LoadError {
        self.syntax(mark, "the name of an anchor must not contain `:`, `/`, `.`, `*` or `&`")
    }

    fn too_deep(&self, mark: Marker) -> LoadError {
        self.syntax(mark, &format!("nested deeper than {MAX_DEPTH} levels"))
    }
}

fn full_tag(tag: &Tag) -> String {
    format!("{}{}", tag.handle, tag.suffix)
}

/// The name of a core tag, otherwise the whole tag.
fn core_tag(tag: Option<&Tag>) -> Option<String> {
    let tag = full_tag(tag?);
    Some(tag.strip_prefix("tag:yaml.org,2002:").map(str::to_owned).unwrap_or(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys, values as JSON and origins of all documents.
    fn load(text: &str) -> Result<Vec<String>, String> {
        let sources = super::load("f", text.as_bytes()).map_err(|error| error.to_string())?;
        Ok(sources
            .iter()
            .flat_map(|source| source.iter())
            .map(|(key, property)| {
                let place = property.origin().and_then(Origin::label).unwrap_or_else(|| "-".to_owned());
                format!("{key}={} @{place}", property.value().to_json())
            })
            .collect())
    }

    #[test]
    fn structures_become_flat_keys() {
        for (text, expected) in [
            (
                "{a: {b: [{c: 1}, {c: 2}], d: [], e: {}, f: ~}}",
                vec!["a.b[0].c=1 @1:14", "a.b[1].c=2 @1:22", "a.d=\"\" @1:30", "a.f=\"\" @1:44"],
            ),
            ("o: [{n: 1}, ~, {}, []]", vec!["o[0].n=1 @1:9", "o[1]=\"\" @1:13", "o[3]=\"\" @1:20"]),
            ("m: [[1, 2], [3]]", vec!["m[0][0]=1 @1:6", "m[0][1]=2 @1:9", "m[1][0]=3 @1:14"]),
            ("k: {1: x, true: y, 1.5: z}", vec!["k[1]=\"x\" @1:8", "k[true]=\"y\" @1:17", "k[1.5]=\"z\" @1:25"]),
            ("\"[e.f]\": 1\na: {\"[q]\": 2}", vec!["[e.f]=1 @1:10", "a[q]=2 @2:12"]),
            ("- a\n- b: 1\n", vec!["document[0]=\"a\" @1:3", "document[1].b=1 @2:6"]),
            ("? [a, b]\n: c\n", vec!["[[a, b]]=\"c\" @2:3"]),
            ("a.b: 1\na: {b: 2}\n", vec!["a.b=2 @2:8"]),
            ("s: !!set {1, b}\n", vec!["s[0]=1 @-", "s[1]=\"b\" @-"]),
            ("o: !!omap [a: 1, b: 2]\n", vec!["o.a=1 @1:15", "o.b=2 @1:21"]),
            ("\"\": {a: 1}\n", vec!["a=1 @1:9"]),
        ] {
            assert_eq!(
                load(text).as_deref(),
                Ok(&*expected.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()),
                "{text}"
            );
        }
    }

    #[test]
    fn empty_documents_are_skipped_and_empty_maps_are_not() {
        let names = |text: &str| {
            super::load("f", text.as_bytes()).unwrap().iter().map(|source| source.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names("---\n---\na: 1\n---\n"), ["f"]);
        assert_eq!(names("~\n---\n[]\n---\n''\n"), Vec::<String>::new());
        assert_eq!(names("{}\n---\na: 1\n"), ["f (document #0)", "f (document #1)"]);
        assert_eq!(names("\u{feff}a: 1"), ["f"]);
    }

    #[test]
    fn origins_are_those_of_snakeyaml() {
        for (text, places) in [
            ("k: |\n  a\nl: >- # c\n\n  b\n", vec!["1:4", "3:4"]),
            ("k: |\nl:\n- \n-\n- x", vec!["1:4", "3:2", "4:2", "5:3"]),
            ("k: &x |\n  a\nl: !!str 'x'\nm: *x\n", vec!["1:4", "3:4", "1:4"]),
            ("k:\nl: # c\nm: {a: }\n", vec!["1:3", "2:3", "3:7"]),
            ("k: [\"\\ud83d\\ude80x\", a, \"\\ud83d\\ude80\", b]\n", vec!["1:5", "1:22", "1:25", "1:41"]),
        ] {
            let found: Vec<_> = load(text).unwrap();
            let found: Vec<_> = found.iter().filter_map(|line| line.rsplit('@').next()).collect();
            assert_eq!(found, places, "{text}");
        }
    }

    #[test]
    fn a_block_ends_with_the_line_break_that_the_file_has() {
        let value = |text: &str| load(text).unwrap().concat();
        assert_eq!(value("k: |\n  x\n"), "k=\"x\\n\" @1:4");
        assert_eq!(value("k: |\n  x"), "k=\"x\" @1:4");
        assert_eq!(value("k: |+\n  x\n\n"), "k=\"x\\n\\n\" @1:4");
        assert_eq!(value("k: >-\n  x\n  y"), "k=\"x y\" @1:4");
    }

    #[test]
    fn continued_lines_need_no_indentation() {
        for (text, expected) in [
            ("a:\n  b: [\n  x, y\n]\nc: 1\n", vec!["a.b[0]=\"x\" @3:3", "a.b[1]=\"y\" @3:6", "c=1 @5:4"]),
            ("a:\n  b: [\n  \"x\", 'y\n']\n", vec!["a.b[0]=\"x\" @3:3", "a.b[1]=\"y \" @3:8"]),
            (
                "a: [# c\n'x'#\n, \"\\ud83d\\ude80\",y# c\n]#\n",
                vec!["a[0]=\"x\" @2:1", "a[1]=\"\u{1f680}\" @3:3", "a[2]=\"y# c\" @3:18"],
            ),
            ("a: {\nx: 1,\ny: {z: [\n2]}}\n", vec!["a.x=1 @2:4", "a.y.z[0]=2 @4:1"]),
            ("j: '{\n  \"a\": 1\n}'\nk: 2\n", vec!["j=\"{ \\\"a\\\": 1 }\" @1:4", "k=2 @4:4"]),
            ("a: \"x\n\ny\\\nz\"\n", vec!["a=\"x\\nyz\" @1:4"]),
            ("a: [\n\"\\ud83d\\ude80\", b]\n", vec!["a[0]=\"\u{1f680}\" @2:1", "a[1]=\"b\" @2:17"]),
        ] {
            assert_eq!(
                load(text).as_deref(),
                Ok(&*expected.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()),
                "{text}"
            );
        }
        assert!(load(&format!("a: [{}]\n", "\nx,".repeat(150))).unwrap_err().contains("indented too little"));
        assert!(load("a: [\nb\n").unwrap_err().starts_with("f:3:1"));
    }

    #[test]
    fn merge_keys_keep_the_first_place_and_the_own_value() {
        let text = "b: &b {h: 1, p: 2}\nc: &c {p: 3, q: 4}\nd:\n  p: 9\n  <<: [*b, *c]\n  q: 8\n";
        let found = load(text).unwrap();
        let found: Vec<_> = found.iter().filter(|line| line.starts_with("d.")).map(String::as_str).collect();
        assert_eq!(found, ["d.p=9 @4:6", "d.h=1 @1:11", "d.q=8 @6:6"]);
    }

    #[test]
    fn what_spring_refuses_is_refused_with_its_place() {
        for (text, expected) in [
            ("a: 1\nb: 2\na: 3\n", "f:3:1: duplicate key `a`, first at line 1"),
            ("a: {1: x, 0x1: y}\n", "f:1:11: duplicate key `1`, first at line 1"),
            ("a:\n\tb: 1\n", "tab"),
            ("a:\t1\n", "f:1:4"),
            ("a: \t1\n", "tab"),
            ("a: \"x\"\t\nb: 1\n", "tab"),
            ("a: [1,\t2]\n", "tab"),
            ("a: !custom x\n", "f:1:4: tag `!custom` is not supported"),
            ("a: !!java.io.File [x]\n", "f:1:4: tag `java.io.File` is not supported for a list"),
            ("a: {~: x}\n", "f:1:5: a key must not be null"),
            ("a: {cipher}0c76\n", "f:1"),
            ("a: *x\n", "f:1:4"),
            ("a: &x 1\n---\nb: *x\n", "f:3:4: alias"),
            ("a: &x [*x]\n", "f:1:8: alias"),
            ("a: |#\n  x\n", "f:1:5"),
            ("a: &x.y 1\n", "f:1:4: the name"),
            ("a: 1\n...\nb: 2\n", "f:3:1: a further document"),
            ("a: <<\n", "f:1:4: `<<` is not a value"),
            ("<<: 1\n", "f:1:5: `<<` merges"),
            ("a: \u{1}\n", "f:1:4: character U+0001 is not allowed"),
            ("l: [{1: x}]\n", "f:1:9: a key of a map in a list must be text"),
            ("a: \"\\ud83d\"\n", "f:1:4"),
        ] {
            let error = load(text).unwrap_err();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
        assert!(super::load("f", b"a: \xff").unwrap_err().to_string().contains("not UTF-8 (byte 3)"));
    }

    #[test]
    fn tabs_in_texts_and_comments_are_fine() {
        for text in ["a: x\ty\t# c\t\n", "a: 'x\ty' #\tc\n", "#\t\na: |\n  x\ty\n", "a: 1 \t\nb: 2\n"] {
            assert!(load(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn expansion_is_capped() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert!(load(&bomb).unwrap_err().contains("nodes after expanding aliases"));
        let wide = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(150));
        assert!(load(&wide).unwrap_err().contains("bytes after expanding aliases"));
        let deep = format!("a: {}1{}\n", "[".repeat(48), "]".repeat(48));
        assert!(load(&deep).is_ok());
        let deep = format!("a: {}1{}\n", "[".repeat(50), "]".repeat(50));
        assert!(load(&deep).unwrap_err().contains("deeper than 50"));
        let deep = "[".repeat(100_000);
        assert!(load(&deep).is_err());
        assert!(super::load("f", &vec![b' '; super::super::MAX_FILE + 1]).unwrap_err().to_string().contains("bytes"));
    }

    #[test]
    fn chains_of_aliases_and_merges_are_capped() {
        let mut chain = "a0: &a0 [x]\n".to_owned();
        (1..5000).for_each(|level| chain.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1)));
        assert!(load(&chain).unwrap_err().contains("aliases nested deeper"));
        assert!(load(&format!("{chain}? *a4999\n: 1\n")).unwrap_err().contains("aliases nested deeper"));
        let keys: Vec<_> = (0..1200).map(|number| format!("k{number}: 1")).collect();
        let mut merges = format!("b: &b {{{}}}\n", keys.join(", "));
        (0..1200).for_each(|number| merges.push_str(&format!("m{number}: {{<<: *b}}\n")));
        assert!(load(&merges).unwrap_err().contains("merged entries"));
        let path = format!("? {}\n: [{}]\n", "k".repeat(1 << 20), "{}, ".repeat(1000));
        assert!(load(&path).unwrap_err().contains("bytes after expanding"));
    }

    #[test]
    fn long_lines_take_linear_time() {
        let started = std::time::Instant::now();
        let missing = format!("{{{}}}", (0..30_000).map(|number| format!("k{number}: ,")).collect::<String>());
        assert_eq!(load(&missing).unwrap().len(), 30_000);
        let anchors = format!("[{}]", (0..30_000).map(|number| format!("&a{number} x,")).collect::<String>());
        assert_eq!(load(&anchors).unwrap().len(), 30_000);
        assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-a-c0-1:{}\\[\\],&*!|>'\"\\\\#<%@\\?\n\t ~ué]{0,60}") {
            let _ = load(&text);
        }
    }
}
