//! Members that never make a document unreadable: a value of the wrong type counts as absent.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A text, number or boolean, whichever of them it is written as.
#[derive(Debug)]
pub(super) struct Scalar<T>(pub(super) Option<T>);

/// What a [`Scalar`] can hold.
pub(super) trait FromScalar: Sized {
    fn from_text(text: &str) -> Option<Self>;

    fn from_number(number: u64) -> Option<Self> {
        Self::from_text(&number.to_string())
    }
}

/// A list, or the single element that old servers write in its place.
#[derive(Debug)]
pub(super) struct OneOrMany<T>(pub(super) Vec<T>);

/// A map of texts without Java's `@class`.
#[derive(Debug, Default)]
pub(super) struct Texts(pub(super) BTreeMap<String, String>);

/// Names the member that is being read, if it is one of the list.
struct KnownName(&'static [&'static str]);

/// The methods of a visitor for values that count as absent.
macro_rules! absent {
    ($($method:ident($type:ty)),*) => {
        $(fn $method<E>(self, _: $type) -> Result<Self::Value, E> {
            Ok(Default::default())
        })*

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Default::default())
        }
    };
    (seq) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Default::default())
        }
    };
    (scalars) => {
        absent!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));
    };
}

/// An object whose unknown members are skipped; of a repeated member the last one counts.
macro_rules! object {
    ($name:ident { $($field:ident: $type:ty = $key:literal,)* }) => {
        #[derive(Debug, Default)]
        pub(super) struct $name {
            $(pub(super) $field: $type,)*
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Members;

                impl<'de> Visitor<'de> for Members {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        let mut object = $name::default();
                        while let Some(name) = map.next_key_seed(KnownName(&[$($key),*]))? {
                            match name {
                                $(Some($key) => object.$field = map.next_value()?,)*
                                _ => drop(map.next_value::<IgnoredAny>()?),
                            }
                        }
                        Ok(object)
                    }

                    absent!(scalars);
                    absent!(seq);
                }

                deserializer.deserialize_any(Members)
            }
        }
    };
}

object!(ApplicationsRoot { applications: Option<ApplicationsMembers> = "applications", });
object!(ApplicationRoot { application: Option<ApplicationMembers> = "application", });
object!(InstanceRoot { instance: Option<InstanceMembers> = "instance", });
object!(ApplicationsMembers {
    version: Scalar<i64> = "versions__delta",
    hash: Scalar<String> = "apps__hashcode",
    application: OneOrMany<ApplicationMembers> = "application",
});
object!(ApplicationMembers {
    name: Scalar<String> = "name",
    instance: OneOrMany<InstanceMembers> = "instance",
});
object!(InstanceMembers {
    instance_id: Scalar<String> = "instanceId",
    host_name: Scalar<String> = "hostName",
    app: Scalar<String> = "app",
    app_group: Scalar<String> = "appGroupName",
    ip_addr: Scalar<String> = "ipAddr",
    status: Scalar<String> = "status",
    overridden_status: Scalar<String> = "overriddenStatus",
    legacy_overridden_status: Scalar<String> = "overriddenstatus",
    port: PortMembers = "port",
    secure_port: PortMembers = "securePort",
    data_center: DataCenterMembers = "dataCenterInfo",
    lease: LeaseMembers = "leaseInfo",
    metadata: Texts = "metadata",
    home_page_url: Scalar<String> = "homePageUrl",
    status_page_url: Scalar<String> = "statusPageUrl",
    health_check_url: Scalar<String> = "healthCheckUrl",
    secure_health_check_url: Scalar<String> = "secureHealthCheckUrl",
    vip_address: Scalar<String> = "vipAddress",
    secure_vip_address: Scalar<String> = "secureVipAddress",
    coordinating_server: Scalar<bool> = "isCoordinatingDiscoveryServer",
    asg_name: Scalar<String> = "asgName",
    last_updated_timestamp: Scalar<u64> = "lastUpdatedTimestamp",
    last_dirty_timestamp: Scalar<u64> = "lastDirtyTimestamp",
    action: Scalar<String> = "actionType",
});
object!(PortMembers {
    number: Scalar<u16> = "$",
    enabled: Scalar<bool> = "@enabled",
});
object!(DataCenterMembers {
    class: Scalar<String> = "@class",
    name: Scalar<String> = "name",
    metadata: Texts = "metadata",
});
object!(LeaseMembers {
    renewal_interval: Scalar<u32> = "renewalIntervalInSecs",
    duration: Scalar<u32> = "durationInSecs",
});

impl<'de> DeserializeSeed<'de> for KnownName {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KnownName {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().copied().find(|known| *known == name))
    }
}

impl<T> Default for Scalar<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: FromScalar> Deserialize<'de> for Scalar<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyScalar<T>(PhantomData<T>);

        impl<'de, T: FromScalar> Visitor<'de> for AnyScalar<T> {
            type Value = Scalar<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, a number or a boolean")
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Scalar(T::from_text(text)))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Scalar(T::from_text(if value { "true" } else { "false" })))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Scalar(T::from_number(number)))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Scalar(T::from_text(&number.to_string())))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Scalar(T::from_text(&number.to_string())))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Scalar(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar(None))
            }

            absent!(seq);
        }

        deserializer.deserialize_any(AnyScalar(PhantomData))
    }
}

impl FromScalar for String {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl FromScalar for bool {
    fn from_text(text: &str) -> Option<Self> {
        match text.trim() {
            text if text.eq_ignore_ascii_case("true") => Some(true),
            text if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {
        $(impl FromScalar for $type {
            fn from_text(text: &str) -> Option<Self> {
                text.trim().parse().ok()
            }

            fn from_number(number: u64) -> Option<Self> {
                number.try_into().ok()
            }
        })*
    };
}

numbers!(u16, u32, u64, i64);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list or an object")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    elements.push(element);
                }
                Ok(OneOrMany(elements))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Ok(OneOrMany(vec![T::deserialize(MapAccessDeserializer::new(map))?]))
            }

            absent!(scalars);
        }

        deserializer.deserialize_any(Elements(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut texts = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Scalar<String>>()? {
                    if let Some(value) = value.0.filter(|_| name != "@class") {
                        texts.insert(name, value);
                    }
                }
                Ok(Texts(texts))
            }

            absent!(scalars);
            absent!(seq);
        }

        deserializer.deserialize_any(Entries)
    }
}
