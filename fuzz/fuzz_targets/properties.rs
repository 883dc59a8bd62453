//! `.properties` files: an error or properties; an ASCII file reads the same in both character sets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vernal_config_client::source::{PropertySource, properties};

fuzz_target!(|file: &[u8]| {
    let latin = properties::load("application.properties", file);
    let utf8 = properties::load_utf8("application.properties", file);
    if file.is_ascii() {
        assert_eq!(latin.ok().map(pairs), utf8.ok().map(pairs));
    }
});

fn pairs(sources: Vec<PropertySource>) -> Vec<(String, String)> {
    let properties = sources.iter().flat_map(PropertySource::iter);
    properties.map(|(key, property)| (key.to_owned(), property.value().to_json())).collect()
}
