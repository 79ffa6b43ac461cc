//! How many instructions a request costs, beside the bare proxy engine; prints a table.
//!
//! Valgrind counts what the process executes in user space; the difference between a short and a long run is that of the
//! requests. Eight kept connections, one worker, a short answer, an access line for each request. The bare engine is
//! `dataplane/examples/bare.rs`: one address that is always chosen, and nothing else. Counts are the same on every machine
//! of one architecture, but for what the scheduler makes of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use genkan_e2e::backend::Backend;
use genkan_e2e::http1::{self, Connection, Request};
use genkan_e2e::process::{Launch, Process};
use genkan_e2e::product::local;
use genkan_e2e::programs::Programs;
use genkan_e2e::wait;

#[path = "installation.rs"]
mod installation;

use installation::{Installation, PATH, free_port};

const SHORT: usize = 400;
const LONG: usize = 2_400;
const CONNECTIONS: usize = 8;
const START: Duration = Duration::from_secs(120);
const END: Duration = Duration::from_secs(60);

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
    let folder = tempfile::tempdir()?;
    let address = local(free_port()?);
    let _backend = Backend::start("backend", address).await?;
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, run) in [("short", SHORT), ("long", LONG)] {
        let folder = folder.path().join(name);
        std::fs::create_dir_all(&folder)?;
        let engine = of_bare(&bare, &folder, address.port(), run).await?;
        let whole = of_genkan(&programs, &folder, address.port(), run).await?;
        counts.insert(if run == SHORT { "bare short" } else { "bare long" }, engine);
        counts.insert(if run == SHORT { "whole short" } else { "whole long" }, whole);
    }
    let a_request = |name: &str| -> u64 {
        let of = |length: &str| {
            counts
                .get(format!("{name} {length}").as_str())
                .copied()
                .unwrap_or_default()
        };
        of("long").saturating_sub(of("short")) / (LONG - SHORT) as u64
    };
    let (engine, whole) = (a_request("bare"), a_request("whole"));
    Ok(format!(
        "\nproxy                      | instructions a request\n\
         bare engine                | {engine:22}\n\
         genkan, with access lines  | {whole:22}\n\
         beyond the bare engine     | {:22}",
        whole.saturating_sub(engine)
    ))
}

async fn of_bare(bare: &Path, folder: &Path, backend: u16, requests: usize) -> Result<u64> {
    let port = free_port()?;
    let (program, counted) = under(folder, "bare");
    let mut process = Launch::new("bare", &program[0])
        .args(program[1..].iter().map(String::as_str))
        .arg(bare.display().to_string())
        .args([port.to_string(), backend.to_string()])
        .start(folder)?;
    wait::until_true("the bare engine answers", START, || async {
        Ok(http1::get(local(port), PATH).await?.status == 200)
    })
    .await?;
    count(&mut process, port, requests, &counted).await
}

async fn of_genkan(programs: &Programs, folder: &Path, backend: u16, requests: usize) -> Result<u64> {
    let (program, counted) = under(folder, "genkan");
    let program: Vec<&str> = program.iter().map(String::as_str).collect();
    let flags = ["--workers", "1", "--drain-delay", "0s"];
    let genkan = Installation::start(programs, &folder.join("genkan"), 1, backend, &program, &flags).await?;
    let Installation {
        operator,
        port,
        mut process,
    } = genkan;
    let counted = count(&mut process, port, requests, &counted).await;
    operator.stop().await?;
    counted
}

fn under(folder: &Path, name: &str) -> (Vec<String>, PathBuf) {
    let counted = folder.join(format!("{name}.callgrind"));
    let out = format!("--callgrind-out-file={}", counted.display());
    let program = ["valgrind", "--tool=callgrind", out.as_str()].map(str::to_owned);
    (program.to_vec(), counted)
}

/// Sends requests, ends the process and reads what was counted.
async fn count(process: &mut Process, port: u16, requests: usize, counted: &Path) -> Result<u64> {
    let client = |_| async move {
        let mut connection = Connection::open(local(port)).await?;
        for _ in 0..requests / CONNECTIONS {
            let answer = connection.send(Request::get(PATH)).await?;
            ensure!(answer.status == 200, "the answer is {}", answer.status);
        }
        anyhow::Ok(())
    };
    let clients: Vec<_> = (0..CONNECTIONS).map(|n| tokio::spawn(client(n))).collect();
    for client in clients {
        client.await??;
    }
    process.stop(END).await?;
    let text = std::fs::read_to_string(counted).context("valgrind wrote no counts; is it installed?")?;
    let total = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
    let total = total.and_then(|total| total.split_whitespace().next()?.parse().ok());
    total.with_context(|| format!("{} has no totals", counted.display()))
}
