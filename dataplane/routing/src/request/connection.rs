//! Header fields that belong to one connection only, and what `Connection` and `Upgrade` say of the others.

use http::HeaderName;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};

use crate::headers::{HeaderStore, HeaderView, is_hop_by_hop};
use crate::identity::{begins, spells};

/// May a `Connection` header not name this? A client could delete with it what others rely on.
pub fn forbidden_nomination(token: &str) -> bool {
    let exact = ["host", "authorization", "cdn-loop"];
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

/// Removes the fields that `Connection` names, except those that are still read after it.
pub fn remove_nominated(headers: &mut (impl HeaderView + HeaderStore)) {
    if headers.first(CONNECTION).is_none() {
        return;
    }
    let named = headers.lines(CONNECTION).flat_map(tokens);
    // What most clients say names no field that would still be there.
    let named = named
        .filter(|token| !token.eq_ignore_ascii_case(b"close") && !token.eq_ignore_ascii_case(b"keep-alive"));
    let names = named.filter_map(|token| HeaderName::from_bytes(token).ok());
    let still_read = [CONNECTION, UPGRADE, CONTENT_LENGTH, TRANSFER_ENCODING];
    let nominated: Vec<_> = names.filter(|name| !still_read.contains(name)).collect();
    nominated.iter().for_each(|name| headers.remove(name.as_str()));
}

/// Removes what concerns one connection only; the framing is left to whoever sends the message.
pub fn remove_hop_by_hop(headers: &mut impl HeaderStore) {
    headers.retain(&|name| !is_hop_by_hop(name) || name.eq_ignore_ascii_case(TRANSFER_ENCODING.as_str()));
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn mk_headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let mut headers = HeaderMap::new();
        for (name, value) in lines.iter().map(line) {
            headers.append(name, value);
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn nominated_fields_go_but_framing_stays() {
        let mut headers = mk_headers(&[
            ("connection", "X-Secret, content-length"),
            ("connection", "transfer-encoding,upgrade, te"),
            ("x-secret", "1"),
            ("x-secret", "2"),
            ("content-length", "3"),
            ("upgrade", "websocket"),
            ("te", "trailers"),
            ("x-open", "1"),
        ]);
        remove_nominated(&mut headers);
        assert_eq!(
            names(&headers),
            ["connection", "content-length", "upgrade", "x-open"]
        );
    }

    #[test]
    fn fields_of_one_connection_go() {
        let mut headers = mk_headers(&[
            ("keep-alive", "1"),
            ("proxy-authorization", "x"),
            ("trailer", "x"),
            ("transfer-encoding", "chunked"),
            ("a", "b"),
        ]);
        remove_hop_by_hop(&mut headers);
        assert_eq!(names(&headers), ["a", "transfer-encoding"]);
    }
}
