use bytes::Bytes;
use genkan_proto::v1alpha1::{Snapshot, SnapshotChunk};
use genkan_proto::{Hash, MAX_CHUNK, MAX_FRAME, SnapshotError, decompress};

/// Puts the chunks of a snapshot together.
#[derive(Debug, Default)]
pub struct Assembly {
    nonce: u64,
    next: u32,
    base: Option<Hash>,
    hash: Vec<u8>,
    frame: Vec<u8>,
}

/// A snapshot that has arrived whole.
#[derive(Debug)]
pub struct Complete {
    pub snapshot: Snapshot,
    /// What it is a change to; `None`: it is everything.
    pub base: Option<Hash>,
    pub hash: Vec<u8>,
    /// The snapshot as it came.
    pub frame: Bytes,
}

#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    #[error("chunk {got} of snapshot {nonce} came where chunk {expected} was due")]
    Order { nonce: u64, expected: u32, got: u32 },
    #[error("a chunk is larger than {MAX_CHUNK} bytes")]
    Chunk,
    #[error("a snapshot is larger than {MAX_FRAME} bytes")]
    TooLarge,
    #[error("the base of a change is no hash")]
    Base,
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

// === impl Assembly ===

impl Assembly {
    /// # Errors
    /// When the chunk does not continue what has arrived; the assembly is empty afterwards.
    pub fn add(&mut self, chunk: SnapshotChunk) -> Result<Option<Complete>, AssemblyError> {
        let result = self.take(chunk);
        if !matches!(result, Ok(None)) {
            *self = Self::default();
        }
        result
    }

    fn take(&mut self, chunk: SnapshotChunk) -> Result<Option<Complete>, AssemblyError> {
        if self.next == 0 {
            self.base = match chunk.base_hash.as_slice() {
                [] => None,
                base => Some(Hash::read(base).ok_or(AssemblyError::Base)?),
            };
            self.nonce = chunk.nonce;
            self.hash = chunk.new_hash;
        }
        if chunk.nonce != self.nonce || chunk.index != self.next {
            let Self {
                nonce,
                next: expected,
                ..
            } = *self;
            return Err(AssemblyError::Order {
                nonce,
                expected,
                got: chunk.index,
            });
        }
        if chunk.payload.len() > MAX_CHUNK {
            return Err(AssemblyError::Chunk);
        }
        if self.frame.len() + chunk.payload.len() > MAX_FRAME {
            return Err(AssemblyError::TooLarge);
        }
        self.next += 1;
        self.frame.extend_from_slice(&chunk.payload);
        if !chunk.last {
            return Ok(None);
        }
        let snapshot = decompress(&self.frame)?;
        Ok(Some(Complete {
            snapshot,
            base: self.base,
            hash: std::mem::take(&mut self.hash),
            frame: std::mem::take(&mut self.frame).into(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use genkan_proto::compress;

    use super::*;

    fn mk_chunk(index: u32, last: bool, payload: &[u8]) -> SnapshotChunk {
        let payload = payload.to_vec().into();
        SnapshotChunk {
            nonce: 7,
            index,
            last,
            payload,
            new_hash: vec![1],
            ..Default::default()
        }
    }

    #[test]
    fn chunks_are_joined_in_order() {
        let frame = compress(&Snapshot::default()).unwrap();
        let mut assembly = Assembly::default();
        for _ in 0..2 {
            assert!(assembly.add(mk_chunk(0, false, &frame[..3])).unwrap().is_none());
            let complete = assembly.add(mk_chunk(1, true, &frame[3..])).unwrap().unwrap();
            assert_eq!(
                (complete.snapshot, &complete.hash[..]),
                (Snapshot::default(), &[1][..])
            );
        }
    }

    #[test]
    fn gaps_strangers_and_giants_are_refused() {
        let mut assembly = Assembly::default();
        assert!(matches!(
            assembly.add(mk_chunk(1, true, b"x")),
            Err(AssemblyError::Order { .. })
        ));
        assembly.add(mk_chunk(0, false, b"x")).unwrap();
        let other = SnapshotChunk {
            nonce: 8,
            ..mk_chunk(1, false, b"x")
        };
        assert!(matches!(assembly.add(other), Err(AssemblyError::Order { .. })));
        let delta = SnapshotChunk {
            base_hash: vec![1],
            ..mk_chunk(0, true, b"x")
        };
        assert!(matches!(assembly.add(delta), Err(AssemblyError::Base)));
        assert!(matches!(
            assembly.add(mk_chunk(0, true, &[0; MAX_CHUNK + 1])),
            Err(AssemblyError::Chunk)
        ));
        assert!(matches!(
            assembly.add(mk_chunk(0, true, b"x")),
            Err(AssemblyError::Snapshot(_))
        ));
        let full = u32::try_from(MAX_FRAME / MAX_CHUNK).unwrap();
        for index in 0..full {
            assembly.add(mk_chunk(index, false, &[0; MAX_CHUNK])).unwrap();
        }
        assert!(matches!(
            assembly.add(mk_chunk(full, false, b"x")),
            Err(AssemblyError::TooLarge)
        ));
    }
}
