//! Methods: verb, path, headers, and that every argument has a place and every placeholder an argument.

use proc_macro2::Span;
use quote::ToTokens;
use syn::{Attribute, Expr, Ident, LitStr, ReceiverKind, ReturnType, Safety, Signature, TraitItemFn, Type};

use super::options::{Options, Vocabulary};
use super::parameter::{Declared, Parameter, Place};
use super::template::{self, Placeholder};
use super::{Errors, Format, names};
use crate::parse::Marker;

/// A method that is called over HTTP.
pub(crate) struct Method {
    /// Attributes of the input without ours.
    pub(crate) attrs: Vec<Attribute>,
    /// The signature without attributes on its parameters.
    pub(crate) signature: Signature,
    pub(crate) result: Type,
    /// Camel case.
    pub(crate) name: String,
    pub(crate) verb: Verb,
    pub(crate) path: LitStr,
    pub(crate) consumes: Vec<LitStr>,
    pub(crate) produces: Vec<LitStr>,
    pub(crate) headers: Vec<LitStr>,
    pub(crate) params: Vec<LitStr>,
    pub(crate) collection_format: Option<Format>,
    pub(crate) dismiss_404: Option<bool>,
    pub(crate) error_decoder: Option<Expr>,
    pub(crate) parameters: Vec<Parameter>,
}

/// The verbs that have an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
    Head,
    Options,
    Trace,
}

const METHOD: Vocabulary = Vocabulary {
    what: "method attribute",
    known: &["get", "post", "put", "patch", "delete", "head", "options", "trace"],
    refused: &[
        ("request", "write the verb, `#[get(\"/path\")]` or another"),
        ("connect", "a client has no use for CONNECT"),
        ("strict_404", "return the value itself instead of an `Option`"),
        ("feign", "the method's name is written as Java would write it"),
    ],
};

/// Parameter attributes that are misplaced on a method.
const OF_PARAMETERS: [&str; 7] = ["query", "query_map", "header", "header_map", "body", "uri", "path"];

const OPTION: Vocabulary = Vocabulary {
    what: "option of a method",
    known: &["consumes", "produces", "headers", "params", "collection_format", "dismiss_404", "error_decoder"],
    refused: &[
        ("path", "write the path first, without a name: `#[get(\"/path\")]`"),
        ("query", "write `params(\"name=value\")`"),
        ("body", "give the body to a `#[body]` parameter"),
        ("allow_body", "a body on GET or HEAD is lost on its way; use `#[post]`, or `#[query_map]`"),
        ("timeout", "pass a `CallOptions` as `#[options]`, or set the client's `readTimeout`"),
        ("connect_timeout", "set the client's `connectTimeout`"),
        ("retry", "set the client's `retryer`"),
        ("idempotent", "send the header `Idempotency-Key`"),
        ("circuit_breaker", "add it as a layer of the client"),
        ("log", "set the client's `loggerLevel`"),
        ("fallback", "handle the error where the method is called"),
    ],
};

/// Takes our attributes away.
pub(super) fn strip(attributes: &mut Vec<Attribute>) {
    let all = attributes.clone();
    attributes.retain(|attribute| !is_ours(attribute, &all));
}

/// Whether an attribute of a method is one of ours, or meant to be.
fn is_ours(attribute: &Attribute, all: &[Attribute]) -> bool {
    attribute.path().get_ident().is_some_and(|name| {
        let name = name.to_string();
        METHOD.knows(&name) || METHOD.refuses(&name) || OF_PARAMETERS.contains(&name.as_str()) || is_typo(&name, all)
    })
}

/// Close to one of our attributes, on a method that has none: with a verb in place it is another macro's.
fn is_typo(name: &str, all: &[Attribute]) -> bool {
    const BUILT_IN: [&str; 4] = ["test", "cold", "doc", "must_use"];
    let has_verb =
        || all.iter().filter_map(|other| other.path().get_ident()).any(|other| METHOD.knows(&other.to_string()));
    !BUILT_IN.contains(&name) && METHOD.closest(name).is_some() && !has_verb()
}

