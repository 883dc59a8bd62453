//! Tokens to our syntax, spans kept.
//!
//! Nothing is judged here: which names exist, how often they may stand and what their values mean is decided in
//! `model`.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Ident, Lit, LitBool, LitStr, Meta, Path, Token, parenthesized, token};

/// What stands between the brackets of one of our attributes: `"text", name, name = value, name("a", "b")`.
pub(crate) struct Arguments {
    pub(crate) positional: Vec<LitStr>,
    pub(crate) named: Vec<Argument>,
}

/// One named argument.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) value: Value,
}

/// The value of a named argument.
pub(crate) enum Value {
    /// `name`
    Flag,
    /// `name = value`
    Given(Expr),
    /// `name("a", "b")`
    List(Vec<LitStr>),
}

/// One of our attributes on a method or a parameter.
pub(crate) struct Marker {
    pub(crate) name: Ident,
    pub(crate) arguments: Arguments,
}

// ===== impl Arguments =====

impl Arguments {
    pub(crate) fn none() -> Self {
        Self { positional: Vec::new(), named: Vec::new() }
    }
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut arguments = Self::none();
        while !input.is_empty() {
            if input.peek(LitStr) {
                arguments.positional.push(input.parse()?);
            } else if input.peek(Lit) {
                return Err(input.error("expected a string literal or the name of an option"));
            } else {
                arguments.named.push(input.parse()?);
            }
            if input.is_empty() {
                break;
            }
            input.parse::<Token![,]>()?;
        }
        Ok(arguments)
    }
}

// ===== impl Argument =====

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = input.call(Ident::parse_any)?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Value::Given(input.parse()?)
        } else if input.peek(token::Paren) {
            let content;
            parenthesized!(content in input);
            Value::List(Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?.into_iter().collect())
        } else {
            Value::Flag
        };
        Ok(Self { name, value })
    }
}

impl Argument {
    /// The value as text.
    pub(crate) fn text(&self) -> syn::Result<&LitStr> {
        match &self.value {
            Value::Given(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => Ok(text),
            _ => Err(self.expected("= \"..\"")),
        }
    }

    /// The value as a switch: `name` alone means `true`.
    pub(crate) fn switch(&self) -> syn::Result<bool> {
        match &self.value {
            Value::Flag => Ok(true),
            Value::Given(Expr::Lit(ExprLit { lit: Lit::Bool(LitBool { value, .. }), .. })) => Ok(*value),
            Value::Given(_) | Value::List(_) => Err(self.expected("` or `= false")),
        }
    }

    /// The value as a list of texts: `name("a", "b")`, or `name = "a"` for a single one.
    pub(crate) fn texts(&self) -> syn::Result<Vec<LitStr>> {
        match &self.value {
            Value::List(texts) if !texts.is_empty() => Ok(texts.clone()),
            Value::Given(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => Ok(vec![text.clone()]),
            _ => Err(self.expected("(\"..\", \"..\")")),
        }
    }

    /// The value as a path: `name = a::b` or `name = "a::b"`.
    pub(crate) fn path(&self) -> syn::Result<Path> {
        match &self.value {
            Value::Given(Expr::Path(path)) if path.qself.is_none() => Ok(path.path.clone()),
            Value::Given(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => text.parse_with(Path::parse_mod_style),
            _ => Err(self.expected("= path")),
        }
    }

    /// The value as the name of a new item: `name = Ident`.
    pub(crate) fn ident(&self) -> syn::Result<Ident> {
        self.path().ok().and_then(|path| path.get_ident().cloned()).ok_or_else(|| self.expected("= Name"))
    }

    /// The value as an expression: `name = expression`.
    pub(crate) fn expression(&self) -> syn::Result<&Expr> {
        match &self.value {
            Value::Given(expression) => Ok(expression),
            Value::Flag | Value::List(_) => Err(self.expected("= expression")),
        }
    }

    fn expected(&self, form: &str) -> syn::Error {
        let name = &self.name;
        let form = form.strip_prefix('=').map_or_else(|| format!("{name}{form}"), |rest| format!("{name} ={rest}"));
        syn::Error::new(name.span(), format!("write `{form}`"))
    }
}

// ===== impl Marker =====

impl Marker {
    /// Reads an attribute of which the name is known to be ours.
    pub(crate) fn read(attribute: &Attribute, name: &Ident) -> syn::Result<Self> {
        let arguments = match &attribute.meta {
            Meta::Path(_) => Arguments::none(),
            Meta::List(list) => list.parse_args()?,
            Meta::NameValue(pair) => {
                return Err(syn::Error::new_spanned(pair, format!("write `#[{name}(\"..\")]`")));
            }
        };
        Ok(Self { name: name.clone(), arguments })
    }

    pub(crate) fn span(&self) -> Span {
        self.name.span()
    }
}
