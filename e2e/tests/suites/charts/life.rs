//! The life of a release: installed, upgraded, rolled back, removed; and what it starts, at work.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use genkan_e2e::helm::{NAMESPACE, chart};
use genkan_e2e::http1::{self, Answer, Request};
use genkan_e2e::pki::Authority;
use genkan_e2e::pod::{Machine, Running};
use genkan_e2e::service::Service;
use genkan_e2e::wait;
use genkan_e2e::world::World;

const LIMIT: Duration = Duration::from_secs(60);

const OPERATOR: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 38);
const DATA_PLANES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 99, 0, 39), Ipv4Addr::new(10, 99, 0, 40)];

/// Every object of the cluster but Events: `kind namespace/name`.
async fn everything(world: &World) -> Result<BTreeSet<String>> {
    let kubectl = world.kubectl();
    let kinds = kubectl
        .run(&["api-resources", "--verbs=list", "-o", "name"])
        .await?;
    let kinds: Vec<&str> = kinds
        .lines()
        .filter(|kind| !kind.starts_with("events") && !kind.starts_with("componentstatuses"))
        .collect();
    let columns = "jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name}{\"\\n\"}{end}";
    let all = kubectl
        .run(&["get", &kinds.join(","), "-A", "-o", columns])
        .await?;
    Ok(all.lines().map(str::to_owned).collect())
}

async fn argument(world: &World, flag: &str) -> Result<String> {
    let args = world
        .kubectl()
        .run(&[
            "get",
            "deployment/genkan-dataplane",
            "-n",
            NAMESPACE,
            "-o",
            "jsonpath={.spec.template.spec.containers[0].args}",
        ])
        .await?;
    let args: Vec<String> = serde_json::from_str(&args)?;
    args.into_iter()
        .find_map(|arg| arg.strip_prefix(flag).map(str::to_owned))
        .with_context(|| format!("no {flag}"))
}

pub async fn installed_upgraded_rolled_back_and_removed(world: Arc<World>) -> Result<()> {
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}}}\n");
    world.kubectl().apply(&namespace).await?;
    let account = "ServiceAccount genkan-system/default";
    wait::until_true("the namespace is set up", LIMIT, || async {
        Ok(everything(&world).await?.contains(account))
    })
    .await?;
    let before = everything(&world).await?;

    world.helm().install(world.kubectl(), &[]).await?;
    rights_are_what_they_were_meant_to_be(&world).await?;
    reviews_have_a_level_of_their_own(&world).await?;
    ensure!(argument(&world, "--access-review=").await? == "pattern");

    let folder = chart("genkan");
    let folder = folder.to_string_lossy();
    let upgrade = ["upgrade", "genkan", &folder, "-n", NAMESPACE, "--set"];
    let exact = "dataplane.accessReview=exact,dataplane.drainTimeoutSeconds=40";
    let notes = world.helm().run(&[&upgrade[..], &[exact]].concat()).await?;
    ensure!(notes.contains("kubectl get genkan"), "{notes}");
    ensure!(argument(&world, "--access-review=").await? == "exact");
    world
        .helm()
        .run(&["rollback", "genkan", "1", "-n", NAMESPACE])
        .await?;
    ensure!(argument(&world, "--access-review=").await? == "pattern");

    // What the operator would have made.
    for secret in ["genkan-stream", "genkan-stream-ca", "genkan-proxy-client"] {
        let call = [
            "create",
            "secret",
            "generic",
            secret,
            "-n",
            NAMESPACE,
            "--from-literal=a=b",
        ];
        world.kubectl().run(&call).await?;
    }
    world.helm().uninstall().await?;
    let definitions = [
        "CustomResourceDefinition /apiservices.extensions.kubesphere.io",
        "CustomResourceDefinition /connectorclasses.connectors.alauda.io",
        "CustomResourceDefinition /connectors.connectors.alauda.io",
        "CustomResourceDefinition /gatewayextensions.gateway.genkan.io",
        "CustomResourceDefinition /policydefinitions.gateway.genkan.io",
        "CustomResourceDefinition /resourceinterfaces.connectors.alauda.io",
        "CustomResourceDefinition /reverseproxies.extensions.kubesphere.io",
    ];
    let mut wanted = before;
    wanted.extend(definitions.map(str::to_owned));
    wait::until_true("only the definitions are left", LIMIT, || async {
        let left = everything(&world).await?;
        let more: Vec<_> = left.difference(&wanted).collect();
        ensure!(more.is_empty(), "left: {more:?}");
        let less: Vec<_> = wanted.difference(&left).collect();
        ensure!(less.is_empty(), "gone: {less:?}");
        Ok(true)
    })
    .await
}

