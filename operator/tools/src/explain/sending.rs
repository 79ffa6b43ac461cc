//! The request that the backend gets.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use genkan_routing::arriving::Kind;
use genkan_routing::decide::{Destination as _, Plan};
use genkan_routing::directives::RewriteLinks;
use genkan_routing::door::Arrival;
use genkan_routing::identity::{Introduction, is_user_header};
use genkan_routing::model::{Matcher, Target, Upstream};
use genkan_routing::public::Public;
use genkan_routing::sending::{UpstreamRequest, no_ready_endpoints};
use genkan_routing::{Directives, HeaderStore, HeaderView, Refused, dialling};
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use serde::Serialize;

use super::destination::Destination;
use super::lines::Lines;
use super::verdict::{Outcome, refuse};
use super::{Settings, World};

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
    /// The body that policies put in place of the client's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
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

/// Stands for a value that is not shown.
pub(crate) const HIDDEN: &str = "<credential of the Connector>";
const CLIENT: &str = "<address of the client>";

/// Where a request goes, and what is known of the way.
pub(super) struct Forwarding<'c> {
    pub(super) settings: &'c Settings,
    pub(super) destination: &'c Destination,
    pub(super) upstream: &'c Upstream,
    /// How the backend would be told who calls.
    pub(super) introduction: Option<&'c Introduction>,
    pub(super) known: Known,
    /// There is something that says who calls, true or not.
    pub(super) shows_credential: bool,
    pub(super) kind: &'c Kind,
    /// As it was sent.
    pub(super) arrival: Arrival<'c>,
    /// Without the query.
    pub(super) path: &'c [u8],
}

/// What is known of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It does not count who calls.
    Nobody,
    /// Nobody was named.
    Unnamed,
    /// A name and groups.
    Named,
}

// === impl Forwarding ===

