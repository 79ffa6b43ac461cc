//! What the operator keeps of each watched object: lean views, made once where the object arrives.

use std::collections::BTreeMap;

use genkan_crds::connectors::PROXY_RESOLVER;
use genkan_crds::gateway::APPROVE;
use genkan_crds::reverse_proxy::{TARGET_CONSOLE, TARGET_LABEL};
use genkan_routing::model::connector::FLAGS;
use genkan_routing::model::{FeatureFlags, Matcher, ObjectKey, Published, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::kinds::{self, Spec};

/// The kinds that are followed. No `_` arm matches on one: the compiler names every place that a new kind concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Published(Published),
    Watched(Watched),
}

/// The kinds that take no requests, and are looked at for those that do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Watched {
    Service,
    EndpointSlice,
    Pod,
    /// Of Kubernetes only those that Connectors name are followed, each by itself.
    Secret,
    /// The switches of Connectors, and those that extensions name.
    ConfigMap,
}

/// Name of the ConfigMap with the switches of Connectors.
pub const FLAGS_NAME: &str = "connectors-config";
/// Annotation of a Connector: the certificate of its tool is not verified.
pub const SKIPS_VERIFICATION: &str = "genkan.io/insecure-skip-tls-verify";
const ANNOTATIONS: [&str; 3] = [PROXY_RESOLVER, SKIPS_VERIFICATION, APPROVE];

/// Namespace (empty for cluster-scoped objects) and name.
pub type Key = (String, String);

/// An object of one of the watched kinds.
#[allow(
    clippy::large_enum_variant,
    reason = "it is on its way to the index, which keeps each kind by itself"
)]
#[derive(Clone, Debug)]
pub enum Object {
    Published(Record),
    Service(Service),
    EndpointSlice(Slice),
    Pod(Pod),
    Secret(HeldSecret),
    Flags(FeatureFlags),
    ConfigMap(HeldMap),
}

/// A ConfigMap that an extension names, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldMap {
    pub namespace: String,
    pub name: String,
    pub state: MapState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapState {
    Missing,
    /// Nobody has allowed the operator to read it.
    NotPermitted,
    Found(BTreeMap<String, Vec<u8>>),
}

/// A Secret, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSecret {
    pub namespace: String,
    pub name: String,
    pub state: SecretState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretState {
    Missing,
    /// Nobody has allowed the operator to read it.
    NotPermitted,
    Found {
        secret: Secret,
        /// When its content last changed, if it is kept by an API server; seconds since 1970.
        changed_at: Option<i64>,
        /// It holds authorities for all Connectors, if it stands where administrators keep those.
        is_authority: bool,
    },
}

/// The label of a Secret that holds authorities for all Connectors.
pub const AUTHORITY: (&str, &str) = ("connectors.cpaas.io/ca-cert", "true");

/// A status as it is stored, in JSON: of most objects nobody ever looks at it again, and a tree takes thrice the room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredStatus(Box<[u8]>);

/// An object that takes requests.
#[derive(Clone, Debug)]
pub struct Record {
    pub key: ObjectKey,
    pub uid: String,
    pub generation: i64,
    pub resource_version: String,
    /// Seconds since 1970.
    pub created: i64,
    /// It is served by the KubeSphere console, not by genkan.
    pub console: bool,
    /// What it asks for, also where its specification cannot be read as a whole; `None` if it does not say.
    pub matcher: Option<Matcher>,
    /// What does not fit the schema is an error, in one sentence.
    pub spec: Result<Spec, String>,
    pub status: StoredStatus,
    /// Those that kinds go by.
    pub annotations: BTreeMap<String, String>,
    /// Hooks and overrides may select it by them.
    pub labels: BTreeMap<String, String>,
    /// Who wrote it last, as managers of fields are called; empty where nobody says.
    pub manager: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub namespace: String,
    pub name: String,
    pub external_name: bool,
    pub headless: bool,
    pub ports: Vec<ServicePort>,
    pub selector: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Empty if it has none.
    pub name: String,
    pub port: u16,
    pub app_protocol: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    pub namespace: String,
    pub name: String,
    /// Of the label `kubernetes.io/service-name`; empty if it has none.
    pub service: String,
    /// Name and number; a port without a number stands for all.
    pub ports: Vec<(String, Option<u16>)>,
    pub endpoints: Vec<SliceEndpoint>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceEndpoint {
    pub addresses: Vec<String>,
    pub ready: bool,
    pub serving: bool,
    pub terminating: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub labels: BTreeMap<String, String>,
    /// It is being deleted, or has ended for good.
    pub leaving: bool,
}

// === impl Watched ===

impl Watched {
    /// Those that are listed as a whole.
    pub const ALL: [Self; 3] = [Self::Service, Self::EndpointSlice, Self::Pod];
}

// === impl Kind ===

impl Kind {
    /// Those that take requests come first.
    pub fn all() -> impl Iterator<Item = Self> {
        let published = Published::ALL.map(Self::Published).into_iter();
        published.chain(Watched::ALL.map(Self::Watched))
    }

