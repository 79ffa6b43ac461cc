//! Links of an answer: those in its head are moved, those in its body will be while it passes.

use http::header::{
    ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_LENGTH, CONTENT_LOCATION, ETAG,
    IF_NONE_MATCH, LINK, LOCATION, REFRESH, SET_COOKIE, VARY,
};
use http::{HeaderName, HeaderValue, Method, StatusCode, Version};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use genkan_routing::directives::RewriteLinks;
use genkan_routing::links::{PublicPrefix, heads, is_readable};
use genkan_routing::public::{Front, FrontHeaders, Side};
use genkan_routing::rewritten::is_for_document;
use genkan_routing::{Directives, Scheme, is_served_path};

use super::receiving::authority_of;
use super::sending::arrival;
use crate::context::{Context, Outgoing};
use crate::rewriting::{LinkRewriter, Origin, OwnPrefix};
use crate::tables::Route;
use crate::upstream::Upstream;

const CORS: [HeaderName; 4] = [
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN,
];

/// What is said of the bytes of a body, and would be wrong of others.
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
];

/// Lines of one name that would be longer together once they are moved stay as they are.
const MOST_MOVED: usize = 512 << 10;

/// How the answer to a request is rewritten.
pub struct Rewriting<'r> {
    directives: &'r Directives,
    outgoing: &'r Outgoing,
    upstream: &'r Upstream,
    side: Side<'r>,
    is_app: bool,
    is_told: bool,
}

// === impl Rewriting ===

impl<'r> Rewriting<'r> {
    /// `None`: it passes as it is.
    pub fn of(
        session: &'r Session,
        context: &'r Context,
        front: &Front,
        route: &'r Route,
        upstream: &'r Upstream,
    ) -> Option<Self> {
        let directives = route.directives.as_ref()?;
        let is_switch = context.kind.upgrade.is_some();
        let outgoing = context.outgoing.as_ref().filter(|_| !is_switch)?;
        if !directives.rewrites_answers() {
            return None;
        }
        let arrival = arrival(session, context);
        Some(Self {
            directives,
            outgoing,
            upstream,
            side: front.side(arrival, &session.req_header().headers),
            is_app: front.door(arrival).app().is_some(),
            is_told: front.headers == FrontHeaders::Public,
        })
    }

    /// Moves the links of the head. What those of the body are moved by; `None`: they stay.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn head(&self, response: &mut ResponseHeader) -> Result<Option<OwnPrefix>, String> {
        let (side, upstream) = (&self.side, self.upstream);
        let scheme = if upstream.is_tls() {
            Scheme::Https
        } else {
            Scheme::Http
        };
        let stripped = self.outgoing.stripped_prefix.as_deref();
        let authority = authority_of(upstream, side);
        let prefix = PublicPrefix::new(&self.outgoing.cluster, stripped, scheme, authority);
        let prefix = prefix.with_base(&upstream.base_path).behind(side.outer());
        if self.directives.wrap_transport {
            for name in CORS {
                response.remove_header(&name);
            }
            let mut locations = response.headers.get_all(LOCATION).into_iter();
            if locations.any(|location| !is_readable(location.as_bytes())) {
                return Err("its Location cannot be read".to_owned());
            }
        }
        if !self.directives.links.is_off() {
            self.move_head(response, &prefix);
        }
        if self.is_app && upstream.base_path.is_empty() {
            // It is at the root, where its pages believe to be.
            return Ok(None);
        }
        let public = (self.is_told && !self.is_app).then(|| Origin {
            scheme: side.scheme,
            authority: side.authority.clone().into_owned(),
        });
        Ok(Some(OwnPrefix::new(&prefix, public)))
    }

    fn move_head(&self, response: &mut ResponseHeader, prefix: &PublicPrefix<'_>) {
        let side = &self.side;
        // A backend may make links of the public name that it is told of, too.
        let is_of_others = |path: &[u8]| {
            let inner = path.strip_prefix(side.outer().as_bytes()).unwrap_or(path);
            !self.is_app && is_served_path(&String::from_utf8_lossy(inner))
        };
        let edit = |link: &[u8]| match side.path_of(link) {
            Some(path) => {
                let origin = link.len() - path.len();
                let (place, new) = prefix.edit(path).filter(|_| !is_of_others(path))?;
                Some((0..origin + place.end, new))
            }
            None => prefix.edit(link),
        };
        let link = |value: &[u8]| heads::splice(value, edit(value).into_iter());
        move_values(response, LOCATION, link);
        move_values(response, CONTENT_LOCATION, link);
        move_values(response, LINK, |value| heads::link(value, edit));
        move_values(response, REFRESH, |value| heads::refresh(value, edit));
        move_values(response, SET_COOKIE, |value| prefix.cookie(value));
    }
}

