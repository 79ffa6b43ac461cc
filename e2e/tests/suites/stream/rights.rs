//! What the token of a data plane may do with the API server.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, Result};
use genkan_e2e::control_plane;
use genkan_e2e::world::{RBAC, World};
use k8s_openapi::api::authorization::v1::{SelfSubjectRulesReview, SelfSubjectRulesReviewSpec};
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::api::{Api, ListParams, PostParams};

const NOBODY: &str =
    "apiVersion: v1\nkind: ServiceAccount\nmetadata: {namespace: genkan-system, name: nobody}\n";

pub async fn a_data_plane_may_do_nothing_but_ask(world: Arc<World>) -> Result<()> {
    let kubectl = world.kubectl();
    for manifest in [RBAC, NOBODY] {
        kubectl.apply(manifest).await?;
    }
    let namespaces: Api<Namespace> = Api::all(world.control_plane.client());
    let namespaces = namespaces.list(&ListParams::default()).await?;
    for namespace in namespaces {
        let namespace = namespace.name_any();
        // Everybody who is authenticated may ask about himself, and see what is served.
        let everybody = rules(&world, "nobody", &namespace).await?;
        let data_plane = rules(&world, "genkan-dataplane", &namespace).await?;
        let more: Vec<&str> = data_plane.difference(&everybody).map(String::as_str).collect();
        assert_eq!(
            more,
            [
                "create authentication.k8s.io/tokenreviews",
                "create authorization.k8s.io/subjectaccessreviews",
            ],
            "in {namespace}"
        );
        assert!(everybody.difference(&data_plane).next().is_none());
        let about_others = everybody
            .iter()
            .find(|rule| !rule.contains("/self") && !rule.starts_with("get /"));
        assert_eq!(about_others, None, "everybody may do more than was thought");
    }
    Ok(())
}

/// What a ServiceAccount may do in a namespace, a verb and a resource a line.
async fn rules(world: &World, account: &str, namespace: &str) -> Result<BTreeSet<String>> {
    let kubeconfig = world
        .control_plane
        .service_account_kubeconfig("genkan-system", account)
        .await?;
    let reviews: Api<SelfSubjectRulesReview> = Api::all(control_plane::client(&kubeconfig).await?);
    let review = SelfSubjectRulesReview {
        spec: SelfSubjectRulesReviewSpec {
            namespace: Some(namespace.to_owned()),
        },
        ..SelfSubjectRulesReview::default()
    };
    let answer = reviews.create(&PostParams::default(), &review).await?;
    let status = answer.status.context("the answer has no status")?;
    assert!(!status.incomplete, "{:?}", status.evaluation_error);
    let mut all = BTreeSet::new();
    for rule in status.resource_rules {
        for verb in &rule.verbs {
            for group in rule.api_groups.iter().flatten() {
                for resource in rule.resources.iter().flatten() {
                    all.insert(format!("{verb} {group}/{resource}"));
                }
            }
        }
    }
    for rule in status.non_resource_rules {
        for verb in &rule.verbs {
            for path in rule.non_resource_urls.iter().flatten() {
                all.insert(format!("{verb} {path}"));
            }
        }
    }
    Ok(all)
}
