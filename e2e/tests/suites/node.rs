//! The charts on a real node: images, Pods, the Service, a rolling update under load, and the roll-out of an extension.

mod extensions;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use genkan_e2e::hammer::{Hammer, Target, VERSION};
use genkan_e2e::helm::NAMESPACE;
use genkan_e2e::http1;
use genkan_e2e::process::Launch;
use genkan_e2e::publish::reverse_proxy;
use genkan_e2e::scenarios;
use genkan_e2e::service::Service;
use genkan_e2e::suite::{Stage, Suite};
use genkan_e2e::wait;
use genkan_e2e::world::World;
use serde_json::json;

use extensions::a_deferred_extension_goes_from_pod_to_pod;

/// Requests a second.
const RATE: u32 = 200;
const LIMIT: Duration = Duration::from_secs(60);

pub fn suite() -> Suite {
    Suite {
        name: "node",
        stage: Stage::Node,
        apart: true,
        scenarios: scenarios!(together: [], alone: [
            a_release_serves_through_its_service_and_a_rolling_update,
            a_deferred_extension_goes_from_pod_to_pod,
        ]),
    }
}

/// Everybody may call what is published as this, so that the load needs no token.
fn callers(name: &str) -> String {
    format!(
        "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {name}-callers}}
rules:
  - nonResourceURLs: [/proxy/{name}/*]
    verbs: [get, post]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {name}-callers}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {name}-callers}}
subjects:
  - {{kind: Group, apiGroup: rbac.authorization.k8s.io, name: system:unauthenticated}}
"
    )
}

async fn a_release_serves_through_its_service_and_a_rolling_update(world: Arc<World>) -> Result<()> {
    let kubectl = world.kubectl();
    world.helm().install(kubectl, &[]).await?;
    rolled_out(&world, &["genkan-operator", "genkan-dataplane"]).await?;

    let backend = world.backend("rolled", 8080).await?;
    kubectl
        .apply(&Service::new("default", "rolled", 80, &[backend.address]).manifest())
        .await?;
    kubectl.apply(&callers("rolled")).await?;
    let version = json!({"headerUp": [format!("{VERSION} 1")]});
    let object = reverse_proxy("rolled", "/proxy/rolled", "rolled.default.svc", version);
    kubectl.apply(&object.to_string()).await?;
    world.wait_for("rp/rolled", "Ready").await?;
    ensure!(world.value("rp/rolled", "{.status.proxies}").await? == "2/2");

    let address = service_address(&world).await?;
    wait::until_true("a call through the Service is answered", LIMIT, || async {
        let answer = http1::get(address, "/proxy/rolled/item/0").await?;
        ensure!(answer.status == 200, "{}", answer.text());
        Ok(true)
    })
    .await?;

    a_forwarded_port_answers(&world).await?;
    let target = Arc::new(Target::new("/proxy/rolled", 1));
    let hammer = Hammer::start(vec![address], vec![target], RATE);
    let restart = [
        "rollout",
        "restart",
        "deployment/genkan-dataplane",
        "-n",
        NAMESPACE,
    ];
    kubectl.run(&restart).await?;
    rolled_out(&world, &["genkan-dataplane"]).await?;
    only_two_are_left(&world).await?;
    let sent = hammer.sent();
    wait::until_true("the new ones serve", LIMIT, || async {
        Ok(hammer.sent() > sent + 400)
    })
    .await?;
    let report = hammer.finish().await;
    println!(
        "{} requests during a rolling update, {} failed",
        report.sent, report.failed
    );
    report.expect_clean(400, f64::from(RATE) * 0.8)?;
    world.helm().uninstall().await
}

async fn service_address(world: &World) -> Result<SocketAddr> {
    let service = [
        "get",
        "service/genkan-dataplane",
        "-n",
        NAMESPACE,
        "-o",
        "jsonpath={.spec.clusterIP}",
    ];
    let address = world.kubectl().run(&service).await?;
    format!("{address}:80").parse().context(address)
}

/// With a kubeconfig and nothing else.
async fn a_forwarded_port_answers(world: &World) -> Result<()> {
    let kubectl = world.kubectl();
    kubectl.run(&["create", "serviceaccount", "visitor"]).await?;
    let bind = [
        "create",
        "clusterrolebinding",
        "visitor",
        "--clusterrole=cluster-admin",
        "--serviceaccount=default:visitor",
    ];
    kubectl.run(&bind).await?;
    let own = world
        .control_plane
        .service_account_kubeconfig("default", "visitor")
        .await?;
    let folder = world.folder("forwarded")?;
    let mut process = Launch::new("proxy", &world.programs().genkan)
        .args(["proxy", "--port", "0", "--kubeconfig"])
        .arg(own.display().to_string())
        .start(&folder)?;
    let address: SocketAddr = wait::until("genkan proxy serves", LIMIT, || {
        let output = process.output();
        let address = output
            .split("http://")
            .nth(1)
            .and_then(|rest| rest.split('/').next()?.parse().ok());
        let running = process.expect_running();
        async move {
            running?;
            Ok(address)
        }
    })
    .await?;
    wait::until_true("a forwarded port answers", LIMIT, || async {
        let answer = http1::get(address, "/proxy/rolled/item/0").await?;
        ensure!(answer.status == 200, "{}", answer.text());
        Ok(true)
    })
    .await
}

async fn rolled_out(world: &World, deployments: &[&str]) -> Result<()> {
    for name in deployments {
        let name = format!("deployment/{name}");
        let call = ["rollout", "status", &name, "-n", NAMESPACE, "--timeout=120s"];
        if let Err(error) = world.kubectl().run(&call).await {
            let pods = world
                .kubectl()
                .run(&["describe", "pods", "-n", NAMESPACE])
                .await?;
            return Err(error.context(pods));
        }
    }
    Ok(())
}

/// Those that were replaced drain, and end.
async fn only_two_are_left(world: &World) -> Result<()> {
    let pods = [
        "get",
        "pods",
        "-n",
        NAMESPACE,
        "-l",
        "app.kubernetes.io/component=dataplane",
        "-o",
        "name",
    ];
    wait::until_true("the old Pods have ended", LIMIT, || async {
        Ok(world.kubectl().run(&pods).await?.lines().count() == 2)
    })
    .await
}
