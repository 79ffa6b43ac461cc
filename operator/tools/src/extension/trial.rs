//! `genkan extension test`: requests of a file, sent through the policies of an object.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use genkan_compile::index::Change;
use genkan_compile::object::Object;
use genkan_routing::access::{Attributes, Mode};
use genkan_routing::model::{ObjectKey, Published};
use serde::Deserialize;
use serde_json::Value;

use super::expect::Expected;
use super::objects;
use crate::explain::{self, BackendAnswer, Caller, Request, Reviewer, Settings, World};
use crate::source::Source;

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 every case passes, 1 one does not, 2 the file cannot be used")]
pub(super) struct Args {
    /// The file of the cases
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where other objects come from, such as extensions and their policies: kubernetes, or dir:PATH [default: nowhere]
    #[arg(long, env = "GENKAN_SOURCE", value_name = "SOURCE")]
    source: Option<Source>,
    /// Kubeconfig of the API server [default: the Pod's ServiceAccount, else ~/.kube/config]
    #[arg(long, env = "GENKAN_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

/// What the file holds.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Trial {
    /// A manifest, or `KIND NAME` of the source; a name alone is that of a ReverseProxy.
    object: Value,
    /// Further manifests, in the place of those of the source.
    #[serde(default)]
    manifests: Vec<Value>,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    name: String,
    request: Asked,
    /// What the backend says to it.
    answer: Option<Answer>,
    expect: Expected,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    #[serde(default = "get")]
    method: String,
    /// With the query.
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// A text, or what is written as JSON.
    body: Option<Value>,
    /// Who calls, as the access review knows it.
    user: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
}

/// The head of an answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Answer {
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

/// Everybody may: rights are no part of a trial.
#[derive(Debug)]
struct Everything;

/// Stands for a backend that is not among the objects.
const BACKEND: &str = "http://backend.example";

fn get() -> String {
    "GET".to_owned()
}

fn ok() -> u16 {
    200
}

impl Reviewer for Everything {
    fn allows(&self, _: &str, _: &[String], _: &Attributes<'_>) -> Result<bool> {
        Ok(true)
    }
}

/// # Errors
/// When the file or the objects cannot be read, or there is no such object.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let trial = read(&args.file)?;
    let (key, own) = trial.object()?;
    let mut changes = match &args.source {
        Some(source) => objects::of(source, args.kubeconfig.as_deref(), Some(&key))?,
        None => vec![Change::Remembered(BTreeMap::new())],
    };
    changes.extend(own.into_iter().map(|object| Change::Apply(Box::new(object))));
    changes.iter_mut().for_each(|change| lead_somewhere(change, &key));
    let world = World::new(changes);
    if world.verdict(&key).is_none() {
        bail!("there is no {}", key.title());
    }
    let mut passed = 0;
    for case in &trial.cases {
        let told = case.judge(&world)?;
        match told.as_slice() {
            [] => {
                passed += 1;
                println!("ok    {}", case.name);
            }
            all => println!("FAIL  {}: {}", case.name, all.join("; ")),
        }
    }
    println!("{passed} of {} cases pass", trial.cases.len());
    Ok(ExitCode::from(u8::from(passed < trial.cases.len())))
}

fn read(file: &Path) -> Result<Trial> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("{shown} cannot be read"))?;
    let trial: Trial = serde_yaml::from_str(&text).with_context(|| format!("{shown} is no file of cases"))?;
    if let Some(case) = trial.cases.iter().find(|case| !case.expect.is_said()) {
        bail!(
            "{shown}: {}: expect says neither status, nor reason, nor forward",
            case.name
        );
    }
    Ok(trial)
}

/// Whether a backend is there is no part of a trial, either.
fn lead_somewhere(change: &mut Change, key: &ObjectKey) {
    let all: Vec<&mut Object> = match change {
        Change::Reset(_, objects) => objects.iter_mut().collect(),
        Change::Apply(object) => vec![&mut **object],
        Change::Delete(..)
        | Change::Probed(..)
        | Change::Completed(..)
        | Change::Remembered(_)
        | Change::Refused { .. }
        | Change::Fetched(..) => return,
    };
    for object in all {
        let Object::Published(record) = object else {
            continue;
        };
        if record.key != *key {
            continue;
        }
        if let Ok(spec) = &mut record.spec
            && (spec.endpoint.service.is_some() || spec.endpoint.url.is_some())
        {
            let url = spec.endpoint.url.as_deref().unwrap_or_default();
            let after = url.split_once("://").map_or("", |(_, rest)| rest);
            let base = after.find('/').map_or("", |at| &after[at..]);
            spec.endpoint.url = Some(format!("{BACKEND}{base}"));
            spec.endpoint.service = None;
        }
    }
}

// === impl Trial ===

impl Trial {
    /// Which object it is about, and the manifests of the file.
    fn object(&self) -> Result<(ObjectKey, Vec<Object>)> {
        let mut own = Vec::new();
        for manifest in &self.manifests {
            own.extend(objects::read(manifest.clone()).map_err(|why| anyhow!("manifests: {why}"))?);
        }
        let key = match self.object.as_str() {
            Some(text) => {
                let (kind, name) = text.split_once(' ').unwrap_or(("ReverseProxy", text));
                let kind: Published = kind
                    .parse()
                    .map_err(|_| anyhow!("object: there is no kind {kind}"))?;
                match name.split_once('/') {
                    Some((namespace, name)) => ObjectKey {
                        kind,
                        namespace: namespace.to_owned(),
                        name: name.to_owned(),
                    },
                    None => ObjectKey::cluster(kind, name),
                }
            }
            None => {
                let object = objects::read(self.object.clone()).map_err(|why| anyhow!("object: {why}"))?;
                let Some(Object::Published(record)) = object else {
                    bail!("object: it is no ReverseProxy, APIService or Connector");
                };
                let key = record.key.clone();
                own.push(Object::Published(record));
                key
            }
        };
        Ok((key, own))
    }
}

// === impl Case ===

impl Case {
    /// What is otherwise than expected.
    fn judge(&self, world: &World) -> Result<Vec<String>> {
        let asked = &self.request;
        let headers = asked.headers.iter();
        let headers: Vec<String> = headers.map(|(name, value)| format!("{name}: {value}")).collect();
        let request = Request::new(&asked.method, &asked.path, &headers);
        let request = request.map_err(|why| anyhow!("{}: {why}", self.name))?;
        let body = asked.body.as_ref().map(|body| match body.as_str() {
            Some(text) => text.as_bytes().to_vec(),
            None => body.to_string().into_bytes(),
        });
        let request = match &body {
            Some(body) => request.with_body(body.clone()),
            None => request,
        };
        let request = match &self.answer {
            Some(answer) => {
                let headers = answer.headers.iter();
                let headers: Vec<String> = headers.map(|(name, value)| format!("{name}: {value}")).collect();
                let answer = BackendAnswer::new(answer.status, &headers);
                request.with_answer(answer.map_err(|why| anyhow!("{}: answer: {why}", self.name))?)
            }
            None => request,
        };
        let settings = Settings::default();
        let caller = asked.user.as_ref().map(|user| {
            Caller::new(
                user.clone(),
                asked.groups.clone(),
                Mode::Pattern,
                Box::new(Everything),
            )
        });
        let found = explain::explain(world, &settings, &request, caller.as_ref());
        let found = found.with_context(|| format!("{} cannot be judged", self.name))?;
        Ok(self.expect.differences(&found, body.as_deref()))
    }
}
