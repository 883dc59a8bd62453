//! What a client's trait says, as plain data: built by generated code, or at run time.

use std::fmt;
use std::sync::Arc;

use http::Method;

use crate::decoder::ErrorDecoder;

/// A client: its service, its place in the settings, its methods.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientMeta {
    /// The trait's name: the prefix of log lines and of method keys.
    pub trait_name: String,
    /// The service's name; may hold `${..}` placeholders and an `http://` or `https://` prefix.
    pub name: String,
    /// The key of the client's settings (`spring.cloud.openfeign.client.config.<context id>`); the name if `None`.
    pub context_id: Option<String>,
    /// A fixed URL: no look-up, no balancing. May hold placeholders.
    pub url: Option<String>,
    /// Goes before the path of every method. May hold placeholders.
    pub path: String,
    /// Header templates `Name: value` of every method.
    pub headers: Vec<String>,
    /// Whether a 404 is an empty result; `None` leaves it to the settings.
    pub dismiss_404: Option<bool>,
    /// How lists are written into the query unless a method or parameter says otherwise.
    pub collection_format: CollectionFormat,
    /// Where log lines go.
    pub log: LogSink,
    /// Asked before the decoder of the [`Feign`](crate::Feign) context.
    pub error_decoder: Option<Arc<dyn ErrorDecoder>>,
    /// The methods; generated code calls them by position.
    pub methods: Vec<MethodMeta>,
}

/// A method of a client.
#[derive(Clone)]
#[non_exhaustive]
pub struct MethodMeta {
    /// Camel case, as Java would name it: used in log lines, keys and settings.
    pub name: String,
    /// The HTTP verb.
    pub verb: Method,
    /// The path template, perhaps with a literal query.
    pub path: String,
    /// `Content-Type` of the request; only the first counts, as in Java.
    pub consumes: Vec<String>,
    /// `Accept` of the request, one header line each.
    pub produces: Vec<String>,
    /// Header templates `Name: value`.
    pub headers: Vec<String>,
    /// Fixed query pairs `name=value` or `name`; negated ones (`!name`, `name!=value`) are not sent.
    pub params: Vec<String>,
    /// How lists are written into the query; `None` leaves it to the client.
    pub collection_format: Option<CollectionFormat>,
    /// Whether a 404 is an empty result; `None` leaves it to the client.
    pub dismiss_404: Option<bool>,
    /// Asked before the decoder of the client.
    pub error_decoder: Option<Arc<dyn ErrorDecoder>>,
    /// The parameters in order of declaration; generated code passes arguments by position.
    pub parameters: Vec<ParamMeta>,
}

/// A parameter of a method.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ParamMeta {
    /// The parameter's identifier, without `r#`.
    pub name: String,
    /// The simple name of the type in the method key, as Java would print it: `String`, `Long`, `List`, ...
    pub type_name: String,
    /// Where the argument goes.
    pub place: ParamIn,
}

/// Where an argument goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParamIn {
    /// Fills `{name}` of the path (and of header templates).
    Path {
        /// The placeholder.
        name: String,
        /// Percent-encoded triplets of the argument are kept (Feign's rule for values that look encoded).
        encoded: bool,
        /// `/` is kept, each segment is encoded on its own.
        rest: bool,
        /// An empty or absent argument is allowed.
        allow_empty: bool,
    },
    /// Query pairs.
    Query {
        /// The pairs' name.
        name: String,
        /// How a list is written; `None` leaves it to the method.
        format: Option<CollectionFormat>,
        /// Percent-encoded triplets of the argument are kept.
        encoded: bool,
        /// A `bool` that sends the bare name, or nothing.
        flag: bool,
    },
    /// A struct, map or list of pairs that becomes query pairs.
    QueryMap,
    /// A header.
    Header {
        /// The header's name.
        name: String,
    },
    /// A map that becomes headers.
    HeaderMap,
    /// Fills `{name}` of header templates only.
    Template {
        /// The placeholder.
        name: String,
    },
    /// The request's body; its kind follows from the argument's type.
    Body,
    /// An absolute URI for this call.
    Uri,
    /// A [`CallOptions`](crate::CallOptions).
    Options,
}

