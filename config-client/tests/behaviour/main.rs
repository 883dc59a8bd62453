//! What users see: public API only.

#![cfg(feature = "client")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod binding;
mod refresh;
mod secrets;
mod start;
mod stub;
mod with_testkit;
