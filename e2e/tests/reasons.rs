//! Every reason that genkan gives is explained in docs/troubleshooting.md.

#![allow(clippy::unwrap_used, reason = "a tree that cannot be read fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../docs/troubleshooting.md");

/// Capitalised words in the data plane's source that are no reasons.
const OTHERS: &[&str] = &[
    // Reasons of a Kubernetes Status, which its code decides.
    "BadRequest",
    "Conflict",
    "ExpectationFailed",
    "Failure",
    "Forbidden",
    "Gone",
    "HTTPVersionNotSupported",
    "MethodNotAllowed",
    "NotAcceptable",
    "NotFound",
    "NotImplemented",
    "RequestEntityTooLarge",
    "RequestHeaderFieldsTooLarge",
    "RequestURITooLong",
    "ServiceUnavailable",
    "Timeout",
    "TooManyRequests",
    "Unauthorized",
    "UnsupportedMediaType",
    // Kinds.
    "APIGroup",
    "APIGroupList",
    "APIService",
    "Cluster",
    "Global",
    "Namespace",
    "ReverseProxy",
    "Status",
    "SubjectAccessReview",
    "TokenReview",
    "Workspace",
    // Headers and what stands in them.
    "Allow",
    "Authorization",
    "Bearer",
    "Connection",
    "Cookie",
    "Host",
    "Location",
    "Upgrade",
    "WebSocket",
    // Networks in the registries of special-purpose addresses.
    "Benchmarking",
    "Documentation",
    "Loopback",
    "ORCHIDv2",
    "Reserved",
    // Errors of libraries, by which a reason is chosen.
    "CaUsedAsEndEntity",
    "InvalidChunk",
    "InvalidContentType",
    "InvalidTrailerEnd",
    "NoApplicationProtocol",
    "NotValidForName",
    "NotValidYet",
    "PrematureBodyEnd",
    "UnknownIssuer",
    // Names of types, for Debug.
    "Front",
    "FrontConfig",
    "LinkRewriter",
    "Material",
    "Nothing",
    "Pair",
    "Question",
    "Recovery",
    "SealedSecret",
    "SecretValue",
    "ServerOptions",
    "Shipment",
    "System",
    "Time",
    "Token",
];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            sources(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
}

/// Words such as `NoRouteMatched` that stand alone in quotes.
fn quoted_words(text: &str) -> BTreeSet<String> {
    text.split('"')
        .filter(|word| {
            word.starts_with(|first: char| first.is_ascii_uppercase())
                && word.chars().all(|c| c.is_ascii_alphanumeric())
                && word.contains(|c: char| c.is_ascii_lowercase())
        })
        .map(str::to_owned)
        .collect()
}

fn explained(word: &str) -> bool {
    PAGE.contains(&format!("`{word}`"))
}

#[test]
fn every_reason_of_a_condition_is_explained() {
    let text = fs::read_to_string(workspace().join("crds/src/condition.rs")).unwrap();
    let (_, after) = text.split_once("pub mod reason {").unwrap();
    let (module, _) = after.split_once("\n}\n").unwrap();
    let reasons = quoted_words(module);
    assert!(reasons.len() > 15, "{reasons:?}");
    let missing: Vec<_> = reasons.iter().filter(|reason| !explained(reason)).collect();
    assert!(missing.is_empty(), "not in docs/troubleshooting.md: {missing:?}");
}

#[test]
fn every_reason_of_an_answer_is_explained() {
    let mut files = Vec::new();
    sources(&workspace().join("dataplane/src"), &mut files);
    sources(&workspace().join("dataplane/routing/src"), &mut files);
    sources(&workspace().join("proto/src"), &mut files);
    let mut words = BTreeSet::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        // Only what the program says.
        words.extend(quoted_words(text.split("#[cfg(test)]").next().unwrap()));
    }
    assert!(words.contains("NoRouteMatched"), "{words:?}");
    let unknown: Vec<_> = words
        .iter()
        .filter(|word| !OTHERS.contains(&word.as_str()) && !explained(word))
        .collect();
    assert!(
        unknown.is_empty(),
        "reasons that docs/troubleshooting.md does not explain, or words to be listed here: {unknown:?}"
    );
}
