//! `genkan connector roles`: who may ask for what, by the description of a class.

use anyhow::{Context, Result, anyhow, bail};
use genkan_compile::index::Change;
use genkan_compile::kinds::{self, Tool};
use genkan_compile::object::{Kind, Object};
use genkan_crds::connectors::ConnectorClassSpec;
use genkan_routing::model::Published;
use serde_json::{Value, json};

use crate::directory::Directory;
use crate::resource;
use crate::source::{Origin, Source};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the ConnectorClass
    #[arg(value_name = "CLASS")]
    class: String,
    #[command(flatten)]
    origin: Origin,
}

/// Of a name of an object, at most.
const LONGEST_NAME: usize = 253;

/// Prints the roles.
///
/// # Errors
/// When the class cannot be read.
pub(super) fn run(args: &Args) -> Result<()> {
    print(&roles(&args.class, &class(args)?))
}

fn class(args: &Args) -> Result<ConnectorClassSpec> {
    let spec = match &args.origin.source {
        Source::Directory(path) => {
            let (changes, problems) = Directory::new(path).read()?;
            problems
                .iter()
                .for_each(|p| eprintln!("genkan: {}: {}", p.file.display(), p.message));
            let objects = changes.into_iter().flat_map(|change| match change {
                Change::Reset(_, objects) => objects,
                Change::Apply(_)
                | Change::Delete(..)
                | Change::Probed(..)
                | Change::Completed(..)
                | Change::Remembered(_)
                | Change::Refused { .. }
                | Change::Fetched(..) => Vec::new(),
            });
            let mut found = objects.filter_map(|object| {
                let Object::Published(record) = object else {
                    return None;
                };
                (record.key.kind == Published::ConnectorClass).then_some(record)
            });
            let record = found.find(|record| record.key.name == args.class);
            record
                .ok_or_else(|| anyhow!("no ConnectorClass {} in {}", args.class, path.display()))?
                .spec
        }
        Source::Kubernetes => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.context("no thread can be started")?.block_on(async {
                let client = crate::cluster::client(args.origin.kubeconfig.as_deref()).await?;
                let api = resource::api(
                    &client,
                    &resource::of(Kind::Published(Published::ConnectorClass)),
                    "",
                );
                let found = api.get(&args.class).await;
                let found = found.with_context(|| format!("ConnectorClass {} cannot be read", args.class))?;
                let spec = kinds::of(Published::ConnectorClass).read(&found.data["spec"]);
                Ok::<_, anyhow::Error>(spec.map_err(|error| error.to_string()))
            })?
        }
    };
    match spec
        .map_err(|problem| anyhow!("the class cannot be read: {problem}"))?
        .tool
    {
        Tool::Class(spec) => Ok(*spec),
        Tool::None | Tool::Connector(_) | Tool::Policy(_) | Tool::Extension(_) => {
            bail!("{} is no ConnectorClass", args.class)
        }
    }
}

/// Whoever has the first of them may ask for everything.
fn roles(class: &str, spec: &ConnectorClassSpec) -> Vec<Value> {
    let every = ["get", "create", "update", "patch", "delete"];
    let mut roles = vec![role(class, "all", &format!("connectors/apis/{class}"), &every)];
    let openapi = spec.api.as_ref().and_then(|api| api.openapi.as_ref());
    let paths = openapi
        .and_then(|openapi| openapi.get("paths"))
        .and_then(Value::as_object);
    for (template, methods) in paths.into_iter().flatten() {
        let methods = methods
            .as_object()
            .into_iter()
            .flatten()
            .map(|(method, _)| method.to_ascii_lowercase());
        let mut verbs: Vec<&str> = methods.filter_map(|method| verb(&method)).collect();
        verbs.sort_unstable();
        verbs.dedup();
        if !verbs.is_empty() {
            let template = template.trim_start_matches('/');
            roles.push(role(
                class,
                template,
                &format!("connectors/apis/{class}/{template}"),
                &verbs,
            ));
        }
    }
    roles
}

fn verb(method: &str) -> Option<&'static str> {
    match method {
        "get" | "head" | "options" => Some("get"),
        "post" => Some("create"),
        "put" => Some("update"),
        "patch" => Some("patch"),
        "delete" => Some("delete"),
        _ => None,
    }
}

fn role(class: &str, what: &str, resource: &str, verbs: &[&str]) -> Value {
    let is_kept = |letter: char| letter.is_ascii_alphanumeric();
    let words: Vec<String> = what
        .split(|letter| !is_kept(letter))
        .map(str::to_ascii_lowercase)
        .collect();
    let words: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|word| !word.is_empty())
        .collect();
    let mut name = format!(
        "connectors-{class}-{}",
        if words.is_empty() {
            "root".to_owned()
        } else {
            words.join("-")
        }
    );
    name.truncate(LONGEST_NAME);
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": {"connectors.alauda.io/connectorclass": class}},
        "rules": [
            {"apiGroups": ["connectors.alauda.io"], "resources": ["connectors"], "verbs": ["get"]},
            {"apiGroups": ["connectors.alauda.io"], "resources": [resource], "verbs": verbs},
        ],
    })
}

fn print(roles: &[Value]) -> Result<()> {
    for role in roles {
        println!("---\n{}", serde_yaml::to_string(role)?.trim_end());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_role_for_the_class_and_for_each_path() {
        let spec: ConnectorClassSpec = serde_json::from_value(json!({"api": {"openapi": {"paths": {
            "/api/v4/projects/{id}": {"get": {}, "head": {}, "delete": {}, "summary": "x"},
            "/": {"post": {}},
            "/nothing": {"parameters": []},
        }}}}))
        .unwrap();
        let roles = roles("gitlab", &spec);
        let rules: Vec<(&str, &Value)> = roles
            .iter()
            .map(|role| (role["metadata"]["name"].as_str().unwrap(), &role["rules"][1]))
            .collect();
        let rule = |resource: &str, verbs: &[&str]| json!({"apiGroups": ["connectors.alauda.io"], "resources": [resource], "verbs": verbs});
        let projects = rule("connectors/apis/gitlab/api/v4/projects/{id}", &["delete", "get"]);
        assert!(
            rules.contains(&("connectors-gitlab-api-v4-projects-id", &projects)),
            "{rules:?}"
        );
        let root = rule("connectors/apis/gitlab/", &["create"]);
        assert!(rules.contains(&("connectors-gitlab-root", &root)), "{rules:?}");
        assert_eq!(rules.len(), 3);
        assert_eq!(rules[0].0, "connectors-gitlab-all");
    }
}
