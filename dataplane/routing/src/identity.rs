//! Headers that say who somebody is.

mod introduction;

pub use introduction::{Introduction, Unsendable};

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

/// Does this header ask to act as somebody else?
pub fn is_impersonation_header(name: &str) -> bool {
    let exact = ["impersonate-user", "impersonate-uid", "impersonate-group"];
    exact.iter().any(|known| spells(name, known)) || begins(name, "impersonate-extra-")
}

pub(crate) fn spells(name: &str, known: &str) -> bool {
    name.len() == known.len() && begins(name, known)
}

/// `start` is lower-case and written with dashes; an underscore in the name counts as one.
pub(crate) fn begins(name: &str, start: &str) -> bool {
    name.len() >= start.len()
        && name.bytes().zip(start.bytes()).all(|(byte, expected)| {
            byte.eq_ignore_ascii_case(&expected) || (byte == b'_' && expected == b'-')
        })
}
