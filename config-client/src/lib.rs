//! The settings of a service: local files, environment, command line and a Spring Cloud Config Server, as a Spring
//! client sees them, and live when they change.
//!
//! ```
//! use serde::Deserialize;
//! use vernal_config_client::{Live, Settings};
//!
//! #[derive(Deserialize)]
//! struct Greeting {
//!     message: String,
//! }
//!
//! // In a program: `Bootstrap::builder().args(std::env::args().skip(1)).load().await?`
//! let settings = Settings::fixed([("name", "Ada"), ("greeting.message", "Hello ${name:you}")]);
//!
//! let greeting: Live<Greeting> = settings.live("greeting")?;
//! assert_eq!(greeting.get().message, "Hello Ada");
//!
//! settings.set_overrides([("name", "Grace")])?;
//! assert_eq!(greeting.get().message, "Hello Grace");
//! # Ok::<(), vernal_config_client::Error>(())
//! ```
//!
//! # What is read
//!
//! Highest first: values of the program ([`BootstrapBuilder::property`]), command line, `SPRING_APPLICATION_JSON`,
//! environment variables, `random.*`, files and config servers, defaults of the program
//! ([`BootstrapBuilder::default_property`]).
//!
//! - **`bootstrap.yml`** (or `.properties`, and `bootstrap-<profile>.*`): if it is there and a
//!   `spring.cloud.config.uri` is set, the server is asked, and its settings rank above everything but the program's,
//!   unless the remote settings themselves say otherwise (`spring.cloud.config.allow-override`, `override-none`,
//!   `override-system-properties`), as with Spring's bootstrap context. A server that does not answer is
//!   survived, unless `fail-fast` is set.
//! - **`spring.config.import: configserver:`** (`optional:configserver:http://host:8888?fail-fast=true`): remote
//!   sources of profiles, then local files of profiles, then other remote sources, then `application.yml`. Imported
//!   from the environment or command line, a server ranks above all files. Without `optional:` it must answer.
//! - Without either no server is asked.
//!
//! `application.*`, `application-<profile>.*` (`.properties`, `.yml`, `.yaml`), documents with
//! `spring.config.activate.on-profile`, profile groups and imported files work as in Spring Boot.
//! All `spring.cloud.config.*` settings of the client are honoured but those of discovery, TLS stores and the watch.
//!
//! # Reading
//!
//! [`Settings::get`] and [`Settings::bind`] find names by Spring's relaxed rules and resolve `${name:default}`.
//! [`Settings::live`] gives a view that follows [`Settings::refresh`], and [`Settings::snapshot`] several values of
//! one state. Errors name the property and where its value came from; [`Settings::explain`] shows who else has it.
//! Decrypted values and those whose names look like secrets are never shown.
//!
//! # Features
//!
//! | feature | default | brings |
//! |---|---|---|
//! | `client` | yes | all of the above |
//! | `source` | with `client` | property sources alone: YAML 1.1, `.properties`, environment |
//! | `cipher` | with `client` | `{cipher}` values alone |
//! | `rustls` | no | `https://` config servers |
//!
//! # Deviations from Spring
//!
//! | tag | what |
//! |---|---|
//! | 1.1 | an answer is read by its shape; Java refuses JSON without a JSON content type |
//! | 1.2 | `{"origin": ..}` without a value is `null`; Java cannot convert it |
//! | 1.3 | the labels `.` and `..` are refused here, since they would change the path |
//! | 2.1 | nothing fails when neither `bootstrap.yml` nor an import names a server |
//! | 2.1-labels | the elements of a label list that is sent whole are trimmed |
//! | 2.4 | `"source": null` counts as empty; a failed request is not repeated on the same URI, an optional server is asked once and not three times |
//! | 2.7 | remote `spring.profiles.active` counts only when nothing local sets it |
//! | 3.6 | `encrypt.fail-on-error=false` works without a key, too |
//! | 4.1 | doubles print in the shortest form, as JDK 19 prints them |
//! | 4.6 | untyped values (`serde_json::Value`) get lists, from one source, where Java merges maps with numbers as keys |
//! | 4.7 | JSON numbers 0 and 1 are booleans, too; `std::time::Duration` has no negative values |
//! | 5.7 | a refresh without a server that must answer is an error, where Java reports no change; `config.client.version` is not listed as changed |
//! | D-1 | `Accept` also offers plain JSON |
//! | D-2 | `/` becomes `(_)` in names, too |
//! | D-3 | `spring.cloud.config.enabled=false` skips a mandatory import silently |
//! | D-5 | only credentials of the URL are percent-decoded, and `+` stays |
//! | D-6 | the error of a load is that of its most severe attempt; an unreadable answer fails over |
//! | D-7 | retries are separate from fail-fast (`retry.enabled`), not after 400, 401, 403; `Retry-After` is honoured |
//! | D-9 | one request when profiles are known |
//! | D-10 | a remote source is one of a profile by the name of its file |
//! | D-11, D-12, D-13, D-22 | see [`cipher`] |
//! | D-14 | `invalid.*` markers of the server are warnings, and errors where the value is needed |
//! | D-15 | an undecryptable value is absent, not empty, with `encrypt.fail-on-error=false` |
//! | D-16 | `{key:..}` and `{secret:..}` in front of a cipher text are understood; Java's client fails on them |
//! | D-17 | an unresolved placeholder is an error when binding |
//! | D-18 | names are always compared by the relaxed rules |
//! | D-19 | `random.*` stays the same for one property while the settings live |
//! | D-21 | what is gone from the server is gone after a refresh; changes are those of resolved values |
//! | D-23 | credentials never go to another origin; names of headers are compared without case |
//! | D-25, D-26 | remote `spring.profiles.active` and `include` may be repeated; one answer ranks as the server sent it |
//!
//! # Limits
//!
//! Answers of servers and files are read up to 16 MiB, with a time limit (30 s unless
//! `spring.cloud.config.request-read-timeout` is set). Not built: RSA keys and key stores, discovery-first, OAuth2,
//! `configtree:` imports, polling, a cache on disk. An empty text
//! counts as missing where a number or boolean is wanted, but an `Option` of one is not `None` then.
//! `#[serde(flatten)]` and `deny_unknown_fields` see only keys in the spelling of the source.

