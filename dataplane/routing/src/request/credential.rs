//! Where a request shows who calls, and what of that no backend is to see.

mod cookie;
mod subprotocol;

use crate::answer::reason;
use std::borrow::Cow;

use http::HeaderName;
use http::header::AUTHORIZATION;

use crate::answer::Refused;
use crate::headers::{HeaderStore, HeaderView};

pub use cookie::{is_by_browser, is_of_another_site, value as cookie_value};

/// Where a request may carry a token, as far as that is configured.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The name of a cookie whose value counts as bearer token.
    pub cookie: Option<String>,
}

/// What a request shows of its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential<'h> {
    Nothing,
    /// In a header, which no page of another site can set.
    Bearer(Cow<'h, str>),
    /// Sent by browsers whoever makes them send the request.
    Cookie(&'h str),
    /// The same on the host of a web UI: a token, sealed for that host.
    Session(&'h str),
}

impl Credential<'_> {
    /// The token; empty where nothing is shown.
    pub fn token(&self) -> &str {
        match self {
            Self::Nothing => "",
            Self::Bearer(token) => token,
            Self::Cookie(token) | Self::Session(token) => token,
        }
    }
}

/// Why what a request shows cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("the request has several Authorization headers; send one")]
    Several,
    #[error(
        "the request has several cookies that count as its token, with different values; remove those that are not yours"
    )]
    SeveralCookies,
    #[error("the scheme of the Authorization header is not supported; send a bearer token")]
    Scheme,
    #[error(
        "the bearer token, which is the word behind one space, is empty, too long or holds characters that no token has"
    )]
    Shape,
    #[error(transparent)]
    Subprotocol(#[from] subprotocol::NotAToken),
}

// === impl Unreadable ===

impl Unreadable {
    /// The answer to it. Nothing of a credential is repeated.
    fn refused(self) -> Refused {
        Refused::new(401, reason::CREDENTIAL_NOT_UNDERSTOOD, self.to_string())
    }
}

/// The answer to a credential that a page of another site may have made a browser send.
pub fn foreign_origin() -> Refused {
    let message = "a token in a cookie, or a client certificate, counts for changes and WebSockets only from pages of this host, \
         and neither Origin nor Sec-Fetch-Site says so; send a token in the Authorization header";
    Refused::new(403, reason::ORIGIN_REFUSED, message)
}

/// The answer to a client certificate where only kube-apiserver can say who calls.
pub fn not_forwardable() -> Refused {
    let message = "the client certificate of this connection cannot be handed on to kube-apiserver, which decides here; \
         send a token in the Authorization header, such as one that kubectl create token makes";
    Refused::new(401, reason::CREDENTIAL_NOT_FORWARDABLE, message)
}

/// On the host of a web UI its value counts as bearer token, and no other cookie does.
pub const SESSION_COOKIE: &str = "__Host-genkan";
/// There it binds a log-in to the browser that began it.
pub const LOGIN_COOKIE: &str = "__Host-genkan-login";

pub const KUBESPHERE_AUTHORIZATION: HeaderName = HeaderName::from_static("x-kubesphere-authorization");
/// Longer than the tokens of any issuer, and within what the front lets in.
const LONGEST: usize = 32 * 1024;

// === impl Places ===

