//! Whole services against servers on the loopback: what they do when something outside them is wrong, and how they
//! leave.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod actuator;
mod bus;
mod calls;
mod config;
mod decoders;
mod home;
mod leave;
mod server;
mod wire;
