//! What a change costs beside many other objects, and what the objects cost in memory; prints tables.
//!
//! `make bench` builds the programs as they are published and runs this on a real API server of its own. `GENKAN_SCALE`
//! says beside how many objects: `10,1000,10000,40000` by default.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use genkan_e2e::scenarios;
use genkan_e2e::suite::{self, Stage, Suite};
use genkan_e2e::world::World;

#[path = "scale/change.rs"]
mod change;
#[path = "scale/folder.rs"]
mod folder;
#[path = "machine.rs"]
mod machine;
#[path = "scale/population.rs"]
mod population;
#[path = "scale/table.rs"]
mod table;

use population::Population;
use table::{Table, kib_each, mib};

fn main() -> ExitCode {
    suite::run(vec![
        Suite {
            name: "scale",
            stage: Stage::Product,
            apart: true,
            scenarios: scenarios!(together: [], alone: [burst, edits, growth]),
        },
        Suite {
            name: "scale-folder",
            stage: Stage::Programs,
            apart: true,
            scenarios: scenarios!(together: [], alone: [one_file]),
        },
    ])
}

/// So few routes that they are nothing beside a thousand.
const FEW: usize = 10;

/// Beside how many objects.
fn sizes() -> Result<Vec<usize>> {
    let text = std::env::var("GENKAN_SCALE");
    let text = text.as_deref().unwrap_or("10,1000,5000,10000,40000");
    let sizes = text.split(',').map(|size| size.trim().parse());
    sizes
        .collect::<Result<_, _>>()
        .context("GENKAN_SCALE is a list of numbers")
}

/// A thousand objects are created at once, several times over.
async fn burst(world: Arc<World>) -> Result<()> {
    const ROUNDS: usize = 4;
    let mut population = Population::start(&world).await?;
    let mut table = Table::new(&[
        "created beside",
        "all Programmed after the last, s",
        "status writes",
    ]);
    for _ in 0..ROUNDS {
        population.quiet().await?;
        let before = population.status_writes().await?;
        let beside = population.len();
        let took = population.grow(beside + 1_000).await?;
        population.quiet().await?;
        let writes = population.status_writes().await? - before;
        table.row([
            beside.to_string(),
            format!("{:.1}", took.as_secs_f64()),
            writes.to_string(),
        ]);
    }
    println!("{}\n\n{table}", machine::describe());
    Ok(())
}

/// The memory of both programs while objects are changed in turn, over and over.
async fn edits(world: Arc<World>) -> Result<()> {
    const OBJECTS: usize = 1_000;
    let mut population = Population::start(&world).await?;
    population.grow(OBJECTS).await?;
    let mut table = Table::new(&["changes of each object", "proxy MiB", "operator MiB"]);
    let mut all = 0;
    for changes in [0, 1, 1, 2, 4, 8, 16, 16, 16] {
        change::edit(&population, changes * OBJECTS).await?;
        population.quiet().await?;
        all += changes;
        let now = population.resident()?;
        table.row([all.to_string(), mib(now.proxy), mib(now.operator)]);
    }
    println!("{}\n\n{table}", machine::describe());
    Ok(())
}

/// One installation grows; at each size changes are timed and the memory is read.
async fn growth(world: Arc<World>) -> Result<()> {
    let mut population = Population::start(&world).await?;
    let mut latency = Table::new(&[
        "other objects",
        "others that change each second",
        "floor p50 ms",
        "floor p99 ms",
        "p50 ms",
        "p99 ms",
        "max ms",
        "answers but 404 and 200",
    ]);
    let mut work = Table::new(&[
        "other objects",
        "proxy CPU ms a change",
        "operator CPU ms a change",
        "the same without status writes",
    ]);
    let mut memory = Table::new(&[
        "routes over 2,500 Services",
        "proxy MiB",
        "KiB a route",
        "operator MiB",
    ]);
    let mut programmed = Table::new(&["created at once beside", "all Programmed after the last, s"]);
    population.quiet().await?;
    let empty = population.resident()?;
    memory.row([
        "0".to_owned(),
        mib(empty.proxy),
        String::new(),
        mib(empty.operator),
    ]);
    // Some of what is added to it below comes of serving, however few routes there are.
    population.grow(FEW).await?;
    change::times(&population, 0).await?;
    population.quiet().await?;
    let served = population.resident()?;
    memory.row([
        format!("{FEW}, having served"),
        mib(served.proxy),
        String::new(),
        mib(served.operator),
    ]);
    for size in sizes()? {
        let began = population.len();
        let took = population.grow(size).await?;
        if size - began >= 900 {
            let others = format!("{began} (created: {})", size - began);
            programmed.row([others, format!("{:.1}", took.as_secs_f64())]);
        }
        population.quiet().await?;
        let now = population.resident()?;
        memory.row([
            size.to_string(),
            mib(now.proxy),
            match size > FEW {
                true => kib_each(now.proxy.saturating_sub(empty.proxy), size),
                false => String::new(),
            },
            mib(now.operator),
        ]);
        for busy in [0, 20] {
            let times = change::times(&population, busy).await?;
            latency.row(times.row(size, busy));
        }
        population.quiet().await?;
        work.row(change::work(&population).await?.row(size));
    }
    // The first change of an object makes it larger.
    change::edit(&population, population.len()).await?;
    let mut growing = Table::new(&[
        "changes behind the first of each object",
        "proxy MiB",
        "operator MiB",
    ]);
    for changes in [0, 10_000, 10_000] {
        change::edit(&population, changes).await?;
        population.quiet().await?;
        let now = population.resident()?;
        growing.row([format!("{changes} more"), mib(now.proxy), mib(now.operator)]);
    }
    println!("{}\n", machine::describe());
    for table in [latency, work, memory, programmed, growing] {
        println!("{table}");
    }
    Ok(())
}

/// One file changes among many that the operator reads from a folder.
async fn one_file(world: Arc<World>) -> Result<()> {
    let mut table = Table::new(&["files", "changes", "p50 ms", "p99 ms", "max ms"]);
    for size in [10, 40_000] {
        table.row(folder::times(&world, size).await?);
    }
    println!("{}\n\n{table}", machine::describe());
    Ok(())
}
