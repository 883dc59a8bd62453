//! What the server does with its key: decrypt what it sends, encrypt and decrypt on request.

use http::StatusCode;
use percent_encoding::percent_decode_str;
use vernal_commons::secret::Secret;
use vernal_config_client::cipher::CipherError;
use vernal_config_client::cipher::text::TextEncryptor;
use vernal_config_client::cipher::value::{CipherValue, PREFIX};
use vernal_config_client::source::{Property, PropertySource};
use vernal_config_client::value::Value;

/// Replaces each `{cipher}` value of a source. What was decrypted, or could not be, moves to the end and loses its
/// origin (`CipherEnvironmentEncryptor`).
pub(super) fn decrypt_source(
    source: PropertySource,
    encryptor: Option<&dyn TextEncryptor>,
    mark_invalid: bool,
) -> PropertySource {
    let mut kept = PropertySource::new(source.name());
    let mut moved: Vec<(String, Value)> = Vec::new();
    for (key, property) in source {
        let Some(text) = property.value().as_str().and_then(|text| text.strip_prefix(PREFIX)) else {
            kept.insert(key, property);
            continue;
        };
        match decrypt(text, encryptor) {
            Ok(plain) => moved.push((key, plain.into())),
            Err(_) if mark_invalid => moved.push((format!("invalid.{key}"), "<n/a>".into())),
            Err(_) => moved.push((key, text.into())),
        }
    }
    for (key, value) in moved {
        kept.insert(key, Property::new(value, None));
    }
    kept
}

/// Decrypts what stands behind `{cipher}`; blanks around it are part of it.
fn decrypt(text: &str, encryptor: Option<&dyn TextEncryptor>) -> Result<Secret, CipherError> {
    let value = CipherValue::parse_pairs(text);
    let cipher_text = value.raw_cipher_text();
    let encryptor = encryptor.ok_or(CipherError::NoKey)?;
    // Java decrypts an IV without a body to the empty text.
    if cipher_text.len() == 32 && cipher_text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Secret::default());
    }
    encryptor.decrypt(cipher_text)
}

/// What a request to `/encrypt` or `/decrypt` comes to.
pub(super) enum Reply {
    Text(Secret),
    /// The error body of the encryption controller.
    Failure(StatusCode, &'static str, &'static str),
    /// Boot's error body.
    Error(StatusCode, &'static str),
}

const NO_KEY: Reply = Reply::Error(
    StatusCode::INTERNAL_SERVER_ERROR,
    "No encryption for FailsafeTextEncryptor. Did you configure the keystore correctly?",
);
const INVALID: Reply = Reply::Failure(StatusCode::BAD_REQUEST, "INVALID", "Text not encrypted with this key");

/// `GET /encrypt/status`.
pub(super) fn status(encryptor: Option<&dyn TextEncryptor>) -> Result<(), Reply> {
    encryptor.map(|_| ()).ok_or(NO_KEY)
}

/// `POST /encrypt`: pairs in front stay in front of the cipher text.
pub(super) fn encrypt_body(body: &[u8], content_type: Option<&str>, encryptor: Option<&dyn TextEncryptor>) -> Reply {
    let input = match input(body, content_type, false) {
        Ok(input) => input,
        Err(reply) => return reply,
    };
    let Some(encryptor) = encryptor else { return NO_KEY };
    let value = CipherValue::parse_pairs(&input);
    let Ok(cipher_text) = encryptor.encrypt(value.raw_cipher_text()) else {
        return Reply::Error(StatusCode::INTERNAL_SERVER_ERROR, "text could not be encrypted");
    };
    let mut answer = String::new();
    for (name, value) in value.pairs().iter().filter(|(name, _)| !matches!(*name, "name" | "profiles")) {
        answer.push_str(&format!("{{{name}:{value}}}"));
    }
    answer.push_str(&cipher_text);
    Reply::Text(answer.into())
}

/// `POST /decrypt`.
pub(super) fn decrypt_body(body: &[u8], content_type: Option<&str>, encryptor: Option<&dyn TextEncryptor>) -> Reply {
    let input = match input(body, content_type, true) {
        Ok(input) => input,
        Err(reply) => return reply,
    };
    if encryptor.is_none() {
        return NO_KEY;
    }
    match decrypt(&input, encryptor) {
        Ok(plain) => Reply::Text(plain),
        // An array index error shows through.
        Err(CipherError::TooShort) => Reply::Error(StatusCode::INTERNAL_SERVER_ERROR, "cipher text is too short"),
        Err(_) => INVALID,
    }
}

/// The body as it was meant: `curl -d` sends text as a form, which puts a `=` behind it.
fn input(body: &[u8], content_type: Option<&str>, cipher: bool) -> Result<String, Reply> {
    if body.is_empty() {
        return Err(Reply::Error(StatusCode::BAD_REQUEST, "Required request body is missing"));
    }
    let Some(content_type) = content_type else {
        return Err(Reply::Error(StatusCode::BAD_REQUEST, "Required header 'Content-Type' is not present."));
    };
    let text = String::from_utf8_lossy(body).into_owned();
    if content_type.trim().eq_ignore_ascii_case("text/plain") || !text.ends_with('=') {
        return Ok(text);
    }
    let text = percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let text = if cipher { text.replace(' ', "+") } else { text };
    let shorter = text.strip_suffix('=').unwrap_or(&text);
    let drop_last = !cipher || (text.len() % 2 == 1 && shorter.bytes().all(|byte| byte.is_ascii_hexdigit()));
    Ok(if drop_last { shorter.to_owned() } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_sent_as_forms_are_repaired() {
        let form = Some("application/x-www-form-urlencoded");
        for (body, content_type, cipher, expected) in [
            ("abc=", form, false, "abc"),
            ("a+b%3D=", form, false, "a b="),
            ("abc=", Some("text/plain"), false, "abc="),
            ("abc=", Some("text/plain;charset=UTF-8"), false, "abc"),
            ("0c76=", form, true, "0c76"),
            ("0c7=", form, true, "0c7="),
            ("AQ+x=", form, true, "AQ+x="),
            ("0c76", form, true, "0c76"),
        ] {
            assert_eq!(input(body.as_bytes(), content_type, cipher).ok().as_deref(), Some(expected), "{body}");
        }
    }
}