    /// Of the API group and kind of an object, if it is watched.
    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        match (group, kind) {
            (genkan_crds::GROUP | genkan_crds::CONNECTORS_GROUP | genkan_crds::GATEWAY_GROUP, _) => {
                let kind: Option<Published> = kind.parse().ok();
                kind.filter(|kind| kinds::of(*kind).group == group)
                    .map(Self::Published)
            }
            ("", "Service") => Some(Self::Watched(Watched::Service)),
            ("discovery.k8s.io", "EndpointSlice") => Some(Self::Watched(Watched::EndpointSlice)),
            ("", "Pod") => Some(Self::Watched(Watched::Pod)),
            ("", "Secret") => Some(Self::Watched(Watched::Secret)),
            ("", "ConfigMap") => Some(Self::Watched(Watched::ConfigMap)),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Published(kind) => kind.name(),
            Self::Watched(Watched::Service) => "Service",
            Self::Watched(Watched::EndpointSlice) => "EndpointSlice",
            Self::Watched(Watched::Pod) => "Pod",
            Self::Watched(Watched::Secret) => "Secret",
            Self::Watched(Watched::ConfigMap) => "ConfigMap",
        }
    }

    pub fn published(self) -> Option<Published> {
        match self {
            Self::Published(kind) => Some(kind),
            Self::Watched(_) => None,
        }
    }
}

// === impl Object ===

impl Object {
    /// Reads a JSON object of a kind. A specification that does not fit is kept with what is wrong with it; anything
    /// else that does not fit is an error, in one sentence.
    ///
    /// # Errors
    /// When there is no name, or a Service, EndpointSlice or Pod does not have the form of its kind.
    pub fn read(kind: Kind, value: Value) -> Result<Self, String> {
        Ok(match kind {
            Kind::Published(kind) => Self::Published(record(kind, value)?),
            Kind::Watched(Watched::Service) => Self::Service(service(decode(kind, value)?)),
            Kind::Watched(Watched::EndpointSlice) => Self::EndpointSlice(slice(decode(kind, value)?)),
            Kind::Watched(Watched::Pod) => Self::Pod(pod(decode(kind, value)?)),
            Kind::Watched(Watched::Secret) => Self::Secret(secret(decode(kind, value)?)),
            Kind::Watched(Watched::ConfigMap) => match key_of(&value).1 == FLAGS_NAME {
                true => Self::Flags(flags(&decode(kind, value)?, &FeatureFlags::default()).0),
                false => Self::ConfigMap(config_map(decode(kind, value)?)),
            },
        })
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::Published(record) => Kind::Published(record.key.kind),
            Self::Service(_) => Kind::Watched(Watched::Service),
            Self::EndpointSlice(_) => Kind::Watched(Watched::EndpointSlice),
            Self::Pod(_) => Kind::Watched(Watched::Pod),
            Self::Secret(_) => Kind::Watched(Watched::Secret),
            Self::Flags(_) | Self::ConfigMap(_) => Kind::Watched(Watched::ConfigMap),
        }
    }

    pub fn key(&self) -> Key {
        match self {
            Self::Published(r) => (r.key.namespace.clone(), r.key.name.clone()),
            Self::Service(s) => (s.namespace.clone(), s.name.clone()),
            Self::EndpointSlice(s) => (s.namespace.clone(), s.name.clone()),
            Self::Pod(p) => (p.namespace.clone(), p.name.clone()),
            Self::Secret(s) => (s.namespace.clone(), s.name.clone()),
            Self::Flags(_) => (String::new(), FLAGS_NAME.to_owned()),
            Self::ConfigMap(map) => (map.namespace.clone(), map.name.clone()),
        }
    }
}

// === impl SecretState ===

impl SecretState {
    pub fn is_authority(&self) -> bool {
        match self {
            Self::Found { is_authority, .. } => *is_authority,
            Self::Missing | Self::NotPermitted => false,
        }
    }
}

// === impl Record ===

impl Record {
    /// Nothing that a compile looks at differs. Within one uid the generation tells specifications apart.
    pub fn compiles_as(&self, other: &Self) -> bool {
        self.uid == other.uid
            && self.generation == other.generation
            && self.generation > 0
            && self.created == other.created
            && self.console == other.console
            && self.annotations == other.annotations
            && self.labels == other.labels
            && self.spec.is_ok()
            && other.spec.is_ok()
    }

