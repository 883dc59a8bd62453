//! Rust names as Java would write them: Feign's method keys stand in log lines, settings and error messages.

use syn::ext::IdentExt;
use syn::{GenericArgument, Ident, PathArguments, PathSegment, Type};

/// `get_orders` as `getOrders`.
pub(crate) fn camel(ident: &Ident) -> String {
    let name = ident.unraw().to_string();
    let mut words = name.split('_').filter(|word| !word.is_empty());
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        camel.push_str(letters.as_str());
    }
    camel
}

/// The last segment of the type's path, behind references and `Option`.
pub(crate) fn simple(ty: &Type) -> Option<String> {
    match bare(ty) {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        _ => None,
    }
}

/// The simple name that the same parameter has in a Java interface, as far as it can be told from the tokens.
pub(crate) fn java(ty: &Type) -> String {
    let name = match bare(ty) {
        Type::Path(path) => match path.path.segments.last() {
            Some(segment) => return of_path(segment),
            None => "Object",
        },
        Type::Slice(slice) => of_list(&slice.elem),
        Type::Array(array) => of_list(&array.elem),
        _ => "Object",
    };
    name.to_owned()
}

fn of_path(segment: &PathSegment) -> String {
    let name = segment.ident.to_string();
    let java = match name.as_str() {
        "str" | "String" | "Cow" | "Secret" => "String",
        "i64" | "u64" | "isize" | "usize" => "Long",
        "i32" | "u32" => "Integer",
        "i16" | "u16" => "Short",
        "i8" | "u8" => "Byte",
        "f64" => "Double",
        "f32" => "Float",
        "bool" => "Boolean",
        "char" => "Character",
        "Vec" => argument(segment).map_or("List", of_list),
        "Bytes" => "byte[]",
        "HashSet" | "BTreeSet" | "IndexSet" => "Set",
        "HashMap" | "BTreeMap" | "IndexMap" => "Map",
        "Uuid" => "UUID",
        "Uri" | "Url" => "URI",
        "CallOptions" => "Options",
        _ => return name,
    };
    java.to_owned()
}

fn of_list(element: &Type) -> &'static str {
    if simple(element).as_deref() == Some("u8") { "byte[]" } else { "List" }
}

/// The type without references, parentheses, `Option`, `Box` and `Arc`: Java has none of them.
fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Reference(reference) => bare(&reference.elem),
        Type::Paren(paren) => bare(&paren.elem),
        Type::Group(group) => bare(&group.elem),
        Type::Path(path) => match path.path.segments.last() {
            Some(segment) if ["Option", "Box", "Arc"].iter().any(|wrapper| segment.ident == wrapper) => {
                argument(segment).map_or(ty, bare)
            }
            _ => ty,
        },
        _ => ty,
    }
}

fn argument(segment: &PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_java_writes_them() {
        let camel = |name: &str| camel(&syn::parse_str(name).unwrap());
        assert_eq!(camel("get_orders"), "getOrders");
        assert_eq!(camel("r#type"), "type");
        assert_eq!(camel("_a__b2_c"), "aB2C");
    }

    #[test]
    fn types_are_named_as_java_names_them() {
        for (rust, expected) in [
            ("&str", "String"),
            ("Option<u64>", "Long"),
            ("&Option<std::string::String>", "String"),
            ("&[String]", "List"),
            ("Vec<u8>", "byte[]"),
            ("[u8; 4]", "byte[]"),
            ("&NewOrder", "NewOrder"),
            ("std::collections::HashMap<String, String>", "Map"),
            ("(u8, u8)", "Object"),
            ("i32", "Integer"),
        ] {
            assert_eq!(java(&syn::parse_str(rust).unwrap()), expected, "{rust}");
        }
    }
}
