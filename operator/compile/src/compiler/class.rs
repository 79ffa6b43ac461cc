//! ConnectorClasses: what all Connectors of a class have in common, sent once.

use std::collections::{BTreeMap, BTreeSet};

use genkan_crds::condition::connector::{kind, reason};
use genkan_crds::condition::reason as common;
use genkan_crds::connectors::auth::{BASIC_AUTH, BEARER_TOKEN};
use genkan_crds::connectors::{AuthType as AuthSpec, ClassApi, ConnectorClassSpec, OAuth2, PROXY_RESOLVER};
use genkan_rego::Policy;
use genkan_routing::connectors::CLIENT_KEYS;
use genkan_routing::model::{
    Action, AuthType, ClassProxy, ConnectorClass, Injection, Matcher, ObjectRef, Operation, OwnProxy,
    Provider, Role, Route, Secret, TokenSource, Unavailable, Upstream,
};
use serde_json::{Map, Value, json};

use super::tool::{Address, Led, Trust, host, led, needs, upstreams};
use super::{Compiled, Compiler};
use crate::index::{Index, Probe};
use crate::object::Record;
use crate::verdict::{Backend, Finding, ToolCondition, ToolVerdict, Verdict};

/// Bytes of an OpenAPI description.
const LARGEST_DESCRIPTION: usize = 256 << 10;
/// Operations of one class.
const MOST_OPERATIONS: usize = 4096;
/// The proxy that classes name when they mean the one of this installation.
const BUILT_IN: (&str, &str) = ("connectors-system", "connectors-proxy-service");
const METHODS: [&str; 8] = [
    "get", "head", "options", "post", "put", "patch", "delete", "trace",
];

/// A class while it is looked at.
#[derive(Default)]
struct Draft {
    problems: Vec<String>,
    class: ConnectorClass,
    addresses: Vec<Address>,
    hosts: BTreeSet<String>,
    /// Fields that send credentials somewhere, and whether in plain text.
    carriers: Vec<(String, bool)>,
    status: Map<String, Value>,
    /// What is tried to find out whether somebody is there.
    plans: Vec<(Probe, Secret)>,
}

// === impl Compiler ===

impl Compiler {
    pub(super) fn class(&self, record: &Record, spec: &ConnectorClassSpec, index: &Index) -> Compiled {
        let object = ObjectRef::new(record.key.clone(), record.uid.as_str(), record.generation);
        let mut draft = Draft::default();
        draft.addresses(spec, index);
        draft.auth(spec, index);
        let (api, api_ready) = self.api(record, spec, index, &mut draft);
        let proxy_ready = self.proxy(record, spec, index, &mut draft);
        if let Some(api) = &spec.api {
            draft.describe(api, index);
            draft.permissions(api);
        }
        draft.status.insert("credentialHosts".into(), json!(draft.hosts));
        let accepted = match draft.problems.is_empty() {
            true => Finding::yes(common::ACCEPTED, "the specification is valid"),
            false => Finding::no(common::INVALID, draft.problems.join("; ")),
        };
        let backend = api.as_ref().map_or(Backend::None, |api| api.backend.clone());
        let upstream = api.as_ref().and_then(|api| api.upstream.clone());
        let mut needs = needs(api.iter().chain(&draft.addresses));
        needs.dedup();
        let verdict = Verdict {
            object: object.clone(),
            accepted,
            resolved: Finding::yes(common::RESOLVED_REFS, ""),
            sent: true,
            backend,
            columns: Vec::new(),
            members: Map::new(),
            tool: Some(ToolVerdict {
                conditions: [api_ready, proxy_ready]
                    .into_iter()
                    .chain(draft.encrypted())
                    .collect(),
                status: draft.status,
            }),
            extension: None,
        };
        let route = Route {
            object,
            matcher: Matcher::ConnectorClass {
                name: record.key.name.clone(),
            },
            directives: None,
            action: match upstream {
                Some(upstream) => Action::Forward(upstream),
                None => Action::Unavailable(Unavailable::new(
                    reason::NON_API,
                    format!(
                        "api address of connectorclass '{}' is not resolved",
                        record.key.name
                    ),
                )),
            },
            forward_authorization: false,
            secrets: Vec::new(),
            role: Role::Class(Box::new(draft.class)),
            policies: None,
        };
        Compiled {
            verdict,
            route: Some(route),
            needs,
            bundle: api.and_then(|api| api.bundle),
            policy: None,
            plans: draft.plans,
        }
    }

