//! What a request's `Accept` header admits, as Jersey and Spring Boot read it.

/// A parsed `Accept` header; best first.
#[derive(Debug, Clone, Default)]
pub(super) struct Accept {
    /// As written; `None` if there was no header.
    raw: Option<String>,
    ranges: Vec<Range>,
}

#[derive(Debug, Clone)]
struct Range {
    /// With its parameters, without `q`.
    text: String,
    essence: String,
    quality: f32,
}

impl Accept {
    pub(super) fn parse(header: Option<String>) -> Self {
        let mut ranges: Vec<_> = header.iter().flat_map(|raw| raw.split(',')).filter_map(Range::parse).collect();
        ranges.sort_by(|a, b| b.quality.total_cmp(&a.quality));
        Self { raw: header, ranges }
    }

    /// Whether Eureka's resources can answer at all: they offer JSON and XML.
    pub(super) fn admits(&self) -> bool {
        self.raw.is_none() || self.offered().next().is_some()
    }

    /// Whether JSON is among what is admitted, or `json` is written anywhere: Eureka's own test.
    pub(super) fn admits_json(&self) -> bool {
        self.says_json() || self.raw.is_none() || self.offered().any(|range| range.essence != XML)
    }

    /// The type that an answer of Eureka carries: the first admitted one, as it was written; XML where all is admitted.
    pub(super) fn label(&self) -> String {
        self.offered()
            .find(|range| !range.essence.contains('*'))
            .map_or_else(|| XML.to_owned(), |range| range.text.clone())
    }

    /// The type of a JSON document: the label if JSON was asked for, since even a wrong label is repeated then.
    pub(super) fn document_label(&self) -> String {
        if self.says_json() { self.label() } else { JSON.to_owned() }
    }

    /// The best range of the header, which decides about the form of an error.
    pub(super) fn best(&self) -> Option<&str> {
        self.ranges.first().map(|range| range.text.as_str())
    }

    fn says_json(&self) -> bool {
        self.raw.as_deref().is_some_and(|raw| raw.contains("json"))
    }

    fn offered(&self) -> impl Iterator<Item = &Range> {
        self.ranges
            .iter()
            .filter(|range| range.quality > 0.0)
            .filter(|range| matches!(range.essence.as_str(), "*/*" | "application/*" | JSON | XML))
    }
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next().filter(|essence| essence.contains('/'))?;
        let mut range = Self { text: essence.to_owned(), essence: essence.to_ascii_lowercase(), quality: 1.0 };
        for part in parts {
            match part.split_once('=') {
                Some((name, value)) if name.trim().eq_ignore_ascii_case("q") => {
                    range.quality = value.trim().parse().unwrap_or(0.0);
                }
                _ => {
                    range.text.push(';');
                    range.text.push_str(part);
                }
            }
        }
        Some(range)
    }
}

pub(super) const JSON: &str = "application/json";
pub(super) const XML: &str = "application/xml";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_admission_are_those_of_the_recordings() {
        // Header; admits anything; label of Eureka's answer.
        for (header, admits, label) in [
            ("application/json", true, "application/json"),
            ("application/json;charset=UTF-8", true, "application/json;charset=UTF-8"),
            ("application/json, application/xml", true, "application/json"),
            ("application/xml, application/json", true, "application/xml"),
            ("text/html, application/json;q=0.1", true, "application/json"),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true, "application/xml"),
            ("*/*", true, "application/xml"),
            ("text/html", false, "application/xml"),
            ("text/xml", false, "application/xml"),
            ("application/vnd.netflix.eureka+json", false, "application/xml"),
            ("application/json;q=0", false, "application/xml"),
        ] {
            let accept = Accept::parse(Some(header.to_owned()));
            assert_eq!((accept.admits(), accept.label().as_str()), (admits, label), "{header}");
        }
        assert!(Accept::parse(None).admits() && Accept::parse(None).admits_json());
        assert!(!Accept::parse(Some("application/xml".to_owned())).admits_json());
    }
}
