//! The broker as its clients see it: lapin, and sockets that send what no client library would.

mod client;
mod consuming;
mod declaring;
mod lifecycle;
mod publishing;
mod raw;
mod recorded;
mod wire;
