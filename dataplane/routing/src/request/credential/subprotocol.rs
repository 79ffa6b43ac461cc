//! A token among the subprotocols of a WebSocket, as Kubernetes defines it for browsers, which can set no other header.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use http::header::SEC_WEBSOCKET_PROTOCOL;

use crate::connection::tokens;
use crate::headers::{HeaderStore, HeaderView};

/// Why the subprotocols carry no token that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAToken {
    #[error("Sec-WebSocket-Protocol holds several tokens; send one")]
    Several,
    #[error("the token in Sec-WebSocket-Protocol is not base64url without padding")]
    Encoding,
    #[error(
        "Sec-WebSocket-Protocol holds nothing but a token; name the subprotocol of the backend as well, for the token is taken out"
    )]
    Alone,
}

const PREFIX: &[u8] = b"base64url.bearer.authorization.k8s.io.";

/// The token, if there is one.
///
/// # Errors
/// When what is there breaks the rules of Kubernetes.
pub(super) fn token(headers: &impl HeaderView) -> Result<Option<String>, NotAToken> {
    let (mut found, mut others) = (None, false);
    for protocol in all(headers) {
        match protocol.strip_prefix(PREFIX) {
            Some(_) if found.is_some() => return Err(NotAToken::Several),
            Some(encoded) => found = Some(encoded),
            None => others = true,
        }
    }
    let Some(encoded) = found else { return Ok(None) };
    let decoded = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| NotAToken::Encoding)?;
    let token = String::from_utf8(decoded).map_err(|_| NotAToken::Encoding)?;
    if others {
        Ok(Some(token))
    } else {
        Err(NotAToken::Alone)
    }
}

/// Takes the token out; the backend chooses among the others.
pub(super) fn remove(headers: &mut (impl HeaderView + HeaderStore)) {
    let is_meant = |protocol: &&[u8]| protocol.starts_with(PREFIX);
    if !all(headers).any(|protocol| is_meant(&protocol)) {
        return;
    }
    let others: Vec<&[u8]> = all(headers).filter(|protocol| !is_meant(protocol)).collect();
    let kept = HeaderValue::from_bytes(&others.join(&b", "[..]));
    headers.remove(SEC_WEBSOCKET_PROTOCOL.as_str());
    if let Some(kept) = kept.ok().filter(|kept| !kept.is_empty()) {
        headers.put("Sec-WebSocket-Protocol", kept);
    }
}

fn all(headers: &impl HeaderView) -> impl Iterator<Item = &[u8]> {
    headers.lines(SEC_WEBSOCKET_PROTOCOL).flat_map(tokens)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn mk_headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            HeaderStore::append(&mut headers, SEC_WEBSOCKET_PROTOCOL.as_str(), line.as_bytes());
        }
        headers
    }

    const JANE: &str = "base64url.bearer.authorization.k8s.io.dG9rLWphbmU";

    #[test]
    fn token_is_read_beside_another_subprotocol() {
        let of = |lines: &[&str]| token(&mk_headers(lines));
        assert_eq!(
            of(&[&format!("v4.channel.k8s.io, {JANE}")]),
            Ok(Some("tok-jane".into()))
        );
        assert_eq!(of(&[JANE, "graphql-ws"]), Ok(Some("tok-jane".into())));
        assert_eq!(of(&["graphql-ws"]), Ok(None));
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&[JANE]), Err(NotAToken::Alone));
        assert_eq!(of(&[JANE, JANE, "x"]), Err(NotAToken::Several));
        assert_eq!(
            of(&["base64url.bearer.authorization.k8s.io.dG9r=, x"]),
            Err(NotAToken::Encoding)
        );
        assert_eq!(
            of(&["base64url.bearer.authorization.k8s.io._w, x"]),
            Err(NotAToken::Encoding)
        );
        assert_eq!(
            of(&["Base64url.Bearer.authorization.k8s.io.dG9r, x"]),
            Ok(None),
            "spelled exactly"
        );
    }

    #[test]
    fn token_goes_and_the_others_stay_in_order() {
        let mut headers = mk_headers(&["b,  a", JANE, "c"]);
        remove(&mut headers);
        assert_eq!(headers[SEC_WEBSOCKET_PROTOCOL], "b, a, c");
        let mut untouched = mk_headers(&["b,  a"]);
        remove(&mut untouched);
        assert_eq!(untouched[SEC_WEBSOCKET_PROTOCOL], "b,  a");
        let mut alone = mk_headers(&[JANE]);
        remove(&mut alone);
        assert!(!alone.contains_key(SEC_WEBSOCKET_PROTOCOL));
    }
}
