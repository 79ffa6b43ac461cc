pub mod authority;
mod bundle;
pub mod client;
pub mod client_certificate;
mod dial;
pub mod endpoints;
pub mod health;
pub mod key_sets;
pub mod names;
pub mod net;
mod patient;
mod pin;
pub mod recovery;
pub mod tokens;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use genkan_routing::model::{self, Authorities, BlobKey, SetKey};
use genkan_routing::public::Fronting;
use http::HeaderValue;
use pingora_core::Error;
use pingora_core::protocols::ALPN;
use pingora_core::protocols::tls::SslDigest;
use pingora_core::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use pingora_core::utils::tls::{WrappedX509, parse_x509};

use crate::endpoints::{Endpoints, Lease};
use crate::listening::keepalive;
use crate::names::{Named, Names};
use patient::patience;

pub use bundle::Bundle;
pub use pin::{Pin, PinError};

/// A backend as one object describes it: where it is and how one talks to it.
#[derive(Debug)]
pub struct Upstream {
    /// The `Host` that the backend sees.
    pub authority: String,
    pub host: HeaderValue,
    /// In front of every path; no trailing slash.
    pub base_path: String,
    pub target: Target,
    pub http2: bool,
    /// What it sees of the front.
    pub fronting: Fronting,
    pub https_by_default: bool,
    tls: Option<Tls>,
    /// Distinguishes pooled connections by everything that shapes them.
    group: u64,
}

#[derive(Debug)]
pub enum Target {
    /// The endpoints of a Service, which the operator keeps up to date.
    Set {
        key: Arc<SetKey>,
        endpoints: Arc<Endpoints>,
    },
    Address(Endpoints),
    Named(Arc<Named>),
}

#[derive(Debug)]
struct Tls {
    server_name: String,
    ca: Option<Arc<[WrappedX509]>>,
    insecure: bool,
    pins: Arc<[Pin]>,
    /// The last connection was good only because of a pin: the next one need not try otherwise first.
    needs_pin: AtomicBool,
}

/// What a single request adds to the settings of its upstream.
#[derive(Debug, Clone, Copy, Default)]
pub struct PeerOptions {
    pub http2: bool,
    pub is_idempotent: bool,
    /// For how long the engine lets the backend be silent; `None`: somebody else looks after that, or it is no fault.
    pub silence: Option<Duration>,
    pub is_upgrade: bool,
    /// The certificate is compared with the pins instead of being verified.
    pub is_pinned: bool,
}

/// Why an upstream cannot be built; the message of a verdict.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UpstreamError {
    #[error("the upstream's authority cannot be sent as Host")]
    Authority,
    #[error("caBundle holds no certificate that can be read: {0}")]
    CaBundle(String),
    #[error("the operator did not send the caBundle with it")]
    NoCaBundle,
}

/// Why there is nobody to send a request to.
#[derive(Debug, PartialEq, Eq)]
pub enum NoEndpoint {
    /// The set is empty.
    Empty,
    /// All were tried, or may not be dialled.
    Exhausted,
    Unresolved(String),
}

const CONNECT: Duration = Duration::from_secs(5);
const CONNECT_IN_ALL: Duration = Duration::from_secs(10);
/// A backend may take nothing of a request for so long.
pub const STANDSTILL: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_secs(60);
/// A request that cannot be repeated must not meet a connection that its backend is about to close.
const IDLE_UNREPEATABLE: Duration = Duration::from_secs(2);
const HTTP2_WINDOW: u32 = 1 << 20;
const HTTP2_STREAMS: usize = 100;

/// Where nothing is verified the TLS library still insists on a root; nothing is signed by this one.
pub static PLACEHOLDER: &[u8] = include_bytes!("upstream/placeholder.der");

// === impl Upstream ===

