use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use genkan_proto::v1alpha1::{self as wire, Verdict, resource, verdict::Severity};
use genkan_proto::{Hash, HashBuilder, resource_hash};
use genkan_routing::{Directives, Table};
use prost::Message;

use super::route::directive_spec;
use super::{Action, Door, Route, Tables};
use crate::endpoints::Endpoints;
use crate::metrics::Metrics;
use crate::names::Names;
use crate::upstream::{Target, Upstream, UpstreamError};

/// Owns what the tables are made of and builds new ones beside those that are served. What did not change is shared.
#[derive(Debug)]
pub struct Builder {
    names: Arc<Names>,
    metrics: Arc<Metrics>,
    built: BTreeMap<String, Built>,
    endpoints: HashMap<String, Arc<Endpoints>>,
    doors: Table<Arc<Route>, Arc<Route>>,
    sequence: u64,
}

#[derive(Debug, Clone)]
struct Built {
    hash: [u8; 32],
    verdicts: Vec<Verdict>,
    place: Place,
}

/// Where a resource stands in the tables.
#[derive(Debug, Clone)]
enum Place {
    Proxy {
        path: String,
        method: String,
        route: Arc<Route>,
    },
    Api {
        key: String,
        route: Arc<Route>,
    },
    Endpoints(Vec<SocketAddr>),
}

/// The result of a snapshot that was taken over.
#[derive(Debug)]
pub struct Applied {
    pub tables: Tables,
    pub verdicts: Vec<Verdict>,
    /// To be put in force together with the tables.
    endpoints: Vec<(Arc<Endpoints>, Vec<SocketAddr>)>,
}

/// Why a snapshot is refused as a whole.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("the snapshot's hash is {announced} but its content has {computed}")]
    Hash { announced: String, computed: Hash },
    #[error("the snapshot holds {0} twice or not in the order of the keys")]
    Order(String),
    #[error("the snapshot holds a resource that cannot be decoded: {0}")]
    Decode(#[source] prost::DecodeError),
    #[error("the snapshot holds a resource whose kind this version does not know: {0}")]
    Empty(String),
    #[error("the snapshot is a delta, which was not asked for")]
    Delta,
}

// === impl Builder ===

impl Builder {
    pub fn new(names: Arc<Names>, metrics: Arc<Metrics>) -> Self {
        Self {
            names,
            metrics,
            built: BTreeMap::new(),
            endpoints: HashMap::new(),
            doors: Table::default(),
            sequence: 0,
        }
    }

    /// Takes over a full snapshot; nothing has changed when it is refused.
    ///
    /// # Errors
    /// When the snapshot as such is wrong. A resource that is wrong becomes a stub and a verdict.
    pub fn apply(&mut self, snapshot: wire::Snapshot, announced: &[u8]) -> Result<Applied, ApplyError> {
        if !snapshot.removals.is_empty() {
            return Err(ApplyError::Delta);
        }
        let resources = decode(&snapshot.upserts)?;
        let computed = total(&resources);
        if computed.0 != *announced {
            let announced = announced.iter().map(|byte| format!("{byte:02x}")).collect();
            return Err(ApplyError::Hash { announced, computed });
        }
        let mut old = std::mem::take(&mut self.built);
        let mut fresh = Vec::new();
        for (resource, hash) in resources {
            let same = old.get(&resource.key).is_some_and(|built| built.hash == hash);
            if same {
                self.built.extend(old.remove_entry(&resource.key));
            } else {
                let key = resource.key.clone();
                let built = self.build(resource, hash);
                fresh.push(key.clone());
                self.built.insert(key, built);
            }
        }
        // What goes is taken out before what comes is put in: both may stand in the same place.
        for (key, built) in &old {
            self.take_out(built, !self.built.contains_key(key));
        }
        let mut api_services = None;
        for built in old.values() {
            if let Place::Api { key, route } = &built.place {
                let table = api_services.get_or_insert_with(|| HashMap::clone(&self.doors.api_services));
                if table.get(key).is_some_and(|stands| Arc::ptr_eq(stands, route)) {
                    table.remove(key);
                }
            }
        }
        for key in &fresh {
            match &self.built[key].place {
                Place::Proxy { path, method, route } => {
                    self.doors.reverse_proxies.insert(path, method, Arc::clone(route));
                }
                Place::Api { key, route } => {
                    let table = api_services.get_or_insert_with(|| HashMap::clone(&self.doors.api_services));
                    table.insert(key.clone(), Arc::clone(route));
                }
                Place::Endpoints(_) => {}
            }
        }
        if let Some(api_services) = api_services {
            self.doors.api_services = Arc::new(api_services);
        }
        self.sequence += 1;
        Ok(self.finish(computed))
    }

