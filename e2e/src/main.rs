//! `genkan-e2e run`: a real control plane with genkan beside it, to try things on.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use genkan_e2e::programs::Prepared;
use genkan_e2e::run::{self, Authentication, Wish};

#[derive(Debug, Parser)]
#[command(about = "Runs genkan on a real Kubernetes control plane", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build everything that the other commands need
    Prepare,
    /// Start the control plane, the operator, two data planes and a sample backend; Ctrl-C ends them
    Run {
        /// Use the cluster of this kubeconfig instead, after asking
        #[arg(long)]
        kubeconfig: Option<PathBuf>,
        /// Folder for kubeconfig and logs
        #[arg(long, default_value = ".genkan")]
        folder: PathBuf,
        /// Read manifests from a folder instead of a control plane
        #[arg(long)]
        directory: bool,
        /// Whether the data planes ask who calls, and what they may; only on the control plane that is started here
        #[arg(long, value_enum, default_value = "disabled")]
        authentication: Authentication,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Prepare => Prepared::make(true).map(|_| ()),
        Command::Run {
            kubeconfig,
            folder,
            directory,
            authentication,
        } => {
            let kubeconfig = kubeconfig.filter(|path| !path.as_os_str().is_empty());
            run::run(Wish {
                kubeconfig,
                folder,
                directory,
                authentication,
            })
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