impl Forwarding<'_> {
    pub(super) fn forward(
        &self,
        world: &World,
        plan: Plan<'_, Arc<Destination>>,
        mut headers: Lines,
    ) -> Result<Outcome, Outcome> {
        let (route, upstream) = (&self.destination.route, self.upstream);
        let title = self.destination.title();
        let invalid = |reason: String| refuse(503, "Invalid", format!("{title}: {reason}"));
        let backend = self.destination.backend();
        let directives = backend.map_err(|why| invalid(why.message.clone()))?.directives;
        let authority = plan
            .call
            .as_ref()
            .and_then(|call| call.host.as_ref())
            .unwrap_or(&upstream.authority);
        let host = HeaderValue::from_str(authority)
            .map_err(|_| invalid("the upstream's authority cannot be sent as Host".to_owned()))?;
        let http2 = self.kind.needs_http2(upstream.http2);
        let peer = self.peer(world, http2)?;
        let is_framed = headers.first(CONTENT_LENGTH).is_some() || headers.first(TRANSFER_ENCODING).is_some();
        let front = self.settings.front();
        let upstream_request = UpstreamRequest {
            method: &plan.method,
            is_empty: !is_framed,
            target: &plan.target,
            directives,
            host: &host,
            scheme: peer.scheme,
            caller: self.introduction.filter(|_| route.introduces_caller()),
            client: plan.call.is_none().then_some(&CLIENT),
            kind: self.kind,
            public: match route.matcher {
                Matcher::ReverseProxy { .. } => Some(Public {
                    front: &front,
                    arrival: self.arrival,
                    fronting: &upstream.fronting,
                    cluster: plan.cluster,
                    stripped: plan.stripped_prefix.as_deref(),
                    base: upstream.base_path.trim_end_matches('/'),
                    path: self.path,
                }),
                Matcher::ApiService { .. } | Matcher::Connector { .. } | Matcher::ConnectorClass { .. } => {
                    None
                }
            },
        };
        upstream_request
            .dress(&mut headers)
            .map_err(|error| invalid(error.to_string()))?;
        if route.introduces_caller() && self.introduction.is_none() {
            headers.retain(&|name| !is_user_header(name));
        }
        // Their names and no value: who asks may not be who may see them.
        for (name, _) in plan.call.iter().flat_map(|call| &call.injected.headers) {
            headers.set(name.as_str(), HIDDEN.as_bytes());
        }
        if http2 {
            // genkan itself gives the permission to send, and HTTP/2 frames bodies otherwise.
            headers.remove("Expect");
            headers.remove("Transfer-Encoding");
        }
        Ok(Outcome::Forward(Box::new(Forward {
            object: title.to_owned(),
            notes: self.notes(directives),
            method: plan.method.to_string(),
            target: String::from_utf8_lossy(&plan.target).into_owned(),
            headers: headers.into_text(),
            body: None,
            peer,
        })))
    }

    /// Who may be dialled, as far as that is known without asking the DNS.
    fn peer(&self, world: &World, http2: bool) -> Result<Peer, Refused> {
        let (title, upstream) = (self.destination.title(), self.upstream);
        let mut peer = Peer {
            scheme: if upstream.tls.is_some() { "https" } else { "http" },
            http2,
            endpoints: Vec::new(),
            host: None,
        };
        let is_refused =
            |address: IpAddr| dialling::check(address, &self.settings.allow_upstream_cidr).is_err();
        match &upstream.target {
            Target::Host { name, .. } if name.parse().is_ok_and(is_refused) => {
                return Err(dialling::none_may_be_dialled(title));
            }
            Target::Host { name, port } => peer.host = Some(authority(name, *port)),
            Target::Endpoints(key) => {
                let set = world.endpoints(key).filter(|set| !set.endpoints.is_empty());
                let all = &set.ok_or_else(|| no_ready_endpoints(title))?.endpoints;
                let usable = all.iter().filter(|endpoint| !is_refused(endpoint.address));
                peer.endpoints = usable
                    .map(|e| SocketAddr::new(e.address, e.port).to_string())
                    .collect();
                if peer.endpoints.is_empty() {
                    return Err(dialling::none_may_be_dialled(title));
                }
            }
        }
        Ok(peer)
    }

    fn notes(&self, directives: Option<&Directives>) -> Vec<String> {
        let route = &self.destination.route;
        let is = |of: fn(&Directives) -> bool| directives.is_some_and(of);
        let passes_on = route.forward_authorization || self.settings.forwards_always();
        let tls = self.upstream.tls.as_ref();
        let notes = [
            (
                self.known == Known::Unnamed,
                "nobody was asked whether the caller may; --as USER asks",
            ),
            (
                self.shows_credential && !passes_on,
                "the token is verified by genkan and goes no further; spec.forwardAuthorization would pass it on",
            ),
            (
                route.introduces_caller() && self.known == Known::Unnamed,
                "X-Remote-User, -Uid, -Group and -Extra-* tell the backend who calls",
            ),
            (
                route.introduces_caller() && self.known == Known::Named,
                "X-Remote-Uid and X-Remote-Extra-* follow, where the API server knows more of the caller",
            ),
            (
                tls.is_some_and(|tls| tls.insecure_skip_verify),
                "the certificate of the backend is not checked",
            ),
            (
                is(|directives| !directives.header_down.is_empty()),
                "headerDown changes the headers of the answer",
            ),
            (
                is(|directives| !directives.links.is_off()),
                "links in the answer are moved below the public prefix",
            ),
            (
                is(|directives| directives.links == RewriteLinks::Full),
                "pages get a script that keeps their links there, and what leaves it is sent back",
            ),
            (
                is(|directives| !directives.rewrite_body.is_empty()),
                "rewriteBody puts texts in the place of others in the body of the answer",
            ),
            (
                is(|directives| directives.reject_forwarding_redirects),
                "a redirect to another origin is answered with 502",
            ),
        ];
        let notes = notes.into_iter().filter(|(applies, _)| *applies);
        notes.map(|(_, note)| note.to_owned()).collect()
    }
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
