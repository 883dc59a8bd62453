//! `config/cipher`: texts that Spring encrypted, decrypted or refused.

use std::path::Path;

use serde_json::Value;
use vernal_config_client::cipher::text::{DEFAULT_SALT, TextEncryptor, encryptor};

use super::Outcome;

type Applies = fn(&Value) -> bool;

/// Vectors that need what is not built, by what they hold, with what will build it.
const NOT_BUILT: [(&str, Applies); 2] = [
    ("RSA keys in PEM: the RSA issue", |vector| {
        vector["kind"] == "rsa-pem"
            || (vector["kind"] == "pem"
                && (vector["key_file"].is_string() || text(vector, "key").contains("RSA PRIVATE KEY")))
    }),
    ("key stores: the RSA issue", |vector| vector["kind"] == "rsa-keystore"),
];

pub(crate) fn run(root: &Path) -> Outcome {
    let mut outcome = Outcome::new("config/cipher");
    let vectors = std::fs::read(root.join("vectors.json"));
    let vectors: Vec<Value> = vectors.map_or_else(|_| Vec::new(), |bytes| serde_json::from_slice(&bytes).unwrap());
    for vector in &vectors {
        match NOT_BUILT.iter().find(|(_, applies)| applies(vector)) {
            Some((reason, _)) => outcome.not_built(reason),
            None => match compare(vector) {
                Ok(deviation) => outcome.pass(deviation),
                Err(difference) => outcome.fail(text(vector, "id"), &difference),
            },
        }
    }
    outcome
}

fn text<'a>(vector: &'a Value, member: &str) -> &'a str {
    vector[member].as_str().unwrap_or_default()
}

fn compare(vector: &Value) -> Result<Option<&'static str>, String> {
    let refused = vector["error"].is_array();
    let salt = vector["salt"].as_str().unwrap_or(DEFAULT_SALT);
    let key = text(vector, "key");
    let encryptor = match encryptor(&key.into(), salt) {
        Ok(encryptor) => encryptor,
        Err(error) if error.to_string().contains(key) => return Err("the error shows the key".to_owned()),
        Err(_) if refused => return Ok(None),
        // Java takes an X.509 public key for a password; a key is never silently a password here.
        Err(_) if key.contains("BEGIN PUBLIC KEY") => return Ok(Some("D-11")),
        Err(error) => return Err(format!("key refused: {error}")),
    };
    let cipher_text = text(vector, "ciphertext");
    if vector["operation"] == "encrypt" {
        if refused {
            return Err("key accepted".to_owned());
        }
        return compare_encryption(&*encryptor, cipher_text, text(vector, "plaintext"));
    }
    match (encryptor.decrypt(cipher_text), vector["result"].as_str()) {
        (Ok(plain), Some(expected)) if plain.expose() == expected => Ok(None),
        (Err(_), Some("")) if cipher_text.len() == 32 => Ok(Some("D-22")),
        (Err(error), None) if refused => {
            let shown = format!("{error} {error:?}");
            let leaks = (cipher_text.len() > 2 && shown.contains(cipher_text)) || shown.contains(key);
            if leaks { Err("the error shows the text or the key".to_owned()) } else { Ok(None) }
        }
        (found, expected) => Err(format!("{found:?} instead of {expected:?}")),
    }
}

/// The recorded text decrypts; ours has the same length and decrypts, too.
fn compare_encryption(
    encryptor: &dyn TextEncryptor,
    recorded: &str,
    plain: &str,
) -> Result<Option<&'static str>, String> {
    let ours = encryptor.encrypt(plain).map_err(|error| error.to_string())?;
    for cipher_text in [recorded, &ours] {
        let decrypted = encryptor.decrypt(cipher_text).map_err(|error| format!("{cipher_text}: {error}"))?;
        if decrypted.expose() != plain {
            return Err(format!("{cipher_text} decrypts to another text"));
        }
    }
    if ours.len() != recorded.len() {
        return Err(format!("{} digits instead of {}", ours.len(), recorded.len()));
    }
    Ok(None)
}
