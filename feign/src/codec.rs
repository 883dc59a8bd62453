//! From a response to a method's result.
//!
//! How a response is read follows from the method's return type, chosen while compiling: `(&&&Returning::<T>::new())
//! .shape()` takes the first of [`ReturnKnown`], [`ReturnOptional`] and [`ReturnJson`] that fits `T`.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::response::Parts;
use serde::de::DeserializeOwned;
use vernal_commons::BoxError;
use vernal_commons::http::Body;

use crate::charset::{Charset, charset, strict_text, text_of};
use crate::empty;
use crate::error::Error;

/// How a method's value is made from a response.
#[doc(hidden)]
pub struct Shape<T> {
    pub(crate) reads: Reads,
    pub(crate) decode: fn(&mut Reply) -> Result<T, BoxError>,
}

/// What a method wants of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(hidden)]
pub enum Reads {
    /// Nothing of the body; a 404 is an error even if dismissed.
    Nothing,
    /// The whole body.
    Value,
    /// The whole body; a 404 is "none".
    Optional,
    /// Head and whole body, whatever the status.
    Whole,
    /// Head and body unread, whatever the status.
    Raw,
}

/// A response on its way to a value.
#[doc(hidden)]
#[derive(Debug)]
pub struct Reply {
    pub(crate) parts: Parts,
    pub(crate) body: Bytes,
    pub(crate) stream: Body,
    /// The body does not count: a dismissed 404, or a decoder that said "empty".
    pub(crate) absent: bool,
}

/// The value and error types of a method's return type.
#[diagnostic::on_unimplemented(
    message = "a method of a Feign client must return a `Result`, not `{Self}`",
    label = "write `vernal_feign::Result<..>`, or `Result<.., E>` with `E: From<vernal_feign::Error>`",
    note = "with the facade, the module is `vernal::feign`"
)]
pub trait MethodResult: Sized {
    /// The value.
    type Value;

    /// The result with the method's own error type.
    fn from_call(result: Result<Self::Value, Error>) -> Self;
}

impl<T, E: From<Error>> MethodResult for Result<T, E> {
    type Value = T;

    fn from_call(result: Result<T, Error>) -> Self {
        result.map_err(E::from)
    }
}

/// Carries a return type.
#[doc(hidden)]
pub struct Returning<T>(PhantomData<fn() -> T>);

/// First choice: types that are read in their own way.
#[doc(hidden)]
pub trait ReturnKnown<T> {
    fn shape(&self) -> Shape<T>;
}

/// Second choice: an `Option` of what is read from JSON.
#[doc(hidden)]
pub trait ReturnOptional<T> {
    fn shape(&self) -> Shape<T>;
}

/// Third choice: what is read from JSON. It fits every type, so that the compiler's complaint is about `FromJson`.
#[doc(hidden)]
pub trait ReturnJson<T> {
    fn shape(&self) -> Shape<T>
    where
        T: FromJson;
}

/// What is read from JSON.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a response",
    label = "implement `serde::Deserialize`, or return `Bytes`, `String`, `()` or `http::Response<Bytes>`"
)]
pub trait FromJson: DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> FromJson for T {}

/// A type that is read in its own way.
#[doc(hidden)]
pub trait Known: Sized {
    const READS: Reads;
    fn read(reply: &mut Reply) -> Result<Self, BoxError>;
}

impl Shape<http::Response<Bytes>> {
    /// Head and body of a success; another status is an error.
    pub(crate) fn success() -> Self {
        Self { reads: Reads::Value, decode: <http::Response<Bytes>>::read }
    }
}

impl<T> Returning<T> {
    /// The type, without a value of it.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Default for Returning<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Returning<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Returning")
    }
}

impl<T> fmt::Debug for Shape<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shape").field("reads", &self.reads).finish_non_exhaustive()
    }
}

impl<T: Known> ReturnKnown<T> for &&Returning<T> {
    fn shape(&self) -> Shape<T> {
        Shape { reads: T::READS, decode: T::read }
    }
}

impl<T: DeserializeOwned> ReturnOptional<Option<T>> for &Returning<Option<T>> {
    fn shape(&self) -> Shape<Option<T>> {
        Shape {
            reads: Reads::Optional,
            decode: |reply| if reply.is_empty() { Ok(None) } else { json(&reply.parts.headers, &reply.body) },
        }
    }
}