impl Method {
    /// Reads a method without a body; `None` after recording what is wrong with it.
    pub(crate) fn read(function: &TraitItemFn, errors: &mut Errors) -> Option<Self> {
        let signature = &function.sig;
        let result = signature_rules(signature, errors);
        let marker = verb_marker(&function.attrs, &signature.ident, errors);
        let declared: Vec<_> =
            signature.inputs.iter().filter_map(|argument| Declared::read(argument, errors)).collect();
        unique_names(&declared, errors);
        let (verb, marker) = marker?;

        let span = marker.span();
        let (options, path) = Options::read(marker.arguments, &OPTION, 1, errors);
        let Some(path) = path else {
            errors.push(syn::Error::new(span, format!("write the path: `#[{}(\"/path\")]`", verb.attribute())));
            return None;
        };
        let placeholders = template::path(&path, errors);
        let headers = options.texts("headers", errors);
        let in_headers = template::headers(&headers, errors);
        let params = options.texts("params", errors);
        template::params(&params, errors);
        let (consumes, produces) = (options.texts("consumes", errors), options.texts("produces", errors));
        for media_type in consumes.iter().chain(&produces) {
            template::header_value(media_type, &media_type.value(), errors);
        }
        let collection_format = options.read_with("collection_format", errors, Format::read);
        let dismiss_404 = options.switch("dismiss_404", errors);
        let error_decoder = options.read_with("error_decoder", errors, |argument| argument.expression().cloned());
        // Without the placeholders what follows would only be guessed.
        let (placeholders, in_headers) = (placeholders?, in_headers?);
        let complete = declared.len()
            == signature.inputs.len().saturating_sub(usize::from(signature.receiver().is_some()))
            && declared.iter().all(|parameter| !parameter.broken);
        let parameters = places(verb, declared, &placeholders, &in_headers, errors);
        if complete {
            fulfilled(&path, &placeholders, &parameters, errors);
            header_placeholders(&headers, &in_headers, &parameters, errors);
        }

        let mut attrs = function.attrs.clone();
        strip(&mut attrs);
        let mut plain = signature.clone();
        super::strip_parameters(&mut plain);
        Some(Self {
            attrs,
            signature: plain,
            result: result?,
            name: names::camel(&signature.ident),
            verb,
            path,
            consumes,
            produces,
            headers,
            params,
            collection_format,
            dismiss_404,
            error_decoder,
            parameters,
        })
    }
}

/// The rules for methods with a body of their own, which are kept as they are.
pub(crate) fn provided(function: &TraitItemFn, errors: &mut Errors) {
    for attribute in function.attrs.iter().filter(|attribute| is_ours(attribute, &function.attrs)) {
        errors.at(attribute, "a method with a body is not sent: remove the attribute, or the body");
    }
}

fn signature_rules(signature: &Signature, errors: &mut Errors) -> Option<Type> {
    if let Some(token) = &signature.constness {
        errors.at(token, "a call over HTTP is not `const`: write `async fn`");
    } else if signature.asyncness.is_none() {
        errors.at(signature.fn_token, "write `async fn`: a call over HTTP waits (or give the method a body)");
    }
    if !matches!(signature.safety, Safety::Default) {
        errors.at(&signature.safety, "a client's method is neither `unsafe` nor `safe`: remove the word");
    }
    if let Some(token) = &signature.abi {
        errors.at(token, "a client's method has no ABI: remove it");
    }
    if let Some(token) = &signature.variadic {
        errors.at(token, "a client's method has named parameters only");
    }
    match signature.receiver() {
        None => errors.at(&signature.ident, "write `&self` as the first parameter"),
        Some(receiver) => {
            if !matches!(receiver.kind, ReceiverKind::Reference(_, _, None)) || receiver.mutability.is_some() {
                errors.at(receiver, "write `&self`: a client is shared by its callers");
            }
        }
    }
    match &signature.output {
        ReturnType::Default => {
            let hint = "write the result, `-> vernal_feign::Result<..>` (with the facade `vernal::feign::Result<..>`): \
                        a call over HTTP can fail";
            errors.at(&signature.ident, hint);
            None
        }
        ReturnType::Type(_, ty) => {
            if let Type::ImplTrait(opaque) = &**ty {
                let hint = "write a named type: `Result<T, E>` with `E: From<vernal_feign::Error>` (with the facade \
                            `vernal::feign::Error`)";
                errors.at(opaque, hint);
            }
            Some((**ty).clone())
        }
    }
}

