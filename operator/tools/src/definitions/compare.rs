//! Two definitions of one kind, and what the second would change for those who use the first.

use std::collections::BTreeSet;
use std::fmt;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps, JSONSchemaPropsOrArray,
};

/// How much a change matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Something is lost, or the API server refuses it.
    Loss,
    /// Somebody may have to do something.
    Note,
    Gain,
}

/// One difference, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    pub weight: Weight,
    pub text: String,
}

/// Of what a chart put into the cluster.
const HELM_RELEASE: &str = "meta.helm.sh/release-name";
const HELM_NAMESPACE: &str = "meta.helm.sh/release-namespace";

/// What would change, the worst first.
pub fn compare(installed: &CustomResourceDefinition, ours: &CustomResourceDefinition) -> Vec<Change> {
    let mut changes = Vec::new();
    whole(installed, ours, &mut changes);
    for version in &ours.spec.versions {
        match installed
            .spec
            .versions
            .iter()
            .find(|old| old.name == version.name)
        {
            Some(old) => of_version(old, version, &mut changes),
            None => changes.push(gain(format!("version {} is added", version.name))),
        }
    }
    changes.sort();
    changes
}

fn whole(installed: &CustomResourceDefinition, ours: &CustomResourceDefinition, changes: &mut Vec<Change>) {
    let (old, new) = (&installed.spec, &ours.spec);
    if old.scope != new.scope {
        changes.push(loss(format!(
            "its scope is {}, and cannot become {}; the definition has to be deleted first, with all its objects",
            old.scope, new.scope
        )));
    }
    let kept: BTreeSet<&str> = new.versions.iter().map(|version| version.name.as_str()).collect();
    let stored = installed
        .status
        .as_ref()
        .and_then(|status| status.stored_versions.as_ref());
    for version in stored
        .into_iter()
        .flatten()
        .filter(|version| !kept.contains(version.as_str()))
    {
        changes.push(loss(format!(
            "objects may be stored in version {version}, which is not kept; write them once in a version that is, \
             and take {version} out of status.storedVersions"
        )));
    }
    for version in old
        .versions
        .iter()
        .filter(|version| !kept.contains(version.name.as_str()))
    {
        changes.push(note(format!("version {} is no longer served", version.name)));
    }
    if old
        .conversion
        .as_ref()
        .is_some_and(|conversion| conversion.strategy == "Webhook")
    {
        changes.push(note("its conversion webhook is no longer asked".to_owned()));
    }
    let annotations = installed.metadata.annotations.as_ref();
    let annotation = |name: &str| annotations.and_then(|all| all.get(name)).map(String::as_str);
    if let Some(release) = annotation(HELM_RELEASE).filter(|release| *release != "genkan-crds") {
        let namespace = annotation(HELM_NAMESPACE).unwrap_or("default");
        changes.push(note(format!(
            "it belongs to the Helm release {release} in namespace {namespace}, whose next upgrade would bring the old one \
             back; take it out of that release, and install genkan-crds with --take-ownership"
        )));
    }
    for name in new.names.short_names.iter().flatten() {
        if !old.names.short_names.iter().flatten().any(|known| known == name) {
            changes.push(gain(format!("short name {name} is added")));
        }
    }
}

fn of_version(
    old: &CustomResourceDefinitionVersion,
    new: &CustomResourceDefinitionVersion,
    changes: &mut Vec<Change>,
) {
    let has_status = |version: &CustomResourceDefinitionVersion| {
        version
            .subresources
            .as_ref()
            .is_some_and(|all| all.status.is_some())
    };
    if has_status(new) && !has_status(old) {
        changes.push(note(
            "status becomes a subresource: what manifests say in status is ignored from then on, and whoever wrote it \
             has to write to /status, or to leave it to the operator"
                .to_owned(),
        ));
    }
    let columns = |version: &CustomResourceDefinitionVersion| {
        version.additional_printer_columns.as_ref().map_or(0, Vec::len)
    };
    if columns(old) != columns(new) {
        changes.push(gain(format!(
            "kubectl get prints {} columns of ours",
            columns(new)
        )));
    }
    let (mut before, mut after) = (Fields::default(), Fields::default());
    before.collect(old);
    after.collect(new);
    let gone: Vec<&str> = before
        .names
        .difference(&after.names)
        .map(String::as_str)
        .collect();
    if !gone.is_empty() {
        changes.push(loss(format!(
            "fields that are not kept, and are dropped from objects at their next edit: {}",
            gone.join(", ")
        )));
    }
    let come: Vec<&str> = after
        .names
        .difference(&before.names)
        .map(String::as_str)
        .collect();
    if !come.is_empty() {
        changes.push(gain(format!("fields that are added: {}", come.join(", "))));
    }
    if after.rules > before.rules {
        changes.push(note(format!(
            "{} rules are added; they judge what is written from then on, and leave what is stored as it is until that \
             field is edited",
            after.rules - before.rules
        )));
    }
}

