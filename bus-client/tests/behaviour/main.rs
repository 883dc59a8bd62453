//! What the bus does, seen from outside.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends with what is wrong")]

#[cfg(feature = "amqp")]
mod amqp;
#[cfg(feature = "amqp")]
mod faults;
mod memory;
mod node;
mod publish;
mod refresh;
