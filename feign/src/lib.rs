//! Declarative HTTP clients with Feign's wire format, log lines and error decoding.
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod argument;
mod attempt;
mod base;
mod client;
mod codec;
mod empty;
mod encode;
mod error;
mod feign;
mod layer;
pub mod meta;
mod options;
mod pairs;
mod plan;
mod redact;
mod request;
mod rest;
mod settings;
mod template;
mod url;

pub use attempt::CallInfo;
pub use client::{Call, Client, FeignClient, OptionsArgument};
pub use codec::MethodResult;
pub use error::{Decoded, Error, ErrorDecoder, ErrorKind, ErrorResponse, MethodContext, Phase, RequestContext, Result};
pub use feign::{ClientBuilder, Feign, FeignBuilder};
pub use layer::intercept::{Interceptor, Outgoing};
pub use layer::log::LogLevel;
pub use options::CallOptions;
pub use rest::RestClient;
#[cfg(feature = "macros")]
pub use vernal_feign_macros::*;
