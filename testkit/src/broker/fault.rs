//! Why a channel or a connection is closed, with the reply codes of AMQP 0-9-1.

/// A reply code, its text, and whether it costs the connection or only the channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: u16,
    pub(super) text: String,
    pub(super) hard: bool,
}

pub(super) const CONNECTION_FORCED: u16 = 320;
pub(super) const ACCESS_REFUSED: u16 = 403;
pub(super) const NOT_FOUND: u16 = 404;
pub(super) const RESOURCE_LOCKED: u16 = 405;
pub(super) const PRECONDITION_FAILED: u16 = 406;
pub(super) const FRAME_ERROR: u16 = 501;
pub(super) const SYNTAX_ERROR: u16 = 502;
pub(super) const COMMAND_INVALID: u16 = 503;
pub(super) const CHANNEL_ERROR: u16 = 504;
pub(super) const UNEXPECTED_FRAME: u16 = 505;
pub(super) const RESOURCE_ERROR: u16 = 506;
pub(super) const NOT_ALLOWED: u16 = 530;
pub(super) const NOT_IMPLEMENTED: u16 = 540;

impl Fault {
    /// Closes the channel.
    pub(super) fn soft(code: u16, text: impl AsRef<str>) -> Self {
        Self { code, text: reply_text(code, text.as_ref()), hard: false }
    }

    /// Closes the connection.
    pub(super) fn hard(code: u16, text: impl AsRef<str>) -> Self {
        Self { code, text: reply_text(code, text.as_ref()), hard: true }
    }

    pub(super) fn no_exchange(name: &str) -> Self {
        Self::soft(NOT_FOUND, format!("no exchange '{name}' in vhost '/'"))
    }

    pub(super) fn no_queue(name: &str) -> Self {
        Self::soft(NOT_FOUND, format!("no queue '{name}' in vhost '/'"))
    }

    pub(super) fn locked(queue: &str) -> Self {
        Self::soft(
            RESOURCE_LOCKED,
            format!(
                "cannot obtain exclusive access to locked queue '{queue}' in vhost '/'. It could be originally \
                 declared on another connection or the exclusive property value does not match that of the original \
                 declaration."
            ),
        )
    }

    pub(super) fn inequivalent(argument: &str, what: &str, name: &str, received: &str, current: &str) -> Self {
        Self::soft(
            PRECONDITION_FAILED,
            format!(
                "inequivalent arg '{argument}' for {what} '{name}' in vhost '/': received '{received}' but current \
                 is '{current}'"
            ),
        )
    }
}

/// `NOT_FOUND - no queue ..`: RabbitMQ puts the name of the code before the explanation.
pub(super) fn reply_text(code: u16, text: &str) -> String {
    let name = match code {
        CONNECTION_FORCED => "CONNECTION_FORCED",
        312 => return "NO_ROUTE".to_owned(),
        ACCESS_REFUSED => "ACCESS_REFUSED",
        NOT_FOUND => "NOT_FOUND",
        RESOURCE_LOCKED => "RESOURCE_LOCKED",
        PRECONDITION_FAILED => "PRECONDITION_FAILED",
        FRAME_ERROR => "FRAME_ERROR",
        SYNTAX_ERROR => "SYNTAX_ERROR",
        COMMAND_INVALID => "COMMAND_INVALID",
        CHANNEL_ERROR => "CHANNEL_ERROR",
        UNEXPECTED_FRAME => "UNEXPECTED_FRAME",
        RESOURCE_ERROR => "RESOURCE_ERROR",
        NOT_ALLOWED => "NOT_ALLOWED",
        NOT_IMPLEMENTED => "NOT_IMPLEMENTED",
        _ => "INTERNAL_ERROR",
    };
    shortened(format!("{name} - {text}"))
}

/// RabbitMQ ends a text that does not fit into 255 bytes with three dots.
fn shortened(mut text: String) -> String {
    if text.len() > 255 {
        let mut end = 252;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_texts_fit_into_a_short_string() {
        assert_eq!(Fault::no_exchange("DLX").text, "NOT_FOUND - no exchange 'DLX' in vhost '/'");
        let long = Fault::locked(&"ä".repeat(100)).text;
        assert!(long.len() <= 255 && long.ends_with("..."), "{long}");
    }
}
