//! Prepares what suites need of the world outside, and starts a process for each of them.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, PipeReader};
use std::num::NonZero;
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Errand, Stage, Suite};
use crate::binaries;
use crate::namespace;
use crate::node;
use crate::programs::Prepared;

/// Suites wait more than they work, but each has an API server.
const MOST_BESIDE: usize = 4;

/// One suite, and how to start it.
struct Job<'s> {
    suite: &'s Suite,
    errand: Errand,
}

pub(super) fn run(suites: &[Suite]) -> Result<ExitCode> {
    let begin = Instant::now();
    let jobs = prepare(suites)?;
    if let [only] = jobs.as_slice() {
        return Ok(if judge(only, enter).is_none() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    let (apart, beside): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.suite.apart);
    let mut failed = Vec::new();
    for job in &apart {
        failed.extend(judge(job, enter_named));
    }
    let queue = Mutex::new(beside.iter().collect::<VecDeque<_>>());
    let lanes = thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(MOST_BESIDE);
    let next = || queue.lock().pop_front();
    let more = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                while let Some(job) = next() {
                    let failure = judge(job, enter_named);
                    more.lock().extend(failure);
                }
            });
        }
    });
    failed.extend(more.into_inner());
    let verdict = if failed.is_empty() {
        "ok".to_owned()
    } else {
        format!("FAILED: {}", failed.join(", "))
    };
    println!(
        "\nsuites: {verdict}; finished in {:.1} s\n",
        begin.elapsed().as_secs_f64()
    );
    Ok(if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Those that this machine can carry out, with everything that they need of the world outside.
fn prepare(suites: &[Suite]) -> Result<Vec<Job<'_>>> {
    let any = |wanted: fn(Stage) -> bool| suites.iter().any(|suite| wanted(suite.stage));
    let base = Prepared::make(any(|stage| stage != Stage::ApiServer))?;
    let helm = any(|stage| matches!(stage, Stage::Charts | Stage::Node))
        .then(binaries::helm)
        .transpose()?;
    let mut jobs = Vec::new();
    for suite in suites {
        let mut prepared = base.clone();
        if matches!(suite.stage, Stage::Charts | Stage::Node) {
            prepared.helm.clone_from(&helm);
        }
        if suite.stage == Stage::Node {
            let plugins = match node::gate::open() {
                Ok(plugins) => plugins,
                Err(reason) => {
                    println!("{}: skipped: {reason}", suite.name);
                    continue;
                }
            };
            let programs = prepared.programs.as_ref().context("the programs of genkan")?;
            prepared.node = Some(node::Prepared::make(programs, plugins)?);
        }
        let errand = Errand {
            suite: suite.name.to_owned(),
            prepared,
        };
        jobs.push(Job { suite, errand });
    }
    Ok(jobs)
}

/// The name of the suite if it has failed.
fn judge(job: &Job<'_>, enter: fn(&Job<'_>) -> Result<bool>) -> Option<&'static str> {
    let name = job.suite.name;
    let succeeded = match enter(job) {
        Ok(succeeded) => succeeded,
        Err(error) => {
            println!("{name}: {error:#}");
            false
        }
    };
    if let Some(node) = &job.errand.prepared.node {
        node::sweep(node, succeeded);
    }
    (!succeeded).then_some(name)
}

fn enter(job: &Job<'_>) -> Result<bool> {
    let mut child = namespace::enter(&job.errand)?;
    // `wait` would close it first, and with it end the one inside.
    let _alive = child.stdin.take();
    Ok(child.wait()?.success())
}

/// The same, with the name of the suite before each line.
fn enter_named(job: &Job<'_>) -> Result<bool> {
    let (reader, writer) = std::io::pipe()?;
    // The command goes at once, and with it this end of the pipe.
    let mut child = namespace::command(&job.errand)?
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()
        .context("start inside a private network")?;
    let _alive = child.stdin.take();
    show(job.suite.name, reader)?;
    Ok(child.wait()?.success())
}

/// Each line with the name of its suite, until all who could write have ended.
fn show(name: &str, reader: PipeReader) -> Result<()> {
    for line in BufReader::new(reader).split(b'\n') {
        println!("{name}: {}", String::from_utf8_lossy(&line?));
    }
    Ok(())
}
