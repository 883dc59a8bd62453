//! Servers on the loopback for tests, examples and users' tests: a config server, a Eureka registry and an AMQP
//! broker that answer as the real ones do.
//!
//! What they say on the wire follows recordings of the real servers. They share no wire types with the crates they
//! test, so a mistake in one reading is not repeated in the other.
//!
//! | module | feature | stands in for |
//! |---|---|---|
//! | [`config_server`] | `config-server` | Spring Cloud Config Server with a file backend |
//! | [`registry`] | `registry` | Eureka Server |
//! | [`broker`] | `broker` | RabbitMQ, as far as Spring Cloud Bus uses it |
//! | [`logs`] | always | a `tracing` subscriber that keeps what was logged |

#[cfg(feature = "broker")]
pub mod broker;
#[cfg(feature = "config-server")]
pub mod config_server;
pub mod logs;
#[cfg(feature = "registry")]
pub mod registry;
