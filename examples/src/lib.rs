//! The services of the example system.
//!
//! Each is a function from an [`Application`](vernal::Application) to routes; the programs beside this folder
//! (`order-service/main.rs`, ...) start one each, and `user-service` starts them all in one process ([`estate`]) and
//! shows what they can do ([`story`]).

pub mod catalog;
pub mod datasource;
pub mod estate;
pub mod gateway;
pub mod greeting;
pub mod order;
pub mod problem;
pub mod process;
pub mod program;
pub mod story;
pub mod user;
