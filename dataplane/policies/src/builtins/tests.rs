use super::*;

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
