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

/// A part of a file of an extension, which is cut into pieces of [`ChunkKey::LARGEST`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkKey {
    /// SHA-256 of the whole file.
    pub file: [u8; 32],
    /// From 0 on.
    pub index: u32,
}

const BLOB: &str = "Blob/";

// === impl BlobKey ===

impl BlobKey {
    /// Reads what [`Display`](fmt::Display) writes, and no other spelling of it.
    pub fn parse(text: &str) -> Option<Self> {
        hash(text.strip_prefix(BLOB)?).map(Self)
    }
}

// === impl ChunkKey ===

impl ChunkKey {
    /// Bytes of every piece but the last.
    pub const LARGEST: usize = 512 << 10;

    /// The keys of all pieces of a file.
    pub fn all(file: [u8; 32], length: u64) -> impl Iterator<Item = Self> {
        let pieces = length.div_ceil(Self::LARGEST as u64);
        (0..u32::try_from(pieces).unwrap_or(u32::MAX)).map(move |index| Self { file, index })
    }

    /// Reads what [`Display`](fmt::Display) writes, and no other spelling of it.
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, index) = text.strip_prefix(BLOB)?.split_once('/')?;
        let key = Self {
            file: hash(digits)?,
            index: index.parse().ok()?,
        };
        (key.index.to_string() == index).then_some(key)
    }
}

/// `Blob/{SHA-256 of the file}/{number of the piece}`.
impl fmt::Display for ChunkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", BlobKey(self.file), self.index)
    }
}

impl Serialize for ChunkKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// 64 small hexadecimal digits.
pub(super) fn hash(digits: &str) -> Option<[u8; 32]> {
    let digits = digits.as_bytes();
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
    Some(hash)
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

    #[test]
    fn pieces_of_files_are_named_by_the_file_and_their_number() {
        let key = ChunkKey {
            file: [0xab; 32],
            index: 12,
        };
        let text = key.to_string();
        assert!(text.starts_with("Blob/abab") && text.ends_with("ab/12"), "{text}");
        assert_eq!(ChunkKey::parse(&text), Some(key));
        assert_eq!(BlobKey::parse(&text), None);
        for bad in [
            text.replace("/12", ""),
            text.replace("/12", "/012"),
            text.replace("/12", "/-1"),
            text.replace("/12", "/1/2"),
        ] {
            assert_eq!(ChunkKey::parse(&bad), None, "{bad}");
        }
        let many = |length| ChunkKey::all([0; 32], length).count();
        let one = ChunkKey::LARGEST as u64;
        assert_eq!([0, 1, one, one + 1].map(many), [0, 1, 1, 2]);
    }
}
