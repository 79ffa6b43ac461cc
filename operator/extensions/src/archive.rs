//! Zips, zips inside zips, and what is refused about them before anything is unpacked.

mod claims;
mod directory;
mod view;

use std::collections::{BTreeMap, BTreeSet};

pub use claims::{Listing, Member, judge};
pub use view::View;

use crate::digest::hex_of;
use crate::limits::Limits;
use crate::refusal::{Reason, Refused};
use claims::Judging;
use directory::Found;

/// The files of an archive and of those inside it, unpacked.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    files: BTreeMap<Place, Vec<u8>>,
    /// In the order of the directories.
    order: Vec<Place>,
    /// Files that are called zips and are none.
    broken: BTreeSet<Place>,
    dropped: Vec<String>,
}

/// Where a file is: the zips around it, the outermost first, and its path in the last of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    within: Vec<String>,
    path: String,
}

/// The size and the sum of an archive, judged before it is read.
///
/// # Errors
///
/// It is too large, or not the archive that was expected.
pub fn weigh(bytes: u64, got: &str, want: Option<&str>, limits: &Limits) -> Result<(), Refused> {
    if bytes > limits.packed {
        let message = format!("archive: {bytes} bytes, the limit is {}", limits.packed);
        return Err(Reason::ArchiveInvalid.refuse(message));
    }
    match want {
        Some(want) if !want.eq_ignore_ascii_case(got) => {
            let message = format!("archive: sha256 is {got}, expected {want}");
            Err(Reason::DigestMismatch.refuse(message))
        }
        Some(_) | None => Ok(()),
    }
}

// === impl Archive ===

impl Archive {
    /// Reads an archive, whose SHA-256 may be known beforehand.
    ///
    /// # Errors
    ///
    /// It is too large, another one, no zip, or holds what is never taken.
    pub fn open(bytes: &[u8], sha256: Option<&str>, limits: &Limits) -> Result<Self, Refused> {
        let got = match sha256 {
            Some(_) if bytes.len() as u64 <= limits.packed => hex_of(bytes),
            Some(_) | None => String::new(),
        };
        weigh(bytes.len() as u64, &got, sha256, limits)?;
        let Some(found) = directory::read(bytes) else {
            return Err(Reason::ArchiveInvalid.refuse("archive: not a zip file"));
        };
        let mut archive = Self::default();
        let mut judging = Judging::new(limits);
        let level = archive.take(bytes, &found, &[], &mut judging)?;
        archive.look_inside(level, judging)?;
        Ok(archive)
    }

    /// One file that comes by itself, as if an archive held it.
    ///
    /// # Errors
    ///
    /// It is a zip that holds what is never taken.
    pub fn of_file(name: &str, bytes: Vec<u8>, limits: &Limits) -> Result<Self, Refused> {
        let mut archive = Self::default();
        let mut judging = Judging::new(limits);
        let size = bytes.len() as u64;
        judging.take(&[Member {
            path: Some(name.to_owned()),
            size,
            packed: size,
            ..Member::default()
        }])?;
        let place = Place {
            within: Vec::new(),
            path: name.to_owned(),
        };
        archive.files.insert(place.clone(), bytes);
        archive.order.push(place.clone());
        archive.look_inside(vec![place], judging)?;
        Ok(archive)
    }

    fn look_inside(&mut self, mut level: Vec<Place>, mut judging: Judging<'_>) -> Result<(), Refused> {
        while !level.is_empty() {
            let mut next = Vec::new();
            for place in level.into_iter().filter(|place| is_zip(&place.path)) {
                // Put back below: its members are kept beside it.
                let bytes = self.files.remove(&place).unwrap_or_default();
                match directory::read(&bytes) {
                    Some(found) => {
                        let within = place.inside();
                        next.extend(self.take(&bytes, &found, &within, &mut judging)?);
                    }
                    None => {
                        self.broken.insert(place.clone());
                    }
                }
                self.files.insert(place, bytes);
            }
            level = next;
        }
        self.dropped = judging.dropped;
        Ok(())
    }

    /// Judges all members of one zip, and then unpacks those that are kept.
    fn take(
        &mut self,
        bytes: &[u8],
        found: &[Found],
        within: &[String],
        judging: &mut Judging<'_>,
    ) -> Result<Vec<Place>, Refused> {
        let members: Vec<_> = found.iter().map(|found| found.member(within)).collect();
        let kept = judging.take(&members)?;
        let mut places = Vec::new();
        for (index, shown) in kept {
            let Some(found) = found.get(index) else {
                continue;
            };
            let content = found.unpack(bytes).map_err(|why| {
                let message = format!("archive: {shown}: {why}");
                Reason::ArchiveInvalid.refuse(message)
            })?;
            let place = Place {
                within: within.to_vec(),
                path: found.path().to_owned(),
            };
            self.files.insert(place.clone(), content);
            self.order.push(place.clone());
            places.push(place);
        }
        Ok(places)
    }

    /// Names of all files as people are shown them, those of inner zips included.
    pub fn files(&self) -> impl Iterator<Item = String> {
        self.order
            .iter()
            .map(|place| claims::shown(&place.within, &place.path))
    }

    /// Names of what nobody means to send.
    pub fn dropped(&self) -> &[String] {
        &self.dropped
    }

    /// The archive from the folder `root`, which is empty or ends in `/`.
    pub fn view(&self, root: &str) -> View<'_> {
        View::new(self, Vec::new(), root)
    }
}

// === impl Place ===

impl Place {
    /// The zips around what is in it.
    fn inside(&self) -> Vec<String> {
        let mut within = self.within.clone();
        within.push(self.path.clone());
        within
    }
}

pub(crate) fn is_zip(path: &str) -> bool {
    has_ending(path, ".zip")
}

/// Endings are compared without regard to case.
pub(crate) fn has_ending(path: &str, ending: &str) -> bool {
    let from = path.len().checked_sub(ending.len());
    from.and_then(|from| path.get(from..))
        .is_some_and(|end| end.eq_ignore_ascii_case(ending))
}

pub(crate) use claims::is_litter;
