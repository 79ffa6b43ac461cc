//! Carries out scenarios: one process, one world, several scenarios at a time.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::binaries;
use crate::namespace;
use crate::node;
use crate::programs::Prepared;
use crate::world::World;

mod arguments;

use arguments::Arguments;

/// What a suite needs beside the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// etcd, kube-apiserver and kubectl alone.
    ApiServer,
    /// The same, and the programs of genkan built; scenarios start them as they like.
    Programs,
    /// All of the control plane, the programs of genkan built, and helm; scenarios install the charts.
    Charts,
    /// The same, and a whole node with the images of genkan. Skipped where the machine cannot.
    Node,
    /// All of it: controller-manager, CRDs, operator and two data planes.
    Product,
}

/// One thing that is proved; its name is that of the function.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    /// It stops or restarts what others use, so it runs alone.
    pub alone: bool,
    pub run: fn(Arc<World>) -> BoxFuture<'static, Result<()>>,
}

/// Lists functions `async fn(Arc<World>) -> anyhow::Result<()>` as scenarios.
#[macro_export]
macro_rules! scenarios {
    (@ $alone:literal $($name:path),* $(,)?) => {
        vec![$($crate::suite::Scenario {
            name: stringify!($name),
            alone: $alone,
            run: |world| Box::pin($name(world)),
        }),*]
    };
    (together: [$($together:path),* $(,)?], alone: [$($alone:path),* $(,)?] $(,)?) => {{
        let mut all: Vec<$crate::suite::Scenario> = $crate::scenarios!(@ false $($together),*);
        let alone: Vec<$crate::suite::Scenario> = $crate::scenarios!(@ true $($alone),*);
        all.extend(alone);
        all
    }};
}

const TOGETHER: usize = 4;
const LIMIT: Duration = Duration::from_secs(180);

/// The whole of a test program's `main`.
pub fn run(stage: Stage, scenarios: Vec<Scenario>) -> ExitCode {
    let arguments = Arguments::read();
    let chosen: Vec<Scenario> = scenarios
        .into_iter()
        .filter(|s| arguments.wants(s.name))
        .collect();
    if arguments.list {
        for scenario in &chosen {
            println!("{}: test", scenario.name);
        }
        return ExitCode::SUCCESS;
    }
    if chosen.is_empty() {
        println!("no scenario has been chosen");
        return ExitCode::SUCCESS;
    }
    match inside_or_out(stage, &chosen) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}

fn inside_or_out(stage: Stage, chosen: &[Scenario]) -> Result<ExitCode> {
    let Some(prepared) = namespace::handed::<Prepared>()? else {
        let prepared = match prepare(stage)? {
            Ok(prepared) => prepared,
            Err(reason) => {
                println!("skipped: {reason}");
                return Ok(ExitCode::SUCCESS);
            }
        };
        let mut child = namespace::enter(&prepared)?;
        // `wait` would close it first, and with it end the one inside.
        let _alive = child.stdin.take();
        let status = child.wait()?;
        if let Some(node) = &prepared.node {
            node::sweep(node, status.success());
        }
        return Ok(ExitCode::from(
            status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(101),
        ));
    };
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
        .block_on(carry_out(stage, &prepared, folder.path(), chosen))?;
    if failed > 0 {
        println!("logs and configuration: {}", folder.keep().display());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything that needs the outside world, or why this machine cannot do it.
fn prepare(stage: Stage) -> Result<Result<Prepared, String>> {
    let plugins = match stage {
        Stage::Node => match node::gate::open() {
            Ok(plugins) => Some(plugins),
            Err(reason) => return Ok(Err(reason)),
        },
        _ => None,
    };
    let mut prepared = Prepared::make(stage != Stage::ApiServer)?;
    if matches!(stage, Stage::Charts | Stage::Node) {
        prepared.helm = Some(binaries::helm()?);
    }
    if let (Some(plugins), Some(programs)) = (plugins, &prepared.programs) {
        prepared.node = Some(node::Prepared::make(programs, plugins)?);
    }
    Ok(Ok(prepared))
}

async fn carry_out(
    stage: Stage,
    prepared: &Prepared,
    folder: &std::path::Path,
    chosen: &[Scenario],
) -> Result<usize> {
    let begin = Instant::now();
    let world = Arc::new(
        World::start(stage, prepared, folder)
            .await
            .context("set up the world")?,
    );
    println!(
        "\nworld is ready after {:.1} s; running {} scenarios",
        begin.elapsed().as_secs_f64(),
        chosen.len()
    );
    let failures = Arc::new(Mutex::new(Vec::new()));
    let slots = Arc::new(tokio::sync::Semaphore::new(TOGETHER));
    let mut running = tokio::task::JoinSet::new();
    for scenario in chosen.iter().copied().filter(|scenario| !scenario.alone) {
        let (world, failures, slots) = (world.clone(), failures.clone(), slots.clone());
        running.spawn(async move {
            let _slot = slots.acquire_owned().await;
            judge(scenario, world, &failures).await;
        });
    }
    while running.join_next().await.is_some() {}
    for scenario in chosen.iter().copied().filter(|scenario| scenario.alone) {
        judge(scenario, world.clone(), &failures).await;
    }
    world.expect_running().context("after the last scenario")?;
    let failures = failures.lock();
    for (name, why) in failures.iter() {
        println!("\n---- {name} ----\n{why}");
    }
    let verdict = if failures.is_empty() { "ok" } else { "FAILED" };
    let passed = chosen.len() - failures.len();
    println!(
        "\nscenarios: {verdict}. {passed} passed; {} failed; finished in {:.1} s\n",
        failures.len(),
        begin.elapsed().as_secs_f64()
    );
    Ok(failures.len())
}

async fn judge(scenario: Scenario, world: Arc<World>, failures: &Mutex<Vec<(&'static str, String)>>) {
    let begin = Instant::now();
    // A task of its own, so that a failed assertion ends this scenario alone.
    let task = tokio::spawn(tokio::time::timeout(LIMIT, (scenario.run)(world)));
    let outcome = match task.await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(format!("{error:#}")),
        Ok(Err(_)) => Err(format!("not finished after {LIMIT:?}")),
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

fn panic_message(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "panicked".to_owned()),
        Err(error) => error.to_string(),
    }
}

// === impl Scenario ===

impl std::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
