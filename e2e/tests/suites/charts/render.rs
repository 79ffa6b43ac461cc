//! What the charts render, without a cluster.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use genkan_e2e::helm::chart;
use genkan_e2e::world::World;
use serde_json::Value;

/// The version of a cluster that is not there.
const KUBERNETES: &str = "--kube-version=1.36.3";

pub fn values_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/suites/charts/values")
        .join(format!("{name}.yaml"))
}

/// `helm template` of the main chart.
pub async fn template(world: &World, arguments: &[&str]) -> Result<String> {
    let chart = chart("genkan");
    let chart = chart.to_string_lossy();
    let fixed = ["template", "genkan", &chart, "-n", "genkan-system", KUBERNETES];
    world.helm().run(&[&fixed, arguments].concat()).await
}

async fn refused(world: &World, arguments: &[&str]) -> Result<String> {
    match template(world, arguments).await {
        Ok(_) => anyhow::bail!("{arguments:?} was rendered, but was to be refused"),
        Err(error) => Ok(format!("{error:#}")),
    }
}

/// The objects of a render.
pub fn objects(rendered: &str) -> Result<Vec<Value>> {
    rendered
        .split("\n---\n")
        .map(|text| text.trim_start_matches("---\n"))
        .filter(|text| {
            text.lines()
                .any(|line| !line.is_empty() && !line.starts_with('#'))
        })
        .map(|text| serde_yaml::from_str(text).with_context(|| text.to_owned()))
        .collect()
}

pub async fn charts_have_the_version_of_the_programs(_: Arc<World>) -> Result<()> {
    for name in ["genkan", "genkan-crds"] {
        let text = std::fs::read_to_string(chart(name).join("Chart.yaml"))?;
        let says: Value = serde_yaml::from_str(&text)?;
        let version = env!("CARGO_PKG_VERSION");
        ensure!(
            says["version"] == version && says["appVersion"] == version,
            "{name}: {says}"
        );
    }
    Ok(())
}

pub async fn charts_have_nothing_that_lint_would_say(world: Arc<World>) -> Result<()> {
    for name in ["genkan", "genkan-crds"] {
        let folder = chart(name);
        let printed = world
            .helm()
            .output(&["lint", "--strict", &folder.to_string_lossy()])
            .await?;
        let said = format!("{}{}", printed.stdout, printed.stderr);
        ensure!(printed.success, "{said}");
        ensure!(!said.contains("[WARNING]") && !said.contains("[ERROR]"), "{said}");
    }
    Ok(())
}

/// Admission takes every other name for the policy of somebody, and asks for the right to use it.
pub async fn admission_knows_which_policies_are_built_in(_: Arc<World>) -> Result<()> {
    let template = std::fs::read_to_string(chart("genkan").join("templates/policies/_steps.tpl"))?;
    let built_in = template
        .lines()
        .find(|line| line.starts_with("[\"antivirus\""))
        .context("the list of built-in policies")?;
    let definitions: String = genkan_crds::all()
        .iter()
        .map(serde_json::to_string)
        .collect::<Result<_, _>>()?;
    let rule = serde_json::to_string(&format!("!(self in {built_in})"))?;
    ensure!(
        definitions.contains(&rule),
        "PolicyDefinitions may have other names than {built_in}"
    );
    Ok(())
}

pub async fn what_is_rendered_is_as_recorded(world: Arc<World>) -> Result<()> {
    for name in ["default", "full", "scaled", "bare"] {
        let file = values_file(name);
        let rendered = template(&world, &["-f", &file.to_string_lossy()]).await?;
        objects(&rendered)?;
        golden(&format!("{name}.yaml"), &rendered)?;
    }
    // Every other suite gives its programs these rights, and needs no helm for it.
    let only = [
        "--show-only=templates/operator/rights.yaml",
        "--show-only=templates/dataplane/rights.yaml",
    ];
    golden("rights.yaml", &template(&world, &only).await?)
}

fn golden(name: &str, rendered: &str) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden/charts")
        .join(name);
    if std::env::var_os("GENKAN_REWRITE").is_some() {
        std::fs::write(&path, rendered)?;
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    ensure!(
        wanted == rendered,
        "{} differs from what is rendered; make golden rewrites it",
        path.display()
    );
    Ok(())
}

