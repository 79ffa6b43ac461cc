use std::borrow::Cow;

use genkan_routing::{RequestInfo, Target, canonicalize, comparable, repair_query};

use super::random::Random;

const PARTS: &[&str] = &[
    "/", "a", "B", ".", "..", "%2F", "%2f", "%2e", "%41", "%zz", "%", "%5C", "%00", "é", "%C3%A9", "\\", "!",
    "%21", "~", "*", ";", "%3b",
];

#[test]
fn a_canonical_path_stays_and_is_borrowed() {
    let mut random = Random::new(1);
    let mut accepted = 0;
    for round in 0..20_000 {
        let raw = if round % 2 == 0 {
            random.join(PARTS, 8).into_bytes()
        } else {
            random.bytes(12)
        };
        let Ok(canonical) = canonicalize(&raw) else {
            continue;
        };
        accepted += 1;
        assert!(canonical.is_ascii(), "{canonical}");
        assert!(!canonical.contains(['\\', ' ', '?', '#']), "{canonical}");
        assert!(matches!(canonicalize(canonical.as_bytes()), Ok(Cow::Borrowed(again)) if again == canonical));
    }
    assert!(accepted > 1_000, "{accepted}");
}

#[test]
fn no_accepted_path_holds_a_dot_segment_for_anybody() {
    let mut random = Random::new(2);
    for _ in 0..20_000 {
        let Ok(canonical) = canonicalize(random.join(PARTS, 8).as_bytes()).map(Cow::into_owned) else {
            continue;
        };
        let mut decoded = comparable(&canonical).into_owned();
        while let Some(at) = decoded.windows(3).position(|window| window == b"%2F") {
            decoded.splice(at..at + 3, *b"/");
        }
        // Some take parameters off first.
        let dotted = decoded
            .split(|&byte| byte == b'/')
            .filter_map(|segment| segment.split(|&byte| byte == b';').next())
            .any(|name| matches!(name, b"." | b".."));
        assert!(!dotted, "{canonical}");
    }
}

#[test]
fn an_encoded_slash_is_never_a_slash() {
    let slashes = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == b'/').count();
    let mut random = Random::new(3);
    for _ in 0..20_000 {
        let raw = random.join(PARTS, 8);
        let Ok(canonical) = canonicalize(raw.as_bytes()) else {
            continue;
        };
        assert_eq!(
            slashes(comparable(&canonical).as_ref()),
            slashes(raw.as_bytes()),
            "{raw}"
        );
    }
}

#[test]
fn nothing_panics_on_any_target() {
    let words = &[
        "/",
        "clusters",
        "api",
        "apis",
        "kapi",
        "kapis",
        "watch",
        "proxy",
        "namespaces",
        "workspaces",
        "x",
        "?",
        "&",
    ];
    let query = &[
        "?",
        "&",
        "=",
        "watch",
        "dryrun",
        "%",
        "%6",
        "+",
        ";",
        "labelSelector=kubesphere.io/workspace=w",
    ];
    let mut random = Random::new(4);
    for _ in 0..40_000 {
        let raw = format!("/{}{}", random.join(words, 9), random.join(query, 4));
        let Ok(target) = Target::parse(raw.as_bytes()) else {
            continue;
        };
        let repaired = target.query.map(repair_query);
        for method in ["GET", "DELETE", "PUT", "X"] {
            if let Ok(info) = RequestInfo::parse(method, &target.path, repaired.as_deref()) {
                assert!(info.is_resource || info.resource.is_empty(), "{raw}");
            }
        }
    }
    for _ in 0..20_000 {
        let _ = Target::parse(&random.bytes(20));
    }
}
