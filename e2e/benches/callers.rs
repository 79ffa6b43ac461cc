//! What it costs to know who calls and what they may do; prints tables.
//!
//! `make bench` builds the programs as they are published and runs this on a real API server of its own. Reviews are counted
//! by the API server's own metrics.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use genkan_e2e::callers::{bind_to, judging, reviews, token};
use genkan_e2e::http1::{Connection, Request};
use genkan_e2e::product::{Proxy, local};
use genkan_e2e::publish::{apply, reverse_proxy};
use genkan_e2e::scenarios;
use genkan_e2e::suite::{self, Stage, Suite};
use genkan_e2e::world::World;
use serde_json::json;
use tokio::time::Instant;

#[path = "machine.rs"]
mod machine;

const CALLERS: usize = 100;
const ROUTES: usize = 5;
const PATHS: usize = 1_000;
const REQUESTS: usize = 10_000;
const AT_ONCE: usize = 16;
/// Of each of those at once: two thousand requests a second, which leaves the processors some room.
const PACE: Duration = Duration::from_millis(8);
const ROUNDS: usize = 20;
const OF_A_ROUND: usize = 500;

fn main() -> ExitCode {
    suite::run(vec![Suite {
        name: "callers",
        stage: Stage::Product,
        apart: true,
        scenarios: scenarios!(together: [], alone: [reviews_of_many_callers, flood_of_invented_paths, added_time]),
    }])
}

/// Routes `{stem}-0` and so on, and who may call them all.
async fn publish(world: &World, stem: &str, subject: Option<serde_json::Value>) -> Result<()> {
    let backend = world.backend(stem, 80).await?;
    let client = world.control_plane.client();
    for n in 0..ROUTES {
        let name = format!("{stem}-{n}");
        let object = reverse_proxy(
            &name,
            &format!("/proxy/{name}"),
            &backend.address.to_string(),
            json!({}),
        );
        apply(&client, &object).await?;
    }
    if let Some(subject) = subject {
        let rule = format!("{{nonResourceURLs: ['/proxy/{stem}-*'], verbs: ['*']}}");
        bind_to(world.kubectl(), stem, &rule, &subject).await?;
        // Until the API server knows it too.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // It answers until the run is over.
    std::mem::forget(backend);
    Ok(())
}

fn accounts() -> serde_json::Value {
    json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:serviceaccounts"})
}

async fn get(connection: &mut Connection, path: &str, bearer: Option<&str>) -> Result<u16> {
    let headers = [("Authorization", bearer.unwrap_or_default())];
    let request = Request {
        headers: if bearer.is_some() { &headers } else { &[] },
        ..Request::get(path)
    };
    Ok(connection.send(request).await?.status)
}

/// 10,000 requests of 100 callers over 1,000 paths of 5 routes.
async fn reviews_of_many_callers(world: Arc<World>) -> Result<()> {
    publish(&world, "many", Some(accounts())).await?;
    let client = world.control_plane.client();
    let names: Vec<String> = (0..CALLERS).map(|n| format!("caller-{n}")).collect();
    let mut bearers = Vec::new();
    for some in names.chunks(AT_ONCE) {
        let tokens = try_join_all(some.iter().map(|name| token(&client, name))).await?;
        bearers.extend(tokens.iter().map(|token| format!("Bearer {token}")));
    }
    let proxies = judging(&world, &[(8021, 9421)], &[]).await?;
    world.product().in_step().await?;
    let listen = proxies[0].listen;
    let (before, begin) = (reviews(world.kubectl()).await?, Instant::now());
    let next = AtomicUsize::new(0);
    let workers = (0..AT_ONCE).map(|_| async {
        let mut connection = Connection::open(listen).await?;
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= REQUESTS {
                return anyhow::Ok(());
            }
            let path = format!("/proxy/many-{}/page/{}", n % ROUTES, n / 50 % (PATHS / ROUTES));
            let status = get(&mut connection, &path, Some(&bearers[n / ROUTES % CALLERS])).await?;
            ensure!(status == 200, "{path} is answered {status}");
            if !connection.is_reusable() {
                connection = Connection::open(listen).await?;
            }
        }
    });
    try_join_all(workers).await?;
    let took = begin.elapsed();
    let after = reviews(world.kubectl()).await?;
    let (tokens, access) = (after.0 - before.0, after.1 - before.1);
    println!(
        "{}\nrequests | callers | paths | token reviews | access reviews | together | s\n\
         {REQUESTS:8} | {CALLERS:7} | {PATHS:5} | {tokens:13} | {access:14} | {:8} | {:.1}\n",
        machine::describe(),
        tokens + access,
        took.as_secs_f64(),
    );
    stop(&proxies).await
}

