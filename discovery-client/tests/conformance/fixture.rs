//! The recordings on disk.

use std::path::PathBuf;

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

fn root() -> PathBuf {
    let own = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::env::var_os("VERNAL_FIXTURES").map_or_else(own, PathBuf::from).join("discovery")
}

/// All files of a folder by name; none if it is absent.
pub(crate) fn folder(name: &str) -> Vec<(String, Value)> {
    let Ok(entries) = std::fs::read_dir(root().join(name)) else { return Vec::new() };
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), read(&path)))
        .collect();
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    files
}

pub(crate) fn vector(name: &str) -> Option<Value> {
    let path = root().join("vectors").join(format!("{name}.json"));
    path.exists().then(|| read(&path))
}

fn read(path: &PathBuf) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The value of a header, whatever the case of its name.
pub(crate) fn header<'a>(message: &'a Value, name: &str) -> Option<&'a str> {
    let headers = message["headers"].as_array()?;
    headers.iter().find(|pair| pair[0].as_str().unwrap().eq_ignore_ascii_case(name))?[1].as_str()
}

pub(crate) fn headers(message: &Value) -> HeaderMap {
    let pairs = message["headers"].as_array().unwrap();
    let pair = |pair: &Value| {
        let name = HeaderName::try_from(pair[0].as_str().unwrap()).unwrap();
        (name, HeaderValue::try_from(pair[1].as_str().unwrap()).unwrap())
    };
    pairs.iter().map(pair).collect()
}

/// The bytes of a body as they were on the wire. Where a placeholder was put into a compressed body, it is compressed
/// again.
pub(crate) fn body(message: &Value) -> Bytes {
    if let Some(text) = message["body_base64"].as_str() {
        return base64::engine::general_purpose::STANDARD.decode(text).unwrap().into();
    }
    if let Some(text) = message["body_gunzipped"].as_str() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, text.as_bytes()).unwrap();
        return gzip.finish().unwrap().into();
    }
    message["body"].as_str().unwrap_or_default().to_owned().into()
}

/// The text of a body, decompressed.
pub(crate) fn text(message: &Value) -> Option<&str> {
    message["body_gunzipped"].as_str().or_else(|| message["body"].as_str())
}
