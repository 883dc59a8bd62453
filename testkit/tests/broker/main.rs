//! The broker as its clients see it: lapin, and sockets that send what no client library would.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod client;
mod consuming;
mod declaring;
mod lifecycle;
mod publishing;
mod raw;
mod recorded;
mod wire;
