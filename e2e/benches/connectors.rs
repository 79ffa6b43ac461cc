//! What Connectors cost; prints tables.
//!
//! `make bench` builds the programs as they are published and runs this on a real API server of its own.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use genkan_e2e::callers::{bind_to, token};
use genkan_e2e::http1::{Connection, Request};
use genkan_e2e::product::{Operator, Proxy, Source};
use genkan_e2e::publish::{apply, reverse_proxy};
use genkan_e2e::rogue::{Named, Rogue, connect_plain};
use genkan_e2e::scenarios;
use genkan_e2e::suite::{self, Stage, Suite};
use genkan_e2e::wait;
use genkan_e2e::world::{self, World};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, PostParams};
use serde_json::{Value, json};
use tokio::time::Instant;

#[path = "machine.rs"]
mod machine;

const NAMESPACE: &str = "default";
const CLASS: &str = "tools";
const MANY: usize = 1_000;
const AT_ONCE: usize = 16;
const ROUNDS: usize = 15;
const OF_A_ROUND: usize = 4_000;
/// A stream that says nothing for so long has said all.
const SILENCE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    suite::run(vec![Suite {
        name: "connectors",
        stage: Stage::Programs,
        apart: true,
        scenarios: scenarios!(together: [], alone: [added_time, crowd]),
    }])
}

/// An operator that sends Secrets, and a data plane that judges callers.
struct Installation {
    operator: Operator,
    proxy: Proxy,
}

impl Installation {
    async fn start(world: &World) -> Result<Self> {
        let folder = world.folder("connectors")?;
        world::install(world.kubectl(), world.programs()).await?;
        let kinds = [
            "crd/connectors.connectors.alauda.io",
            "crd/connectorclasses.connectors.alauda.io",
        ];
        let wanted = ["wait", "--for=condition=Established", "--timeout=30s"];
        world.kubectl().run(&[&wanted[..], &kinds].concat()).await?;
        let binding = [
            "create",
            "rolebinding",
            "genkan-connector-secrets",
            "--namespace=default",
            "--clusterrole=genkan-connector-secrets",
            "--serviceaccount=genkan-system:genkan-operator",
            "--dry-run=client",
            "--output=yaml",
        ];
        let binding = world.kubectl().run(&binding).await?;
        world.kubectl().apply(&binding).await?;
        let rights = |account| {
            world
                .control_plane
                .service_account_kubeconfig("genkan-system", account)
        };
        let operator = Operator::with(
            world.programs(),
            &folder,
            &Source::Kubernetes(rights("genkan-operator").await?),
            (9300, 9301),
            &["--grpc-plaintext", "--grpc-plaintext-secrets"],
        );
        let kubeconfig = rights("genkan-dataplane").await?.display().to_string();
        let proxy = Proxy::new(
            world.programs(),
            &folder,
            1,
            operator.grpc,
            (8001, 9401),
            &[
                "--authentication",
                "kubernetes",
                "--kubeconfig",
                &kubeconfig,
                "--allow-upstream-cidr",
                "10.99.0.0/16",
            ],
        );
        operator.start().await?;
        proxy.start().await?;
        Ok(Self { operator, proxy })
    }

    async fn in_step(&self) -> Result<()> {
        let limit = Duration::from_secs(60);
        wait::until_true("the data plane serves what was compiled", limit, || async {
            Ok(self.proxy.config().await?.hash == self.operator.config().await?.hash)
        })
        .await
    }

    async fn stop(self) -> Result<()> {
        self.proxy.stop().await?;
        self.operator.stop().await?;
        Ok(())
    }
}

fn connectors(client: &Client) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), NAMESPACE, &resource("Connector", "connectors"))
}

fn resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: "connectors.alauda.io".into(),
        version: "v1alpha1".into(),
        api_version: "connectors.alauda.io/v1alpha1".into(),
        kind: kind.into(),
        plural: plural.into(),
    }
}

