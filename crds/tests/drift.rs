//! The checked-in definitions are what the types say.

use std::fs;
use std::path::Path;

#[test]
fn the_definitions_have_not_drifted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, content) in genkan_crds::files() {
        let path = folder.join(&name);
        if std::env::var_os("GENKAN_REWRITE").is_some() {
            fs::write(&path, &content).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == content,
            "{name} has drifted from the types; GENKAN_REWRITE=1 cargo test -p genkan-crds rewrites it"
        );
        assert!(
            content.len() < 100_000,
            "{name} is too large for a client-side apply"
        );
    }
}
