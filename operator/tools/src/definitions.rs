//! `genkan crds`: the CustomResourceDefinitions, and what installing them would change in a cluster.

mod compare;
mod stored;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client};

use genkan_compile::sentence::sentence;

pub use compare::{Change, Weight, compare};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what installing the definitions would change, and what becomes of stored objects
    #[command(
        after_help = "Exit codes: 0 they can be installed, 1 something would be lost or refused, 2 the cluster cannot be asked"
    )]
    Check(CheckArgs),
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// Kubeconfig of the API server [default: the Pod's ServiceAccount, else ~/.kube/config]
    #[arg(long, env = "GENKAN_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    let Some(Command::Check(args)) = &args.command else {
        print!("{}", genkan_crds::yaml());
        return ExitCode::SUCCESS;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no thread can be started");
    match runtime.and_then(|runtime| runtime.block_on(check(args))) {
        Ok(is_harmless) => ExitCode::from(u8::from(!is_harmless)),
        Err(error) => {
            eprintln!("genkan: {}", sentence(error.as_ref()));
            ExitCode::from(2)
        }
    }
}

/// Prints what would change; true if nothing is lost by it.
async fn check(args: &CheckArgs) -> Result<bool> {
    let client = crate::cluster::client(args.kubeconfig.as_deref()).await?;
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut is_harmless = true;
    for ours in genkan_crds::all() {
        let name = ours.metadata.name.clone().unwrap_or_default();
        let installed = api
            .get_opt(&name)
            .await
            .with_context(|| format!("the definition {name} cannot be read"))?;
        is_harmless &= report(&client, &name, installed.as_ref(), &ours).await?;
    }
    if is_harmless {
        println!("\nInstall with: genkan crds | kubectl apply --server-side --force-conflicts -f -");
    }
    Ok(is_harmless)
}

async fn report(
    client: &Client,
    name: &str,
    installed: Option<&CustomResourceDefinition>,
    ours: &CustomResourceDefinition,
) -> Result<bool> {
    let Some(installed) = installed else {
        println!("{name}: is not installed; it would be created");
        return Ok(true);
    };
    let changes = compare(installed, ours);
    let mut is_harmless = changes.iter().all(|change| change.weight != Weight::Loss);
    if changes.is_empty() {
        println!("{name}: is installed as it is here; nothing would change");
    } else {
        println!("{name}: would change");
    }
    for change in changes {
        println!("  {change}");
    }
    let objects = stored::list(client, installed).await?;
    let remarks = stored::judge(&objects);
    match (objects.len(), remarks.len()) {
        (0, _) => println!("  no object is stored"),
        (count, 0) => println!("  the {count} stored objects fit"),
        (count, _) => println!(
            "  of {count} stored objects these do not fit, and stay as they are until they are edited:"
        ),
    }
    is_harmless &= remarks.is_empty();
    for remark in remarks {
        println!("    {remark}");
    }
    Ok(is_harmless)
}
