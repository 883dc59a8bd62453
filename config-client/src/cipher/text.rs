//! Encryptors of texts.

use std::fmt;
use std::sync::Arc;

use vernal_commons::secret::Secret;

use super::CipherError;
use super::aes::AesEncryptor;

/// The salt when `encrypt.salt` is not set (Spring Cloud's `KeyProperties`).
pub const DEFAULT_SALT: &str = "deadbeef";

/// Encrypts and decrypts texts with one key. `Debug` of an implementation shows no part of the key.
pub trait TextEncryptor: fmt::Debug + Send + Sync {
    /// The cipher text of `plain`, without the prefix `{cipher}`.
    ///
    /// # Errors
    ///
    /// [`CipherError::Random`], or [`CipherError::KeyFormat`] for a key that can only decrypt.
    fn encrypt(&self, plain: &str) -> Result<String, CipherError>;

    /// The text that was encrypted. `cipher_text` is taken as it is: no prefix, no blanks around it.
    ///
    /// # Errors
    ///
    /// Any text that this key did not encrypt, as far as that can be told.
    fn decrypt(&self, cipher_text: &str) -> Result<Secret, CipherError>;
}

/// The encryptor that `encrypt.key` and `encrypt.salt` ask for, chosen by the text of the key as
/// `EncryptorFactory` of spring-cloud-context does.
///
/// # Errors
///
/// A blank key, a public key, a salt that is not hexadecimal; an RSA private key, which this build cannot use.
pub fn encryptor(key: &Secret, salt: &str) -> Result<Arc<dyn TextEncryptor>, CipherError> {
    let text = key.expose();
    if text.trim().is_empty() {
        return Err(CipherError::NoKey);
    }
    if text.trim_start().starts_with("ssh-rsa") {
        return Err(CipherError::KeyFormat { found: "an ssh public key" });
    }
    // Spring takes every text with a PKCS#8 or X.509 header for a password; a key that is meant as one must not
    // silently become the other (D-11).
    if text.contains("RSA PUBLIC KEY") || text.contains("BEGIN PUBLIC KEY") {
        return Err(CipherError::KeyFormat { found: "a public key" });
    }
    if text.contains("RSA PRIVATE KEY") || text.contains("BEGIN PRIVATE KEY") {
        return Err(CipherError::UnsupportedKey { found: "an RSA private key" });
    }
    Ok(Arc::new(AesEncryptor::new(key, salt)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_decides_the_encryptor() {
        for (key, expected) in [
            ("  ", CipherError::NoKey),
            ("ssh-rsa AAAA x", CipherError::KeyFormat { found: "an ssh public key" }),
            ("-----BEGIN RSA PUBLIC KEY-----\nAAAA", CipherError::KeyFormat { found: "a public key" }),
            ("-----BEGIN PUBLIC KEY-----\nAAAA", CipherError::KeyFormat { found: "a public key" }),
            ("-----BEGIN RSA PRIVATE KEY-----\nA", CipherError::UnsupportedKey { found: "an RSA private key" }),
            ("-----BEGIN PRIVATE KEY-----\nA", CipherError::UnsupportedKey { found: "an RSA private key" }),
        ] {
            assert_eq!(encryptor(&key.into(), DEFAULT_SALT).err(), Some(expected), "{key}");
        }
        assert!(encryptor(&"password".into(), DEFAULT_SALT).is_ok());
    }
}
