//! Clients of traits that extend others: `#[feign_client("..")] trait OrderClient: HealthApi`, where `HealthApi` is
//! `#[feign_client(base)]`.
//!
//! The attribute on `OrderClient` cannot see the methods of `HealthApi`, so `HealthApi`'s own expansion implements it,
//! for `Extended<K>` of every kind `K` that says it extends it. How can one trait's attribute name what another's has
//! generated? By a constant of the trait's name: constants and traits live in different name spaces, and whoever
//! imports the trait imports both.

use std::fmt;
use std::marker::PhantomData;

use crate::client::{Client, FeignClient};
use crate::meta::{ClientMeta, MethodMeta};

/// A client whose trait has bases: a call handle and which client it is.
pub struct Extended<K: ?Sized> {
    client: Client,
    kind: PhantomData<fn() -> Box<K>>,
}

/// Which client an [`Extended`] is.
pub trait Kind: 'static {
    /// The client's description: its own methods, then those of its bases.
    fn meta() -> ClientMeta;
}

/// Says that a client's trait has a certain base, with these arguments as a tuple.
#[diagnostic::on_unimplemented(message = "the trait of this client does not extend that base")]
pub trait Extends<const BASE: u64, Arguments> {
    /// The position of the base's first method in the client's description.
    const FIRST: usize;
}

/// What a base gives to the clients that extend it.
#[derive(Debug, Clone, Copy)]
pub struct BaseMeta {
    id: u64,
    count: usize,
    methods: fn(&mut Vec<MethodMeta>),
}

// ===== impl Extended =====

impl<K: ?Sized> Extended<K> {
    /// The handle by which methods are called. Not a method itself: the trait may have one of that name.
    #[must_use]
    pub fn client(extended: &Self) -> &Client {
        &extended.client
    }
}

impl<K: ?Sized> Clone for Extended<K> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), kind: PhantomData }
    }
}

impl<K: ?Sized> fmt::Debug for Extended<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Extended").field(&self.client).finish()
    }
}

impl<K: Kind> FeignClient for Extended<K> {
    fn meta() -> ClientMeta {
        K::meta()
    }

    fn from_client(client: Client) -> Self {
        Self { client, kind: PhantomData }
    }
}

// ===== impl BaseMeta =====

impl BaseMeta {
    /// A base that stands at `place`, with so many methods.
    #[must_use]
    pub const fn new(place: &str, count: usize, methods: fn(&mut Vec<MethodMeta>)) -> Self {
        Self { id: fingerprint(place.as_bytes()), count, methods }
    }

    /// Tells bases apart. Two with one number would only make a client implement more than it should.
    #[must_use]
    pub const fn id(self) -> u64 {
        self.id
    }

    /// The number of methods.
    #[must_use]
    pub const fn count(self) -> usize {
        self.count
    }

    /// Appends the base's methods.
    #[must_use]
    pub fn add_to(self, mut meta: ClientMeta) -> ClientMeta {
        (self.methods)(&mut meta.methods);
        meta
    }
}

/// FNV-1a.
const fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_at_different_places_have_different_numbers() {
        let at = |place| BaseMeta::new(place, 0, |_| {}).id();
        assert_ne!(at("shop::HealthApi:3:1"), at("shop::InfoApi:9:1"));
        assert_eq!(at("shop::HealthApi:3:1"), at("shop::HealthApi:3:1"));
    }
}
