//! A deferred extension on three Pods: by itself, by whoever approves it, and by hand.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use genkan_e2e::hammer::{Hammer, Target, VERSION};
use genkan_e2e::helm::NAMESPACE;
use genkan_e2e::http1;
use genkan_e2e::process::Launch;
use genkan_e2e::publish::reverse_proxy;
use genkan_e2e::service::Service;
use genkan_e2e::wait;
use genkan_e2e::world::World;
use serde_json::json;

use super::{LIMIT, callers, rolled_out, service_address};

/// Requests a second.
const RATE: u32 = 100;
const PODS: &str = "app.kubernetes.io/component=dataplane";
/// What three Pods take, each some seconds.
const ROLLED: Duration = Duration::from_secs(150);

fn extension(value: &str, trigger: &str) -> String {
    let steps = json!([{"use": "set", "with": {"headers": {"set": {"X-Mark": value}}}}]);
    json!({
        "apiVersion": "gateway.genkan.io/v1alpha1",
        "kind": "GatewayExtension",
        "metadata": {"name": "corp"},
        "spec": {
            "rollout": {
                "trigger": trigger,
                "drain": {"settle": "4s", "timeout": "10s"},
                "soak": {"duration": "2s"},
            },
            "entries": [{
                "name": "mark", "type": "Hook", "deploy": "Deferred",
                "hook": {"at": "PreRequest", "steps": steps},
            }],
        },
    })
    .to_string()
}

pub async fn a_deferred_extension_goes_from_pod_to_pod(world: Arc<World>) -> Result<()> {
    let kubectl = world.kubectl();
    world
        .helm()
        .install(kubectl, &["--set", "dataplane.replicas=3"])
        .await?;
    rolled_out(&world, &["genkan-operator", "genkan-dataplane"]).await?;
    let backend = world.backend("marked", 8080).await?;
    kubectl
        .apply(&Service::new("default", "marked", 80, &[backend.address]).manifest())
        .await?;
    kubectl.apply(&callers("marked")).await?;
    let version = json!({"headerUp": [format!("{VERSION} 1")]});
    kubectl
        .apply(&reverse_proxy("marked", "/proxy/marked", "marked.default.svc", version).to_string())
        .await?;
    world.wait_for("rp/marked", "Ready").await?;
    ensure!(world.value("rp/marked", "{.status.proxies}").await? == "3/3");
    let address = service_address(&world).await?;
    wait::until_true("a call through the Service is answered", LIMIT, || async {
        Ok(http1::get(address, "/proxy/marked/item/0").await?.status == 200)
    })
    .await?;

    let target = Arc::new(Target::new("/proxy/marked", 1));
    let hammer = Hammer::start(vec![address], vec![target], RATE);
    let watched = by_itself(&world).await;
    let approved = match &watched {
        Ok(()) => by_approval(&world).await,
        Err(_) => Ok(()),
    };
    let report = hammer.finish().await;
    watched?;
    approved?;
    println!(
        "{} requests during two roll-outs on three Pods, {} failed",
        report.sent, report.failed
    );
    report.expect_clean(400, f64::from(RATE) * 0.8)?;
    by_hand(&world, address).await?;
    kubectl.run(&["delete", "gwext", "corp"]).await?;
    world.helm().uninstall().await
}

/// What a person sees who watches.
async fn by_itself(world: &World) -> Result<()> {
    world.kubectl().apply(&extension("first", "Auto")).await?;
    let folder = world.folder("watch")?;
    let mut watch = Launch::new("watch", world.kubectl().program())
        .args(["get", "gwext", "-w", "--kubeconfig"])
        .arg(world.control_plane.admin_kubeconfig().display().to_string())
        .start(&folder)?;
    deployed(world).await?;
    wait::until_true("the watch shows the end", LIMIT, || {
        let output = watch.output();
        async move { Ok(output.contains("Complete")) }
    })
    .await?;
    let rows = rows(&watch.output());
    watch.kill();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suites/node/watch.golden");
    follows(&rows, &std::fs::read_to_string(&golden)?)
}

/// Without the age, and each state once.
fn rows(output: &str) -> Vec<String> {
    let lines = output.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words[..words.len().saturating_sub(1)].join(" ")
    });
    let mut rows: Vec<String> = lines.collect();
    rows.dedup();
    rows
}

/// Each row stands in the golden file, in its order; rows without `?` there are all seen. States that last only
/// milliseconds are told only where nothing else was told within the second before.
fn follows(rows: &[String], golden: &str) -> Result<()> {
    let mut seen = rows.iter().peekable();
    for line in golden.lines().filter(|line| !line.is_empty()) {
        let (is_optional, expected) = match line.strip_prefix("? ") {
            Some(expected) => (true, expected),
            None => (false, line),
        };
        if seen.next_if(|row| *row == expected).is_none() && !is_optional {
            bail!("{expected:?} was expected next in\n{}", rows.join("\n"));
        }
    }
    match seen.next() {
        Some(row) => bail!("{row:?} was not expected there in\n{}", rows.join("\n")),
        None => Ok(()),
    }
}

async fn by_approval(world: &World) -> Result<()> {
    let kubectl = world.kubectl();
    kubectl.apply(&extension("second", "Manual")).await?;
    world
        .wait_condition("gwext/corp", "Deployed", "False", "AwaitingApproval")
        .await?;
    let revision = world.value("gwext/corp", "{.status.revision}").await?;
    let approval = format!("gateway.genkan.io/approve={revision}");
    kubectl.run(&["annotate", "gwext", "corp", &approval]).await?;
    deployed(world).await
}

/// An administrator deletes Pods; those that come take what is meant.
async fn by_hand(world: &World, address: SocketAddr) -> Result<()> {
    let kubectl = world.kubectl();
    kubectl.apply(&extension("third", "Manual")).await?;
    world
        .wait_condition("gwext/corp", "Deployed", "False", "AwaitingApproval")
        .await?;
    let names = ["get", "pods", "-n", NAMESPACE, "-l", PODS, "-o", "name"];
    for pod in kubectl.run(&names).await?.lines() {
        kubectl
            .run(&["delete", pod, "-n", NAMESPACE, "--wait=true"])
            .await?;
        rolled_out(world, &["genkan-dataplane"]).await?;
    }
    deployed(world).await?;
    let answer = http1::get(address, "/proxy/marked/item/0").await?;
    ensure!(answer.text().contains("third"), "{}", answer.text());
    Ok(())
}

async fn deployed(world: &World) -> Result<()> {
    let call = [
        "wait",
        "--for=condition=Deployed",
        "gwext/corp",
        &format!("--timeout={}s", ROLLED.as_secs()),
    ];
    let waited = world.kubectl().run(&call).await;
    if waited.is_err() {
        let told = world
            .kubectl()
            .run(&["get", "gwext", "corp", "-o", "yaml"])
            .await?;
        return waited.map(drop).context(told);
    }
    // Of the revision that is meant, and not of the one before.
    let status = world
        .value("gwext/corp", "{.status.revision} {.status.stableRevision}")
        .await?;
    let (target, stable) = status.split_once(' ').unwrap_or_default();
    ensure!(target == stable, "{status}");
    Ok(())
}