#[cfg(feature = "cipher")]
pub mod cipher;
#[cfg(feature = "source")]
pub mod source;
#[cfg(feature = "source")]
pub mod value;

#[cfg(feature = "client")]
mod bind;
#[cfg(feature = "client")]
mod bootstrap;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod data_size;
#[cfg(feature = "client")]
mod diff;
#[cfg(feature = "client")]
pub mod duration;
#[cfg(feature = "client")]
mod environment;
#[cfg(feature = "client")]
mod error;
#[cfg(feature = "client")]
mod explain;
#[cfg(feature = "client")]
mod layers;
#[cfg(feature = "client")]
mod live;
#[cfg(feature = "client")]
mod name;
#[cfg(feature = "client")]
mod period;
#[cfg(feature = "client")]
mod placeholder;
#[cfg(feature = "client")]
mod random_value;
#[cfg(feature = "client")]
mod refresh;
#[cfg(feature = "client")]
mod request;
#[cfg(feature = "client")]
mod settings;
#[cfg(feature = "client")]
mod state;

#[cfg(feature = "client")]
pub use bootstrap::{Bootstrap, BootstrapBuilder};
#[cfg(feature = "client")]
pub use data_size::{DataSize, InvalidDataSize};
#[cfg(feature = "client")]
pub use error::{Attempt, Cause, DecryptFailure, Error, ServerError, ServerErrorKind};
#[cfg(feature = "client")]
pub use explain::{Candidate, Explanation};
#[cfg(feature = "client")]
pub use live::Live;
#[cfg(feature = "client")]
pub use period::{InvalidPeriod, Period};
#[cfg(feature = "client")]
pub use refresh::{RefreshReport, RefreshStatus};
#[cfg(feature = "client")]
pub use settings::{Changes, Settings, Snapshot};