fn verb_marker(attributes: &[Attribute], method: &Ident, errors: &mut Errors) -> Option<(Verb, Marker)> {
    let mut found: Option<(Verb, &Ident, Option<Marker>)> = None;
    let mut failed = false;
    for attribute in attributes {
        let Some(name) = attribute.path().get_ident() else { continue };
        let text = name.to_string();
        if let Some(verb) = Verb::of(&text) {
            if let Some((_, first, _)) = &found {
                errors.at(name, format!("`{method}` is `#[{first}]` already: a method has one verb"));
            } else {
                found = Some((verb, name, errors.keep(Marker::read(attribute, name))));
            }
        } else if OF_PARAMETERS.contains(&text.as_str()) {
            errors.at(name, format!("`#[{text}]` belongs to a parameter; a method has a verb, `#[get(\"/path\")]`"));
            failed = true;
        } else if METHOD.refuses(&text) || is_typo(&text, attributes) {
            errors.push(METHOD.unknown(name));
            failed = true;
        }
    }
    match found {
        Some((verb, _, marker)) => marker.map(|marker| (verb, marker)),
        None => {
            if !failed {
                errors.at(method, "write the verb and the path above the method: `#[get(\"/path\")]`");
            }
            None
        }
    }
}

fn unique_names(declared: &[Declared], errors: &mut Errors) {
    for (at, parameter) in declared.iter().enumerate() {
        if declared[..at].iter().any(|earlier| earlier.name == parameter.name) {
            errors.at(&parameter.ident, format!("a parameter `{}` exists already: rename this one", parameter.name));
        }
    }
}

/// Gives every parameter its place; those for which none is found are recorded and left out.
fn places(
    verb: Verb,
    declared: Vec<Declared>,
    path: &[Placeholder],
    headers: &[Placeholder],
    errors: &mut Errors,
) -> Vec<Parameter> {
    let mut body: Option<Ident> = None;
    let mut parameters = Vec::new();
    let explicit_body = declared.iter().any(|parameter| parameter.place == Some(Place::Body));
    let mut single: [Option<Ident>; 2] = [None, None];
    for mut parameter in declared.into_iter().filter(|parameter| !parameter.broken) {
        let ident = parameter.ident.clone();
        let place = match parameter.place.take() {
            Some(place) => annotated(place, &parameter, path, errors),
            None => match parameter.inferred(path, headers) {
                Some(place) => place,
                None if verb.carries_body() && !explicit_body => Place::Body,
                None => {
                    let name = &parameter.name;
                    let why = if explicit_body {
                        "the body is another parameter".to_owned()
                    } else {
                        format!("{} sends no body", verb.name())
                    };
                    errors.at(
                        &ident,
                        format!("where does `{name}` go? {why}: write `#[query]`, `#[header(\"Name\")]` or, with `{{{name}}}` in the path, `#[path]`"),
                    );
                    continue;
                }
            },
        };
        match place {
            Place::Body => {
                if let Some(first) = &body {
                    errors.at(&ident, format!("`{first}` is the body already: write `#[query]`, `#[header(\"Name\")]`, or put both into one struct"));
                } else if !verb.allows_body() {
                    errors.at(
                        &ident,
                        format!("{} sends no body: use `#[post]`, or send `{ident}` as `#[query_map]`", verb.name()),
                    );
                }
                body.get_or_insert(ident);
            }
            Place::Uri => once(&mut single[0], &ident, "an `#[uri]`", errors),
            Place::Options => once(&mut single[1], &ident, "the `#[options]`", errors),
            _ => {}
        }
        parameters.push(parameter.finish(place));
    }
    parameters
}

fn once(first: &mut Option<Ident>, ident: &Ident, what: &str, errors: &mut Errors) {
    if let Some(first) = first {
        errors.at(ident, format!("`{first}` is {what} already: remove one"));
    }
    first.get_or_insert_with(|| ident.clone());
}

