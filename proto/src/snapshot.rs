use bytes::Bytes;
use prost::Message;

use crate::v1alpha1::Snapshot;

/// The version that `Hello` announces.
pub const PROTOCOL_VERSION: u32 = 2;
/// Payload bytes of one chunk, at most.
pub const MAX_CHUNK: usize = 1 << 20;
/// Bytes of a snapshot before compression that a proxy takes, at most: the most that an operator may be told to send.
pub const MAX_SNAPSHOT: usize = 128 << 20;
/// Bytes of its compressed frame, at most: what cannot be compressed grows a little.
pub const MAX_FRAME: usize = MAX_SNAPSHOT + MAX_CHUNK;

/// Bytes of one message of reports, at most.
pub const MAX_REPORTS: usize = 64 << 10;

#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error(
        "the snapshot is {0} bytes large, more than the {MAX_SNAPSHOT} that proxies take: remove objects"
    )]
    TooLarge(usize),
    #[error("the snapshot cannot be compressed: {0}")]
    Compress(#[source] std::io::Error),
    #[error("the snapshot cannot be decompressed, or is larger than {MAX_SNAPSHOT} bytes: {0}")]
    Decompress(#[source] std::io::Error),
    #[error("the snapshot cannot be decoded: {0}")]
    Decode(#[source] prost::DecodeError),
}

/// A zstd frame of the encoded snapshot, to be cut into chunks of [`MAX_CHUNK`].
///
/// # Errors
/// When it is larger than [`MAX_SNAPSHOT`] bytes, which no proxy would take, or when zstd lacks memory.
pub fn compress(snapshot: &Snapshot) -> Result<Bytes, SnapshotError> {
    use std::io::Write;
    let size = snapshot.encoded_len();
    if size > MAX_SNAPSHOT {
        return Err(SnapshotError::TooLarge(size));
    }
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).map_err(SnapshotError::Compress)?;
    // Piece by piece: the whole in one piece would be held a second time.
    let pieces = snapshot.upserts.iter().map(|upsert| Snapshot {
        upserts: vec![upsert.clone()],
        removals: Vec::new(),
    });
    let removals = Snapshot {
        upserts: Vec::new(),
        removals: snapshot.removals.clone(),
    };
    for piece in pieces.chain([removals]) {
        encoder
            .write_all(&piece.encode_to_vec())
            .map_err(SnapshotError::Compress)?;
    }
    encoder.finish().map(Bytes::from).map_err(SnapshotError::Compress)
}

/// The reverse of [`compress`].
///
/// # Errors
/// When the frame is broken, unpacks to more than [`MAX_SNAPSHOT`] bytes, or is no `Snapshot`.
pub fn decompress(frame: &[u8]) -> Result<Snapshot, SnapshotError> {
    use std::io::Read;
    let mut plain = Vec::new();
    let decoder = zstd::stream::read::Decoder::new(frame).map_err(SnapshotError::Decompress)?;
    decoder
        .take(MAX_SNAPSHOT as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(SnapshotError::Decompress)?;
    if plain.len() > MAX_SNAPSHOT {
        return Err(SnapshotError::Decompress(std::io::ErrorKind::FileTooLarge.into()));
    }
    Snapshot::decode(Bytes::from(plain)).map_err(SnapshotError::Decode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1alpha1::{EndpointSet, Resource, resource};

    fn mk_resource(key: &str) -> Resource {
        let set = EndpointSet { endpoints: vec![] };
        Resource {
            key: key.into(),
            resource: Some(resource::Resource::EndpointSet(set)),
            ..Resource::default()
        }
    }

    #[test]
    fn snapshot_survives_compression() {
        let snapshot = Snapshot {
            upserts: (0..500)
                .map(|n| mk_resource(&format!("k{n}")).encode_to_vec().into())
                .collect(),
            removals: vec![],
        };
        assert_eq!(decompress(&compress(&snapshot).unwrap()).unwrap(), snapshot);
    }

    #[test]
    fn broken_frames_are_refused() {
        assert!(matches!(
            decompress(b"not zstd"),
            Err(SnapshotError::Decompress(_))
        ));
        let bomb = zstd::bulk::compress(&vec![0; MAX_SNAPSHOT + 1], 1).unwrap();
        assert!(matches!(decompress(&bomb), Err(SnapshotError::Decompress(_))));
    }

    #[test]
    fn snapshots_that_no_proxy_would_take_are_not_made() {
        let snapshot = Snapshot {
            upserts: vec![vec![0; MAX_SNAPSHOT].into()],
            removals: vec![],
        };
        assert!(matches!(compress(&snapshot), Err(SnapshotError::TooLarge(_))));
    }
}
