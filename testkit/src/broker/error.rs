//! Why a message could not be put in by hand.

/// Why [`Broker::publish`](super::Broker::publish) did nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No exchange has that name.
    #[error("no exchange `{name}`")]
    NoExchange {
        /// The name.
        name: String,
    },
    /// The body is larger than the broker takes.
    #[error("body of {size} bytes is larger than {most}")]
    TooLarge {
        /// Bytes of the body.
        size: usize,
        /// Bytes allowed.
        most: usize,
    },
}
