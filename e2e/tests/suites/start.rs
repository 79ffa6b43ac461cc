//! Bad input at start: one clear sentence, and the right exit code or another attempt.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use genkan_e2e::http1;
use genkan_e2e::process::{Launch, Process};
use genkan_e2e::product::{self, local};
use genkan_e2e::scenarios;
use genkan_e2e::suite::{Stage, Suite};
use genkan_e2e::wait;
use genkan_e2e::world::{RBAC, World};

pub fn suite() -> Suite {
    Suite {
        name: "start",
        stage: Stage::Programs,
        apart: false,
        scenarios: scenarios!(
            together: [
                a_kubeconfig_that_is_not_there_ends_the_operator,
                a_port_in_use_ends_the_operator,
                a_stream_that_others_could_read_is_refused,
                a_file_that_cannot_be_read_as_yaml_leaves_the_others_alone,
                a_port_in_use_ends_the_data_plane,
                callers_cannot_be_judged_without_an_api_server,
                an_open_door_has_to_be_asked_for,
            ],
            alone: [
                definitions_of_others_are_compared_and_replaced,
                a_missing_definition_is_waited_for,
                an_api_server_that_is_away_is_tried_again,
            ],
        ),
    }
}

/// An operator on free ports, with these further arguments.
fn operator(world: &World, arguments: &[&str]) -> Launch {
    Launch::new("operator", &world.programs().genkan)
        .arg("operator")
        .args(arguments.iter().copied())
}

fn data_plane(world: &World, folder: &Path, arguments: &[&str]) -> Launch {
    Launch::new("dataplane", &world.programs().dataplane)
        .args(["--operator", "http://127.0.0.1:1", "--state-dir"])
        .arg(folder.join("state").display().to_string())
        .args(arguments.iter().copied())
}

/// The program ends with exit code 1, and says why in one line.
async fn refuses(launch: Launch, folder: &Path, name: &str, words: &[&str]) -> Result<()> {
    let mut process = launch.start(folder)?;
    let status = wait::until("it ends", Duration::from_secs(10), || {
        let ended = process.ended();
        async move { ended }
    })
    .await
    .with_context(|| process.output())?;
    let output = process.output();
    assert_eq!(status.code(), Some(1), "{output}");
    let said: Vec<_> = output
        .lines()
        .filter(|line| line.starts_with(&format!("{name}: ")))
        .collect();
    assert_eq!(said.len(), 1, "one sentence:\n{output}");
    for word in words {
        assert!(said[0].contains(word), "{word:?} is missing in: {}", said[0]);
    }
    Ok(())
}

async fn says(process: &mut Process, words: &[&str]) -> Result<()> {
    let what = format!("it says {words:?}");
    wait::until_true(&what, Duration::from_secs(10), || {
        let found = process.expect_running().map(|()| {
            process
                .output()
                .lines()
                .any(|line| words.iter().all(|word| line.contains(word)))
        });
        async move { found }
    })
    .await
    .with_context(|| process.output())
}

async fn is_ready(admin: u16) -> Result<bool> {
    Ok(http1::get(local(admin), "/readyz").await?.status == 200)
}

async fn a_kubeconfig_that_is_not_there_ends_the_operator(world: Arc<World>) -> Result<()> {
    let folder = world.folder("kubeconfig")?;
    let launch = operator(
        &world,
        &["--kubeconfig", "/nowhere/kubeconfig", "--grpc-plaintext"],
    );
    refuses(
        launch,
        &folder,
        "genkan",
        &["/nowhere/kubeconfig", "No such file"],
    )
    .await
}

async fn a_port_in_use_ends_the_operator(world: Arc<World>) -> Result<()> {
    let folder = world.folder("port")?;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let _held = tokio::net::TcpListener::bind(taken).await?;
    let source = format!("dir:{}", folder.display());
    let address = taken.to_string();
    let launch = operator(
        &world,
        &["--source", &source, "--grpc-listen", &address, "--grpc-plaintext"],
    );
    refuses(launch, &folder, "genkan", &[&address, "--grpc-listen"]).await
}

async fn a_stream_that_others_could_read_is_refused(world: Arc<World>) -> Result<()> {
    let folder = world.folder("plaintext")?;
    let source = format!("dir:{}", folder.display());
    let open = [
        "--source",
        &source,
        "--grpc-listen",
        "0.0.0.0:0",
        "--grpc-plaintext",
    ];
    refuses(
        operator(&world, &open),
        &folder,
        "genkan",
        &["0.0.0.0:0", "loopback"],
    )
    .await?;
    let silent = ["--source", &source, "--grpc-listen", "127.0.0.1:0"];
    refuses(
        operator(&world, &silent),
        &world.folder("plaintext")?,
        "genkan",
        &["--grpc-plaintext"],
    )
    .await
}

