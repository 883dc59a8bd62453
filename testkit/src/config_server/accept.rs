//! What a client accepts, and which of the two media types it gets.

/// V1: values only.
pub(super) const JSON: &str = "application/json";
/// A file as it is.
pub(super) const BYTES: &str = "application/octet-stream";
const TEXT: &str = "text/plain";
/// V2: values with their origin.
pub(super) const V2: &str = "application/vnd.spring-cloud.config-server.v2+json";

/// A parsed `Accept` header, best first.
#[derive(Debug, Clone)]
pub(super) struct Accept {
    ranges: Vec<Range>,
}

#[derive(Debug, Clone)]
struct Range {
    kind: String,
    subtype: String,
    charset: Option<String>,
    quality: f32,
}

/// Which of the two is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    V1,
    V2,
}

impl Format {
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::V1 => JSON,
            Self::V2 => V2,
        }
    }
}

impl Accept {
    /// No header and an empty one accept everything.
    pub(super) fn parse(header: Option<&str>) -> Self {
        let mut ranges: Vec<_> = header.unwrap_or_default().split(',').filter_map(Range::parse).collect();
        if ranges.is_empty() {
            ranges.extend(Range::parse("*/*"));
        }
        // By quality, then specific before general, else as written (Spring's `sortBySpecificity`).
        ranges.sort_by(|one, other| {
            other.quality.total_cmp(&one.quality).then_with(|| one.wildcards().cmp(&other.wildcards()))
        });
        Self { ranges }
    }

    /// The format of an environment; `None` means 406. A range that names one of the two decides before a range that
    /// only includes them, and one that includes both means V1.
    ///
    /// With it comes the encoding that the deciding range asks for. A quality of 0 only sorts to the end.
    pub(super) fn format(&self) -> Option<(Format, Option<&str>)> {
        self.ranges.iter().find_map(|range| {
            let format = match (range.includes(JSON), range.includes(V2)) {
                (true, _) => Format::V1,
                (false, true) => Format::V2,
                (false, false) => return None,
            };
            Some((format, range.charset.as_deref()))
        })
    }

    /// The content type of a JSON error: the first JSON type that is accepted. `None` means that the error has no
    /// body.
    pub(super) fn error_type(&self) -> Option<String> {
        self.ranges.iter().find_map(|range| {
            if range.includes(JSON) {
                return Some(JSON.to_owned());
            }
            let json = range.kind == "application" && range.subtype.ends_with("+json");
            match (json, range.subtype.starts_with('*')) {
                (true, false) => Some(format!("application/{}", range.subtype)),
                (true, true) => Some(V2.to_owned()),
                (false, _) => None,
            }
        })
    }

    /// Whether JSON is accepted, by name or by `*/*`.
    pub(super) fn json_or_all(&self) -> bool {
        self.ranges.iter().any(|range| range.includes(JSON))
    }

    /// The media type of a plain-text file: what the first range names, or stands for in Spring MVC.
    pub(super) fn file_type(&self) -> String {
        let named = self.ranges.iter().find_map(|range| match (range.kind.as_str(), range.subtype.as_str()) {
            ("*", _) | ("text", "*") => Some(TEXT.to_owned()),
            ("application", "*") => Some(BYTES.to_owned()),
            ("application", "*+json") => Some(JSON.to_owned()),
            (kind, subtype) => (range.wildcards() == 0).then(|| format!("{kind}/{subtype}")),
        });
        named.unwrap_or_else(|| TEXT.to_owned())
    }

    /// Whether this is a browser, which gets a page.
    pub(super) fn html(&self) -> bool {
        self.ranges.iter().any(|range| range.kind == "text" && range.subtype == "html")
    }

    /// Whether the range that plain text would be chosen for comes before every JSON one.
    pub(super) fn text_only(&self) -> bool {
        self.error_type().is_none()
    }
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let mut range = Self {
            kind: kind.to_ascii_lowercase(),
            subtype: subtype.to_ascii_lowercase(),
            charset: None,
            quality: 1.0,
        };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => range.quality = value.parse().ok()?,
                "charset" => range.charset = Some(value.to_owned()),
                _ => {}
            }
        }
        Some(range)
    }

    fn wildcards(&self) -> u8 {
        u8::from(self.kind == "*") + u8::from(self.subtype.starts_with('*'))
    }

    /// Whether a concrete type falls into this range. `application/*+json` takes types with that suffix only.
    fn includes(&self, media_type: &str) -> bool {
        let Some((kind, subtype)) = media_type.split_once('/') else { return false };
        if self.kind == "*" {
            return true;
        }
        self.kind == kind
            && match self.subtype.strip_prefix('*') {
                Some("") => true,
                Some(suffix) => subtype.ends_with(suffix),
                None => self.subtype == subtype,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v2_must_be_named() {
        for (header, expected) in [
            (None, Some(Format::V1)),
            (Some(""), Some(Format::V1)),
            (Some("*/*"), Some(Format::V1)),
            (Some("application/*"), Some(Format::V1)),
            (Some("application/*+json"), Some(Format::V2)),
            (Some(V2), Some(Format::V2)),
            (Some("application/json;q=0.9, application/vnd.spring-cloud.config-server.v2+json"), Some(Format::V2)),
            (Some("application/json, application/vnd.spring-cloud.config-server.v2+json;q=0.9"), Some(Format::V1)),
            (Some("application/vnd.spring-cloud.config-server.v2+json, */*"), Some(Format::V2)),
            (Some("application/json;q=0, */*"), Some(Format::V1)),
            (Some("text/html, */*;q=0.8"), Some(Format::V1)),
            (Some("application/vnd.spring-cloud.config-server.v1+json"), None),
            (Some("application/json;q=0"), Some(Format::V1)),
            (Some("text/plain"), None),
        ] {
            assert_eq!(Accept::parse(header).format().map(|(format, _)| format), expected, "{header:?}");
        }
    }

    #[test]
    fn the_deciding_range_brings_its_charset() {
        let accept = Accept::parse(Some("text/plain;charset=x, application/json; charset=\"UTF-8\""));
        assert_eq!(accept.format(), Some((Format::V1, Some("UTF-8"))));
    }

    #[test]
    fn a_file_is_what_the_first_range_says() {
        for (accept, expected) in [
            (None, TEXT),
            (Some("text/*"), TEXT),
            (Some("application/*"), BYTES),
            (Some("application/*+json"), JSON),
            (Some("image/png"), "image/png"),
            (Some("text/html,application/xml;q=0.9,*/*;q=0.8"), "text/html"),
            (Some("*/*, application/octet-stream"), BYTES),
        ] {
            assert_eq!(Accept::parse(accept).file_type(), expected, "{accept:?}");
        }
    }

    #[test]
    fn errors_take_the_json_type_that_was_asked_for() {
        let error_type = |header| Accept::parse(Some(header)).error_type();
        assert_eq!(error_type("application/hal+json").as_deref(), Some("application/hal+json"));
        assert_eq!(error_type("*/*").as_deref(), Some(JSON));
        assert_eq!(error_type("text/plain"), None);
    }
}