    fn finish(&mut self, hash: Hash) -> Applied {
        let mut endpoints = Vec::new();
        let mut routes = Vec::new();
        for (key, built) in &self.built {
            match &built.place {
                Place::Proxy { route, .. } | Place::Api { route, .. } => routes.push(Arc::clone(route)),
                Place::Endpoints(addresses) => {
                    let set = self.endpoints.entry(key.clone());
                    let set = Arc::clone(set.or_insert_with(|| empty_set(&self.names)));
                    if set.addresses() != *addresses {
                        endpoints.push((set, addresses.clone()));
                    }
                }
            }
        }
        let built = &self.built;
        self.endpoints.retain(|key, set| {
            let is_served = built.contains_key(key);
            // A set to which only old routes lead keeps its addresses, for the requests that still go there.
            if !is_served && !set.is_empty() && routes.iter().any(|route| leads_to(route, set)) {
                endpoints.push((Arc::clone(set), Vec::new()));
            }
            is_served || Arc::strong_count(set) > 1
        });
        let verdicts = self
            .built
            .values()
            .flat_map(|built| built.verdicts.iter().cloned())
            .collect();
        let tables = Tables {
            hash,
            sequence: self.sequence,
            doors: self.doors.clone(),
            routes,
        };
        Applied {
            tables,
            verdicts,
            endpoints,
        }
    }

    fn take_out(&mut self, built: &Built, is_gone: bool) {
        let route = match &built.place {
            Place::Proxy { path, method, route } => {
                let stands = self.doors.reverse_proxies.remove(path, method);
                // Two resources in one place would be the operator's mistake; the other one stays then.
                if let Some(other) = stands.filter(|other| !Arc::ptr_eq(other, route)) {
                    self.doors.reverse_proxies.insert(path, method, other);
                }
                route
            }
            Place::Api { route, .. } => route,
            Place::Endpoints(_) => return,
        };
        if is_gone {
            let object = &route.object;
            self.metrics.forget(&object.kind, &object.namespace, &object.name);
        }
    }

    fn build(&mut self, resource: wire::Resource, hash: [u8; 32]) -> Built {
        let mut verdicts = Vec::new();
        let place = match resource.resource {
            Some(resource::Resource::ReverseProxy(proxy)) => self.build_proxy(proxy, &mut verdicts),
            Some(resource::Resource::ApiService(api)) => self.build_api(api, &mut verdicts),
            Some(resource::Resource::EndpointSet(set)) => Place::Endpoints(addresses(&set)),
            None => Place::Endpoints(Vec::new()),
        };
        Built {
            hash,
            verdicts,
            place,
        }
    }

    fn build_proxy(&mut self, proxy: wire::ReverseProxy, verdicts: &mut Vec<Verdict>) -> Place {
        let object = proxy.r#ref.unwrap_or_default();
        let mut action = match proxy.action {
            Some(wire::reverse_proxy::Action::Upstream(upstream)) => {
                self.forward(&object, &upstream, verdicts)
            }
            Some(wire::reverse_proxy::Action::Unavailable(stub)) => unavailable(stub),
            None => nothing(&object, verdicts),
        };
        let spec = proxy.directives.as_ref().map(directive_spec).unwrap_or_default();
        let directives = match Directives::compile(&spec) {
            Ok(directives) => Some(directives),
            Err(problems) => {
                let sentences = problems
                    .iter()
                    .map(|problem| format!("{}: {}", problem.field, problem.reason));
                let message = sentences.collect::<Vec<_>>().join("; ");
                action = stub(&object, "Invalid", &message, action, verdicts);
                None
            }
        };
        let door = Door::ReverseProxy {
            path: proxy.path.clone(),
        };
        let mut route = Route::new(object.clone(), door, action, self.meter(&object));
        route.directives = directives;
        route.spec = spec;
        route.forward_authorization = proxy.forward_authorization;
        Place::Proxy {
            path: proxy.path,
            method: proxy.method,
            route: Arc::new(route),
        }
    }

    fn build_api(&mut self, api: wire::ApiService, verdicts: &mut Vec<Verdict>) -> Place {
        let object = api.r#ref.unwrap_or_default();
        let action = match api.action {
            Some(wire::api_service::Action::Upstream(upstream)) => self.forward(&object, &upstream, verdicts),
            Some(wire::api_service::Action::Unavailable(stub)) => unavailable(stub),
            None => nothing(&object, verdicts),
        };
        let mut route = Route::new(object.clone(), Door::ApiService, action, self.meter(&object));
        route.forward_authorization = api.forward_authorization;
        Place::Api {
            key: format!("{}/{}", api.group, api.version),
            route: Arc::new(route),
        }
    }