/// Definitions that another program has made are taken over, and then are what the types say.
pub async fn definitions_of_others_are_adopted(world: Arc<World>) -> Result<()> {
    let other: String = genkan_crds::all()
        .iter()
        .map(|definition| {
            let mut definition = definition.clone();
            for version in &mut definition.spec.versions {
                version.additional_printer_columns = None;
            }
            serde_json::to_string(&definition).map(|text| format!("---\n{text}\n"))
        })
        .collect::<Result<_, _>>()?;
    let printed = world.kubectl().output(&["apply", "-f", "-"], &other).await?;
    ensure!(printed.success, "{}", printed.stderr);
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}}}\n");
    world.kubectl().apply(&namespace).await?;
    let folder = chart("genkan-crds");
    let folder = folder.to_string_lossy();
    let install = [
        "install",
        "genkan-crds",
        &folder,
        "-n",
        NAMESPACE,
        "--take-ownership",
    ];
    world
        .helm()
        .run(&[&install[..], &["--force-conflicts"]].concat())
        .await?;
    let columns = world
        .value(
            "crd/reverseproxies.extensions.kubesphere.io",
            "{.spec.versions[0].additionalPrinterColumns[*].name}",
        )
        .await?;
    ensure!(columns.starts_with("Path Method Upstream"), "{columns}");
    world
        .helm()
        .run(&["uninstall", "genkan-crds", "-n", NAMESPACE])
        .await?;
    world
        .value("crd/reverseproxies.extensions.kubesphere.io", "{.metadata.name}")
        .await?;
    Ok(())
}

/// Everything that a ServiceAccount may do beyond what everybody may: verbs, resources and names.
async fn rights(world: &World, account: &str, namespace: &str) -> Result<BTreeSet<String>> {
    let who = format!("--as=system:serviceaccount:{NAMESPACE}:{account}");
    let everybody = "--as=system:serviceaccount:default:default";
    let list = ["auth", "can-i", "--list", "--no-headers", "-n", namespace];
    let mine = world.kubectl().run(&[&list[..], &[&who]].concat()).await?;
    let all = world.kubectl().run(&[&list[..], &[everybody]].concat()).await?;
    let lines = |text: &str| -> BTreeSet<String> {
        text.lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    };
    Ok(lines(&mine).difference(&lines(&all)).cloned().collect())
}

