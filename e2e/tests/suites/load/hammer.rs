//! Changes of objects and backends while requests run.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use futures::future::try_join_all;
use genkan_crds::ReverseProxy;
use genkan_e2e::hammer::{Hammer, Target, VERSION};
use genkan_e2e::publish::{self, reverse_proxy};
use genkan_e2e::service::{Endpoint, Service};
use genkan_e2e::wait;
use genkan_e2e::world::World;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

/// Requests a second; a little more than the least, so that a slow start does not count.
pub const RATE: u32 = 560;
pub const LEAST_RATE: f64 = 500.0;
const REQUESTS: u64 = 20_000;
const OBJECTS: usize = 20;
const EDITORS: usize = 4;
const EDITS: u64 = 1_000;

pub fn proxies(world: &World) -> Vec<SocketAddr> {
    world.product().proxies.iter().map(|proxy| proxy.listen).collect()
}

pub fn versioned(stem: &str, n: usize, version: u64) -> Value {
    let name = format!("{stem}-{n}");
    let directives = json!({"headerUp": [format!("{VERSION} {version}")]});
    reverse_proxy(
        &name,
        &format!("/proxy/{name}"),
        &format!("{stem}.default.svc"),
        directives,
    )
}

/// Objects of one stem in their first version, programmed.
pub async fn targets(world: &World, stem: &str, count: usize) -> Result<Vec<Arc<Target>>> {
    let client = world.control_plane.client();
    try_join_all((0..count).map(|n| {
        let client = client.clone();
        async move {
            let object = publish::apply(&client, &versioned(stem, n, 1)).await?;
            let ready = wait::until("it is ready", Duration::from_secs(30), || {
                let (client, name) = (client.clone(), object.metadata.name.clone().unwrap_or_default());
                async move {
                    let seen = Api::<ReverseProxy>::all(client).get(&name).await?;
                    let conditions = seen.status.map(|status| status.conditions).unwrap_or_default();
                    Ok(conditions
                        .iter()
                        .any(|c| c.type_ == "Ready" && c.status == "True")
                        .then_some(()))
                }
            });
            ready.await?;
            Ok(Arc::new(Target::new(format!("/proxy/{stem}-{n}"), 1)))
        }
    }))
    .await
}

/// Writes a version and waits until every proxy serves it; with `again`, by deleting the object first.
pub async fn edit(
    client: &kube::Client,
    stem: &str,
    n: usize,
    version: u64,
    target: &Target,
    again: bool,
) -> Result<()> {
    if again {
        target.begin_absence();
        let api: Api<ReverseProxy> = Api::all(client.clone());
        api.delete(&format!("{stem}-{n}"), &DeleteParams::default())
            .await?;
    }
    target.begin(version);
    publish::apply(client, &versioned(stem, n, version)).await?;
    target.confirm(version);
    if again {
        target.end_absence();
    }
    Ok(())
}

pub async fn a_planted_fault_is_caught(world: Arc<World>) -> Result<()> {
    let backend = world.backend("planted", 8080).await?;
    world
        .kubectl()
        .apply(&Service::new("default", "planted", 80, &[backend.address]).manifest())
        .await?;
    let targets = targets(&world, "planted", 1).await?;
    let hammer = Hammer::start(proxies(&world), targets, 200);
    wait::until_true("it runs", Duration::from_secs(10), || async {
        Ok(hammer.sent() > 100)
    })
    .await?;
    backend.make_faulty();
    let sent = hammer.sent();
    wait::until_true("it goes on", Duration::from_secs(10), || async {
        Ok(hammer.sent() > sent + 200)
    })
    .await?;
    let report = hammer.finish().await;
    let share = report.failed as f64 / 200.0;
    assert!(
        (0.03..0.4).contains(&share),
        "one answer in ten was a fault: {report:?}"
    );
    assert!(report.failures[0].contains(": 500 "), "{report:?}");
    Ok(())
}

pub async fn edits_fail_no_request(world: Arc<World>) -> Result<()> {
    let backend = world.backend("edited", 8080).await?;
    world
        .kubectl()
        .apply(&Service::new("default", "edited", 80, &[backend.address]).manifest())
        .await?;
    let targets = targets(&world, "edited", OBJECTS).await?;
    let hammer = Hammer::start(proxies(&world), targets.clone(), RATE);
    let client = world.control_plane.client();
    // The edits take as long as the requests.
    let every = Duration::from_secs_f64(REQUESTS as f64 / f64::from(RATE) * EDITORS as f64 / EDITS as f64);
    let editors = (0..EDITORS).map(|editor| {
        let (client, targets) = (client.clone(), targets.clone());
        tokio::spawn(async move {
            let mut tick = interval(every);
            tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
            for round in 0..EDITS / EDITORS as u64 {
                tick.tick().await;
                let mine = OBJECTS / EDITORS;
                let n = editor * mine + round as usize % mine;
                let again = round % 25 == 24;
                edit(&client, "edited", n, round + 2, &targets[n], again).await?;
            }
            anyhow::Ok(())
        })
    });
    for editor in try_join_all(editors).await? {
        editor?;
    }
    wait::until_true("enough requests", Duration::from_secs(60), || async {
        Ok(hammer.sent() >= REQUESTS)
    })
    .await?;
    hammer.finish().await.expect_clean(REQUESTS, LEAST_RATE)
}

/// Each time the old backend gets its SIGTERM in the instant in which its endpoint is marked as terminating.
pub async fn a_rollout_of_the_backend_fails_no_request(world: Arc<World>) -> Result<()> {
    let kubectl = world.kubectl();
    let mut current = world.backend("rolled-0", 8080).await?;
    kubectl
        .apply(&Service::new("default", "rolled", 80, &[current.address]).manifest())
        .await?;
    let targets = targets(&world, "rolled", 4).await?;
    let hammer = Hammer::start(proxies(&world), targets, RATE);
    for n in 1..=5 {
        let next = world.backend(&format!("rolled-{n}"), 8080).await?;
        let mut service = Service::new("default", "rolled", 80, &[current.address, next.address]);
        kubectl.apply(&service.manifest()).await?;
        wait::until_true("the new one is used", Duration::from_secs(10), || async {
            Ok(next.requests() > 20)
        })
        .await?;
        service.endpoints[0] = Endpoint::terminating(current.address);
        let manifest = service.manifest();
        current.terminate();
        kubectl.apply(&manifest).await?;
        wait::until_true("the old one is left", Duration::from_secs(10), || async {
            Ok(current.connections() == 0)
        })
        .await?;
        kubectl
            .apply(&Service::new("default", "rolled", 80, &[next.address]).manifest())
            .await?;
        current = next;
    }
    let sent = hammer.sent();
    wait::until_true("the last one serves", Duration::from_secs(10), || async {
        Ok(hammer.sent() > sent + 200)
    })
    .await?;
    hammer.finish().await.expect_clean(500, LEAST_RATE)
}
