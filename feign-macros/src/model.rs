//! Syntax to a checked description. All rules live here; every broken one is recorded, none ends the reading.

use proc_macro2::Span;
use quote::{ToTokens, format_ident};
use syn::ext::IdentExt;
use syn::visit_mut::VisitMut;
use syn::{
    FnArg, GenericParam, Ident, ItemTrait, LitStr, Path, Signature, TraitItem, TraitItemFn, TypeImplTrait,
    TypeParamBound,
};

pub(crate) use self::method::Method;
use self::options::{Options, Vocabulary};
pub(crate) use self::parameter::{Parameter, Place};
use crate::parse::{Argument, Arguments};

mod method;
mod names;
mod options;
mod parameter;
mod template;

/// A trait that obeys every rule.
pub(crate) struct Client {
    /// The input without our attributes.
    pub(crate) item: ItemTrait,
    /// Where `__private` is found.
    pub(crate) krate: Path,
    pub(crate) role: Role,
    /// The name of the object-safe twin, unless there is none.
    pub(crate) twin: Option<Ident>,
    /// Traits of `#[feign_client(base)]` among the supertraits.
    pub(crate) bases: Vec<Path>,
    pub(crate) methods: Vec<Method>,
    /// Methods with a body of their own.
    pub(crate) provided: Vec<TraitItemFn>,
}

/// What the trait is.
pub(crate) enum Role {
    /// A client of a service.
    Client(Box<Service>),
    /// Methods for other clients, which name this trait as a supertrait.
    Base,
}

/// The arguments that describe a client.
pub(crate) struct Service {
    /// The name of the generated struct.
    pub(crate) client: Ident,
    pub(crate) name: LitStr,
    pub(crate) context_id: Option<LitStr>,
    pub(crate) url: Option<LitStr>,
    pub(crate) path: Option<LitStr>,
    pub(crate) headers: Vec<LitStr>,
    pub(crate) dismiss_404: Option<bool>,
    pub(crate) collection_format: Option<Format>,
    pub(crate) error_decoder: Option<syn::Expr>,
}

/// The variants of `CollectionFormat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Exploded,
    Csv,
    Ssv,
    Tsv,
    Pipes,
    Indexed,
}

/// Errors so far.
#[derive(Debug, Default)]
pub(crate) struct Errors(Option<syn::Error>);

const CLIENT: Vocabulary = Vocabulary {
    what: "option of `#[feign_client]`",
    known: &[
        "name",
        "context_id",
        "url",
        "path",
        "headers",
        "dismiss_404",
        "collection_format",
        "error_decoder",
        "client",
        "dyn",
        "crate",
        "base",
    ],
    refused: &[
        ("value", "write the service's name first, without a name: `#[feign_client(\"order-service\")]`"),
        ("fallback", "handle the error where the method is called"),
        ("fallback_factory", "handle the error where the method is called"),
        ("configuration", "give components to `Feign::builder()`"),
        ("qualifiers", "name the client where it is injected"),
        ("primary", "name the client where it is injected"),
        ("query", "write `params(\"name=value\")` on the methods"),
        ("impl_name", "write `client = Name`"),
        ("rename_all", "write the name, `#[query(\"name\")]`"),
    ],
};

/// Supertraits that say nothing about methods: the generated struct has them all.
const MARKERS: [&str; 6] = ["Send", "Sync", "Unpin", "Debug", "Clone", "Sized"];

/// The prefix of the twin's methods: with both traits in scope a call is not ambiguous.
pub(crate) const TWIN_PREFIX: &str = "__dyn_";

/// Checks a trait and its arguments.
pub(crate) fn read(arguments: Arguments, item: &ItemTrait, home: &Path) -> syn::Result<Client> {
    let mut errors = Errors::default();
    let (options, positional) = Options::read(arguments, &CLIENT, 1, &mut errors);
    let krate = options.read_with("crate", &mut errors, Argument::path).unwrap_or_else(|| home.clone());
    let role = role(&options, positional, item, &mut errors);
    trait_rules(item, &mut errors);
    let bases = bases(item);
    let twin = twin(&options, item, &mut errors);

    let (mut methods, mut provided) = (Vec::new(), Vec::new());
    for member in &item.items {
        match member {
            TraitItem::Fn(function) if function.default.is_none() => {
                methods.extend(Method::read(function, &mut errors));
            }
            TraitItem::Fn(function) => {
                method::provided(function, &mut errors);
                provided.push(function.clone());
            }
            TraitItem::Const(constant) if constant.default.is_some() => {}
            TraitItem::Const(constant) => {
                errors.at(&constant.ident, "give the constant a value: the generated client has none for it");
            }
            TraitItem::Type(associated) => {
                errors.at(&associated.ident, "a client has no associated types: make it a parameter of the trait");
            }
            other => errors.at(other, "a client trait holds methods, and constants with a value: remove this"),
        }
    }
    if twin.is_some() {
        twin_rules(item, &mut errors);
    }
    let mut plain = item.clone();
    strip(&mut plain);
    for function in &mut provided {
        method::strip(&mut function.attrs);
    }
    let client = role.map(|role| Client { item: plain, krate, role, twin, bases, methods, provided });
    errors.finish(client)
}

