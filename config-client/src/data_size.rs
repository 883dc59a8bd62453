//! Sizes of data as Spring writes them: `10MB`, powers of 1024.

use std::fmt;

use serde::de::{Deserializer, Visitor};

/// A number of bytes. Reads `512B`, `1KB`, `10MB`, `2GB`, `1TB`, a bare number of bytes; case matters and one blank
/// before the unit is allowed (Spring's `DataSize`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DataSize(i64);

impl DataSize {
    /// That many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: i64) -> Self {
        Self(bytes)
    }

    /// The number of bytes; may be negative.
    #[must_use]
    pub const fn bytes(self) -> i64 {
        self.0
    }
}

impl std::str::FromStr for DataSize {
    type Err = InvalidDataSize;

    fn from_str(text: &str) -> Result<Self, InvalidDataSize> {
        let invalid = || InvalidDataSize { text: text.to_owned() };
        let trimmed = text.trim();
        let end = trimmed
            .bytes()
            .enumerate()
            .find(|(position, byte)| !(byte.is_ascii_digit() || *position == 0 && matches!(byte, b'+' | b'-')))
            .map_or(trimmed.len(), |(position, _)| position);
        let (number, unit) = trimmed.split_at(end);
        let shift = match unit.strip_prefix(' ').unwrap_or(unit) {
            "" | "B" => 0,
            "KB" => 10,
            "MB" => 20,
            "GB" => 30,
            "TB" => 40,
            _ => return Err(invalid()),
        };
        let number: i64 = number.parse().map_err(|_| invalid())?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(invalid)
    }
}

/// Why a text is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a size such as `512B`, `10MB` or `1GB` (upper case), found `{text}`")]
pub struct InvalidDataSize {
    text: String,
}

impl<'de> serde::Deserialize<'de> for DataSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = DataSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as `10MB`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<DataSize, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<DataSize, E> {
                Ok(DataSize(number))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<DataSize, E> {
                i64::try_from(number).map(DataSize).map_err(E::custom)
            }
        }

        deserializer.deserialize_string(Text)
    }
}

impl fmt::Display for DataSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}B", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_spring_reads_them() {
        for (text, bytes) in
            [("10MB", 10_485_760), ("10 MB", 10_485_760), ("10", 10), ("-1KB", -1024), ("1TB", 1 << 40)]
        {
            assert_eq!(text.parse::<DataSize>().unwrap().bytes(), bytes, "{text}");
        }
        for text in ["10mb", "512K", "1KiB", "1.5GB", "", "MB", "9999999999TB", "10  MB"] {
            assert!(text.parse::<DataSize>().is_err(), "{text}");
        }
    }
}
