use crate::archive::has_ending;
use crate::kind::{Deploy, EntryType, Layout};
use crate::refusal::{Reason, Refused};

use super::{Listed, Manifest, NAME};

/// The folder that is the root: empty, or ending in `/`.
pub fn root<'a>(files: impl IntoIterator<Item = &'a str>, layout: Layout) -> String {
    match layout {
        Layout::Strict => String::new(),
        Layout::Lenient => common(files).unwrap_or_default(),
    }
}

fn common<'a>(files: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut files = files.into_iter();
    let (folder, _) = files.next()?.split_once('/')?;
    let root = format!("{folder}/");
    files.all(|path| path.starts_with(&root)).then_some(root)
}

/// An archive without a manifest: scripts at its root are one entry.
pub(super) fn legacy(files: &[&str]) -> Result<Manifest, Refused> {
    let is_script = |path: &&&str| has_ending(path, ".cfg");
    let at_root = |path: &&&str| !path.contains('/');
    let scripts = files.iter().filter(at_root).filter(is_script);
    let mut scripts: Vec<String> = scripts.map(|path| (*path).to_owned()).collect();
    scripts.sort_unstable();
    if scripts.is_empty() {
        let is_manifest = |path: &&&str| path.rsplit('/').next() == Some(NAME);
        let mut message = format!("archive: neither {NAME} nor a .cfg file at its root");
        let deeper = files
            .iter()
            .find(is_manifest)
            .or_else(|| files.iter().find(is_script));
        if let Some(path) = deeper {
            message.push_str(&format!(
                "; {path} is in a folder: put it at the root, or set layout: Lenient"
            ));
        }
        return Err(Reason::NoManifest.refuse(message));
    }
    Ok(Manifest {
        entries: vec![Listed {
            name: "filestore".to_owned(),
            file: ".".to_owned(),
            kind: EntryType::Extension,
            deploy: Deploy::Deferred,
            order: 10,
            catalogs: Vec::new(),
            scripts,
        }],
        converted_from_legacy: true,
        ..Manifest::default()
    })
}
