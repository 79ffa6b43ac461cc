//! PolicyDefinitions that show the policies of extensions: one for each policy of an accepted entry, owned by the
//! extension. What somebody edits is put back, and what nobody provides any more goes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use genkan_compile::verdict::ExtensionVerdict;
use genkan_crds::gateway::{PolicyBody, PolicyDefinition, PolicyDefinitionSpec};
use genkan_extensions::content::Content;
use genkan_extensions::revision::definition_name;
use genkan_routing::model::ObjectRef;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::{info, warn};

/// Between two attempts.
const AGAIN: Duration = Duration::from_secs(5);
/// Characters of a title and of a description.
const LONGEST_TITLE: usize = 253;
const LONGEST_DESCRIPTION: usize = 4096;

/// What is to be there of each extension; of each the last word counts.
#[derive(Debug, Default)]
pub struct Shown {
    wanted: Mutex<BTreeMap<String, Vec<PolicyDefinition>>>,
    some: Notify,
}

// === impl Shown ===

impl Shown {
    pub fn say(&self, extension: &str, definitions: Vec<PolicyDefinition>) {
        self.wanted.lock().insert(extension.to_owned(), definitions);
        self.some.notify_one();
    }

    async fn next(&self) -> BTreeMap<String, Vec<PolicyDefinition>> {
        loop {
            let wanted = std::mem::take(&mut *self.wanted.lock());
            if !wanted.is_empty() {
                return wanted;
            }
            self.some.notified().await;
        }
    }
}

/// The definitions that show the policies of an extension.
pub fn of(object: &ObjectRef, said: &ExtensionVerdict) -> Vec<PolicyDefinition> {
    let extension = &object.key.name;
    let mut all: Vec<PolicyDefinition> = Vec::new();
    let entries = said.target().into_iter().flat_map(|target| &target.entries);
    for entry in entries {
        let Content::Policies(policies) = &entry.running.content else {
            continue;
        };
        for policy in policies {
            let spec = PolicyDefinitionSpec {
                body: PolicyBody {
                    policy: policy.policy.clone(),
                    version: policy.version.clone(),
                    title: policy.title.as_deref().map(|text| bounded(text, LONGEST_TITLE)),
                    description: policy
                        .description
                        .as_deref()
                        .map(|text| bounded(text, LONGEST_DESCRIPTION)),
                    parameters: policy.parameters.clone(),
                    ..PolicyBody::default()
                },
                entry: Some(format!("{extension}/{}", entry.name)),
            };
            let name = definition_name(&policy.policy, &policy.version);
            let mut definition = PolicyDefinition::new(&name, spec);
            definition.metadata.owner_references = Some(vec![OwnerReference {
                api_version: "gateway.genkan.io/v1alpha1".to_owned(),
                kind: "GatewayExtension".to_owned(),
                name: extension.clone(),
                uid: object.uid.clone(),
                controller: Some(true),
                ..OwnerReference::default()
            }]);
            all.push(definition);
        }
    }
    all
}

/// As long as the definition of the kind lets it be.
fn bounded(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// Writes what is wanted, for as long as the operator runs.
pub async fn run(client: Client, shown: Arc<Shown>) {
    let api: Api<PolicyDefinition> = Api::all(client);
    loop {
        for (extension, definitions) in shown.next().await {
            if let Err(error) = write(&api, &extension, &definitions).await {
                warn!(extension, %error, "its PolicyDefinitions cannot be written; trying again");
                shown.wanted.lock().entry(extension).or_insert(definitions);
                tokio::time::sleep(AGAIN).await;
                shown.some.notify_one();
            }
        }
    }
}

async fn write(
    api: &Api<PolicyDefinition>,
    extension: &str,
    wanted: &[PolicyDefinition],
) -> kube::Result<()> {
    let prefix = format!("{extension}/");
    let listed = api.list(&ListParams::default()).await?.items;
    let is_ours = |definition: &PolicyDefinition| {
        let entry = definition.spec.entry.as_ref();
        entry.is_some_and(|entry| entry.starts_with(&prefix))
    };
    let name_of = |definition: &PolicyDefinition| definition.metadata.name.clone().unwrap_or_default();
    let there: BTreeMap<String, PolicyDefinition> = listed
        .into_iter()
        .map(|definition| (name_of(&definition), definition))
        .collect();
    // One that the API server refuses keeps no other from being shown.
    let mut refused = None;
    for definition in wanted {
        let name = name_of(definition);
        let owners = |definition: &PolicyDefinition| definition.metadata.owner_references.clone();
        match there.get(&name) {
            None => match api.create(&PostParams::default(), definition).await {
                Ok(_) => info!(extension, name, "a PolicyDefinition shows a policy of it"),
                Err(error) => refused = Some(error),
            },
            Some(found) if !is_ours(found) => {
                // Whoever wrote that provides the policy, or another one under this name.
                if found.spec.entry.is_some() {
                    warn!(
                        extension,
                        name, "another extension has a PolicyDefinition of this name"
                    );
                }
            }
            Some(found) if found.spec != definition.spec || owners(found) != owners(definition) => {
                // What it is called never changes: what is another policy is another object.
                let same = found.spec.body.policy == definition.spec.body.policy
                    && found.spec.body.version == definition.spec.body.version;
                if !same {
                    warn!(
                        extension,
                        name, "another policy of it has a PolicyDefinition of this name"
                    );
                    continue;
                }
                let replaced = PolicyDefinition {
                    metadata: ObjectMeta {
                        resource_version: found.metadata.resource_version.clone(),
                        ..definition.metadata.clone()
                    },
                    ..definition.clone()
                };
                if let Err(error) = api.replace(&name, &PostParams::default(), &replaced).await {
                    refused = Some(error);
                }
            }
            Some(_) => {}
        }
    }
    let kept: Vec<String> = wanted.iter().map(name_of).collect();
    for (name, _) in there
        .iter()
        .filter(|(name, found)| is_ours(found) && !kept.contains(name))
    {
        match api.delete(name, &DeleteParams::default()).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    refused.map_or(Ok(()), Err)
}