/// What a schema allows below spec and status.
#[derive(Default)]
struct Fields {
    names: BTreeSet<String>,
    rules: usize,
}

impl Fields {
    fn collect(&mut self, version: &CustomResourceDefinitionVersion) {
        let schema = version
            .schema
            .as_ref()
            .and_then(|schema| schema.open_api_v3_schema.as_ref());
        for (name, below) in schema.into_iter().flat_map(properties) {
            // The rest is every object's.
            if ["spec", "status"].contains(&name.as_str()) {
                self.visit(below, name);
            }
        }
        self.rules += schema.map_or(0, own_rules);
    }

    fn visit(&mut self, schema: &JSONSchemaProps, path: &str) {
        self.rules += own_rules(schema);
        for (name, below) in properties(schema) {
            let path = format!("{path}.{name}");
            self.visit(below, &path);
            self.names.insert(path);
        }
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
            self.visit(items, &format!("{path}[]"));
        }
    }
}

fn properties(schema: &JSONSchemaProps) -> impl Iterator<Item = (&String, &JSONSchemaProps)> {
    schema.properties.iter().flatten()
}

fn own_rules(schema: &JSONSchemaProps) -> usize {
    schema.x_kubernetes_validations.as_ref().map_or(0, Vec::len)
}

fn loss(text: String) -> Change {
    let weight = Weight::Loss;
    Change { weight, text }
}

fn note(text: String) -> Change {
    let weight = Weight::Note;
    Change { weight, text }
}

fn gain(text: String) -> Change {
    let weight = Weight::Gain;
    Change { weight, text }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.weight {
            Weight::Loss => "lost",
            Weight::Note => "note",
            Weight::Gain => "new",
        };
        write!(f, "{word}: {}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ours() -> CustomResourceDefinition {
        genkan_crds::all().remove(1)
    }

    /// A definition as KubeSphere has it: no subresource, no columns, no rules.
    fn theirs(fields: &serde_json::Value) -> CustomResourceDefinition {
        let schema =
            json!({ "type": "object", "properties": { "spec": { "type": "object", "properties": fields } } });
        let crd = json!({
            "metadata": { "name": "reverseproxies.extensions.kubesphere.io", "annotations": { HELM_RELEASE: "ks-core", HELM_NAMESPACE: "kubesphere-system" } },
            "spec": {
                "group": "extensions.kubesphere.io", "scope": "Cluster",
                "names": { "kind": "ReverseProxy", "plural": "reverseproxies" },
                "versions": [{ "name": "v1alpha1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } }],
            },
            "status": { "storedVersions": ["v1alpha1"] },
        });
        serde_json::from_value(crd).unwrap()
    }

    fn told(installed: &CustomResourceDefinition) -> Vec<String> {
        compare(installed, &ours())
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn nothing_is_said_about_what_is_the_same() {
        assert_eq!(told(&ours()), Vec::<String>::new());
    }

    #[test]
    fn what_kubesphere_has_is_kept() {
        let told = told(&theirs(
            &json!({ "directives": { "type": "object", "properties": { "authProxy": { "type": "boolean" } } } }),
        ));
        assert!(!told.iter().any(|text| text.starts_with("lost")), "{told:#?}");
        for words in [
            "release ks-core in namespace kubesphere-system",
            "status becomes a subresource",
            "spec.matcher.path",
            "short name rp",
        ] {
            assert!(told.iter().any(|text| text.contains(words)), "{words}: {told:#?}");
        }
    }

    #[test]
    fn what_would_be_lost_comes_first() {
        let mut installed = theirs(&json!({ "breaker": { "type": "string" } }));
        installed.spec.scope = "Namespaced".into();
        installed.status.as_mut().unwrap().stored_versions = Some(vec!["v1alpha1".into(), "v1".into()]);
        let told = told(&installed);
        assert!(
            told[..3].iter().all(|text| text.starts_with("lost: ")),
            "{told:#?}"
        );
        assert!(!told[3].starts_with("lost"), "{told:#?}");
        for words in [
            "at their next edit: spec.breaker",
            "its scope is Namespaced",
            "stored in version v1,",
        ] {
            assert!(told.iter().any(|text| text.contains(words)), "{words}: {told:#?}");
        }
    }
}