    fn meter(&self, object: &wire::ResourceRef) -> crate::metrics::Meter {
        self.metrics.meter(&object.kind, &object.namespace, &object.name)
    }

    fn forward(
        &mut self,
        object: &wire::ResourceRef,
        upstream: &wire::Upstream,
        verdicts: &mut Vec<Verdict>,
    ) -> Action {
        let Self { endpoints, names, .. } = self;
        let set = |key: &str| {
            let set = endpoints.entry(key.to_owned());
            Arc::clone(set.or_insert_with(|| empty_set(names)))
        };
        match Upstream::build(upstream, names, set) {
            Ok(upstream) => Action::Forward(Arc::new(upstream)),
            Err(error) => {
                let reason = match error {
                    UpstreamError::CaBundle(_) => "InvalidCABundle",
                    _ => "Invalid",
                };
                verdicts.push(error_verdict(object, reason, &error.to_string()));
                Action::Unavailable {
                    reason: reason.to_owned(),
                    message: error.to_string(),
                }
            }
        }
    }
}

// === impl Applied ===

impl Applied {
    /// Puts everything in force. Endpoints first: the new tables must not meet a set that is not filled yet.
    pub fn publish(self, current: &super::Current) -> (Arc<Tables>, Vec<Verdict>) {
        let (gone, filled): (Vec<_>, Vec<_>) = self
            .endpoints
            .into_iter()
            .partition(|(_, addresses)| addresses.is_empty());
        for (set, addresses) in filled {
            set.replace(addresses);
        }
        let old = current.publish(self.tables);
        for (set, _) in gone {
            set.replace([]);
        }
        (old, self.verdicts)
    }
}

fn empty_set(names: &Names) -> Arc<Endpoints> {
    Arc::new(Endpoints::new(Arc::clone(names.check())))
}

fn leads_to(route: &Route, set: &Arc<Endpoints>) -> bool {
    let target = route.upstream().map(|upstream| &upstream.target);
    matches!(target, Some(Target::Set(own)) if Arc::ptr_eq(own, set))
}

/// The resources with the hashes of their bytes.
fn decode(encoded: &[Bytes]) -> Result<Vec<(wire::Resource, [u8; 32])>, ApplyError> {
    let mut resources: Vec<(wire::Resource, _)> = Vec::with_capacity(encoded.len());
    for bytes in encoded {
        let resource = wire::Resource::decode(bytes.clone()).map_err(ApplyError::Decode)?;
        if resources.last().is_some_and(|(last, _)| last.key >= resource.key) {
            return Err(ApplyError::Order(resource.key));
        }
        if resource.resource.is_none() {
            return Err(ApplyError::Empty(resource.key));
        }
        resources.push((resource, resource_hash(bytes)));
    }
    Ok(resources)
}

fn total(resources: &[(wire::Resource, [u8; 32])]) -> Hash {
    let mut builder = HashBuilder::default();
    resources
        .iter()
        .for_each(|(resource, hash)| builder.add(&resource.key, hash));
    builder.finish()
}

fn addresses(set: &wire::EndpointSet) -> Vec<SocketAddr> {
    let address = |endpoint: &wire::Endpoint| {
        let port = u16::try_from(endpoint.port).ok().filter(|port| *port != 0)?;
        Some(SocketAddr::new(endpoint.address.parse().ok()?, port))
    };
    set.endpoints.iter().filter_map(address).collect()
}

fn unavailable(stub: wire::Unavailable) -> Action {
    Action::Unavailable {
        reason: stub.reason,
        message: stub.message,
    }
}

fn nothing(object: &wire::ResourceRef, verdicts: &mut Vec<Verdict>) -> Action {
    let message = "the operator sent neither an upstream nor a reason why there is none";
    verdicts.push(error_verdict(object, "Invalid", message));
    Action::Unavailable {
        reason: "Invalid".into(),
        message: message.into(),
    }
}

/// What the object says cannot be done; a stub that it was already says more.
fn stub(
    object: &wire::ResourceRef,
    reason: &str,
    message: &str,
    action: Action,
    verdicts: &mut Vec<Verdict>,
) -> Action {
    if matches!(action, Action::Unavailable { .. }) {
        return action;
    }
    verdicts.push(error_verdict(object, reason, message));
    Action::Unavailable {
        reason: reason.to_owned(),
        message: message.to_owned(),
    }
}

fn error_verdict(object: &wire::ResourceRef, reason: &str, message: &str) -> Verdict {
    Verdict {
        resource: Some(object.clone()),
        severity: Severity::Error.into(),
        reason: reason.to_owned(),
        message: message.to_owned(),
    }
}