async fn a_file_that_cannot_be_read_as_yaml_leaves_the_others_alone(world: Arc<World>) -> Result<()> {
    let folder = world.folder("directory")?;
    let manifests = folder.join("manifests");
    std::fs::create_dir_all(&manifests)?;
    std::fs::write(manifests.join("good.yaml"), genkan_e2e::seeds::EMPLOYEE)?;
    std::fs::write(manifests.join("bad.yaml"), "kind: ReverseProxy\nspec: [\n")?;
    let source = format!("dir:{}", manifests.display());
    let addresses = [
        "--grpc-listen",
        "127.0.0.1:9310",
        "--grpc-plaintext",
        "--admin-listen",
        "127.0.0.1:9311",
    ];
    let arguments = [&["--source", &source], &addresses[..]].concat();
    let mut process = operator(&world, &arguments).start(&folder)?;
    says(&mut process, &["bad.yaml", "line 3"]).await?;
    says(&mut process, &["published", "resources=1"]).await?;
    wait::until_true("it is ready", Duration::from_secs(10), || is_ready(9311)).await?;
    let with_one = product::config(local(9311)).await?.hash;

    // Mended while it runs.
    std::fs::write(manifests.join("bad.yaml"), genkan_e2e::seeds::WEAVE_SCOPE)?;
    wait::until_true("the mended file is read", Duration::from_secs(10), || {
        let before = with_one.clone();
        async move { Ok(product::config(local(9311)).await?.hash != before) }
    })
    .await
}

async fn a_port_in_use_ends_the_data_plane(world: Arc<World>) -> Result<()> {
    let folder = world.folder("dataplane-port")?;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = taken.local_addr()?.to_string();
    let arguments = [
        "--listen",
        &address,
        "--admin-listen",
        "127.0.0.1:0",
        "--authentication",
        "disabled",
    ];
    refuses(
        data_plane(&world, &folder, &arguments),
        &folder,
        "genkan-dataplane",
        &[&address],
    )
    .await
}

async fn callers_cannot_be_judged_without_an_api_server(world: Arc<World>) -> Result<()> {
    let folder = world.folder("authentication")?;
    let arguments = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    refuses(
        data_plane(&world, &folder, &arguments),
        &folder,
        "genkan-dataplane",
        &["--kubeconfig", "--authentication disabled"],
    )
    .await
}

async fn an_open_door_has_to_be_asked_for(world: Arc<World>) -> Result<()> {
    let folder = world.folder("open")?;
    let arguments = [
        "--listen",
        "0.0.0.0:0",
        "--admin-listen",
        "127.0.0.1:0",
        "--authentication",
        "disabled",
    ];
    let words = ["--allow-unauthenticated"];
    refuses(
        data_plane(&world, &folder, &arguments),
        &folder,
        "genkan-dataplane",
        &words,
    )
    .await
}

/// As KubeSphere has them: no subresource, no columns, no rules, and a Helm release that they belong to.
fn theirs(kind: &str, plural: &str) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: {plural}.extensions.kubesphere.io
  annotations: {{meta.helm.sh/release-name: ks-core, meta.helm.sh/release-namespace: kubesphere-system}}
spec:
  group: extensions.kubesphere.io
  scope: Cluster
  names: {{kind: {kind}, listKind: {kind}List, plural: {plural}, singular: {}}}
  versions:
    - name: v1alpha1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            apiVersion: {{type: string}}
            kind: {{type: string}}
            metadata: {{type: object}}
            spec: {{type: object, x-kubernetes-preserve-unknown-fields: true}}
            status: {{type: object, properties: {{state: {{type: string}}}}}}
---
",
        kind.to_lowercase()
    )
}

