//! From a Rust value to what a request needs of it.
//!
//! The traits carry a marker so that values that print and containers of them can be told apart without
//! specialisation: the compiler infers the one marker that fits. Two fit a `Secret`, which prints as asterisks, so that
//! it is refused rather than sent in that form: write `secret.expose()`.

use std::collections::{BTreeSet, HashSet};
use std::fmt::{self, Display};

use bytes::Bytes;
use serde::Serialize;
use vernal_commons::secret::Secret;

use crate::error::Error;

/// Receives the texts of one argument.
#[derive(Debug)]
pub struct Values<'a> {
    arguments: &'a mut Arguments,
    parameter: u16,
    kind: PieceKind,
}

/// The texts of all arguments of a call, in one buffer.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    text: String,
    pieces: Vec<Piece>,
    failed: bool,
}

/// One text of one argument.
#[derive(Debug, Clone, Copy)]
struct Piece {
    parameter: u16,
    kind: PieceKind,
    secret: bool,
    start: u32,
    end: u32,
}

/// What a text is within its argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PieceKind {
    /// The value.
    Value,
    /// An element of a list.
    Element,
    /// The name of a pair of a map; the pair's value follows.
    Key,
}

/// Bytes of text set aside per parameter.
const ROOM: usize = 32;

/// One text of one argument, to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PieceText<'a> {
    pub(crate) text: &'a str,
    pub(crate) kind: PieceKind,
    pub(crate) secret: bool,
}

impl Arguments {
    /// With room for the texts of most calls.
    pub(crate) fn with_room(parameters: usize) -> Self {
        Self { text: String::with_capacity(parameters * ROOM), pieces: Vec::with_capacity(parameters), failed: false }
    }

    /// Takes the argument of `parameter`.
    pub(crate) fn of(&mut self, parameter: u16) -> Values<'_> {
        Values { arguments: self, parameter, kind: PieceKind::Value }
    }

    /// The texts of the argument of `parameter`; none if it is absent.
    pub(crate) fn texts(&self, parameter: u16) -> impl Iterator<Item = PieceText<'_>> + Clone {
        self.pieces.iter().filter(move |piece| piece.parameter == parameter).map(|piece| PieceText {
            text: self.text.get(piece.start as usize..piece.end as usize).unwrap_or_default(),
            kind: piece.kind,
            secret: piece.secret,
        })
    }

    /// The length of all texts together.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether an argument could not be printed, or all are longer than 4 GiB.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    /// A pair of a map.
    pub(crate) fn pair(&mut self, parameter: u16, key: &str, value: &(impl Display + ?Sized)) {
        Values { arguments: self, parameter, kind: PieceKind::Key }.push(key);
        self.of(parameter).push(value);
    }
}

/// A value of a query pair or header: everything that prints, an `Option` of it, a list of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent as a query or header value",
    label = "neither prints (`Display`) nor is an `Option` or a list of values that do",
    note = "implement `std::fmt::Display` for it, send it as `#[query_map]`, or as `#[body]`"
)]
pub trait Argument<Marker> {
    /// Hands over the texts; none if the value is absent.
    fn put(&self, values: &mut Values<'_>);
}

/// A value of a path segment: everything that prints, or a list of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a path value",
    label = "neither prints (`Display`) nor is a list of values that do",
    note = "a path value must be present: use `#[path(allow_empty)]` for an `Option`"
)]
pub trait PathArgument<Marker> {
    /// Hands over the texts.
    fn put_path(&self, values: &mut Values<'_>);
}

/// Markers of [`Argument`].
pub(crate) mod marker {
    use std::marker::PhantomData;

    /// A value that prints.
    #[derive(Debug)]
    pub struct One;
    /// A secret: sent, never shown.
    #[derive(Debug)]
    pub struct Hidden;
    /// An `Option`.
    #[derive(Debug)]
    pub struct Optional<M>(PhantomData<M>);
    /// A list.
    #[derive(Debug)]
    pub struct Many<M>(PhantomData<M>);
}

impl Values<'_> {
    /// One text.
    pub fn push(&mut self, value: &(impl Display + ?Sized)) {
        self.add(value, false);
    }

    fn add(&mut self, value: &(impl Display + ?Sized), secret: bool) {
        let Arguments { text, pieces, failed } = &mut *self.arguments;
        let start = text.len();
        *failed |= fmt::write(text, format_args!("{value}")).is_err();
        match (u32::try_from(start), u32::try_from(text.len())) {
            (Ok(start), Ok(end)) => {
                pieces.push(Piece { parameter: self.parameter, kind: self.kind, secret, start, end });
            }
            _ => *failed = true,
        }
    }

    fn each<T>(&mut self, items: impl Iterator<Item = T>, put: impl Fn(T, &mut Self)) {
        self.kind = PieceKind::Element;
        items.for_each(|item| put(item, self));
    }
}

impl<T: Display + ?Sized> Argument<marker::One> for T {
    fn put(&self, values: &mut Values<'_>) {
        values.push(self);
    }
}

impl<T: Display + ?Sized> PathArgument<marker::One> for T {
    fn put_path(&self, values: &mut Values<'_>) {
        values.push(self);
    }
}

impl Argument<marker::Hidden> for Secret {
    fn put(&self, values: &mut Values<'_>) {
        values.add(self.expose(), true);
    }
}

impl Argument<marker::Hidden> for &Secret {
    fn put(&self, values: &mut Values<'_>) {
        values.add(self.expose(), true);
    }
}

