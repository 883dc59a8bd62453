//! Whole services against servers on the loopback: what they do when something outside them is wrong, and how they
//! leave.

mod actuator;
mod bus;
mod calls;
mod config;
mod decoders;
mod home;
mod leave;
mod wire;
