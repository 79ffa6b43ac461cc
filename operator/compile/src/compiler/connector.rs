//! Connectors: one tool each, with what its class and its Secret make of it.

use std::collections::BTreeMap;

use genkan_crds::condition::connector::{kind, reason};
use genkan_crds::condition::reason as common;
use genkan_crds::connectors::auth::SERVICE_ACCOUNT_TOKEN;
use genkan_crds::connectors::{ConnectorClassSpec, ConnectorSpec};
use genkan_routing::connectors::plugin_lines;
use genkan_routing::model::connector::CUSTOM_AUTHORITIES;
use genkan_routing::model::{
    Action, Connector, Credential, Matcher, ObjectKey, ObjectRef, Role, Route, Secret, SecretKey, Unavailable,
};
use serde_json::{Map, Value, json};

use super::class::is_by_path;
use super::probes::{Asked, condition_of};
use super::tool::{Address, Led, Trust, led, needs, upstreams};
use super::{Compiled, Compiler, bundle, unavailable};
use crate::index::{Index, Probe};
use crate::kinds::Tool;
use crate::object::{Record, SKIPS_VERIFICATION, SecretState};
use crate::verdict::{Backend, Finding, ToolCondition, ToolVerdict, Verdict};

/// Bytes of certificates that are trusted for all Connectors: more would leave no room for those of one.
const LARGEST_OF_ALL: usize = 128 << 10;
/// Bytes of a header that servers usually take.
const LARGE_HEADER: usize = 8 << 10;
/// A name that stands behind `c-` in that of a Service.
const LONGEST_NAME: usize = 61;

/// The class of a Connector, as far as it can be read.
struct Class<'i> {
    record: &'i Record,
    spec: &'i ConnectorClassSpec,
}

/// What the Secret of a Connector comes to.
struct Secrecy {
    condition: ToolCondition,
    credential: Credential,
}

// === impl Compiler ===

