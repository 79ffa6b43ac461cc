//! `genkan extension`: what people want to know of GatewayExtensions, and do with them.

mod approve;
mod expect;
mod import;
mod objects;
mod plan;
mod trial;

use std::process::ExitCode;

use clap::Subcommand;
use genkan_compile::sentence::sentence;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a DataPower zip as ConfigMaps, and the GatewayExtension that reads them
    Import(import::Args),
    /// Say what the next revision of an extension would add, change and remove
    Plan(plan::Args),
    /// Send requests of a file through policies, and compare what becomes of them
    Test(trial::Args),
    /// Let the revision of an extension that waits for approval be rolled out
    Approve(approve::Args),
}

/// Runs what the command line asks for.
pub fn run(args: &Args) -> ExitCode {
    let done = match &args.command {
        Command::Import(args) => import::run(args).map(|()| ExitCode::SUCCESS),
        Command::Plan(args) => plan::run(args),
        Command::Test(args) => trial::run(args),
        Command::Approve(args) => approve::run(args).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        eprintln!("genkan: {}", sentence(error.as_ref()));
        ExitCode::from(2)
    })
}
