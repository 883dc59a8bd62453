//! What the client promises, through its public API and a transport in memory.

#![allow(clippy::unwrap_used, clippy::needless_borrow, reason = "a test; references choose how arguments are sent")]

mod allocations;
mod balance;
mod errors;
mod layers;
mod limits;
mod log;
mod requests;
mod rest;
mod settings;
mod shop;
