//! A Rust service as a first-class citizen of a Spring Cloud estate.
//!
//! One dependency brings settings from the Config Server, registration and look-up at Eureka, declarative HTTP clients,
//! and refresh over the bus:
//!
//! ```no_run
//! use vernal::prelude::*;
//!
//! #[feign_client("order-service")]
//! pub trait OrderClient {
//!     #[get("/order-service/{user_id}/orders")]
//!     async fn orders(&self, user_id: &str) -> vernal::feign::Result<Vec<String>>;
//! }
//!
//! # async fn start(routes: impl tower::Service<http::Request<vernal::Body>, Response = http::Response<vernal::Body>, Error = std::convert::Infallible, Future: Send> + Clone + Send + 'static) -> Result<(), vernal::Error> {
//! let app = Application::builder().bootstrap().await?; // bootstrap.yml, then the config server
//! let orders: OrderClientFeign = app.feign()?; // by name, balanced, logged
//! let limit: Live<u32> = app.live("orders.limit")?; // follows every refresh
//! # drop((orders, limit));
//! app.serve(routes).await // any tower service, an axum router for example
//! # }
//! ```
//!
//! # Features
//!
//! | feature | default | what it brings |
//! |---|---|---|
//! | `config` | yes | [`config`]: the Config Server's client |
//! | `discovery` | yes | [`discovery`]: the Eureka client |
//! | `feign` | yes | [`feign`] and `#[feign_client]` |
//! | `bus` | yes | [`bus`]: Spring Cloud Bus, in memory |
//! | `amqp` | yes | the bus over RabbitMQ |
//! | `application` | yes | [`Application`]: all of the above in one service |
//! | `actuator` | yes | `/actuator/{health,info,refresh,busrefresh,busenv}` in front of the application |
//! | `rustls` | no | HTTPS |
//! | `amqps` | no | AMQP over TLS |
//!
//! # Limits
//!
//! An application answers HTTP/1.1 without TLS: put a proxy in front of it for anything else. Signals are those of
//! Unix.

#[cfg(feature = "actuator")]
mod actuator;
#[cfg(feature = "application")]
pub mod application;
#[cfg(feature = "application")]
mod error;
#[cfg(feature = "application")]
mod server;

#[cfg(feature = "application")]
pub use application::Application;
#[cfg(feature = "application")]
pub use error::{Error, ErrorKind};
#[cfg(feature = "bus")]
pub use vernal_bus_client as bus;
pub use vernal_commons as commons;
pub use vernal_commons::BoxError;
pub use vernal_commons::http::Body;
#[cfg(feature = "config")]
pub use vernal_config_client as config;
#[cfg(feature = "discovery")]
pub use vernal_discovery_client as discovery;
#[cfg(feature = "feign")]
pub mod feign {
    //! Declarative HTTP clients: what [`vernal_feign`] has, with an attribute that finds its way through this crate.

    #[doc(hidden)]
    pub use vernal_feign::__private;
    #[doc(inline)]
    pub use vernal_feign::feign_client_facade as feign_client;
    pub use vernal_feign::*;
}
#[cfg(feature = "feign")]
#[doc(no_inline)]
pub use feign::feign_client;

pub mod prelude {
    //! What most programs need: `use vernal::prelude::*;`

    #[cfg(feature = "application")]
    pub use crate::Application;
    #[cfg(feature = "config")]
    pub use crate::config::{Live, Settings};
    #[cfg(feature = "feign")]
    pub use crate::feign::{Decoded, ErrorDecoder, ErrorResponse, MethodContext, feign_client};
}
