//! The request that the backend gets.

use genkan_proto::v1alpha1::{Directives as Written, Upstream, upstream};
use genkan_routing::identity::{
    is_hop_by_hop, is_identity_header, is_user_header, tokens, upgrade_protocols,
};
use genkan_routing::{DirectiveSpec, Directives, HeaderStore, Input};
use serde::Serialize;

use super::verdict::{Outcome, Route, refuse};
use super::{Caller, Request, World};

/// What is sent, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forward {
    /// Kind and name of the object that sends it there.
    pub object: String,
    pub peer: Peer,
    pub method: String,
    pub target: String,
    /// In order.
    pub headers: Vec<(String, String)>,
    /// What else happens on the way.
    pub notes: Vec<String>,
}

/// Who gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    pub scheme: &'static str,
    pub http2: bool,
    /// Addresses with ports; one of them is chosen. Empty where proxies resolve a host.
    pub endpoints: Vec<String>,
    /// The host that proxies resolve, with its port.
    pub host: Option<String>,
}

const CLIENT: &str = "<address of the client>";

pub(super) fn forward(
    world: &World,
    request: &Request,
    route: &Route<'_>,
    upstream: &Upstream,
    input: Input<'_>,
    caller: Option<&Caller>,
) -> Result<Outcome, Outcome> {
    let spec = route.directives.map(spec).unwrap_or_default();
    let directives = Directives::compile(&spec).map_err(|problems| {
        let reasons: Vec<String> = problems
            .iter()
            .map(|p| format!("spec.{}: {}", p.field, p.reason))
            .collect();
        refuse(503, "Invalid", format!("{}: {}", route.title, reasons.join("; ")))
    })?;
    let made = directives
        .rewrite_request(input)
        .map_err(|error| refuse(error.code(), "PathRefused", format!("{}: {error}", route.title)))?;
    let target = made.target(&upstream.base_path);
    let peer = peer(world, upstream).map_err(|service| {
        let message = format!("{}: Service {service} has no ready endpoint", route.title);
        refuse(503, "NoReadyEndpoints", message)
    })?;
    let mut headers = headers(request, upstream);
    let keeps_token = !route.forwards_token && headers.clear();
    directives.header_up.apply(&mut headers);
    if directives.wrap_transport {
        let path = target.split(|&byte| byte == b'?').next().unwrap_or_default();
        headers.set("X-Forwarded-Uri", path);
        headers.set("X-Forwarded-Host", upstream.authority.as_bytes());
        headers.set("X-Forwarded-Proto", peer.scheme.as_bytes());
    }
    headers.append_client();
    if let Some(caller) = caller.filter(|_| route.tells_identity) {
        headers.retain(&|name| !is_user_header(name));
        headers.set("X-Remote-User", caller.user.as_bytes());
        caller
            .groups
            .iter()
            .for_each(|group| headers.append("X-Remote-Group", group.as_bytes()));
    }
    headers.upgrade(request);
    Ok(Outcome::Forward(Box::new(Forward {
        object: route.title.clone(),
        method: made.method.into_owned(),
        target: String::from_utf8_lossy(&target).into_owned(),
        headers: headers.into_text(),
        notes: notes(route, upstream, &directives, caller.is_some(), keeps_token),
        peer,
    })))
}

fn peer(world: &World, upstream: &Upstream) -> Result<Peer, String> {
    let mut peer = Peer {
        scheme: if upstream.tls.is_some() { "https" } else { "http" },
        http2: upstream.http2,
        endpoints: Vec::new(),
        host: None,
    };
    match &upstream.target {
        Some(upstream::Target::Host(host)) if host.name.contains(':') => {
            peer.host = Some(format!("[{}]:{}", host.name, host.port));
        }
        Some(upstream::Target::Host(host)) => peer.host = Some(format!("{}:{}", host.name, host.port)),
        Some(upstream::Target::Endpoints(key)) => {
            let set = world.endpoints(key).filter(|set| !set.endpoints.is_empty());
            let Some(set) = set else {
                return Err(key.trim_start_matches("Endpoints/").to_owned());
            };
            peer.endpoints = set
                .endpoints
                .iter()
                .map(|e| {
                    if e.address.contains(':') {
                        format!("[{}]:{}", e.address, e.port)
                    } else {
                        format!("{}:{}", e.address, e.port)
                    }
                })
                .collect();
        }
        None => {}
    }
    Ok(peer)
}

