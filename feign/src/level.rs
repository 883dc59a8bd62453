//! How much of a call is logged.

/// How much is logged (Feign's `Logger.Level`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum LogLevel {
    /// Nothing.
    #[default]
    None,
    /// Verb, URL, status, time.
    Basic,
    /// Headers as well.
    Headers,
    /// Bodies as well. Responses are read into memory, except those that the caller reads himself.
    Full,
}

impl LogLevel {
    /// Reads the name of a level, in any case.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_uppercase().as_str() {
            "NONE" => Some(Self::None),
            "BASIC" => Some(Self::Basic),
            "HEADERS" => Some(Self::Headers),
            "FULL" => Some(Self::Full),
            _ => None,
        }
    }
}
