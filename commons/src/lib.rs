//! Vocabulary shared by the vernal crates.
//!
//! A thing lives here only when two client crates use it. Nothing here does I/O, except [`http`] with the
//! feature `reqwest`.
//!
//! | module | noun |
//! |---|---|
//! | [`instance`] | [`ServiceInstance`](instance::ServiceInstance): where one copy of a service listens |
//! | [`discover`] | [`Discover`](discover::Discover): service name to a snapshot of instances |
//! | [`balance`] | [`Balance`](balance::Balance): snapshot to one instance |
//! | [`http`] | [`Transport`](http::Transport): the one seam through which all HTTP goes |
//! | [`endpoints`] | [`Endpoints`](endpoints::Endpoints): a list of base URLs with fail-over |
//! | [`property`] | [`PropertyResolver`](property::PropertyResolver): look-up of settings by name |
//! | [`backoff`] | [`Backoff`](backoff::Backoff): growing, jittered delays |
//! | [`secret`] | [`Secret`](secret::Secret): text that cannot be printed |
//! | [`task`] | [`Task`](task::Task): a spawned task with an owner |
//! | [`chain`] | [`Chain`](chain::Chain): an error with its causes in one line |
//! | [`clock`] | [`now_millis`](clock::now_millis): the only reader of the wall clock |
//!
//! # Features
//!
//! | feature | default | brings |
//! |---|---|---|
//! | `reqwest` | no | the default transport, [`http::ReqwestTransport`] |
//! | `rustls` | no | TLS for the default transport |

pub mod backoff;
pub mod balance;
pub mod chain;
pub mod clock;
pub mod discover;
pub mod endpoints;
pub mod http;
pub mod instance;
pub mod property;
pub mod random;
pub mod secret;
pub mod task;

/// A boxed error that may cross threads.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A boxed future that may cross threads.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
