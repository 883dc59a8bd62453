//! The trait for what points at a client: `&T`, `Box<T>`, `Arc<T>`.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{GenericParam, Signature, Type, parse_quote};

use super::{cfgs, desugared, impl_attributes, passed_on};
use crate::model::Client;

/// The three impls.
pub(super) fn pointers(client: &Client, private: &TokenStream) -> TokenStream {
    let reference = pointer(client, &parse_quote!(&__Client), private);
    let boxed = pointer(client, &parse_quote!(#private::Box<__Client>), private);
    let shared = pointer(client, &parse_quote!(#private::Arc<__Client>), private);
    quote! {
        #reference
        #boxed
        #shared
    }
}

fn pointer(client: &Client, pointer: &Type, private: &TokenStream) -> TokenStream {
    let item = &client.item;
    let trait_name = &item.ident;
    let (_, ty_generics, _) = item.generics.split_for_impl();
    let mut generics = item.generics.clone();
    generics.params.push(parse_quote!(__Client: #trait_name #ty_generics + ?#private::Sized));
    // What the trait demands of its implementors the pointer must have as well.
    let supertraits: Vec<_> = item.supertraits.iter().collect();
    if !supertraits.is_empty() {
        generics.make_where_clause().predicates.push(parse_quote!(Self: #(#supertraits)+*));
    }
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let cfgs = cfgs(&item.attrs);
    let methods = forwarded(client).map(|(attrs, signature)| {
        let attrs = impl_attributes(attrs);
        let (signature, arguments) = passed_on(signature);
        let method = &signature.ident;
        let plain = if signature.asyncness.is_some() { desugared(&signature, private) } else { signature.clone() };
        quote! {
            #(#attrs)*
            #plain {
                <__Client as #trait_name #ty_generics>::#method(&**self, #(#arguments),*)
            }
        }
    });
    quote! {
        #(#cfgs)*
        #[allow(deprecated, clippy::all, clippy::pedantic)]
        impl #impl_generics #trait_name #ty_generics for #pointer #where_clause {
            #(#methods)*
        }
    }
}

/// The methods that a pointer can pass on: those called over HTTP, and those with a body unless they ask for a sized
/// `Self` or name it; the latter stay as the trait has them.
pub(super) fn forwarded(client: &Client) -> impl Iterator<Item = (&[syn::Attribute], &Signature)> {
    let called = client.methods.iter().map(|method| (method.attrs.as_slice(), &method.signature));
    let provided = client.provided.iter().map(|function| (function.attrs.as_slice(), &function.sig));
    called.chain(provided.filter(|(_, signature)| is_forwardable(signature)))
}

fn is_forwardable(signature: &Signature) -> bool {
    let by_reference =
        signature.receiver().is_some_and(|receiver| matches!(receiver.kind, syn::ReceiverKind::Reference(_, _, None)));
    by_reference
        && matches!(signature.safety, syn::Safety::Default)
        && !mentions_self(signature.output.to_token_stream())
        && !mentions_self(signature.generics.where_clause.to_token_stream())
        && !signature.inputs.iter().skip(1).any(|argument| mentions_self(argument.to_token_stream()))
}

fn mentions_self(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "Self",
        TokenTree::Group(group) => mentions_self(group.stream()),
        _ => false,
    })
}

/// Whether a method can be part of an object-safe trait.
pub(super) fn is_object_safe(signature: &Signature) -> bool {
    let generic = signature.generics.params.iter().any(|parameter| !matches!(parameter, GenericParam::Lifetime(_)));
    let opaque = signature.inputs.iter().any(|argument| mentions_impl(argument.to_token_stream()))
        || mentions_impl(signature.output.to_token_stream());
    !generic && !opaque
}

fn mentions_impl(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "impl",
        TokenTree::Group(group) => mentions_impl(group.stream()),
        _ => false,
    })
}
