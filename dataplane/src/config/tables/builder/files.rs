//! Entries of extensions with their files, the large ones of which come in pieces.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use genkan_routing::model::policy::LargeFile;
use genkan_routing::model::{Blob, ChunkKey, ExtensionEntry};
use ring::digest;

/// Pieces of files that were sent.
#[derive(Debug, Default)]
pub(super) struct Chunks(HashMap<ChunkKey, Blob>);

/// An entry, and what its steps read.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) entry: Arc<ExtensionEntry>,
    /// By path.
    pub(super) files: Vec<(String, Bytes)>,
}

// === impl Chunks ===

impl Chunks {
    pub(super) fn insert(&mut self, key: ChunkKey, piece: Blob) {
        self.0.insert(key, piece);
    }

    pub(super) fn remove(&mut self, key: &ChunkKey) {
        self.0.remove(key);
    }

    /// An entry with all its files.
    ///
    /// # Errors
    /// The first file that is not whole, in one sentence.
    pub(super) fn complete(&self, entry: &Arc<ExtensionEntry>) -> Result<Arc<Held>, String> {
        let mut files: Vec<(String, Bytes)> = entry
            .files()
            .map(|(path, bytes)| (path.to_owned(), bytes.into()))
            .collect();
        for (path, file) in &entry.large_files {
            let bytes = self.join(file).map_err(|why| format!("the file {path} {why}"))?;
            files.push((path.clone(), bytes));
        }
        let entry = Arc::clone(entry);
        Ok(Arc::new(Held { entry, files }))
    }

    fn join(&self, file: &LargeFile) -> Result<Bytes, &'static str> {
        let keys: Vec<ChunkKey> = file.chunks().collect();
        let mut bytes = Vec::new();
        for key in &keys {
            let piece = self.0.get(key).ok_or("has not come whole")?;
            bytes.extend_from_slice(&piece.content);
        }
        let digest = digest::digest(&digest::SHA256, &bytes);
        let is_it = keys.first().is_some_and(|key| digest.as_ref() == key.file);
        match is_it && bytes.len() as u64 == file.length {
            true => Ok(bytes.into()),
            false => Err("is not what its digest says"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_file(bytes: &[u8]) -> (LargeFile, Vec<(ChunkKey, Blob)>) {
        let digest = digest::digest(&digest::SHA256, bytes);
        let sha256 = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let length = bytes.len() as u64;
        let file = LargeFile { sha256, length };
        let pieces = bytes.chunks(ChunkKey::LARGEST).map(|piece| Blob {
            content: piece.into(),
        });
        let pieces = file.chunks().zip(pieces).collect();
        (file, pieces)
    }

    #[test]
    fn a_file_is_whole_when_all_its_pieces_are_there() {
        let bytes: Vec<u8> = (0..ChunkKey::LARGEST as u32 + 7)
            .map(|at| (at % 251) as u8)
            .collect();
        let (file, pieces) = mk_file(&bytes);
        assert_eq!(pieces.len(), 2);
        let mut entry = ExtensionEntry::default();
        entry.files.insert("small".into(), "QQ==".into());
        entry.large_files.insert("large".into(), file);

        let entry = Arc::new(entry);
        let mut chunks = Chunks::default();
        for (key, piece) in pieces.iter().cloned() {
            let missing = chunks.complete(&entry).unwrap_err();
            assert_eq!(missing, "the file large has not come whole");
            chunks.insert(key, piece);
        }
        let held = chunks.complete(&entry).unwrap();
        assert_eq!(held.files[0], ("small".to_owned(), Bytes::from_static(b"A")));
        assert_eq!(held.files[1], ("large".to_owned(), Bytes::from(bytes)));

        // What it is said to be is looked at, not believed.
        let (key, _) = pieces[1];
        let content = b"another".as_slice().into();
        chunks.insert(key, Blob { content });
        let wrong = chunks.complete(&entry).unwrap_err();
        assert_eq!(wrong, "the file large is not what its digest says");
        chunks.remove(&key);
        assert!(chunks.complete(&entry).is_err());
    }
}
