use http::StatusCode;
use vernal::feign::{Decoded, ErrorDecoder, ErrorResponse, MethodContext};

/// What a failed call to the order service means to the user service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// The order service knows nothing of the user.
    #[error("User's orders is empty.")]
    NoOrders,
    /// The order service is in trouble.
    #[error("the order service failed with {0}")]
    Failed(u16),
}

/// The error decoder of the whole application: every Feign client and `RestClient` of it asks this one.
#[derive(Debug, Clone, Copy, Default)]
pub struct ShopErrors;

impl ErrorDecoder for ShopErrors {
    fn decode(&self, method: &MethodContext<'_>, response: &ErrorResponse) -> Decoded {
        match response.status {
            StatusCode::NOT_FOUND if method.key().contains("getOrders") => Decoded::typed(OrderError::NoOrders),
            status if status.is_server_error() => Decoded::typed(OrderError::Failed(status.as_u16())),
            _ => Decoded::Default,
        }
    }
}
