//! How long a change takes to be served, and what routes cost in memory; prints tables.
//!
//! `make bench` builds the programs as they are published and runs this on a real API server of its own.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use genkan_crds::ReverseProxy;
use genkan_e2e::http1;
use genkan_e2e::scenarios;
use genkan_e2e::suite::{self, Stage, Suite};
use genkan_e2e::world::World;
use kube::api::{Api, DeleteParams, PostParams};
use tokio::time::Instant;

#[path = "machine.rs"]
mod machine;

/// Changes that are timed, for each number of other objects.
const CHANGES: usize = 300;
const AT_ONCE: usize = 8;

fn main() -> ExitCode {
    suite::run(vec![Suite {
        name: "scale",
        stage: Stage::Product,
        apart: true,
        scenarios: scenarios!(together: [], alone: [memory, propagation]),
    }])
}

/// From the POST of a ReverseProxy to the first 200 through both proxies.
async fn propagation(world: Arc<World>) -> Result<()> {
    let backend = world.backend("bench", 80).await?;
    let url = format!("http://{}", backend.address);
    let api = Api::<ReverseProxy>::all(world.control_plane.client());
    let mut table =
        String::from("\nother objects | changes | p50 ms | p99 ms | max ms | answers but 404 and 200\n");
    let mut others = 0;
    for wanted in [10, 1_000] {
        create(&api, "other", others..wanted, &url).await?;
        others = wanted;
        world.product().in_step().await?;
        let mut times = Vec::with_capacity(CHANGES);
        let mut wrong = 0;
        for n in 0..CHANGES {
            let (name, path) = (format!("probe-{n}"), format!("/proxy/probe-{n}/x"));
            let object = mk_proxy(&name, &url)?;
            let begin = Instant::now();
            api.create(&PostParams::default(), &object).await?;
            for proxy in &world.product().proxies {
                loop {
                    match http1::get(proxy.listen, &path).await?.status {
                        200 => break,
                        404 => {}
                        _ => wrong += 1,
                    }
                    if begin.elapsed() > Duration::from_secs(10) {
                        bail!("{name} was not served within 10 s");
                    }
                }
            }
            times.push(begin.elapsed());
            api.delete(&name, &DeleteParams::default()).await?;
        }
        times.sort();
        let ms = |at: usize| times[at.min(CHANGES - 1)].as_secs_f64() * 1e3;
        table += &format!(
            "{wanted:13} | {CHANGES:7} | {:6.1} | {:6.1} | {:6.1} | {wrong}\n",
            ms(CHANGES / 2),
            ms(CHANGES * 99 / 100),
            ms(CHANGES)
        );
    }
    remove(&api, "other", 0..others).await?;
    println!("{}{table}", machine::describe());
    Ok(())
}

/// Resident memory of the programs by the number of routes.
async fn memory(world: Arc<World>) -> Result<()> {
    let api = Api::<ReverseProxy>::all(world.control_plane.client());
    let url = "http://192.0.2.1:8080".to_string();
    let mut table = String::from("\nroutes | data plane MiB | KiB a route\n");
    let mut have = 0;
    // In KiB.
    let resident = || -> Result<u64> {
        world.product().proxies[0]
            .resident()
            .context("the data plane has gone")
    };
    let empty = resident()?;
    for wanted in [0, 1_000, 10_000] {
        create(&api, "route", have..wanted, &url).await?;
        have = wanted;
        world.product().in_step().await?;
        let now = resident()?;
        let each = if wanted == 0 {
            0.0
        } else {
            now.saturating_sub(empty) as f64 / wanted as f64
        };
        table += &format!("{wanted:6} | {:14.1} | {each:.1}\n", now as f64 / 1024.0);
    }
    println!("{}{table}", machine::describe());
    remove(&api, "route", 0..have).await
}

fn mk_proxy(name: &str, url: &str) -> Result<ReverseProxy> {
    Ok(serde_json::from_value(serde_json::json!({
        "apiVersion": "extensions.kubesphere.io/v1alpha1",
        "kind": "ReverseProxy",
        "metadata": {"name": name},
        "spec": {"matcher": {"path": format!("/proxy/{name}/*"), "method": "*"}, "upstream": {"url": url}},
    }))?)
}

async fn create(
    api: &Api<ReverseProxy>,
    stem: &str,
    numbers: std::ops::Range<usize>,
    url: &str,
) -> Result<()> {
    let numbers: Vec<usize> = numbers.collect();
    for some in numbers.chunks(AT_ONCE) {
        let objects = some
            .iter()
            .map(|n| mk_proxy(&format!("{stem}-{n}"), url))
            .collect::<Result<Vec<_>>>()?;
        let params = PostParams::default();
        futures::future::try_join_all(objects.iter().map(|o| api.create(&params, o))).await?;
    }
    Ok(())
}

async fn remove(api: &Api<ReverseProxy>, stem: &str, numbers: std::ops::Range<usize>) -> Result<()> {
    let names: Vec<String> = numbers.map(|n| format!("{stem}-{n}")).collect();
    for some in names.chunks(AT_ONCE) {
        let params = DeleteParams::default();
        futures::future::try_join_all(some.iter().map(|name| api.delete(name, &params))).await?;
    }
    Ok(())
}