/// How a list becomes query pairs (Feign's `CollectionFormat`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CollectionFormat {
    /// `a=1&a=2`
    #[default]
    Exploded,
    /// `a=1%2C2`
    Csv,
    /// `a=1%202`
    Ssv,
    /// `a=1%092`
    Tsv,
    /// `a=1%7C2`
    Pipes,
    /// `a%5B0%5D=1&a%5B1%5D=2`, which Spring's data binder reads. Not in Feign.
    Indexed,
}

/// Where the log lines of a client go: one `tracing` callsite per trait, since a callsite's target is fixed.
#[derive(Clone, Copy)]
pub struct LogSink {
    target: &'static str,
    enabled: fn() -> bool,
    emit: fn(&dyn fmt::Display),
}

// ===== impl ClientMeta =====

impl ClientMeta {
    /// A client `trait_name` of the service `name`, without methods.
    #[must_use]
    pub fn new(trait_name: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            trait_name: trait_name.into(),
            name: name.into(),
            context_id: None,
            url: None,
            path: String::new(),
            headers: Vec::new(),
            dismiss_404: None,
            collection_format: CollectionFormat::default(),
            log: LogSink::default(),
            error_decoder: None,
            methods: Vec::new(),
        }
    }

    /// Sets [`context_id`](Self::context_id).
    #[must_use]
    pub fn with_context_id(mut self, context_id: impl Into<String>) -> Self {
        self.context_id = Some(context_id.into());
        self
    }

    /// Sets [`url`](Self::url).
    #[must_use]
    pub fn with_url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Sets [`path`](Self::path).
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Adds a header template `Name: value`.
    #[must_use]
    pub fn with_header(mut self, header: impl Into<String>) -> Self {
        self.headers.push(header.into());
        self
    }

    /// Sets [`dismiss_404`](Self::dismiss_404).
    #[must_use]
    pub fn with_dismiss_404(mut self, dismiss: bool) -> Self {
        self.dismiss_404 = Some(dismiss);
        self
    }

    /// Sets [`collection_format`](Self::collection_format).
    #[must_use]
    pub fn with_collection_format(mut self, format: CollectionFormat) -> Self {
        self.collection_format = format;
        self
    }

    /// Sets [`log`](Self::log).
    #[must_use]
    pub fn with_log(mut self, log: LogSink) -> Self {
        self.log = log;
        self
    }

    /// Sets [`error_decoder`](Self::error_decoder).
    #[must_use]
    pub fn with_error_decoder(mut self, decoder: impl ErrorDecoder) -> Self {
        self.error_decoder = Some(Arc::new(decoder));
        self
    }

    /// Adds a method.
    #[must_use]
    pub fn with_method(mut self, method: MethodMeta) -> Self {
        self.methods.push(method);
        self
    }
}

/// Decoders need not be `Debug`.
impl fmt::Debug for ClientMeta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientMeta")
            .field("trait_name", &self.trait_name)
            .field("name", &self.name)
            .field("context_id", &self.context_id)
            .field("path", &self.path)
            .field("methods", &self.methods)
            .finish_non_exhaustive()
    }
}

// ===== impl MethodMeta =====

