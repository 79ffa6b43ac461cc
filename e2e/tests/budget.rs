//! What a request costs stays within `e2e/budget.json`: instructions, allocations and system calls, counted by valgrind.
//!
//! The programs are those of the tests, or the published ones where `make budget` says which they are; each has a column.
//! A change that makes a request dearer on purpose writes its figures there, and says why; so does one that makes it cheaper.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use genkan_e2e::backend::Backend;
use genkan_e2e::counting::{self, Counts};
use genkan_e2e::installation::{Caller, Runs, count, free_port};
use genkan_e2e::product::local;
use genkan_e2e::programs::Programs;
use serde::Deserialize;

const FILE: &str = include_str!("../budget.json");
const RUNS: Runs = Runs {
    short: 40,
    long: 240,
    connections: 1,
};
const LIMIT: Duration = Duration::from_secs(120);

#[derive(Deserialize)]
struct Budget {
    /// By so much, in hundredths, a figure may be exceeded.
    margin: f64,
    tested: Column,
    published: Column,
}

#[derive(Deserialize)]
struct Column {
    anybody: Figures,
    known: Figures,
}

#[derive(Deserialize)]
struct Figures {
    instructions: f64,
    allocations: f64,
    system_calls: f64,
}

#[tokio::test]
async fn a_request_costs_no_more_than_it_did() -> Result<()> {
    if !counting::is_possible() {
        eprintln!("skipped: valgrind is not installed, so nobody knows what a request costs");
        return Ok(());
    }
    // To build them takes as long as it takes.
    let programs = Programs::build()?;
    tokio::time::timeout(LIMIT, measure(&programs))
        .await
        .context("it took too long")?
}

async fn measure(programs: &Programs) -> Result<()> {
    let budget: Budget = serde_json::from_str(FILE)?;
    let column = match std::env::var("GENKAN_BUDGET").as_deref() {
        Ok("published") => &budget.published,
        _ => &budget.tested,
    };
    let folder = tempfile::tempdir()?;
    let address = local(free_port()?);
    let _backend = Backend::start("backend", address).await?;
    let mut dear = Vec::new();
    for (caller, figures) in [(Caller::Anybody, &column.anybody), (Caller::Known, &column.known)] {
        let Counts {
            instructions,
            allocations,
            system_calls,
        } = count(programs, folder.path(), address.port(), caller, RUNS).await?;
        println!(
            "{caller:?}: {instructions:.0} instructions, {allocations:.1} allocations, {system_calls:.1} system calls"
        );
        for (what, counted, allowed) in [
            ("instructions", instructions, figures.instructions),
            ("allocations", allocations, figures.allocations),
            ("system calls", system_calls, figures.system_calls),
        ] {
            if counted > allowed * (1.0 + budget.margin / 100.0) {
                dear.push(format!(
                    "{caller:?}: {counted:.1} {what} a request; budget.json says {allowed}"
                ));
            }
        }
    }
    ensure!(dear.is_empty(), "{}", dear.join("\n"));
    Ok(())
}
