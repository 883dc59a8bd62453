//! Placeholder.

#[cfg(feature = "cipher")]
pub mod cipher;
#[cfg(feature = "source")]
pub mod source;
#[cfg(feature = "source")]
pub mod value;