impl PathArgument<marker::Hidden> for Secret {
    fn put_path(&self, values: &mut Values<'_>) {
        values.add(self.expose(), true);
    }
}

macro_rules! optional {
    ($($t:ty),*) => { $(
        impl<T: Argument<M>, M> Argument<marker::Optional<M>> for $t {
            fn put(&self, values: &mut Values<'_>) {
                if let Some(value) = self.as_ref() {
                    value.put(values);
                }
            }
        }
    )* };
}

optional!(Option<T>, &Option<T>);

macro_rules! list {
    ($([$($generic:tt)*] $t:ty;)*) => { $(
        impl<T: Argument<M>, M, $($generic)*> Argument<marker::Many<M>> for $t {
            fn put(&self, values: &mut Values<'_>) {
                values.each(self.iter(), |value, values| value.put(values));
            }
        }

        impl<T: PathArgument<M>, M, $($generic)*> PathArgument<marker::Many<M>> for $t {
            fn put_path(&self, values: &mut Values<'_>) {
                values.each(self.iter(), |value, values| value.put_path(values));
            }
        }
    )* };
}

list! {
    [] [T];
    [] &[T];
    [] Vec<T>;
    [] &Vec<T>;
    [const N: usize] [T; N];
    [const N: usize] &[T; N];
    [] BTreeSet<T>;
    [] &BTreeSet<T>;
    [S] HashSet<T, S>;
    [S] &HashSet<T, S>;
}

/// What a body argument became.
#[derive(Debug, Clone, Default)]
pub enum BodyValue {
    /// No body.
    #[default]
    None,
    /// JSON text.
    Json(Bytes),
    /// UTF-8 text.
    Text(Bytes),
    /// Anything.
    Bytes(Bytes),
}

/// A body that is sent as it is.
pub trait RawBody {
    /// The bytes and whether they are text.
    fn body(&self) -> BodyValue;
}

impl RawBody for str {
    fn body(&self) -> BodyValue {
        BodyValue::Text(Bytes::copy_from_slice(self.as_bytes()))
    }
}

impl RawBody for String {
    fn body(&self) -> BodyValue {
        self.as_str().body()
    }
}

impl RawBody for std::borrow::Cow<'_, str> {
    fn body(&self) -> BodyValue {
        self.as_ref().body()
    }
}

impl RawBody for Bytes {
    fn body(&self) -> BodyValue {
        BodyValue::Bytes(self.clone())
    }
}

impl RawBody for [u8] {
    fn body(&self) -> BodyValue {
        BodyValue::Bytes(Bytes::copy_from_slice(self))
    }
}

impl RawBody for Vec<u8> {
    fn body(&self) -> BodyValue {
        self.as_slice().body()
    }
}

impl<T: RawBody + ?Sized> RawBody for &T {
    fn body(&self) -> BodyValue {
        (**self).body()
    }
}

impl<T: RawBody> RawBody for Option<T> {
    fn body(&self) -> BodyValue {
        self.as_ref().map_or(BodyValue::None, RawBody::body)
    }
}

/// Chooses how a body argument is sent by its type: call `(&&&BodyOf(&value)).body()` with the three traits
/// [`BodyRaw`], [`BodyOptional`] and [`BodyJson`] in scope; the first that fits is taken.
#[derive(Debug)]
pub struct BodyOf<'a, T: ?Sized>(pub &'a T);

/// First choice: text and bytes go as they are.
pub trait BodyRaw {
    /// The body.
    ///
    /// # Errors
    ///
    /// None.
    fn body(&self) -> Result<BodyValue, Error>;
}

/// Second choice: an `Option` may be no body.
pub trait BodyOptional {
    /// The body.
    ///
    /// # Errors
    ///
    /// If the value cannot be written as JSON.
    fn body(&self) -> Result<BodyValue, Error>;
}

/// Third choice: JSON. It fits every type, so that the compiler's complaint is about `ToJson`.
pub trait BodyJson<T: ?Sized> {
    /// The body.
    ///
    /// # Errors
    ///
    /// If the value cannot be written as JSON.
    fn body(&self) -> Result<BodyValue, Error>
    where
        T: ToJson;
}

/// What is written as JSON.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent as a body",
    label = "implement `serde::Serialize`, or send text or bytes"
)]
pub trait ToJson: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> ToJson for T {}

impl<T: RawBody + ?Sized> BodyRaw for &&BodyOf<'_, T> {
    fn body(&self) -> Result<BodyValue, Error> {
        Ok(self.0.body())
    }
}

impl<T: Serialize> BodyOptional for &BodyOf<'_, Option<T>> {
    fn body(&self) -> Result<BodyValue, Error> {
        self.0.as_ref().map_or(Ok(BodyValue::None), json)
    }
}

impl<T: Serialize> BodyOptional for &BodyOf<'_, &Option<T>> {
    fn body(&self) -> Result<BodyValue, Error> {
        self.0.as_ref().map_or(Ok(BodyValue::None), json)
    }
}

impl<T: ?Sized> BodyJson<T> for BodyOf<'_, T> {
    fn body(&self) -> Result<BodyValue, Error>
    where
        T: ToJson,
    {
        json(self.0)
    }
}

pub(crate) fn json(value: &(impl Serialize + ?Sized)) -> Result<BodyValue, Error> {
    match serde_json::to_vec(value) {
        Ok(text) => Ok(BodyValue::Json(text.into())),
        Err(error) => Err(Error::encode("body could not be written as JSON", error)),
    }
}
