//! What ours does differently on purpose, and what is not built: decided by the input of a case, never by its name.

use serde_json::Value;

use crate::case::{Case, components};
use crate::value::{plain, text};

type Applies = fn(&Case) -> bool;

/// What will build the rest. A case that one of these is true for is counted as not built.
pub(crate) const NOT_BUILT: &[(&str, Applies)] = &[
    ("forms", |case| places(case).any(|place| place == "form") || consumes(case, "application/x-www-form-urlencoded")),
    ("multipart", |case| places(case).any(|place| place == "part") || consumes(case, "multipart/")),
    ("matrix variables", |case| places(case).any(|place| place == "matrix")),
    ("cookies", |case| places(case).any(|place| place == "cookie")),
    ("pageables", |case| {
        places(case).any(|place| place.starts_with("pageable"))
            || case.arguments.iter().any(|argument| argument.get("$pageable").is_some())
            || case.method.returns.contains("Page<")
    }),
    ("typed responses with status and headers", |case| {
        case.method.returns.contains("ResponseEntity") || case.method.returns == "HttpHeaders"
    }),
    ("compression", |case| config(case, "compression.") || answers(case, |name, _| name == "content-encoding")),
    ("redirects", |case| {
        let redirects = case.canned_responses.iter().any(|answer| {
            let status = answer.line.split(' ').nth(1).unwrap_or_default();
            matches!(status, "301" | "302" | "303" | "307" | "308")
                && answer.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("location"))
        });
        redirects && !case.config.iter().any(|(name, value)| name.contains("followRedirects") && text(value) == "false")
    }),
    ("retries", |case| {
        config(case, "retry")
            || components(case)
                .iter()
                .any(|name| ["Default5", "Fast3", "RetryOn503", "FreshInterceptor"].contains(name))
    }),
    ("forwarded headers and hints", |case| config(case, "x-forwarded") || config(case, "loadbalancer.hint")),
    ("TLS, which the default build leaves out", |case| {
        case.config.iter().any(|(name, value)| name.contains("simple.instances") && text(value).starts_with("https"))
    }),
    ("interceptors named in settings", |case| config(case, "requestInterceptors")),
    ("circuit breaker and fallback", |case| {
        config(case, "circuitbreaker")
            || config(case, "resilience4j")
            || components(case).contains(&"Fallbacks")
            || case.client.fallback.is_some()
            || case.client.fallback_factory.is_some()
    }),
];

/// What a deliberate deviation gives instead of the recorded value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ours {
    /// Building the client fails (the macro refuses the trait already): nothing is sent.
    Refused,
    /// No Rust argument says this; `tests/ui` has the refusals of the macro.
    NotExpressible,
    /// The call fails with this kind before anything is sent.
    Fails(vernal_feign::ErrorKind),
    /// This request target.
    Target(String),
    /// These headers (lower-case name, value) instead of those of the same names.
    Headers(Vec<(String, String)>),
    /// The request goes out; what comes back is the ordinary result.
    Sends,
    /// An error of this kind after the exchange.
    ErrorAfter(Kind),
    /// This value.
    Value(Value),
    /// The error is the same, its text is ours.
    Text,
    /// Every call succeeds: an instance that cannot be reached is left for the next one.
    AllSucceed,
}

/// Kinds of errors without their details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Decode,
    Io,
    Status,
    Connect,
    NoInstance,
}

fn places(case: &Case) -> impl Iterator<Item = &str> {
    case.method.parameters.iter().map(|parameter| parameter.place.as_str())
}

fn consumes(case: &Case, start: &str) -> bool {
    case.method.consumes.iter().any(|media_type| media_type.starts_with(start))
}

fn config(case: &Case, part: &str) -> bool {
    case.config.keys().any(|name| name.contains(part))
}

fn answers(case: &Case, test: fn(&str, &str) -> bool) -> bool {
    case.canned_responses.iter().flat_map(|a| &a.headers).any(|(name, value)| test(&name.to_lowercase(), value))
}

fn arguments<'a>(case: &'a Case, place: &'a str) -> impl Iterator<Item = (&'a crate::case::ParameterOf, Value)> {
    let all = case.method.parameters.iter().zip(case.arguments.iter().map(plain));
    all.filter(move |(parameter, _)| parameter.place == place)
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(fields) => fields.values().flat_map(strings).collect(),
        Value::Null => Vec::new(),
        other => vec![text(other)],
    }
}