pub async fn an_unknown_or_impossible_value_is_refused(world: Arc<World>) -> Result<()> {
    let cases = [
        ("nothing=1", "additional properties 'nothing' not allowed"),
        ("operator.replicas=2", "value must be 1"),
        (
            "dataplane.authentication=disabled",
            "additional properties 'authentication' not allowed",
        ),
        ("dataplane.accessReview=none", "'/dataplane/accessReview'"),
        (
            "dataplane.forwardAuthorization=sometimes",
            "'/dataplane/forwardAuthorization'",
        ),
        ("dataplane.staleIfError=forever", "'/dataplane/staleIfError'"),
        ("dataplane.stateMaxAge=forever", "'/dataplane/stateMaxAge'"),
        (
            "dataplane.upstreamReadTimeout=never",
            "'/dataplane/upstreamReadTimeout'",
        ),
        (
            "dataplane.tunnelIdleTimeout=never",
            "'/dataplane/tunnelIdleTimeout'",
        ),
        ("dataplane.drainDelaySeconds=-1", "'/dataplane/drainDelaySeconds'"),
        ("dataplane.replicas=0", "'/dataplane/replicas'"),
        (
            "dataplane.allowUpstreamCIDRs={all}",
            "'/dataplane/allowUpstreamCIDRs/0'",
        ),
        ("dataplane.service.port=65536", "'/dataplane/service/port'"),
        ("operator.image.digest=latest", "'/operator/image/digest'"),
        ("fullnameOverride=Genkan", "'/fullnameOverride'"),
        ("dataplane.service.port=0", "so nothing could be called"),
        (
            "extensions.revisionNamespace=genkan-system",
            "extensions.revisionNamespace is genkan-system, the namespace of the release",
        ),
        (
            "extensions.revisionNamespace=kube-system",
            "'/extensions/revisionNamespace'",
        ),
        ("extensions.revisionNamespace=", "'/extensions/revisionNamespace'"),
        (
            "extensions.secretNamespaces={shop,genkan-system}",
            "extensions.secretNamespaces has genkan-system, the namespace of the release",
        ),
        (
            "extensions.secretNamespaces={genkan-extensions}",
            "extensions.secretNamespaces has genkan-extensions, where revisions are",
        ),
        (
            "extensions.sourceNamespaces={Edge}",
            "'/extensions/sourceNamespaces/0'",
        ),
        (
            "extensions.secretNamespaces={shop,shop}",
            "'/extensions/secretNamespaces'",
        ),
        ("extensions.urlSources=yes", "'/extensions/urlSources'"),
        (
            "metrics.serviceMonitor.enabled=true,metrics.podMonitor.enabled=true",
            "choose one",
        ),
    ];
    for (set, wanted) in cases {
        let said = refused(&world, &["--set", set]).await?;
        ensure!(said.contains(wanted), "--set {set}: {said}");
    }
    let crds = chart("genkan-crds");
    let crds = crds.to_string_lossy();
    let printed = world
        .helm()
        .output(&["template", "crds", &crds, KUBERNETES, "--set", "keep=false"])
        .await?;
    ensure!(
        !printed.success
            && printed
                .stderr
                .contains("additional properties 'keep' not allowed"),
        "{}",
        printed.stderr
    );
    Ok(())
}

/// In every render: callers are authenticated, containers are confined, and no token is mounted that was not asked for.
pub async fn what_is_unsafe_cannot_be_asked_for(world: Arc<World>) -> Result<()> {
    for name in ["default", "full", "scaled", "bare"] {
        let file = values_file(name);
        let rendered = objects(&template(&world, &["-f", &file.to_string_lossy()]).await?)?;
        let deployments: Vec<_> = rendered
            .iter()
            .filter(|object| object["kind"] == "Deployment")
            .collect();
        ensure!(deployments.len() == 2, "{name}: not two Deployments");
        for deployment in deployments {
            let pod = &deployment["spec"]["template"]["spec"];
            let container = &pod["containers"][0];
            let args = container["args"].to_string();
            let confined = &container["securityContext"];
            ensure!(pod["automountServiceAccountToken"] == false, "{name}: {pod}");
            ensure!(pod["securityContext"]["runAsNonRoot"] == true, "{name}: {pod}");
            ensure!(
                confined["readOnlyRootFilesystem"] == true
                    && confined["allowPrivilegeEscalation"] == false
                    && confined["capabilities"]["drop"] == serde_json::json!(["ALL"]),
                "{name}: {confined}"
            );
            for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                ensure!(container[probe]["httpGet"].is_object(), "{name}: no {probe}");
            }
            ensure!(
                !args.contains("plaintext") && !args.contains("allow-unauthenticated"),
                "{name}: {args}"
            );
            if args.contains("--listen=") {
                ensure!(args.contains("--authentication=kubernetes"), "{name}: {args}");
            }
            let has_replicas = deployment["spec"].get("replicas").is_some();
            let scales = name == "scaled" && args.contains("--listen=");
            ensure!(has_replicas != scales, "{name}: replicas and an autoscaler");
        }
        let wildcard = rendered
            .iter()
            .filter(|object| object["kind"] == "ClusterRole" || object["kind"] == "Role")
            .flat_map(|role| role["rules"].as_array().cloned().unwrap_or_default())
            .find(|rule| {
                ["verbs", "resources", "apiGroups"]
                    .iter()
                    .any(|field| rule[field].to_string().contains("\"*\""))
            });
        ensure!(wildcard.is_none(), "{name}: a rule with a wildcard: {wildcard:?}");
    }
    Ok(())
}

pub async fn an_older_cluster_is_refused(world: Arc<World>) -> Result<()> {
    for name in ["genkan", "genkan-crds"] {
        let folder = chart(name);
        let folder = folder.to_string_lossy();
        let printed = world
            .helm()
            .output(&["template", "x", &folder, "--kube-version=1.32.9"])
            .await?;
        ensure!(
            !printed.success && printed.stderr.contains("requires kubeVersion: >=1.33.0-0"),
            "{name}: {}",
            printed.stderr
        );
    }
    Ok(())
}
