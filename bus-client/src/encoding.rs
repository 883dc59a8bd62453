//! Bodies that an estate compresses (`springCloudBusOutput.producer.compress`).

use std::borrow::Cow;
use std::io::{self, Read};

use flate2::read::{GzDecoder, ZlibDecoder};

/// Largest body after decompression.
const MAX_INFLATED: u64 = 8 << 20;

/// Why a body cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("the encoding is not known")]
    Unsupported,
    #[error("more than {MAX_INFLATED} bytes")]
    Oversize,
    #[error("not compressed as its encoding says")]
    Malformed(#[source] io::Error),
}

/// The body behind its `content_encoding`: `gzip` or `deflate`, behind which an older encoding may stand, or none. A
/// Spring 5 node loses its subscription for good on a body that is not what its encoding says.
pub(crate) fn decode<'a>(body: &'a [u8], content_encoding: Option<&str>) -> Result<Cow<'a, [u8]>, Unreadable> {
    let mut names = content_encoding.unwrap_or_default().split([',', ':']).map(str::trim);
    let is_text = |name: &str| name.is_empty() || name.eq_ignore_ascii_case("utf-8");
    let first = names.next().unwrap_or_default().to_ascii_lowercase();
    if !names.all(is_text) {
        return Err(Unreadable::Unsupported);
    }
    match first.as_str() {
        "gzip" => inflate(GzDecoder::new(body)),
        "deflate" => inflate(ZlibDecoder::new(body)),
        name if is_text(name) => Ok(Cow::Borrowed(body)),
        _ => Err(Unreadable::Unsupported),
    }
}

fn inflate<'a>(compressed: impl Read) -> Result<Cow<'a, [u8]>, Unreadable> {
    let mut body = Vec::new();
    compressed.take(MAX_INFLATED + 1).read_to_end(&mut body).map_err(Unreadable::Malformed)?;
    if body.len() as u64 > MAX_INFLATED {
        return Err(Unreadable::Oversize);
    }
    Ok(Cow::Owned(body))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn compressed_bodies_are_read() {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"{}").unwrap();
        let deflated = encoder.finish().unwrap();
        let cases: [(&[u8], Option<&str>); 6] = [
            (b"{}", None),
            (b"{}", Some("UTF-8")),
            (&gzip(b"{}"), Some("gzip")),
            (&gzip(b"{}"), Some("GZIP, UTF-8")),
            (&gzip(b"{}"), Some("gzip:utf-8")),
            (&deflated, Some("deflate")),
        ];
        for (body, encoding) in cases {
            assert_eq!(decode(body, encoding).unwrap().as_ref(), b"{}", "{encoding:?}");
        }
    }

    #[test]
    fn bombs_lies_and_unknown_encodings_are_refused() {
        let bomb = gzip(&vec![0; 9 << 20]);
        assert!(bomb.len() < 1 << 20);
        assert!(matches!(decode(&bomb, Some("gzip")), Err(Unreadable::Oversize)));
        assert!(matches!(decode(b"{}", Some("gzip")), Err(Unreadable::Malformed(_))));
        assert!(matches!(decode(&gzip(b"{}")[..12], Some("gzip")), Err(Unreadable::Malformed(_))));
        for encoding in ["br", "utf-16", "gzip, br", "utf-8, gzip"] {
            assert!(matches!(decode(b"{}", Some(encoding)), Err(Unreadable::Unsupported)), "{encoding}");
        }
    }
}
