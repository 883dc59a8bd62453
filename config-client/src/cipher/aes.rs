//! The symmetric encryptor of Spring Security (`Encryptors.text` and `Encryptors.delux`).

use std::fmt;

use ::aes::Aes256;
use ::aes::cipher::block_padding::Pkcs7;
use ::aes::cipher::consts::U16;
use ::aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use aes_gcm::AesGcm;
use aes_gcm::aead::{Aead, KeyInit};
use hmac::Hmac;
use sha1::Sha1;
use vernal_commons::secret::Secret;
use zeroize::Zeroizing;

use super::CipherError;
use super::text::TextEncryptor;

/// AES-256 with a key derived from a password.
///
/// ```text
/// key    = PBKDF2-HMAC-SHA1(password, unhex(salt), 1024 rounds, 32 bytes)
/// output = hex(iv[16] || body)
/// ```
///
/// In the mode [`Cbc`](Mode::Cbc), the one of `encrypt.key`, nothing authenticates the text: about one wrong key
/// in 256 gives garbage instead of an error, and a changed byte of the IV goes unnoticed.
///
/// ```
/// use vernal_config_client::cipher::aes::AesEncryptor;
/// use vernal_config_client::cipher::text::{DEFAULT_SALT, TextEncryptor};
///
/// let encryptor = AesEncryptor::new(&"abcdefghijklmnopqrstuvwxyz0123456789".into(), DEFAULT_SALT)?;
/// let plain = encryptor.decrypt("0c7649b1698b8df8337716a26eafba4a90499ea5df3eff8d8492abfe0fff978a")?;
/// assert_eq!(plain.expose(), "1234");
/// # Ok::<(), vernal_config_client::cipher::CipherError>(())
/// ```
#[derive(Clone)]
pub struct AesEncryptor {
    key: Zeroizing<[u8; KEY]>,
    mode: Mode,
}

/// How blocks are chained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Mode {
    /// CBC with PKCS#7 padding: `Encryptors.text`, and the body of RSA texts that are not strong.
    #[default]
    Cbc,
    /// GCM with a nonce of 16 bytes: `Encryptors.delux`, and the body of strong RSA texts.
    Gcm,
}

type Gcm = AesGcm<Aes256, U16>;

const KEY: usize = 32;
const IV: usize = 16;
const ROUNDS: u32 = 1024;

impl AesEncryptor {
    /// Derives the key. `salt` is hexadecimal in either case. This takes about a millisecond: keep the encryptor.
    ///
    /// # Errors
    ///
    /// [`CipherError::Salt`].
    pub fn new(password: &Secret, salt: &str) -> Result<Self, CipherError> {
        let salt = hex::decode(salt).map_err(|_| CipherError::Salt)?;
        if salt.is_empty() {
            return Err(CipherError::Salt);
        }
        let mut key = Zeroizing::new([0; KEY]);
        pbkdf2::pbkdf2::<Hmac<Sha1>>(password.expose().as_bytes(), &salt, ROUNDS, key.as_mut())
            .map_err(|_| CipherError::Salt)?;
        Ok(Self { key, mode: Mode::default() })
    }

    /// The same key in another mode.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The cipher text under a given IV. Use it to reproduce a known text only: equal IVs show that two texts begin
    /// alike.
    ///
    /// # Errors
    ///
    /// [`CipherError::Undecryptable`] for texts beyond the limits of the mode (GCM: 64 GiB).
    pub fn encrypt_with_iv(&self, plain: &str, iv: [u8; 16]) -> Result<String, CipherError> {
        let body = match self.mode {
            Mode::Cbc => cbc::Encryptor::<Aes256>::new((&*self.key).into(), (&iv).into())
                .encrypt_padded_vec::<Pkcs7>(plain.as_bytes()),
            Mode::Gcm => Gcm::new((&*self.key).into())
                .encrypt((&iv).into(), plain.as_bytes())
                .map_err(|_| CipherError::Undecryptable)?,
        };
        Ok(hex::encode(iv) + &hex::encode(body))
    }
}

impl TextEncryptor for AesEncryptor {
    fn encrypt(&self, plain: &str) -> Result<String, CipherError> {
        let mut iv = [0; IV];
        getrandom::fill(&mut iv).map_err(|_| CipherError::Random)?;
        self.encrypt_with_iv(plain, iv)
    }

    fn decrypt(&self, cipher_text: &str) -> Result<Secret, CipherError> {
        let bytes = hex::decode(cipher_text).map_err(|_| CipherError::NotHex)?;
        let Some((iv, body)) = bytes.split_first_chunk::<IV>() else {
            return Err(CipherError::TooShort);
        };
        // Java decrypts an IV without a body to the empty text, which encryption never produces (D-22).
        if body.is_empty() {
            return Err(CipherError::TooShort);
        }
        let plain = match self.mode {
            Mode::Cbc => cbc::Decryptor::<Aes256>::new((&*self.key).into(), iv.into())
                .decrypt_padded_vec::<Pkcs7>(body)
                .map_err(|_| CipherError::Undecryptable)?,
            Mode::Gcm => {
                Gcm::new((&*self.key).into()).decrypt(iv.into(), body).map_err(|_| CipherError::Undecryptable)?
            }
        };
        match String::from_utf8(plain) {
            Ok(text) => Ok(Secret::new(text)),
            Err(error) => {
                drop(Zeroizing::new(error.into_bytes()));
                Err(CipherError::NotUtf8)
            }
        }
    }
}