    /// An object from a file carries no status; the one it got here is still its own.
    pub fn keep_status(&mut self, before: Option<&Self>) {
        if let Some(before) = before.filter(|b| self.resource_version.is_empty() && b.uid == self.uid) {
            self.status = before.status.clone();
        }
    }

    /// A write computed from `before` made it `after`.
    pub fn written(&mut self, uid: &str, before: &str, after: &str, status: &Value) {
        if self.uid == uid && self.resource_version == before {
            self.resource_version = after.to_string();
            self.status = StoredStatus::new(status);
        }
    }
}

// === impl StoredStatus ===

impl StoredStatus {
    pub fn new(status: &Value) -> Self {
        // A value always has a form in JSON.
        Self(serde_json::to_vec(status).unwrap_or_default().into())
    }

    /// Null where there is none.
    pub fn read(&self) -> Value {
        serde_json::from_slice(&self.0).unwrap_or_default()
    }
}

/// Namespace and name of a JSON object.
pub fn key_of(value: &Value) -> Key {
    let text = |name| value["metadata"][name].as_str().unwrap_or_default().to_string();
    (text("namespace"), text("name"))
}

fn decode<T: DeserializeOwned>(kind: Kind, value: Value) -> Result<T, String> {
    let (namespace, name) = key_of(&value);
    serde_json::from_value(value)
        .map_err(|e| format!("{} {namespace}/{name} cannot be read: {e}", kind.name()))
}

fn record(kind: Published, mut value: Value) -> Result<Record, String> {
    let raw = value["spec"].take();
    let meta = &value["metadata"];
    let text = |name: &str| meta[name].as_str().unwrap_or_default().to_string();
    let name = text("name");
    if name.is_empty() {
        return Err("an object has no metadata.name; give it one".into());
    }
    let created = meta["creationTimestamp"]
        .as_str()
        .and_then(|t| t.parse::<jiff::Timestamp>().ok());
    let form = kinds::of(kind);
    let namespace = match form.is_namespaced {
        true => Some(text("namespace")).filter(|namespace| !namespace.is_empty()),
        false => Some(String::new()),
    };
    let key = ObjectKey {
        kind,
        namespace: namespace.unwrap_or_else(|| "default".to_owned()),
        name,
    };
    Ok(Record {
        matcher: form.matcher(&key, &raw),
        annotations: annotations(meta),
        labels: labels(meta),
        manager: text("manager"),
        key,
        uid: text("uid"),
        generation: meta["generation"].as_i64().unwrap_or_default(),
        resource_version: text("resourceVersion"),
        created: created.map_or(0, |t| t.as_second()),
        console: kind == Published::ReverseProxy && meta["labels"][TARGET_LABEL] == TARGET_CONSOLE,
        spec: form.read(&raw).map_err(|e| format!("spec cannot be read: {e}")),
        status: StoredStatus::new(&value["status"].take()),
    })
}