    fn api(
        &self,
        record: &Record,
        spec: &ConnectorClassSpec,
        index: &Index,
        draft: &mut Draft,
    ) -> (Option<Address>, ToolCondition) {
        let no = |message: String| {
            (
                None,
                ToolCondition::no(kind::API_READY, reason::UNRESOLVED, message),
            )
        };
        let Some(api) = &spec.api else {
            return (None, ToolCondition::yes(kind::API_READY, reason::NON_API));
        };
        let url = match led(&api.destination, "spec.api", &self.domain) {
            Led::Nowhere => return (None, ToolCondition::yes(kind::API_READY, reason::NON_API)),
            Led::Wrong(problem) => return no(problem),
            Led::To(url) => url,
        };
        let trust = Trust {
            authorities: api.destination.ca_certs.clone().filter(|pem| !pem.is_empty()),
            ..Trust::default()
        };
        match Address::resolve(&url, "spec.api", &trust, index) {
            Err(problems) => no(problems.join("; ")),
            Ok(address) => {
                draft.carries("spec.api", &url);
                draft
                    .status
                    .insert("api".into(), json!({"address": {"url": url}}));
                let ready = match address.finding.ok {
                    true => self.asked(record, Probe::Api, &url, &trust, index, draft),
                    false => ToolCondition::no(
                        kind::API_READY,
                        address.finding.reason,
                        address.finding.message.clone(),
                    ),
                };
                (Some(address), ready)
            }
        }
    }

    fn proxy(
        &self,
        record: &Record,
        spec: &ConnectorClassSpec,
        index: &Index,
        draft: &mut Draft,
    ) -> ToolCondition {
        let Some(proxy) = &spec.proxy else {
            return ToolCondition::yes(kind::PROXY_READY, reason::NON_PROXY);
        };
        let url = match led(&proxy.destination, "spec.proxy", &self.domain) {
            Led::Nowhere => return ToolCondition::yes(kind::PROXY_READY, reason::NON_PROXY),
            Led::Wrong(problem) => return ToolCondition::no(kind::PROXY_READY, reason::UNRESOLVED, problem),
            Led::To(url) => url,
        };
        draft
            .status
            .insert("proxy".into(), json!({"httpAddress": {"url": url}}));
        let service = proxy.destination.reference.as_ref();
        let service = service.map(|to| (to.namespace.as_deref().unwrap_or_default(), to.name.as_str()));
        if service == Some(BUILT_IN) {
            draft.class.proxy = ClassProxy::BuiltIn;
            return ToolCondition::yes(kind::PROXY_READY, "");
        }
        if proxy.forward_authorization != Some(true) {
            let message = "spec.proxy: a proxy of the class's own gets the caller's token only if \
                           spec.proxy.forwardAuthorization is true; set it, or name connectors-proxy-service in \
                           connectors-system";
            return ToolCondition::no(kind::PROXY_READY, reason::UNSUPPORTED_VALUE, message);
        }
        match Address::resolve(&url, "spec.proxy", &Trust::default(), index) {
            Err(problems) => ToolCondition::no(kind::PROXY_READY, reason::UNRESOLVED, problems.join("; ")),
            Ok(address) => {
                let ready = match &address.upstream {
                    Some(upstream) => {
                        draft.carries("spec.proxy", &url);
                        draft.class.proxy = ClassProxy::Own(Box::new(OwnProxy {
                            upstream: upstream.clone(),
                            host_suffix: (!is_by_path(record)).then(|| format!("svc.{}", self.domain)),
                        }));
                        self.asked(record, Probe::Proxy, &url, &Trust::default(), index, draft)
                    }
                    None => ToolCondition::no(
                        kind::PROXY_READY,
                        address.finding.reason,
                        address.finding.message.clone(),
                    ),
                };
                draft.addresses.push(address);
                ready
            }
        }
    }
}