fn notes(
    route: &Route<'_>,
    upstream: &Upstream,
    directives: &Directives,
    has_caller: bool,
    keeps_token: bool,
) -> Vec<String> {
    let mut notes = Vec::new();
    if keeps_token {
        notes.push(
            "the token is verified by genkan and goes no further; spec.forwardAuthorization would pass it on"
                .to_owned(),
        );
    }
    if route.tells_identity && !has_caller {
        notes.push("X-Remote-User and X-Remote-Group tell the backend who calls".to_owned());
    }
    if upstream.tls.as_ref().is_some_and(|tls| tls.insecure_skip_verify) {
        notes.push("the certificate of the backend is not checked".to_owned());
    }
    if !directives.header_down.is_empty() {
        notes.push("headerDown changes the headers of the answer".to_owned());
    }
    if directives.wrap_transport {
        notes.push("links in the answer are moved below the public prefix".to_owned());
    }
    if directives.reject_forwarding_redirects {
        notes.push("a redirect to another origin is answered with 502".to_owned());
    }
    notes
}

fn spec(written: &Written) -> DirectiveSpec {
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    DirectiveSpec {
        method: text(&written.method),
        strip_path_prefix: text(&written.strip_path_prefix),
        strip_path_suffix: text(&written.strip_path_suffix),
        header_up: written.header_up.clone(),
        header_down: written.header_down.clone(),
        rewrite: written.rewrite.clone(),
        replace: written.replace.clone(),
        path_regexp: written.path_regexp.clone(),
        auth_proxy: written.auth_proxy,
        wrap_transport: written.wrap_transport,
        reject_forwarding_redirects: written.reject_forwarding_redirects,
    }
}

/// Header lines in order.
#[derive(Debug, Default)]
struct Lines(Vec<(String, Vec<u8>)>);

/// What the client sent, without what it may not say and what concerns one connection only.
fn headers(request: &Request, upstream: &Upstream) -> Lines {
    let nominated: Vec<String> = request
        .values("connection")
        .flat_map(tokens)
        .map(|token| String::from_utf8_lossy(token).into_owned())
        .collect();
    let mut lines = Lines(request.headers.clone());
    lines.0.retain(|(name, _)| {
        !is_identity_header(name)
            && !is_hop_by_hop(name)
            && !nominated.iter().any(|token| token.eq_ignore_ascii_case(name))
    });
    lines.repair();
    lines
        .0
        .insert(0, ("Host".to_owned(), upstream.authority.clone().into_bytes()));
    lines
}

// === impl Lines ===

impl Lines {
    /// The header forms that KubeSphere's own clients use.
    fn repair(&mut self) {
        let value = |lines: &Self, wanted: &str| {
            let found = lines.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found
                .map(|(_, value)| value.clone())
                .filter(|value| !value.is_empty())
        };
        if value(self, "authorization").is_none()
            && let Some(credential) = value(self, "x-kubesphere-authorization")
        {
            self.remove("x-kubesphere-authorization");
            self.set("Authorization", &credential);
        }
        self.remove("x-kubesphere-rawquery");
    }

    /// Takes out the credentials that genkan verifies itself; true if there was one.
    fn clear(&mut self) -> bool {
        let before = self.0.len();
        self.0.retain(|(name, value)| {
            let scheme = value.split(|byte| *byte == b' ').next().unwrap_or_default();
            let is_basic = scheme.eq_ignore_ascii_case(b"basic");
            let is_verified = name.eq_ignore_ascii_case("authorization") && !value.is_empty() && !is_basic;
            !is_verified && !name.eq_ignore_ascii_case("x-kubesphere-authorization")
        });
        self.0.len() < before
    }

    fn append_client(&mut self) {
        let sent = self
            .0
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("x-forwarded-for"));
        let mut all: Vec<&[u8]> = sent.map(|(_, value)| value.as_slice()).collect();
        all.push(CLIENT.as_bytes());
        let joined = all.join(&b", "[..]);
        self.set("X-Forwarded-For", &joined);
    }

    fn upgrade(&mut self, request: &Request) {
        let protocols = upgrade_protocols(request.values("connection"), request.values("upgrade"));
        if let Some(protocols) = protocols {
            self.set("Connection", b"Upgrade");
            self.set("Upgrade", &protocols.join(&b", "[..]));
        }
    }

    fn into_text(self) -> Vec<(String, String)> {
        let text = |(name, value): (String, Vec<u8>)| (name, String::from_utf8_lossy(&value).into_owned());
        self.0.into_iter().map(text).collect()
    }
}

impl HeaderStore for Lines {
    fn set(&mut self, name: &str, value: &[u8]) {
        self.remove(name);
        self.append(name, value);
    }

    fn append(&mut self, name: &str, value: &[u8]) {
        self.0.push((name.to_owned(), value.to_vec()));
    }

    fn remove(&mut self, name: &str) {
        self.0.retain(|(of, _)| !of.eq_ignore_ascii_case(name));
    }

    fn retain(&mut self, keep: &dyn Fn(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }
}