/// Takes our attributes away.
pub(crate) fn strip(item: &mut ItemTrait) {
    for member in &mut item.items {
        if let TraitItem::Fn(function) = member {
            method::strip(&mut function.attrs);
            strip_parameters(&mut function.sig);
        }
    }
}

fn strip_parameters(signature: &mut Signature) {
    for argument in &mut signature.inputs {
        if let FnArg::Typed(typed) = argument {
            typed.attrs.retain(|attribute| !parameter::is_ours(attribute));
        }
    }
}

fn role(options: &Options, positional: Option<LitStr>, item: &ItemTrait, errors: &mut Errors) -> Option<Role> {
    if options.switch("base", errors).unwrap_or_default() {
        let name = item.ident.unraw();
        if let Some(text) = &positional {
            errors.at(text, format!("`{name}` is a base: the service is named by the traits that extend it"));
        }
        for option in [
            "name",
            "context_id",
            "url",
            "path",
            "headers",
            "dismiss_404",
            "collection_format",
            "error_decoder",
            "client",
        ] {
            if let Some(span) = options.span(option) {
                let message = format!("`{name}` is a base: write `{option}` at the traits that extend it");
                errors.push(syn::Error::new(span, message));
            }
        }
        return Some(Role::Base);
    }
    let service = service(options, positional, item, errors)?;
    Some(Role::Client(Box::new(service)))
}

fn service(options: &Options, positional: Option<LitStr>, item: &ItemTrait, errors: &mut Errors) -> Option<Service> {
    if let (Some(_), Some(span)) = (&positional, options.span("name")) {
        errors.push(syn::Error::new(span, "the service is named already: remove `name`"));
    }
    let name = positional.or_else(|| options.text("name", errors));
    match &name {
        Some(text) if text.value().trim().is_empty() => {
            errors.at(text, "write the service's name, as it is registered: \"order-service\"");
        }
        None if options.get("name").is_none() => {
            let message = "name the service: `#[feign_client(\"order-service\")]`, also when it has a `url`";
            errors.push(syn::Error::new(Span::call_site(), message));
        }
        _ => {}
    }
    let headers = options.texts("headers", errors);
    for placeholder in template::headers(&headers, errors).unwrap_or_default() {
        let text = headers.iter().find(|text| text.value().contains(&format!("{{{}", placeholder.name)));
        errors.at(
            text.map(ToTokens::to_token_stream),
            format!("`{{{}}}` belongs to a method's headers: no parameter is known here", placeholder.name),
        );
    }
    let path = options.text("path", errors);
    if let Some(path) = &path {
        template::prefix(path, errors);
    }
    Some(Service {
        client: options
            .read_with("client", errors, Argument::ident)
            .unwrap_or_else(|| format_ident!("{}Feign", item.ident.unraw(), span = item.ident.span())),
        name: name?,
        context_id: options.text("context_id", errors),
        url: options.text("url", errors),
        path,
        headers,
        dismiss_404: options.switch("dismiss_404", errors),
        collection_format: options.read_with("collection_format", errors, Format::read),
        error_decoder: options.read_with("error_decoder", errors, |argument| argument.expression().cloned()),
    })
}

fn trait_rules(item: &ItemTrait, errors: &mut Errors) {
    if let Some(token) = &item.unsafety {
        errors.at(token, "a client trait is not `unsafe`: remove the word");
    }
    if let Err(error) = item.modifiers.require_empty() {
        errors.push(error);
    }
}

