use std::process::ExitCode;

use clap::Parser;
use genkan_dataplane::cli::Cli;
use genkan_dataplane::{log, process};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before anything else: whoever builds a TLS configuration first decides for the whole process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    match start(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("genkan-dataplane: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: &Cli) -> anyhow::Result<()> {
    cli.check()?;
    let guard = log::start(&cli.log)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = cli.workers {
        runtime.worker_threads(usize::from(workers));
    }
    let runtime = runtime.enable_all().thread_name("genkan").build()?;
    let outcome = runtime.block_on(process::run(cli, guard.lines()));
    runtime.shutdown_background();
    drop(guard);
    Ok(outcome?)
}
