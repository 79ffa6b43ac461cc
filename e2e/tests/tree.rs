//! Rules of the source tree that no compiler checks.

#![allow(clippy::unwrap_used, reason = "a tree that cannot be read fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

const LONGEST: usize = 800;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    sources(&workspace(), &mut found);
    assert!(found.len() > 50, "only {} source files were found", found.len());
    found
}

/// Two versions of one of these would be two worlds in one program: `deny.toml` says the same to cargo-deny.
#[test]
fn there_is_one_version_of_what_has_to_be_one() {
    let lock = fs::read_to_string(workspace().join("Cargo.lock")).unwrap();
    for name in ["h2", "http", "hyper", "rustls", "ring", "tokio"] {
        let count = lock.matches(&format!("\nname = \"{name}\"\n")).count();
        assert_eq!(count, 1, "{name} is in Cargo.lock {count} times");
    }
    for name in ["openssl-sys", "aws-lc-sys"] {
        assert!(
            !lock.contains(&format!("\nname = \"{name}\"\n")),
            "{name}: rustls with ring is the one TLS library"
        );
    }
}

#[test]
fn no_file_is_too_long() {
    let long: Vec<_> = all_sources()
        .into_iter()
        .filter(|path| fs::read_to_string(path).unwrap().lines().count() > LONGEST)
        .collect();
    assert!(long.is_empty(), "more than {LONGEST} lines: {long:?}");
}

#[test]
fn a_folder_module_stands_beside_its_folder() {
    let old: Vec<_> = all_sources()
        .into_iter()
        .filter(|path| path.ends_with("mod.rs"))
        .collect();
    assert!(
        old.is_empty(),
        "module and folder of the same name instead: {old:?}"
    );
}

#[test]
fn tests_read_nothing_outside_of_the_tree() {
    // Written in two pieces, so that this file does not find itself.
    let outside = [concat!("../", "shared"), concat!("/work", "/")];
    for path in all_sources() {
        let text = fs::read_to_string(&path).unwrap();
        for word in outside {
            assert!(!text.contains(word), "{} names {word}", path.display());
        }
    }
}

/// Pages prove what they say by tests, as links whose text is the name: `[`name`](../path)`.
#[test]
fn tests_that_pages_name_are_there() {
    let docs = workspace().join("docs");
    let mut named = 0;
    for page in fs::read_dir(&docs).unwrap() {
        let page = page.unwrap().path();
        if page.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("[`").skip(1) {
            let Some((name, rest)) = link.split_once("`](../") else {
                continue;
            };
            let Some((file, _)) = rest.split_once(')') else {
                continue;
            };
            if !file.ends_with(".rs") {
                continue;
            }
            let source = fs::read_to_string(workspace().join(file)).unwrap_or_default();
            let function = format!("fn {name}(");
            assert!(
                source.contains(&function),
                "{}: {file} has no {name}",
                page.display()
            );
            named += 1;
        }
    }
    assert!(named > 50, "only {named} tests are named");
}