/// Who changes the body, if it is one that can be. Its head is made to fit.
pub fn rewritten(
    session: &Session,
    response: &mut ResponseHeader,
    directives: &Directives,
    prefix: OwnPrefix,
) -> Option<LinkRewriter> {
    let request = session.req_header();
    match response.status {
        StatusCode::NOT_MODIFIED => {
            weaken_as_asked(response, session);
            return None;
        }
        StatusCode::NO_CONTENT | StatusCode::PARTIAL_CONTENT => return None,
        _ => {}
    }
    let is_document = is_for_document(&request.headers);
    let links = LinkRewriter::for_response(response, directives, prefix, is_document)?;
    // The body will have another length, and other bytes.
    response.remove_header(&CONTENT_LENGTH);
    response.remove_header(&ACCEPT_RANGES);
    for name in &DIGESTS {
        response.remove_header(name);
    }
    weaken(response);
    if directives.links == RewriteLinks::Full {
        // Documents have what other uses of the same page lack.
        let _ = response.append_header(VARY, "Sec-Fetch-Dest");
    }
    if request.method == Method::HEAD {
        return None;
    }
    if request.version == Version::HTTP_11 {
        let _ = response.insert_header("Transfer-Encoding", "chunked");
    }
    Some(links)
}

/// The bytes are others than those that the tag was given for.
fn weaken(response: &mut ResponseHeader) {
    let Some(tag) = response.headers.get(ETAG).map(HeaderValue::as_bytes) else {
        return;
    };
    if !tag.starts_with(b"W/") {
        let weak = HeaderValue::from_bytes(&[b"W/", tag].concat());
        let _ = weak.map(|weak| response.insert_header(ETAG, weak));
    }
}

/// The client has what it asks about under a weak tag: it has been rewritten.
fn weaken_as_asked(response: &mut ResponseHeader, session: &Session) {
    let Some(tag) = response.headers.get(ETAG).map(HeaderValue::as_bytes) else {
        return;
    };
    let weak = [b"W/", tag].concat();
    let mut asked = session.req_header().headers.get_all(IF_NONE_MATCH).into_iter();
    if asked.any(|line| memchr::memmem::find(line.as_bytes(), &weak).is_some()) {
        weaken(response);
    }
}

fn move_values(response: &mut ResponseHeader, name: HeaderName, change: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    if !response.headers.contains_key(&name) {
        return;
    }
    let values: Vec<_> = response.headers.get_all(&name).into_iter().cloned().collect();
    let changed: Vec<_> = values.iter().map(|value| change(value.as_bytes())).collect();
    if changed.iter().all(Option::is_none) {
        return;
    }
    // The lines of one answer are many, and each may grow by the prefix.
    let grown: usize = changed.iter().flatten().map(Vec::len).sum();
    if grown > MOST_MOVED {
        return;
    }
    response.remove_header(&name);
    for (value, changed) in values.into_iter().zip(changed) {
        let moved = changed.and_then(|bytes| HeaderValue::from_bytes(&bytes).ok());
        let _ = response.append_header(name.clone(), moved.unwrap_or(value));
    }
}
