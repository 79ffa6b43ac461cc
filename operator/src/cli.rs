//! The command line of `genkan`.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use genkan_compile::sentence::sentence;
use genkan_tools::{connector, definitions, explain, extension, lint, local_proxy};
use tracing_subscriber::EnvFilter;

use crate::operator;

/// One front door for the APIs that extend a Kubernetes cluster.
#[derive(Debug, Parser)]
#[command(
    name = "genkan",
    version,
    propagate_version = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// What is logged, for example info or genkan_operator=debug
    #[arg(
        long,
        env = "GENKAN_LOG",
        default_value = "info",
        global = true,
        value_name = "FILTER"
    )]
    log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch objects, stream routes to the data plane, write statuses
    Operator(Box<operator::Args>),
    /// Judge manifests without a cluster
    Lint(lint::Args),
    /// Say what would become of a request
    Explain(explain::Args),
    /// Open a port of this machine that adds your credential to requests, as kubectl proxy does
    Proxy(local_proxy::Args),
    /// The same, and print the URL of a path for a browser
    Open(local_proxy::OpenArgs),
    /// Say what people want to know of Connectors
    Connector(connector::Args),
    /// Import, foretell, try and approve GatewayExtensions
    Extension(extension::Args),
    /// Print the CustomResourceDefinitions, or check what they would change
    Crds(definitions::Args),
    /// Print the version
    Version,
}

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Command::Operator(args) => run_operator(*args, &cli.log),
        Command::Lint(args) => lint::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Proxy(args) => local_proxy::run(args),
        Command::Open(args) => local_proxy::open(args),
        Command::Connector(args) => connector::run(&args),
        Command::Extension(args) => extension::run(&args),
        Command::Crds(args) => definitions::run(&args),
        Command::Version => {
            println!("genkan {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
    }
}

fn run_operator(args: operator::Args, filter: &str) -> ExitCode {
    let filter = match EnvFilter::try_new(filter) {
        Ok(filter) => filter,
        Err(e) => return fail(&format!("--log {filter:?}: {e}")),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Colours are for people, not for what collects logs.
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_target(false)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return fail(&format!("no threads can be started: {e}")),
    };
    match runtime.block_on(operator::run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => fail(&sentence(e.as_ref())),
    }
}

fn fail(sentence: &str) -> ExitCode {
    eprintln!("genkan: {sentence}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_flag_of_the_operator_has_help_in_one_line_and_an_environment_variable() {
        let command = Cli::command();
        command.clone().debug_assert();
        let operator = command.find_subcommand("operator").unwrap();
        for arg in operator
            .get_arguments()
            .filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"))
        {
            let help = arg
                .get_help()
                .unwrap_or_else(|| panic!("{} has no help", arg.get_id()))
                .to_string();
            assert!(!help.contains('\n') && help.len() < 110, "{help}");
            let name = format!("GENKAN_{}", arg.get_id().as_str().to_uppercase());
            assert_eq!(arg.get_env().and_then(|env| env.to_str()), Some(name.as_str()));
        }
    }
}
