//! Requests to the testkit's config server: every one is answered, and never with a file from outside its folder.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use vernal_fuzz::{Question, block_on};
use vernal_testkit::config_server::ConfigServer;

const OUTSIDE: &str = "s3cr3t-0uts1d3";

static SERVER: OnceLock<ConfigServer> = OnceLock::new();

fn server() -> &'static ConfigServer {
    SERVER.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("vernal-fuzz-{}", std::process::id()));
        let inside = folder.join("inside");
        std::fs::create_dir_all(&inside).expect("a folder");
        std::fs::write(folder.join("outside.yml"), OUTSIDE).expect("a file");
        std::fs::write(inside.join("application.yml"), "greeting:\n  message: ${name:you} {cipher}00\n")
            .expect("a file");
        std::fs::write(inside.join("orders.properties"), "a.b[0]=1\na.b[1]=2\n").expect("a file");
        block_on(ConfigServer::builder(&inside).encrypt_key("a key").start()).expect("a server")
    })
}

fuzz_target!(|input: &[u8]| {
    let Some(question) = Question::parse(input) else { return };
    let (status, body) = question.ask(server().router());
    let text = String::from_utf8_lossy(&body);
    assert!(!text.contains(OUTSIDE), "{status} {text}");
});
