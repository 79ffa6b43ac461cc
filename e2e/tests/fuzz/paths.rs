use std::borrow::Cow;

use genkan_routing::{RequestInfo, canonicalize, comparable, repair_query};

use super::seeds;
use super::target::Target;

const PIECES: &[&str] = &[
    "/",
    "//",
    ".",
    "..",
    "/../",
    "%2F",
    "%2f",
    "%2e",
    "%2E%2e",
    "%41",
    "%zz",
    "%",
    "%5C",
    "%00",
    "é",
    "%C3%A9",
    "\\",
    "!",
    "%21",
    "~",
    "*",
    ";",
    "%3b",
    " ",
    "?",
    "&",
    "=",
    "+",
    "#",
    "@",
    "clusters/",
    "kapis/",
    "namespaces/",
    "watch/",
    "?watch=1",
    "&labelSelector=kubesphere.io/workspace=w",
];

#[test]
fn a_path_has_one_canonical_form() {
    Target {
        name: "paths",
        seeds: seeds::targets(),
        pieces: PIECES,
        judge,
        accepted: 300,
    }
    .run();
}

fn judge(raw: &[u8]) -> bool {
    let target = genkan_routing::Target::parse(raw);
    let end = raw.iter().position(|&byte| byte == b'?').unwrap_or(raw.len());
    let path = &raw[..end];
    let Ok(canonical) = canonicalize(path) else {
        assert!(target.is_err(), "a target with a path that has no canonical form");
        return false;
    };
    assert!(
        canonical.is_ascii() && !canonical.contains(['\\', ' ', '?', '#']),
        "{canonical}"
    );
    assert!(
        matches!(canonicalize(canonical.as_bytes()), Ok(Cow::Borrowed(again)) if again == canonical),
        "{canonical} is another one in canonical form"
    );
    let compared = comparable(&canonical);
    let slashes = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == b'/').count();
    assert_eq!(slashes(&compared), slashes(path), "an escaped slash is no slash");
    assert!(
        !is_dotted(&compared),
        "{canonical} has a dot segment for somebody"
    );
    let Ok(target) = target else { return false };
    assert_eq!(target.path, canonical);
    let query = target.query.map(repair_query);
    for method in ["GET", "DELETE", "PUT", "X"] {
        if let Ok(info) = RequestInfo::parse(method, &target.path, query.as_deref()) {
            assert!(info.is_resource || info.resource.is_empty(), "{canonical}");
        }
    }
    true
}

/// For readers that take an escaped slash for one, and those that take parameters off first.
fn is_dotted(compared: &[u8]) -> bool {
    let mut decoded = compared.to_vec();
    while let Some(at) = decoded.windows(3).position(|window| window == b"%2F") {
        decoded.splice(at..at + 3, *b"/");
    }
    decoded
        .split(|&byte| byte == b'/')
        .filter_map(|segment| segment.split(|&byte| byte == b';').next())
        .any(|name| matches!(name, b"." | b".."))
}
