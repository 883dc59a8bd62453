//! Destinations: the comparison ends soon however many wildcards there are, `**` is for every id, and an id without
//! wildcards that is given as a destination addresses itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vernal_bus_client::destination::Scope;
use vernal_bus_client::{BusId, Destination};

fuzz_target!(|input: &str| {
    let (pattern, id) = input.split_once('\n').unwrap_or((input, "orders:dev,cloud:8080:1"));
    let destination = Destination::normalise(Some(pattern));
    let addressed = destination.matches(id, &[]);
    assert!(!addressed || destination.matches(id, &[pattern.to_owned()]), "an alias takes {id} away");
    let Ok(id) = BusId::new(id) else { return };
    assert!(Destination::normalise(None).matches(id.as_str(), &[]), "an event for everybody passes {id}");
    if Scope::of(Some(id.as_str())) == Scope::Instance {
        let itself = vernal_bus_client::destination::matches(Some(id.as_str()), id.as_str(), &[]);
        assert!(itself, "{id} does not match itself");
    }
});