impl Compiler {
    pub(super) fn connector(&self, record: &Record, spec: &ConnectorSpec, index: &Index) -> Compiled {
        let object = ObjectRef::new(record.key.clone(), record.uid.as_str(), record.generation);
        let class = class_of(spec, index);
        let mut secrecy = secrecy(record, spec, class.as_ref(), index);
        let api = class.as_ref().and_then(|class| self.api_of(class));
        if let Some(secret) = held(&secrecy.credential, index).filter(|_| api.is_some()) {
            warn_of_size(&mut secrecy.condition, secret);
        }
        let (trust, ca_ready) = self.trust(record, spec, index);
        let mut problems = class
            .as_ref()
            .map(|class| disagreements(spec, class.spec))
            .unwrap_or_default();
        let mut address = |url: &str, field: &str| match Address::resolve(url, field, &trust, index) {
            Ok(address) => Some(address),
            Err(found) => {
                problems.extend(found);
                None
            }
        };
        let url = spec.address.as_deref().unwrap_or_default();
        let main = address(url, "spec.address");
        let mut extensions = BTreeMap::new();
        for (at, extension) in spec.address_extensions.iter().enumerate() {
            let field = format!("spec.addressExtensions[{at}].value");
            extensions.extend(address(&extension.value, &field).map(|found| (extension.name.clone(), found)));
        }
        let accepted = match problems.is_empty() {
            true => Finding::yes(common::ACCEPTED, "the specification is valid"),
            false => Finding::no(common::INVALID, problems.join("; ")),
        };
        let action = match main.as_ref().and_then(|main| main.upstream.clone()) {
            _ if !accepted.ok => Action::Unavailable(unavailable(&accepted)),
            Some(upstream) => Action::Forward(upstream),
            None => {
                let finding = main.as_ref().map_or(&accepted, |main| &main.finding);
                Action::Unavailable(Unavailable::new(finding.reason, finding.message.as_str()))
            }
        };
        let mut status = Map::new();
        let path = Matcher::Connector {
            namespace: record.key.namespace.clone(),
            name: record.key.name.clone(),
        };
        status.insert("api".into(), json!({"path": path.to_string()}));
        status.extend(known(&secrecy.credential, index).map(|known| ("credential".into(), known)));
        let proxy_ready = self.proxy_service(record, class.as_ref(), &mut status);
        let waits = |condition: &ToolCondition| condition.is_true.is_none();
        let asked = class.as_ref().map(|class| Asked {
            object: &record.key,
            spec,
            class: class.spec,
            api: api.clone(),
            secret: held(&secrecy.credential, index),
            lacks_secret: matches!(secrecy.credential, Credential::Problem(_)),
            is_waiting: waits(&secrecy.condition) || ca_ready.as_ref().is_some_and(waits),
            trust: &trust,
        });
        let mut conditions = vec![class_ready(spec, class.as_ref()), secrecy.condition, proxy_ready];
        let mut plans = Vec::new();
        for probe in Probe::OF_CONNECTOR {
            let (condition, plan) = match &asked {
                Some(asked) => self.probe(probe, asked, index),
                None => (probe_unset(probe), None),
            };
            conditions.push(condition);
            plans.extend(plan.filter(|_| accepted.ok).map(|plan| (probe, plan)));
        }
        conditions.extend(ca_ready);
        let secrets = match (&secrecy.credential, &action) {
            (Credential::Secret(key), Action::Forward(_)) => vec![key.clone()],
            (Credential::Secret(_) | Credential::None | Credential::Problem(_), _) => Vec::new(),
        };
        let needs = needs(main.iter().chain(extensions.values()));
        let role = match &action {
            Action::Unavailable(_) => Role::None,
            Action::Forward(_) => Role::Connector(Box::new(Connector {
                class: spec.connector_class_name.clone(),
                address: url.to_owned(),
                extensions: upstreams(&extensions),
                auth: spec
                    .auth
                    .as_ref()
                    .and_then(|auth| auth.name.clone())
                    .unwrap_or_default(),
                credential: secrecy.credential,
            })),
        };
        let bundle = main.as_ref().and_then(|main| main.bundle.clone());
        Compiled {
            verdict: Verdict {
                object: object.clone(),
                accepted,
                resolved: Finding::yes(common::RESOLVED_REFS, ""),
                sent: true,
                backend: Backend::None,
                columns: Vec::new(),
                members: Map::new(),
                tool: Some(ToolVerdict { conditions, status }),
                extension: None,
            },
            route: Some(Route {
                object,
                matcher: path,
                directives: None,
                action,
                forward_authorization: false,
                secrets,
                role,
                policies: None,
            }),
            needs,
            bundle,
            policy: None,
            plans,
        }
    }

    /// Whom a Connector trusts: the roots of the data plane, what is trusted for all, and its own.
    fn trust(&self, record: &Record, spec: &ConnectorSpec, index: &Index) -> (Trust, Option<ToolCondition>) {
        let mut trust = Trust {
            authorities: None,
            beside_roots: true,
            skips: record
                .annotations
                .get(SKIPS_VERIFICATION)
                .is_some_and(|value| value == "true"),
        };
        if !index.flags.is_on(CUSTOM_AUTHORITIES) {
            return (trust, None);
        }
        // One that cannot be read harms nobody.
        let of_all = index
            .authorities(&self.components)
            .filter_map(|(_, secret)| bundle::of_secret(secret).ok());
        let mut room = LARGEST_OF_ALL;
        let of_all: Vec<String> = of_all
            .take_while(|pem| {
                let fits = pem.len() <= room;
                room = room.saturating_sub(pem.len());
                fits
            })
            .collect();
        let all = |own: Option<String>| {
            let all: Vec<String> = of_all.iter().cloned().chain(own).collect();
            (!all.is_empty()).then(|| all.join("\n"))
        };
        trust.authorities = all(None);
        let kind = kind::CA_CERT_READY;
        let reference = spec
            .ca_cert_secret_ref
            .as_ref()
            .filter(|reference| !reference.name.is_empty());
        let Some(reference) = reference else {
            return (
                trust,
                Some(ToolCondition::yes(kind, reason::NO_CA_CERT).of_information()),
            );
        };
        let name = &reference.name;
        let ready = match index.secret(&(record.key.namespace.clone(), name.clone())) {
            None => ToolCondition::unknown(
                kind,
                reason::CHECKING,
                format!("secret {name:?} has not been read yet"),
            ),
            Some(SecretState::Missing) => ToolCondition::no(
                kind,
                reason::SECRET_NOT_FOUND,
                format!("secrets {name:?} not found"),
            ),
            Some(SecretState::NotPermitted) => ToolCondition::no(
                kind,
                reason::SECRET_NOT_PERMITTED,
                not_permitted(&record.key.namespace),
            ),
            Some(SecretState::Found { secret, .. }) => match bundle::of_secret(secret) {
                Ok(pem) => {
                    trust.authorities = all(Some(pem));
                    ToolCondition::yes(kind, reason::VALID)
                }
                Err(problem) => {
                    ToolCondition::no(kind, reason::INVALID_PEM, format!("secret {name:?} {problem}"))
                }
            },
        };
        (trust, Some(ready.of_information()))
    }

