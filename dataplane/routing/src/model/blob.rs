use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// Content that several objects may refer to: it travels once and is held once, however many do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Blob {
    /// Of a CA bundle: PEM.
    #[serde(serialize_with = "text")]
    pub content: Arc<[u8]>,
}

/// Names a blob by the BLAKE3 hash of its content: what it stands for never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobKey(pub [u8; 32]);

const BLOB: &str = "Blob/";

// === impl BlobKey ===

impl BlobKey {
    /// Reads what [`Display`](fmt::Display) writes, and no other spelling of it.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(BLOB)?.as_bytes();
        let mut hash = [0; 32];
        if digits.len() != 2 * hash.len() {
            return None;
        }
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = value(pair[0])? << 4 | value(pair[1])?;
        }
        Some(Self(hash))
    }
}

/// `Blob/{hash in hexadecimal}`.
impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(BLOB)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for BlobKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn text<S: Serializer>(content: &Arc<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let mut hash = [0xab; 32];
        hash[0] = 0x09;
        let key = BlobKey(hash);
        let text = key.to_string();
        assert!(text.starts_with("Blob/09abab"), "{text}");
        assert_eq!(BlobKey::parse(&text), Some(key));
        let upper = text.to_uppercase().replace("BLOB", "Blob");
        for bad in [
            "Blob/",
            "Blob/09ab",
            "ReverseProxy/x",
            &upper,
            &format!("{text}0"),
        ] {
            assert_eq!(BlobKey::parse(bad), None, "{bad}");
        }
    }
}
