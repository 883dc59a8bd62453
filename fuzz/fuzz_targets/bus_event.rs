//! Bus messages: refused, or an event that is the same after it was written and read again in both namings.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vernal_bus_client::event::Target;
use vernal_bus_client::{Event, Naming};

fuzz_target!(|message: &[u8]| {
    let Ok(event) = Event::decode(message) else { return };
    let addressed = event.destination.matches("orders:dev,cloud:8080:1", &[]);
    for naming in [Naming::CamelCase, Naming::SnakeCase] {
        let written = event.encode(naming);
        let read = Event::decode(written.as_bytes()).unwrap_or_else(|error| panic!("{written}: {error}"));
        assert_eq!(read.kind.type_name(), event.kind.type_name(), "{written}");
        assert_eq!((&read.id, &read.origin, read.timestamp), (&event.id, &event.origin, event.timestamp), "{written}");
        if event.destination != Target::Absent {
            assert_eq!(read.destination, event.destination, "{written}");
            assert_eq!(read.destination.matches("orders:dev,cloud:8080:1", &[]), addressed, "{written}");
        }
    }
});