impl Upstream {
    /// # Errors
    /// When the description makes no sense; the message is for the author.
    pub fn build(
        model: &model::Upstream,
        names: &Names,
        endpoints: impl FnOnce(&SetKey) -> (Arc<SetKey>, Arc<Endpoints>),
        bundle: impl FnOnce(&BlobKey) -> Result<Arc<Bundle>, UpstreamError>,
    ) -> Result<Self, UpstreamError> {
        let target = match &model.target {
            model::Target::Endpoints(key) => {
                let (key, endpoints) = endpoints(key);
                Target::Set { key, endpoints }
            }
            model::Target::Host { name, port } => match name.parse() {
                Ok(ip) => Target::Address(Endpoints::of(
                    Arc::clone(names.check()),
                    SocketAddr::new(ip, *port),
                )),
                Err(_) => Target::Named(names.get(name, *port)),
            },
        };
        let host = HeaderValue::from_str(&model.authority);
        Ok(Self {
            host: host.map_err(|_| UpstreamError::Authority)?,
            authority: model.authority.clone(),
            base_path: model.base_path.trim_end_matches('/').to_owned(),
            target,
            http2: model.http2,
            fronting: model.fronting.clone(),
            https_by_default: model.https_by_default,
            tls: (model.tls.as_ref())
                .map(|tls| Tls::build(tls, bundle))
                .transpose()?,
            group: group(model),
        })
    }

    /// One that is found by the name of its host alone.
    ///
    /// # Errors
    /// When the description makes no sense.
    pub fn of_host(model: &model::Upstream, names: &Names) -> Result<Self, UpstreamError> {
        let set = |key: &SetKey| {
            let none = Endpoints::new(Arc::clone(names.check()));
            (Arc::new(key.clone()), Arc::new(none))
        };
        Self::build(model, names, set, |_| Err(UpstreamError::NoCaBundle))
    }

    #[cfg(test)]
    pub(crate) fn trusts(&self, bundle: &Bundle) -> bool {
        let ca = self.tls.as_ref().and_then(|tls| tls.ca.as_ref());
        ca.is_some_and(|ca| Arc::ptr_eq(ca, &bundle.certificates))
    }

    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    pub fn scheme(&self) -> &'static str {
        if self.is_tls() { "https" } else { "http" }
    }

    fn pins(&self) -> &[Pin] {
        self.tls.as_ref().map_or(&[], |tls| &tls.pins)
    }

    pub fn needs_pin(&self) -> bool {
        self.tls
            .as_ref()
            .is_some_and(|tls| tls.needs_pin.load(Ordering::Relaxed))
    }

    /// Whether a connection failed because the server shows a certificate that only a pin can vouch for.
    pub fn wants_pin(&self, error: &Error) -> bool {
        !self.pins().is_empty() && error.to_string().contains("CaUsedAsEndEntity")
    }

    /// Judges the certificate that a server showed by the pins.
    ///
    /// # Errors
    /// When no pin vouches for it, here and now.
    pub fn judge_pin(&self, shown: Option<&SslDigest>) -> Result<(), PinError> {
        let digest = shown.map(|shown| shown.cert_digest.as_slice());
        Pin::judge(
            self.pins(),
            digest.unwrap_or_default(),
            self.server_name(),
            SystemTime::now(),
        )
    }

    /// Remembers how the last connection came about.
    pub fn note_pin(&self, needs_pin: bool) {
        if let Some(tls) = self.tls.as_ref().filter(|_| self.needs_pin() != needs_pin) {
            tls.needs_pin.store(needs_pin, Ordering::Relaxed);
        }
    }

    fn server_name(&self) -> &str {
        self.tls.as_ref().map_or("", |tls| tls.server_name.as_str())
    }

    /// Chooses an endpoint that may be dialled and `may_be_tried`; waits for the first answer about a name.
    ///
    /// # Errors
    /// When there is none.
    pub async fn choose(&self, may_be_tried: impl Fn(SocketAddr) -> bool) -> Result<Lease, NoEndpoint> {
        let endpoints = match &self.target {
            Target::Set { endpoints, .. } => endpoints,
            Target::Address(endpoints) => endpoints,
            Target::Named(named) => {
                // Once there are addresses nobody has to ask how the last lookup went, which takes a lock.
                if named.endpoints.is_empty() {
                    named.known().await.map_err(NoEndpoint::Unresolved)?;
                }
                &named.endpoints
            }
        };
        endpoints
            .choose(may_be_tried)
            .ok_or_else(|| match endpoints.is_empty() {
                true => NoEndpoint::Empty,
                false => NoEndpoint::Exhausted,
            })
    }

    /// Whether there is an endpoint left, as far as is known now.
    pub fn has_other(&self, may_be_tried: impl Fn(SocketAddr) -> bool) -> bool {
        let endpoints = match &self.target {
            Target::Set { endpoints, .. } => endpoints,
            Target::Address(endpoints) => endpoints,
            Target::Named(named) => &named.endpoints,
        };
        endpoints.has_any(may_be_tried)
    }

    pub fn peer(&self, address: SocketAddr, wanted: PeerOptions) -> HttpPeer {
        let mut peer = HttpPeer::new(address, self.is_tls(), self.server_name().to_owned());
        let bits = [
            wanted.http2,
            wanted.is_idempotent,
            wanted.is_pinned,
            wanted.is_upgrade,
        ];
        peer.group_key = bits
            .iter()
            .fold(self.group, |key, bit| key << 1 | u64::from(*bit));
        let options = &mut peer.options;
        options.connection_timeout = Some(CONNECT);
        options.total_connection_timeout = Some(CONNECT_IN_ALL);
        options.read_timeout = wanted.silence;
        options.write_timeout = Some(STANDSTILL);
        options.idle_timeout = Some(if wanted.is_idempotent {
            IDLE
        } else {
            IDLE_UNREPEATABLE
        });
        options.tcp_keepalive = Some(keepalive());
        if wanted.is_upgrade {
            options.custom_l4 = Some(patience());
            options.idle_timeout = Some(Duration::ZERO);
        }
        if wanted.http2 {
            options.alpn = ALPN::H2;
            options.max_h2_streams = HTTP2_STREAMS;
            options.h2_ping_interval = Some(Duration::from_secs(20));
            options.h2_stream_window_size = Some(HTTP2_WINDOW);
            options.h2_connection_window_size = Some(HTTP2_WINDOW);
        } else {
            options.alpn = ALPN::H1;
            // What concerns one connection only is taken out when the request is made ready to be sent.
            options.http_upstream_request_policy = HttpUpstreamRequestPolicy::preserve();
        }
        if let Some(tls) = &self.tls {
            let is_verified = !tls.insecure && !wanted.is_pinned;
            options.verify_cert = is_verified;
            options.verify_hostname = is_verified;
            options.ca = tls.ca.clone();
        }
        peer
    }
}

