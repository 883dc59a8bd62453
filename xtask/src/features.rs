use crate::command::{LIBRARIES, Outcome, cargo};
use crate::graph::Graph;

/// Each library crate by itself: dependencies and features of its neighbours do not help it.
pub(crate) fn alone() -> Outcome {
    LIBRARIES.iter().try_for_each(|name| cargo(&["check", "--quiet", "--package", name, "--lib"]))
}

/// Each feature of each library crate by itself, and none at all.
pub(crate) fn each() -> Outcome {
    let graph = Graph::workspace()?;
    for name in LIBRARIES.iter().chain(&["vernal-testkit"]) {
        let check = ["check", "--quiet", "--package", name, "--lib", "--no-default-features"];
        cargo(&check)?;
        let features = graph.package(name)?["features"].as_object().into_iter().flat_map(|map| map.keys());
        for feature in features.filter(|feature| *feature != "default") {
            cargo(&[&check[..], &["--features", feature]].concat())?;
        }
    }
    Ok(())
}
