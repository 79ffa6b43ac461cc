//! The control plane itself is what the other scenarios take it for.

use std::sync::Arc;

use anyhow::Result;
use genkan_e2e::scenarios;
use genkan_e2e::suite::{Stage, Suite};
use genkan_e2e::world::{RBAC, World};

pub fn suite() -> Suite {
    Suite {
        name: "control_plane",
        stage: Stage::ApiServer,
        apart: false,
        scenarios: scenarios!(
            together: [the_operator_may_do_only_what_the_chart_says],
            alone: [the_api_server_keeps_its_objects_over_a_restart],
        ),
    }
}

async fn the_operator_may_do_only_what_the_chart_says(world: Arc<World>) -> Result<()> {
    let kubectl = world.kubectl();
    kubectl.apply(RBAC).await?;
    let kubeconfig = world
        .control_plane
        .service_account_kubeconfig("genkan-system", "genkan-operator")
        .await?;
    let operator = kubectl.with_kubeconfig(&kubeconfig);
    let who = operator
        .run(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"])
        .await?;
    assert_eq!(who, "system:serviceaccount:genkan-system:genkan-operator");
    for (wanted, verb, resource) in [
        ("yes", "watch", "services"),
        ("yes", "list", "endpointslices.discovery.k8s.io"),
        ("no", "patch", "services"),
        ("no", "get", "secrets"),
        ("no", "list", "secrets"),
        ("yes", "create", "tokenreviews.authentication.k8s.io"),
    ] {
        let printed = operator
            .output(&["auth", "can-i", verb, resource, "-A"], "")
            .await?;
        assert_eq!(
            printed.stdout.trim(),
            wanted,
            "{verb} {resource}: {}",
            printed.stderr
        );
    }
    Ok(())
}

async fn the_api_server_keeps_its_objects_over_a_restart(world: Arc<World>) -> Result<()> {
    world.kubectl().run(&["create", "namespace", "kept"]).await?;
    world.control_plane.kill_api_server();
    let gone = world
        .kubectl()
        .output(&["get", "namespace", "kept", "--request-timeout=2s"], "")
        .await?;
    assert!(!gone.success, "{}", gone.stdout);
    world.control_plane.start_api_server().await?;
    assert!(
        world
            .kubectl()
            .run(&["get", "namespace", "kept", "-o", "name"])
            .await?
            .contains("namespace/kept")
    );
    Ok(())
}
