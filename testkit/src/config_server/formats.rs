//! The alternative formats.

use indexmap::IndexMap;
use vernal_config_client::value::{Value, write_json_text};

use super::route::TextFormat;
use super::tree::{self, Map, NoTree, Node};
use super::yaml::Writer;

/// The media type and the text.
pub(super) fn write(
    properties: &IndexMap<String, Value>,
    format: TextFormat,
    strip_document: bool,
) -> Result<(&'static str, String), NoTree> {
    Ok(match format {
        TextFormat::Json => ("application/json", json(&tree::grow(properties)?)),
        TextFormat::Yaml => ("text/plain", yaml(&tree::grow(properties)?, strip_document)),
        TextFormat::Properties => ("text/plain", lines(properties)),
    })
}

fn json(tree: &Map) -> String {
    let mut json = String::new();
    write_map(tree, &mut json);
    json
}

fn write_map(map: &Map, json: &mut String) {
    json.push('{');
    for (position, (key, node)) in map.iter().enumerate() {
        if position > 0 {
            json.push(',');
        }
        write_json_text(key, json);
        json.push(':');
        write_node(node, json);
    }
    json.push('}');
}

fn write_node(node: &Node, json: &mut String) {
    match node {
        Node::Leaf(value) => value.write_json(json),
        Node::Map(map) => write_map(map, json),
        Node::List(list) => {
            json.push('[');
            for (position, node) in list.iter().enumerate() {
                if position > 0 {
                    json.push(',');
                }
                write_node(node, json);
            }
            json.push(']');
        }
    }
}

/// What a file that is no map was loaded as, the single key `document`, is shown without it.
fn yaml(tree: &Map, strip_document: bool) -> String {
    match tree.get("document").filter(|_| strip_document && tree.len() == 1) {
        Some(document) => Writer::new().bare(document),
        None => Writer::new().document(tree),
    }
}

/// One line per property, nothing escaped.
fn lines(properties: &IndexMap<String, Value>) -> String {
    let lines: Vec<_> =
        properties.iter().map(|(key, value)| format!("{key}: {}", value.as_text().unwrap_or_default())).collect();
    lines.join("\n")
}
