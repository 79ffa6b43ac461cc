//! An operator on a folder of objects, and its only data plane.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use genkan_kit::reviewer::{About, Review, Reviewer, Verdict};
use serde_json::json;

use crate::counting::{Counted, Counts, Load};
use crate::http1;
use crate::process::{Launch, Process};
use crate::product::{self, Operator, Source};
use crate::programs::Programs;
use crate::wait;

/// A path of the first route.
pub const PATH: &str = "/proxy/svc00000/api/users/42";
const START: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub struct Installation {
    pub operator: Operator,
    pub port: u16,
    pub process: Process,
}

// === impl Installation ===

impl Installation {
    /// `routes` objects that all lead to the port `backend`. `under` is what starts the data plane, if its own program does
    /// not. `flags` say among other things how it authenticates. Returns when it serves every route.
    pub async fn start(
        programs: &Programs,
        folder: &Path,
        routes: usize,
        backend: u16,
        under: &[&str],
        flags: &[&str],
    ) -> Result<Self> {
        let (objects, state) = (folder.join("objects"), folder.join("state"));
        std::fs::create_dir_all(&objects)?;
        std::fs::create_dir_all(&state)?;
        std::fs::write(objects.join("routes.yaml"), manifests(routes, backend)?)?;
        let source = Source::Folder(objects);
        let operator = Operator::new(programs, folder, &source, free_port()?, free_port()?);
        operator.start().await?;
        let (port, admin) = (free_port()?, free_port()?);
        let program = programs.dataplane.display().to_string();
        let mut words = under.iter().copied().chain([program.as_str()]);
        let process = Launch::new("dataplane", words.next().unwrap_or_default())
            .args(words)
            .args(["--name", "bench"])
            .arg("--operator")
            .arg(format!("http://{}", operator.grpc))
            .arg("--listen")
            .arg(format!("127.0.0.1:{port}"))
            .arg("--admin-listen")
            .arg(format!("127.0.0.1:{admin}"))
            .arg("--state-dir")
            .arg(state.display().to_string())
            .args(["--allow-upstream-cidr", "127.0.0.0/8"])
            .args(flags.iter().copied())
            .start(folder)?;
        wait::until_true("the data plane serves every route", START, || async {
            Ok(
                product::config(product::local(admin)).await?.hash == operator.config().await?.hash
                    && http1::get(product::local(port), PATH).await?.status == 200,
            )
        })
        .await?;
        Ok(Self {
            operator,
            port,
            process,
        })
    }
}

/// Who calls in a run that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Nobody is asked.
    Anybody,
    /// A token of 1,000 bytes, which the data plane knows after its first request.
    Known,
}

/// Requests of a run of which only the start counts, and of one that is compared with it.
#[derive(Debug, Clone, Copy)]
pub struct Runs {
    pub short: usize,
    pub long: usize,
    pub connections: usize,
}

/// Every token is that of one user, who may do everything.
fn everybody_is_jane(review: Review) -> Verdict {
    Verdict::Status(match review.about {
        About::Token => json!({"authenticated": true, "user": {
            "username": "jane",
            "uid": "5d0c8f2e-0c55-4d9e-9f5d-2f6f1b8d1e11",
            "groups": ["staff", "system:authenticated"],
        }}),
        About::Access => json!({"allowed": true}),
    })
}

/// What a request costs a data plane with one worker and one route to the port `backend`, with an access line for each.
pub async fn count(
    programs: &Programs,
    folder: &Path,
    backend: u16,
    caller: Caller,
    runs: Runs,
) -> Result<Counts> {
    let reviewer = Reviewer::start(everybody_is_jane);
    let kubeconfig = folder.join("kubeconfig");
    std::fs::write(&kubeconfig, reviewer.kubeconfig())?;
    let kubeconfig = kubeconfig.display().to_string();
    let flags: &[&str] = match caller {
        Caller::Anybody => &["--authentication", "disabled"],
        Caller::Known => &["--authentication", "kubernetes", "--kubeconfig", &kubeconfig],
    };
    let flags = [&["--workers", "1", "--drain-delay", "0s"], flags].concat();
    let token = format!("Bearer {}", "t".repeat(1_000));
    let headers: &[(&str, &str)] = match caller {
        Caller::Anybody => &[],
        Caller::Known => &[("Authorization", &token)],
    };
    let connections = runs.connections;
    let load = Load {
        path: PATH,
        headers,
        connections,
    };
    let mut counts = Vec::new();
    for requests in [runs.short, runs.long] {
        let folder = folder.join(format!("{caller:?}-{requests}"));
        std::fs::create_dir_all(&folder)?;
        let (under, counted) = Counted::under(&folder, "genkan");
        let under: Vec<&str> = under.iter().map(String::as_str).collect();
        let mut genkan = Installation::start(programs, &folder, 1, backend, &under, &flags).await?;
        let all = counted
            .take(&mut genkan.process, genkan.port, requests, load)
            .await?;
        genkan.operator.stop().await?;
        counts.push((requests, all));
    }
    Ok(Counts::of_one(counts[0], counts[1]))
}

fn manifests(routes: usize, backend: u16) -> Result<String> {
    let mut text = String::new();
    for n in 0..routes {
        write!(
            text,
            "apiVersion: extensions.kubesphere.io/v1alpha1\nkind: ReverseProxy\nmetadata: {{name: svc{n:05}}}\n\
             spec: {{matcher: {{path: /proxy/svc{n:05}/*, method: '*'}}, upstream: {{url: 'http://127.0.0.1:{backend}'}}}}\n---\n"
        )?;
    }
    Ok(text)
}

/// A port of this machine that nobody listens on.
pub fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