    /// Where the API of a class is, if it has one.
    fn api_of(&self, class: &Class<'_>) -> Option<String> {
        match led(&class.spec.api.as_ref()?.destination, "spec.api", &self.domain) {
            Led::To(url) => Some(url),
            Led::Nowhere | Led::Wrong(_) => None,
        }
    }

    fn proxy_service(
        &self,
        record: &Record,
        class: Option<&Class<'_>>,
        status: &mut Map<String, serde_json::Value>,
    ) -> ToolCondition {
        let kind = kind::PROXY_SERVICE_READY;
        let Some(class) = class else {
            return ToolCondition::unknown(kind, reason::NOT_SET, "the class is not there");
        };
        let Some(proxy) = &class.spec.proxy else {
            return ToolCondition::yes(kind, reason::NON_PROXY);
        };
        if let Led::Nowhere = led(&proxy.destination, "spec.proxy", &self.domain) {
            return ToolCondition::yes(kind, reason::NON_PROXY);
        }
        let ObjectKey { namespace, name, .. } = &record.key;
        let behind = format!("/namespaces/{namespace}/connectors/{name}");
        let exposed = proxy.destination.uri.as_deref().filter(|uri| uri.contains("://"));
        let by_path = is_by_path(class.record);
        if let (Some(exposed), true) = (exposed, by_path) {
            let url = format!("{}{behind}", exposed.trim_end_matches('/'));
            status.insert("proxy".into(), json!({"httpAddress": {"url": url}}));
            return ToolCondition::yes(kind, reason::PROXY_NOT_ENABLED);
        }
        if name.contains('.') || name.len() > LONGEST_NAME {
            let message = format!(
                "no Service can be called c-{name}; give the Connector a name without dots of at most {LONGEST_NAME} characters"
            );
            return ToolCondition::no(kind, reason::INVALID_NAME, message);
        }
        let behind = if by_path { behind.as_str() } else { "" };
        let url = format!("http://c-{name}.{namespace}.svc.{}{behind}", self.domain);
        status.insert("proxy".into(), json!({"httpAddress": {"url": url}}));
        ToolCondition::yes(kind, reason::PROXY_NOT_ENABLED)
    }
}

fn class_of<'i>(spec: &ConnectorSpec, index: &'i Index) -> Option<Class<'i>> {
    let key = ObjectKey::connector_class(spec.connector_class_name.as_str());
    let record = index.published.get(&key)?;
    match &record.spec.as_ref().ok()?.tool {
        Tool::Class(spec) => Some(Class { record, spec }),
        Tool::None | Tool::Connector(_) | Tool::Policy(_) | Tool::Extension(_) => None,
    }
}

fn class_ready(spec: &ConnectorSpec, class: Option<&Class<'_>>) -> ToolCondition {
    match class {
        Some(_) => ToolCondition::yes(kind::CONNECTOR_CLASS_READY, ""),
        None => {
            let message = format!(
                "connectorclass.connectors.alauda.io {:?} not found",
                spec.connector_class_name
            );
            ToolCondition::no(
                kind::CONNECTOR_CLASS_READY,
                reason::CONNECTOR_CLASS_NOT_FOUND,
                message,
            )
        }
    }
}