async fn rights_are_what_they_were_meant_to_be(world: &World) -> Result<()> {
    let wanted = |list: &[&str]| {
        list.iter()
            .map(|line| (*line).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let reviews = wanted(&[
        "subjectaccessreviews.authorization.k8s.io [] [] [create]",
        "tokenreviews.authentication.k8s.io [] [] [create]",
    ]);
    for namespace in [NAMESPACE, "default", "kube-system"] {
        let found = rights(world, "genkan-dataplane", namespace).await?;
        ensure!(found == reviews, "the data plane may {found:#?} in {namespace}");
    }
    let everywhere = wanted(&[
        "apiservices.extensions.kubesphere.io [] [] [get list watch]",
        "apiservices.extensions.kubesphere.io/status [] [] [patch]",
        "connectorclasses.connectors.alauda.io [] [] [get list watch]",
        "connectorclasses.connectors.alauda.io/status [] [] [patch]",
        "connectors.connectors.alauda.io [] [] [get list watch]",
        "connectors.connectors.alauda.io/status [] [] [patch]",
        "endpointslices.discovery.k8s.io [] [] [get list watch]",
        "events.events.k8s.io [] [] [create patch]",
        "gatewayextensions.gateway.genkan.io [] [] [get list watch]",
        "gatewayextensions.gateway.genkan.io/status [] [] [patch]",
        "policydefinitions.gateway.genkan.io [] [] [get list watch create update delete]",
        "policydefinitions.gateway.genkan.io/status [] [] [patch]",
        "reverseproxies.extensions.kubesphere.io [] [] [get list watch]",
        "reverseproxies.extensions.kubesphere.io/status [] [] [patch]",
        "services [] [] [get list watch]",
        "tokenreviews.authentication.k8s.io [] [] [create]",
    ]);
    let found = rights(world, "genkan-operator", "default").await?;
    ensure!(found == everywhere, "the operator may {found:#?}");
    let at_home = rights(world, "genkan-operator", NAMESPACE).await?;
    let home = wanted(&[
        "configmaps [] [] [create]",
        "configmaps [] [connectors-config] [get list watch]",
        "configmaps [] [genkan-requestheader] [get update]",
        "configmaps [] [genkan-stream-ca] [get update]",
        "leases.coordination.k8s.io [] [] [create]",
        "leases.coordination.k8s.io [] [genkan-operator] [get update]",
        "poddisruptionbudgets.policy [] [] [get list watch]",
        "pods [] [] [get list watch]",
        "secrets [] [] [create]",
        "secrets [] [genkan-hash-key] [get update]",
        "secrets [] [genkan-proxy-client-ca] [get update]",
        "secrets [] [genkan-proxy-client] [get update]",
        "secrets [] [genkan-stream-ca] [get update]",
        "secrets [] [genkan-stream] [get update]",
    ]);
    let found: BTreeSet<_> = at_home.difference(&everywhere).cloned().collect();
    ensure!(found == home, "the operator may {found:#?} at home");
    let revisions = rights(world, "genkan-operator", "genkan-extensions").await?;
    let found: BTreeSet<_> = revisions.difference(&everywhere).cloned().collect();
    let wanted = wanted(&["secrets [] [] [get list watch create update delete]"]);
    ensure!(found == wanted, "the operator may {found:#?} where revisions are");
    Ok(())
}

/// The API server names the FlowSchema by which it has queued a request.
async fn reviews_have_a_level_of_their_own(world: &World) -> Result<()> {
    let schema = world
        .value("flowschema/genkan-reviews", "{.metadata.uid}")
        .await?;
    let kubeconfig = world
        .control_plane
        .service_account_kubeconfig(NAMESPACE, "genkan-dataplane")
        .await?;
    let kubectl = world.kubectl().with_kubeconfig(&kubeconfig);
    let review = r#"{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview",
        "spec":{"user":"somebody","nonResourceAttributes":{"path":"/proxy/x","verb":"get"}}}"#;
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    wait::until_true(
        "the review is queued by the chart's FlowSchema",
        LIMIT,
        || async {
            let printed = kubectl
                .output(&["create", "--raw", path, "-f", "-", "-v=8"], review)
                .await?;
            ensure!(printed.success, "{}", printed.stderr);
            Ok(printed.stderr.contains(&schema))
        },
    )
    .await
}

/// The Pods of the release, run as a kubelet would run them.
async fn start(world: &World) -> Result<(Running, Vec<Running>)> {
    let folder = world.folder("pods")?;
    let mut machine = Machine::new(
        world.control_plane.client(),
        world.control_plane.server(),
        &folder,
    )?;
    machine.names = vec![
        ("localhost".into(), Ipv4Addr::LOCALHOST),
        ("genkan-operator.genkan-system.svc".into(), OPERATOR),
    ];
    let of = |component: &str| format!("app.kubernetes.io/component={component}");
    let operators = machine.pods(NAMESPACE, &of("operator"), 1).await?;
    let operator = machine
        .run(&operators[0], &world.programs().genkan, OPERATOR)
        .await?;
    let pods = machine.pods(NAMESPACE, &of("dataplane"), 2).await?;
    let mut proxies = Vec::new();
    for (pod, address) in pods.iter().zip(DATA_PLANES) {
        proxies.push(machine.run(pod, &world.programs().dataplane, address).await?);
    }
    Ok((operator, proxies))
}

async fn call(proxy: SocketAddr, token: &str) -> Result<Answer> {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    let request = Request {
        headers: if token.is_empty() { &[] } else { &headers },
        ..Request::get("/proxy/installed/hello")
    };
    http1::send(proxy, request).await
}

pub async fn what_is_installed_answers_calls(world: Arc<World>) -> Result<()> {
    world.helm().install(world.kubectl(), &[]).await?;
    let (operator, proxies) = start(&world).await?;
    let backend = world.backend("installed", 8080).await?;
    let kubectl = world.kubectl();
    let service = Service::new("default", "installed", 80, &[backend.address]);
    kubectl.apply(&service.manifest()).await?;
    kubectl.apply(include_str!("installed.yaml")).await?;
    world.wait_for("rp/installed", "Ready").await?;
    let counted = world.value("rp/installed", "{.status.proxies}").await?;
    ensure!(counted == "2/2", "{counted} serve it");

    let token = |account: &'static str| async move {
        let call = ["create", "token", account, "-n", "default"];
        Ok::<_, anyhow::Error>(kubectl.run(&call).await?.trim().to_owned())
    };
    let (caller, stranger) = (token("caller").await?, token("stranger").await?);
    for proxy in &proxies {
        let proxy = proxy.at(8080);
        let anonymous = call(proxy, "").await?;
        ensure!(anonymous.status == 403, "{}", anonymous.text());
        let forged = call(proxy, "not.a.token").await?;
        ensure!(forged.status == 401, "{}", forged.text());
        let refused = call(proxy, &stranger).await?;
        ensure!(
            refused.status == 403 && refused.text().contains("system:serviceaccount:default:stranger"),
            "{}",
            refused.text()
        );
        let answer = call(proxy, &caller).await?;
        ensure!(answer.status == 200, "{}", answer.text());
        ensure!(!answer.text().contains(&caller), "the token reached the backend");
    }
    try_join_all(proxies.into_iter().map(Running::stop)).await?;
    operator.stop().await?;
    kubectl.delete(include_str!("installed.yaml")).await?;
    world.helm().uninstall().await
}

