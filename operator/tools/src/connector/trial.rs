//! `genkan connector test`: what is wrong with a Connector, what its tool would be sent, and what it answers.

use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use genkan_compile::index::{Change, Probe};
use genkan_compile::object::{Object, flags};
use genkan_compile::verdict::{ToolCondition, Verdict as Judged};
use genkan_probe::{Answer, MOST_REDIRECTS, Plan, Verdict, join, origin, token};
use genkan_routing::connectors::Client as Holder;
use genkan_routing::model::{FeatureFlags, ObjectKey};
use ipnet::IpNet;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use zeroize::Zeroizing;

use super::client::Asked;
use crate::explain::{self, HIDDEN, Outcome, Request, Settings, World};
use crate::source::{Origin, Source};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 nothing is wrong as far as it was looked at, 1 something is, or cannot be read"
)]
pub(super) struct Args {
    /// The Connector
    #[arg(value_name = "NAMESPACE/NAME")]
    connector: String,
    /// Send its probes from here, with the credential, and say what comes of them
    #[arg(long)]
    send: bool,
    /// ConfigMap of the switches of Connectors, for an API server
    #[arg(
        long,
        env = "GENKAN_CONNECTORS_CONFIG",
        default_value = "genkan-system/connectors-config",
        value_name = "NAMESPACE/NAME"
    )]
    connectors_config: String,
    /// Addresses of tools that are allowed though they are loopback, link-local or the like, as at the data plane; repeatable [default: none]
    #[arg(
        long,
        env = "GENKAN_ALLOW_UPSTREAM_CIDR",
        value_name = "CIDR",
        value_delimiter = ','
    )]
    allow_upstream_cidr: Vec<IpNet>,
    #[command(flatten)]
    origin: Origin,
}

/// What is printed, and whether something is wrong.
#[derive(Debug, Default)]
struct Report {
    lines: Vec<String>,
    is_wrong: bool,
}

/// # Errors
/// When the objects cannot be read, or the Connector does not exist.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let Some((namespace, name)) = args.connector.split_once('/') else {
        bail!("{:?} is no Connector; write NAMESPACE/NAME", args.connector);
    };
    let key = ObjectKey::connector(namespace, name);
    let path = format!("/connectors/v1alpha1/{namespace}/{name}/path/");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("no thread can be started")?;
    let world = match &args.origin.source {
        Source::Directory(folder) => {
            let (world, problems) = World::from_directory(folder)?;
            problems.iter().for_each(|problem| eprintln!("genkan: {problem}"));
            world
        }
        Source::Kubernetes => runtime.block_on(async {
            let client = crate::cluster::client(args.origin.kubeconfig.as_deref()).await?;
            let switches = switches(&client, &args.connectors_config).await?;
            World::from_kubernetes(&client, path.as_bytes(), switches).await
        })?,
    };
    let verdict = world.verdict(&key);
    let verdict = verdict.ok_or_else(|| anyhow!("there is no Connector {namespace}/{name}"))?;
    let mut report = Report::default();
    report.state(&key, verdict);
    let settings = Settings {
        allow_upstream_cidr: args.allow_upstream_cidr.clone(),
        ..Settings::default()
    };
    report.request(&world, &settings, &path)?;
    for probe in Probe::OF_CONNECTOR {
        let Some(plan) = world.plan(&key, probe) else {
            continue;
        };
        report.question(probe, plan);
        if args.send {
            report.outcome(runtime.block_on(ask(plan)));
        } else {
            report
                .lines
                .push("  not sent; --send sends it from here".to_owned());
        }
    }
    report.lines.iter().for_each(|line| println!("{line}"));
    Ok(ExitCode::from(u8::from(report.is_wrong)))
}

/// The switches that are on; none where the ConfigMap is not there, or not for whoever asks.
async fn switches(client: &kube::Client, place: &str) -> Result<Vec<Change>> {
    let Some((namespace, name)) = place.split_once('/') else {
        bail!("--connectors-config {place:?} is no ConfigMap; write NAMESPACE/NAME");
    };
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let map = match api.get_opt(name).await {
        Ok(map) => map.unwrap_or_default(),
        Err(error) => {
            eprintln!("genkan: ConfigMap {place} cannot be read here, so all switches count as off: {error}");
            ConfigMap::default()
        }
    };
    let (on, _) = flags(&map, &FeatureFlags::default());
    Ok(vec![Change::Apply(Box::new(Object::Flags(on)))])
}

// === impl Report ===

impl Report {
    fn state(&mut self, key: &ObjectKey, verdict: &Judged) {
        self.lines
            .push(format!("Connector {}/{}", key.namespace, key.name));
        let accepted = &verdict.accepted;
        self.condition("Accepted", Some(accepted.ok), accepted.reason, &accepted.message);
        let said = verdict.tool.iter().flat_map(|tool| &tool.conditions);
        // What a probe decides is told below.
        let is_asked = |condition: &&ToolCondition| condition.is_true.is_some();
        for condition in said.filter(is_asked) {
            self.condition(
                condition.kind,
                condition.is_true,
                condition.reason,
                &condition.message,
            );
        }
    }

    fn condition(&mut self, kind: &str, is_true: Option<bool>, reason: &str, message: &str) {
        let word = if is_true == Some(true) { "True" } else { "False" };
        self.is_wrong |= is_true == Some(false);
        let why: Vec<&str> = [reason, message]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        let line = format!("  {kind:<20} {word:<5} {}", why.join(": "));
        self.lines.push(line.trim_end().to_owned());
    }

