//! Placeholder.

#[cfg(feature = "source")]
pub mod source;
#[cfg(feature = "source")]
pub mod value;
