//! The attribute `#[feign_client]` of [`vernal-feign`](https://docs.rs/vernal-feign), where it is documented.
//!
//! | file | noun |
//! |---|---|
//! | `parse` | tokens to our syntax |
//! | `model` | syntax to a checked description; all rules |
//! | `expand` | description to tokens |
//! | `fallback` | what is left of a trait that breaks a rule |

use proc_macro::TokenStream;

mod expand;
mod fallback;
mod model;
mod parse;

#[doc = include_str!("feign_client.md")]
#[proc_macro_attribute]
pub fn feign_client(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::attribute(arguments.into(), item.into(), &syn::parse_quote!(::vernal_feign)).into()
}

// The same for users of the facade alone, who have `vernal` in scope but not `vernal_feign`. The facade exports it as
// `feign_client` and shows this documentation.
#[doc = include_str!("feign_client.md")]
#[proc_macro_attribute]
pub fn feign_client_facade(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::attribute(arguments.into(), item.into(), &syn::parse_quote!(::vernal::feign)).into()
}
