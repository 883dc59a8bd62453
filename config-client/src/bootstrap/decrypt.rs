//! Decryption of `{cipher}` values on this side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indexmap::IndexMap;
use vernal_commons::secret::Secret;

use crate::bind::scalar;
use crate::cipher::CipherError;
use crate::cipher::text::{DEFAULT_SALT, TextEncryptor, encryptor};
use crate::cipher::value::{CipherValue, PREFIX};
use crate::error::{DecryptFailure, Error};
use crate::layers::{Kind, Layer, Layers};
use crate::source::{Property, PropertySource, env};
use crate::value::{Origin, Value};

/// The source that holds what was decrypted, above all others (Spring's `AbstractEnvironmentDecrypt`).
pub(crate) const DECRYPTED: &str = "decrypted";

/// The encryptor of `encrypt.key` and `encrypt.salt`, or why there is none.
#[derive(Clone)]
pub(crate) struct Key(Result<Arc<dyn TextEncryptor>, CipherError>);

impl Key {
    /// The key that the sources hold.
    pub(crate) fn read(layers: &Layers) -> Result<Self, Error> {
        let Some(key) = layers.text("encrypt.key")? else { return Ok(Self(Err(CipherError::NoKey))) };
        let salt = layers.text("encrypt.salt")?.unwrap_or_else(|| DEFAULT_SALT.to_owned());
        Ok(Self(encryptor(&Secret::new(key), &salt)))
    }

    /// Decrypts one value, which begins with `{cipher}`.
    pub(crate) fn decrypt(&self, key: &str, origin: Option<&Origin>, value: &str) -> Result<Secret, Error> {
        self.attempt(value).map_err(|reason| {
            let failure = DecryptFailure { key: key.to_owned(), origin: origin.cloned(), reason: reason.to_string() };
            Error::Decrypt { failures: vec![failure] }
        })
    }

    fn attempt(&self, value: &str) -> Result<Secret, CipherError> {
        let encryptor = self.0.as_ref().map_err(|error| *error)?;
        let text = CipherValue::parse(value).map_or(value, |parsed| parsed.cipher_text());
        encryptor.decrypt(text)
    }
}

/// Decrypts what is encrypted in `layers` (highest first): a new top layer holds the results, `None` if there are
/// none. A value that cannot be decrypted is an error, or vanishes if `encrypt.fail-on-error` is `false`
/// (deviation D-15: Java makes it the empty text); the texts of the second result say which.
pub(crate) fn decrypt(layers: &mut [Layer], read: &Layers) -> Result<(Option<Layer>, Vec<String>), Error> {
    let switched =
        |key: &str| -> Result<Option<bool>, Error> { Ok(read.text(key)?.as_deref().and_then(scalar::boolean)) };
    if switched("spring.cloud.decrypt-environment-post-processor.enabled")? == Some(false) {
        return Ok((None, Vec::new()));
    }
    let wanted = collect(layers);
    if wanted.is_empty() {
        return Ok((None, Vec::new()));
    }
    let key = Key::read(read)?;
    let mut decrypted = PropertySource::new(DECRYPTED);
    let mut failures = Vec::new();
    for (name, wanted) in &wanted {
        let Some(text) = wanted.property.value().as_str().filter(|text| text.starts_with(PREFIX)) else {
            decrypted.insert(name.clone(), wanted.property.clone());
            continue;
        };
        match key.attempt(text) {
            Ok(plain) => {
                decrypted.insert(name.clone(), wanted.property.with_value(Value::Secret(plain)));
            }
            Err(reason) => failures.push((
                wanted,
                DecryptFailure {
                    key: name.clone(),
                    origin: wanted.property.origin().cloned(),
                    reason: reason.to_string(),
                },
            )),
        }
    }
    let mut warnings = Vec::new();
    if !failures.is_empty() {
        if switched("encrypt.fail-on-error")? != Some(false) {
            return Err(Error::Decrypt { failures: failures.into_iter().map(|(_, failure)| failure).collect() });
        }
        for (wanted, failure) in &failures {
            warnings.push(format!("cannot decrypt {failure}"));
            if let Some(layer) = layers.get_mut(wanted.layer) {
                layer.source.remove(&wanted.key);
            }
        }
    }
    let layer = (!decrypted.is_empty()).then(|| Layer::properties(decrypted));
    Ok((layer, warnings))
}

struct Wanted {
    layer: usize,
    key: String,
    property: Property,
}

/// What has to be decrypted, by name: from the lowest source to the highest, a plain value takes back a cipher of
/// the same name below it, unless it is an element of a list; of a list with a cipher all elements of that source
/// are taken along, so that the list stays whole (recorded: `resolve/decrypt-*`).
fn collect(layers: &[Layer]) -> IndexMap<String, Wanted> {
    let mut wanted: IndexMap<String, Wanted> = IndexMap::new();
    for (position, layer) in layers.iter().enumerate().rev() {
        let mut elements: BTreeMap<String, Vec<(String, Wanted)>> = BTreeMap::new();
        let mut lists: BTreeSet<String> = BTreeSet::new();
        for (key, property) in layer.source.iter() {
            if property.value().is_null() {
                continue;
            }
            let name = match layer.kind {
                Kind::Environment => env::property_name(key).unwrap_or_else(|| key.to_owned()),
                Kind::Properties | Kind::Random => key.to_owned(),
            };
            let list = list_of(&name).map(str::to_owned);
            let is_cipher = property.value().as_str().is_some_and(|text| text.starts_with(PREFIX));
            let entry = Wanted { layer: position, key: key.to_owned(), property: property.clone() };
            match list {
                _ if is_cipher => {
                    lists.extend(list);
                    wanted.insert(name, entry);
                }
                Some(list) => elements.entry(list).or_default().push((name, entry)),
                None => {
                    wanted.shift_remove(&name);
                }
            }
        }
        wanted.extend(elements.into_iter().filter(|(list, _)| lists.contains(list)).flat_map(|(_, entries)| entries));
    }
    wanted
}

/// The list that `a.b[0]` or `a.b[0].c` belongs to: `a.b`.
fn list_of(name: &str) -> Option<&str> {
    let (list, rest) = name.split_once('[')?;
    let (index, behind) = rest.split_once(']')?;
    let is_index = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
    (is_index && (behind.is_empty() || behind.starts_with(['.', '[']))).then_some(list)
}