/// The deviation that a case's input calls for, with the tag that the crate's docs list.
pub(crate) fn deviation(case: &Case) -> Option<(&'static str, Ours)> {
    use vernal_feign::ErrorKind;
    let verb = case.method.verb();
    // 2.2: a header condition whose name is not a header name.
    let bad_name = |header: &String| header.split_once('=').is_some_and(|(name, _)| name != name.trim());
    if case.method.headers.iter().any(bad_name) {
        return Some(("2.2", Ours::Refused));
    }
    // 2.3: an argument that nobody annotated is no body of a GET.
    if places(case).any(|place| place.starts_with("body")) && matches!(verb, "GET" | "HEAD") {
        return Some(("2.3", Ours::NotExpressible));
    }
    // 2.15: every placeholder has a parameter; 2.5: a name is not sent twice.
    for name in placeholders(&case.method.path) {
        let named = |parameter: &&crate::case::ParameterOf| parameter.wire_name() == name;
        match case.method.parameters.iter().find(named) {
            None => return Some(("2.15", Ours::Refused)),
            Some(parameter) if parameter.place == "query" => return Some(("2.5", Ours::Refused)),
            Some(_) => {}
        }
    }
    // 2.10: a URI must be there.
    if arguments(case, "uri").any(|(_, value)| value.is_null()) {
        return Some(("2.10", Ours::NotExpressible));
    }
    // 2.10: a URI leaves the service unless it names it.
    if case.client.url.is_none() {
        let host = |value: &Value| text(value).split('/').nth(2).unwrap_or_default().to_owned();
        if arguments(case, "uri").any(|(_, value)| !host(&value).eq_ignore_ascii_case(&case.client.name)) {
            return Some(("2.10", Ours::ErrorAfter(Kind::Connect)));
        }
    }
    // 2.4: path values.
    let in_path = placeholders(case.method.path.split('?').next().unwrap_or_default());
    for (parameter, value) in arguments(case, "path") {
        if !in_path.iter().any(|name| name == parameter.wire_name()) {
            continue;
        }
        if value.is_object() {
            return Some(("2.4", Ours::NotExpressible));
        }
        if value.is_null() || strings(&value).concat().is_empty() || dots(case, parameter.wire_name(), &value) {
            return Some(("2.4", Ours::Fails(ErrorKind::InvalidPathValue)));
        }
    }
    let path_differs = |(parameter, value): (&crate::case::ParameterOf, Value)| {
        changes(&value) || is_double(&parameter.type_name) || is_date(&parameter.type_name)
    };
    if arguments(case, "path").any(path_differs) {
        return Some(("2.4", Ours::Target(target(case))));
    }
    // 2.5: query values.
    let query_differs = |(parameter, value): (&crate::case::ParameterOf, Value)| {
        let texts = strings(&value);
        changes(&value)
            || texts.iter().any(String::is_empty)
            || value.as_array().is_some_and(Vec::is_empty)
            || parameter.type_name.ends_with("[]")
            || is_date(&parameter.type_name)
            || encode(parameter.wire_name()) != parameter.wire_name()
            || is_double(&parameter.type_name)
    };
    if arguments(case, "query").any(|(_, value)| value.is_object()) {
        return Some(("2.5", Ours::NotExpressible));
    }
    if arguments(case, "query").any(query_differs) {
        return Some(("2.5", Ours::Target(target(case))));
    }
    let map_differs = |(parameter, value): (&crate::case::ParameterOf, Value)| {
        strings(&value).iter().any(String::is_empty)
            || changes(&value)
            || parameter.type_name == "Order"
            || nested(&value)
    };
    if arguments(case, "query_map").any(map_differs) {
        return Some(("2.5", Ours::Target(target(case))));
    }
    // 2.6: headers.
    if arguments(case, "header").any(|(_, value)| strings(&value).iter().any(|text| !header_safe(text))) {
        return Some(("2.6", Ours::Fails(ErrorKind::InvalidHeader)));
    }
    for (parameter, value) in arguments(case, "header") {
        let name = parameter.wire_name().to_lowercase();
        let lower = case
            .method
            .headers
            .iter()
            .any(|header| header.split_once('=').is_some_and(|(fixed, _)| fixed.eq_ignore_ascii_case(&name)))
            || name == "accept" && !case.method.produces.is_empty()
            || name == "content-type"
                && (!case.method.consumes.is_empty() || places(case).any(|place| place == "body"));
        if lower && !value.is_null() {
            return Some(("2.6", Ours::Headers(vec![(name, strings(&value).join(","))])));
        }
    }
    if let Some((_, value)) = arguments(case, "header_map").find(|(parameter, _)| parameter.type_name == "HttpHeaders")
    {
        let pairs = value.as_object().into_iter().flatten();
        let pairs = pairs.flat_map(|(name, value)| strings(value).into_iter().map(move |v| (name.to_lowercase(), v)));
        return Some(("2.6", Ours::Headers(pairs.collect())));
    }
    // 2.8: bodies.
    if arguments(case, "body").any(|(_, value)| value.is_null()) {
        return Some(("2.8", Ours::Sends));
    }
    let charset = case
        .method
        .consumes
        .first()
        .and_then(|media_type| media_type.to_lowercase().split("charset=").nth(1).map(str::to_owned));
    if charset.is_some_and(|charset| !matches!(charset.as_str(), "utf-8" | "us-ascii"))
        && places(case).any(|place| place == "body")
    {
        return Some(("2.8", Ours::Fails(ErrorKind::Encode)));
    }
    // 2.16: the JDK's transport cannot send PATCH.
    if verb == "PATCH" {
        return Some(("2.16", Ours::Sends));
    }
    responses(case)
}