impl Compiler {
    /// The condition of an address that a data plane tries to connect to.
    fn asked(
        &self,
        record: &Record,
        probe: Probe,
        url: &str,
        trust: &Trust,
        index: &Index,
        draft: &mut Draft,
    ) -> ToolCondition {
        let (condition, plan) = self.reached(&record.key, probe, url, trust, index);
        draft.plans.push((probe, plan));
        condition
    }
}

/// Its proxy tells Connectors apart by the path.
pub(super) fn is_by_path(class: &Record) -> bool {
    class
        .annotations
        .get(PROXY_RESOLVER)
        .is_some_and(|resolver| resolver == "path")
}

// === impl Draft ===

impl Draft {
    /// Notes that a field sends credentials to a URL.
    fn carries(&mut self, field: &str, url: &str) {
        self.hosts.insert(host(url));
        self.carriers.push((field.to_owned(), url.starts_with("http://")));
    }

    fn encrypted(&self) -> Option<ToolCondition> {
        let kind = kind::CREDENTIALS_ENCRYPTED;
        let plain: Vec<&str> = (self.carriers.iter())
            .filter_map(|(field, is_plain)| is_plain.then_some(field.as_str()))
            .collect();
        let condition = match (self.carriers.is_empty(), plain.is_empty()) {
            (true, _) => return None,
            (false, true) => ToolCondition::yes(kind, ""),
            (false, false) => {
                let message = format!(
                    "credentials of Connectors travel in plain text by {}; give it https (a Service: CACerts), or keep \
                     the way closed by a NetworkPolicy",
                    plain.join(", ")
                );
                ToolCondition::no(kind, reason::PLAIN_HTTP, message)
            }
        };
        Some(condition.of_information())
    }

    /// Defaults of address extensions.
    fn addresses(&mut self, spec: &ConnectorClassSpec, index: &Index) {
        let mut found = BTreeMap::new();
        for (at, extension) in spec.address_extensions.iter().enumerate() {
            let Some(url) = extension.default_text() else {
                continue;
            };
            let field = format!("spec.addressExtensions[{at}].default");
            match Address::resolve(url, &field, &Trust::default(), index) {
                Ok(address) => {
                    self.hosts.insert(host(url));
                    found.insert(extension.name.clone(), address);
                }
                Err(problems) => self.problems.extend(problems),
            }
        }
        self.class.extensions = upstreams(&found);
        self.addresses.extend(found.into_values());
    }

    fn auth(&mut self, spec: &ConnectorClassSpec, index: &Index) {
        let types = spec
            .auth
            .as_ref()
            .map(|auth| auth.types.as_slice())
            .unwrap_or_default();
        for (at, auth) in types.iter().enumerate() {
            let injection = self.injection(auth, at, index);
            let made = AuthType {
                secret_type: auth.secret_type().to_owned(),
                is_optional: auth.optional.unwrap_or(false),
                keys: auth.params.iter().map(|param| param.name.clone()).collect(),
                injection,
            };
            self.class.auth.insert(auth.name.clone(), made);
        }
    }

    fn injection(&mut self, auth: &AuthSpec, at: usize, index: &Index) -> Injection {
        let generator = auth.generator.as_ref();
        if let Some(source) = generator.and_then(|generator| generator.oauth2.as_ref()) {
            return self.token_source(source, auth, at, index);
        }
        if let Some(policy) = generator.and_then(|generator| generator.rego.as_ref()) {
            if let Err(problem) = Policy::new(policy) {
                self.problems.push(format!(
                    "spec.auth.types[{at}].generator.rego: cannot be used: {problem}"
                ));
            }
            return Injection::Rego(policy.clone());
        }
        match auth.secret_type() {
            BASIC_AUTH => Injection::Basic,
            BEARER_TOKEN => Injection::Bearer,
            _ => Injection::Undefined,
        }
    }