/// In what a Connector differs from what its class declares: one sentence each.
fn disagreements(spec: &ConnectorSpec, class: &ConnectorClassSpec) -> Vec<String> {
    let mut problems = Vec::new();
    let class_name = &spec.connector_class_name;
    for (at, given) in spec.address_extensions.iter().enumerate() {
        if !class
            .address_extensions
            .iter()
            .any(|declared| declared.name == given.name)
        {
            problems.push(format!(
                "spec.addressExtensions[{at}].name: {:?} is not declared by connectorclass {class_name}",
                given.name
            ));
        }
        if spec.address.as_deref() == Some(given.value.as_str()) {
            problems.push(format!(
                "spec.addressExtensions[{at}].value: repeats spec.address; leave it out"
            ));
        }
    }
    for declared in class
        .address_extensions
        .iter()
        .filter(|declared| declared.default.is_none())
    {
        if !spec
            .address_extensions
            .iter()
            .any(|given| given.name == declared.name)
        {
            problems.push(format!(
                "spec.addressExtensions: lacks {:?}, which connectorclass {class_name} asks for; give it",
                declared.name
            ));
        }
    }
    for (at, given) in spec.params.iter().enumerate() {
        if !class.params.iter().any(|declared| declared.name == given.name) {
            problems.push(format!(
                "spec.params[{at}].name: {:?} is not declared by connectorclass {class_name}",
                given.name
            ));
        }
    }
    for declared in class.params.iter().filter(|declared| declared.default.is_none()) {
        if !spec.params.iter().any(|given| given.name == declared.name) {
            problems.push(format!(
                "spec.params: lacks {:?}, which connectorclass {class_name} asks for; give it",
                declared.name
            ));
        }
    }
    let auth = spec.auth.as_ref();
    let name = auth.and_then(|auth| auth.name.as_deref()).unwrap_or_default();
    let types = class
        .auth
        .as_ref()
        .map(|auth| auth.types.as_slice())
        .unwrap_or_default();
    if !name.is_empty() && !types.iter().any(|known| known.name == name) {
        let known: Vec<&str> = types.iter().map(|known| known.name.as_str()).collect();
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        problems.push(format!(
            "spec.auth.name: {name:?} is no auth type of connectorclass {class_name}; it has {known}"
        ));
    }
    let probe = class
        .auth_probes
        .iter()
        .find(|probe| probe.auth_name == name && !name.is_empty());
    for wanted in probe.into_iter().flat_map(|probe| &probe.params) {
        let given = auth.into_iter().flat_map(|auth| &auth.params);
        if wanted.default.is_none() && !given.clone().any(|given| given.name == wanted.name) {
            problems.push(format!(
                "spec.auth.params: lacks {:?}, which the auth probe of connectorclass {class_name} asks for; give it",
                wanted.name
            ));
        }
    }
    problems
}