impl Places {
    /// Reads what the request shows; `cookie` is the name of the one that counts, if one does. Basic credentials are meant
    /// for the backend.
    ///
    /// # Errors
    /// When it shows something that is no credential.
    pub fn read<'h>(
        headers: &'h impl HeaderView,
        is_upgrade: bool,
        cookie: Option<&str>,
    ) -> Result<Credential<'h>, Unreadable> {
        let mut lines = headers.lines(AUTHORIZATION);
        let line = lines.next().unwrap_or_default();
        if lines.next().is_some() {
            return Err(Unreadable::Several);
        }
        if let Some(token) = bearer(line)? {
            return Ok(Credential::Bearer(token.into()));
        }
        if is_upgrade && let Some(token) = subprotocol::token(headers)? {
            check(token.as_bytes())?;
            return Ok(Credential::Bearer(token.into()));
        }
        let Some(name) = cookie else {
            return Ok(Credential::Nothing);
        };
        // One that another host of the same site has planted would stand in front.
        if cookie::is_ambiguous(headers, name) {
            return Err(Unreadable::SeveralCookies);
        }
        Ok(match cookie::value(headers, name) {
            Some(token) if name == SESSION_COOKIE => Credential::Session(check(token.as_bytes())?),
            Some(token) => Credential::Cookie(check(token.as_bytes())?),
            None => Credential::Nothing,
        })
    }

    /// As [`read`](Self::read), with the rule for what browsers send whoever makes them send it.
    ///
    /// # Errors
    /// The answer to a request whose caller cannot be known by what it shows.
    pub fn read_usable<'h>(
        headers: &'h impl HeaderView,
        method: &str,
        host: &str,
        is_upgrade: bool,
        cookie: Option<&str>,
    ) -> Result<Credential<'h>, Refused> {
        let credential = Self::read(headers, is_upgrade, cookie).map_err(Unreadable::refused)?;
        let is_foreign = matches!(credential, Credential::Cookie(_) | Credential::Session(_))
            && !cookie::may_be_used(headers, method, host, is_upgrade);
        if is_foreign {
            return Err(foreign_origin());
        }
        Ok(credential)
    }

    /// Takes every credential out that was, or could have been, verified here.
    pub fn clear(&self, headers: &mut (impl HeaderView + HeaderStore)) {
        if headers.lines(AUTHORIZATION).any(|line| !is_basic(line)) {
            headers.remove_name(&AUTHORIZATION);
        }
        self.clear_all_but_authorization(headers);
    }

    /// The same, but for a credential in `Authorization` that somebody else has judged.
    pub fn clear_all_but_authorization(&self, headers: &mut (impl HeaderView + HeaderStore)) {
        headers.remove_name(&KUBESPHERE_AUTHORIZATION);
        subprotocol::remove(headers);
        cookie::remove(headers, |name| {
            is_own_cookie(name) || self.cookie.as_ref().is_some_and(|own| own.as_bytes() == name)
        });
    }

    /// The name of the cookie if no cookie can have it; what a name may hold stands in RFC 6265.
    pub fn bad_cookie(&self) -> Option<&str> {
        self.cookie
            .as_deref()
            .filter(|name| !crate::headers::is_token(name))
    }
}

/// Takes out what no backend is to see, whoever judges its callers.
pub fn clear_own_cookies(headers: &mut (impl HeaderView + HeaderStore)) {
    cookie::remove(headers, is_own_cookie);
}

fn is_own_cookie(name: &[u8]) -> bool {
    name == SESSION_COOKIE.as_bytes() || name == LOGIN_COOKIE.as_bytes()
}

/// The token behind the scheme; nothing for what says nothing, and for what is not ours to judge.
fn bearer(line: &[u8]) -> Result<Option<&str>, Unreadable> {
    let line = line.trim_ascii();
    if line.is_empty() || is_basic(line) {
        return Ok(None);
    }
    // As kube-apiserver takes it apart: each space ends a word, and what follows the second word is not looked at.
    let mut words = words(line);
    if !words.next().unwrap_or_default().eq_ignore_ascii_case(b"bearer") {
        return Err(Unreadable::Scheme);
    }
    check(words.next().unwrap_or_default()).map(Some)
}

fn is_basic(line: &[u8]) -> bool {
    words(line.trim_ascii())
        .next()
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic"))
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let left = rest?;
        let end = memchr::memchr(b' ', left);
        rest = end.map(|end| &left[end + 1..]);
        Some(&left[..end.unwrap_or(left.len())])
    })
}

