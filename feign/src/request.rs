//! From arguments to a request. Pure: no clock, no socket.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::uri::{PathAndQuery, Uri};
use http::{Method, Request};
use vernal_commons::http::Body;

use crate::argument::{Arguments, BodyValue, PieceKind, PieceText};
use crate::encode::{self, Keep};
use crate::error::{Error, ErrorKind, Result};
use crate::meta::CollectionFormat;
use crate::options::CallOptions;
use crate::plan::{MethodPlan, Place, PlanPart};
use crate::url::Base;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain;charset=UTF-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Everything that one call gives to its request.
pub(crate) struct Parts<'a> {
    pub(crate) plan: &'a MethodPlan,
    pub(crate) verb: &'a Method,
    pub(crate) base: &'a Base,
    pub(crate) decode_slash: bool,
    pub(crate) arguments: &'a Arguments,
    pub(crate) body: BodyValue,
    pub(crate) options: Option<&'a CallOptions>,
}

/// Builds the request.
///
/// # Errors
///
/// If a path value is empty, a dot segment or does not match its pattern; if a header's value is not legal; if the
/// body does not go with its content type.
pub(crate) fn build(parts: Parts<'_>) -> Result<Request<Body>> {
    let uri = parts.uri()?;
    let mut headers = parts.headers()?;
    let body = body(&mut headers, parts.body)?;
    let mut request = Request::new(body);
    *request.method_mut() = parts.verb.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

impl Parts<'_> {
    fn uri(&self) -> Result<Uri> {
        let room = self.base.prefix.len() + self.plan.literal_length() + self.arguments.len() * 3 / 2 + 16;
        let mut out = Vec::with_capacity(room);
        out.extend_from_slice(self.base.prefix.as_bytes());
        let start = out.len();
        for part in &self.plan.path {
            self.path_part(&mut out, part)?;
        }
        if self.plan.has_variables && encode::has_dot_segment(&out[start..]) {
            return Err(Error::new(
                ErrorKind::InvalidPathValue,
                "a path value makes a segment `.` or `..`, which a server would resolve",
            ));
        }
        if out.is_empty() {
            out.push(b'/');
        }
        self.query(&mut out)?;
        let invalid = |error: http::Error| Error::new(ErrorKind::InvalidUrl, "URL is not valid").because(error);
        let path = PathAndQuery::from_maybe_shared(Bytes::from(out)).map_err(|error| invalid(error.into()))?;
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(self.base.scheme.clone());
        uri.authority = Some(self.base.authority.clone());
        uri.path_and_query = Some(path);
        Uri::from_parts(uri).map_err(|error| invalid(error.into()))
    }

    fn path_part(&self, out: &mut Vec<u8>, part: &PlanPart) -> Result<()> {
        let (parameter, name, pattern) = match part {
            PlanPart::Literal(text) => {
                out.extend_from_slice(text.as_bytes());
                return Ok(());
            }
            PlanPart::Argument { parameter, name, pattern } => (*parameter, name, pattern),
        };
        let place = self.plan.parameters.get(usize::from(parameter));
        let (encoded, rest, allow_empty) = match place {
            Some(Place::Path { encoded, rest, allow_empty }) => (*encoded, *rest, *allow_empty),
            _ => (false, false, false),
        };
        let start = out.len();
        let keep = if rest { Keep::Segments } else { Keep::Unreserved };
        for (position, piece) in self.arguments.texts(parameter).enumerate() {
            if position > 0 {
                out.push(b',');
            }
            if encoded {
                encode::push_maybe_encoded(out, piece.text, keep);
            } else {
                encode::push(out, piece.text, keep);
            }
        }
        if out.len() == start && !allow_empty {
            return Err(Error::new(ErrorKind::InvalidPathValue, format!("value of path parameter `{name}` is empty")));
        }
        if let Some((regex, pattern)) = pattern {
            let value = String::from_utf8_lossy(&out[start..]);
            if !regex.is_match(&value) {
                let message = format!("Value {value} does not match the expression pattern: {pattern}");
                return Err(Error::new(ErrorKind::InvalidPathValue, message));
            }
        }
        if self.decode_slash {
            encode::decode_slashes(out, start);
        }
        Ok(())
    }

    /// Literal pairs first, then the arguments' in order of declaration, then those of the base URL.
    fn query(&self, out: &mut Vec<u8>) -> Result<()> {
        let mut separator = b'?';
        let mut begin = |out: &mut Vec<u8>, name: &str| {
            out.push(separator);
            separator = b'&';
            out.extend_from_slice(name.as_bytes());
        };
        for pair in &self.plan.query {
            let Some(value) = &pair.value else {
                begin(out, &pair.name);
                continue;
            };
            let absent = |part: &PlanPart| match part {
                PlanPart::Literal(_) => false,
                PlanPart::Argument { parameter, .. } => self.arguments.texts(*parameter).next().is_none(),
            };
            if value.iter().any(absent) {
                continue;
            }
            begin(out, &pair.name);
            out.push(b'=');
            for part in value {
                match part {
                    PlanPart::Literal(text) => out.extend_from_slice(text.as_bytes()),
                    PlanPart::Argument { parameter, .. } => {
                        let encoded = matches!(
                            self.plan.parameters.get(usize::from(*parameter)),
                            Some(Place::Path { encoded: true, .. })
                        );
                        self.arguments.texts(*parameter).for_each(|piece| self.query_value(out, piece, encoded));
                    }
                }
            }
        }
        for (parameter, place) in (0_u16..).zip(&self.plan.parameters) {
            let texts = self.arguments.texts(parameter);
            match place {
                Place::Query { name, flag: true, .. } => {
                    if texts.clone().any(|piece| piece.text == "true") {
                        begin(out, name);
                    }
                }
                Place::Query { name, format: CollectionFormat::Exploded, encoded, .. } => {
                    for piece in texts {
                        begin(out, name);
                        out.push(b'=');
                        self.query_value(out, piece, *encoded);
                    }
                }
                Place::Query { name, format: CollectionFormat::Indexed, encoded, .. } => {
                    for (position, piece) in texts.enumerate() {
                        begin(out, name);
                        if piece.kind == PieceKind::Element {
                            out.extend_from_slice(format!("%5B{position}%5D").as_bytes());
                        }
                        out.push(b'=');
                        self.query_value(out, piece, *encoded);
                    }
                }
                Place::Query { name, format, encoded, .. } => {
                    let joint = match format {
                        CollectionFormat::Ssv => b"%20",
                        CollectionFormat::Tsv => b"%09",
                        CollectionFormat::Pipes => b"%7C",
                        CollectionFormat::Csv | CollectionFormat::Exploded | CollectionFormat::Indexed => b"%2C",
                    };
                    for (position, piece) in texts.enumerate() {
                        if position == 0 {
                            begin(out, name);
                            out.push(b'=');
                        } else {
                            out.extend_from_slice(joint);
                        }
                        self.query_value(out, piece, *encoded);
                    }
                }
                Place::QueryMap => {
                    for piece in texts {
                        if piece.kind == PieceKind::Key {
                            begin(out, "");
                            encode::push(out, piece.text, Keep::Unreserved);
                            out.push(b'=');
                        } else {
                            encode::push(out, piece.text, Keep::Unreserved);
                        }
                    }
                }
                Place::Path { .. } | Place::Header { .. } | Place::HeaderMap | Place::Elsewhere => {}
            }
        }
        if let Some(query) = &self.base.query {
            begin(out, query);
        }
        Ok(())
    }

    fn query_value(&self, out: &mut Vec<u8>, piece: PieceText<'_>, encoded: bool) {
        let start = out.len();
        if encoded {
            encode::push_maybe_encoded(out, piece.text, Keep::Unreserved);
        } else {
            encode::push(out, piece.text, Keep::Unreserved);
        }
        if self.decode_slash {
            encode::decode_slashes(out, start);
        }
    }

    /// Trait and method first, then parameters, then options; a higher level replaces the lower ones.
    fn headers(&self) -> Result<HeaderMap> {
        let mut headers = self.plan.static_headers.clone();
        for header in &self.plan.headers {
            let mut joined = String::new();
            for value in &header.values {
                let Some(text) = self.header_text(value) else { continue };
                if !joined.is_empty() {
                    joined.push_str(", ");
                }
                joined.push_str(&text);
            }
            if !joined.is_empty() {
                headers.insert(header.name.clone(), header_value(&header.name, &joined)?);
            }
        }
        for (parameter, place) in (0_u16..).zip(&self.plan.parameters) {
            match place {
                Place::Header { name } => self.header(&mut headers, parameter, name)?,
                Place::HeaderMap => self.header_map(&mut headers, parameter)?,
                Place::Path { .. } | Place::Query { .. } | Place::QueryMap | Place::Elsewhere => {}
            }
        }
        if let Some(options) = self.options {
            for name in options.headers.keys() {
                headers.remove(name);
            }
            for (name, value) in &options.headers {
                headers.append(name.clone(), value.clone());
            }
        }
        Ok(headers)
    }

    /// The value of a header template; `None` if a part of it is absent, or nothing is left.
    fn header_text(&self, parts: &[PlanPart]) -> Option<String> {
        let mut out = String::new();
        for part in parts {
            match part {
                PlanPart::Literal(text) => out.push_str(text),
                PlanPart::Argument { parameter, .. } => {
                    let mut texts = self.arguments.texts(*parameter).peekable();
                    texts.peek()?;
                    join(&mut out, texts);
                }
            }
        }
        (!out.is_empty()).then_some(out)
    }

    fn header(&self, headers: &mut HeaderMap, parameter: u16, name: &HeaderName) -> Result<()> {
        let mut texts = self.arguments.texts(parameter);
        let value = match (texts.next(), texts.next()) {
            (Some(one), None) if one.kind == PieceKind::Value && !one.text.is_empty() => {
                let mut value = header_value(name, one.text)?;
                value.set_sensitive(one.secret);
                value
            }
            (Some(first), _) if first.kind == PieceKind::Element => {
                let mut out = String::new();
                join(&mut out, self.arguments.texts(parameter));
                header_value(name, &out)?
            }
            // Absent or empty: the header is dropped, even if a lower level has it.
            _ => {
                headers.remove(name);
                return Ok(());
            }
        };
        headers.insert(name.clone(), value);
        Ok(())
    }

    fn header_map(&self, headers: &mut HeaderMap, parameter: u16) -> Result<()> {
        let mut name: Option<HeaderName> = None;
        let mut replaced: Vec<HeaderName> = Vec::new();
        for piece in self.arguments.texts(parameter) {
            if piece.kind == PieceKind::Key {
                let parsed = HeaderName::try_from(piece.text).map_err(|_| {
                    Error::new(
                        ErrorKind::InvalidHeader,
                        format!("`{}` is not a legal header name", piece.text.escape_debug()),
                    )
                })?;
                name = Some(parsed);
            } else if let (Some(name), false) = (name.take(), piece.text.is_empty()) {
                let value = header_value(&name, piece.text)?;
                if replaced.contains(&name) {
                    headers.append(name, value);
                } else {
                    headers.insert(name.clone(), value);
                    replaced.push(name);
                }
            }
        }
        Ok(())
    }
}