    fn request(&mut self, world: &World, settings: &Settings, path: &str) -> Result<()> {
        let bearer = "Authorization: Bearer token".to_owned();
        let request = Request::new("GET", path, &[bearer]).map_err(|problem| anyhow!(problem))?;
        let explained = explain::explain(world, settings, &request, None)?;
        self.lines.push(format!("GET {path} becomes"));
        match explained.outcome {
            Outcome::Forward(forward) => {
                let place = forward.peer.host.clone();
                let place = place.unwrap_or_else(|| forward.peer.endpoints.join(" or "));
                let (method, scheme, target) = (&forward.method, forward.peer.scheme, &forward.target);
                let names = forward.headers.iter().filter(|(_, value)| value == HIDDEN);
                let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
                let with = with(&names, "the credential in");
                self.lines
                    .push(format!("  {method} {scheme}://{place}{target}, {with}"));
            }
            Outcome::Refuse {
                code,
                reason,
                message,
            } => {
                self.is_wrong = true;
                self.lines.push(format!("  {code} {reason}: {message}"));
            }
            Outcome::Respond { code, step, .. } => {
                self.lines.push(format!("  {code}, by the policy {step}"));
            }
            Outcome::Redirect { .. } | Outcome::Discovery { .. } | Outcome::ServerOptions => {}
        }
        Ok(())
    }

    fn question(&mut self, probe: Probe, plan: &Plan) {
        let mut names: Vec<&str> = plan.headers.iter().map(|(name, _)| name.as_str()).collect();
        if plan.token.is_some() {
            names.push("Authorization");
        }
        let (method, url) = (&plan.method, shown(&plan.url));
        let with = with(&names, "with");
        self.lines.push(format!("{} probe", probe.word()));
        self.lines.push(format!("  {method} {url}, {with}"));
        if let Some(token) = &plan.token {
            let scopes = token.scopes.join(" ");
            let scopes = if scopes.is_empty() {
                scopes
            } else {
                format!(", for {scopes}")
            };
            self.lines
                .push(format!("  with a token of {}{scopes}", shown(&token.url)));
        }
    }

    fn outcome(&mut self, outcome: Result<(Answer, Verdict)>) {
        let line = match outcome {
            Ok((answer, Verdict::Good)) => format!("  {}, which is good", answer.status),
            Ok((answer, Verdict::Bad(problem))) => {
                self.is_wrong = true;
                format!("  {}, which is not good: {problem}", answer.status)
            }
            Err(error) => {
                self.is_wrong = true;
                format!(
                    "  no answer: {}",
                    genkan_compile::sentence::sentence(error.as_ref())
                )
            }
        };
        self.lines.push(line);
    }
}

fn with(names: &[&str], what: &str) -> String {
    match names {
        [] => "without a credential in a header".to_owned(),
        names => format!("{what} {}", names.join(", ")),
    }
}

/// A query may hold a credential.
fn shown(url: &str) -> String {
    match url.split_once('?') {
        Some((path, _)) => format!("{path}?..."),
        None => url.to_owned(),
    }
}

/// As a data plane asks, redirects and all.
async fn ask(plan: &Plan) -> Result<(Answer, Verdict)> {
    let mut headers = plan.headers.clone();
    if let Some(wanted) = &plan.token {
        let source = wanted.source();
        let client = Holder {
            id: wanted.client_id.as_bytes(),
            secret: wanted.client_secret.as_bytes(),
        };
        let granted = fetch(&source, client).await?;
        headers.push(("Authorization".to_owned(), format!("Bearer {}", granted.as_str())));
    }
    let mut url = plan.url.clone();
    for _ in 0..=MOST_REDIRECTS {
        let is_own = origin(&url) == origin(&plan.url);
        let asked = Asked {
            method: &plan.method,
            url: &url,
            headers: if is_own { headers.as_slice() } else { &[] },
            body: &[],
            authorities: plan.authorities.as_deref(),
            beside_roots: !plan.without_roots,
            skips_verification: plan.skips_verification,
        };
        let answer = asked.ask().await?;
        let next = answer.location().filter(|_| plan.follows_redirects);
        match next.map(|location| join(&url, location)) {
            None => {
                let verdict = plan.expected.judge(&answer);
                return Ok((answer, verdict));
            }
            Some(None) => bail!("it redirects to nowhere that could be asked"),
            Some(Some(next)) => url = next,
        }
    }
    bail!("it redirects more than {MOST_REDIRECTS} times")
}

async fn fetch(source: &genkan_routing::model::TokenSource, client: Holder<'_>) -> Result<Zeroizing<String>> {
    let mut in_body = false;
    loop {
        let request = token::Request::new(source, client, in_body);
        let asked = Asked {
            method: "POST",
            url: &source.url,
            headers: &request.headers,
            body: &request.body,
            authorities: source.authorities.as_deref(),
            beside_roots: false,
            skips_verification: false,
        };
        let answer = asked.ask().await;
        let answer = answer.with_context(|| token::refused(source, "it cannot be asked"))?;
        if !in_body && token::reads_body_alone(&answer) {
            in_body = true;
            continue;
        }
        let granted = token::granted(source, answer).map_err(|problem| anyhow!(problem))?;
        return Ok(granted.0);
    }
}