const STORED: &str = r#"
apiVersion: extensions.kubesphere.io/v1alpha1
kind: ReverseProxy
metadata: {name: stored}
spec:
  matcher: {path: /proxy/stored/*, method: '*'}
  upstream: {url: "http://backend.example"}
status: {state: Available}
"#;

async fn definitions_of_others_are_compared_and_replaced(world: Arc<World>) -> Result<()> {
    let kubectl = world.kubectl();
    let check = || {
        let output = std::process::Command::new(&world.programs().genkan)
            .args(["crds", "check", "--kubeconfig"])
            .arg(world.control_plane.admin_kubeconfig())
            .output()?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        anyhow::Ok((output.status.code(), printed))
    };
    let (code, printed) = check()?;
    assert!(
        code == Some(0) && printed.contains("is not installed"),
        "{printed}"
    );

    let both = theirs("ReverseProxy", "reverseproxies") + &theirs("APIService", "apiservices");
    kubectl.apply(&both).await?;
    let established = [
        "wait",
        "--for=condition=Established",
        "crd",
        "--all",
        "--timeout=30s",
    ];
    kubectl.run(&established).await?;
    kubectl.apply(STORED).await?;
    let (code, printed) = check()?;
    for words in [
        "Helm release ks-core",
        "status becomes a subresource",
        "the 1 stored objects fit",
    ] {
        assert!(code == Some(0) && printed.contains(words), "{words}: {printed}");
    }
    let bad = STORED
        .replace("stored", "bad")
        .replace("backend.example", "backend.example?x=1");
    kubectl.apply(&bad).await?;
    let (code, printed) = check()?;
    assert!(
        code == Some(1) && printed.contains("ReverseProxy bad: spec.upstream.url: "),
        "{printed}"
    );

    let ours = genkan_crds::yaml();
    let replace = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    let replaced = kubectl.output(&replace, &ours).await?;
    assert!(replaced.success, "{}", replaced.stderr);
    let (_, printed) = check()?;
    let all = genkan_crds::all().len();
    assert_eq!(printed.matches("nothing would change").count(), all, "{printed}");
    // What is stored stays, and can be edited where it is not wrong.
    kubectl.run(&["label", "rp", "stored", "bad", "seen=yes"]).await?;
    assert_eq!(
        world.value("rp/stored", "{.spec.matcher.path}").await?,
        "/proxy/stored/*"
    );
    let refused = kubectl
        .output(
            &[
                "patch",
                "rp",
                "bad",
                "--type=merge",
                "-p",
                r#"{"spec":{"upstream":{"url":"http://x.example?y=2"}}}"#,
            ],
            "",
        )
        .await?;
    assert!(
        !refused.success && refused.stderr.contains("query"),
        "{}",
        refused.stderr
    );

    let names = [
        "reverseproxies.extensions.kubesphere.io",
        "apiservices.extensions.kubesphere.io",
    ];
    kubectl.run(&[&["delete", "crd"], &names[..]].concat()).await?;
    Ok(())
}

async fn a_missing_definition_is_waited_for(world: Arc<World>) -> Result<()> {
    let kubectl = world.kubectl();
    kubectl.apply(RBAC).await?;
    let kubeconfig = world
        .control_plane
        .service_account_kubeconfig("genkan-system", "genkan-operator")
        .await?;
    let kubeconfig = kubeconfig.display().to_string();
    let folder = world.folder("missing")?;
    let arguments = ["--kubeconfig", &kubeconfig, "--grpc-plaintext"];
    let mut process = operator(&world, &arguments).start(&folder)?;
    says(&mut process, &["does not know this kind", "ReverseProxy"]).await?;
    // It works without: a kind that is absent has no objects.
    wait::until_true("it is ready", Duration::from_secs(15), || is_ready(9301)).await?;
    let said = http1::get(local(9301), "/readyz").await?;
    let said = String::from_utf8_lossy(&said.body).into_owned();
    assert!(
        said.contains("\nReverseProxy: the API server does not know"),
        "{said}"
    );
    let empty = product::config(local(9301)).await?.hash;

    kubectl.apply(&genkan_crds::yaml()).await?;
    let established = [
        "wait",
        "--for=condition=Established",
        "crd",
        "--all",
        "--timeout=30s",
    ];
    kubectl.run(&established).await?;
    kubectl.apply(genkan_e2e::seeds::EMPLOYEE).await?;
    wait::until_true(
        "objects of the new kind are compiled",
        Duration::from_secs(15),
        || {
            let empty = empty.clone();
            async move { Ok(product::config(local(9301)).await?.hash != empty) }
        },
    )
    .await
    .with_context(|| process.tail(20))
}

/// Runs after the one before, so that definitions and rights are there.
async fn an_api_server_that_is_away_is_tried_again(world: Arc<World>) -> Result<()> {
    let kubectl = world.kubectl();
    kubectl.apply(RBAC).await?;
    kubectl.apply(&genkan_crds::yaml()).await?;
    let kubeconfig = world
        .control_plane
        .service_account_kubeconfig("genkan-system", "genkan-operator")
        .await?;
    let kubeconfig = kubeconfig.display().to_string();
    world.control_plane.kill_api_server();
    let folder = world.folder("away")?;
    let arguments = ["--kubeconfig", &kubeconfig, "--grpc-plaintext"];
    let mut process = operator(&world, &arguments).start(&folder)?;
    says(&mut process, &["trying again", "ReverseProxy"]).await?;
    assert!(!is_ready(9301).await?, "nothing is known yet");
    world.control_plane.start_api_server().await?;
    wait::until_true("it is ready", Duration::from_secs(40), || is_ready(9301))
        .await
        .with_context(|| process.tail(20))
}
