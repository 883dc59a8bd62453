//! Scenarios against the real peers (Spring Cloud, RabbitMQ) and against the testkit, written once.
//!
//! A scenario is an async function over [`Peers`](peers::Peers): it lets our crates meet the peers and asserts on both
//! sides, what our crate saw *and* what the peer saw or sent. [`Local`](peers::Local) are the testkit's servers and the
//! example services in this process (`cargo test`), [`Real`](peers::Real) is what `interop/run up` has started
//! (`cargo run -p vernal-interop`).
//!
//! | module | |
//! |---|---|
//! | [`scenario`] | the list, and one file per area |
//! | [`peers`] | the trait, its two implementations |
//! | [`ours`], [`service`] | our service that joins the peers |
//! | [`mod@bench`] | Java's programs and ours side by side |
//! | [`soak`] | our programs for a while, under load and with what goes wrong |
//! | [`check`], [`web`] | assertions; plain HTTP |

pub mod bench;
pub mod check;
mod client;
pub mod ours;
pub mod peers;
mod proc;
pub mod scenario;
pub mod service;
pub mod soak;
mod table;
pub mod web;
