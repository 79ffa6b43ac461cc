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

/// Every crate, and those of the workspace that it may stand on, in tests too.
const DIRECTIONS: &[(&str, &[&str])] = &[
    ("crds", &[]),
    ("dataplane/accept", &[]),
    ("dataplane/routing", &[]),
    ("dataplane/callers", &["routing"]),
    ("e2e/kit", &[]),
    ("proto", &["routing"]),
    ("dataplane/probe", &["routing"]),
    ("dataplane/rego", &["routing"]),
    ("dataplane/policies", &["rego", "routing"]),
    ("operator/extensions", &["routing"]),
    (
        "operator/compile",
        &[
            "crds",
            "extensions",
            "policies",
            "probe",
            "proto",
            "rego",
            "routing",
        ],
    ),
    (
        "operator/tools",
        &[
            "accept",
            "compile",
            "crds",
            "extensions",
            "policies",
            "probe",
            "rego",
            "routing",
        ],
    ),
    (
        "operator",
        &[
            "accept",
            "callers",
            "compile",
            "crds",
            "extensions",
            "proto",
            "routing",
            "tools",
        ],
    ),
    (
        "dataplane",
        &[
            "accept", "callers", "kit", "policies", "probe", "proto", "rego", "routing",
        ],
    ),
    (
        "e2e",
        &[
            "crds",
            "kit",
            "proto",
            "routing",
            "compile",
            "tools",
            "operator",
            "dataplane",
        ],
    ),
];

/// What a crate must do without.
const WITHOUT: &[(&str, &[&str])] = &[
    ("crds", &["tokio", "tonic", "hyper"]),
    ("dataplane", &["kube", "k8s-openapi"]),
    (
        "dataplane/callers",
        &["kube", "k8s-openapi", "tonic", "pingora-core"],
    ),
    (
        "dataplane/policies",
        &[
            "kube",
            "k8s-openapi",
            "prost",
            "tokio",
            "tonic",
            "hyper",
            "pingora-core",
        ],
    ),
    (
        "dataplane/routing",
        &["kube", "k8s-openapi", "prost", "tokio", "tonic", "hyper", "rand"],
    ),
    (
        "operator/compile",
        &[
            "kube", "prost", "tokio", "tonic", "hyper", "futures", "tracing", "rand",
        ],
    ),
    (
        "operator/extensions",
        &[
            "kube",
            "k8s-openapi",
            "jiff",
            "prost",
            "tokio",
            "tonic",
            "hyper",
            "rand",
        ],
    ),
    ("proto", &["kube", "k8s-openapi", "tokio"]),
];

/// Names in some tables of a manifest.
fn dependencies(folder: &str, tables: &[&str]) -> Vec<String> {
    let text = fs::read_to_string(workspace().join(folder).join("Cargo.toml")).unwrap();
    let mut found = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if let Some(table) = line.strip_prefix('[') {
            inside = tables.contains(&table.trim_end_matches(']'));
        } else if inside && let Some(end) = line.find([' ', '.', '=']) {
            found.push(line[..end].to_owned());
        }
    }
    assert!(!found.is_empty(), "{folder} depends on nothing");
    found
}

#[test]
fn crates_stand_on_those_below_them_alone() {
    let members = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let members = members.split("members = [").nth(1).unwrap();
    let members = members.split(']').next().unwrap().split(',');
    let mut members: Vec<_> = members.map(|member| member.trim().trim_matches('"')).collect();
    members.retain(|member| !member.is_empty());
    members.sort_unstable();
    let mut known: Vec<_> = DIRECTIONS.iter().map(|(folder, _)| *folder).collect();
    known.sort_unstable();
    assert_eq!(members, known, "every crate of the workspace has its place");
    for (folder, may) in DIRECTIONS {
        let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
        for name in dependencies(folder, &tables) {
            let ours = name.strip_prefix("genkan-");
            assert!(
                ours.is_none_or(|ours| may.contains(&ours)),
                "{folder} stands on {name}"
            );
        }
    }
}

#[test]
fn pure_crates_have_no_client_and_no_runtime() {
    for (folder, without) in WITHOUT {
        for name in dependencies(folder, &["dependencies"]) {
            assert!(!without.contains(&name.as_str()), "{folder} depends on {name}");
        }
    }
}

/// With the lint on, a new kind is named by the compiler in every place that it concerns.
#[test]
fn no_crate_that_matches_on_kinds_may_wave_new_ones_through() {
    for root in [
        "operator",
        "operator/compile",
        "operator/extensions",
        "operator/tools",
        "proto",
    ] {
        let text = fs::read_to_string(workspace().join(root).join("src/lib.rs")).unwrap();
        let lint = "#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]";
        assert!(text.contains(lint), "{root}/src/lib.rs lacks {lint}");
    }
}
