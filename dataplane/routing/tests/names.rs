//! Header names with a meaning of their own.

use genkan_routing::connection::{forbidden_nomination, upgrade_protocols};
use genkan_routing::headers::is_hop_by_hop;
use genkan_routing::identity::{is_identity_header, is_impersonation_header};
use genkan_routing::status::{Status, reason_of};

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

#[test]
fn a_connection_may_not_name_what_others_rely_on() {
    for token in [
        "Host",
        "authorization",
        "X-Forwarded-For",
        "x_forwarded_proto",
        "Impersonate-User",
        "impersonate-x",
    ] {
        assert!(forbidden_nomination(token), "{token}");
    }
    for token in ["close", "keep-alive", "X-Forwarded", "X-Set", "Hosts"] {
        assert!(!forbidden_nomination(token), "{token}");
    }
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