/// A list in a header is one line: elements percent-encoded, joined by commas. Single values go as they are
/// (fixture `requests/header`).
fn join<'a>(out: &mut String, texts: impl Iterator<Item = PieceText<'a>>) {
    for (position, piece) in texts.enumerate() {
        if position > 0 {
            out.push(',');
        }
        if piece.kind == PieceKind::Element {
            let mut encoded = Vec::with_capacity(piece.text.len());
            encode::push(&mut encoded, piece.text, Keep::Unreserved);
            out.push_str(&String::from_utf8_lossy(&encoded));
        } else {
            out.push_str(piece.text);
        }
    }
}

/// The value is not shown in the error: it may be a secret.
fn header_value(name: &HeaderName, text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|_| {
        let message = format!("value of header `{name}` has characters that are not allowed there");
        Error::new(ErrorKind::InvalidHeader, message)
    })
}

fn body(headers: &mut HeaderMap, body: BodyValue) -> Result<Body> {
    let (bytes, default) = match body {
        BodyValue::None => return Ok(Body::empty()),
        BodyValue::Json(bytes) => (bytes, JSON),
        BodyValue::Text(bytes) => (bytes, TEXT),
        BodyValue::Bytes(bytes) => {
            headers.entry(CONTENT_TYPE).or_insert(BYTES);
            return Ok(bytes.into());
        }
    };
    let is_json = default == JSON;
    match headers.get(CONTENT_TYPE) {
        None => {
            headers.insert(CONTENT_TYPE, default);
        }
        Some(declared) => check_content_type(declared, is_json)?,
    }
    Ok(bytes.into())
}

/// JSON goes under a JSON type only, text in UTF-8 only: anything else would be read wrongly at the other end.
fn check_content_type(declared: &HeaderValue, is_json: bool) -> Result<()> {
    let text = String::from_utf8_lossy(declared.as_bytes()).to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    if is_json && essence != "application/json" && !essence.ends_with("+json") && essence != "*/*" {
        let message = format!("no way is known to write the argument as `{essence}`");
        return Err(Error::encode(message, "only JSON, text and bytes are written"));
    }
    let charset = parts.find_map(|parameter| parameter.strip_prefix("charset=")).map(|name| name.trim_matches('"'));
    if charset.is_some_and(|charset| !matches!(charset, "utf-8" | "utf8" | "us-ascii")) {
        return Err(Error::encode("the body's charset is not UTF-8", "only UTF-8 is written"));
    }
    Ok(())
}
