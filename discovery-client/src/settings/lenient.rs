//! Values of settings in whatever type their source has: environment variables and property files know only text.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::record::InstanceStatus;

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ScalarOrList {
    Scalar(Scalar),
    List(Vec<Scalar>),
}

impl Scalar {
    fn into_text(self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Unsigned(value) => value.to_string(),
            Self::Signed(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Text(value) => value,
        }
    }
}

pub(crate) fn scalar<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    parse(&Scalar::deserialize(deserializer)?.into_text())
}

/// Empty text counts as absent, as it does for Spring's optional texts.
pub(crate) fn optional<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = Option::<Scalar>::deserialize(deserializer)?.map(Scalar::into_text);
    text.filter(|text| !text.is_empty()).map(|text| parse(&text)).transpose()
}

pub(crate) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let map = BTreeMap::<String, Option<Scalar>>::deserialize(deserializer)?;
    Ok(map.into_iter().map(|(name, value)| (name, value.map(Scalar::into_text).unwrap_or_default())).collect())
}

/// Comma-separated texts, or lists of texts.
pub(crate) fn lists<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let map = BTreeMap::<String, ScalarOrList>::deserialize(deserializer)?;
    let join = |value| match value {
        ScalarOrList::Scalar(value) => value.into_text(),
        ScalarOrList::List(values) => values.into_iter().map(Scalar::into_text).collect::<Vec<_>>().join(","),
    };
    Ok(map.into_iter().map(|(name, value)| (name, join(value))).collect())
}

pub(crate) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match ScalarOrList::deserialize(deserializer)? {
        ScalarOrList::List(values) => values.into_iter().map(Scalar::into_text).collect(),
        ScalarOrList::Scalar(value) => {
            let text = value.into_text();
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
        }
    })
}

pub(crate) fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<InstanceStatus, D::Error> {
    let text = Scalar::deserialize(deserializer)?.into_text();
    let word = text.replace('-', "_");
    match InstanceStatus::from_word(&word) {
        InstanceStatus::Unknown if !word.eq_ignore_ascii_case("unknown") => {
            Err(D::Error::custom(format_args!("expected a status such as `UP` or `STARTING`, found `{text}`")))
        }
        status => Ok(status),
    }
}

fn parse<T: FromStr<Err: Display>, E: serde::de::Error>(text: &str) -> Result<T, E> {
    text.trim().parse().map_err(|error| E::custom(format_args!("`{text}` cannot be used: {error}")))
}
