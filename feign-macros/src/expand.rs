//! Description to tokens, one function per generated item.
//!
//! The shape of what is generated is written out by hand, and kept compiling, in the tests of `vernal-feign`'s
//! `private` module.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    Attribute, FnArg, GenericArgument, GenericParam, Generics, Ident, ItemTrait, Pat, Path, PathArguments, ReturnType,
    Signature, TraitItem, TraitItemFn, Type, parse_quote,
};

use crate::fallback;
use crate::model::{self, Client, Method, Parameter, Place, Role, Service};
use crate::parse::Arguments;

mod forward;
mod meta;
mod twin;

/// The whole attribute.
pub(crate) fn attribute(arguments: TokenStream, item: TokenStream, home: &Path) -> TokenStream {
    let item = match syn::parse2::<ItemTrait>(item.clone()) {
        Ok(item) => item,
        Err(error) => {
            let error = match syn::parse2::<syn::Item>(item.clone()) {
                Ok(_) => syn::Error::new(Span::call_site(), "`#[feign_client]` belongs on a trait"),
                Err(_) => error,
            };
            return fallback::with_tokens(&error, item);
        }
    };
    let client = syn::parse2::<Arguments>(arguments).and_then(|arguments| model::read(arguments, &item, home));
    match client {
        Ok(client) => expand(&client),
        Err(error) => fallback::with_trait(&error, &item),
    }
}