// === impl Tls ===

impl Tls {
    fn build(
        model: &model::Tls,
        bundle: impl FnOnce(&BlobKey) -> Result<Arc<Bundle>, UpstreamError>,
    ) -> Result<Self, UpstreamError> {
        let insecure = model.insecure_skip_verify;
        let bundle = match &model.ca {
            _ if insecure => None,
            Authorities::System => None,
            Authorities::Bundle(key) => Some(bundle(key)?),
            Authorities::Inline(pem) => Some(Arc::new(Bundle::read(pem)?)),
        };
        let placeholder = || [WrappedX509::new(PLACEHOLDER.to_vec(), parse_x509)].into();
        Ok(Self {
            server_name: model.server_name.clone(),
            ca: bundle
                .as_ref()
                .map(|bundle| match model.beside_roots {
                    true => bundle.beside_roots(),
                    false => Arc::clone(&bundle.certificates),
                })
                .or_else(|| insecure.then(placeholder)),
            insecure,
            pins: bundle.map_or_else(Default::default, |bundle| Arc::clone(&bundle.pins)),
            needs_pin: AtomicBool::new(false),
        })
    }
}

fn group(upstream: &model::Upstream) -> u64 {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&bytes.len().to_le_bytes());
        hasher.update(bytes);
    };
    match &upstream.target {
        model::Target::Endpoints(key) => part(key.to_string().as_bytes()),
        model::Target::Host { name, port } => part(format!("{name}:{port}").as_bytes()),
    }
    if let Some(tls) = &upstream.tls {
        part(tls.server_name.as_bytes());
        match &tls.ca {
            Authorities::System => part(b""),
            Authorities::Bundle(BlobKey(hash)) => part(hash),
            Authorities::Inline(pem) => part(pem),
        }
        part(&[u8::from(tls.insecure_skip_verify), u8::from(tls.beside_roots)]);
    }
    part(&HTTP2_WINDOW.to_le_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests;
