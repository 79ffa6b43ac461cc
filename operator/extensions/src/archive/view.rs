use super::claims::{is_litter, shown};
use super::{Archive, Place};

/// One zip of an archive, from one of its folders.
#[derive(Clone, Debug)]
pub struct View<'a> {
    archive: &'a Archive,
    within: Vec<String>,
    root: String,
}

// === impl View ===

impl<'a> View<'a> {
    pub(super) fn new(archive: &'a Archive, within: Vec<String>, root: &str) -> Self {
        Self {
            archive,
            within,
            root: root.to_owned(),
        }
    }

    /// Paths of its files, not of those in zips inside.
    pub fn paths(&self) -> impl Iterator<Item = &'a str> {
        self.archive
            .order
            .iter()
            .filter(|place| place.within == self.within)
            .filter_map(|place| place.path.strip_prefix(self.root.as_str()))
            .filter(|path| !is_litter(path))
    }

    /// Those that stand in no folder.
    pub fn roots(&self) -> impl Iterator<Item = &'a str> {
        self.paths().filter(|path| !path.contains('/'))
    }

    pub fn get(&self, path: &str) -> Option<&'a [u8]> {
        self.archive.files.get(&self.place(path)).map(Vec::as_slice)
    }

    /// The name that people are shown.
    pub fn shown(&self, path: &str) -> String {
        shown(&self.within, &format!("{}{path}", self.root))
    }

    /// The zip at that path; `None`: it is none.
    pub fn inside(&self, path: &str) -> Option<View<'a>> {
        let place = self.place(path);
        let is_zip = super::is_zip(path)
            && self.archive.files.contains_key(&place)
            && !self.archive.broken.contains(&place);
        is_zip.then(|| Self::new(self.archive, place.inside(), ""))
    }

    fn place(&self, path: &str) -> Place {
        Place {
            within: self.within.clone(),
            path: format!("{}{path}", self.root),
        }
    }
}
