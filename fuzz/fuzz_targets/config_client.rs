//! The answer of a config server: settings or an error, and the error does not show the key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vernal_config_client::Bootstrap;
use vernal_fuzz::{Answer, block_on};

const KEY: &str = "s3cr3t-k3y";

fuzz_target!(|input: &[u8]| {
    let Some(answer) = Answer::parse(input) else { return };
    let mut bootstrap = Bootstrap::builder()
        .directory("/nonexistent")
        .env([("SPRING_CONFIG_IMPORT", "configserver:http://config:8888")])
        .property("spring.application.name", "orders")
        .transport(answer.transport());
    // A key takes long to make.
    if answer.holds("{cipher}") {
        bootstrap = bootstrap.property("encrypt.key", KEY).property("encrypt.fail-on-error", "false");
    }
    match block_on(bootstrap.load()) {
        Ok(settings) => {
            drop(settings.bind::<serde_json::Value>(""));
            drop(settings.explain("greeting.message").to_string());
            drop((settings.sources(), settings.warnings(), settings.version()));
        }
        Err(error) => {
            let said = format!("{error} {error:?}");
            assert!(answer.holds(KEY) || !said.contains(KEY), "{said}");
        }
    }
});
