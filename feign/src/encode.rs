//! Percent-encoding as Feign does it (feign-core 13.6 `UriUtils`): unreserved characters stay, everything else of a
//! value becomes UTF-8 triplets in upper case; literals keep reserved characters and triplets.

/// What stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Letters, digits and `-._~`: for values.
    Unreserved,
    /// The same and `/`: for values that are several segments.
    Segments,
    /// Reserved characters as well: for literals.
    Reserved,
}

const UNRESERVED: u8 = 1;
const SLASH: u8 = 2;
const RESERVED: u8 = 4;

static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let ascii = byte as u8;
        classes[byte] = match ascii {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => UNRESERVED,
            b'/' => SLASH | RESERVED,
            b':' | b'?' | b'#' | b'[' | b']' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b','
            | b';' | b'=' => RESERVED,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Appends `text` to `out`, encoded.
pub(crate) fn push(out: &mut Vec<u8>, text: &str, keep: Keep) {
    let mask = match keep {
        Keep::Unreserved => UNRESERVED,
        Keep::Segments => UNRESERVED | SLASH,
        Keep::Reserved => UNRESERVED | RESERVED,
    };
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let clean = rest.iter().position(|byte| CLASSES[usize::from(*byte)] & mask == 0).unwrap_or(rest.len());
        out.extend_from_slice(&rest[..clean]);
        rest = &rest[clean..];
        let Some((byte, after)) = rest.split_first() else { break };
        out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        rest = after;
    }
}

/// Appends a literal of a template, which keeps its triplets.
pub(crate) fn push_literal(out: &mut Vec<u8>, text: &str) {
    let mut rest = text;
    while let Some(percent) = rest.find('%') {
        push(out, &rest[..percent], Keep::Reserved);
        let triplet = is_triplet(&rest.as_bytes()[percent..]);
        let end = if triplet { percent + 3 } else { percent + 1 };
        out.extend_from_slice(if triplet { &rest.as_bytes()[percent..end] } else { b"%25" });
        rest = &rest[end..];
    }
    push(out, rest, Keep::Reserved);
}

/// Appends a value that may be encoded already: then it passes as it is, else it is encoded whole.
pub(crate) fn push_maybe_encoded(out: &mut Vec<u8>, text: &str, keep: Keep) {
    if looks_encoded(text) {
        out.extend_from_slice(text.as_bytes());
    } else {
        push(out, text, keep);
    }
}

/// Feign's test (`UriUtils.isEncoded`): nothing but unreserved characters and `%`, and at least one triplet.
fn looks_encoded(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(|byte| *byte == b'%' || CLASSES[usize::from(*byte)] & UNRESERVED != 0)
        && bytes.windows(3).any(is_triplet)
}

fn is_triplet(bytes: &[u8]) -> bool {
    matches!(bytes, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// Turns every `%2F` from `start` on back into `/`: Feign's `decodeSlash`, which leaves `%2f` alone.
pub(crate) fn decode_slashes(out: &mut Vec<u8>, start: usize) {
    let (mut read, mut write) = (start, start);
    while read < out.len() {
        if out[read..].starts_with(b"%2F") {
            out[write] = b'/';
            read += 3;
        } else {
            out[write] = out[read];
            read += 1;
        }
        write += 1;
    }
    out.truncate(write);
}

/// Whether a segment of `path` is `.` or `..`, plain or encoded: a server would resolve it and so leave the path
/// that the method names.
pub(crate) fn has_dot_segment(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|segment| {
        let mut rest = segment;
        let mut dots = 0;
        while !rest.is_empty() {
            rest = match rest {
                [b'.', after @ ..] | [b'%', b'2', b'e' | b'E', after @ ..] => after,
                _ => return false,
            };
            dots += 1;
        }
        dots == 1 || dots == 2
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        let mut out = Vec::new();
        push(&mut out, text, Keep::Unreserved);
        String::from_utf8(out).unwrap()
    }

    fn maybe_encoded(text: &str) -> String {
        let mut out = Vec::new();
        push_maybe_encoded(&mut out, text, Keep::Unreserved);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_keep_only_unreserved_characters() {
        assert_eq!(value("a b/é%~-._"), "a%20b%2F%C3%A9%25~-._");
        assert_eq!(value(""), "");
    }

    #[test]
    fn a_value_that_looks_encoded_passes_where_that_is_asked_for() {
        assert_eq!(maybe_encoded("a%20b"), "a%20b");
        assert_eq!(maybe_encoded("a%20b c"), "a%2520b%20c");
        assert_eq!(maybe_encoded("100%"), "100%25");
    }

    #[test]
    fn literals_keep_reserved_characters_and_triplets() {
        let mut out = Vec::new();
        push_literal(&mut out, "/a b/%41%é:@!");
        assert_eq!(out, b"/a%20b/%41%25%C3%A9:@!");
    }

    #[test]
    fn only_upper_case_slashes_are_decoded() {
        let mut out = b"%2F/a%2Fb%2fc".to_vec();
        decode_slashes(&mut out, 3);
        assert_eq!(out, b"%2F/a/b%2fc");
    }

    #[test]
    fn dot_segments_are_found_in_every_spelling() {
        for path in ["/p/..", "/p/.", "/%2e%2E/x", "/.%2e", ".."] {
            assert!(has_dot_segment(path.as_bytes()), "{path}");
        }
        for path in ["/p/...", "/a.b/..c", "/", "/p/%2e%2ex"] {
            assert!(!has_dot_segment(path.as_bytes()), "{path}");
        }
    }
}
