//! The client as its users see it. Time is paused and requests travel in memory, except in `socket`.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod cache;
mod estate;
mod leaving;
mod registration;
mod servers;
mod socket;