/// The rules between an annotated parameter and the path.
fn annotated(place: Place, parameter: &Declared, path: &[Placeholder], errors: &mut Errors) -> Place {
    let offending: &dyn ToTokens = match &parameter.named_by {
        Some(text) => text,
        None => &parameter.ident,
    };
    match place {
        Place::Path { name, encoded, rest, allow_empty } => {
            let found = path.iter().find(|found| found.name == name);
            if found.is_none() {
                errors.at(offending, format!("the path has no `{{{name}}}`: write it there, or make this `#[query]`"));
            }
            Place::Path { rest: rest || found.is_some_and(|found| found.rest), name, encoded, allow_empty }
        }
        Place::Query { name, format, encoded, flag } => {
            if path.iter().any(|found| found.in_query && found.name == name) {
                errors.at(
                    offending,
                    format!("the path's query holds `{{{name}}}` already: remove it there, or `#[query]` here"),
                );
            }
            Place::Query { name, format, encoded, flag }
        }
        other => other,
    }
}

/// Every placeholder of the path has exactly one parameter.
fn fulfilled(text: &LitStr, placeholders: &[Placeholder], parameters: &[Parameter], errors: &mut Errors) {
    let fills =
        |parameter: &&Parameter, wanted: &str| matches!(&parameter.place, Place::Path { name, .. } if name == wanted);
    for (at, placeholder) in placeholders.iter().enumerate() {
        let name = &placeholder.name;
        if placeholders[..at].iter().any(|earlier| earlier.name == *name) {
            continue;
        }
        let mut filling = parameters.iter().filter(|parameter| fills(parameter, name));
        match filling.next() {
            Some(first) => {
                for second in filling {
                    errors.at(&second.ident, format!("`{}` fills `{{{name}}}` already: rename one", first.ident));
                }
            }
            None if parameters.iter().any(|parameter| parameter.name == *name) => {
                let message = if placeholder.in_query {
                    format!(
                        "`{name}` does not fill `{{{name}}}`: take its attribute away, or `{{{name}}}` out of the path"
                    )
                } else {
                    format!("`{name}` does not fill `{{{name}}}`: write `#[path]` at the parameter")
                };
                errors.at(text, message);
            }
            None => errors.at(
                text,
                format!("no parameter fills `{{{name}}}`: name one `{name}`, or write `#[path(\"{name}\")]` at it"),
            ),
        }
    }
}

fn header_placeholders(texts: &[LitStr], placeholders: &[Placeholder], parameters: &[Parameter], errors: &mut Errors) {
    for placeholder in placeholders {
        let filled = parameters.iter().any(|parameter| match &parameter.place {
            Place::Path { name, .. } | Place::Template { name } => *name == placeholder.name,
            _ => false,
        });
        if !filled {
            let name = &placeholder.name;
            let wanted = format!("{{{name}");
            let text = texts.iter().find(|text| text.value().contains(&wanted));
            let span = text.map_or_else(Span::call_site, LitStr::span);
            let message = format!("no parameter fills `{{{name}}}`: name one `{name}`, without an attribute");
            errors.push(syn::Error::new(span, message));
        }
    }
}

// ===== impl Verb =====

impl Verb {
    fn of(attribute: &str) -> Option<Self> {
        Some(match attribute {
            "get" => Self::Get,
            "post" => Self::Post,
            "put" => Self::Put,
            "patch" => Self::Patch,
            "delete" => Self::Delete,
            "head" => Self::Head,
            "options" => Self::Options,
            "trace" => Self::Trace,
            _ => return None,
        })
    }

    /// As on the wire, which is also the name of the constant in `http::Method`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
        }
    }

    fn attribute(self) -> String {
        self.name().to_ascii_lowercase()
    }

    /// Whether a parameter without a place becomes the body.
    fn carries_body(self) -> bool {
        match self {
            Self::Post | Self::Put | Self::Patch => true,
            Self::Get | Self::Delete | Self::Head | Self::Options | Self::Trace => false,
        }
    }

    /// Whether `#[body]` is allowed.
    fn allows_body(self) -> bool {
        match self {
            Self::Post | Self::Put | Self::Patch | Self::Delete => true,
            Self::Get | Self::Head | Self::Options | Self::Trace => false,
        }
    }
}
