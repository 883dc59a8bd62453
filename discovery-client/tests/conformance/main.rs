//! Recordings of real servers and clients, read and written by this crate.
//!
//! A step of an exchange or scenario is one case: where the recorded request is one that a client may send, ours must
//! be the same; the recorded answer must be read to the right outcome. Vectors are cases of their own. See
//! `tests/fixtures/discovery/README.md`.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![expect(clippy::print_stdout, reason = "the tally is what the runner is for")]

mod document;
mod fixture;
mod operation;
mod registration;
mod replay;
mod step;
mod story;
mod tally;
mod vectors;

use tally::Tally;

#[test]
fn recordings_are_reproduced() {
    let mut tally = Tally::default();
    for folder in ["exchanges", "scenarios"] {
        let files = fixture::folder(folder);
        let before = tally.run();
        for (name, file) in &files {
            story::run(&mut tally, &format!("{folder}/{name}"), file);
        }
        println!("{folder}: {} files, {} cases run", files.len(), tally.run() - before);
    }
    let before = tally.run();
    for (name, file) in fixture::folder("scenarios").iter().filter(|(_, file)| replay::applies(file)) {
        tally.count(&format!("replay/{name}"), replay::run(file));
    }
    println!("replays of Java clients: {} cases run", tally.run() - before);
    for (name, run) in vectors::ALL {
        let before = tally.run();
        match fixture::vector(name) {
            Some(file) => run(&mut tally, &file),
            None => println!("vectors/{name}: absent"),
        }
        println!("vectors/{name}: {} cases run", tally.run() - before);
    }
    tally.close();
}
