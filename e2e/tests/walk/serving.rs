//! What the copy serves.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use genkan_e2e::backend::Backend;
use genkan_e2e::http1::{self, Request};
use genkan_e2e::product::{Operator, Proxy, Source, local};
use genkan_e2e::programs::Programs;
use genkan_e2e::service::Service;
use genkan_e2e::wait;
use serde_json::Value;

const TEAPOTS: &str = "
apiVersion: extensions.kubesphere.io/v1alpha1
kind: Teapot
metadata: {name: kitchen, creationTimestamp: '2024-01-01T00:00:00Z'}
spec: {shelf: kitchen, service: {namespace: default, name: kettle, port: 80, scheme: http}}
---
apiVersion: extensions.kubesphere.io/v1alpha1
kind: Teapot
metadata: {name: broken}
spec: {shelf: broken, url: 'no url'}
---
apiVersion: extensions.kubesphere.io/v1alpha1
kind: ReverseProxy
metadata: {name: late, creationTimestamp: '2025-01-01T00:00:00Z'}
spec: {matcher: {path: /proxy/teapots/kitchen/*, method: '*'}, upstream: {url: 'http://127.0.0.1:1'}}
";

pub async fn serve(programs: &Programs) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let manifests = folder.path().join("manifests");
    let statuses = folder.path().join("statuses");
    std::fs::create_dir_all(&manifests)?;
    std::fs::create_dir_all(&statuses)?;
    let backend = Backend::start("kettle", local(0)).await?;
    let service = Service::new("default", "kettle", 80, &[backend.address]).manifest();
    std::fs::write(manifests.join("teapots.yaml"), format!("{service}---{TEAPOTS}"))?;
    let ports = ports()?;
    let operator = Operator::with(
        programs,
        folder.path(),
        &Source::Folder(manifests),
        (ports[0], ports[1]),
        &["--grpc-plaintext", "--status-dir", &statuses.to_string_lossy()],
    );
    operator.start().await?;
    let proxy = Proxy::new(
        programs,
        folder.path(),
        1,
        operator.grpc,
        (ports[2], ports[3]),
        &["--allow-upstream-cidr", "127.0.0.0/8"],
    );
    proxy.start().await?;

    let answer = http1::get(proxy.listen, "/proxy/teapots/kitchen/brew?cups=2").await?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    ensure!(
        answer.text().contains("/proxy/teapots/kitchen/brew?cups=2"),
        "{}",
        answer.text()
    );
    let broken = http1::get(proxy.listen, "/proxy/teapots/broken/x").await?;
    ensure!(
        (broken.status, broken.header("x-genkan-reason")) == (503, Some("Invalid")),
        "{broken:?}"
    );
    // The step.
    let coffee = Request {
        headers: &[("x-brew", "coffee")],
        ..Request::get("/proxy/teapots/kitchen/brew")
    };
    let coffee = http1::send(proxy.listen, coffee).await?;
    ensure!(
        (coffee.status, coffee.header("x-genkan-reason")) == (418, Some("NoCoffee")),
        "{coffee:?}"
    );

    let condition = |object: &'static str, kind: &'static str| {
        let path = statuses.join(format!("{object}.json"));
        move || -> Result<(String, String)> {
            let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
            let status: Value = serde_json::from_str(&text)?;
            let conditions = status["conditions"].as_array().context("conditions")?;
            let found = conditions
                .iter()
                .find(|condition| condition["type"] == kind)
                .context(kind)?;
            let word = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
            Ok((word("status"), word("reason")))
        }
    };
    for (object, kind, status, reason) in [
        ("Teapot.kitchen", "Ready", "True", "Ready"),
        ("Teapot.broken", "Accepted", "False", "Invalid"),
        // Both ask for the same requests, whatever their kinds.
        ("ReverseProxy.late", "Accepted", "False", "Conflicted"),
    ] {
        let found = condition(object, kind);
        wait::until_true(
            &format!("{object} {kind}={status} {reason}"),
            Duration::from_secs(20),
            || {
                let is_so = found().is_ok_and(|found| found == (status.to_owned(), reason.to_owned()));
                async move { Ok(is_so) }
            },
        )
        .await?;
    }
    proxy.stop().await?;
    operator.stop().await
}

/// Four that are free.
fn ports() -> Result<Vec<u16>> {
    let held: Vec<_> = (0..4)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()?;
    Ok(held
        .iter()
        .map(|listener| listener.local_addr().map(|address| address.port()))
        .collect::<Result<_, _>>()?)
}
