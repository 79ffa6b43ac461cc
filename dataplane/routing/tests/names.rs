//! Header names with a meaning of their own.

#![allow(clippy::unwrap_used)]

use genkan_routing::answer::{Status, reason_of};
use genkan_routing::connection::{forbidden_nomination, upgrade_protocols};
use genkan_routing::headers::{is_hop_by_hop, is_reserved};
use genkan_routing::identity::{
    imitates_ours, is_identity_header, is_impersonation_header, is_trusted_elsewhere, is_user_header,
};

#[test]
fn identity_headers_are_known_in_every_spelling() {
    for name in [
        "X-Remote-User",
        "x_remote_user",
        "X-REMOTE_Uid",
        "x-remote-group",
        "X_Remote-Extra_scopes",
        "x-plugin-token",
        "X_PLUGIN_x",
        "X.Remote.User",
        "x.remote-group",
        "X-Remote.Extra.Scopes",
        "X~Remote+Uid",
        "X.Plugin.User",
    ] {
        assert!(is_identity_header(name), "{name}");
    }
    for name in [
        "X-Remote-Users",
        "X-Remote-Addr",
        "X-Remote-Extra",
        "X-Remote",
        "X-Plugin",
        "Remote-User",
        "X-RemoteUser",
        "",
    ] {
        assert!(!is_identity_header(name), "{name}");
    }
}

#[test]
fn impersonation_headers_are_known_in_every_spelling() {
    for name in [
        "Impersonate-User",
        "impersonate_uid",
        "IMPERSONATE-Group",
        "impersonate_extra-acme.io%2fx",
        "Impersonate.User",
        "impersonate!extra|x",
    ] {
        assert!(is_impersonation_header(name), "{name}");
    }
    for name in [
        "Impersonates-User",
        "Impersonate-Users",
        "Impersonate",
        "Impersonate-Extra",
    ] {
        assert!(!is_impersonation_header(name), "{name}");
    }
}

/// Every name that `name` may be spelled as: all its dashes as the same byte, of all that a name may hold.
fn spellings(name: &str) -> impl Iterator<Item = String> {
    let bytes = "!#$%&'*+-.^_`|~".chars();
    bytes.flat_map(move |byte| {
        let spelt = name.replace('-', &byte.to_string());
        [spelt.to_uppercase(), spelt]
    })
}

#[test]
fn the_policy_guards_what_the_data_plane_guards() {
    const POLICY: &str = "../../charts/genkan/templates/policies/_policy.tpl";
    let policy =
        std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(POLICY)).unwrap();
    let rule = policy
        .lines()
        .find(|line| line.contains("variables.headers.exists("))
        .unwrap();
    let pattern = rule.split_once(".matches(\"").unwrap().1;
    let pattern = pattern.split_once("\")").unwrap().0.replace("\\\\", "\\");
    let pattern = regex::Regex::new(&pattern).unwrap();
    for known in [
        "X-Remote-User",
        "X-Remote-Group",
        "X-Remote-Uid",
        "X-Remote-Extra-a",
        "Impersonate-User",
        "Impersonate-Extra-a",
    ] {
        for name in spellings(known) {
            assert!(is_user_header(&name) || is_impersonation_header(&name), "{name}");
            for item in [format!("{name} root"), format!("+{name} root")] {
                assert!(pattern.is_match(&item), "{item}");
            }
        }
    }
    for item in [
        "X-Team shop",
        "X-Remote shop",
        "XRemote-User shop",
        "-X-Remote-User",
        "Impersonated shop",
    ] {
        assert!(!pattern.is_match(item), "{item}");
    }
}

#[test]
fn headers_of_ours_are_known_beside_their_own_spelling() {
    for known in [
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Prefix",
    ] {
        for name in spellings(known) {
            assert_eq!(imitates_ours(&name), !name.eq_ignore_ascii_case(known), "{name}");
        }
    }
    for name in ["X-Forwarded", "X_Forwarded_User", "X_Forwarded_Fora", "Forwarded"] {
        assert!(!imitates_ours(name), "{name}");
    }
}

#[test]
fn headers_that_backends_trust_are_known() {
    for name in [
        "X-Forwarded-User",
        "X-WEBAUTH-USER",
        "Remote-User",
        "REMOTE_USER",
        "Authorization",
        "X.Auth.Request.Email",
    ] {
        assert!(is_trusted_elsewhere(name), "{name}");
    }
    for name in ["X-Team", "X-Forwarded-For", "Remote", "User-Agent", "X-Users"] {
        assert!(!is_trusted_elsewhere(name), "{name}");
    }
}

#[test]
fn a_connection_may_not_name_what_others_rely_on() {
    for token in [
        "Host",
        "authorization",
        "X-Forwarded-For",
        "x_forwarded_proto",
        "Impersonate-User",
        "impersonate-x",
        "CDN-Loop",
        "x.forwarded.for",
    ] {
        assert!(forbidden_nomination(token), "{token}");
    }
    for token in ["close", "keep-alive", "X-Forwarded", "X-Set", "Hosts"] {
        assert!(!forbidden_nomination(token), "{token}");
    }
    assert!(is_reserved("cdn-LOOP") && !is_reserved("CDN-Loops"));
    assert!(is_hop_by_hop("TE") && is_hop_by_hop("HTTP2-Settings") && !is_hop_by_hop("Te-x"));
}

#[test]
fn only_two_protocols_are_upgraded_to() {
    let ask = |connection: &[&str], upgrade: &[&str]| {
        let lines = |lines: &[&str]| {
            lines
                .iter()
                .map(|line| line.as_bytes().to_vec())
                .collect::<Vec<_>>()
        };
        let (connection, upgrade) = (lines(connection), lines(upgrade));
        upgrade_protocols(
            connection.iter().map(Vec::as_slice),
            upgrade.iter().map(Vec::as_slice),
        )
        .is_some()
    };
    assert!(ask(&["keep-alive, UPGRADE"], &["Spdy/3.1"]));
    assert!(ask(&["close", "upgrade"], &["websocket, SPDY/3.1"]));
    assert!(ask(&["upgrade"], &["websocket", "WebSocket"]));
    for (connection, upgrade) in [
        (&["upgrade"][..], &["h2c"][..]),
        (&["upgrade"], &["websocket, h2c"]),
        (&["upgrade"], &["websocket", "h2c"]),
        (&["upgrade"], &[","]),
        (&["upgrade"], &[]),
        (&["upgrade-now"], &["websocket"]),
        (&[], &["websocket"]),
    ] {
        assert!(!ask(connection, upgrade), "{connection:?} {upgrade:?}");
    }
}

#[test]
fn a_status_is_what_kubernetes_clients_read() {
    let status = Status::new(502, "a \"message\"");
    let expected = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"a \"message\"","reason":"Bad Gateway","code":502}"#;
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(parse(&status.to_json()), parse(expected));
    assert_eq!(reason_of(511), "Network Authentication Required");
}