/// Nothing is asked about what cannot be a token.
fn check(token: &[u8]) -> Result<&str, Unreadable> {
    // Looks at every byte, which goes many at a time.
    let is_graphic = token.iter().fold(true, |all, byte| all & byte.is_ascii_graphic());
    let is_fit = !token.is_empty() && token.len() <= LONGEST && is_graphic;
    let text = std::str::from_utf8(token).ok().filter(|_| is_fit);
    text.ok_or(Unreadable::Shape)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn mk_headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            HeaderStore::append(&mut headers, name, value.as_bytes());
        }
        headers
    }

    fn mk_places() -> Places {
        Places {
            cookie: Some("token".into()),
        }
    }

    fn of(headers: &[(&'static str, &str)], is_upgrade: bool) -> Result<String, Unreadable> {
        let (headers, places) = (mk_headers(headers), mk_places());
        Places::read(&headers, is_upgrade, places.cookie.as_deref()).map(|found| format!("{found:?}"))
    }

    fn authorization(value: &str) -> Result<String, Unreadable> {
        of(&[("authorization", value)], false)
    }

    #[test]
    fn bearer_is_read_as_kubernetes_reads_it() {
        for sent in [
            "Bearer t",
            "bearer t",
            "BEARER t ",
            " Bearer t",
            "Bearer t x",
            "Bearer t  x, y",
        ] {
            assert_eq!(authorization(sent).unwrap(), r#"Bearer("t")"#, "{sent}");
        }
    }

    #[test]
    fn what_says_nothing_or_is_meant_for_the_backend_is_no_credential() {
        for sent in ["", " ", "Basic dTpw", "basic", "BASIC x"] {
            assert_eq!(authorization(sent).unwrap(), "Nothing", "{sent:?}");
        }
        assert_eq!(of(&[], false).unwrap(), "Nothing");
    }

    #[test]
    fn what_cannot_be_a_credential_is_refused_and_not_ignored() {
        let long = format!("Bearer {}", "a".repeat(LONGEST + 1));
        for (sent, why) in [
            ("Digest x", Unreadable::Scheme),
            ("t", Unreadable::Scheme),
            ("Bearer", Unreadable::Shape),
            ("Bearer ", Unreadable::Shape),
            ("Bearer  a", Unreadable::Shape),
            ("Bearer  a b", Unreadable::Shape),
            ("Bearer a\tb", Unreadable::Shape),
            ("Bearer\ta", Unreadable::Scheme),
            ("Bearer a\u{e4}", Unreadable::Shape),
            (&long, Unreadable::Shape),
        ] {
            assert_eq!(authorization(sent), Err(why), "{}", &sent[..sent.len().min(20)]);
        }
        let twice = [("authorization", "Basic x"), ("authorization", "Bearer t")];
        assert_eq!(of(&twice, false), Err(Unreadable::Several));
    }

    #[test]
    fn header_comes_before_subprotocol_and_cookie() {
        let subprotocol = (
            "sec-websocket-protocol",
            "x, base64url.bearer.authorization.k8s.io.dw",
        );
        let cookie = ("cookie", "token=c");
        assert_eq!(
            of(&[("authorization", "Bearer t"), subprotocol, cookie], true).unwrap(),
            r#"Bearer("t")"#
        );
        assert_eq!(of(&[subprotocol, cookie], true).unwrap(), r#"Bearer("w")"#);
        assert_eq!(
            of(&[subprotocol, cookie], false).unwrap(),
            r#"Cookie("c")"#,
            "only a WebSocket has subprotocols"
        );
        assert_eq!(
            of(&[("authorization", "Basic x"), cookie], false).unwrap(),
            r#"Cookie("c")"#
        );
    }

    #[test]
    fn everything_verified_goes_and_what_is_of_the_backend_stays() {
        let all = [
            ("x-kubesphere-authorization", "Bearer k"),
            (
                "sec-websocket-protocol",
                "x, base64url.bearer.authorization.k8s.io.dw",
            ),
            ("cookie", "a=b; token=c; __Host-genkan=d; __Host-genkan-login=e"),
        ];
        let mut headers = mk_headers(&[&[("authorization", "Bearer t")], &all[..]].concat());
        mk_places().clear(&mut headers);
        assert!(!headers.contains_key(AUTHORIZATION));
        assert!(!headers.contains_key(KUBESPHERE_AUTHORIZATION));
        assert_eq!(headers["sec-websocket-protocol"], "x");
        assert_eq!(headers["cookie"], "a=b");
        let mut basic = mk_headers(&[("authorization", "Basic dTpw")]);
        mk_places().clear(&mut basic);
        assert_eq!(basic[AUTHORIZATION], "Basic dTpw");
    }
}
