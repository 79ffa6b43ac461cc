use std::time::Duration;

use super::*;

#[test]
fn durations_have_units() {
    for (text, millis) in [
        ("250ms", Some(250)),
        ("30s", Some(30_000)),
        ("1h30m", Some(5_400_000)),
        ("0s", Some(0)),
        ("", None),
        ("30", None),
        ("s", None),
        ("1 s", None),
        ("99999999999999999999s", None),
    ] {
        assert_eq!(duration(text), millis.map(Duration::from_millis), "{text}");
    }
}

#[test]
fn some_headers_are_never_set() {
    for name in [
        "X-Remote-User",
        "x_remote_user",
        "Impersonate-User",
        "Content-Length",
        "Host",
        "a b",
        "",
    ] {
        assert!(settable("with", name).is_err(), "{name}");
    }
    assert!(settable("with", "X-Tenant").is_ok());
}
