//! Policies: which there are, who uses them, and what an object comes to with its own and those of hooks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use genkan_crds::condition::reason;
use genkan_policies::{Alias, Aliases, Limiters, ObjectFacts, Plan, Problem, ProblemReason, World, link};
use genkan_routing::model::policy::PolicyDefinition;
use genkan_routing::model::{
    Action, DefinedPolicy, ObjectKey, ObjectRef, Policies as Wanted, Published, SecretKey, Unavailable,
};
use serde_json::{Map, json};

use super::Compiled;
use super::extensions::Extensions;
use crate::index::{Dirty, Index};
use crate::kinds::Tool;
use crate::object::{Record, SecretState};
use crate::verdict::{Backend, Finding, Verdict};

/// PolicyDefinitions of a cluster.
const MOST_DEFINITIONS: usize = 1000;
/// Bytes of one, as it is sent.
const LARGEST_DEFINITION: usize = 512 << 10;
/// The label by which policies of some catalogs are limited.
const CATALOG: &str = "gateway.genkan.io/catalog";
/// Users that a status names.
const MOST_NAMED: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Policies {
    world: World,
    /// Who provides each policy and version; the first one counts.
    providers: BTreeMap<Identity, BTreeSet<Senior>>,
    identity_of: BTreeMap<ObjectKey, (Identity, i64)>,
    /// The policies that each object and each definition names, and the other way round.
    named: BTreeMap<ObjectKey, BTreeSet<String>>,
    /// As each object writes them, with ranges of versions.
    written: BTreeMap<ObjectKey, BTreeSet<String>>,
    users: BTreeMap<String, BTreeSet<ObjectKey>>,
    /// Policies whose users, and whose definitions, the last change concerned.
    used: BTreeSet<String>,
    defined: BTreeSet<String>,
}

/// Name and version of a policy.
type Identity = (String, String);
/// Seconds since 1970, and then whose: the first of several counts.
type Senior = (i64, ObjectKey);

// === impl Policies ===

impl Policies {
    /// Takes in what changed. Returns the objects that this concerns.
    pub(super) fn note(&mut self, index: &Index, dirty: &Dirty) -> BTreeSet<ObjectKey> {
        let mut concerned = BTreeSet::new();
        let mut touched = BTreeSet::new();
        self.used.clear();
        self.defined.clear();
        for key in &dirty.published {
            let before = self.named.get(key).cloned().unwrap_or_default();
            if key.kind == Published::PolicyDefinition {
                touched.extend(self.provide(index, key));
            }
            let uses = uses_of(index, key);
            let now = names_of(&uses);
            self.used.extend(before.union(&now).cloned());
            // Definitions tell who uses them.
            for policy in before.symmetric_difference(&now) {
                concerned.extend(self.definitions_of(policy));
            }
            self.name(key, now);
            match uses.is_empty() {
                true => self.written.remove(key),
                false => self.written.insert(key.clone(), uses),
            };
        }
        if touched.is_empty() {
            return concerned;
        }
        let policies: BTreeSet<String> = touched.iter().map(|(policy, _)| policy.clone()).collect();
        self.defined.clone_from(&policies);
        for policy in &policies {
            self.define(index, policy);
            concerned.extend(self.definitions_of(policy));
        }
        let affected = self.with_users(policies);
        let is_hooked = (self.world.hooks.iter()).any(|hook| {
            hook.hook
                .steps
                .iter()
                .any(|step| affected.contains(name_of(&step.uses)))
        });
        match is_hooked {
            true => concerned.extend(index.published.keys().cloned()),
            false => {
                let users = affected.iter().filter_map(|policy| self.users.get(policy));
                concerned.extend(users.flatten().cloned());
            }
        }
        concerned
    }

    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// The policies that an object names.
    pub(super) fn names_of(&self, object: &ObjectKey) -> impl Iterator<Item = &str> {
        self.named.get(object).into_iter().flatten().map(String::as_str)
    }

    /// Policies whose users the last change concerned.
    pub(super) fn used(&self) -> BTreeSet<String> {
        let mut all = self.used.clone();
        let mut todo: Vec<String> = all.iter().cloned().collect();
        // Whoever uses a definition uses what it is made of.
        while let Some(policy) = todo.pop() {
            let definitions: Vec<ObjectKey> = self.definitions_of(&policy).collect();
            for name in definitions.iter().flat_map(|key| self.names_of(key)) {
                if all.insert(name.to_owned()) {
                    todo.push(name.to_owned());
                }
            }
        }
        all
    }

