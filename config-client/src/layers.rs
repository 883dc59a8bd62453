//! Property sources one above the other, with an index over their names.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;
use crate::name::{Name, looks_secret};
use crate::placeholder::{self, Unknown};
use crate::random_value;
use crate::source::{Property, PropertySource, env};
use crate::value::{Origin, Value};

/// Values of `random.*`, kept for as long as the process's settings live, so that a refresh reports no phantom
/// change (deviation D-19: Java draws anew on every access).
pub(crate) type RandomCache = Arc<Mutex<HashMap<(String, String), String>>>;

/// How many values of `random.*` are kept.
const MAX_RANDOM: usize = 100_000;

/// All property sources of one state of the settings, highest first. Immutable.
#[derive(Default)]
pub(crate) struct Layers {
    layers: Vec<Layer>,
    /// Canonical name to the places that hold it, highest first.
    index: BTreeMap<String, Vec<Place>>,
    /// How many of `layers` rank above `random.*`.
    above_random: usize,
    random: RandomCache,
}

/// One property source.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub(crate) source: PropertySource,
    pub(crate) kind: Kind,
    /// Keys whose value is a JSON object: there, but without a text.
    pub(crate) objects: BTreeSet<String>,
}

/// What the keys of a source look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Property names.
    Properties,
    /// Names of environment variables.
    Environment,
    /// Not a source: marks the rank of `random.*`.
    Random,
}

#[derive(Debug, Clone)]
struct Place {
    layer: usize,
    key: Arc<str>,
    name: Arc<Name>,
}

/// A property that was found, before its placeholders are resolved.
#[derive(Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) layer: usize,
    pub(crate) source: &'a str,
    pub(crate) key: &'a str,
    pub(crate) property: &'a Property,
    object: bool,
}

/// A property below a name.
pub(crate) struct Below<'a> {
    /// Its own name.
    pub(crate) name: &'a Name,
    /// How many elements of it stand for the name above: more than that has, if a variable spells a dash `_`.
    pub(crate) at: usize,
    pub(crate) found: Found<'a>,
}

/// A property whose placeholders are resolved.
#[derive(Clone)]
pub(crate) struct Reading {
    pub(crate) value: Value,
    pub(crate) key: String,
    pub(crate) origin: Option<Origin>,
    pub(crate) secret: bool,
}

// ===== impl Layers =====

impl Layers {
    /// Stacks `layers`, highest first.
    pub(crate) fn new(layers: Vec<Layer>, random: RandomCache) -> Self {
        let above_random = layers.iter().position(|layer| layer.kind == Kind::Random).unwrap_or(layers.len());
        let layers: Vec<_> = layers.into_iter().filter(|layer| layer.kind != Kind::Random).collect();
        let mut index: BTreeMap<String, Vec<Place>> = BTreeMap::new();
        for (position, layer) in layers.iter().enumerate() {
            for key in layer.source.keys() {
                let name = match layer.kind {
                    Kind::Environment => env::property_name(key).map_or_else(|| Name::parse(key), |n| Name::parse(&n)),
                    Kind::Properties | Kind::Random => Name::parse(key),
                };
                let place = Place { layer: position, key: key.into(), name: Arc::new(name) };
                index.entry(place.name.canonical()).or_default().push(place);
            }
        }
        Self { layers, index, above_random, random }
    }

