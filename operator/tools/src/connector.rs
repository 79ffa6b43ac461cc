//! `genkan connector`: what people want to know of Connectors and their classes.

mod client;
mod roles;
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
    /// Print a ClusterRole for the whole of a class, and one for each path that it declares
    Roles(roles::Args),
    /// Say what is wrong with a Connector, and what its tool would be sent; with --send also what it answers
    Test(trial::Args),
}

/// Runs what the command line asks for.
pub fn run(args: &Args) -> ExitCode {
    let done = match &args.command {
        Command::Roles(args) => roles::run(args).map(|()| ExitCode::SUCCESS),
        Command::Test(args) => trial::run(args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("genkan: {}", sentence(error.as_ref()));
        ExitCode::FAILURE
    })
}