    /// Policies whose definitions the last change concerned.
    pub(super) fn defined(&self) -> &BTreeSet<String> {
        &self.defined
    }

    /// A world that has the definitions of people, and nothing of extensions.
    pub(super) fn of_people(&self) -> World {
        let mut world = World::default();
        for (policy, versions) in &self.world.definitions {
            let own = versions.iter().filter(|definition| definition.entry.is_none());
            let own: Vec<_> = own.cloned().collect();
            if !own.is_empty() {
                world.definitions.insert(policy.clone(), own);
            }
        }
        world
    }

    /// `POLICY@VERSION` of people, and the names of their PolicyDefinitions.
    pub(super) fn written_by_people(&self) -> BTreeMap<String, String> {
        let first = |providers: &BTreeSet<Senior>| providers.first().map(|(_, key)| key.name.clone());
        let all = self.providers.iter();
        all.filter_map(|((policy, version), providers)| {
            Some((format!("{policy}@{version}"), first(providers)?))
        })
        .collect()
    }

    /// Whether one of these uses comes to one of these policies, given as `POLICY@VERSION`.
    pub(super) fn comes_to(&self, uses: &BTreeSet<String>, provided: &[String]) -> bool {
        let mut identities = provided.iter().filter_map(|policy| policy.split_once('@'));
        identities.any(|(policy, version)| {
            let mut uses = uses.iter();
            uses.any(|one| genkan_policies::resolves(one, policy, version, &self.world))
        })
    }

    /// The objects whose steps come to this version of it, directly or by the policies of people.
    pub(super) fn all_users_of(&self, policy: &str, version: &str) -> BTreeSet<ObjectKey> {
        let mut objects = BTreeSet::new();
        let mut seen = BTreeSet::from([(policy.to_owned(), version.to_owned())]);
        let mut todo: Vec<Identity> = seen.iter().cloned().collect();
        while let Some((policy, version)) = todo.pop() {
            for user in self.users_of_any_kind(&policy, &version) {
                let Some((identity, _)) = self.identity_of.get(&user) else {
                    objects.insert(user);
                    continue;
                };
                if seen.insert(identity.clone()) {
                    todo.push(identity.clone());
                }
            }
        }
        objects
    }

    /// Puts what acts of extensions in force. Returns the objects that this may concern.
    pub(super) fn act(&mut self, index: &Index, extensions: &Extensions) -> BTreeSet<ObjectKey> {
        let had_hooks = !self.world.hooks.is_empty();
        for versions in self.world.definitions.values_mut() {
            versions.retain(|definition| definition.entry.is_none());
        }
        self.world.definitions.retain(|_, versions| !versions.is_empty());
        extensions.act(index, &mut self.world);
        match had_hooks || !self.world.hooks.is_empty() {
            true => index.published.keys().cloned().collect(),
            false => self.named.keys().cloned().collect(),
        }
    }

    /// The policies and versions that a definition provides no longer, or from now on.
    fn provide(&mut self, index: &Index, key: &ObjectKey) -> Vec<Identity> {
        let mut touched = Vec::new();
        if let Some((identity, created)) = self.identity_of.remove(key) {
            if let Some(providers) = self.providers.get_mut(&identity) {
                providers.remove(&(created, key.clone()));
                if providers.is_empty() {
                    self.providers.remove(&identity);
                }
            }
            touched.push(identity);
        }
        let found = index
            .published
            .get(key)
            .and_then(|record| Some((record, definition(record)?)));
        if let Some((record, definition)) = found {
            let identity = (definition.policy.clone(), definition.version.clone());
            let providers = self.providers.entry(identity.clone()).or_default();
            providers.insert((record.created, key.clone()));
            self.identity_of
                .insert(key.clone(), (identity.clone(), record.created));
            touched.push(identity);
        }
        touched
    }

    /// The PolicyDefinitions of a policy.
    fn definitions_of(&self, policy: &str) -> impl Iterator<Item = ObjectKey> {
        let from = (policy.to_owned(), String::new());
        let of_policy = self
            .providers
            .range(from..)
            .take_while(move |((name, _), _)| name == policy);
        of_policy.flat_map(|(_, providers)| providers.iter().map(|(_, key)| key.clone()))
    }