    fn token_source(&mut self, source: &OAuth2, auth: &AuthSpec, at: usize, index: &Index) -> Injection {
        let field = format!("spec.auth.types[{at}].generator.oauth2");
        let trust = Trust {
            authorities: source.ca_certs.clone().filter(|pem| !pem.is_empty()),
            ..Trust::default()
        };
        match Address::resolve(&source.token_url, &format!("{field}.tokenURL"), &trust, index) {
            Err(problems) => self.problems.extend(problems),
            Ok(_) => self.carries(&format!("{field}.tokenURL"), &source.token_url),
        }
        let declares = |(id, secret): (&str, &str)| {
            let declared = |key: &str| auth.params.iter().any(|param| param.name == key);
            declared(id) && declared(secret)
        };
        if auth.secret_type() != BASIC_AUTH && !CLIENT_KEYS.into_iter().any(declares) {
            self.problems.push(format!(
                "{field}: needs a Secret that names a client; declare client_id and client_secret in \
                 spec.auth.types[{at}].params, or use the type {BASIC_AUTH}"
            ));
        }
        Injection::OAuth2(TokenSource {
            url: source.token_url.clone(),
            scopes: source.scopes.clone(),
            authorities: trust.authorities,
        })
    }

    fn permissions(&mut self, api: &ClassApi) {
        let policy = api
            .permissions
            .as_ref()
            .and_then(|permissions| permissions.rego.clone());
        let policy = policy.filter(|policy| !policy.is_empty());
        if let Some(Err(problem)) = policy.as_deref().map(Policy::of_permissions) {
            self.problems
                .push(format!("spec.api.permissions.rego: cannot be used: {problem}"));
        }
        self.class.permissions = policy;
    }

    /// What the description says of who answers.
    fn describe(&mut self, api: &ClassApi, index: &Index) {
        let Some(openapi) = &api.openapi else { return };
        let size = serde_json::to_vec(openapi).map_or(0, |bytes| bytes.len());
        if size > LARGEST_DESCRIPTION {
            self.problems.push(format!(
                "spec.api.openapi: has {size} bytes, and {LARGEST_DESCRIPTION} are the most; leave out schemas and examples, \
                 which are not read"
            ));
            return;
        }
        let paths = openapi.get("paths").and_then(Value::as_object);
        for (template, methods) in paths.into_iter().flatten() {
            if self.class.operations.len() == MOST_OPERATIONS {
                self.problems.push(format!(
                    "spec.api.openapi.paths: has more than {MOST_OPERATIONS} entries"
                ));
                return;
            }
            let methods = methods.as_object().into_iter().flatten();
            let declared =
                methods.filter(|(method, _)| METHODS.contains(&method.to_ascii_lowercase().as_str()));
            let mut providers = BTreeMap::new();
            for (method, operation) in declared {
                let provider = self.provider(template, method, operation, index);
                providers.insert(method.to_ascii_uppercase(), provider);
            }
            self.class.operations.push(Operation {
                template: template.clone(),
                methods: providers,
            });
        }
    }

    fn provider(&mut self, template: &str, method: &str, operation: &Value, index: &Index) -> Provider {
        let field = format!("spec.api.openapi.paths[{template:?}].{method}");
        match operation["x-provider-type"].as_str() {
            Some("api") => return Provider::Api,
            Some("proxy") | None => {}
            Some(other) => self.problems.push(format!(
                "{field}.x-provider-type: {other:?} is neither api nor proxy; leave it out for proxy"
            )),
        }
        let address = operation["x-openapi-address"].as_str().unwrap_or_default();
        if address.contains("://") && !self.class.direct.contains_key(address) {
            let field = format!("{field}.x-openapi-address");
            match Address::resolve(address, &field, &Trust::default(), index) {
                Ok(found) => {
                    self.hosts.insert(host(address));
                    let upstream: Option<Upstream> = found.upstream.clone();
                    self.class
                        .direct
                        .extend(upstream.map(|upstream| (address.to_owned(), upstream)));
                    self.addresses.push(found);
                }
                Err(problems) => self.problems.extend(problems),
            }
        }
        Provider::Tool(address.to_owned())
    }
}