/// Whether a supertrait is one that every client has anyway.
fn is_marker(bound: &TypeParamBound) -> bool {
    match bound {
        TypeParamBound::Trait(bound) => {
            bound.path.segments.last().is_some_and(|last| MARKERS.iter().any(|marker| last.ident == marker))
        }
        _ => true,
    }
}

fn bases(item: &ItemTrait) -> Vec<Path> {
    let paths = item.supertraits.iter().filter(|bound| !is_marker(bound)).filter_map(|bound| match bound {
        TypeParamBound::Trait(bound) => Some(bound.path.clone()),
        _ => None,
    });
    paths.collect()
}

/// The twin exists for traits without type parameters and without bases, since a base is not object-safe.
fn twin(options: &Options, item: &ItemTrait, errors: &mut Errors) -> Option<Ident> {
    let wanted = options.switch("dyn", errors);
    let generic = !item.generics.params.is_empty() || item.generics.where_clause.is_some();
    let bound = item.supertraits.iter().find(|bound| {
        !is_marker(bound)
            || matches!(bound, TypeParamBound::Trait(bound)
                if bound.path.segments.last().is_some_and(|last| last.ident == "Clone" || last.ident == "Sized"))
    });
    if wanted == Some(true) {
        if generic {
            let message = "a generic trait has no object-safe twin: remove `dyn`";
            errors.push(syn::Error::new(options.span("dyn").unwrap_or_else(Span::call_site), message));
        } else if let Some(bound) = bound {
            errors.at(bound, "a trait with this supertrait has no object-safe twin: remove `dyn`");
        }
    }
    (wanted != Some(false) && !generic && bound.is_none())
        .then(|| format_ident!("Dyn{}", item.ident.unraw(), span = item.ident.span()))
}

/// What a trait with an object-safe twin cannot have.
fn twin_rules(item: &ItemTrait, errors: &mut Errors) {
    for member in &item.items {
        let TraitItem::Fn(function) = member else { continue };
        if function.default.is_some() {
            continue;
        }
        for parameter in &function.sig.generics.params {
            if !matches!(parameter, GenericParam::Lifetime(_)) {
                errors.at(parameter, "a generic method cannot be called through the object-safe twin: name the type, or write `dyn = false` at the trait");
            }
        }
        let mut signature = function.sig.clone();
        let mut opaque = Opaque(errors);
        signature.inputs.iter_mut().for_each(|argument| opaque.visit_fn_arg_mut(argument));
        if function.sig.ident.to_string().starts_with(TWIN_PREFIX) {
            errors.at(&function.sig.ident, format!("names with `{TWIN_PREFIX}` are taken by the object-safe twin"));
        }
    }
}

/// Finds `impl Trait` among parameters: a type parameter in disguise.
struct Opaque<'a>(&'a mut Errors);

impl VisitMut for Opaque<'_> {
    fn visit_type_impl_trait_mut(&mut self, found: &mut TypeImplTrait) {
        self.0.at(found, "a generic method cannot be called through the object-safe twin: name the type, or write `dyn = false` at the trait");
    }
}

// ===== impl Format =====

impl Format {
    /// Reads `collection_format = "csv"`.
    fn read(argument: &Argument) -> syn::Result<Self> {
        let text = argument.text()?;
        Ok(match text.value().to_ascii_lowercase().as_str() {
            "exploded" => Self::Exploded,
            "csv" => Self::Csv,
            "ssv" => Self::Ssv,
            "tsv" => Self::Tsv,
            "pipes" => Self::Pipes,
            "indexed" => Self::Indexed,
            other => {
                let message = format!(
                    "unknown format `{other}`: write one of `exploded`, `csv`, `ssv`, `tsv`, `pipes`, `indexed`"
                );
                return Err(syn::Error::new(text.span(), message));
            }
        })
    }

    /// The variant's name.
    pub(crate) fn variant(self) -> Ident {
        format_ident!("{}", format!("{self:?}"))
    }
}

// ===== impl Errors =====

impl Errors {
    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            None => self.0 = Some(error),
        }
    }

    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// The value, or a record of the error.
    pub(crate) fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// The value, unless something was recorded.
    fn finish<T>(self, value: Option<T>) -> syn::Result<T> {
        match (self.0, value) {
            (None, Some(value)) => Ok(value),
            (Some(error), _) => Err(error),
            (None, None) => Err(syn::Error::new(Span::call_site(), "this trait cannot be a client")),
        }
    }
}

#[cfg(test)]
mod tests;
