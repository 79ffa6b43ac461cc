use genkan_routing::model::{Authorities, BlobKey, SetKey, Target, Tls, Upstream};
use genkan_routing::public::{Fronting, HostMode};

use crate::v1alpha1 as wire;

pub fn to_wire(upstream: &Upstream) -> wire::Upstream {
    wire::Upstream {
        authority: upstream.authority.clone(),
        base_path: upstream.base_path.clone(),
        target: Some(match &upstream.target {
            Target::Endpoints(key) => wire::upstream::Target::Endpoints(key.to_string()),
            Target::Host { name, port } => wire::upstream::Target::Host(wire::Host {
                name: name.clone(),
                port: (*port).into(),
            }),
        }),
        tls: upstream.tls.as_ref().map(|tls| wire::Tls {
            server_name: tls.server_name.clone(),
            ca: match &tls.ca {
                Authorities::Inline(pem) => pem.to_vec(),
                Authorities::System | Authorities::Bundle(_) => Vec::new(),
            },
            insecure_skip_verify: tls.insecure_skip_verify,
            beside_roots: tls.beside_roots,
            ca_bundle: match &tls.ca {
                Authorities::Bundle(key) => key.to_string(),
                Authorities::System | Authorities::Inline(_) => String::new(),
            },
        }),
        http2: upstream.http2,
        https_by_default: upstream.https_by_default,
        host_name: match &upstream.fronting.host {
            HostMode::Name(name) => name.clone(),
            HostMode::Own | HostMode::Preserve => String::new(),
        },
        preserves_host: upstream.fronting.host == HostMode::Preserve,
        keeps_origin: upstream.fronting.keeps_origin,
    }
}

/// # Errors
/// What makes no sense in it, in one sentence.
pub fn from_wire(wire: wire::Upstream) -> Result<Upstream, String> {
    let target = match wire.target.ok_or("the upstream has no target")? {
        wire::upstream::Target::Endpoints(key) => {
            let key =
                SetKey::parse(&key).ok_or_else(|| format!("the upstream's endpoints {key:?} are no key"));
            Target::Endpoints(key?)
        }
        wire::upstream::Target::Host(wire::Host { name, port }) => {
            let valid = u16::try_from(port).ok().filter(|port| *port != 0);
            let port =
                valid.ok_or_else(|| format!("the upstream's port {port} is not between 1 and 65535"))?;
            Target::Host { name, port }
        }
    };
    let tls = wire.tls.map(tls_from_wire).transpose()?;
    // Without a name nothing at all would be verified, in silence.
    if tls.as_ref().is_some_and(|tls| tls.server_name.is_empty()) {
        return Err("the upstream uses TLS and names no server to verify".to_owned());
    }
    Ok(Upstream {
        authority: wire.authority,
        base_path: wire.base_path,
        target,
        tls,
        http2: wire.http2,
        https_by_default: wire.https_by_default,
        fronting: Fronting {
            host: match (wire.host_name, wire.preserves_host) {
                (name, _) if !name.is_empty() => HostMode::Name(name),
                (_, true) => HostMode::Preserve,
                (_, false) => HostMode::Own,
            },
            keeps_origin: wire.keeps_origin,
        },
    })
}

fn tls_from_wire(tls: wire::Tls) -> Result<Tls, String> {
    let ca = match (tls.ca_bundle.as_str(), tls.ca) {
        ("", pem) if pem.is_empty() => Authorities::System,
        ("", pem) => Authorities::Inline(pem.into()),
        (key, _) => Authorities::Bundle(
            BlobKey::parse(key).ok_or_else(|| format!("the upstream's CA bundle {key:?} is no key"))?,
        ),
    };
    Ok(Tls {
        server_name: tls.server_name,
        ca,
        beside_roots: tls.beside_roots,
        insecure_skip_verify: tls.insecure_skip_verify,
    })
}
