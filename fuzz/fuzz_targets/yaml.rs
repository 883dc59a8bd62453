//! YAML files: an error or properties, and every property can be written as JSON that reads back as the same value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vernal_config_client::source::yaml;

fuzz_target!(|file: &[u8]| {
    let Ok(sources) = yaml::load("application.yml", file) else { return };
    for (key, property) in sources.iter().flat_map(|source| source.iter()) {
        let json = property.value().to_json();
        let parsed = serde_json::from_str::<serde_json::Value>(&json);
        let parsed = parsed.unwrap_or_else(|error| panic!("{key} is written as {json}: {error}"));
        if let (Some(text), Some(read)) = (property.value().as_str(), parsed.as_str()) {
            assert_eq!(text, read, "{key} is written as {json}");
        }
    }
});
