//! Eureka's documents: refused or applied, and afterwards the hash is that of the statuses, every instance that can be
//! called is found under each of its names, and a record that was read can be written and read again.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use vernal_discovery_client::registry::{Guard, Registry};
use vernal_discovery_client::request::Reply;
use vernal_discovery_client::wire::json::{self, Document};
use vernal_discovery_client::{Action, Index};
use vernal_fuzz::{Answer, SEPARATOR, block_on};

const LARGEST: usize = 1 << 20;
const MOST: usize = 1_000;

fuzz_target!(|input: &[u8]| {
    let [settings, answers @ ..] = input else { return };
    // The registry takes the time of tokio's clock.
    block_on(async {
        let mut registry = Registry::new();
        let mut index = Index::default();
        for answer in answers.split(|byte| *byte == SEPARATOR).filter_map(Answer::parse) {
            let Ok(reply) = Reply::new(answer.status.as_u16(), &answer.headers, answer.body, LARGEST) else { continue };
            drop((reply.text(), reply.application(), reply.renewed()));
            if let Ok(Some(record)) = reply.instance() {
                let written = json::encode_registration(&record);
                let read = json::decode_instance(&written).expect("its own record");
                assert_eq!((&read.instance_id, &read.metadata), (&record.instance_id, &record.metadata));
            }
            // The action of its first instance tells a delta from a full document, as far as this test is concerned.
            match reply.full(MOST) {
                Ok(document) if is_delta(&document) => registry.apply(&document),
                Ok(document) => {
                    let mut guard = Guard::default();
                    guard.hold = Duration::from_secs((settings >> 1).into());
                    registry.replace(&document, guard, tokio::time::Instant::now())
                }
                Err(_) => continue,
            };
            index = Index::build(&registry, &index, settings & 1 == 1);
            check(&registry, &index);
        }
    });
});

fn is_delta(document: &Document) -> bool {
    let mut instances = document.applications.iter().flat_map(|application| &application.instances);
    instances.next().is_some_and(|record| record.action != Some(Action::Added))
}

fn check(registry: &Registry, index: &Index) {
    assert!(registry.suspects() <= registry.len());
    assert_eq!(registry.hash().is_empty(), registry.suspects() == registry.len());
    for (app, id, entry) in registry.iter() {
        let view = index.by_application(app).unwrap_or_else(|| panic!("{app} is not found"));
        let listed = view.instances().any(|instance| instance.instance_id() == id);
        assert!(!listed || entry.instance().is_some(), "{app} {id}");
        assert!(registry.get(app, id).is_some(), "{app} {id}");
    }
    for service in index.services() {
        let view = index.by_application(service).unwrap_or_else(|| panic!("{service} is not found"));
        assert!(view.instances().len() > 0, "{service} is listed without instances");
    }
}