    /// Puts the versions of a policy that count into the world.
    fn define(&mut self, index: &Index, policy: &str) {
        let from = (policy.to_owned(), String::new());
        let mut versions = Vec::new();
        for (_, providers) in self
            .providers
            .range(from..)
            .take_while(|((name, _), _)| name == policy)
        {
            let first = providers.first().and_then(|(_, key)| index.published.get(key));
            let definition = first.and_then(|record| definition(record));
            versions.extend(definition.map(|definition| Arc::new(definition.clone())));
        }
        let of_entries = self.world.definitions.get(policy).into_iter().flatten();
        let of_entries = of_entries
            .filter(|definition| definition.entry.is_some())
            .cloned();
        let of_entries: Vec<Arc<PolicyDefinition>> = of_entries.collect();
        for definition in of_entries {
            if !versions
                .iter()
                .any(|own: &Arc<PolicyDefinition>| own.version == definition.version)
            {
                versions.push(definition);
            }
        }
        match versions.is_empty() {
            true => self.world.definitions.remove(policy),
            false => self.world.definitions.insert(policy.to_owned(), versions),
        };
    }

    fn name(&mut self, key: &ObjectKey, now: BTreeSet<String>) {
        for policy in self.named.remove(key).unwrap_or_default() {
            if let Some(users) = self.users.get_mut(&policy) {
                users.remove(key);
                if users.is_empty() {
                    self.users.remove(&policy);
                }
            }
        }
        for policy in &now {
            self.users.entry(policy.clone()).or_default().insert(key.clone());
        }
        if !now.is_empty() {
            self.named.insert(key.clone(), now);
        }
    }

    /// These policies, and those whose definitions name one of them.
    fn with_users(&self, mut policies: BTreeSet<String>) -> BTreeSet<String> {
        let mut fresh: Vec<String> = policies.iter().cloned().collect();
        while let Some(policy) = fresh.pop() {
            for user in self.users.get(&policy).into_iter().flatten() {
                let Some(((name, _), _)) = self.identity_of.get(user) else {
                    continue;
                };
                if policies.insert(name.clone()) {
                    fresh.push(name.clone());
                }
            }
        }
        policies
    }

    /// Gives an object the policies that its author wants, and says what is wrong with them and with those of hooks.
    pub(super) fn apply(&self, record: &Record, index: &Index, compiled: &mut Compiled) {
        let Some(route) = &mut compiled.route else {
            return;
        };
        let spec = record.spec.as_ref().ok();
        let wanted = spec.and_then(|spec| spec.policies.as_deref());
        let labels = self.selected_labels(record);
        let has_none = wanted.is_none() && self.world.hooks.is_empty();
        let wanted = Wanted {
            labels,
            ..wanted.cloned().unwrap_or_default()
        };
        // Hooks act on a stub as well, and who judges its credentials stays who it was.
        if has_none || matches!(route.action, Action::Unavailable(_)) {
            route.policies = (!wanted.is_empty()).then(|| Box::new(wanted));
            return;
        }
        match self.linked(record, &wanted, index) {
            Ok(_) => {
                let keys = wanted.secrets.iter();
                let keys = keys.map(|secret| SecretKey::new(secret.namespace.as_str(), secret.name.as_str()));
                for key in keys {
                    if !route.secrets.contains(&key) {
                        route.secrets.push(key);
                    }
                }
                route.policies = (!wanted.is_empty()).then(|| Box::new(wanted));
            }
            Err((is_of_spec, finding)) => {
                // Whoever answers with it says whose it is.
                let title = format!("{}: ", record.key.title());
                let message = finding.message.strip_prefix(&title).unwrap_or(&finding.message);
                route.action = Action::Unavailable(Unavailable::new(finding.reason, message));
                route.role = genkan_routing::model::Role::None;
                route.secrets.clear();
                route.policies = (!wanted.is_empty()).then(|| Box::new(wanted));
                compiled.verdict.backend = Backend::None;
                // Kinds of Connectors have no condition for references but their own.
                match is_of_spec || compiled.verdict.tool.is_some() {
                    true => compiled.verdict.accepted = finding,
                    false => compiled.verdict.resolved = finding,
                }
            }
        }
    }

    /// What is done to the requests of an object.
    pub(super) fn plan(&self, record: &Record, wanted: Option<&Wanted>, index: &Index) -> Option<Plan> {
        let none = Wanted::default();
        let plan = self.linked(record, wanted.unwrap_or(&none), index).ok()?;
        (!plan.is_empty()).then_some(plan)
    }

