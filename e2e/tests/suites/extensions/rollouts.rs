//! Deferred entries, on three data planes under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use genkan_e2e::hammer::{Hammer, Target};
use genkan_e2e::http1::Request;
use genkan_e2e::wait;
use genkan_e2e::world::World;

use super::stand::{SOON, Stand, proxy};

/// An extension whose one hook writes this; `rollout` is YAML.
fn extension(value: &str, rollout: &str) -> String {
    format!(
        "apiVersion: gateway.genkan.io/v1alpha1\nkind: GatewayExtension\nmetadata: {{name: corp}}\nspec:\n  \
         rollout: {{drain: {{settle: 200ms, timeout: 5s}}, soak: {{duration: 1s}}, {rollout}}}\n  entries:\n  \
         - name: mark\n    type: Hook\n    deploy: Deferred\n    hook:\n      at: PreRequest\n      \
         steps: [{{use: set, with: {{headers: {{set: {{X-Mark: \"{value}\"}}}}}}}}]\n"
    )
}

/// How many data planes mark requests with this.
async fn marked(stand: &Stand, value: &str) -> Result<usize> {
    let answers = stand.through_all(Request::get("/proxy/shop/a")).await?;
    Ok(answers
        .iter()
        .filter(|answer| answer.text().contains(value))
        .count())
}

async fn all_marked(stand: &Stand, value: &str) -> Result<()> {
    wait::until_true(&format!("every data plane marks with {value}"), SOON, || async {
        Ok(marked(stand, value).await? == stand.proxies.len())
    })
    .await
}