impl MethodMeta {
    /// A method `name` (camel case) that sends `verb` to `path`, without parameters.
    #[must_use]
    pub fn new(name: impl Into<String>, verb: Method, path: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            verb,
            path: path.into(),
            consumes: Vec::new(),
            produces: Vec::new(),
            headers: Vec::new(),
            params: Vec::new(),
            collection_format: None,
            dismiss_404: None,
            error_decoder: None,
            parameters: Vec::new(),
        }
    }

    /// Adds to [`consumes`](Self::consumes).
    #[must_use]
    pub fn with_consumes(mut self, media_type: impl Into<String>) -> Self {
        self.consumes.push(media_type.into());
        self
    }

    /// Adds to [`produces`](Self::produces).
    #[must_use]
    pub fn with_produces(mut self, media_type: impl Into<String>) -> Self {
        self.produces.push(media_type.into());
        self
    }

    /// Adds a header template `Name: value`.
    #[must_use]
    pub fn with_header(mut self, header: impl Into<String>) -> Self {
        self.headers.push(header.into());
        self
    }

    /// Adds to [`params`](Self::params).
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.params.push(param.into());
        self
    }

    /// Sets [`collection_format`](Self::collection_format).
    #[must_use]
    pub fn with_collection_format(mut self, format: CollectionFormat) -> Self {
        self.collection_format = Some(format);
        self
    }

    /// Sets [`dismiss_404`](Self::dismiss_404).
    #[must_use]
    pub fn with_dismiss_404(mut self, dismiss: bool) -> Self {
        self.dismiss_404 = Some(dismiss);
        self
    }

    /// Sets [`error_decoder`](Self::error_decoder).
    #[must_use]
    pub fn with_error_decoder(mut self, decoder: impl ErrorDecoder) -> Self {
        self.error_decoder = Some(Arc::new(decoder));
        self
    }

    /// Adds a parameter.
    #[must_use]
    pub fn with_parameter(mut self, parameter: ParamMeta) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// Feign's config key of the method in `trait_name`: `OrderClient#getOrder(Long,String)`.
    #[must_use]
    pub fn key(&self, trait_name: &str) -> String {
        let types: Vec<_> = self.parameters.iter().map(|parameter| parameter.type_name.as_str()).collect();
        format!("{trait_name}#{}({})", self.name, types.join(","))
    }
}

impl fmt::Debug for MethodMeta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MethodMeta")
            .field("name", &self.name)
            .field("verb", &self.verb)
            .field("path", &self.path)
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}

// ===== impl ParamMeta =====

impl ParamMeta {
    /// A parameter.
    #[must_use]
    pub fn new(name: impl Into<String>, type_name: impl Into<String>, place: ParamIn) -> Self {
        Self { name: name.into(), type_name: type_name.into(), place }
    }
}

impl ParamIn {
    /// A path value without options.
    #[must_use]
    pub fn path(name: impl Into<String>) -> Self {
        Self::Path { name: name.into(), encoded: false, rest: false, allow_empty: false }
    }

    /// A query value without options.
    #[must_use]
    pub fn query(name: impl Into<String>) -> Self {
        Self::Query { name: name.into(), format: None, encoded: false, flag: false }
    }

    /// A header.
    #[must_use]
    pub fn header(name: impl Into<String>) -> Self {
        Self::Header { name: name.into() }
    }
}

// ===== impl LogSink =====

impl LogSink {
    /// A sink with this target. Use `log_sink!`, which makes the callsites.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(target: &'static str, enabled: fn() -> bool, emit: fn(&dyn fmt::Display)) -> Self {
        Self { target, enabled, emit }
    }

    /// The target of the events.
    #[must_use]
    pub const fn target(&self) -> &'static str {
        self.target
    }

    pub(crate) fn is_enabled(&self) -> bool {
        (self.enabled)()
    }

    pub(crate) fn line(&self, text: &dyn fmt::Display) {
        (self.emit)(text);
    }
}

/// The target `vernal_feign`, for clients that are described at run time.
impl Default for LogSink {
    fn default() -> Self {
        Self::new(
            "vernal_feign",
            || tracing::enabled!(target: "vernal_feign", tracing::Level::DEBUG),
            |text| tracing::debug!(target: "vernal_feign", "{text}"),
        )
    }
}

impl fmt::Debug for LogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogSink({})", self.target)
    }
}

/// Makes a [`LogSink`] whose target is the current module and `name`, as Java names a logger after the interface.
#[doc(hidden)]
#[macro_export]
macro_rules! __feign_log_sink {
    ($name:literal) => {
        $crate::__private::LogSink::new(
            ::core::concat!(::core::module_path!(), "::", $name),
            || {
                $crate::__private::tracing::enabled!(
                    target: ::core::concat!(::core::module_path!(), "::", $name),
                    $crate::__private::tracing::Level::DEBUG
                )
            },
            |text| {
                $crate::__private::tracing::event!(
                    target: ::core::concat!(::core::module_path!(), "::", $name),
                    $crate::__private::tracing::Level::DEBUG,
                    "{}",
                    text
                )
            },
        )
    };
}
