//! References in answers, to this server or another.

use crate::endpoint::Scheme;

/// How long the scheme is, without its colon.
pub(crate) fn scheme_length(reference: &[u8]) -> Option<usize> {
    let end = reference
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric() && !b"+-.".contains(byte))?;
    (reference[end] == b':' && reference[0].is_ascii_alphabetic()).then_some(end)
}

/// Do two authorities name the same host and port under this scheme? User information never matches.
pub(crate) fn same_authority(one: &[u8], scheme: Scheme, other: &str) -> bool {
    fn split(text: &[u8], scheme: Scheme) -> Option<(&[u8], u16)> {
        let colon = memchr::memrchr(b':', text).filter(|&at| memchr::memchr(b']', &text[at..]).is_none());
        let (host, port) = match colon {
            Some(at) => (&text[..at], &text[at + 1..]),
            None => (text, &text[text.len()..]),
        };
        let port = match port {
            [] => scheme.default_port(),
            digits => std::str::from_utf8(digits).ok()?.parse().ok()?,
        };
        Some((host, port))
    }
    match (split(one, scheme), split(other.as_bytes(), scheme)) {
        (Some((one, at)), Some((other, port))) => at == port && one.eq_ignore_ascii_case(other),
        _ => false,
    }
}