/// The greatest number of data planes that were not ready at one time.
async fn watch_readiness(stand: &Stand, stop: &AtomicBool, most: &AtomicUsize) {
    while !stop.load(Ordering::Relaxed) {
        let mut unready = 0;
        for proxy in &stand.proxies {
            unready += usize::from(!proxy.is_ready().await.unwrap_or(false));
        }
        most.fetch_max(unready, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub async fn deferred_entries_go_from_one_data_plane_to_the_next(world: Arc<World>) -> Result<()> {
    let stand = Stand::set(&world, 3).await?;
    let kubectl = world.kubectl();
    kubectl
        .apply(&proxy(
            "shop",
            "",
            "  directives: {stripPathPrefix: /proxy/shop, headerUp: [\"X-Version 1\"]}\n",
        ))
        .await?;
    world.wait_for("reverseproxy/shop", "Ready").await?;
    let listeners = stand.proxies.iter().map(|proxy| proxy.listen).collect();
    let target = Arc::new(Target::new("/proxy/shop", 1));
    let hammer = Hammer::start(listeners, vec![target], 150);
    let (stop, most) = (AtomicBool::new(false), AtomicUsize::new(0));
    let rolling = async {
        let rolled = async {
            for value in ["first", "second"] {
                kubectl.apply(&extension(value, "trigger: Auto")).await?;
                all_marked(&stand, value).await?;
                world
                    .wait_condition("gwext/corp", "Deployed", "True", "Deployed")
                    .await?;
            }
            Ok::<_, anyhow::Error>(())
        };
        let rolled = rolled.await;
        stop.store(true, Ordering::Relaxed);
        rolled
    };
    let (rolled, ()) = tokio::join!(rolling, watch_readiness(&stand, &stop, &most));
    let report = hammer.finish().await;
    rolled?;
    report.expect_clean(300, 50.0)?;
    ensure!(
        most.load(Ordering::Relaxed) == 1,
        "{most:?} data planes were not ready at one time"
    );
    let status = world
        .value("gwext/corp", "{.status.rollout.phase} {.status.columns.rollout}")
        .await?;
    ensure!(status == "Complete Complete", "{status}");
    // Going back is a roll-out as any other.
    let first = world.value("gwext/corp", "{.status.revisions[1]}").await?;
    let patch = format!("{{\"spec\": {{\"rollbackTo\": \"{first}\"}}}}");
    kubectl
        .run(&["patch", "gwext", "corp", "--type=merge", "-p", &patch])
        .await?;
    all_marked(&stand, "first").await?;
    // One that begins has everything before it is ready.
    stand.proxies[2].stop().await?;
    stand.proxies[2].start().await?;
    ensure!(marked(&stand, "first").await? == 3);
    stand.stop().await
}

pub async fn what_a_data_plane_cannot_serve_is_taken_back(world: Arc<World>) -> Result<()> {
    let stand = Stand::set(&world, 3).await?;
    let kubectl = world.kubectl();
    kubectl.apply(&proxy("shop", "", "")).await?;
    kubectl.apply(&extension("good", "trigger: Auto")).await?;
    all_marked(&stand, "good").await?;
    world.wait_for("gwext/corp", "Deployed").await?;
    // Every step of it fails: there is no such variable.
    let failing = extension("{{ vars.nothing }}", "onFailure: Rollback")
        .replace("soak: {duration: 1s}", "soak: {duration: 30s, minRequests: 10}");
    kubectl.apply(&failing).await?;
    let stop = AtomicBool::new(false);
    let load = async {
        while !stop.load(Ordering::Relaxed) {
            let _ = stand.through_all(Request::get("/proxy/shop/a")).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let back = async {
        let back = world
            .wait_condition("gwext/corp", "Deployed", "False", "RolledBack")
            .await;
        stop.store(true, Ordering::Relaxed);
        back
    };
    let (back, ()) = tokio::join!(back, load);
    ensure!(back?.message.contains("requests met an error of its steps"));
    all_marked(&stand, "good").await?;
    stand.stop().await
}

pub async fn a_revision_waits_for_whoever_approves_it(world: Arc<World>) -> Result<()> {
    let stand = Stand::set(&world, 2).await?;
    let kubectl = world.kubectl();
    kubectl.apply(&proxy("shop", "", "")).await?;
    world.wait_for("reverseproxy/shop", "Ready").await?;
    kubectl.apply(&extension("first", "trigger: Manual")).await?;
    world
        .wait_condition("gwext/corp", "Deployed", "False", "AwaitingApproval")
        .await?;
    ensure!(marked(&stand, "first").await? == 0);
    let revision = world.value("gwext/corp", "{.status.revision}").await?;
    let approval = format!("gateway.genkan.io/approve={revision}");
    kubectl.run(&["annotate", "gwext", "corp", &approval]).await?;
    all_marked(&stand, "first").await?;
    world.wait_for("gwext/corp", "Deployed").await?;
    // By hand: whoever begins takes what is meant.
    kubectl.apply(&extension("second", "trigger: Manual")).await?;
    world
        .wait_condition("gwext/corp", "Deployed", "False", "AwaitingApproval")
        .await?;
    for proxy in &stand.proxies {
        proxy.stop().await?;
        std::fs::remove_dir_all(proxy.state())?;
        proxy.start().await?;
    }
    all_marked(&stand, "second").await?;
    world.wait_for("gwext/corp", "Deployed").await?;
    stand.stop().await
}

pub async fn an_operator_that_is_killed_goes_on_where_it_was(world: Arc<World>) -> Result<()> {
    let stand = Stand::set(&world, 3).await?;
    let kubectl = world.kubectl();
    kubectl.apply(&proxy("shop", "", "")).await?;
    kubectl.apply(&extension("good", "trigger: Auto")).await?;
    all_marked(&stand, "good").await?;
    world.wait_for("gwext/corp", "Deployed").await?;
    let slow = extension("next", "trigger: Auto")
        .replace("settle: 200ms", "settle: 3s")
        .replace("soak: {duration: 1s}", "soak: {duration: 3s}");
    kubectl.apply(&slow).await?;
    // The other stages last milliseconds.
    for stage in ["Draining", "Soaking"] {
        wait::until_true(&format!("a data plane is {stage}"), SOON, || async {
            Ok(world.value("gwext/corp", "{.status.rollout.stage}").await? == stage)
        })
        .await?;
        stand.operator.kill();
        ensure!(marked(&stand, "next").await? < 3);
        stand.operator.start().await?;
    }
    all_marked(&stand, "next").await?;
    world.wait_for("gwext/corp", "Deployed").await?;
    stand.stop().await
}
