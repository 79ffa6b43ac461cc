//! Where an object's requests go: the one place that resolves what an endpoint names.

use genkan_crds::Endpoint as Spec;
use genkan_crds::condition::reason;
use genkan_crds::endpoint::DEFAULT_SERVICE_PORT;
use genkan_proto::codec::blob_key;
use genkan_routing::endpoint::{Endpoint, Scheme, service_of_host};
use genkan_routing::model::{Authorities, Blob, BlobKey, SetKey, Target, Tls, Upstream};
use genkan_routing::public::Fronting;

use super::{Use, bundle};
use crate::index::Index;
use crate::object::{Key, Service};
use crate::verdict::{Backend, Finding};

const H2C: &str = "kubernetes.io/h2c";

/// A specification that is valid by itself.
pub struct Valid {
    endpoint: Endpoint,
    /// The Service that it names, by reference or by the host of its URL.
    service: Option<Key>,
    form: Form,
    /// The authorities that it trusts beside those of the data plane.
    pub bundle: Option<(BlobKey, Blob)>,
    insecure: bool,
    /// Worth saying although nothing is wrong.
    pub remark: Option<String>,
}

/// How the author wrote it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Url,
    /// With a scheme of its own.
    Service {
        scheme: bool,
    },
}

/// What became of the references.
pub struct Resolved {
    pub finding: Finding,
    pub upstream: Option<Upstream>,
    pub backend: Backend,
    pub needs: Option<Use>,
}

/// The endpoint in one word, for `kubectl get`, right or wrong as it may be.
pub fn display(spec: &Spec) -> String {
    match (&spec.url, &spec.service) {
        (Some(url), _) => url.clone(),
        (None, Some(s)) => format!(
            "svc/{}/{}:{}",
            s.namespace,
            s.name,
            s.port.unwrap_or(DEFAULT_SERVICE_PORT.into())
        ),
        (None, None) => String::new(),
    }
}

/// Checks an endpoint that stands at `path` in its object, without looking at any other object.
///
/// # Errors
/// One sentence for each thing that is wrong, with the path of its field.
pub fn validate(spec: &Spec, path: &str) -> Result<Valid, Vec<String>> {
    let (endpoint, form) = match (&spec.url, &spec.service) {
        (Some(url), _) => {
            let endpoint = Endpoint::from_url(url).map_err(|e| vec![format!("{path}.url: {e}")])?;
            (endpoint, Form::Url)
        }
        (None, Some(s)) => {
            let port = s.effective_port().ok_or_else(|| {
                let port = s.port.unwrap_or_default();
                vec![format!(
                    "{path}.service.port: {port} is not a port; give a number from 1 to 65535"
                )]
            })?;
            let scheme = match s.effective_scheme() {
                "http" => Scheme::Http,
                "https" => Scheme::Https,
                other => {
                    return Err(vec![format!(
                        "{path}.service.scheme: {other:?} is not a scheme; give http or https"
                    )]);
                }
            };
            let endpoint = Endpoint::from_service(
                &s.namespace,
                &s.name,
                port,
                s.path.as_deref().unwrap_or_default(),
                scheme,
            )
            .map_err(|e| vec![format!("{path}.service.path: {e}")])?;
            (
                endpoint,
                Form::Service {
                    scheme: s.scheme.is_some(),
                },
            )
        }
        (None, None) => {
            return Err(vec![format!(
                "{path}: url or service is required; give one of them"
            )]);
        }
    };
    let insecure = spec.skips_verification();
    let mut held = None;
    if let Some(bundle) = spec.ca_bundle.as_deref().filter(|b| !b.is_empty())
        && endpoint.scheme == Scheme::Https
        && !insecure
    {
        let content = bundle::read(bundle).map_err(|e| vec![format!("{path}.caBundle: {e}")])?;
        let blob = Blob {
            content: content.into(),
        };
        held = Some((blob_key(&blob), blob));
    }
    let both = spec.url.is_some() && spec.service.is_some();
    let remark =
        both.then(|| format!("{path}.url is used and {path}.service is ignored; remove one of them"));
    let service = match (form, &spec.service) {
        (Form::Service { .. }, Some(s)) => Some((s.namespace.clone(), s.name.clone())),
        _ => {
            service_of_host(&endpoint.host).map(|(namespace, name)| (namespace.to_string(), name.to_string()))
        }
    };
    Ok(Valid {
        endpoint,
        service,
        form,
        bundle: held,
        insecure,
        remark,
    })
}

