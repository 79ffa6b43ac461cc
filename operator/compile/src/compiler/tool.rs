//! What Connectors and their classes share.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use genkan_crds::Endpoint as Spec;
use genkan_crds::connectors::destination::Destination;
use genkan_routing::model::{Blob, BlobKey, Upstream};

use super::{Use, upstream};
use crate::index::Index;
use crate::verdict::{Backend, Finding};

/// Where a class or a Connector leads: an address, looked at alone and together with what it names.
pub(super) struct Address {
    pub finding: Finding,
    pub upstream: Option<Upstream>,
    pub backend: Backend,
    pub needs: Option<Use>,
    pub bundle: Option<(BlobKey, Blob)>,
}

/// How the certificate behind an address is verified.
#[derive(Clone, Debug, Default)]
pub(super) struct Trust {
    /// PEM.
    pub authorities: Option<String>,
    /// The roots of data planes count beside these.
    pub beside_roots: bool,
    pub skips: bool,
}

/// What a reference leads to.
pub(super) enum Led {
    Nowhere,
    To(String),
    /// One sentence.
    Wrong(String),
}

// === impl Address ===

impl Address {
    /// # Errors
    /// One sentence for each thing that is wrong with the URL itself, behind the path of its field.
    pub(super) fn resolve(url: &str, field: &str, trust: &Trust, index: &Index) -> Result<Self, Vec<String>> {
        let spec = Spec {
            url: Some(url.to_owned()),
            ca_bundle: trust.authorities.as_ref().map(|pem| STANDARD.encode(pem)),
            insecure_skip_verify: trust.skips.then_some(true),
            ..Spec::default()
        };
        let valid = upstream::validate(&spec, field).map_err(|problems| {
            let shorter =
                |problem: &String| problem.replacen(&format!("{field}.url: "), &format!("{field}: "), 1);
            problems.iter().map(shorter).collect::<Vec<_>>()
        })?;
        let mut resolved = valid.resolve(index);
        if let Some(tls) = resolved
            .upstream
            .as_mut()
            .and_then(|upstream| upstream.tls.as_mut())
        {
            tls.beside_roots = trust.beside_roots && trust.authorities.is_some();
        }
        Ok(Self {
            finding: resolved.finding,
            upstream: resolved.upstream,
            backend: resolved.backend,
            needs: resolved.needs,
            bundle: valid.bundle,
        })
    }
}

/// Where a reference of a class leads, in the words of its status.
pub(super) fn led(to: &Destination, field: &str, domain: &str) -> Led {
    let uri = to.uri.as_deref().filter(|uri| !uri.is_empty());
    let is_absolute = uri.is_some_and(|uri| uri.contains("://"));
    let Some(reference) = &to.reference else {
        return match uri {
            None => Led::Nowhere,
            Some(uri) if is_absolute => Led::To(uri.to_owned()),
            Some(uri) => Led::Wrong(format!(
                "{field}.uri: {uri:?} has no scheme and host; give them, or a ref that it is relative to"
            )),
        };
    };
    if is_absolute {
        return Led::Wrong(format!(
            "{field}.uri: is absolute beside a ref; give one of them, or a path"
        ));
    }
    if !reference.is_service() {
        return Led::Wrong(format!(
            "{field}.ref: refers to something else than a Service of v1; give a Service, or a uri"
        ));
    }
    let Some(namespace) = reference
        .namespace
        .as_deref()
        .filter(|namespace| !namespace.is_empty())
    else {
        return Led::Wrong(format!(
            "{field}.ref.namespace: is empty, and a class stands in none; give it"
        ));
    };
    let secure = to.ca_certs.as_deref().is_some_and(|pem| !pem.is_empty());
    let scheme = if secure { "https" } else { "http" };
    let base = format!("{scheme}://{}.{namespace}.svc.{domain}", reference.name);
    match uri {
        None => Led::To(base),
        Some(path) if path.starts_with('/') => Led::To(base + path),
        Some(path) => Led::To(format!("{base}/{path}")),
    }
}

/// What an object needs, of all of its addresses.
pub(super) fn needs<'a>(all: impl IntoIterator<Item = &'a Address>) -> Vec<Use> {
    let mut needs: Vec<Use> = Vec::new();
    for need in all.into_iter().filter_map(|address| address.needs.clone()) {
        if !needs.contains(&need) {
            needs.push(need);
        }
    }
    needs
}

/// Those that lead somewhere.
pub(super) fn upstreams(all: &BTreeMap<String, Address>) -> BTreeMap<String, Upstream> {
    let found = all
        .iter()
        .filter_map(|(name, address)| Some((name.clone(), address.upstream.clone()?)));
    found.collect()
}

/// The host of a URL that was valid.
pub(super) fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#'])
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
}
