//! The environment document.

use vernal_config_client::source::PropertySource;
use vernal_config_client::value::{Value, write_json_text};

use super::accept::Format;

/// What is sent for one request.
#[derive(Debug)]
pub(super) struct Environment<'a> {
    pub(super) name: &'a str,
    pub(super) profiles: &'a str,
    pub(super) label: Option<&'a str>,
    pub(super) version: Option<&'a str>,
    /// Highest first.
    pub(super) sources: Vec<PropertySource>,
}

impl Environment<'_> {
    /// The members in the server's order. The profiles are one element, whatever they are.
    pub(super) fn to_json(&self, format: Format) -> String {
        let mut json = String::from("{\"name\":");
        write_json_text(self.name, &mut json);
        json.push_str(",\"profiles\":[");
        write_json_text(self.profiles, &mut json);
        json.push_str("],\"label\":");
        write_optional(self.label, &mut json);
        json.push_str(",\"version\":");
        write_optional(self.version, &mut json);
        json.push_str(",\"state\":null,\"propertySources\":[");
        for (index, source) in self.sources.iter().enumerate() {
            json.push_str(if index > 0 { ",{\"name\":" } else { "{\"name\":" });
            write_json_text(source.name(), &mut json);
            json.push_str(",\"source\":{");
            write_properties(source, format, &mut json);
            json.push_str("}}");
        }
        json.push_str("]}");
        json
    }
}

fn write_properties(source: &PropertySource, format: Format, json: &mut String) {
    for (index, (key, property)) in source.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        write_json_text(key, json);
        json.push(':');
        let origin = property.origin().and_then(|origin| origin.label()).filter(|_| format == Format::V2);
        match origin {
            Some(origin) => {
                json.push_str("{\"value\":");
                property.value().write_json(json);
                json.push_str(",\"origin\":");
                write_json_text(&origin, json);
                json.push('}');
            }
            None => property.value().write_json(json),
        }
    }
}

fn write_optional(text: Option<&str>, json: &mut String) {
    match text {
        Some(text) => write_json_text(text, json),
        None => Value::Null.write_json(json),
    }
}