/// In the form that cert-manager writes.
pub async fn a_secret_that_was_given_secures_the_stream(world: Arc<World>) -> Result<()> {
    let kubectl = world.kubectl();
    let folder = world.folder("given")?;
    let authority = Authority::new(&folder, "ca")?;
    let pair = authority.server("tls", &["genkan-operator.genkan-system.svc"])?;
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}}}\n");
    kubectl.apply(&namespace).await?;
    let file = |key: &str, path: &std::path::Path| format!("--from-file={key}={}", path.display());
    let files = [
        file("tls.crt", &pair.certificate),
        file("tls.key", &pair.key),
        file("ca.crt", &authority.certificate),
    ];
    let create = ["create", "secret", "generic", "given", "-n", NAMESPACE];
    let create: Vec<&str> = create
        .into_iter()
        .chain(files.iter().map(String::as_str))
        .collect();
    kubectl.run(&create).await?;
    let set = ["--set", "stream.existingSecret=given"];
    world.helm().install(kubectl, &set).await?;
    let (operator, proxies) = start(&world).await?;
    let secrets = ["get", "secrets", "-n", NAMESPACE, "-o", "name"];
    let secrets = kubectl.run(&secrets).await?;
    ensure!(
        secrets.contains("secret/genkan-proxy-client") && !secrets.contains("secret/genkan-stream"),
        "{secrets}"
    );
    try_join_all(proxies.into_iter().map(Running::stop)).await?;
    operator.stop().await?;
    world.helm().uninstall().await?;
    // It is not the chart's to remove.
    kubectl
        .run(&["delete", "secret", "given", "-n", NAMESPACE])
        .await?;
    Ok(())
}
