//! Requests to the testkit's registry: every one is answered, and whatever was registered, the whole registry can be
//! asked for and read.
#![no_main]

use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use vernal_discovery_client::wire::json;
use vernal_fuzz::{Question, SEPARATOR, block_on};
use vernal_testkit::registry::Registry;

static REGISTRY: OnceLock<Registry> = OnceLock::new();

fuzz_target!(|input: &[u8]| {
    let registry = REGISTRY.get_or_init(|| block_on(Registry::start()).expect("a registry"));
    for question in input.split(|byte| *byte == SEPARATOR).filter_map(Question::parse) {
        question.ask(registry.router());
    }
    let all = Question::parse(b"GET /eureka/apps\naccept: application/json\n\n").expect("HTTP allows it");
    let (status, body) = all.ask(registry.router());
    assert_eq!(status, 200);
    let text = String::from_utf8_lossy(&body);
    let read = json::decode_applications(&body).unwrap_or_else(|error| panic!("{error}: {text}"));
    let listed: usize = read.applications.iter().map(|application| application.instances.len()).sum();
    assert_eq!(listed, registry.instances().len(), "{text}");
    // Every lease ends, so that each input finds an empty registry.
    registry.advance(Duration::from_secs(1 << 20));
});
