//! One suite, in a private network of its own.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout};

use super::{Errand, Scenario, Suite};
use crate::namespace;
use crate::node;
use crate::programs::Prepared;
use crate::world::World;

const TOGETHER: usize = 4;
const LIMIT: Duration = Duration::from_secs(180);
const MEASURING: Duration = Duration::from_secs(5_400);

type Failures = Mutex<Vec<(&'static str, String)>>;

pub(super) fn run(errand: &Errand, suites: &[Suite]) -> Result<ExitCode> {
    let suite = suites
        .iter()
        .find(|suite| suite.name == errand.suite)
        .with_context(|| format!("there is no suite {}", errand.suite))?;
    let prepared = &errand.prepared;
    let base = prepared
        .node
        .as_ref()
        .map_or_else(std::env::temp_dir, |node| node.folder.clone());
    let folder = tempfile::Builder::new().prefix("genkan-e2e-").tempdir_in(base)?;
    let path = folder.path().to_owned();
    namespace::settle(move || {
        let _ = std::fs::remove_dir_all(path);
    })?;
    if let Some(node) = &prepared.node {
        node::settle(node)?;
    }
    let failed = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(carry_out(suite, prepared, folder.path()))?;
    if failed > 0 {
        println!("logs and configuration: {}", folder.keep().display());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

async fn carry_out(suite: &Suite, prepared: &Prepared, folder: &Path) -> Result<usize> {
    let begin = Instant::now();
    let world = Arc::new(
        World::start(suite.stage, prepared, folder)
            .await
            .context("set up the world")?,
    );
    println!(
        "world is ready after {:.1} s; running {} scenarios",
        begin.elapsed().as_secs_f64(),
        suite.scenarios.len()
    );
    let failures = Arc::new(Failures::default());
    let slots = Arc::new(Semaphore::new(TOGETHER));
    // What measures takes its time.
    let limit = if suite.apart { MEASURING } else { LIMIT };
    let mut running = JoinSet::new();
    for scenario in suite.scenarios.iter().copied().filter(|scenario| !scenario.alone) {
        let (world, failures, slots) = (world.clone(), failures.clone(), slots.clone());
        running.spawn(async move {
            let _slot = slots.acquire_owned().await;
            judge(scenario, limit, world, &failures).await;
        });
    }
    while running.join_next().await.is_some() {}
    for scenario in suite.scenarios.iter().copied().filter(|scenario| scenario.alone) {
        judge(scenario, limit, world.clone(), &failures).await;
    }
    world.expect_running().context("after the last scenario")?;
    let failures = failures.lock();
    for (name, why) in failures.iter() {
        println!("---- {name} ----\n{why}");
    }
    let verdict = if failures.is_empty() { "ok" } else { "FAILED" };
    let passed = suite.scenarios.len() - failures.len();
    println!(
        "scenarios: {verdict}. {passed} passed; {} failed; finished in {:.1} s",
        failures.len(),
        begin.elapsed().as_secs_f64()
    );
    Ok(failures.len())
}

async fn judge(scenario: Scenario, limit: Duration, world: Arc<World>, failures: &Failures) {
    let begin = Instant::now();
    // A task of its own, so that a failed assertion ends this scenario alone.
    let task = tokio::spawn(timeout(limit, (scenario.run)(world)));
    let outcome = match task.await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(format!("{error:#}")),
        Ok(Err(_)) => Err(format!("not finished after {limit:?}")),
        Err(panic) => Err(panic_message(panic)),
    };
    let word = if outcome.is_ok() { "ok" } else { "FAILED" };
    println!(
        "test {} ... {word} ({:.1} s)",
        scenario.name,
        begin.elapsed().as_secs_f64()
    );
    if let Err(why) = outcome {
        failures.lock().push((scenario.name, why));
    }
}

fn panic_message(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "panicked".to_owned()),
        Err(error) => error.to_string(),
    }
}
