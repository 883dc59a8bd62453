//! What a caller wants to be answered with.

use http::HeaderMap;
use http::header::ACCEPT;

/// The media types of Spring Boot 3 and 4 (`EndpointMediaTypes.DEFAULT`), the preferred one first.
pub(super) const MEDIA_TYPES: [&str; 3] = [
    "application/vnd.spring-boot.actuator.v3+json",
    "application/vnd.spring-boot.actuator.v2+json",
    "application/json",
];

/// The media ranges of a request, the one that is liked best first. None means that everything is taken.
#[derive(Debug)]
pub(super) struct Accept(Vec<String>);

/// How an error is told (`BasicErrorController` of Spring Boot 4.0.5, seen with each of these ranges).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ErrorForm {
    /// Spring's JSON object, labelled as the caller calls JSON.
    Json(String),
    /// A page for people.
    Page,
    /// The status alone: the caller takes neither.
    Nothing,
}

impl Accept {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let texts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut ranges: Vec<(f32, String)> = texts
            .flat_map(|text| text.split(','))
            .filter(|range| !range.trim().is_empty())
            .map(|range| {
                let mut parameters = range.split(';').map(str::trim);
                let name = parameters.next().unwrap_or_default().to_ascii_lowercase();
                let quality = parameters.find_map(|parameter| parameter.strip_prefix("q=")?.parse().ok());
                // Of two that are liked as much the more exact one counts.
                let vague = if name == "*/*" { 0.000_2 } else { f32::from(u8::from(name.contains('*'))) * 0.000_1 };
                (quality.unwrap_or(1.0) - vague, name)
            })
            .collect();
        ranges.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        Self(ranges.into_iter().map(|(_, name)| name).collect())
    }

    /// The media type of a document that is there in all of [`MEDIA_TYPES`]; none if the caller takes neither. As in
    /// Spring a quality of 0 is the last choice, not a refusal.
    pub(super) fn media_type(&self) -> Option<&'static str> {
        if self.0.is_empty() {
            return MEDIA_TYPES.first().copied();
        }
        self.0.iter().find_map(|range| match range.as_str() {
            "*/*" | "application/*" | "application/*+json" => MEDIA_TYPES.first().copied(),
            name => MEDIA_TYPES.into_iter().find(|known| *known == name),
        })
    }

    pub(super) fn error_form(&self) -> ErrorForm {
        const JSON: &str = "application/json";
        let before_all = self.0.iter().take_while(|range| *range != "*/*");
        if before_all.into_iter().any(|range| matches!(range.as_str(), "text/html" | "text/*")) {
            return ErrorForm::Page;
        }
        let json = |range: &String| match range.as_str() {
            "*/*" | "application/*" | "application/*+json" => Some(JSON.to_owned()),
            name if name == JSON || is_json_dialect(name) => Some(name.to_owned()),
            _ => None,
        };
        match self.0.iter().find_map(json) {
            Some(name) => ErrorForm::Json(name),
            None if self.0.is_empty() => ErrorForm::Json(JSON.to_owned()),
            None => ErrorForm::Nothing,
        }
    }
}

/// Whether this is `application/...+json`.
pub(super) fn is_json_dialect(name: &str) -> bool {
    let subtype = name.strip_prefix("application/").and_then(|subtype| subtype.strip_suffix("+json"));
    subtype.is_some_and(|text| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn accept(text: &'static str) -> Accept {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(text));
        Accept::of(&headers)
    }

    #[test]
    fn the_media_type_is_the_one_that_the_client_likes_best() {
        let [v3, v2, json] = MEDIA_TYPES;
        for (text, expected) in [
            ("*/*", Some(v3)),
            ("application/json", Some(json)),
            ("application/json, text/plain, */*", Some(json)),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Some(v3)),
            ("application/json;q=0.5, application/vnd.spring-boot.actuator.v2+json", Some(v2)),
            ("application/*", Some(v3)),
            ("application/*+json", Some(v3)),
            ("application/json;q=0.5", Some(json)),
            ("application/json;q=0", Some(json)),
            ("", Some(v3)),
            ("text/html", None),
            ("text/*", None),
            ("application/problem+json", None),
            ("nonsense", None),
        ] {
            assert_eq!(accept(text).media_type(), expected, "{text}");
        }
        assert_eq!(Accept::of(&HeaderMap::new()).media_type(), Some(v3));
    }

    /// Each line was asked of Spring Boot 4.0.5.
    #[test]
    fn errors_are_told_as_spring_tells_them() {
        let json = |name: &str| ErrorForm::Json(name.to_owned());
        for (text, expected) in [
            ("", json("application/json")),
            ("*/*", json("application/json")),
            ("application/*", json("application/json")),
            ("application/*+json", json("application/json")),
            ("application/json;q=0", json("application/json")),
            ("application/problem+json", json("application/problem+json")),
            ("application/json;q=0.2, application/x+json", json("application/x+json")),
            ("text/plain, application/json;q=0.1", json("application/json")),
            ("application/xml, */*;q=0.1", json("application/json")),
            ("text/html;q=0.5, */*", json("application/json")),
            ("text/html", ErrorForm::Page),
            ("text/*", ErrorForm::Page),
            ("application/json, text/html", ErrorForm::Page),
            ("text/html;q=0.5, application/json", ErrorForm::Page),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", ErrorForm::Page),
            ("text/plain", ErrorForm::Nothing),
            ("application/xml", ErrorForm::Nothing),
            ("nonsense", ErrorForm::Nothing),
        ] {
            assert_eq!(accept(text).error_form(), expected, "{text}");
        }
    }
}
