//! A request of a page that left the prefix of its object: where nothing else takes it, it is sent back below, if the object
//! says so; of others it is told in the 404 what went wrong.
//!
//! Only requests of pages of this very origin are meant, and only those that say from which page they come. Whoever may not
//! access the object learns nothing: every refusal is the one that they would get without it.

use http::HeaderName;
use http::header::REFERER;

use super::halt::Stop;
use super::steps::app_of;
use super::{Answer, Caller, Deciding, Destination, Family, Policies};
use crate::answer::{Refused, escape, reason};
use crate::directives::{Input, RewriteLinks};
use crate::door::Door;
use crate::headers::HeaderView;
use crate::info::{CLUSTERS_ALIAS, RequestInfo};
use crate::matcher::is_served_path;
use crate::model::Matcher;
use crate::path::comparable;
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

/// What becomes of a request that left its page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// It is sent to where it belongs.
    Back,
    /// Its caller is told.
    Told,
}

/// The page that a request comes from, and its object.
struct Page<'a, 'h, R> {
    route: &'a R,
    info: RequestInfo<'h>,
    /// By the word of the browser, not by what it names as its page.
    is_certain: bool,
}

/// Where a request belongs.
#[derive(Debug)]
struct Home<'a, R> {
    route: &'a R,
    /// With the cluster that the page names, and without the query; the page itself, where it is only told.
    path: String,
    escape: Escape,
}

/// Bytes of a path that is told.
const LONGEST_TOLD: usize = 128;

impl<'a, R: Destination<Handle = R>, U: Caller> Deciding<'a, R, U> {
    /// Takes a request that nothing takes for one of the page that it comes from.
    pub(super) fn seek_page(&mut self, headers: &impl HeaderView) {
        let Some(Home { route, path, escape }) = self.home(headers) else {
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
        (self.escaped, self.home) = (Some(escape), Some(path));
    }

    /// The answer to a request that is to be sent back, once its caller may.
    pub(super) fn send_back(&mut self) -> Result<(), Stop<'a>> {
        match (self.escaped, self.route) {
            (Some(Escape::Back), _) => {
                let query = memchr::memchr(b'?', self.request.target).map(|at| &self.request.target[at..]);
                let path = self.home.unwrap_or_default();
                let location = [path.as_bytes(), query.unwrap_or_default()].concat();
                Err(Stop::Answer(Answer::Moved { location }))
            }
            (Some(Escape::Told), Some(route)) => Err(Stop::Answer(self.told(route))),
            (Some(Escape::Told), None) | (None, _) => Ok(()),
        }
    }

    fn told(&self, route: &'a R) -> Answer<'a> {
        let path = self.path.unwrap_or_default();
        // It is ASCII.
        let path = &path[..path.len().min(LONGEST_TOLD)];
        let title = route.title();
        let name = title.split_once(' ').map_or(title, |(_, name)| name);
        let prefix = match route.matcher() {
            Matcher::ReverseProxy { path, .. } => path.trim_end_matches('*').trim_end_matches('/'),
            Matcher::ApiService { .. } | Matcher::Connector { .. } | Matcher::ConnectorClass { .. } => "",
        };
        let front = self.settings.front;
        let origin = front
            .zip(app_of(route))
            .and_then(|(front, app)| front.app_origin(app));
        let origin = origin.map(|origin| format!("{origin}/"));
        let message = escape::sentence(name, path, prefix, origin.as_deref());
        Answer::Escaped {
            path,
            refused: Refused::new(404, reason::NO_ROUTE_MATCHED, message),
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
        let is_alone = !self.info.is_resource && self.info.cluster.is_empty() && !self.request.is_upgrade;
        if !is_alone || is_closed(self.path?) {
            return None;
        }
        let mut referers = headers.lines(REFERER);
        let (authority, referer) = parts_of(referers.next()?)?;
        if referers.next().is_some() {
            return None;
        }
        let is_certain = match headers.first(FETCH_SITE) {
            Some(site) if site == "same-origin" => true,
            None if authority.eq_ignore_ascii_case(self.request.host.as_bytes()) => false,
            Some(_) | None => return None,
        };
        let page = Target::parse(referer).ok()?.path;
        let info = RequestInfo::parse("GET", &page, None).ok()?;
        let is_here = info.cluster.is_empty() || self.table.host_cluster.as_deref() == Some(info.cluster);
        if !is_here || !is_served_path(&info.path) {
            return None;
        }
        let route = self
            .table
            .reverse_proxies
            .lookup("GET", &comparable(&info.path))?;
        let policies = route.policies();
        if policies.is_some_and(|policies| policies.claims_authorization()) {
            return None;
        }
        let page = Page {
            route,
            info,
            is_certain,
        };
        self.back(&page).or_else(|| {
            if is_asked_by_browsers(self.path?) {
                return None;
            }
            let path = match page.info.cluster {
                "" => page.info.path.clone().into_owned(),
                cluster => ["/clusters/", cluster, &page.info.path].concat(),
            };
            let escape = Escape::Told;
            Some(Home { route, path, escape })
        })
    }

    /// Where a request is sent back to, if the object of its page wants that.
    fn back(&self, page: &Page<'a, '_, R>) -> Option<Home<'a, R>> {
        let Page {
            route,
            info: page,
            is_certain,
        } = page;
        let route = *route;
        let path = self.path.filter(|_| *is_certain)?;
        let backend = route.backend().ok()?;
        let directives = backend.directives.filter(|of| of.links == RewriteLinks::Full)?;
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
        let taken = self
            .table
            .reverse_proxies
            .lookup(self.request.method, &comparable(&inner))?;
        let is_its_own = is_served_path(prefix) && std::ptr::eq(taken, route);
        is_its_own.then(|| Home {
            route,
            path: match page.cluster {
                "" => inner,
                cluster => ["/clusters/", cluster, &inner].concat(),
            },
            escape: Escape::Back,
        })
    }
}

/// For every origin, whatever its pages are.
fn is_asked_by_browsers(path: &str) -> bool {
    path == "/favicon.ico" || path.starts_with("/apple-touch-icon")
}

fn is_closed(path: &str) -> bool {
    let first = path.split('/').find(|segment| !segment.is_empty());
    is_served_path(path) || first.is_none_or(|first| CLOSED.contains(&first))
}

/// The server in a reference that names one, and what follows it.
fn parts_of(reference: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = &reference[scheme_length(reference)? + 1..];
    let rest = rest.strip_prefix(b"//")?;
    let start = memchr::memchr(b'/', rest)?;
    let (authority, path) = rest.split_at(start);
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#'));
    Some((authority, &path[..end.unwrap_or(path.len())]))
}
