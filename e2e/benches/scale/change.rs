use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt};
use genkan_crds::ReverseProxy;
use genkan_e2e::http1;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::population::{Population, route};
use crate::table::{at, ms};

/// Changes that are timed, for each number of other objects.
const CHANGES: usize = 300;
const LIMIT: Duration = Duration::from_secs(20);

/// From the POST of an object.
pub struct Times {
    /// To its event at a client that only watches.
    floor: Vec<Duration>,
    /// To the first 200 through both proxies.
    served: Vec<Duration>,
    wrong: usize,
}

/// CPU time of one change.
pub struct Work {
    proxy: Duration,
    operator: Duration,
    /// While it writes no status.
    unwritten: Duration,
}

type Seen = Arc<Mutex<HashMap<String, Instant>>>;

/// While `busy` other objects change every second.
pub async fn times(population: &Population<'_>, busy: u32) -> Result<Times> {
    let api = population.api();
    let seen = Seen::default();
    // Before anything is created of which it is to hear.
    let newest = api.list(&ListParams::default().limit(1)).await?;
    let version = newest.metadata.resource_version.unwrap_or_default();
    let watching = tokio::spawn(watch(api.clone(), version, Arc::clone(&seen)));
    let changing = tokio::spawn(keep_changing(api.clone(), population.len(), busy));
    let (mut floor, mut served, mut wrong) = (Vec::new(), Vec::new(), 0);
    for n in 0..CHANGES {
        let name = format!("probe-{}-{busy}-{n}", population.len());
        let path = format!("/proxy/{name}/x");
        let object: ReverseProxy = serde_json::from_value(route(&name, n))?;
        let begin = Instant::now();
        api.create(&PostParams::default(), &object).await?;
        for proxy in &population.product().proxies {
            loop {
                match http1::get(proxy.listen, &path).await?.status {
                    200 => break,
                    404 => {}
                    _ => wrong += 1,
                }
                if begin.elapsed() > LIMIT {
                    bail!("{name} was not served within {LIMIT:?}");
                }
            }
        }
        served.push(begin.elapsed());
        while !seen.lock().contains_key(&name) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if watching.is_finished() {
                bail!("the watch ended: {:?}", watching.await);
            }
        }
        let event = seen.lock().remove(&name).context("the event is gone")?;
        floor.push(event.saturating_duration_since(begin));
        api.delete(&name, &DeleteParams::default()).await?;
    }
    watching.abort();
    changing.abort();
    floor.sort_unstable();
    served.sort_unstable();
    Ok(Times { floor, served, wrong })
}

/// Notes when each new object is heard of.
async fn watch(api: Api<ReverseProxy>, version: String, seen: Seen) -> Result<()> {
    let mut events = pin!(api.watch(&WatchParams::default(), &version).await?.boxed());
    while let Some(event) = events.try_next().await? {
        if let WatchEvent::Added(object) = event {
            let name = object.metadata.name.unwrap_or_default();
            seen.lock().insert(name, Instant::now());
        }
    }
    bail!("the API server ended the watch")
}

async fn keep_changing(api: Api<ReverseProxy>, count: usize, each_second: u32) -> Result<()> {
    if each_second == 0 {
        return Ok(());
    }
    let mut ticks = interval(Duration::from_secs(1) / each_second);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for n in 0_usize.. {
        ticks.tick().await;
        patch(&api, &format!("other-{}", n % count.max(1)), n).await?;
    }
    Ok(())
}

/// Changes one object.
async fn patch(api: &Api<ReverseProxy>, name: &str, n: usize) -> Result<()> {
    let change = json!({"spec": {"directives": {"headerUp": [format!("X-Change {n}")]}}});
    api.patch(name, &PatchParams::default(), &Patch::Merge(change))
        .await?;
    Ok(())
}

/// So many changes, of objects in turn, a few at a time.
pub async fn edit(population: &Population<'_>, changes: usize) -> Result<()> {
    const AT_ONCE: usize = 4;
    let (api, count) = (population.api(), population.len());
    futures::stream::iter(0..changes)
        .map(|n| {
            let api = api.clone();
            async move { patch(&api, &format!("other-{}", n % count), n).await }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// CPU time of a change, beyond that of doing nothing for as long.
pub async fn work(population: &Population<'_>) -> Result<Work> {
    let (proxy, operator) = cpu_of_changes(population).await?;
    let leases: Api<Lease> = Api::namespaced(population.client.clone(), "genkan-system");
    hand_lease(&leases, "bench").await?;
    let holding = tokio::spawn(keep_lease(leases.clone()));
    population.quiet().await?;
    let (_, unwritten) = cpu_of_changes(population).await?;
    holding.abort();
    // Nobody's: the operator takes it within two seconds, where it would wait out another replica's.
    hand_lease(&leases, "").await?;
    population.quiet().await?;
    Ok(Work {
        proxy,
        operator,
        unwritten,
    })
}

async fn cpu_of_changes(population: &Population<'_>) -> Result<(Duration, Duration)> {
    const COUNT: u32 = 200;
    let product = population.product();
    let read = || -> Result<(Duration, Duration)> {
        let proxy = product.proxies[0].cpu().context("the data plane has gone")?;
        Ok((proxy, product.operator.cpu().context("the operator has gone")?))
    };
    let (begin, before) = (Instant::now(), read()?);
    let mut ticks = interval(Duration::from_millis(30));
    for n in 0..COUNT as usize {
        ticks.tick().await;
        patch(&population.api(), "other-3", 1_000_000 + n).await?;
    }
    product.in_step().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (took, after) = (begin.elapsed(), read()?);
    let idle = read()?;
    tokio::time::sleep(took).await;
    let rested = read()?;
    let each = |before, after, idle, rested| {
        let (busy, rest): (Duration, Duration) = (after - before, rested - idle);
        busy.saturating_sub(rest) / COUNT
    };
    Ok((
        each(before.0, after.0, idle.0, rested.0),
        each(before.1, after.1, idle.1, rested.1),
    ))
}

/// As another replica would, which has it: the operator writes no status meanwhile.
async fn keep_lease(leases: Api<Lease>) -> Result<()> {
    let mut ticks = interval(Duration::from_secs(5));
    loop {
        ticks.tick().await;
        hand_lease(&leases, "bench").await?;
    }
}

async fn hand_lease(leases: &Api<Lease>, holder: &str) -> Result<()> {
    let lease = leases.list(&ListParams::default()).await?;
    let lease = lease.items.into_iter().next().context("the operator's Lease")?;
    let name = lease.metadata.name.unwrap_or_default();
    let change = json!({"spec": {
        "holderIdentity": holder,
        "renewTime": MicroTime(Timestamp::now()),
    }});
    leases
        .patch(&name, &PatchParams::default(), &Patch::Merge(change))
        .await?;
    Ok(())
}

// === impl Times ===

impl Times {
    pub fn row(&self, size: usize, busy: u32) -> [String; 8] {
        [
            size.to_string(),
            busy.to_string(),
            ms(at(&self.floor, 50)),
            ms(at(&self.floor, 99)),
            ms(at(&self.served, 50)),
            ms(at(&self.served, 99)),
            ms(at(&self.served, 100)),
            self.wrong.to_string(),
        ]
    }
}

// === impl Work ===

impl Work {
    pub fn row(&self, size: usize) -> [String; 4] {
        let fine = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1e3);
        [
            size.to_string(),
            fine(self.proxy),
            fine(self.operator),
            fine(self.unwritten),
        ]
    }
}