async fn create(api: &Api<DynamicObject>, objects: impl Iterator<Item = Value>) -> Result<()> {
    let objects: Vec<DynamicObject> = objects.map(serde_json::from_value).collect::<Result<_, _>>()?;
    let params = PostParams::default();
    futures::stream::iter(objects)
        .map(|object| {
            let params = &params;
            async move { api.create(params, &object).await }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?;
    Ok(())
}

/// The class, with a probe; its description declares so many paths.
fn class(paths: usize) -> Value {
    let paths: serde_json::Map<String, Value> = (0..paths)
        .map(|n| (format!("/api/v4/projects/{{id}}/thing-{n}"), json!({"get": {}})))
        .collect();
    json!({
        "apiVersion": "connectors.alauda.io/v1alpha1", "kind": "ConnectorClass", "metadata": {"name": CLASS},
        "spec": {
            "address": {"name": "address"},
            "auth": {"types": [{"name": "basic", "secretType": "kubernetes.io/basic-auth"}]},
            "livenessProbe": {"http": {"path": "/"}},
            "api": {"openapi": {"openapi": "3.0.1", "paths": paths}},
            "proxy": {"ref": {"name": "connectors-proxy-service", "namespace": "connectors-system"}},
        },
    })
}

async fn install_class(client: &Client, paths: usize) -> Result<()> {
    let api: Api<DynamicObject> =
        Api::all_with(client.clone(), &resource("ConnectorClass", "connectorclasses"));
    let object: DynamicObject = serde_json::from_value(class(paths))?;
    let params = kube::api::PatchParams::apply("e2e").force();
    api.patch(CLASS, &params, &kube::api::Patch::Apply(&object))
        .await?;
    Ok(())
}

fn secret(n: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("tool-{n}")}, "type": "kubernetes.io/basic-auth",
        "stringData": {"username": "robot", "password": format!("password-{n}")},
    })
}

fn connector(n: usize, address: SocketAddr) -> Value {
    json!({
        "apiVersion": "connectors.alauda.io/v1alpha1", "kind": "Connector", "metadata": {"name": format!("tool-{n}")},
        "spec": {
            "connectorClassName": CLASS, "address": format!("http://{address}"),
            "auth": {"name": "basic", "secretRef": {"name": format!("tool-{n}")}},
        },
    })
}

fn is_ready(object: &DynamicObject) -> bool {
    let conditions = object.data["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    conditions
        .clone()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

async fn install_secrets(client: &Client, numbers: std::ops::Range<usize>) -> Result<()> {
    let secrets = ApiResource {
        group: String::new(),
        version: "v1".into(),
        api_version: "v1".into(),
        kind: "Secret".into(),
        plural: "secrets".into(),
    };
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), NAMESPACE, &secrets);
    create(&api, numbers.map(secret)).await
}

