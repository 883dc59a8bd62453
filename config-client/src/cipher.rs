//! `{cipher}` values: encryptors and the syntax around them.
//!
//! | module | noun |
//! |---|---|
//! | [`text`] | [`TextEncryptor`](text::TextEncryptor): text in, text out, and which one a key asks for |
//! | [`aes`] | [`AesEncryptor`](aes::AesEncryptor): what `encrypt.key` and `encrypt.salt` mean |
//! | [`value`] | [`CipherValue`](value::CipherValue): `{cipher}{key:a}...` taken apart |
//!
//! # Where it differs from Spring
//!
//! | tag | what |
//! |---|---|
//! | D-11 | a key with a PKCS#8 or X.509 PEM header is a key, never silently a password |
//! | D-12 | a `{name:..}` pair does not swallow the pairs behind it |
//! | D-13 | white space around the cipher text is ignored ([`CipherValue::cipher_text`](value::CipherValue::cipher_text)) |
//! | D-22 | an IV without a body is an error, not the empty text |

pub mod aes;
pub mod text;
pub mod value;

/// Why a text could not be encrypted or decrypted. No variant holds the text or the key.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CipherError {
    /// There is a cipher text but no key.
    #[error("no key is set: `encrypt.key` is missing or blank")]
    NoKey,
    /// `encrypt.salt` is empty or not hexadecimal.
    #[error("`encrypt.salt` must be a non-empty, even number of hexadecimal digits")]
    Salt,
    /// The key is of a kind that cannot decrypt.
    #[error("`encrypt.key` holds {found}, expected a password or an RSA private key")]
    KeyFormat {
        /// What was recognised.
        found: &'static str,
    },
    /// The key is of a kind that this build cannot use.
    #[error("`encrypt.key` holds {found}, which this build of vernal cannot use")]
    UnsupportedKey {
        /// What was recognised.
        found: &'static str,
    },
    /// The cipher text is not hexadecimal.
    #[error("cipher text is not an even number of hexadecimal digits")]
    NotHex,
    /// The cipher text is shorter than its own header.
    #[error("cipher text is too short")]
    TooShort,
    /// Wrong key, wrong salt or a damaged text: cryptography cannot tell them apart.
    #[error("cipher text was not encrypted with this key and salt, or is damaged")]
    Undecryptable,
    /// What came out is no text.
    #[error("decrypted bytes are not UTF-8: wrong key, or not a text")]
    NotUtf8,
    /// The operating system gave no random bytes.
    #[error("no random bytes available")]
    Random,
}