/// Deviations in what comes back.
fn responses(case: &Case) -> Option<(&'static str, Ours)> {
    let answer = case.canned_responses.first()?;
    let returns = case.method.returns.as_str();
    if case.client.url.is_none()
        && case.client.name.trim_start_matches("http://") != "order-service"
        && !case.client.name.contains("${")
    {
        return Some(("6.4", Ours::ErrorAfter(Kind::NoInstance)));
    }
    if case.config.contains_key("instance_a") {
        return Some(("6.4", Ours::AllSucceed));
    }
    if answer.action.is_some() {
        return None;
    }
    if !answer.line.starts_with("HTTP/") {
        return Some(("4.3", Ours::Text));
    }
    let status: u16 = answer.line.split(' ').nth(1).unwrap_or_default().parse().unwrap_or(0);
    if answer.truncated_to.is_some() {
        // Where the log reads the body, its end is noticed before the status is looked at.
        let level = case.config.iter().find(|(name, _)| name.contains("loggerLevel")).map(|(_, value)| text(value));
        let logged = matches!(level.as_deref(), None | Some("FULL" | "HEADERS"));
        let kind = if logged || (200..300).contains(&status) { Kind::Io } else { Kind::Status };
        return Some(("2.13", Ours::ErrorAfter(kind)));
    }
    // 5.2: a number of seconds that no clock has is ignored.
    let overflows = |name: &str, value: &str| {
        name == "retry-after" && value.len() > 18 && value.bytes().all(|b| b.is_ascii_digit())
    };
    if answers(case, overflows) {
        return Some(("5.2", Ours::ErrorAfter(Kind::Status)));
    }
    let is_empty = matches!(status, 204 | 205)
        || answer.body.as_deref().unwrap_or_default().is_empty() && answer.body_base64.is_none();
    let success = (200..300).contains(&status);
    let empty = match returns {
        "String" => Some(Value::from("")),
        "byte[]" => Some(serde_json::json!({"$base64": ""})),
        "Resource" => Some(serde_json::json!({"$resource": ""})),
        "Boolean" => Some(Value::Bool(false)),
        list if list.starts_with("List<") => Some(Value::Array(Vec::new())),
        map if map.starts_with("Map<") => Some(Value::Object(serde_json::Map::new())),
        _ => None,
    };
    let special = returns == "void" || returns == "Response" || returns.starts_with("Optional<");
    if success && is_empty && !special {
        return Some(("2.13", empty.map_or(Ours::ErrorAfter(Kind::Decode), Ours::Value)));
    }
    if status == 404 && returns.starts_with("Optional<") && case.client.dismiss_404 != Some(true) {
        return Some(("2.13", Ours::Value(serde_json::json!({"$none": true}))));
    }
    if status == 404 && case.client.dismiss_404 == Some(true) && !special {
        return Some(("2.13", empty.map_or(Ours::ErrorAfter(Kind::Status), Ours::Value)));
    }
    if status == 400 && components(case).contains(&"SeedBeans") {
        return Some(("5.5", Ours::ErrorAfter(Kind::Status)));
    }
    if config(case, "exceptionPropagationPolicy") {
        return Some(("3.1", Ours::ErrorAfter(Kind::Connect)));
    }
    None
}

fn header_safe(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'\t' || (0x20..0x7f).contains(&byte))
}

fn is_date(type_name: &str) -> bool {
    type_name.starts_with("Local") || matches!(type_name, "Instant" | "OffsetDateTime" | "ZonedDateTime")
}

fn is_double(type_name: &str) -> bool {
    matches!(type_name, "double" | "Double" | "float" | "Float")
}

/// Whether Feign's guess about what is encoded, or its slashes, play a part.
fn changes(value: &Value) -> bool {
    strings(value).iter().any(|text| text.contains('/') || text.contains('%'))
}

