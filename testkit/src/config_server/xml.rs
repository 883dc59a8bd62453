//! Properties in XML, the format of `java.util.Properties.loadFromXML`.

use vernal_config_client::source::PropertySource;

/// Parses `<properties>` with `<entry key="..">text</entry>`; nothing else in it is looked at. Java tracks no origins
/// here. The error says what is wrong.
pub(super) fn load(name: &str, bytes: &[u8]) -> Result<PropertySource, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8")?;
    let start = text.find("<properties").ok_or("`<properties>` is missing")?;
    let end = text.find("</properties>").ok_or("`</properties>` is missing")?;
    let mut rest = text.get(start + "<properties".len()..end).ok_or("`</properties>` comes first")?;
    let mut source = PropertySource::new(name);
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.split_once("-->").ok_or("a comment does not end")?.1;
        } else if let Some(entry) = rest.strip_prefix("<entry") {
            let (attributes, content) = entry.split_once('>').ok_or("a tag does not end")?;
            let key = attribute(attributes).ok_or("an entry has no key")?;
            let value = if attributes.ends_with('/') {
                rest = content;
                ""
            } else {
                let (value, behind) = content.split_once("</entry>").ok_or("an entry does not end")?;
                rest = behind;
                value
            };
            source.insert(unescape(key)?, unescape(value)?);
        } else {
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    Ok(source)
}

fn attribute(attributes: &str) -> Option<&str> {
    let value = attributes.trim_start().strip_prefix("key")?.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    value.get(1..)?.split_once(quote).map(|(value, _)| value)
}

fn unescape(text: &str) -> Result<String, &'static str> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<']) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(cdata) = rest.strip_prefix("<![CDATA[") {
            let (raw, behind) = cdata.split_once("]]>").ok_or("a CDATA section does not end")?;
            plain.push_str(raw);
            rest = behind;
            continue;
        }
        let (entity, behind) =
            rest.strip_prefix('&').and_then(|rest| rest.split_once(';')).ok_or("a bad entity or tag in a text")?;
        plain.push(match entity {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            _ => entity
                .strip_prefix('#')
                .and_then(|number| match number.strip_prefix('x') {
                    Some(digits) => u32::from_str_radix(digits, 16).ok(),
                    None => number.parse().ok(),
                })
                .and_then(char::from_u32)
                .ok_or("an unknown entity")?,
        });
        rest = behind;
    }
    plain.push_str(rest);
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read() {
        let text = "<?xml version=\"1.0\"?><!DOCTYPE properties SYSTEM \"x\">\n<properties><comment>c</comment>\
                    <!-- <entry key='no'>1</entry> --><entry key=\"a.b\">x &lt;&#x41;&#66;<![CDATA[<&>]]></entry>\
                    <entry key='e'/></properties>";
        let source = load("f", text.as_bytes()).unwrap();
        let found: Vec<_> = source.iter().map(|(key, property)| (key, property.value().as_str().unwrap())).collect();
        assert_eq!(found, [("a.b", "x <AB<&>"), ("e", "")]);
    }

    #[test]
    fn broken_files_are_errors() {
        for text in [
            "",
            "<properties>",
            "<properties><entry>1</entry></properties>",
            "</properties><properties>",
            "<properties><entry key='a'>&x;</entry></properties>",
            "<properties><entry key='a'>1</properties>",
        ] {
            assert!(load("f", text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(<properties>)?([<>&;'\"=/!\\[\\]-]|entry|key|CDATA|é| ){0,30}(</properties>)?") {
            let _ = load("f", text.as_bytes());
        }
    }
}
