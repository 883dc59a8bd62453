//! What the bus does, seen from outside.

#[cfg(feature = "amqp")]
mod amqp;
#[cfg(feature = "amqp")]
mod faults;
mod memory;
mod node;
mod refresh;
