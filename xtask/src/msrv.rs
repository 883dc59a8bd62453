use crate::command::Outcome;
use crate::graph::Graph;

/// No resolved dependency may ask for a newer Rust than the workspace promises.
pub(crate) fn run() -> Outcome {
    let graph = Graph::resolved()?;
    let promised = graph.package("vernal")?["rust_version"].as_str().unwrap_or_default();
    let promised = version(promised).ok_or("the workspace states no rust-version")?;
    let faults: Vec<String> = graph
        .packages()
        .filter_map(|package| {
            let wanted = package["rust_version"].as_str()?;
            (version(wanted)? > promised).then(|| format!("`{}` asks for Rust {wanted}", package["name"]))
        })
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}
