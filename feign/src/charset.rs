//! The charset of a body, and its text.

use std::borrow::Cow;

use http::header::{CONTENT_TYPE, HeaderMap};
use vernal_commons::BoxError;

/// The charsets that a text may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charset {
    Utf8,
    Latin1,
    Unknown,
}

/// The charset that the headers name.
pub(crate) fn charset(headers: &HeaderMap) -> Charset {
    let Some(value) = headers.get(CONTENT_TYPE).filter(|value| value.as_bytes().contains(&b';')) else {
        return Charset::Utf8;
    };
    let Ok(value) = value.to_str() else { return Charset::Utf8 };
    let named = value.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    match named {
        None => Charset::Utf8,
        Some(name) if name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("us-ascii") => Charset::Utf8,
        Some(name) if name.eq_ignore_ascii_case("iso-8859-1") => Charset::Latin1,
        Some(_) => Charset::Unknown,
    }
}

/// The body as text, for messages: what does not fit its charset is replaced.
pub(crate) fn text_of<'a>(headers: &HeaderMap, body: &'a [u8]) -> Cow<'a, str> {
    match charset(headers) {
        Charset::Latin1 => body.iter().map(|byte| char::from(*byte)).collect::<String>().into(),
        Charset::Utf8 | Charset::Unknown => String::from_utf8_lossy(body),
    }
}

/// The body as text, if its charset is known.
pub(crate) fn strict_text(headers: &HeaderMap, body: &[u8]) -> Result<String, BoxError> {
    match charset(headers) {
        Charset::Latin1 => Ok(text_of(headers, body).into_owned()),
        Charset::Utf8 => Ok(String::from_utf8_lossy(body).into_owned()),
        Charset::Unknown => Err("charset of the response is neither UTF-8 nor ISO-8859-1".into()),
    }
}
