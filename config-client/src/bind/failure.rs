//! What a binding fails with, on its way up to the type that can name the place.

use std::fmt;

use crate::error::Error;
use crate::layers::{Layers, Reading};
use crate::name::Name;
use crate::value::Origin;

/// An error of serde with the place in the settings where it arose.
#[derive(Debug)]
pub(crate) struct Failure(Box<Kind>);

#[derive(Debug)]
enum Kind {
    /// The settings themselves are at fault (an unresolvable placeholder).
    Settings(Error),
    /// A property is in no source.
    Missing { key: String, absolute: bool },
    /// A value has the wrong form.
    Wrong { place: Option<Place>, reason: String },
}

/// A property and where its value came from.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    key: String,
    origin: Option<Origin>,
}

impl Place {
    pub(crate) fn name(name: &Name) -> Self {
        Self { key: name.to_string(), origin: None }
    }

    pub(crate) fn reading(reading: &Reading) -> Self {
        Self { key: reading.key.clone(), origin: reading.origin.clone() }
    }
}

impl Failure {
    pub(crate) fn at(place: Place, reason: String) -> Self {
        Self(Box::new(Kind::Wrong { place: Some(place), reason }))
    }

    pub(crate) fn nowhere(reason: String) -> Self {
        Self(Box::new(Kind::Wrong { place: None, reason }))
    }

    pub(crate) fn missing(key: String) -> Self {
        Self(Box::new(Kind::Missing { key, absolute: true }))
    }

    pub(crate) fn is_missing(&self) -> bool {
        matches!(*self.0, Kind::Missing { .. })
    }

    /// Adds the place, if none is known yet. What a type says about a secret value may quote it, so it is dropped.
    pub(crate) fn or_at(mut self, place: Place, secret: bool) -> Self {
        if let Kind::Wrong { place: slot @ None, reason } = &mut *self.0 {
            *slot = Some(place);
            if secret {
                "the value does not have the expected form (not shown, it is secret)".clone_into(reason);
            }
        }
        self
    }

    /// Makes the name of a field that serde missed absolute.
    pub(crate) fn below(mut self, name: &Name) -> Self {
        if let Kind::Missing { key, absolute: absolute @ false } = &mut *self.0 {
            *key = name.field(key).to_string();
            *absolute = true;
        }
        self
    }

    pub(crate) fn into_error(self, layers: &Layers, prefix: &str) -> Error {
        match *self.0 {
            Kind::Settings(error) => error,
            Kind::Missing { key, .. } => {
                let marker = format!("invalid.{key}");
                match layers.find(&Name::parse(&marker), None) {
                    // The server could not decrypt it and says so under another name (config.md 3.5, D-14).
                    Some(found) => Error::Bind {
                        key,
                        origin: found.property.origin().cloned(),
                        reason: format!("the config server could not decrypt it (it sent `{marker}` instead)"),
                    },
                    None => Error::Missing { key },
                }
            }
            Kind::Wrong { place, reason } => {
                let place = place.unwrap_or_else(|| Place { key: prefix.to_owned(), origin: None });
                Error::Bind { key: place.key, origin: place.origin, reason }
            }
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(Box::new(Kind::Settings(error)))
    }
}

impl serde::de::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::nowhere(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self(Box::new(Kind::Missing { key: field.to_owned(), absolute: false }))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Settings(error) => error.fmt(f),
            Kind::Missing { key, .. } => write!(f, "missing setting `{key}`"),
            Kind::Wrong { reason, .. } => f.write_str(reason),
        }
    }
}

impl std::error::Error for Failure {}
