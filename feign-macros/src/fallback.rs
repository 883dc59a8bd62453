//! What is left of a trait that breaks a rule: the errors, and the trait itself so that the rest of the user's crate
//! still finds it.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{FnArg, Item, ItemTrait, Pat, Safety, TraitItem, parse_quote};

use crate::{expand, model};

/// The errors and the trait, in the shape that it has without errors as far as the compiler accepts it.
pub(crate) fn with_trait(error: &syn::Error, item: &ItemTrait) -> TokenStream {
    let mut item = item.clone();
    model::strip(&mut item);
    item.unsafety = None;
    item.modifiers = syn::TraitModifiers::default();
    item.items.retain(|member| matches!(member, TraitItem::Fn(_) | TraitItem::Const(_) | TraitItem::Type(_)));
    for member in &mut item.items {
        let TraitItem::Fn(function) = member else { continue };
        // The compiler would report these a second time.
        function.sig.constness = None;
        function.sig.abi = None;
        function.sig.variadic = None;
        function.sig.safety = Safety::Default;
        if function.default.is_none() {
            let mut seen = Vec::new();
            for argument in &mut function.sig.inputs {
                let FnArg::Typed(typed) = argument else { continue };
                match &*typed.pat {
                    Pat::Ident(pattern)
                        if pattern.mutability.is_none()
                            && pattern.by_ref.is_none()
                            && pattern.subpat.is_none()
                            && !seen.contains(&pattern.ident) =>
                    {
                        seen.push(pattern.ident.clone());
                    }
                    _ => *typed.pat = parse_quote!(_),
                }
            }
        }
    }
    let errors = error.to_compile_error();
    // Not our own path: where the crate is found may be what is wrong.
    let kept = expand::kept_trait(&item, &quote!(::core::prelude::rust_2024), &[]);
    quote!(#errors #kept)
}

/// The errors and the item, when it is no trait or none that can be read.
pub(crate) fn with_tokens(error: &syn::Error, tokens: TokenStream) -> TokenStream {
    let errors = error.to_compile_error();
    match syn::parse2::<Item>(tokens) {
        Ok(item) => {
            let item = item.to_token_stream();
            quote!(#errors #item)
        }
        // The compiler could not read it either, and would say so again.
        Err(_) => errors,
    }
}
