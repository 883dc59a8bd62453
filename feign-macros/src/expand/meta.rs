//! The description of a client as an expression of type `ClientMeta`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Path, PathArguments};

use super::cfgs;
use crate::model::{Client, Format, Method, Parameter, Place, Service};

/// The body of `FeignClient::meta`.
pub(super) fn client(client: &Client, service: &Service, private: &TokenStream) -> TokenStream {
    let Service { name, context_id, url, path, headers, dismiss_404, collection_format, error_decoder, client: _ } =
        service;
    let trait_name = client.item.ident.to_string();
    let trait_name = trait_name.trim_start_matches("r#");
    let context_id = context_id.as_ref().map(|text| quote!(.with_context_id(#text)));
    let url = url.as_ref().map(|text| quote!(.with_url(#text)));
    let path = path.as_ref().map(|text| quote!(.with_path(#text)));
    let dismiss_404 = dismiss_404.map(|dismiss| quote!(.with_dismiss_404(#dismiss)));
    let collection_format = collection_format.map(|format| with_format(format, private));
    let error_decoder =
        error_decoder.as_ref().map(|decoder| quote_spanned!(decoder.span()=> .with_error_decoder(#decoder)));
    let own = client.methods.iter().map(|method| add(method, &quote!(meta.methods), private));
    let bases = client.bases.iter().map(|base| {
        let value = base_value(base);
        quote!(let meta = #value.add_to(meta);)
    });
    quote! {
        #[allow(unused_mut)]
        let mut meta = #private::ClientMeta::new(#trait_name, #name)
            #context_id
            #url
            #path
            #(.with_header(#headers))*
            #dismiss_404
            #collection_format
            #error_decoder
            .with_log(#private::log_sink!(#trait_name));
        #(#own)*
        #(#bases)*
        meta
    }
}

/// The value of a base's constant.
pub(super) fn base(client: &Client, private: &TokenStream) -> TokenStream {
    let name = format!("::{}:", client.item.ident);
    let count = count(client);
    let own = client.methods.iter().map(|method| add(method, &quote!(methods), private));
    quote! {
        #private::BaseMeta::new(
            ::core::concat!(::core::module_path!(), #name, ::core::line!(), ":", ::core::column!()),
            #count,
            |methods| {
                let _ = &methods;
                #(#own)*
            },
        )
    }
}

/// The constant that a base puts beside its trait.
pub(super) fn base_value(base: &Path) -> Path {
    let mut path = base.clone();
    for segment in &mut path.segments {
        segment.arguments = PathArguments::None;
    }
    path
}

/// The positions of methods: counted by the compiler, since `cfg` may take some away.
pub(super) fn positions(client: &Client) -> Option<TokenStream> {
    let variants = client.methods.iter().map(|method| {
        let cfgs = cfgs(&method.attrs);
        let ident = &method.signature.ident;
        quote!(#(#cfgs)* #ident)
    });
    (!client.methods.is_empty()).then(|| {
        quote! {
            #[allow(dead_code, non_camel_case_types)]
            enum __FeignMethod {
                #(#variants),*
            }
        }
    })
}

/// The number of methods, as the compiler counts them.
pub(super) fn count(client: &Client) -> TokenStream {
    let methods = client.methods.iter().map(|method| {
        let cfgs = cfgs(&method.attrs);
        quote!(#(#cfgs)* ())
    });
    quote!({
        const METHODS: &[()] = &[#(#methods),*];
        METHODS.len()
    })
}

/// A statement that adds a method to a list.
fn add(method: &Method, list: &TokenStream, private: &TokenStream) -> TokenStream {
    let Method { name, path, consumes, produces, headers, params, dismiss_404, .. } = method;
    let cfgs: Vec<&Attribute> = cfgs(&method.attrs);
    let verb = quote::format_ident!("{}", method.verb.name());
    let dismiss_404 = dismiss_404.map(|dismiss| quote!(.with_dismiss_404(#dismiss)));
    let collection_format = method.collection_format.map(|format| with_format(format, private));
    let error_decoder =
        method.error_decoder.as_ref().map(|decoder| quote_spanned!(decoder.span()=> .with_error_decoder(#decoder)));
    let parameters = method.parameters.iter().map(|parameter| {
        let parameter = described(parameter, private);
        quote!(.with_parameter(#parameter))
    });
    quote! {
        #(#cfgs)*
        #list.push(
            #private::MethodMeta::new(#name, #private::Method::#verb, #path)
                #(.with_consumes(#consumes))*
                #(.with_produces(#produces))*
                #(.with_header(#headers))*
                #(.with_param(#params))*
                #dismiss_404
                #collection_format
                #error_decoder
                #(#parameters)*
        );
    }
}

fn described(parameter: &Parameter, private: &TokenStream) -> TokenStream {
    let Parameter { name, java, .. } = parameter;
    let kind = quote!(#private::ParamIn);
    let owned = |text: &str| quote!(<#private::String as ::core::convert::From<&str>>::from(#text));
    let place = match &parameter.place {
        Place::Path { name, encoded: false, rest: false, allow_empty: false } => quote!(#kind::path(#name)),
        Place::Path { name, encoded, rest, allow_empty } => {
            let name = owned(name);
            quote!(#kind::Path { name: #name, encoded: #encoded, rest: #rest, allow_empty: #allow_empty })
        }
        Place::Query { name, format: None, encoded: false, flag: false } => quote!(#kind::query(#name)),
        Place::Query { name, format, encoded, flag } => {
            let name = owned(name);
            let format = match format {
                Some(format) => {
                    let format = format.variant();
                    quote!(#private::Option::Some(#private::CollectionFormat::#format))
                }
                None => quote!(#private::Option::None),
            };
            quote!(#kind::Query { name: #name, format: #format, encoded: #encoded, flag: #flag })
        }
        Place::QueryMap => quote!(#kind::QueryMap),
        Place::Header { name } => quote!(#kind::header(#name)),
        Place::HeaderMap => quote!(#kind::HeaderMap),
        Place::Template { name } => {
            let name = owned(name);
            quote!(#kind::Template { name: #name })
        }
        Place::Body => quote!(#kind::Body),
        Place::Uri => quote!(#kind::Uri),
        Place::Options => quote!(#kind::Options),
    };
    quote!(#private::ParamMeta::new(#name, #java, #place))
}

fn with_format(format: Format, private: &TokenStream) -> TokenStream {
    let variant = format.variant();
    quote!(.with_collection_format(#private::CollectionFormat::#variant))
}
