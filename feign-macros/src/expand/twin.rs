//! The object-safe twin: the same methods in a trait of which there are trait objects.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::visit_mut::{self, VisitMut};
use syn::{
    GenericParam, Ident, Lifetime, LifetimeParam, ParenthesizedGenericArguments, ReceiverKind, Signature, Type,
    TypeFnPtr, TypeParamBound, TypeReference, parse_quote,
};

use super::{cfgs, desugared, forward, impl_attributes, passed_on};
use crate::model::{Client, TWIN_PREFIX};

/// The twin, the client as its twin, and the twin's objects as clients.
pub(super) fn twin(client: &Client, twin: &Ident, private: &TokenStream) -> TokenStream {
    let item = &client.item;
    let (vis, trait_name) = (&item.vis, &item.ident);
    let cfgs = cfgs(&item.attrs);
    let supertraits: Vec<&TypeParamBound> = item.supertraits.iter().collect();
    // With a lifetime among the supertraits there are objects of that lifetime only.
    let objects = if supertraits.iter().any(|bound| matches!(bound, TypeParamBound::Lifetime(_))) {
        quote!(dyn #twin)
    } else {
        quote!(dyn #twin + '_)
    };
    let doc = format!(
        " The object-safe twin of [`{trait_name}`]: every `{trait_name}` is one, \
         and `Arc<dyn {twin}>` is one of them."
    );
    let (mut declared, mut boxed, mut unboxed) = (Vec::new(), Vec::new(), Vec::new());
    for (attrs, signature) in forward::forwarded(client).filter(|(_, signature)| forward::is_object_safe(signature)) {
        let attrs = impl_attributes(attrs);
        let (signature, arguments) = passed_on(signature);
        let method = &signature.ident;
        let hidden = hidden(&signature, private);
        let hidden_name = &hidden.ident;
        declared.push(quote!(#(#attrs)* #[doc(hidden)] #hidden;));
        if signature.asyncness.is_some() {
            let plain = desugared(&signature, private);
            boxed.push(quote! {
                #(#attrs)*
                #hidden {
                    #private::Box::pin(<__Client as #trait_name>::#method(self, #(#arguments),*))
                }
            });
            unboxed.push(quote! {
                #(#attrs)*
                #plain {
                    async move { self.#hidden_name(#(#arguments),*).await }
                }
            });
        } else {
            boxed.push(quote!(#(#attrs)* #hidden { <__Client as #trait_name>::#method(self, #(#arguments),*) }));
            unboxed.push(quote!(#(#attrs)* #signature { self.#hidden_name(#(#arguments),*) }));
        }
    }
    quote! {
        #(#cfgs)*
        #[doc = #doc]
        #[allow(clippy::all, clippy::pedantic)]
        #vis trait #twin: #(#supertraits +)* #private::Send + #private::Sync {
            #(#declared)*
        }

        #(#cfgs)*
        #[allow(deprecated, clippy::all, clippy::pedantic)]
        impl<__Client: #trait_name> #twin for __Client {
            #(#boxed)*
        }

        #(#cfgs)*
        #[allow(deprecated, clippy::all, clippy::pedantic)]
        impl #trait_name for #objects {
            #(#unboxed)*
        }
    }
}

/// The signature of a method in the twin.
fn hidden(signature: &Signature, private: &TokenStream) -> Signature {
    let mut hidden = signature.clone();
    hidden.ident = format_ident!("{}{}", TWIN_PREFIX, syn::ext::IdentExt::unraw(&signature.ident));
    if signature.asyncness.is_none() {
        return hidden;
    }
    hidden.asyncness = None;
    let whole = Lifetime::new("'__feign", Span::call_site());
    let mut named = Lifetimes { fresh: Vec::new(), fixed: None };
    let mut own = whole.clone();
    for argument in &mut hidden.inputs {
        match argument {
            syn::FnArg::Receiver(receiver) => {
                if let ReceiverKind::Reference(_, lifetime, _) = &mut receiver.kind {
                    own = lifetime.get_or_insert_with(|| whole.clone()).clone();
                }
            }
            syn::FnArg::Typed(typed) => named.visit_type_mut(&mut typed.ty),
        }
    }
    let mut result: Type = super::result(signature);
    Lifetimes { fresh: Vec::new(), fixed: Some(own) }.visit_type_mut(&mut result);

    let outlived: Vec<Lifetime> = hidden
        .generics
        .params
        .iter()
        .filter_map(|parameter| match parameter {
            GenericParam::Lifetime(parameter) => Some(parameter.lifetime.clone()),
            _ => None,
        })
        .chain(named.fresh.iter().cloned())
        .collect();
    for lifetime in named.fresh {
        hidden.generics.params.push(GenericParam::Lifetime(LifetimeParam::new(lifetime)));
    }
    hidden.generics.params.push(GenericParam::Lifetime(LifetimeParam::new(whole.clone())));
    if !outlived.is_empty() {
        let where_clause = hidden.generics.make_where_clause();
        for lifetime in outlived {
            where_clause.predicates.push(parse_quote!(#lifetime: #whole));
        }
    }
    hidden.output = parse_quote! {
        -> #private::Pin<#private::Box<dyn #private::Future<Output = #result> + #private::Send + #whole>>
    };
    hidden
}

/// Names lifetimes that were left out: each its own in parameters, the receiver's in results.
struct Lifetimes {
    fresh: Vec<Lifetime>,
    fixed: Option<Lifetime>,
}

impl Lifetimes {
    fn next(&mut self) -> Lifetime {
        if let Some(fixed) = &self.fixed {
            return fixed.clone();
        }
        let lifetime = Lifetime::new(&format!("'__l{}", self.fresh.len()), Span::call_site());
        self.fresh.push(lifetime.clone());
        lifetime
    }
}

impl VisitMut for Lifetimes {
    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        if reference.lifetime.is_none() {
            reference.lifetime = Some(self.next());
        }
        visit_mut::visit_type_reference_mut(self, reference);
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident == "_" {
            *lifetime = self.next();
        }
    }

    // Lifetimes left out in the types of functions are bound there.
    fn visit_type_fn_ptr_mut(&mut self, _: &mut TypeFnPtr) {}

    fn visit_parenthesized_generic_arguments_mut(&mut self, _: &mut ParenthesizedGenericArguments) {}
}