impl<T> ReturnJson<T> for Returning<T> {
    fn shape(&self) -> Shape<T>
    where
        T: FromJson,
    {
        Shape {
            reads: Reads::Value,
            decode: |reply| {
                if reply.is_empty() { empty::value() } else { json(&reply.parts.headers, &reply.body) }
            },
        }
    }
}

impl Known for () {
    const READS: Reads = Reads::Nothing;

    fn read(_: &mut Reply) -> Result<Self, BoxError> {
        Ok(())
    }
}

impl Known for Bytes {
    const READS: Reads = Reads::Value;

    fn read(reply: &mut Reply) -> Result<Self, BoxError> {
        Ok(if reply.is_empty() { Self::new() } else { std::mem::take(&mut reply.body) })
    }
}

impl Known for Vec<u8> {
    const READS: Reads = Reads::Value;

    fn read(reply: &mut Reply) -> Result<Self, BoxError> {
        Bytes::read(reply).map(Into::into)
    }
}

impl Known for String {
    const READS: Reads = Reads::Value;

    fn read(reply: &mut Reply) -> Result<Self, BoxError> {
        if reply.is_empty() {
            return Ok(Self::new());
        }
        strict_text(&reply.parts.headers, &reply.body)
    }
}

/// `None` on 404 and on an empty body.
impl<T: Known> Known for Option<T> {
    const READS: Reads = Reads::Optional;

    fn read(reply: &mut Reply) -> Result<Self, BoxError> {
        if reply.is_empty() { Ok(None) } else { T::read(reply).map(Some) }
    }
}

impl Known for http::Response<Bytes> {
    const READS: Reads = Reads::Whole;

    fn read(reply: &mut Reply) -> Result<Self, BoxError> {
        Ok(reply.head().map(|()| std::mem::take(&mut reply.body)))
    }
}

impl Known for http::Response<Body> {
    const READS: Reads = Reads::Raw;

    fn read(reply: &mut Reply) -> Result<Self, BoxError> {
        Ok(reply.head().map(|()| std::mem::take(&mut reply.stream)))
    }
}

impl Reply {
    /// The head, taken out: what is left serves for an error message only.
    fn head(&mut self) -> http::Response<()> {
        let mut head = http::Response::new(());
        *head.status_mut() = self.parts.status;
        *head.version_mut() = self.parts.version;
        *head.headers_mut() = std::mem::take(&mut self.parts.headers);
        *head.extensions_mut() = std::mem::take(&mut self.parts.extensions);
        head
    }

    fn is_empty(&self) -> bool {
        self.absent || self.body.is_empty() || matches!(self.parts.status.as_u16(), 204 | 205)
    }
}

/// Reads JSON and names the path of what does not fit.
fn json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, BoxError> {
    match headers.get(CONTENT_TYPE) {
        // Spring takes it for `application/octet-stream` (fixture `requests/response`).
        None => return Err("response has no content type, but JSON was expected".into()),
        Some(value) if !is_json(value) => {
            return Err(format!(
                "response has the content type `{}`, not JSON",
                String::from_utf8_lossy(value.as_bytes())
            )
            .into());
        }
        Some(_) => {}
    }
    let text;
    let body = match charset(headers) {
        Charset::Latin1 => {
            text = text_of(headers, body);
            text.as_bytes()
        }
        Charset::Utf8 | Charset::Unknown => body,
    };
    // The path is worth a second pass only when there is something to explain.
    match serde_json::from_slice(body) {
        Ok(value) => Ok(value),
        Err(error) => {
            let mut input = serde_json::Deserializer::from_slice(body);
            match serde_path_to_error::deserialize::<_, T>(&mut input) {
                Err(located) => Err(located.into()),
                Ok(_) => Err(error.into()),
            }
        }
    }
}

fn is_json(content_type: &HeaderValue) -> bool {
    let value = content_type.as_bytes();
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let plus = essence.len().saturating_sub(5);
    essence.eq_ignore_ascii_case(b"application/json") || plus > 0 && essence[plus..].eq_ignore_ascii_case(b"+json")
}
