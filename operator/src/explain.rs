//! `genkan explain`: what would become of a request, answered by the code that would serve it.

mod candidates;
mod print;
mod request;
mod sending;
mod verdict;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use serde::Serialize;

use crate::lint::Output;
use crate::source::Source;

pub use candidates::Candidate;
pub use print::text;
pub use request::Request;
pub use sending::{Forward, Peer};
pub use verdict::Outcome;
pub use world::World;

/// The question.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 a backend gets it or genkan answers, 1 genkan refuses it, 2 the question cannot be answered"
)]
pub struct Args {
    /// Method of the request
    #[arg(value_name = "METHOD")]
    method: String,
    /// URL of the request, or its path and query alone
    #[arg(value_name = "URL")]
    url: String,
    /// A header of the request, as often as there are headers
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Where objects come from: kubernetes, or dir:PATH
    #[arg(
        long,
        env = "GENKAN_SOURCE",
        default_value = "kubernetes",
        value_name = "SOURCE"
    )]
    source: Source,
    /// Kubeconfig of the API server [default: the Pod's ServiceAccount, else ~/.kube/config]
    #[arg(long, env = "GENKAN_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// How the answer is printed
    #[arg(
        long,
        short,
        env = "GENKAN_OUTPUT",
        value_enum,
        default_value = "text",
        value_name = "FORMAT"
    )]
    output: Output,
}

/// The whole answer.
#[derive(Debug, Serialize)]
pub struct Explanation {
    pub method: String,
    /// As it was asked.
    pub target: String,
    /// In the form that everything is compared in; absent if it is refused.
    pub path: Option<String>,
    /// Objects that match, or would but for one thing; the winner first.
    pub candidates: Vec<Candidate>,
    pub outcome: Outcome,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    match answer(args) {
        Ok(explanation) => {
            match args.output {
                Output::Text => print!("{}", text(&explanation)),
                Output::Json => println!("{}", serde_json::json!(explanation)),
            }
            ExitCode::from(u8::from(explanation.outcome.is_refused()))
        }
        Err(error) => {
            eprintln!("genkan: {}", crate::cli::sentence(&error));
            ExitCode::from(2)
        }
    }
}

/// Says what would become of a request.
pub fn explain(world: &World, request: &Request) -> Explanation {
    let judged = verdict::judge(world, request);
    Explanation {
        method: request.method.clone(),
        target: String::from_utf8_lossy(&request.target).into_owned(),
        path: judged.path,
        candidates: judged.candidates,
        outcome: judged.outcome,
    }
}

fn answer(args: &Args) -> Result<Explanation> {
    let request = Request::new(&args.method, &args.url, &args.headers).map_err(|e| anyhow!(e))?;
    let world = match &args.source {
        Source::Directory(path) => {
            let (world, problems) = World::from_directory(path)?;
            for problem in problems {
                eprintln!("genkan: {problem}");
            }
            world
        }
        Source::Kubernetes => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("no thread can be started")?
            .block_on(World::from_kubernetes(args.kubeconfig.as_deref()))?,
    };
    Ok(explain(&world, &request))
}