fn expand(client: &Client) -> TokenStream {
    let krate = &client.krate;
    let private = quote!(#krate::__private);
    let item = kept_trait(&client.item, &private, &client.methods);
    let called = match &client.role {
        Role::Client(service) if client.bases.is_empty() => plain_client(client, service, &private),
        Role::Client(service) => extending_client(client, service, &private),
        Role::Base => base(client, &private),
    };
    let forwards = forward::pointers(client, &private);
    let twin = client.twin.as_ref().map(|name| twin::twin(client, name, &private));
    quote! {
        #item
        #called
        #forwards
        #twin
    }
}

/// The user's trait: `async fn` says `-> impl Future + Send`, which puts `Send` into the contract.
pub(crate) fn kept_trait(item: &ItemTrait, private: &TokenStream, methods: &[Method]) -> ItemTrait {
    let mut item = item.clone();
    let mut supertraits = item.supertraits.clone();
    supertraits.push(parse_quote!(#private::Send));
    supertraits.push(parse_quote!(#private::Sync));
    item.supertraits = supertraits;
    item.colon_token.get_or_insert_default();
    for member in &mut item.items {
        let TraitItem::Fn(function) = member else { continue };
        if let Some(method) = methods.iter().find(|method| method.signature.ident == function.sig.ident) {
            document(function, method);
        }
        if function.sig.asyncness.is_some() {
            if let Some(body) = &function.default {
                function.default = Some(parse_quote!({ async move #body }));
                function.attrs.push(parse_quote!(#[allow(clippy::manual_async_fn)]));
            }
            function.sig = desugared(&function.sig, private);
        }
    }
    item
}

/// Says under the user's text what is sent.
fn document(function: &mut TraitItemFn, method: &Method) {
    let line = format!(" `{} {}`", method.verb.name(), method.path.value());
    if function.attrs.iter().any(|attribute| attribute.path().is_ident("doc")) {
        function.attrs.push(parse_quote!(#[doc = ""]));
    }
    function.attrs.push(parse_quote!(#[doc = #line]));
}

/// The signature without `async`.
fn desugared(signature: &Signature, private: &TokenStream) -> Signature {
    let result = result(signature);
    let mut plain = signature.clone();
    plain.asyncness = None;
    plain.output = parse_quote!(-> impl #private::Future<Output = #result> + #private::Send);
    plain
}

fn result(signature: &Signature) -> Type {
    match &signature.output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, ty) => (**ty).clone(),
    }
}

/// `<Trait>Feign` of a trait without bases: a struct of its own.
fn plain_client(client: &Client, service: &Service, private: &TokenStream) -> TokenStream {
    let (item, name) = (&client.item, &service.client);
    let (vis, trait_name, generics) = (&item.vis, &item.ident, &item.generics);
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    let cfgs = cfgs(&item.attrs);
    let phantom = phantom(generics);
    let types = phantom.as_ref().map(|phantom| quote!(types: #private::PhantomData<#phantom>,));
    let no_types = phantom.as_ref().map(|_| quote!(types: #private::PhantomData,));
    let doc = client_doc(item, service);
    let text = name.to_string();
    let meta = meta::client(client, service, private);
    let positions = meta::positions(client);
    let methods = client.methods.iter().map(|method| {
        let ident = &method.signature.ident;
        call(method, &quote!(self.client.call(__FeignMethod::#ident as usize)), private)
    });
    quote! {
        #(#cfgs)*
        #[doc = #doc]
        #vis struct #name #generics #where_clause {
            client: #private::Client,
            #types
        }

        #(#cfgs)*
        const _: () = {
            #positions

            #[automatically_derived]
            impl #impl_generics #private::Clone for #name #ty_generics #where_clause {
                fn clone(&self) -> Self {
                    Self { client: #private::Clone::clone(&self.client), #no_types }
                }
            }

            #[automatically_derived]
            impl #impl_generics #private::Debug for #name #ty_generics #where_clause {
                fn fmt(&self, f: &mut #private::Formatter<'_>) -> #private::FmtResult {
                    f.debug_tuple(#text).field(&self.client).finish()
                }
            }

            impl #impl_generics #private::FeignClient for #name #ty_generics #where_clause {
                fn meta() -> #private::ClientMeta {
                    #meta
                }

                fn from_client(client: #private::Client) -> Self {
                    Self { client, #no_types }
                }
            }

            #[allow(deprecated, unused_mut, clippy::all, clippy::pedantic)]
            impl #impl_generics #trait_name #ty_generics for #name #ty_generics #where_clause {
                #(#methods)*
            }
        };
    }
}

/// `<Trait>Feign` of a trait with bases: a name for the one type for which bases are implemented.
fn extending_client(client: &Client, service: &Service, private: &TokenStream) -> TokenStream {
    let (item, name) = (&client.item, &service.client);
    let (vis, trait_name, generics) = (&item.vis, &item.ident, &item.generics);
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    let cfgs = cfgs(&item.attrs);
    let kind = format_ident!("__{}Kind", name);
    let phantom = phantom(generics).unwrap_or_else(|| quote!(()));
    let doc = client_doc(item, service);
    let meta = meta::client(client, service, private);
    let positions = meta::positions(client);
    let own = meta::count(client);
    let bare = without_bounds(generics);
    let mut before = quote!(#own);
    let mut extends = Vec::new();
    for base in &client.bases {
        let value = meta::base_value(base);
        let arguments = base_arguments(base);
        extends.push(quote_spanned! {base.span()=>
            impl #impl_generics #private::Extends<{ #value.id() }, #arguments> for #kind #ty_generics #where_clause {
                const FIRST: usize = #before;
            }
        });
        before = quote!(#before + #value.count());
    }
    let methods = client.methods.iter().map(|method| {
        let ident = &method.signature.ident;
        call(method, &quote!(#private::Extended::client(self).call(__FeignMethod::#ident as usize)), private)
    });
    quote! {
        #(#cfgs)*
        #[doc(hidden)]
        #[allow(dead_code, missing_debug_implementations)]
        #vis struct #kind #generics(#private::PhantomData<#phantom>) #where_clause;

        #(#cfgs)*
        #[doc = #doc]
        #vis type #name #bare = #private::Extended<#kind #ty_generics>;

        #(#cfgs)*
        const _: () = {
            #positions

            impl #impl_generics #private::Kind for #kind #ty_generics #where_clause {
                fn meta() -> #private::ClientMeta {
                    #meta
                }
            }

            #(#extends)*

            #[allow(deprecated, unused_mut, clippy::all, clippy::pedantic)]
            impl #impl_generics #trait_name #ty_generics for #private::Extended<#kind #ty_generics> #where_clause {
                #(#methods)*
            }
        };
    }
}

/// What a base gives to the clients that extend it: its methods' description, in a constant of the trait's name (the
/// other name space, so that whoever imports the trait has both), and the methods.
fn base(client: &Client, private: &TokenStream) -> TokenStream {
    let item = &client.item;
    let (vis, trait_name, generics) = (&item.vis, &item.ident, &item.generics);
    let (_, ty_generics, where_clause) = generics.split_for_impl();
    let cfgs = cfgs(&item.attrs);
    let positions = meta::positions(client);
    let value = meta::base(client, private);
    let mentioned = mentioned(generics);
    let id = quote!({ #trait_name.id() }, (#(#mentioned,)*));
    let mut extended = generics.clone();
    extended.params.push(parse_quote!(__Kind: #private::Kind + #private::Extends<#id>));
    let (impl_generics, _, _) = extended.split_for_impl();
    let methods = client.methods.iter().map(|method| {
        let ident = &method.signature.ident;
        let position = quote!(<__Kind as #private::Extends<#id>>::FIRST + __FeignMethod::#ident as usize);
        call(method, &quote!(#private::Extended::client(self).call(#position)), private)
    });
    quote! {
        #(#cfgs)*
        #[doc(hidden)]
        #[allow(non_upper_case_globals)]
        #vis const #trait_name: #private::BaseMeta = #value;

        #(#cfgs)*
        const _: () = {
            #positions

            #[allow(deprecated, unused_mut, clippy::all, clippy::pedantic)]
            impl #impl_generics #trait_name #ty_generics for #private::Extended<__Kind> #where_clause {
                #(#methods)*
            }
        };
    }
}

/// A method that hands its arguments over and sends the call.
fn call(method: &Method, start: &TokenStream, private: &TokenStream) -> TokenStream {
    let attrs = impl_attributes(&method.attrs);
    let signature = desugared(&method.signature, private);
    let result = &method.result;
    // Hygienic, so that a parameter may have the same name.
    let call = Ident::new("call", Span::mixed_site());
    let shape = Ident::new("shape", Span::mixed_site());
    let arguments = method.parameters.iter().enumerate().map(|(at, parameter)| argument(at, parameter, &call, private));
    let at_result = located(private, result.span());
    let chosen = quote_spanned! {result.span()=>
        (&&&#at_result::Returning::<#at_result::Value<#result>>::new()).shape()
    };
    let send = quote_spanned!(result.span()=> #call.send::<#result>(#shape));
    quote! {
        #(#attrs)*
        #signature {
            let mut #call = #start;
            #(#arguments)*
            let #shape = {
                use #private::{ReturnJson as _, ReturnKnown as _, ReturnOptional as _};
                #chosen
            };
            #send
        }
    }
}

/// Hands one argument over; the compiler's complaints about its type point at the type.
fn argument(at: usize, parameter: &Parameter, call: &Ident, private: &TokenStream) -> TokenStream {
    let ident = &parameter.ident;
    let at = u16::try_from(at).unwrap_or(u16::MAX);
    let span = parameter.ty.span();
    let handed = match &parameter.place {
        Place::Path { allow_empty: false, .. } => quote_spanned!(span=> path(#at, &#ident)),
        Place::Path { .. } | Place::Query { flag: false, .. } | Place::Header { .. } | Place::Template { .. } => {
            quote_spanned!(span=> value(#at, &#ident))
        }
        Place::Query { .. } => quote_spanned!(span=> flag(#at, #ident)),
        Place::QueryMap => quote_spanned!(span=> query_map(#at, &#ident)),
        Place::HeaderMap => quote_spanned!(span=> header_map(#at, &#ident)),
        Place::Uri => quote_spanned!(span=> uri(#at, &#ident)),
        Place::Options => quote_spanned!(span=> options(#at, &#ident)),
        Place::Body => {
            let at_type = located(private, span);
            let chosen = quote_spanned!(span=> (&&&#at_type::BodyOf(&#ident)).body());
            let body = Ident::new("body", Span::mixed_site());
            return quote! {
                let #body = {
                    use #private::{BodyJson as _, BodyOptional as _, BodyRaw as _};
                    #chosen
                };
                #call.body(#at, #body);
            };
        }
    };
    quote!(#call.#handed;)
}

/// The same path at another place, for the compiler's complaints.
fn located(private: &TokenStream, span: Span) -> TokenStream {
    let token = |mut token: TokenTree| {
        token.set_span(token.span().located_at(span));
        token
    };
    private.clone().into_iter().map(token).collect()
}

fn client_doc(item: &ItemTrait, service: &Service) -> String {
    format!(" [`{}`] over HTTP, by the service `{}`.", item.ident, service.name.value())
}

/// A type that mentions every type and lifetime parameter, if there is one.
fn phantom(generics: &Generics) -> Option<TokenStream> {
    let mentioned = mentioned(generics);
    (!mentioned.is_empty()).then(|| quote!(fn() -> (#(#mentioned,)*)))
}

/// Each type and lifetime parameter as a type.
fn mentioned(generics: &Generics) -> Vec<TokenStream> {
    let each = generics.params.iter().filter_map(|parameter| match parameter {
        GenericParam::Type(parameter) => {
            let ident = &parameter.ident;
            Some(quote!(#ident))
        }
        GenericParam::Lifetime(parameter) => {
            let lifetime = &parameter.lifetime;
            Some(quote!(&#lifetime ()))
        }
        GenericParam::Const(_) => None,
    });
    each.collect()
}

/// What a base's parameters are for the client that extends it, in the form of [`mentioned`].
fn base_arguments(base: &Path) -> TokenStream {
    let arguments = base.segments.last().map(|last| &last.arguments);
    let Some(PathArguments::AngleBracketed(arguments)) = arguments else { return quote!(()) };
    let each = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(quote!(#ty)),
        GenericArgument::Lifetime(lifetime) => Some(quote!(&#lifetime ())),
        _ => None,
    });
    quote!((#(#each,)*))
}

/// For an alias, where bounds are not checked.
fn without_bounds(generics: &Generics) -> Generics {
    let mut bare = generics.clone();
    bare.where_clause = None;
    for parameter in &mut bare.params {
        match parameter {
            GenericParam::Type(parameter) => {
                parameter.colon_token = None;
                parameter.bounds.clear();
            }
            GenericParam::Lifetime(parameter) => {
                parameter.colon_token = None;
                parameter.bounds.clear();
            }
            GenericParam::Const(_) => {}
        }
    }
    bare
}

/// The attributes that belong to every item made from the one that carries them.
fn cfgs(attributes: &[Attribute]) -> Vec<&Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).collect()
}

/// The attributes that belong to a method in an impl as well.
fn impl_attributes(attributes: &[Attribute]) -> Vec<&Attribute> {
    let kept = ["cfg", "allow", "warn", "deny", "forbid"];
    attributes.iter().filter(|attribute| kept.iter().any(|name| attribute.path().is_ident(name))).collect()
}

/// The arguments of a call that passes a method's parameters on, and the signature with names for all of them.
fn passed_on(signature: &Signature) -> (Signature, Vec<Ident>) {
    let mut named = signature.clone();
    let mut idents = Vec::new();
    for (at, argument) in named.inputs.iter_mut().enumerate() {
        let FnArg::Typed(typed) = argument else { continue };
        typed.attrs.clear();
        let ident = match &*typed.pat {
            Pat::Ident(pattern) if pattern.subpat.is_none() => pattern.ident.clone(),
            _ => format_ident!("__argument_{at}"),
        };
        *typed.pat = parse_quote!(#ident);
        idents.push(ident);
    }
    (named, idents)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(arguments: TokenStream, item: TokenStream) -> String {
        let file = syn::parse2(attribute(arguments, item, &parse_quote!(::vernal_feign))).unwrap();
        prettyplease::unparse(&file)
    }

    #[test]
    fn a_client_expands_as_reviewed() {
        let text = expanded(
            quote!("order-service", context_id = "orders", path = "/order-service"),
            quote! {
                /// Orders of the shop.
                pub trait OrderClient {
                    /// The orders of a user.
                    #[get("/{user_id}/orders", produces = "application/json")]
                    async fn orders(&self, user_id: &str, #[query(format = "csv")] states: &[State]) -> Result<Vec<Order>>;

                    #[cfg(feature = "write")]
                    #[post("/{user_id}/orders", headers("X-Trace: {trace}"))]
                    async fn create(&self, user_id: u64, trace: Option<&str>, order: &NewOrder) -> Result<Order, ShopError>;

                    async fn first(&self, user_id: &str) -> Option<Order> {
                        self.orders(user_id, &[]).await.ok()?.into_iter().next()
                    }
                }
            },
        );
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_broken_trait_stays_a_trait() {
        let text = expanded(
            quote!("order-service"),
            quote! {
                pub trait OrderClient {
                    async fn orders(&self, #[query] (a, b): (u8, u8)) -> Result<Vec<Order>>;
                }
            },
        );
        assert_eq!(text.matches("compile_error!").count(), 2, "{text}");
        assert!(text.contains("pub trait OrderClient"), "{text}");
        assert!(!text.contains("OrderClientFeign"), "{text}");
    }

    #[test]
    fn a_user_of_the_facade_needs_no_other_crate_in_scope() {
        for item in [
            quote!(
                pub trait OrderClient {
                    #[get("/")]
                    async fn orders(&self) -> Result<()>;
                }
            ),
            quote!(
                pub trait OrderClient {
                    #[get("/")]
                    async fn orders(&self);
                }
            ),
        ] {
            let text = attribute(quote!("order-service"), item, &parse_quote!(::vernal::feign)).to_string();
            let text = text.replace("`-> vernal_feign::Result<..>` (with the facade", "");
            assert!(!text.contains("vernal_feign"), "{text}");
        }
        let arguments = quote!("order-service", crate = shop::feign);
        let text = attribute(
            arguments,
            quote!(
                pub trait OrderClient {}
            ),
            &parse_quote!(::vernal::feign),
        )
        .to_string();
        assert!(text.contains("shop :: feign :: __private") && !text.contains("vernal"), "{text}");
    }

    #[test]
    fn what_is_no_trait_is_left_alone() {
        let text = expanded(
            quote!("order-service"),
            quote!(
                pub struct OrderClient;
            ),
        );
        assert!(text.contains("pub struct OrderClient;") && text.contains("belongs on a trait"), "{text}");
    }
}
