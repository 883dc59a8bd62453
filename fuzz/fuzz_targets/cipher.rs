//! Encrypted values: whatever stands behind `{cipher}` is decrypted or refused; what was encrypted comes back.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use vernal_commons::secret::Secret;
use vernal_config_client::cipher::text::{self, DEFAULT_SALT, TextEncryptor};
use vernal_config_client::cipher::value::CipherValue;

static KEY: LazyLock<Arc<dyn TextEncryptor>> =
    LazyLock::new(|| text::encryptor(&Secret::from("a key"), DEFAULT_SALT).expect("a usable key"));

fuzz_target!(|value: &str| {
    if let Some(parsed) = CipherValue::parse(value) {
        assert!(value.ends_with(parsed.raw_cipher_text()), "{value:?}");
        drop(KEY.decrypt(parsed.cipher_text()));
    }
    drop(KEY.decrypt(value));
    let encrypted = KEY.encrypt(value).expect("random bytes");
    let plain = KEY.decrypt(&encrypted).expect("its own text");
    assert_eq!(plain.expose(), value);
});