    /// What the policies of an object come to, whatever else becomes of it.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn judged(&self, record: &Record, index: &Index) -> Result<Plan, Finding> {
        let spec = record.spec.as_ref().ok();
        let wanted = spec.and_then(|spec| spec.policies.as_deref());
        let wanted = Wanted {
            labels: self.selected_labels(record),
            ..wanted.cloned().unwrap_or_default()
        };
        self.linked(record, &wanted, index)
            .map_err(|(_, finding)| finding)
    }

    /// # Errors
    /// What is wrong, and whether that is the specification or what it refers to.
    fn linked(&self, record: &Record, wanted: &Wanted, index: &Index) -> Result<Plan, (bool, Finding)> {
        let title = record.key.title();
        let mut secrets = Aliases::new();
        for secret in &wanted.secrets {
            let key = (secret.namespace.clone(), secret.name.clone());
            let of = format!("Secret {}/{}", secret.namespace, secret.name);
            let held = match index.secret(&key) {
                Some(SecretState::Found { secret, .. }) => secret.clone(),
                Some(SecretState::NotPermitted) => {
                    let message = format!(
                        "{title}: {of} may not be read by genkan; add its namespace to extensions.secretNamespaces of the \
                         chart"
                    );
                    return Err((false, Finding::no(reason::REF_NOT_PERMITTED, message)));
                }
                Some(SecretState::Missing) => {
                    let message = format!(
                        "{title}: {of} does not exist; create it, or take it out of spec.policySecrets"
                    );
                    return Err((false, Finding::no(reason::SECRET_NOT_FOUND, message)));
                }
                None => {
                    return Err((
                        false,
                        Finding::no(reason::PENDING, format!("{of} has not been looked at yet")),
                    ));
                }
            };
            if let Some(named) = secret
                .key
                .as_ref()
                .filter(|named| !held.data.contains_key(*named))
            {
                let message = format!(
                    "{title}: {of} has no key {named}; add it, or name another in spec.policySecrets"
                );
                return Err((false, Finding::no(reason::SECRET_NOT_FOUND, message)));
            }
            let alias = Alias {
                secret: Arc::new(held),
                key: secret.key.clone(),
            };
            secrets.insert(secret.alias.clone(), alias);
        }
        let facts = ObjectFacts {
            kind: record.key.kind.name(),
            namespace: &record.key.namespace,
            name: &record.key.name,
            labels: &wanted.labels,
            policies: &wanted.steps,
            secrets: &secrets,
        };
        link(&facts, &self.world, &Limiters::default()).map_err(|problem| finding_of(&title, &problem))
    }

    /// Those of its labels that hooks and overrides select by.
    fn selected_labels(&self, record: &Record) -> BTreeMap<String, String> {
        let selected: BTreeSet<&String> = (self.world.hooks.iter())
            .map(|hook| &hook.hook.select)
            .chain(
                self.world
                    .overrides
                    .iter()
                    .map(|settings| &settings.settings.select),
            )
            .flat_map(|select| select.labels.keys())
            .collect();
        let mut definitions = self.world.definitions.values().flatten();
        let has_catalogs = definitions.any(|definition| !definition.catalogs.is_empty());
        (record.labels.iter())
            .filter(|(name, _)| selected.contains(name) || (has_catalogs && *name == CATALOG))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// What a PolicyDefinition comes to.
    pub(super) fn definition(&self, record: &Record, definition: &PolicyDefinition) -> Compiled {
        let object = ObjectRef::new(record.key.clone(), record.uid.as_str(), record.generation);
        let judged = self.judge(record, definition);
        let (mut accepted, mut resolved) = (
            Finding::yes(
                reason::ACCEPTED,
                "the specification is valid and its policy and version are its own",
            ),
            Finding::yes(reason::RESOLVED_REFS, "every policy that it uses is there"),
        );
        let sent = match judged {
            Ok(()) => Ok(definition.clone()),
            Err((is_of_spec, finding)) => {
                let why = Unavailable::new(finding.reason, finding.message.as_str());
                match is_of_spec {
                    true => accepted = finding,
                    false => resolved = finding,
                }
                Err(why)
            }
        };
        let is_lost = accepted.reason == reason::CONFLICTED;
        let users = self.users_of(&definition.policy, &definition.version);
        let mut members = Map::new();
        members.insert("usedByCount".into(), json!(users.len()));
        if !users.is_empty() {
            let named: Vec<String> = users.iter().take(MOST_NAMED).map(ObjectKey::title).collect();
            members.insert("usedBy".into(), json!(named));
        }
        let title = format!("{}@{}", definition.policy, definition.version);
        Compiled {
            verdict: Verdict {
                object: object.clone(),
                accepted,
                resolved,
                sent: !is_lost,
                backend: Backend::None,
                columns: vec![("policy", title)],
                tool: None,
                extension: None,
                members,
            },
            route: None,
            policy: (!is_lost).then_some(DefinedPolicy {
                object,
                definition: sent,
            }),
            needs: Vec::new(),
            bundle: None,
            plans: Vec::new(),
        }
    }

    fn judge(&self, record: &Record, definition: &PolicyDefinition) -> Result<(), (bool, Finding)> {
        // It only shows what its extension provides.
        if definition.entry.is_some() {
            return Ok(());
        }
        let title = record.key.title();
        let identity = (definition.policy.clone(), definition.version.clone());
        let providers = self.providers.get(&identity);
        if let Some((_, first)) = providers.and_then(BTreeSet::first)
            && *first != record.key
        {
            let message = format!(
                "{}@{} is that of {}, which is older; give it another version, or delete one of the two",
                definition.policy,
                definition.version,
                first.title()
            );
            return Err((true, Finding::no(reason::CONFLICTED, message)));
        }
        let size = serde_json::to_vec(definition).map_or(0, |bytes| bytes.len());
        if size > LARGEST_DEFINITION {
            let message = format!("{title}: {size} bytes, the limit is {LARGEST_DEFINITION}");
            return Err((true, Finding::no(reason::LIMIT_EXCEEDED, message)));
        }
        let count = self.identity_of.len();
        let older = || {
            let mine = (record.created, &record.key);
            let all = self.identity_of.iter();
            all.filter(|(key, (_, created))| (*created, *key) < mine).count()
        };
        if count > MOST_DEFINITIONS && older() >= MOST_DEFINITIONS {
            let message = format!(
                "there are {count} PolicyDefinitions, the limit is {MOST_DEFINITIONS}, and it is none of the oldest"
            );
            return Err((true, Finding::no(reason::LIMIT_EXCEEDED, message)));
        }
        genkan_policies::check(definition, &self.world).map_err(|problem| finding_of(&title, &problem))
    }

    /// The objects whose steps come to this version of it.
    pub(super) fn users_of(&self, policy: &str, version: &str) -> Vec<ObjectKey> {
        let users = self.users_of_any_kind(policy, version).into_iter();
        users
            .filter(|user| user.kind != Published::PolicyDefinition)
            .collect()
    }

    fn users_of_any_kind(&self, policy: &str, version: &str) -> Vec<ObjectKey> {
        let users = self.users.get(policy).into_iter().flatten();
        let uses = |user: &&ObjectKey| {
            let written = self.written.get(*user);
            written.is_some_and(|all| {
                let mut all = all.iter();
                all.any(|uses| genkan_policies::resolves(uses, policy, version, &self.world))
            })
        };
        users.filter(uses).cloned().collect()
    }
}

