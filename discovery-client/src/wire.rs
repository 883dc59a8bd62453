//! Documents as they stand on the wire.

pub mod json;
mod lenient;
