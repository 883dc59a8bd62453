use std::fmt;

use sha2::Sha256;

const ROUNDS: u32 = 600_000;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// A password as it is stored: `pbkdf2-sha256$rounds$salt$hash`, salt and hash in hex.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Hashes `password` with a salt of its own. Takes tens of milliseconds of one core, on purpose.
    ///
    /// # Errors
    ///
    /// If the operating system gives no random bytes.
    pub fn new(password: &str) -> Result<Self, getrandom::Error> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt)?;
        Ok(Self(format!("pbkdf2-sha256${ROUNDS}${}${}", hex::encode(salt), hex::encode(derive(password, &salt)))))
    }

    /// The stored form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(***)")
    }
}

fn derive(password: &str, salt: &[u8]) -> [u8; HASH_BYTES] {
    let mut hash = [0; HASH_BYTES];
    pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, ROUNDS, &mut hash);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_salted_and_does_not_show_the_password() {
        let (first, second) = (PasswordHash::new("test1111").unwrap(), PasswordHash::new("test1111").unwrap());
        assert_ne!(first, second);
        assert!(!first.as_str().contains("test1111") && !format!("{first:?}").contains('$'));
        let parts: Vec<_> = first.as_str().split('$').collect();
        let salt = hex::decode(parts[2]).unwrap();
        assert_eq!(hex::encode(derive("test1111", &salt)), parts[3]);
        assert_ne!(hex::encode(derive("test1112", &salt)), parts[3]);
    }
}
