//! `genkan explain`: what would become of a request, answered by the code that would serve it.

mod access;
mod arrived;
mod candidates;
mod destination;
pub(crate) mod fetch;
mod lines;
mod policies;
mod print;
mod request;
mod sending;
mod settings;
mod verdict;
mod world;

use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use genkan_compile::sentence::sentence;
use serde::Serialize;

use crate::lint::Output;
use crate::source::{Origin, Source};

pub use access::{ApiServer, Caller, Reviewer};
pub use candidates::Candidate;
pub use policies::{InPlace, Passed, PolicyStep};
pub use print::text;
pub use request::{BackendAnswer, Request};
pub(crate) use sending::HIDDEN;
pub use sending::{Forward, Peer};
pub use settings::{AccessReview, Authentication, ForwardAuthorization, FrontHeaders, Settings};
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
    /// Say also what the client gets of an answer of the backend with this status
    #[arg(long, value_name = "STATUS")]
    answer: Option<u16>,
    /// A header of that answer, as often as there are headers
    #[arg(long = "answer-header", value_name = "NAME: VALUE", requires = "answer")]
    answer_headers: Vec<String>,
    #[command(flatten)]
    origin: Origin,
    /// Ask also whether this user may send it, as --access-review of the data plane would [default: nobody is asked]
    #[arg(long = "as", value_name = "USER")]
    user: Option<String>,
    /// A group that the user is in, as often as there are groups
    #[arg(long = "as-group", value_name = "GROUP", requires = "user")]
    groups: Vec<String>,
    #[command(flatten)]
    settings: Settings,
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
    /// What policies do with requests of the object, with genkan's own steps between them; none where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyStep>,
    /// Whether bodies are looked at: `HeaderOnly`, `EarlyBody` or `ResponseBody`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<&'static str>,
    pub outcome: Outcome,
    /// What the client gets of the answer of the backend, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Passed>,
    /// What policies put into the head of the answer, whoever gives it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// What a hook for errors says in the place of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_place: Option<InPlace>,
    /// Why a policy could not be applied: the log has it, and clients are not told.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// A refusal comes as 200 with `grpc-status` and this message as `grpc-message`.
    pub as_grpc: bool,
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
            eprintln!("genkan: {}", sentence(error.as_ref()));
            ExitCode::from(2)
        }
    }
}

/// Says what would become of a request, sent by `caller` if there is one, at a data plane with these settings.
///
/// # Errors
/// When nobody can say what the caller may do.
pub fn explain(
    world: &World,
    settings: &Settings,
    request: &Request,
    caller: Option<&Caller>,
) -> Result<Explanation> {
    let judged = verdict::judge(world, settings, request, caller)?;
    Ok(Explanation {
        method: request.method.clone(),
        target: String::from_utf8_lossy(&request.target).into_owned(),
        path: judged.path,
        candidates: judged.candidates,
        policies: judged.policies,
        class: judged.class,
        as_grpc: judged.as_grpc && judged.outcome.is_refused(),
        answer: judged.answer,
        headers: judged.headers,
        in_place: judged.in_place,
        detail: judged.detail,
        outcome: judged.outcome,
    })
}

fn answer(args: &Args) -> Result<Explanation> {
    let mut request = Request::new(&args.method, &args.url, &args.headers).map_err(|e| anyhow!(e))?;
    if let Some(status) = args.answer {
        let answer = BackendAnswer::new(status, &args.answer_headers).map_err(|e| anyhow!(e))?;
        request = request.with_answer(answer);
    }
    args.settings.check()?;
    if args.user.is_some() && !args.settings.identifies() {
        bail!("--as is about a caller with a name, and with --authentication disabled nobody has one")
    }
    let (world, caller) = match &args.origin.source {
        Source::Directory(_) if args.user.is_some() => {
            bail!("--as asks an API server, and --source dir: has none; leave one of them out")
        }
        Source::Directory(path) => {
            let (world, problems) = World::from_directory(path)?;
            for problem in problems {
                eprintln!("genkan: {problem}");
            }
            (world, None)
        }
        Source::Kubernetes => from_kubernetes(args, &request)?,
    };
    explain(&world, &args.settings, &request, caller.as_ref())
}

fn from_kubernetes(args: &Args, request: &Request) -> Result<(World, Option<Caller>)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no thread can be started")?;
    let client = runtime.block_on(crate::cluster::client(args.origin.kubeconfig.as_deref()))?;
    let world = runtime.block_on(World::from_kubernetes(&client, &request.target, Vec::new()))?;
    let mode = args.settings.mode();
    let reviewer = Box::new(ApiServer { client, runtime });
    let caller = |user: &String| Caller::new(user.clone(), args.groups.clone(), mode, reviewer);
    Ok((world, args.user.as_ref().map(caller)))
}
