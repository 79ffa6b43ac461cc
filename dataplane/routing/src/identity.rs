//! Header names that say who somebody is, and those that belong to one connection only.

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

/// Does this header describe one connection, so that it is never forwarded?
pub fn is_hop_by_hop(name: &str) -> bool {
    const NAMES: [&str; 10] = [
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    ];
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// May a `Connection` header not name this? A client could delete with it what others rely on.
pub fn forbidden_nomination(token: &str) -> bool {
    let exact = ["host", "authorization"];
    exact.iter().any(|known| spells(token, known))
        || ["x-forwarded-", "impersonate-"]
            .iter()
            .any(|start| begins(token, start))
}

/// The protocols of an upgrade that genkan makes, in order: `connection` and `upgrade` are the values of all lines of these
/// headers. `None`: the request is an ordinary one.
pub fn upgrade_protocols<'a>(
    connection: impl IntoIterator<Item = &'a [u8]>,
    upgrade: impl IntoIterator<Item = &'a [u8]>,
) -> Option<Vec<&'a [u8]>> {
    let asked = connection
        .into_iter()
        .flat_map(tokens)
        .any(|token| token.eq_ignore_ascii_case(b"upgrade"));
    if !asked {
        return None;
    }
    let protocols: Vec<&[u8]> = upgrade.into_iter().flat_map(tokens).collect();
    let known = |protocol: &&[u8]| {
        protocol.eq_ignore_ascii_case(b"websocket") || protocol.eq_ignore_ascii_case(b"spdy/3.1")
    };
    (!protocols.is_empty() && protocols.iter().all(known)).then_some(protocols)
}

/// The members of a comma-separated header value, without the empty ones.
pub fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}

fn spells(name: &str, known: &str) -> bool {
    name.len() == known.len() && begins(name, known)
}

/// `start` is lower-case and written with dashes; an underscore in the name counts as one.
fn begins(name: &str, start: &str) -> bool {
    name.len() >= start.len()
        && name.bytes().zip(start.bytes()).all(|(byte, expected)| {
            byte.eq_ignore_ascii_case(&expected) || (byte == b'_' && expected == b'-')
        })
}
