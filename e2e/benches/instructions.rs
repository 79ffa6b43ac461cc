//! How many instructions a request costs, beside the bare proxy engine; prints a table.
//!
//! Valgrind counts what the process executes in user space; the difference between a short and a long run is that of the
//! requests. Eight kept connections, one worker, a short answer, an access line for each request. The bare engine is
//! `dataplane/examples/bare.rs`: one address that is always chosen, and nothing else. Counts are the same on every machine
//! of one architecture, but for what the scheduler makes of them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use genkan_e2e::backend::Backend;
use genkan_e2e::counting::{Counted, Counts, Load};
use genkan_e2e::http1;
use genkan_e2e::installation::{Caller, PATH, Runs, count, free_port};
use genkan_e2e::process::Launch;
use genkan_e2e::product::local;
use genkan_e2e::programs::Programs;
use genkan_e2e::wait;

const RUNS: Runs = Runs {
    short: 400,
    long: 2_400,
    connections: 8,
};
const START: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        return ExitCode::SUCCESS;
    }
    match measure().await {
        Ok(table) => {
            println!("{table}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Result<String> {
    let programs = Programs::build()?;
    let bare = PathBuf::from(std::env::var_os("GENKAN_BARE_BIN").context(
        "GENKAN_BARE_BIN names no program; `make bench` builds dataplane/examples/bare.rs and says where it is",
    )?);
    let temporary = tempfile::tempdir()?;
    let folder = match std::env::var_os("GENKAN_COUNTS") {
        // So that callgrind_annotate can say more.
        Some(kept) => PathBuf::from(kept),
        None => temporary.path().to_owned(),
    };
    let folder = folder.as_path();
    let address = local(free_port()?);
    let _backend = Backend::start("backend", address).await?;
    let engine = of_bare(&bare, folder, address.port()).await?;
    let anybody = count(&programs, folder, address.port(), Caller::Anybody, RUNS).await?;
    let known = count(&programs, folder, address.port(), Caller::Known, RUNS).await?;
    let mut table = String::from(
        "\nproxy                          | instructions a request | beyond the engine | allocations | system calls\n",
    );
    for (name, counts) in [
        ("bare engine", engine),
        ("genkan, nobody judged", anybody),
        ("genkan, a caller that is known", known),
    ] {
        let Counts {
            instructions,
            allocations,
            system_calls,
        } = counts;
        let beyond = instructions - engine.instructions;
        table += &format!(
            "{name:30} | {instructions:22.0} | {beyond:17.0} | {allocations:11.1} | {system_calls:12.1}\n"
        );
    }
    Ok(table)
}

async fn of_bare(bare: &Path, folder: &Path, backend: u16) -> Result<Counts> {
    let load = Load {
        path: PATH,
        headers: &[],
        connections: RUNS.connections,
    };
    let mut counts = Vec::new();
    for requests in [RUNS.short, RUNS.long] {
        let port = free_port()?;
        let (under, counted) = Counted::under(folder, &format!("bare-{requests}"));
        let mut process = Launch::new(format!("bare-{requests}"), &under[0])
            .args(under[1..].iter().map(String::as_str))
            .arg(bare.display().to_string())
            .args([port.to_string(), backend.to_string()])
            .start(folder)?;
        wait::until_true("the bare engine answers", START, || async {
            Ok(http1::get(local(port), PATH).await?.status == 200)
        })
        .await?;
        counts.push((requests, counted.take(&mut process, port, requests, load).await?));
    }
    Ok(Counts::of_one(counts[0], counts[1]))
}
