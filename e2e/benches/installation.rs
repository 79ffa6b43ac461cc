//! An operator on a folder of objects, and its only data plane.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use genkan_e2e::http1;
use genkan_e2e::process::{Launch, Process};
use genkan_e2e::product::{self, Operator, Source};
use genkan_e2e::programs::Programs;
use genkan_e2e::wait;

pub const PATH: &str = "/proxy/svc00000/api/users/42";
const START: Duration = Duration::from_secs(120);

pub struct Installation {
    pub operator: Operator,
    pub port: u16,
    pub process: Process,
}

// === impl Installation ===

impl Installation {
    /// `routes` objects that all lead to the port `backend`. `under` is what starts the data plane: its first word a
    /// program. Returns when it serves every route.
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
        let process = Launch::new("dataplane", under[0])
            .args(under[1..].iter().copied())
            .arg(programs.dataplane.display().to_string())
            .args(["--name", "bench", "--authentication", "disabled"])
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

pub fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