/// A thousand Connectors of one class, each with a Secret of its own, and an edit of their class.
async fn crowd(world: Arc<World>) -> Result<()> {
    let client = world.control_plane.client();
    let genkan = Installation::start(&world).await?;
    let tool = world.backend("crowd", 80).await?;
    install_class(&client, 200).await?;
    let resident = || {
        let proxy = genkan.proxy.resident().context("the data plane has gone")?;
        let operator = genkan.operator.resident().context("the operator has gone")?;
        anyhow::Ok((proxy, operator))
    };
    install_secrets(&client, 1..1 + MANY).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = resident()?;
    let (api, begin) = (connectors(&client), Instant::now());
    create(&api, (1..1 + MANY).map(|n| connector(n, tool.address))).await?;
    let (created, last) = (begin.elapsed(), Instant::now());
    loop {
        let all = api.list(&ListParams::default()).await?;
        let ready = all.items.iter().filter(|object| is_ready(object)).count();
        if ready >= MANY {
            break;
        }
        ensure!(
            last.elapsed() < Duration::from_secs(300),
            "{ready} of {MANY} are Ready"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let ready = last.elapsed();
    genkan.in_step().await?;
    let after = resident()?;
    let channel = connect_plain(genkan.operator.grpc).await?;
    let named = Named {
        name: "counting",
        instance: "1",
    };
    let mut stream = Rogue::open(&channel, None, named).await?;
    let (_, whole) = stream.received(SILENCE).await?;
    install_class(&client, 201).await?;
    let (keys, edit) = stream.received(SILENCE).await?;
    drop(stream);
    println!(
        "{}\n{MANY} Connectors of one class with 200 paths, a Secret and a probe each\n\
         created in s                         | {:.1}\n\
         all Ready after the last, s          | {:.1}\n\
         everything on the stream, bytes      | {whole}\n\
         an edit of the class, bytes          | {edit} ({} resource)\n\
         data plane, MiB before and after     | {:.1} {:.1}\n\
         operator, MiB before and after       | {:.1} {:.1}\n",
        machine::describe(),
        created.as_secs_f64(),
        ready.as_secs_f64(),
        keys.len(),
        before.0 as f64 / 1024.0,
        after.0 as f64 / 1024.0,
        before.1 as f64 / 1024.0,
        after.1 as f64 / 1024.0,
    );
    genkan.stop().await
}

/// The same tool through a ReverseProxy and through a Connector, by one caller, in turn.
async fn added_time(world: Arc<World>) -> Result<()> {
    let client = world.control_plane.client();
    let genkan = Installation::start(&world).await?;
    let tool = world.backend("beside", 80).await?;
    apply(
        &client,
        &reverse_proxy("beside", "/proxy/beside", &tool.address.to_string(), json!({})),
    )
    .await?;
    install_class(&client, 200).await?;
    install_secrets(&client, 0..1).await?;
    create(&connectors(&client), std::iter::once(connector(0, tool.address))).await?;
    let bearer = format!("Bearer {}", token(&client, "beside").await?);
    let subject = json!({"kind": "ServiceAccount", "name": "beside", "namespace": "default"});
    for (name, rule) in [
        ("beside", "{nonResourceURLs: ['/proxy/beside/*'], verbs: [get]}"),
        (
            "beside-tool",
            "{apiGroups: [connectors.alauda.io], resources: [connectors], verbs: [get]}",
        ),
    ] {
        bind_to(world.kubectl(), name, rule, &subject).await?;
    }
    let proxy = &genkan.proxy;
    genkan.in_step().await?;
    let targets = [
        "/proxy/beside/api/v4/projects/1/thing-7",
        "/connectors/v1alpha1/default/tool-0/path/api/v4/projects/1/thing-7",
    ];
    for target in targets {
        let began = Instant::now();
        while round(proxy, target, &bearer, 1).await.is_err() {
            ensure!(
                began.elapsed() < Duration::from_secs(30),
                "{target} is not served"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    let mut measured: [Vec<(f64, f64)>; 2] = Default::default();
    for turn in 0..2 * ROUNDS {
        let which = (turn + turn / 2) % 2;
        measured[which].push(round(proxy, targets[which], &bearer, OF_A_ROUND).await?);
    }
    let mut table = String::from("through        | p50 µs | CPU µs a request | range\n");
    let mut medians = Vec::new();
    for (name, list) in ["a ReverseProxy", "a Connector"].iter().zip(&measured) {
        let sorted = |of: fn(&(f64, f64)) -> f64| {
            let mut list: Vec<f64> = list.iter().map(of).collect();
            list.sort_by(f64::total_cmp);
            list
        };
        let (times, cpu) = (sorted(|pair| pair.0), sorted(|pair| pair.1));
        medians.push((times[ROUNDS / 2], cpu[ROUNDS / 2]));
        table += &format!(
            "{name:14} | {:6.1} | {:16.1} | {:.1}–{:.1}\n",
            times[ROUNDS / 2],
            cpu[ROUNDS / 2],
            cpu[0],
            cpu[ROUNDS - 1]
        );
    }
    println!(
        "{}\n{ROUNDS} rounds of {OF_A_ROUND} requests each, in turn, on one connection\n{table}\
         CPU of a Connector beside a ReverseProxy: {:.2}\n",
        machine::describe(),
        medians[1].1 / medians[0].1,
    );
    genkan.stop().await
}

/// Median time and CPU of a request, in microseconds.
async fn round(proxy: &Proxy, target: &str, bearer: &str, count: usize) -> Result<(f64, f64)> {
    let headers = [("Authorization", bearer)];
    let mut connection = Connection::open(proxy.listen).await?;
    let before = proxy.cpu().context("the data plane has gone")?;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begin = Instant::now();
        let request = Request {
            headers: &headers,
            ..Request::get(target)
        };
        let answer = connection.send(request).await?;
        times.push(begin.elapsed());
        ensure!(answer.status == 200, "{target} is answered {}", answer.status);
        if !connection.is_reusable() {
            connection = Connection::open(proxy.listen).await?;
        }
    }
    let spent = proxy.cpu().context("the data plane has gone")? - before;
    times.sort();
    let median = times[times.len() / 2];
    Ok((
        median.as_secs_f64() * 1e6,
        spent.as_secs_f64() * 1e6 / count as f64,
    ))
}