// === impl Valid ===

impl Valid {
    /// Finds what it refers to.
    pub fn resolve(&self, index: &Index) -> Resolved {
        let Some(key) = &self.service else {
            return self.external();
        };
        match self.find(index, key) {
            Ok((service, app_protocol)) => self.through(service, app_protocol),
            Err(finding) => Resolved {
                finding,
                upstream: None,
                backend: Backend::None,
                needs: Some(Use {
                    service: key.clone(),
                    set: None,
                }),
            },
        }
    }

    fn external(&self) -> Resolved {
        let name = self.endpoint.host.clone();
        let target = Target::Host {
            name: name.clone(),
            port: self.endpoint.port,
        };
        Resolved {
            finding: Finding::yes(reason::RESOLVED_REFS, "no Kubernetes object is referred to"),
            upstream: Some(self.upstream(target, None)),
            backend: Backend::Host(name),
            needs: None,
        }
    }

    fn find<'i>(&self, index: &'i Index, key: &Key) -> Result<(&'i Service, Option<&'i str>), Finding> {
        let (namespace, name) = key;
        let port = self.endpoint.port;
        let Some(service) = index.services.get(key) else {
            let message =
                format!("Service {namespace}/{name} does not exist; create it, or correct the reference");
            return Err(Finding::no(reason::BACKEND_NOT_FOUND, message));
        };
        if service.external_name {
            let message = format!(
                "Service {namespace}/{name} is of type ExternalName, which is never followed; \
                 give the external address as url instead"
            );
            return Err(Finding::no(reason::REF_NOT_PERMITTED, message));
        }
        match service.ports.iter().find(|p| p.port == port) {
            Some(p) => Ok((service, p.app_protocol.as_deref())),
            None if service.headless && service.ports.is_empty() => Ok((service, None)),
            None => {
                let has: Vec<String> = service.ports.iter().map(|p| p.port.to_string()).collect();
                let has = match has.as_slice() {
                    [] => "it has none".to_string(),
                    [one] => format!("its only port is {one}"),
                    many => format!("its ports are {}", many.join(", ")),
                };
                let message = format!("Service {namespace}/{name} has no port {port}; {has}");
                Err(Finding::no(reason::BACKEND_NOT_FOUND, message))
            }
        }
    }

    fn through(&self, service: &Service, app_protocol: Option<&str>) -> Resolved {
        let set = SetKey {
            namespace: service.namespace.clone(),
            service: service.name.clone(),
            port: self.endpoint.port,
        };
        Resolved {
            finding: Finding::yes(
                reason::RESOLVED_REFS,
                format!(
                    "Service {}/{} has port {}",
                    service.namespace, service.name, set.port
                ),
            ),
            upstream: Some(self.upstream(Target::Endpoints(set.clone()), app_protocol)),
            backend: Backend::Endpoints(set.clone()),
            needs: Some(Use {
                service: (service.namespace.clone(), service.name.clone()),
                set: Some(set),
            }),
        }
    }

    fn upstream(&self, target: Target, app_protocol: Option<&str>) -> Upstream {
        let http2 = app_protocol == Some(H2C);
        let https = self.endpoint.scheme == Scheme::Https && !http2;
        Upstream {
            authority: self.endpoint.authority.clone(),
            base_path: self.endpoint.base_path.clone(),
            target,
            tls: https.then(|| Tls {
                server_name: self.endpoint.host.clone(),
                ca: match &self.bundle {
                    Some((key, _)) => Authorities::Bundle(*key),
                    None => Authorities::System,
                },
                beside_roots: false,
                insecure_skip_verify: self.insecure,
            }),
            http2,
            fronting: Fronting::default(),
            https_by_default: https && self.form == Form::Service { scheme: false },
        }
    }
}
