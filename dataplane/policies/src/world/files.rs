use std::collections::BTreeMap;

use bytes::Bytes;

/// Files that steps read, named `ENTRY/PATH` within an extension.
#[derive(Clone, Debug, Default)]
pub struct Files(BTreeMap<String, BTreeMap<String, File>>);

#[derive(Clone, Debug)]
struct File {
    bytes: Bytes,
    is_private: bool,
}

// === impl Files ===

impl Files {
    /// `is_private`: it comes from a Secret, and only steps of the extension read it.
    pub fn insert(
        &mut self,
        extension: &str,
        path: impl Into<String>,
        bytes: impl Into<Bytes>,
        is_private: bool,
    ) {
        let file = File {
            bytes: bytes.into(),
            is_private,
        };
        self.0
            .entry(extension.to_owned())
            .or_default()
            .insert(path.into(), file);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Steps of an extension see its own files. All others see what is not private, of the first extension that has it.
    pub(crate) fn get(&self, extension: Option<&str>, path: &str) -> Option<&Bytes> {
        let found = match extension {
            Some(extension) => self.0.get(extension)?.get(path)?,
            None => {
                let mut all = self.0.values().filter_map(|files| files.get(path));
                all.find(|file| !file.is_private)?
            }
        };
        Some(&found.bytes)
    }

    /// Whatever has this name.
    pub(crate) fn named(&self, path: &str) -> impl Iterator<Item = &Bytes> {
        let all = self.0.values().filter_map(move |files| files.get(path));
        all.map(|file| &file.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_do_not_read_the_files_of_one_another() {
        let mut files = Files::default();
        files.insert("a", "data/x", "of a", true);
        files.insert("b", "data/x", "of b", false);
        files.insert("b", "data/y", "y", false);
        let read =
            |extension: Option<&str>, path: &str| files.get(extension, path).map(|bytes| bytes.to_vec());
        assert_eq!(read(Some("a"), "data/x").unwrap(), b"of a");
        assert_eq!(read(Some("b"), "data/x").unwrap(), b"of b");
        assert_eq!(read(Some("a"), "data/y"), None);
        assert_eq!(read(None, "data/x").unwrap(), b"of b", "the other is private");
        assert_eq!(read(None, "data/z"), None);
        assert_eq!(files.named("data/x").count(), 2);
    }
}