/// 10,000 paths that nobody else asks for, by one token and by nobody, while a known caller goes on; beside it the same
/// number of requests for what is known.
async fn flood_of_invented_paths(world: Arc<World>) -> Result<()> {
    publish(&world, "flood", None).await?;
    let client = world.control_plane.client();
    let (flooder, known) = (token(&client, "flooder").await?, token(&client, "known").await?);
    let (flooder, known) = (format!("Bearer {flooder}"), format!("Bearer {known}"));
    let subject = json!({"kind": "ServiceAccount", "name": "known", "namespace": "default"});
    bind_to(
        world.kubectl(),
        "known",
        "{nonResourceURLs: ['/proxy/flood-*'], verbs: [get]}",
        &subject,
    )
    .await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let proxies = judging(&world, &[(8022, 9422)], &[]).await?;
    world.product().in_step().await?;
    let listen = proxies[0].listen;
    let mut table = String::from(
        "\nten thousand of  | s    | 200   | 403 | 429  | access reviews | a second | another's p50 µs | p99 µs\n",
    );
    let loads = [
        ("one known path", Some(known.as_str())),
        ("one token", Some(flooder.as_str())),
        ("nobody", None),
    ];
    for (name, bearer) in loads {
        let (before, begin) = (reviews(world.kubectl()).await?.1, Instant::now());
        let over = AtomicBool::new(false);
        let next = AtomicUsize::new(0);
        let codes = [200, 403, 429].map(|code| (code, AtomicUsize::new(0)));
        let load = async {
            let workers = (0..AT_ONCE).map(|_| async {
                let mut connection = Connection::open(listen).await?;
                let mut pace = tokio::time::interval(PACE);
                loop {
                    pace.tick().await;
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= REQUESTS {
                        return anyhow::Ok(());
                    }
                    let path = match name {
                        "one known path" => "/proxy/flood-1/x".to_owned(),
                        _ => format!("/proxy/flood-0/{}-{n}", name.len()),
                    };
                    let status = get(&mut connection, &path, bearer).await?;
                    let count = codes.iter().find(|(code, _)| *code == status);
                    let (_, count) = count.with_context(|| format!("answered {status}"))?;
                    count.fetch_add(1, Ordering::Relaxed);
                    if !connection.is_reusable() {
                        connection = Connection::open(listen).await?;
                    }
                }
            });
            let done = try_join_all(workers).await;
            over.store(true, Ordering::Relaxed);
            done
        };
        let (loaded, other) = tokio::join!(load, measure(listen, &known, &over));
        loaded?;
        let (other, took) = (other?, begin.elapsed().as_secs_f64());
        let asked = reviews(world.kubectl()).await?.1 - before;
        let [ok, denied, cut] = codes.map(|(_, count)| count.into_inner());
        table += &format!(
            "{name:16} | {took:4.1} | {ok:5} | {denied:3} | {cut:4} | {asked:14} | {:8.1} | {:16} | {:6}\n",
            asked as f64 / took,
            other.0,
            other.1
        );
    }
    println!("{}{table}", machine::describe());
    stop(&proxies).await
}

/// Median and 99th percentile of a caller's requests until it is over, in microseconds.
async fn measure(listen: SocketAddr, bearer: &str, over: &AtomicBool) -> Result<(u64, u64)> {
    let mut connection = Connection::open(listen).await?;
    let mut times = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let begin = Instant::now();
        let status = get(&mut connection, "/proxy/flood-1/x", Some(bearer)).await?;
        ensure!(status == 200, "the known caller is answered {status}");
        times.push(begin.elapsed());
        if !connection.is_reusable() {
            connection = Connection::open(listen).await?;
        }
        // A person, not a flood.
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    times.sort();
    let at = |percent: usize| {
        times
            .get(times.len() * percent / 100)
            .map_or(0, |time| time.as_micros() as u64)
    };
    Ok((at(50), at(99)))
}

/// A request whose caller is known, through a data plane that judges callers and one that does not, in turn.
async fn added_time(world: Arc<World>) -> Result<()> {
    publish(&world, "added", Some(accounts())).await?;
    let bearer = format!("Bearer {}", token(&world.control_plane.client(), "added").await?);
    let proxies = judging(&world, &[(8023, 9423)], &[]).await?;
    world.product().in_step().await?;
    let without = world.product().proxies[0].listen;
    let mut medians: [Vec<Duration>; 2] = Default::default();
    let mut differences = Vec::new();
    for round in 0..ROUNDS {
        let mut pair = [Duration::ZERO; 2];
        for turn in 0..2 {
            let which = (round + turn) % 2;
            let listen = [without, local(8023)][which];
            let mut connection = Connection::open(listen).await?;
            let mut times = Vec::with_capacity(OF_A_ROUND);
            for _ in 0..OF_A_ROUND {
                let begin = Instant::now();
                let status = get(&mut connection, "/proxy/added-0/x", Some(&bearer)).await?;
                times.push(begin.elapsed());
                ensure!(status == 200, "answered {status}");
                if !connection.is_reusable() {
                    connection = Connection::open(listen).await?;
                }
            }
            times.sort();
            pair[which] = times[times.len() / 2];
            medians[which].push(times[times.len() / 2]);
        }
        differences.push(pair[1].as_secs_f64() * 1e6 - pair[0].as_secs_f64() * 1e6);
    }
    medians.iter_mut().for_each(|list| list.sort());
    differences.sort_by(f64::total_cmp);
    let micros = |which: usize| medians[which][ROUNDS / 2].as_secs_f64() * 1e6;
    println!(
        "{}\ncallers judged | median µs\nno             | {:9.1}\nyes            | {:9.1}\n\
         difference of the medians {:.1} µs; median of the differences of {ROUNDS} rounds {:.1} µs ({:.1} to {:.1})\n",
        machine::describe(),
        micros(0),
        micros(1),
        micros(1) - micros(0),
        differences[ROUNDS / 2],
        differences[0],
        differences[ROUNDS - 1],
    );
    stop(&proxies).await
}

async fn stop(proxies: &[Proxy]) -> Result<()> {
    for proxy in proxies {
        proxy.stop().await?;
    }
    Ok(())
}
