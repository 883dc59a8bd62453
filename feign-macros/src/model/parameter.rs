//! Parameters: where each argument goes.

use syn::ext::IdentExt;
use syn::{Attribute, FnArg, Ident, LitStr, Pat, Type};

use super::options::{Options, Vocabulary};
use super::template::{self, Placeholder};
use super::{Errors, Format, names};
use crate::parse::Marker;

/// A parameter of a method that is called over HTTP.
pub(crate) struct Parameter {
    pub(crate) ident: Ident,
    /// The identifier without `r#`.
    pub(crate) name: String,
    pub(crate) ty: Type,
    /// The type's simple name in method keys.
    pub(crate) java: String,
    pub(crate) place: Place,
}

/// Where an argument goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Path {
        name: String,
        encoded: bool,
        rest: bool,
        allow_empty: bool,
    },
    Query {
        name: String,
        format: Option<Format>,
        encoded: bool,
        flag: bool,
    },
    QueryMap,
    Header {
        name: String,
    },
    HeaderMap,
    /// Fills a placeholder of a header template.
    Template {
        name: String,
    },
    Body,
    Uri,
    Options,
}

/// What a parameter says about itself, before the method is known.
pub(crate) struct Declared {
    pub(crate) ident: Ident,
    pub(crate) name: String,
    pub(crate) ty: Type,
    /// `None`: not annotated.
    pub(crate) place: Option<Place>,
    /// The text that names the placeholder, header or pair, for errors about it.
    pub(crate) named_by: Option<LitStr>,
    /// Its attribute could not be read: where the argument goes is not known, and not to be guessed.
    pub(crate) broken: bool,
}

const PLACES: Vocabulary = Vocabulary {
    what: "parameter attribute",
    known: &["path", "query", "query_map", "header", "header_map", "body", "uri", "options"],
    refused: &[
        ("cookie", "pass the whole header, `#[header(\"Cookie\")]`"),
        ("matrix", "matrix variables are not sent; use `#[query]`, or `#[path(encoded)]` with the finished text"),
        ("form", "pass the encoded text as `#[body]` and write `consumes = \"application/x-www-form-urlencoded\"`"),
        ("part", "pass the encoded parts as `#[body]` and write `consumes = \"multipart/form-data; boundary=..\"`"),
        (
            "multipart",
            "pass the encoded parts as `#[body]` and write `consumes = \"multipart/form-data; boundary=..\"`",
        ),
        ("ext", "put the value into the request with a tower layer"),
        ("cfg", "put it on the method, once for each form"),
        ("cfg_attr", "put it on the method, once for each form"),
    ],
};

const PATH: Vocabulary =
    Vocabulary { what: "option of `#[path]`", known: &["encoded", "rest", "allow_empty"], refused: &[] };
const QUERY: Vocabulary =
    Vocabulary { what: "option of `#[query]`", known: &["format", "encoded", "flag"], refused: &[] };
const HEADER: Vocabulary = Vocabulary {
    what: "option of `#[header]`",
    known: &[],
    refused: &[
        ("append", "a header parameter replaces what the trait or the method wrote"),
        ("raw", "header values are printable ASCII"),
    ],
};
const PLAIN: Vocabulary = Vocabulary { what: "option", known: &[], refused: &[] };

/// Attributes that may stay on a parameter of the kept trait.
const LINTS: [&str; 6] = ["allow", "deny", "expect", "forbid", "warn", "doc"];

impl Declared {
    /// Reads a parameter; the receiver is none.
    pub(crate) fn read(argument: &FnArg, errors: &mut Errors) -> Option<Self> {
        let FnArg::Typed(typed) = argument else { return None };
        let Pat::Ident(pattern) = &*typed.pat else {
            errors.at(&typed.pat, "name this parameter with a plain identifier: the name goes over the wire");
            return None;
        };
        if pattern.by_ref.is_some() || pattern.mutability.is_some() || pattern.subpat.is_some() {
            errors.at(pattern, format!("name this parameter with a plain identifier: `{}`", pattern.ident));
        }
        let name = pattern.ident.unraw().to_string();
        let mut declared = Self {
            ident: pattern.ident.clone(),
            name,
            ty: (*typed.ty).clone(),
            place: None,
            named_by: None,
            broken: false,
        };
        let mut first: Option<Ident> = None;
        for attribute in &typed.attrs {
            if !is_ours(attribute) {
                continue;
            }
            let Some(marker) = marker(attribute, errors) else {
                declared.broken = true;
                continue;
            };
            if let Some(first) = &first {
                let (name, ident) = (&marker.name, &declared.ident);
                errors.at(name, format!("`{ident}` is `#[{first}]` already: remove `#[{name}]`"));
                continue;
            }
            first = Some(marker.name.clone());
            declared.place(marker, errors);
        }
        Some(declared)
    }