impl fmt::Debug for AesEncryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AesEncryptor").field("mode", &self.mode).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encryptor(password: &str, salt: &str) -> AesEncryptor {
        AesEncryptor::new(&password.into(), salt).unwrap()
    }

    #[test]
    fn texts_of_the_specification_are_reproduced_under_their_iv() {
        for (password, salt, plain, cipher_text) in [
            ("s3cr3t-k3y", "deadbeef", "hello", "000102030405060708090a0b0c0d0e0f6ec78c3823e8bec3cb66547ee51cf1ef"),
            (
                "s3cr3t-k3y",
                "0011223344556677",
                "hello",
                "000102030405060708090a0b0c0d0e0fb814c8f73226990e93395ace5d3d9daa",
            ),
            ("s3cr3t-k3y", "deadbeef", "", "101112131415161718191a1b1c1d1e1fa4b5d9a45618b50fdd9aba9bca51e248"),
            (
                "s3cr3t-k3y",
                "DEADBEEF",
                "exactly-16-bytes",
                "303132333435363738393a3b3c3d3e3f26efa6b227a7cc899b90683fedb58d7c63fc180f5cb770cef71c7234e2437b50",
            ),
        ] {
            let encryptor = encryptor(password, salt);
            let iv = hex::decode(&cipher_text[..32]).unwrap().try_into().unwrap();
            assert_eq!(encryptor.encrypt_with_iv(plain, iv).as_deref(), Ok(cipher_text));
            assert_eq!(encryptor.decrypt(cipher_text).unwrap().expose(), plain);
            assert_eq!(encryptor.decrypt(&cipher_text.to_uppercase()).unwrap().expose(), plain);
        }
    }

    #[test]
    fn bodies_of_rsa_texts_decrypt_in_both_modes() {
        let password: String = (0xa0..=0xafu8).map(|byte| format!("{byte:02x}")).collect();
        let iv = "0102030405060708090a0b0c0d0e0f10";
        for (salt, mode, body, plain) in [
            ("deadbeef", Mode::Cbc, "1363db8e2ab341f3c39c1add0630cadb", "rsa default cbc"),
            (
                "deadbeef",
                Mode::Gcm,
                "e548e626fc6c2628cb9a4e344ed281be0503a81c8e3cd570895396fcacd7dd",
                "rsa default gcm",
            ),
            ("cafebabe", Mode::Gcm, "c706f7763f745af444608ba0f63fa9ac688d05b24a20a854d29ddf49", "rsa oaep gcm"),
            ("6e6f742d6865782d73616c74", Mode::Cbc, "cc0f19c9ebe8062328ca7f1c02cf101c", "non-hex salt"),
        ] {
            let encryptor = encryptor(&password, salt).mode(mode);
            assert_eq!(encryptor.decrypt(&format!("{iv}{body}")).unwrap().expose(), plain);
        }
    }

    #[test]
    fn bad_input_is_an_error_that_shows_neither_text_nor_key() {
        let encryptor = encryptor("topsecretpassword", "deadbeef");
        let iv = "000102030405060708090a0b0c0d0e0f";
        for (cipher_text, expected) in [
            ("zz".to_owned(), CipherError::NotHex),
            ("0c7".to_owned(), CipherError::NotHex),
            (" 0c".to_owned(), CipherError::NotHex),
            (String::new(), CipherError::TooShort),
            (iv[2..].to_owned(), CipherError::TooShort),
            (iv.to_owned(), CipherError::TooShort),
            (format!("{iv}90"), CipherError::Undecryptable),
        ] {
            let error = encryptor.decrypt(&cipher_text).unwrap_err();
            assert_eq!(error, expected, "{cipher_text}");
            assert!(cipher_text.is_empty() || !error.to_string().contains(&cipher_text));
        }
        assert!(!format!("{encryptor:?}").contains("topsecret"));
        for salt in ["", "xyz", "abc", "é"] {
            assert_eq!(AesEncryptor::new(&"k".into(), salt).err(), Some(CipherError::Salt));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn what_was_encrypted_decrypts(plain in any::<String>(), gcm in any::<bool>()) {
            let encryptor = encryptor("k", "ab").mode(if gcm { Mode::Gcm } else { Mode::Cbc });
            let cipher_text = encryptor.encrypt(&plain).unwrap();
            let decrypted = encryptor.decrypt(&cipher_text).unwrap();
            prop_assert_eq!(decrypted.expose(), plain.as_str());
        }

        #[test]
        fn no_text_makes_it_panic(cipher_text in "[0-9a-f]{0,200}") {
            let encryptor = encryptor("k", "ab");
            let _ = encryptor.decrypt(&cipher_text);
            let _ = encryptor.mode(Mode::Gcm).decrypt(&cipher_text);
        }
    }
}
