//! Reading the recordings.

use std::path::PathBuf;

use serde_json::Value;

/// The cases of `bus/<path>.json`; none if the file is absent in another set of recordings.
pub(crate) fn cases(path: &str) -> Vec<Value> {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let root = std::env::var_os("VERNAL_FIXTURES").map(PathBuf::from);
    let foreign = root.is_some();
    let file = root.unwrap_or(own).join("bus").join(format!("{path}.json"));
    match std::fs::read(&file) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display())),
        Err(_) if foreign => Vec::new(),
        Err(error) => panic!("{}: {error}", file.display()),
    }
}

/// All files of a family, whatever their names in another set.
pub(crate) fn family(folder: &str, known: &[&str]) -> Vec<Value> {
    let mut names: Vec<String> = known.iter().map(|name| (*name).to_owned()).collect();
    if let Some(root) = std::env::var_os("VERNAL_FIXTURES") {
        let entries = std::fs::read_dir(PathBuf::from(root).join("bus").join(folder)).into_iter().flatten().flatten();
        let stems = entries.filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned()));
        names = stems.collect();
        names.sort();
    }
    names.iter().flat_map(|name| cases(&format!("{folder}/{name}"))).collect()
}

pub(crate) fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("no text `{field}` in {case}"))
}
