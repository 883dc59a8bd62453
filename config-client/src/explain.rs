//! Where a setting comes from.

use std::fmt;

use crate::layers::Layers;
use crate::name::{Name, looks_secret};
use crate::value::Origin;

/// Every source that has a property, the winner first. Secret values are masked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The property that was asked for.
    pub key: String,
    /// The resolved value of the winner; `None` if there is none, it is `null` or cannot be resolved.
    pub value: Option<String>,
    /// Who has the property, highest first.
    pub candidates: Vec<Candidate>,
}

/// One source that has a property.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate {
    /// The name of the source.
    pub source: String,
    /// How the source spells the property.
    pub key: String,
    /// The value before placeholders are resolved; `None` for `null`, which lets a lower source win.
    pub value: Option<String>,
    /// Where the value came from.
    pub origin: Option<Origin>,
    /// Whether this is the value that is used.
    pub wins: bool,
}

/// What a secret is shown as.
const MASK: &str = "***";

/// Explains `key`.
pub(crate) fn explain(layers: &Layers, key: &str) -> Explanation {
    let name = Name::parse(key);
    let mut wins = true;
    let mut tainted = false;
    let found = layers.candidates(&name);
    let mut candidates = Vec::with_capacity(found.len());
    for found in found {
        let value = found.property.value();
        let secret = value.is_secret() || looks_secret(found.key) || looks_secret(key);
        let text = value.as_text().map(|text| {
            // A cipher is no secret by itself, but nobody needs to read it either.
            if secret || text.starts_with("{cipher}") { MASK.to_owned() } else { text.into_owned() }
        });
        tainted |= secret;
        candidates.push(Candidate {
            source: found.source.to_owned(),
            key: found.key.to_owned(),
            wins: wins && text.is_some(),
            value: text,
            origin: found.property.origin().cloned(),
        });
        wins &= candidates.last().is_none_or(|candidate| candidate.value.is_none());
    }
    let value = match layers.value(&name, None) {
        Ok(Some(reading)) if reading.secret || tainted => Some(MASK.to_owned()),
        Ok(Some(reading)) => reading.value.as_text().map(std::borrow::Cow::into_owned),
        Ok(None) | Err(_) => None,
    };
    Explanation { key: key.to_owned(), value, candidates }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "`{}` is `{value}`", self.key)?,
            None => write!(f, "`{}` has no value", self.key)?,
        }
        for candidate in &self.candidates {
            let mark = if candidate.wins { '>' } else { ' ' };
            let value = candidate.value.as_deref().unwrap_or("null");
            write!(f, "\n{mark} {}: `{}` = `{value}`", candidate.source, candidate.key)?;
            if let Some(origin) = &candidate.origin {
                write!(f, " ({origin})")?;
            }
        }
        Ok(())
    }
}