/// Of people's notes those that mean something here.
fn annotations(meta: &Value) -> BTreeMap<String, String> {
    let all = meta["annotations"].as_object();
    let of_ours = all
        .into_iter()
        .flatten()
        .filter(|(name, _)| ANNOTATIONS.contains(&name.as_str()));
    of_ours
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

fn labels(meta: &Value) -> BTreeMap<String, String> {
    let all = meta["labels"].as_object().into_iter().flatten();
    let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    all.filter_map(text).collect()
}

fn secret(secret: k8s_openapi::api::core::v1::Secret) -> HeldSecret {
    let written = secret.string_data.unwrap_or_default().into_iter();
    let written = written.map(|(key, value)| (key, Zeroizing::new(value.into_bytes())));
    let data = secret.data.unwrap_or_default().into_iter();
    let data = data.map(|(key, value)| (key, Zeroizing::new(value.0)));
    let changed_at = changed_at(&secret.metadata);
    let labels = secret.metadata.labels.as_ref();
    let is_authority = labels
        .and_then(|labels| labels.get(AUTHORITY.0))
        .is_some_and(|value| value == AUTHORITY.1);
    HeldSecret {
        namespace: secret.metadata.namespace.unwrap_or_else(|| "default".into()),
        name: secret.metadata.name.unwrap_or_default(),
        state: SecretState::Found {
            secret: Secret {
                kind: secret.type_.unwrap_or_else(|| "Opaque".to_owned()),
                data: data.chain(written).collect(),
            },
            changed_at,
            is_authority,
        },
    }
}

fn config_map(map: k8s_openapi::api::core::v1::ConfigMap) -> HeldMap {
    let texts = map.data.unwrap_or_default().into_iter();
    let texts = texts.map(|(key, text)| (key, text.into_bytes()));
    let binary = map.binary_data.unwrap_or_default().into_iter();
    HeldMap {
        namespace: map.metadata.namespace.unwrap_or_else(|| "default".into()),
        name: map.metadata.name.unwrap_or_default(),
        state: MapState::Found(texts.chain(binary.map(|(key, bytes)| (key, bytes.0))).collect()),
    }
}

/// Every writer of a field is kept with the time of its last change.
fn changed_at(meta: &ObjectMeta) -> Option<i64> {
    let writers = meta.managed_fields.iter().flatten();
    let of_data = writers.filter(|writer| {
        let fields = writer.fields_v1.as_ref().and_then(|fields| fields.0.as_object());
        fields.is_some_and(|fields| fields.contains_key("f:data") || fields.contains_key("f:stringData"))
    });
    let times = of_data.filter_map(|writer| writer.time.as_ref());
    let newest = times.max().or(meta.creation_timestamp.as_ref());
    newest.map(|time| time.0.as_second())
}

/// The switches that a ConfigMap turns on, and the entries whose value says neither: these stay as they were.
pub fn flags(
    map: &k8s_openapi::api::core::v1::ConfigMap,
    before: &FeatureFlags,
) -> (FeatureFlags, Vec<(String, String)>) {
    let mut unclear = Vec::new();
    let value = |flag: &str| map.data.as_ref().and_then(|data| data.get(flag));
    let mut on = Vec::new();
    for flag in FLAGS {
        let is_on = match value(flag).map(String::as_str) {
            Some("true") => true,
            Some("false") | None => false,
            Some(other) => {
                unclear.push((flag.to_owned(), other.to_owned()));
                before.is_on(flag)
            }
        };
        if is_on {
            on.push(flag.to_owned());
        }
    }
    (FeatureFlags(on), unclear)
}

fn service(s: k8s_openapi::api::core::v1::Service) -> Service {
    let spec = s.spec.unwrap_or_default();
    let ports = spec
        .ports
        .unwrap_or_default()
        .into_iter()
        .filter(|p| p.protocol.as_deref().unwrap_or("TCP") == "TCP");
    Service {
        namespace: s.metadata.namespace.unwrap_or_else(|| "default".into()),
        name: s.metadata.name.unwrap_or_default(),
        external_name: spec.type_.as_deref() == Some("ExternalName"),
        headless: spec.cluster_ip.as_deref() == Some("None"),
        ports: ports
            .filter_map(|p| {
                let port = u16::try_from(p.port).ok()?;
                Some(ServicePort {
                    name: p.name.unwrap_or_default(),
                    port,
                    app_protocol: p.app_protocol,
                })
            })
            .collect(),
        selector: spec.selector.unwrap_or_default(),
    }
}

fn slice(s: k8s_openapi::api::discovery::v1::EndpointSlice) -> Slice {
    let service = s
        .metadata
        .labels
        .as_ref()
        .and_then(|l| l.get("kubernetes.io/service-name"))
        .cloned();
    // Addresses of the type FQDN are names; Kubernetes itself deprecates them and no proxy dials them.
    let dialled = s.address_type != "FQDN";
    let ports = s
        .ports
        .unwrap_or_default()
        .into_iter()
        .filter(|p| p.protocol.as_deref().unwrap_or("TCP") == "TCP");
    let endpoints = s.endpoints.unwrap_or_default().into_iter().filter(|_| dialled);
    Slice {
        namespace: s.metadata.namespace.unwrap_or_else(|| "default".into()),
        name: s.metadata.name.unwrap_or_default(),
        service: service.unwrap_or_default(),
        ports: ports
            .map(|p| {
                (
                    p.name.unwrap_or_default(),
                    p.port.and_then(|n| u16::try_from(n).ok()),
                )
            })
            .collect(),
        endpoints: endpoints
            .map(|e| {
                let c = e.conditions.unwrap_or_default();
                let ready = c.ready.unwrap_or(true);
                SliceEndpoint {
                    addresses: e.addresses,
                    ready,
                    serving: c.serving.unwrap_or(ready),
                    terminating: c.terminating.unwrap_or(false),
                }
            })
            .collect(),
    }
}

fn pod(p: k8s_openapi::api::core::v1::Pod) -> Pod {
    let phase = p.status.as_ref().and_then(|s| s.phase.as_deref());
    let ended = matches!(phase, Some("Failed" | "Succeeded"));
    Pod {
        namespace: p.metadata.namespace.unwrap_or_else(|| "default".into()),
        name: p.metadata.name.unwrap_or_default(),
        uid: p.metadata.uid.unwrap_or_default(),
        labels: p.metadata.labels.unwrap_or_default(),
        leaving: p.metadata.deletion_timestamp.is_some() || ended,
    }
}
