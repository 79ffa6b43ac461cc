use crate::refusal::{Reason, Refused};

/// What an archive may be at most. The default is what holds without being configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the archive itself.
    pub packed: u64,
    /// Bytes of all files, zips inside included.
    pub unpacked: u64,
    /// Bytes of one file.
    pub file: u64,
    pub files: usize,
    /// Bytes of a path.
    pub path: usize,
    /// So many times its packed size a file may have.
    pub ratio: u64,
    /// Archives within one another.
    pub depth: usize,
    /// Entries of a manifest.
    pub entries: usize,
}

// === impl Limits ===

impl Limits {
    /// What limits can be raised to.
    pub const CEILING: Self = Self {
        packed: 64 << 20,
        unpacked: 256 << 20,
        file: 32 << 20,
        files: 2_000,
        path: 255,
        ratio: 100,
        depth: 3,
        entries: 64,
    };

    /// # Errors
    ///
    /// One of them is above its ceiling; the sentence has both numbers.
    pub fn check(&self) -> Result<(), Refused> {
        let top = Self::CEILING;
        let pairs = [
            ("packed", self.packed, top.packed),
            ("unpacked", self.unpacked, top.unpacked),
            ("file", self.file, top.file),
            ("files", self.files as u64, top.files as u64),
            ("path", self.path as u64, top.path as u64),
            ("ratio", self.ratio, top.ratio),
            ("depth", self.depth as u64, top.depth as u64),
            ("entries", self.entries as u64, top.entries as u64),
        ];
        for (name, is, most) in pairs {
            if is > most {
                let message = format!("limits.{name}: {is} is above the ceiling {most}");
                return Err(Reason::LimitExceeded.refuse(message));
            }
        }
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            packed: 16 << 20,
            unpacked: 64 << 20,
            ..Self::CEILING
        }
    }
}
