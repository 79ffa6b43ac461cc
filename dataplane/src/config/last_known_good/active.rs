//! Which revisions of extensions were active, in a file beside the configuration that they are of.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use genkan_routing::model::policy::ActiveRevisions;

const NAME: &str = "extensions";

/// Nothing where there is none. Whoever begins with nothing takes what is to be restored.
///
/// # Errors
/// When there is one and it cannot be read.
pub(super) fn read(folder: &Path) -> io::Result<ActiveRevisions> {
    match std::fs::read(folder.join(NAME)) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ActiveRevisions::default()),
        Err(error) => Err(error),
    }
}

/// In the place of the file that was, at once.
pub(super) fn write(folder: &Path, active: &ActiveRevisions) -> io::Result<()> {
    let (path, unfinished) = (folder.join(NAME), folder.join(NAME).with_extension("unfinished"));
    let options = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .clone();
    let mut file = options.open(&unfinished)?;
    file.write_all(&serde_json::to_vec(active)?)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, &path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).unwrap().is_empty());
        for revision in ["corp-1", ""] {
            let active = ActiveRevisions::from([("corp".to_owned(), revision.to_owned())]);
            write(folder.path(), &active).unwrap();
            assert_eq!(read(folder.path()).unwrap(), active);
        }
        std::fs::write(folder.path().join(NAME), "{").unwrap();
        assert!(read(folder.path()).is_err());
    }
}