    /// The sources, highest first.
    pub(crate) fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Every property of this name, highest source first; within one source the spelling of `name` first.
    pub(crate) fn candidates(&self, name: &Name) -> Vec<Found<'_>> {
        let spelling = name.to_string();
        let mut places: Vec<&Place> = self.index.get(&name.canonical()).into_iter().flatten().collect();
        if let Some(legacy) = name.legacy_canonical() {
            let in_environment = |place: &&Place| self.layers[place.layer].kind == Kind::Environment;
            places.extend(self.index.get(&legacy).into_iter().flatten().filter(in_environment));
        }
        if !name.is_relaxed() {
            // `${a:b}` is looked up whole before it is split; it must find a property `a:b` and not `ab`.
            places.retain(|place| *place.key == *spelling);
        }
        places.sort_by_key(|place| (place.layer, *place.key != *spelling));
        places.into_iter().filter_map(|place| self.found(place)).collect()
    }

    /// The winning property of this name, in the source at position `only` if that is given. `null` is passed over.
    pub(crate) fn find(&self, name: &Name, only: Option<usize>) -> Option<Found<'_>> {
        self.candidates(name)
            .into_iter()
            .find(|found| only.is_none_or(|only| found.layer == only) && !found.property.value().is_null())
    }

    /// The value of `name`, placeholders resolved; one that cannot be resolved is an error.
    pub(crate) fn value(&self, name: &Name, only: Option<usize>) -> Result<Option<Reading>, Error> {
        match self.find(name, only) {
            Some(found) => self.resolve(found).map(Some),
            None => Ok(self.random(&name.to_string(), "").map(|text| Reading {
                value: Value::Text(text),
                key: name.to_string(),
                origin: Some(Origin::source_only("random")),
                secret: false,
            })),
        }
    }

    /// The text of `name`, placeholders resolved.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Error> {
        let value = self.value(&Name::parse(name), None)?;
        Ok(value.and_then(|value| value.value.as_text().map(std::borrow::Cow::into_owned)))
    }

    /// The value of a property that was found.
    pub(crate) fn resolve(&self, found: Found<'_>) -> Result<Reading, Error> {
        let origin = found.property.origin().cloned();
        if found.object {
            let reason = "the value is a JSON object, expected a scalar".to_owned();
            return Err(Error::Bind { key: found.key.to_owned(), origin, reason });
        }
        let secret = found.property.value().is_secret() || looks_secret(found.key);
        let value = match found.property.value().as_str() {
            Some(text) if text.contains("${") => {
                let lookup = Within { layers: self, owner: found.key };
                let resolved = placeholder::resolve(text, Unknown::Refuse, &lookup).map_err(|reason| {
                    Error::Placeholder { key: found.key.to_owned(), origin: origin.clone(), reason }
                })?;
                let secret = secret || resolved.secret;
                let value = if resolved.secret || found.property.value().is_secret() {
                    Value::Secret(resolved.text.into())
                } else {
                    Value::Text(resolved.text)
                };
                return Ok(Reading { value, key: found.key.to_owned(), origin, secret });
            }
            _ => found.property.value().clone(),
        };
        Ok(Reading { value, key: found.key.to_owned(), origin, secret })
    }

    /// `text` with its placeholders resolved.
    pub(crate) fn resolve_text(&self, text: &str, unknown: Unknown) -> Result<String, Error> {
        let lookup = Within { layers: self, owner: text };
        placeholder::resolve(text, unknown, &lookup)
            .map(|resolved| resolved.text)
            .map_err(|reason| Error::Placeholder { key: String::new(), origin: None, reason })
    }

    /// Whether `name` or anything below it is in a source (in the one at `only`, if that is given).
    pub(crate) fn contains(&self, name: &Name, only: Option<usize>) -> bool {
        self.find(name, only).is_some() || self.below(name, only).next().is_some()
    }

    /// The properties below `name` that are not `null`, in the order of their canonical names; of one name the
    /// highest source first.
    pub(crate) fn below<'a>(&'a self, name: &Name, only: Option<usize>) -> impl Iterator<Item = Below<'a>> + use<'a> {
        let (first, end) = Name::range_below(&name.canonical());
        let at = name.len();
        let plain = self.index.range(first..end).flat_map(|(_, places)| places).map(move |place| (place, at));
        let legacy = name.legacy_canonical().map(|legacy| (Name::range_below(&legacy), Name::count(&legacy)));
        let legacy = legacy
            .into_iter()
            .flat_map(|((first, end), at)| self.index.range(first..end).map(move |(_, places)| (places, at)))
            .flat_map(|(places, at)| places.iter().map(move |place| (place, at)))
            .filter(|(place, _)| self.layers[place.layer].kind == Kind::Environment);
        plain
            .chain(legacy)
            .filter(move |(place, _)| only.is_none_or(|only| place.layer == only))
            .filter_map(|(place, at)| Some(Below { name: &place.name, at, found: self.found(place)? }))
            .filter(|below| !below.found.property.value().is_null())
    }

    /// Every name with its winning property.
    pub(crate) fn winners(&self) -> impl Iterator<Item = (&str, &Name, Found<'_>)> {
        self.index.iter().filter_map(|(canonical, places)| {
            places.iter().find_map(|place| {
                let found = self.found(place)?;
                (!found.property.value().is_null()).then_some((canonical.as_str(), &*place.name, found))
            })
        })
    }

    fn found<'a>(&'a self, place: &'a Place) -> Option<Found<'a>> {
        let layer = self.layers.get(place.layer)?;
        Some(Found {
            layer: place.layer,
            source: layer.source.name(),
            key: &place.key,
            property: layer.source.get(&place.key)?,
            object: layer.objects.contains(&*place.key),
        })
    }

    fn random(&self, name: &str, owner: &str) -> Option<String> {
        let wanted = name.strip_prefix("random.")?;
        let mut known = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = (owner.to_owned(), name.to_owned());
        if let Some(text) = known.get(&slot) {
            return Some(text.clone());
        }
        let text = random_value::draw(wanted)?;
        // The texts that programs resolve have no bound; the properties of a state have.
        if known.len() < MAX_RANDOM {
            known.insert(slot, text.clone());
        }
        Some(text)
    }
}

/// What names stand for inside the value of the property `owner`.
struct Within<'a> {
    layers: &'a Layers,
    owner: &'a str,
}

impl placeholder::Lookup for Within<'_> {
    fn find(&self, name: &str) -> Option<(String, bool)> {
        let found = self.layers.find(&Name::parse(name), None);
        let above = |found: &Found<'_>| found.layer < self.layers.above_random;
        if name.starts_with("random.") && !found.as_ref().is_some_and(above) {
            return self.layers.random(name, self.owner).map(|text| (text, false));
        }
        let found = found?;
        if found.object {
            return None;
        }
        let value = found.property.value();
        let secret = value.is_secret() || looks_secret(found.key);
        Some((value.as_text()?.into_owned(), secret))
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.layers.iter().map(|layer| layer.source.name())).finish()
    }
}

// ===== impl Layer =====

impl Layer {
    /// A source of property names.
    pub(crate) const fn properties(source: PropertySource) -> Self {
        Self { source, kind: Kind::Properties, objects: BTreeSet::new() }
    }

    /// A source of environment variables.
    pub(crate) const fn environment(source: PropertySource) -> Self {
        Self { source, kind: Kind::Environment, objects: BTreeSet::new() }
    }

    /// The rank of `random.*`.
    pub(crate) fn random() -> Self {
        Self { source: PropertySource::new("random"), kind: Kind::Random, objects: BTreeSet::new() }
    }
}
