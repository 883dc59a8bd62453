use std::fmt;

use pbkdf2::{Algorithm, Params};

const PARAMS: Params = Params::RECOMMENDED;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// A password as it is stored: `pbkdf2-sha256$rounds$salt$hash`, salt and hash in hex.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Hashes `password` with a salt of its own. Takes a tenth of a second of one core, on purpose.
    ///
    /// # Errors
    ///
    /// If the operating system gives no random bytes.
    pub fn new(password: &str) -> Result<Self, getrandom::Error> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt)?;
        let (rounds, hash) = (PARAMS.rounds(), derive(password, &salt));
        Ok(Self(format!("pbkdf2-sha256${rounds}${}${}", hex::encode(salt), hex::encode(hash))))
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
    // Not the generic function: that one would be compiled here, without optimisation, and take seconds.
    pbkdf2::pbkdf2_hmac_with_params(password.as_bytes(), salt, Algorithm::Pbkdf2Sha256, PARAMS, &mut hash);
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