fn nested(value: &Value) -> bool {
    let inner =
        |value: &Value| value.is_object() || value.as_array().is_some_and(|items| items.iter().any(Value::is_object));
    value.as_object().is_some_and(|fields| fields.values().any(inner))
}

/// Whether the value fills a whole segment with dots.
fn dots(case: &Case, name: &str, value: &Value) -> bool {
    let filled = case.method.path.replace(&format!("{{{name}}}"), &value_text(value));
    let decoded = filled.replace("%2e", ".").replace("%2E", ".");
    let slash_kept = case.config.iter().any(|(key, value)| key.contains("decode-slash") && text(value) == "true");
    let own = value_text(value);
    if own.contains('/') && !slash_kept {
        return false;
    }
    decoded.split('/').any(|segment| segment == "." || segment == "..") && own.contains('.')
}

fn value_text(value: &Value) -> String {
    strings(value).join(",")
}

/// The names in braces, without pattern.
pub(crate) fn placeholders(template: &str) -> Vec<String> {
    let mut names = Vec::new();
    let chars: Vec<char> = template.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        if chars[at] == '{' && (at == 0 || chars[at - 1] != '$') {
            let name: String = chars[at + 1..].iter().take_while(|c| !matches!(c, ':' | '}' | '*')).collect();
            names.push(name);
        }
        let mut depth = 0;
        loop {
            match chars.get(at) {
                Some('{') => depth += 1,
                Some('}') => depth -= 1,
                _ => {}
            }
            at += 1;
            if depth <= 0 || at >= chars.len() {
                break;
            }
        }
    }
    names
}

fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The request target by the spec's rules (2.4, 2.5), written a second time and simply: for templates without
/// literals that need encoding.
pub(crate) fn target(case: &Case) -> String {
    let (path, query) = case.method.path.split_once('?').unwrap_or((&case.method.path, ""));
    let mut path = path.to_owned();
    let mut pairs: Vec<String> = query.split('&').filter(|pair| !pair.is_empty()).map(str::to_owned).collect();
    for (parameter, argument) in case.method.parameters.iter().zip(&case.arguments) {
        let (name, value) = (parameter.wire_name(), plain(argument));
        match parameter.place.as_str() {
            "path" => {
                let encoded: Vec<String> = strings(&value).iter().map(|text| encode(text)).collect();
                path = path.replace(&format!("{{{name}}}"), &encoded.join(","));
                for pair in &mut pairs {
                    *pair = pair.replace(&format!("{{{name}}}"), &encoded.join(","));
                }
            }
            "query" => {
                let format = case.method.collection_format.as_ref().or(case.client.collection_format.as_ref());
                let texts: Vec<String> = strings(&value).iter().map(|text| encode(text)).collect();
                let joint = match format.map(String::as_str) {
                    None | Some("EXPLODED") => {
                        pairs.extend(texts.iter().map(|text| format!("{}={text}", encode(name))));
                        continue;
                    }
                    Some("CSV") => "%2C",
                    Some("SSV") => "%20",
                    Some("TSV") => "%09",
                    Some(_) => "%7C",
                };
                if !texts.is_empty() {
                    pairs.push(format!("{}={}", encode(name), texts.join(joint)));
                }
            }
            "query_map" => map_pairs(&mut pairs, "", &value),
            _ => {}
        }
    }
    if pairs.is_empty() { path } else { format!("{path}?{}", pairs.join("&")) }
}

fn map_pairs(pairs: &mut Vec<String>, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (field, value) in fields {
                let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                map_pairs(pairs, &name, value);
            }
        }
        Value::Array(items) => {
            for (position, item) in items.iter().enumerate() {
                if item.is_object() {
                    map_pairs(pairs, &format!("{name}[{position}]"), item);
                } else {
                    map_pairs(pairs, name, item);
                }
            }
        }
        one => pairs.push(format!("{}={}", encode(name), encode(&text(one)))),
    }
}

/// Whether `decode-slash` and `encoded` bring back exactly what was recorded: they are about `/` and `%`, and not in maps.
pub(crate) fn switch_restores(case: &Case) -> bool {
    let values = || arguments(case, "path").chain(arguments(case, "query"));
    let other = |(parameter, value): (&crate::case::ParameterOf, Value)| {
        strings(&value).iter().any(String::is_empty)
            || value.as_array().is_some_and(Vec::is_empty)
            || parameter.type_name.ends_with("[]")
            || is_double(&parameter.type_name)
            || parameter.type_name.starts_with("Local")
            // Dot segments are refused under the switches too.
            || strings(&value).iter().any(|text| text.split('/').any(|segment| matches!(segment, "." | "..")))
    };
    values().any(|(_, value)| changes(&value)) && !values().any(other)
}
