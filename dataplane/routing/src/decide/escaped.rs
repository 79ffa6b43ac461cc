//! A request of a page that left the prefix of its object: where nothing else takes it, it is sent back below.
//!
//! Only requests of pages of this very origin are meant, and only those that say from which page they come. Whoever may not
//! access the object learns nothing: every refusal is the one that they would get without it.

use http::HeaderName;
use http::header::REFERER;

use super::halt::Stop;
use super::{Answer, Caller, Deciding, Destination, Family, Policies};
use crate::directives::{Input, RewriteLinks};
use crate::headers::HeaderView;
use crate::info::{CLUSTERS_ALIAS, RequestInfo};
use crate::matcher::is_served_path;
use crate::path::comparable;
use crate::public::Door;
use crate::reference::scheme_length;
use crate::table::Decision;
use crate::target::Target;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What lies below these is never a page's.
const CLOSED: [&str; 13] = [
    ".genkan",
    "api",
    "apis",
    "clusters",
    CLUSTERS_ALIAS,
    "connectors",
    "healthz",
    "kapi",
    "kapis",
    "livez",
    "openapi",
    "readyz",
    "version",
];

/// Where a request belongs.
#[derive(Debug)]
struct Home<'a, R> {
    route: &'a R,
    /// With the cluster that the page names, and without the query.
    path: String,
}

impl<'a, R: Destination<Handle = R>, U: Caller> Deciding<'a, R, U> {
    /// Takes a request that nothing takes for one of the page that it comes from.
    pub(super) fn seek_page(&mut self, headers: &impl HeaderView) {
        let Some(Home { route, path }) = self.home(headers) else {
            return;
        };
        let Some(path) = self.room.keep_home(path) else {
            return;
        };
        let Ok(info) = RequestInfo::parse(self.request.method, path, None) else {
            return;
        };
        self.info = info;
        // The credentials that count are those of where it is sent: there it is asked for afresh.
        self.family = Family::of(path, self.table.host_cluster.as_deref());
        self.decision = Some(Decision::ReverseProxy(route));
        let query = memchr::memchr(b'?', self.request.target).map(|at| &self.request.target[at..]);
        self.escaped = Some([path.as_bytes(), query.unwrap_or_default()].concat());
    }

    /// The answer to a request that is to be sent back, once its caller may.
    pub(super) fn send_back(&mut self) -> Result<(), Stop<'a>> {
        match self.escaped.clone() {
            Some(location) => Err(Stop::Answer(Answer::Moved { location })),
            None => Ok(()),
        }
    }

    /// What a caller is told who is refused: of an object that they may not access nobody learns by a request beside it.
    pub fn veiled<E: From<Answer<'static>>>(&self, refusal: E) -> E {
        match self.escaped {
            Some(_) => Decision::<R, R>::NotFound
                .refusal(&RequestInfo::default())
                .map_or(Answer::nothing(), Answer::Refused)
                .into(),
            None => refusal,
        }
    }

    fn home(&self, headers: &impl HeaderView) -> Option<Home<'a, R>> {
        let (Some(Decision::NotFound), Door::Main) = (&self.decision, self.request.door) else {
            return None;
        };
        let path = self.path?;
        let is_alone = !self.info.is_resource && self.info.cluster.is_empty() && !self.request.is_upgrade;
        if !is_alone || is_closed(path) || headers.first(FETCH_SITE)?.as_bytes() != b"same-origin" {
            return None;
        }
        let mut referers = headers.lines(REFERER);
        let referer = path_of(referers.next()?)?;
        if referers.next().is_some() {
            return None;
        }
        let page = Target::parse(referer).ok()?.path;
        let page = RequestInfo::parse("GET", &page, None).ok()?;
        let is_here = page.cluster.is_empty() || self.table.host_cluster.as_deref() == Some(page.cluster);
        if !is_here || !is_served_path(&page.path) {
            return None;
        }
        let proxies = &self.table.reverse_proxies;
        let route = proxies.lookup("GET", &comparable(&page.path))?;
        let claims = route
            .policies()
            .is_some_and(|policies| policies.claims_authorization());
        let backend = route.backend().ok()?;
        let directives = backend
            .directives
            .filter(|of| of.links == RewriteLinks::Full && !claims)?;
        let input = Input {
            method: "GET",
            path: &page.path,
            query: None,
            host: self.request.host,
        };
        let prefix = directives.rewrite_request(input).ok()?.stripped_prefix?;
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let base = backend.base_path;
        let inner = match path.strip_prefix(base) {
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            Some(_) | None => path,
        };
        let inner = [prefix, inner].concat();
        // What another object takes there is not of this page.
        let taken = proxies.lookup(self.request.method, &comparable(&inner))?;
        let is_its_own = is_served_path(prefix) && std::ptr::eq(taken, route);
        is_its_own.then(|| Home {
            route,
            path: match page.cluster {
                "" => inner,
                cluster => ["/clusters/", cluster, &inner].concat(),
            },
        })
    }
}

fn is_closed(path: &str) -> bool {
    let first = path.split('/').find(|segment| !segment.is_empty());
    is_served_path(path) || first.is_none_or(|first| CLOSED.contains(&first))
}

/// What follows the server in a reference that names one.
fn path_of(reference: &[u8]) -> Option<&[u8]> {
    let rest = &reference[scheme_length(reference)? + 1..];
    let rest = rest.strip_prefix(b"//")?;
    let start = memchr::memchr(b'/', rest)?;
    let path = &rest[start..];
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#'));
    Some(&path[..end.unwrap_or(path.len())])
}
