//! Other sources of instances.

mod composite;
mod fixed;

pub use composite::CompositeResolver;
pub use fixed::{FixedInstance, FixedResolver, SimpleDiscoverySettings};
