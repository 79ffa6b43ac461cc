//! Which header names a backend may take for the same one.
//!
//! Case never counts. Servers that hand header fields to programs as variables (CGI and its kin: WSGI, Rack, PHP) write an
//! underscore for a dash, PHP also for a dot, and some for every byte that is neither letter nor digit. So all of these are
//! one byte here, and what is guarded is guarded in each spelling.

/// What every backend takes a byte of a name for, at the widest.
pub fn folded(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() {
        byte.to_ascii_lowercase()
    } else {
        b'-'
    }
}

/// Is `name` the header `known`, for some backend? `known` is lower-case and written with dashes.
pub fn spells(name: &str, known: &str) -> bool {
    name.len() == known.len() && begins(name, known)
}

/// Does `name` begin with `start`, for some backend? `start` is lower-case and written with dashes.
pub fn begins(name: &str, start: &str) -> bool {
    name.len() >= start.len()
        && name
            .bytes()
            .zip(start.bytes())
            .all(|(byte, expected)| folded(byte) == expected)
}

/// Is this a header that genkan writes for backends, in a spelling that is not genkan's? Some would read both as one.
pub fn imitates_ours(name: &str) -> bool {
    const OURS: [&str; 6] = [
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-proto",
        "x-forwarded-uri",
    ];
    begins(name, "x-forwarded-")
        && OURS
            .iter()
            .any(|own| spells(name, own) && !name.eq_ignore_ascii_case(own))
}