fn finding_of(title: &str, problem: &Problem) -> (bool, Finding) {
    let message = match problem.message.starts_with(title) {
        true => problem.message.clone(),
        false => format!("{title}: {}", problem.message),
    };
    let (is_of_spec, reason) = match problem.reason {
        ProblemReason::Invalid => (true, reason::INVALID),
        ProblemReason::Unsupported => (true, reason::UNSUPPORTED),
        ProblemReason::LimitExceeded => (true, reason::LIMIT_EXCEEDED),
        ProblemReason::PolicyNotFound => (false, reason::POLICY_NOT_FOUND),
    };
    (is_of_spec, Finding::no(reason, message))
}

fn definition(record: &Record) -> Option<&PolicyDefinition> {
    match &record.spec.as_ref().ok()?.tool {
        // What the operator writes of an entry only shows it.
        Tool::Policy(definition) => Some(definition.as_ref()).filter(|definition| definition.entry.is_none()),
        Tool::None | Tool::Connector(_) | Tool::Class(_) | Tool::Extension(_) => None,
    }
}

/// The policies that the steps of an object or of a definition name.
fn names_of(uses: &BTreeSet<String>) -> BTreeSet<String> {
    uses.iter().map(|uses| name_of(uses).to_owned()).collect()
}

/// What the steps of an object or of a definition use, with ranges of versions.
fn uses_of(index: &Index, key: &ObjectKey) -> BTreeSet<String> {
    let Some(record) = index.published.get(key) else {
        return BTreeSet::new();
    };
    let spec = record.spec.as_ref().ok();
    let steps = spec
        .and_then(|spec| spec.policies.as_ref())
        .map(|policies| policies.steps.as_slice());
    let mut uses = genkan_policies::uses_of(steps.into_iter().flatten());
    uses.extend(
        definition(record)
            .into_iter()
            .flat_map(genkan_policies::uses_in_definition),
    );
    uses
}

/// Without the version.
fn name_of(uses: &str) -> &str {
    uses.split('@').next().unwrap_or_default()
}
