//! Traits turned into clients by `#[feign_client]`, against a server that keeps what arrives: recordings of Spring
//! Cloud OpenFeign, and behaviour that only a trait has.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(unreachable_pub, reason = "some files are shared with the conformance runner")]

mod behaviour;
mod clients;
mod recorded;
mod replay;
#[allow(dead_code, reason = "the conformance runner uses more of it")]
#[path = "../conformance/server.rs"]
mod server;
#[path = "../conformance/settings.rs"]
mod settings;
#[path = "../conformance/value.rs"]
#[allow(dead_code, reason = "the conformance runner uses more of it")]
mod value;