    fn place(&mut self, marker: Marker, errors: &mut Errors) {
        let kind = marker.name.to_string();
        let (vocabulary, positional) = match kind.as_str() {
            "path" => (&PATH, 1),
            "query" => (&QUERY, 1),
            "header" => (&HEADER, 1),
            _ => (&PLAIN, 0),
        };
        if positional == 0 && (!marker.arguments.positional.is_empty() || !marker.arguments.named.is_empty()) {
            errors.push(syn::Error::new(marker.span(), format!("`#[{kind}]` takes no arguments: write it alone")));
            self.broken = true;
            return;
        }
        let (options, text) = Options::read(marker.arguments, vocabulary, positional, errors);
        let given = text.as_ref().map(LitStr::value);
        if let (Some(text), Some(given)) = (&text, &given)
            && given.trim().is_empty()
        {
            errors.at(text, format!("an empty name: write `#[{kind}]` alone to take the parameter's"));
        }
        let place = match kind.as_str() {
            "path" => Place::Path {
                name: given.unwrap_or_else(|| self.name.clone()),
                encoded: options.switch("encoded", errors).unwrap_or_default(),
                rest: options.switch("rest", errors).unwrap_or_default(),
                allow_empty: options.switch("allow_empty", errors).unwrap_or_default(),
            },
            "query" => {
                let format = options.read_with("format", errors, Format::read);
                let flag = options.switch("flag", errors).unwrap_or_default();
                if let (true, Some(span)) = (flag && format.is_some(), options.span("format")) {
                    errors.push(syn::Error::new(span, "a `flag` is no list: remove `format` or `flag`"));
                }
                Place::Query {
                    name: given.unwrap_or_else(|| self.name.clone()),
                    format,
                    encoded: options.switch("encoded", errors).unwrap_or_default(),
                    flag,
                }
            }
            "header" => {
                if let (Some(text), Some(name)) = (&text, &given) {
                    template::header_name(text, name, errors);
                }
                Place::Header { name: given.unwrap_or_else(|| self.name.replace('_', "-")) }
            }
            "query_map" => Place::QueryMap,
            "header_map" => Place::HeaderMap,
            "body" => Place::Body,
            "uri" => Place::Uri,
            _ => Place::Options,
        };
        self.named_by = text;
        self.place = Some(place);
    }

    /// The place of a parameter that is not annotated, if its name or type gives one.
    ///
    /// The type's name counts, as the rule says so; whoever renames the type writes the attribute.
    pub(crate) fn inferred(&self, path: &[Placeholder], headers: &[Placeholder]) -> Option<Place> {
        if let Some(found) = path.iter().find(|found| found.name == self.name) {
            return Some(Place::Path { name: self.name.clone(), encoded: false, rest: found.rest, allow_empty: false });
        }
        if headers.iter().any(|found| found.name == self.name) {
            return Some(Place::Template { name: self.name.clone() });
        }
        match names::simple(&self.ty).as_deref() {
            Some("Uri" | "Url") => Some(Place::Uri),
            Some("CallOptions") => Some(Place::Options),
            _ => None,
        }
    }

    pub(crate) fn finish(self, place: Place) -> Parameter {
        let java = names::java(&self.ty);
        Parameter { ident: self.ident, name: self.name, ty: self.ty, java, place }
    }
}

/// Whether an attribute of a parameter is one of ours.
pub(crate) fn is_ours(attribute: &Attribute) -> bool {
    !attribute.path().get_ident().is_some_and(|name| LINTS.contains(&name.to_string().as_str()))
}

/// One of our attributes; a foreign one is an error, since the compiler knows none on parameters but lints.
fn marker(attribute: &Attribute, errors: &mut Errors) -> Option<Marker> {
    match attribute.path().get_ident() {
        Some(name) if PLACES.knows(&name.to_string()) => errors.keep(Marker::read(attribute, name)),
        Some(name) => {
            errors.push(PLACES.unknown(name));
            None
        }
        None => {
            errors.at(attribute, "attributes of other macros are not kept on parameters: remove it");
            None
        }
    }
}
