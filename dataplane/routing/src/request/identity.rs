//! Headers that say who somebody is.

mod introduction;
mod spelling;

pub use introduction::{Introduction, Unsendable};
pub use spelling::{begins, folded, imitates_ours, spells};

/// Who calls without a credential.
pub const ANONYMOUS: &str = "system:anonymous";

/// Is this a header in which genkan tells a backend who the caller is? Clients must not send it, in any spelling that a
/// backend might read as the same name.
pub fn is_identity_header(name: &str) -> bool {
    is_user_header(name) || begins(name, "x-plugin-")
}

/// Is this one of the headers in which genkan says who the caller is?
pub fn is_user_header(name: &str) -> bool {
    let exact = ["x-remote-user", "x-remote-uid", "x-remote-group"];
    exact.iter().any(|known| spells(name, known)) || begins(name, "x-remote-extra-")
}

/// The header for an extra of the identity: what cannot stand in a name is percent-encoded, as is the percent sign.
pub fn extra_header(key: &str) -> String {
    const TOKEN: &[u8] = b"!#$&'*+-.^_`|~";
    let mut name = String::from("X-Remote-Extra-");
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || TOKEN.contains(&byte) {
            name.push(char::from(byte));
        } else {
            name.push('%');
            name.extend(
                [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])),
            );
        }
    }
    name
}

/// Does some backend take this header, wherever it comes from, for the name or the rights of a caller? genkan does not write
/// it, so it says what its sender wants.
pub fn is_trusted_elsewhere(name: &str) -> bool {
    const NAMES: [&str; 18] = [
        "authorization",
        "remote-user",
        "remote-name",
        "remote-email",
        "remote-groups",
        "x-auth-email",
        "x-auth-groups",
        "x-auth-user",
        "x-auth-username",
        "x-email",
        "x-groups",
        "x-real-ip",
        "x-roles",
        "x-user",
        "x-user-id",
        "x-username",
        "x-vouch-user",
        "x-client-cert",
    ];
    const STARTS: [&str; 17] = [
        "cf-access-authenticated-user-",
        "ssl-client-",
        "tailscale-user-",
        "x-amzn-oidc-",
        "x-auth-request-",
        "x-authenticated-",
        "x-authentik-",
        "x-forwarded-access-token",
        "x-forwarded-client-cert",
        "x-forwarded-email",
        "x-forwarded-groups",
        "x-forwarded-preferred-username",
        "x-forwarded-user",
        "x-goog-authenticated-user-",
        "x-ms-client-principal",
        "x-ssl-client-",
        "x-webauth-",
    ];
    NAMES.iter().any(|known| spells(name, known)) || STARTS.iter().any(|start| begins(name, start))
}

/// Does this header ask to act as somebody else?
pub fn is_impersonation_header(name: &str) -> bool {
    let exact = ["impersonate-user", "impersonate-uid", "impersonate-group"];
    exact.iter().any(|known| spells(name, known)) || begins(name, "impersonate-extra-")
}