fn secrecy(record: &Record, spec: &ConnectorSpec, class: Option<&Class<'_>>, index: &Index) -> Secrecy {
    let kind = kind::SECRET_READY;
    let no = |reason, message: String| Secrecy {
        condition: ToolCondition::no(kind, reason, message.as_str()),
        credential: Credential::Problem(message),
    };
    let auth = spec.auth.as_ref();
    let types = class
        .and_then(|class| class.spec.auth.as_ref())
        .map(|auth| auth.types.as_slice());
    let name = auth.and_then(|auth| auth.name.as_deref()).unwrap_or_default();
    let auth_type = types.unwrap_or_default().iter().find(|known| known.name == name);
    let namespace = &record.key.namespace;
    let reference = auth.and_then(|auth| auth.secret_ref.as_ref());
    let Some((reference, secret)) = reference.and_then(|reference| Some((reference, reference.named()?)))
    else {
        let is_optional = auth_type.is_none_or(|auth| auth.optional.unwrap_or(false));
        if is_optional {
            return Secrecy {
                condition: ToolCondition::yes(kind, reason::SECRET_OPTIONAL),
                credential: Credential::None,
            };
        }
        let message =
            format!("spec.auth.secretRef: is empty, and auth type {name:?} needs a Secret; name one");
        return Secrecy {
            condition: ToolCondition::no(kind, reason::SECRET_NOT_FOUND, message),
            credential: Credential::None,
        };
    };
    if !reference.stays_in(namespace) {
        let message =
            format!("spec.auth.secretRef.namespace: only a Secret of namespace {namespace} can be used");
        return no(common::REF_NOT_PERMITTED, message);
    }
    let key = SecretKey::new(namespace.as_str(), secret);
    let held = match index.secret(&(namespace.clone(), secret.to_owned())) {
        None => {
            let message = format!("secret {secret:?} has not been read yet");
            return Secrecy {
                condition: ToolCondition::unknown(kind, reason::CHECKING, message.as_str()),
                credential: Credential::Problem(message),
            };
        }
        Some(SecretState::Missing) => {
            return no(reason::SECRET_NOT_FOUND, format!("secrets {secret:?} not found"));
        }
        Some(SecretState::NotPermitted) => return no(reason::SECRET_NOT_PERMITTED, not_permitted(namespace)),
        Some(SecretState::Found { secret, .. }) => secret,
    };
    if held.kind == SERVICE_ACCOUNT_TOKEN {
        let message = format!(
            "secret {secret:?} is the token of a ServiceAccount, which no tool is given; use another"
        );
        return no(common::REF_NOT_PERMITTED, message);
    }
    let problem = auth_type.and_then(|auth| {
        let wanted = auth.secret_type();
        let held_type = genkan_crds::connectors::auth::spelled_today(&held.kind);
        if !wanted.is_empty() && wanted != held_type {
            let message = format!(
                "secret {secret:?} is of type {held_type:?}, and auth type {name:?} wants {wanted:?}"
            );
            return Some((reason::SECRET_TYPE_MISMATCH, message));
        }
        let missing = auth
            .params
            .iter()
            .find(|key| !held.data.contains_key(&key.name))?;
        let message = format!(
            "secret {secret:?} has no key {:?}, which auth type {name:?} asks for",
            missing.name
        );
        Some((reason::SECRET_KEY_MISSING, message))
    });
    Secrecy {
        condition: match problem {
            Some((reason, message)) => ToolCondition::no(kind, reason, message),
            None => ToolCondition::yes(kind, ""),
        },
        credential: Credential::Secret(key),
    }
}

/// Of a Secret that the API of the class is told in a header.
fn warn_of_size(ready: &mut ToolCondition, secret: &Secret) {
    let lines = plugin_lines("", Some(secret));
    let largest = lines
        .iter()
        .map(|(_, value)| value.len())
        .max()
        .unwrap_or_default();
    if largest > LARGE_HEADER && ready.is_true == Some(true) {
        ready.message = format!(
            "the API of the class is told the Secret in a header of {largest} bytes, and many servers take 8 KiB; make it \
             smaller"
        );
    }
}

/// What the status says of a credential: never the credential.
fn known(credential: &Credential, index: &Index) -> Option<Value> {
    let Credential::Secret(key) = credential else {
        return None;
    };
    let state = index.secret(&(key.namespace.clone(), key.name.clone()))?;
    let SecretState::Found { changed_at, .. } = state else {
        return None;
    };
    let changed_at = changed_at.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    Some(changed_at.map_or_else(
        || json!({}),
        |time| json!({"changedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()}),
    ))
}

/// The value that requests are made with.
fn held<'i>(credential: &Credential, index: &'i Index) -> Option<&'i Secret> {
    let key = match credential {
        Credential::Secret(key) => key,
        Credential::None | Credential::Problem(_) => return None,
    };
    match index.secret(&(key.namespace.clone(), key.name.clone()))? {
        SecretState::Found { secret, .. } => Some(secret),
        SecretState::Missing | SecretState::NotPermitted => None,
    }
}

fn probe_unset(probe: Probe) -> ToolCondition {
    ToolCondition::unknown(condition_of(probe), reason::NOT_SET, "the class is not there")
}

fn not_permitted(namespace: &str) -> String {
    format!(
        "the operator may not read Secrets of namespace {namespace}; allow it with kubectl create rolebinding \
         genkan-connector-secrets -n {namespace} --clusterrole=genkan-connector-secrets \
         --serviceaccount=NAMESPACE:genkan-operator, with the namespace of the operator"
    )
}
