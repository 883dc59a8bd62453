//! What responses that are no success mean to the application.

use std::time::Duration;

use vernal_commons::BoxError;

use crate::exchange::ErrorResponse;
use crate::meta::{ClientMeta, MethodMeta};

/// Turns responses that are no success into errors of the application (Feign's `ErrorDecoder`).
///
/// Registered once per [`Feign`](crate::Feign) context, and overridable per client and per method; the most
/// specific decoder is asked first, and the next one when it answers [`Decoded::Default`].
///
/// ```
/// # use vernal_feign::{Decoded, ErrorDecoder, ErrorResponse, MethodContext};
/// #[derive(Debug, thiserror::Error)]
/// #[error("the user has no orders")]
/// struct NoOrders;
///
/// struct ShopErrors;
///
/// impl ErrorDecoder for ShopErrors {
///     fn decode(&self, method: &MethodContext<'_>, response: &ErrorResponse) -> Decoded {
///         match response.status.as_u16() {
///             404 if method.key().contains("orders") => Decoded::typed(NoOrders),
///             _ => Decoded::Default,
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(message = "`{Self}` is no error decoder: implement `vernal_feign::ErrorDecoder` for it")]
pub trait ErrorDecoder: Send + Sync + 'static {
    /// Decides what `response` means.
    fn decode(&self, method: &MethodContext<'_>, response: &ErrorResponse) -> Decoded;
}

/// What an [`ErrorDecoder`] decided. The response stays in the [`Error`](crate::Error) whatever it is.
#[derive(Debug)]
#[non_exhaustive]
pub enum Decoded {
    /// Ask the next decoder; the last one makes the ordinary error.
    Default,
    /// An error with this cause, found again by [`Error::decoded`](crate::Error::decoded).
    Typed(BoxError),
    /// An error that says that trying again makes sense, after the time or at once.
    Retry {
        /// How long to wait.
        after: Option<Duration>,
        /// The cause, found again by [`Error::decoded`](crate::Error::decoded).
        cause: Option<BoxError>,
    },
    /// Not an error: the method returns the empty value of its type, as for a dismissed 404.
    Empty,
}

/// The method that an [`ErrorDecoder`] is asked about.
#[derive(Debug, Clone, Copy)]
pub struct MethodContext<'a> {
    client: &'a ClientMeta,
    method: &'a MethodMeta,
    key: &'a str,
}

// ===== impl Decoded =====

impl Decoded {
    /// A [`Decoded::Typed`].
    #[must_use]
    pub fn typed(error: impl Into<BoxError>) -> Self {
        Self::Typed(error.into())
    }
}

// ===== impl MethodContext =====

impl<'a> MethodContext<'a> {
    pub(crate) const fn new(client: &'a ClientMeta, method: &'a MethodMeta, key: &'a str) -> Self {
        Self { client, method, key }
    }

    /// Feign's config key: `OrderClient#order(Long)`.
    #[must_use]
    pub const fn key(&self) -> &'a str {
        self.key
    }

    /// The client's description.
    #[must_use]
    pub const fn client(&self) -> &'a ClientMeta {
        self.client
    }

    /// The method's description.
    #[must_use]
    pub const fn method(&self) -> &'a MethodMeta {
        self.method
    }
}
