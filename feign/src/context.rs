//! What the clients of one application share.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use vernal_commons::balance::Balance;
use vernal_commons::discover::Discover;
use vernal_commons::http::SharedTransport;
use vernal_commons::property::PropertyResolver;

use crate::decoder::ErrorDecoder;
use crate::error::{Error, Result};
use crate::interceptor::Interceptor;
use crate::level::LogLevel;

/// What a [`Feign`](crate::Feign) holds.
pub(crate) struct Context {
    pub(crate) settings: Option<Arc<dyn PropertyResolver>>,
    pub(crate) discover: Option<Arc<dyn Discover>>,
    pub(crate) balance: Arc<dyn Balance>,
    pub(crate) error_decoder: Option<Arc<dyn ErrorDecoder>>,
    pub(crate) interceptors: Vec<Arc<dyn Interceptor>>,
    /// The application's layers, if there are any.
    pub(crate) stack: Option<SharedTransport>,
    pub(crate) level: Option<LogLevel>,
    pub(crate) transports: Transports,
    pub(crate) context_ids: Mutex<BTreeSet<String>>,
}

/// For connecting, and for each pause of a response.
#[cfg(feature = "reqwest")]
type Limits = (Duration, Option<Duration>);

pub(crate) enum Transports {
    Given(SharedTransport),
    /// Transports of our own, by their time limits.
    #[cfg(feature = "reqwest")]
    Own(Mutex<Vec<(Limits, SharedTransport)>>),
}

/// So many transports of our own are kept; a program has a handful of different time limits.
#[cfg(feature = "reqwest")]
const MAX_TRANSPORTS: usize = 32;

/// Our own timer fires first; the transport's is there for responses that the caller reads himself.
#[cfg(feature = "reqwest")]
const GRACE: Duration = Duration::from_secs(5);

/// In the place of "no limit": what a `tokio` timer takes.
#[cfg(feature = "reqwest")]
const UNLIMITED: Duration = Duration::from_secs(365 * 24 * 3600);

impl Context {
    /// A transport with these time limits; a given one has its own.
    pub(crate) fn transport(&self, connect: Duration, read: Option<Duration>) -> Result<SharedTransport> {
        self.transports.get(connect, read)
    }

    /// Two clients with one context id share their settings, which is seldom meant.
    pub(crate) fn register(&self, context_id: &str) {
        let mut known = self.context_ids.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.insert(context_id.to_owned()) {
            tracing::warn!(target: "vernal_feign", context_id, "a client of this context id was built before");
        }
    }
}

impl Transports {
    #[cfg(feature = "reqwest")]
    #[expect(clippy::unnecessary_wraps, reason = "without the feature it can fail")]
    pub(crate) fn new(given: Option<SharedTransport>) -> Result<Self> {
        Ok(given.map_or_else(|| Self::Own(Mutex::default()), Self::Given))
    }

    #[cfg(not(feature = "reqwest"))]
    pub(crate) fn new(given: Option<SharedTransport>) -> Result<Self> {
        given.map(Self::Given).ok_or_else(|| {
            Error::config("no transport was given, and `vernal-feign` was built without its feature `reqwest`")
        })
    }

    fn get(&self, connect: Duration, read: Option<Duration>) -> Result<SharedTransport> {
        match self {
            Self::Given(transport) => {
                // It has its own limit for connecting; pauses are limited above it.
                let _ = (connect, read);
                Ok(transport.clone())
            }
            #[cfg(feature = "reqwest")]
            Self::Own(known) => {
                use vernal_commons::http::{ReqwestTransport, TransportOptions};
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((_, transport)) = known.iter().find(|(limits, _)| *limits == (connect, read)) {
                    return Ok(transport.clone());
                }
                let mut options = TransportOptions::default();
                options.connect_timeout = if connect.is_zero() { UNLIMITED } else { connect };
                options.read_timeout = read.map_or(UNLIMITED, |read| read.saturating_add(GRACE).min(UNLIMITED));
                let transport = ReqwestTransport::with_options(&options)
                    .map_err(|error| Error::config("the default transport could not be made").because(error))?;
                let transport = SharedTransport::new(transport);
                if known.len() >= MAX_TRANSPORTS {
                    known.remove(0);
                }
                known.push(((connect, read), transport.clone()));
                Ok(transport)
            }
        }
    }
}
