//! `rejectForwardingRedirects`: does an answer of the backend send the client elsewhere?

use crate::endpoint::Scheme;
use crate::reference::{same_authority, scheme_length};

/// Does this `Location` lead away from the backend's own origin? A backslash reads as a slash, as browsers do; tabs and line
/// ends inside are dropped, blanks around it too.
pub fn leaves_origin(location: &[u8], scheme: Scheme, authority: &str) -> bool {
    let location: Vec<u8> = location
        .iter()
        .filter(|byte| !matches!(byte, b'\t' | b'\r' | b'\n'))
        .map(|&byte| if byte == b'\\' { b'/' } else { byte })
        .collect();
    let location = location.trim_ascii();
    let (target, rest) = match scheme_length(location) {
        Some(length) => {
            let named = &location[..length];
            let Some(target) = [Scheme::Http, Scheme::Https]
                .into_iter()
                .find(|known| named.eq_ignore_ascii_case(known.as_str().as_bytes()))
            else {
                return true;
            };
            (target, &location[length + 1..])
        }
        None => (scheme, location),
    };
    if target != scheme {
        return true;
    }
    let Some(rest) = rest.strip_prefix(b"//") else {
        // Without an authority: relative, unless a scheme stands in front (browsers then look for a host all the same).
        return scheme_length(location).is_some();
    };
    let end = rest
        .iter()
        .position(|byte| b"/?#".contains(byte))
        .unwrap_or(rest.len());
    !same_authority(&rest[..end], scheme, authority)
}
