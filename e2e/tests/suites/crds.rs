//! What the API server refuses by itself, and what `kubectl` shows of the definitions.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::StreamExt;
use genkan_crds::definition::rules::{self, Rule};
use genkan_e2e::scenarios;
use genkan_e2e::suite::{Stage, Suite};
use genkan_e2e::wait;
use genkan_e2e::world::World;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use serde::Deserialize;
use serde_json::{Value, json};

/// A value that one rule accepts, and one that it refuses.
#[derive(Debug, Deserialize)]
struct Case {
    #[serde(default = "reverse_proxy")]
    kind: String,
    set: String,
    good: Value,
    bad: Value,
}

pub fn suite() -> Suite {
    Suite {
        name: "crds",
        stage: Stage::ApiServer,
        apart: false,
        scenarios: scenarios!(
            together: [
                the_definitions_install_without_a_warning,
                each_rule_accepts_and_refuses_in_the_words_recorded,
                lists_and_texts_have_limits,
                explain_tells_what_each_field_is_for,
                unknown_fields_are_refused,
                connector_kinds_keep_what_is_written,
                an_object_comes_back_as_it_was_applied,
                every_vector_is_accepted_or_refused_as_it_says,
                published_manifests_are_accepted_or_refused_as_lint_says,
            ],
            alone: [],
        ),
    }
}

async fn the_definitions_install_without_a_warning(world: Arc<World>) -> Result<()> {
    install(&world).await
}

async fn each_rule_accepts_and_refuses_in_the_words_recorded(world: Arc<World>) -> Result<()> {
    install(&world).await?;
    let cases: Vec<Case> = serde_yaml::from_str(include_str!("crds/cases.yaml"))?;
    let mut said = String::new();
    for (index, case) in cases.iter().enumerate() {
        let good = manifest(&case.kind, &format!("rule-{index}"), &case.set, &case.good);
        dry_run(&world, &good)
            .await?
            .map_err(|refusal| anyhow::anyhow!("{}: refused {}: {refusal}", case.set, case.good))?;
        let bad = manifest(&case.kind, &format!("rule-{index}"), &case.set, &case.bad);
        let refusal = dry_run(&world, &bad)
            .await?
            .err()
            .with_context(|| format!("{}: accepted {}", case.set, case.bad))?;
        said.push_str(&format!("{} = {}\n{}\n\n", case.set, case.bad, refusal.trim()));
    }
    for rule in all_rules() {
        assert!(
            said.contains(rule.message),
            "no case for the rule {:?}",
            rule.message
        );
    }
    golden("refusals.txt", &said)
}

async fn lists_and_texts_have_limits(world: Arc<World>) -> Result<()> {
    install(&world).await?;
    let long = |length| Value::String("a".repeat(length));
    let list = |item: Value, length| Value::Array(vec![item; length]);
    let header = |length: usize| Value::String(format!("A {}", "a".repeat(length - 2)));
    for (set, most, one_more) in [
        ("matcher.path", long(1024), long(1025)),
        ("matcher.method", long(32), long(33)),
        ("directives.method", long(32), long(33)),
        ("directives.stripPathPrefix", long(1024), long(1025)),
        ("directives.stripPathSuffix", long(1024), long(1025)),
        ("upstream.caBundle", long(256 << 10), long((256 << 10) + 1)),
        ("directives.headerUp", list(header(8192), 64), list(header(9), 65)),
        ("directives.headerDown", list(header(9), 1), list(header(8193), 1)),
        ("directives.rewrite", list(long(8192), 64), list(long(1), 65)),
        ("directives.replace", list(long(8192), 64), list(long(1), 65)),
        ("directives.pathRegexp", list(long(8192), 2), list(long(1), 65)),
    ] {
        is_the_most(&world, "ReverseProxy", set, &most, &one_more).await?;
    }
    let path = |length: usize| Value::String(format!("/{}", "a".repeat(length - 1)));
    let header = |length: usize| json!({"path": "/", "httpHeaders": [{"name": "A", "value": long(length)}]});
    let judged = |length: usize| json!({"path": "/", "response": {"cel": long(length)}});
    let generator = |length: usize| json!({"types": [{"name": "a", "generator": {"rego": long(length)}}]});
    let params = |length: usize| -> Value {
        let param = |index| json!({"name": format!("p{index}"), "value": ""});
        (0..length).map(param).collect()
    };
    let rego = 64 << 10;
    for (kind, set, most, one_more) in [
        (
            "Connector",
            "address",
            format!("https://h/{}", "a".repeat(2038)).into(),
            format!("https://h/{}", "a".repeat(2039)).into(),
        ),
        ("Connector", "params", params(32), params(33)),
        ("ConnectorClass", "auth", generator(rego), generator(rego + 1)),
        (
            "ConnectorClass",
            "proxy.authExtractor.rego",
            long(rego),
            long(rego + 1),
        ),
        ("ConnectorClass", "livenessProbe.http", judged(4096), judged(4097)),
        ("ConnectorClass", "livenessProbe.http", header(8192), header(8193)),
        (
            "ConnectorClass",
            "livenessProbe.http.path",
            path(8192),
            path(8193),
        ),
        ("ConnectorClass", "livenessProbe.api.path", path(8192), path(8193)),
    ] {
        is_the_most(&world, kind, set, &most, &one_more).await?;
    }
    Ok(())
}

async fn is_the_most(world: &World, kind: &str, set: &str, most: &Value, one_more: &Value) -> Result<()> {
    dry_run(world, &manifest(kind, "limits", set, most))
        .await?
        .map_err(|refusal| anyhow::anyhow!("{set}: refused what is allowed: {refusal:.500}"))?;
    let refusal = dry_run(world, &manifest(kind, "limits", set, one_more))
        .await?
        .err()
        .with_context(|| format!("{set}: accepted too much"))?;
    assert!(
        refusal.contains("Too long") || refusal.contains("Too many"),
        "{set}: {refusal:.500}"
    );
    Ok(())
}

async fn explain_tells_what_each_field_is_for(world: Arc<World>) -> Result<()> {
    install(&world).await?;
    let kubectl = world.kubectl();
    let mut printed = String::new();
    for what in [
        "rp.spec",
        "rp.spec.matcher",
        "rp.spec.upstream",
        "rp.spec.upstream.service",
        "rp.spec.directives",
        "xapi.spec",
        "connectorclass.spec",
        "connectorclass.spec.api",
        "connectorclass.spec.auth.types",
        "connectorclass.spec.authProbes.probe.http",
        "connectorclass.spec.proxy",
        "connector.spec",
        "connector.spec.auth",
    ] {
        // The API server publishes the schemas a moment after the definition is established.
        let text = wait::until(what, std::time::Duration::from_secs(20), || async {
            let said = kubectl.output(&["explain", what], "").await?;
            Ok(said.success.then_some(said.stdout))
        })
        .await?;
        printed.push_str(&text);
        printed.push('\n');
    }
    golden("explain.txt", &printed)
}

async fn unknown_fields_are_refused(world: Arc<World>) -> Result<()> {
    install(&world).await?;
    let body = manifest("APIService", "unknown", "nonResourceURLs", &json!([]));
    let refusal = dry_run(&world, &body).await?.err().context("accepted")?;
    assert!(
        refusal.contains(".spec.nonResourceURLs: field not declared in schema"),
        "{refusal}"
    );
    Ok(())
}

async fn an_object_comes_back_as_it_was_applied(world: Arc<World>) -> Result<()> {
    install(&world).await?;
    let applied = manifest(
        "ReverseProxy",
        "round-trip",
        "upstream",
        &json!({"service": {"namespace": "n", "name": "s"}}),
    );
    world.kubectl().apply(&applied).await?;
    let stored = world
        .kubectl()
        .run(&["get", "rp", "round-trip", "-o", "json"])
        .await?;
    let (stored, applied): (Value, Value) = (serde_json::from_str(&stored)?, serde_json::from_str(&applied)?);
    assert_eq!(stored["spec"], applied["spec"]);
    assert_eq!(stored["status"], Value::Null);
    let listed = world.kubectl().run(&["get", "genkan", "-A"]).await?;
    assert!(
        listed.contains("reverseproxy.extensions.kubesphere.io/round-trip"),
        "{listed}"
    );
    let header = world.kubectl().run(&["get", "rp"]).await?;
    let columns: Vec<&str> = header
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    assert_eq!(
        columns,
        [
            "NAME", "PATH", "METHOD", "UPSTREAM", "READY", "REASON", "PROXIES", "AGE"
        ]
    );
    Ok(())
}

/// Among them the class of the documentation, unchanged.
async fn connector_kinds_keep_what_is_written(world: Arc<World>) -> Result<()> {
    install(&world).await?;
    let kubectl = world.kubectl();
    for name in [
        "class-gitlab",
        "class-tickets",
        "connector-board",
        "resource-interface",
    ] {
        let path = root().join(format!("crds/testdata/connectors/{name}.yaml"));
        let manifest = std::fs::read_to_string(path)?;
        kubectl.apply(&manifest).await?;
        let applied: Value = serde_yaml::from_str(&manifest)?;
        let text = |field: &str| applied.pointer(field).and_then(Value::as_str).unwrap_or_default();
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        let stored = kubectl.run(&["get", kind, name, "-o", "json"]).await?;
        let stored: Value = serde_json::from_str(&stored)?;
        assert_eq!(stored["spec"], applied["spec"], "{kind} {name}");
    }
    for (category, kind) in [("alauda", "connectorclass"), ("genkan", "resourceinterface")] {
        let listed = kubectl.run(&["get", category, "-A"]).await?;
        let wanted = format!("{kind}.connectors.alauda.io/tickets");
        assert!(listed.contains(&wanted), "{listed}");
    }
    for (kind, columns) in [
        ("connectorclasses", "NAME READY REASON AGE"),
        ("connectors", "NAMESPACE NAME CLASS ADDRESS READY REASON AGE"),
        ("resourceinterfaces", "NAME AGE"),
    ] {
        let printed = kubectl.run(&["get", kind, "-A"]).await?;
        let header = printed.lines().next().unwrap_or_default();
        let words: Vec<&str> = header.split_whitespace().collect();
        assert_eq!(words.join(" "), columns);
    }
    Ok(())
}

async fn every_vector_is_accepted_or_refused_as_it_says(world: Arc<World>) -> Result<()> {
    install(&world).await?;
    let text = std::fs::read_to_string(root().join("dataplane/vectors/kubesphere.jsonl"))?;
    let cases = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<Value>, _>>()?;
    let client = world.control_plane.client();
    let judged: Vec<Result<bool>> = futures::stream::iter(cases)
        .map(|case| judge(client.clone(), case))
        .buffer_unordered(16)
        .collect()
        .await;
    let judged: Vec<bool> = judged.into_iter().collect::<Result<_>>()?;
    let left_out = judged.iter().filter(|judged| !**judged).count();
    // A certificate is read by the operator, not by the API server.
    assert_eq!(left_out, 2);
    Ok(())
}

/// `false`: it is not for the API server to judge.
async fn judge(client: kube::Client, case: Value) -> Result<bool> {
    let id = case["id"].as_str().unwrap_or_default();
    let mut refusals = Vec::new();
    for (kind, spec) in objects(&case) {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(
            genkan_crds::GROUP,
            genkan_crds::VERSION,
            kind,
        ));
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        let object = DynamicObject::new("vector", &resource).data(json!({ "spec": spec }));
        let dry_run = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        match api.create(&dry_run, &object).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) => refusals.push(status.message.clone()),
            Err(error) => return Err(error.into()),
        }
    }
    let admission = &case["admission"];
    if admission.is_null() {
        anyhow::ensure!(refusals.is_empty(), "{id}: {refusals:?}");
        return Ok(true);
    }
    let text = |name: &str| admission[name].as_str().unwrap_or_default();
    if text("reason") == "certificate" {
        return Ok(false);
    }
    let said = refusals.join("; ");
    let names_reason = said.to_lowercase().contains(&text("reason").to_lowercase());
    anyhow::ensure!(
        said.contains(text("field")) && names_reason,
        "{id}: {admission}: {said}"
    );
    Ok(true)
}

fn objects(case: &Value) -> Vec<(&'static str, Value)> {
    let mut objects = Vec::new();
    if case["area"] == "endpoint" {
        let matcher = json!({"path": "/proxy/*", "method": "*"});
        objects.push((
            "ReverseProxy",
            json!({"matcher": matcher, "upstream": case["endpoint"]}),
        ));
    }
    for (list, kind) in [
        ("reverseProxies", "ReverseProxy"),
        ("reverseProxiesAfterSetup", "ReverseProxy"),
        ("apiServices", "APIService"),
    ] {
        for object in case["config"][list].as_array().into_iter().flatten() {
            let spec = object["spec"].to_string().replace("UPSTREAM", "192.0.2.1:8080");
            objects.push((kind, serde_json::from_str(&spec).expect("it was JSON before")));
        }
    }
    objects
}

async fn published_manifests_are_accepted_or_refused_as_lint_says(world: Arc<World>) -> Result<()> {
    install(&world).await?;
    let recorded = std::fs::read_to_string(root().join("operator/tools/tests/lint/corpus.txt"))?;
    let is_name = |line: &&str| !line.starts_with(' ');
    for heading in recorded.lines().filter(is_name) {
        let (name, verdict) = heading.split_once(": ").context("a name and a verdict")?;
        let lines = recorded.lines().skip_while(|line| *line != heading).skip(1);
        let remarks: Vec<&str> = lines.take_while(|line| !is_name(line)).collect();
        let manifest = std::fs::read_to_string(root().join("crds/testdata/corpus").join(name))?;
        let refusal = dry_run(&world, &manifest).await?.err();
        assert_eq!(verdict == "refused", refusal.is_some(), "{name}: {refusal:?}");
        // The API server tells only some of several unknown fields, in any order.
        let words = refusal.iter().flat_map(|refusal| refusal.split_whitespace());
        for field in words.filter_map(|word| word.strip_prefix('.')?.strip_suffix(':')) {
            let told = |remark: &&str| remark.contains(&format!(" {field}: "));
            assert!(remarks.iter().any(told), "{name}: lint does not tell {field}");
        }
    }
    for name in ["1-apiservice", "2-reverseproxy", "3-apiservice", "4-reverseproxy"] {
        let path = root().join(format!("crds/testdata/seeds/manifest-{name}.yaml"));
        let refusal = dry_run(&world, &std::fs::read_to_string(path)?).await?.err();
        assert_eq!(refusal, None, "{name}");
    }
    Ok(())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Applies the definitions and waits until they serve, rules included.
async fn install(world: &World) -> Result<()> {
    world.kubectl().apply(&genkan_crds::yaml()).await?;
    let args = ["wait", "--for=condition=Established", "--timeout=30s", "crd"];
    world
        .kubectl()
        .run(
            &[
                &args[..],
                &[
                    "reverseproxies.extensions.kubesphere.io",
                    "apiservices.extensions.kubesphere.io",
                    "connectorclasses.connectors.alauda.io",
                    "connectors.connectors.alauda.io",
                    "resourceinterfaces.connectors.alauda.io",
                ],
            ]
            .concat(),
        )
        .await?;
    wait::until_true(
        "the definitions are served",
        std::time::Duration::from_secs(20),
        || async {
            for (kind, set, wanted) in [
                ("ReverseProxy", "matcher.method", "not an HTTP method"),
                ("ConnectorClass", "livenessProbe.http.path", "begins with a slash"),
                (
                    "Connector",
                    "connectorClassName",
                    "not the name of a ConnectorClass",
                ),
            ] {
                let bad = manifest(kind, "probe", set, &json!("G T"));
                if !dry_run(world, &bad)
                    .await?
                    .is_err_and(|said| said.contains(wanted))
                {
                    return Ok(false);
                }
            }
            Ok(true)
        },
    )
    .await
}

/// What the API server says to it: nothing, or a refusal.
async fn dry_run(world: &World, manifest: &str) -> Result<Result<(), String>> {
    let args = ["apply", "--server-side", "--dry-run=server", "-f", "-"];
    let printed = world.kubectl().output(&args, manifest).await?;
    Ok(if printed.success {
        Ok(())
    } else {
        Err(printed.stderr)
    })
}

/// An object that is valid but for, perhaps, one field.
fn manifest(kind: &str, name: &str, set: &str, value: &Value) -> String {
    let (group, mut spec) = match kind {
        "APIService" => (
            genkan_crds::GROUP,
            json!({"group": "shop.example", "version": "v1", "url": "http://h.example"}),
        ),
        "Connector" => (
            genkan_crds::CONNECTORS_GROUP,
            json!({"connectorClassName": "tickets", "address": "https://tickets.example.com"}),
        ),
        "ConnectorClass" => (genkan_crds::CONNECTORS_GROUP, json!({})),
        _ => (
            genkan_crds::GROUP,
            json!({"matcher": {"path": "/proxy/x/*", "method": "*"}, "upstream": {"url": "http://h.example"}}),
        ),
    };
    let mut place = &mut spec;
    for part in set.split('.') {
        place = &mut place[part];
    }
    *place = value.clone();
    json!({
        "apiVersion": format!("{group}/v1alpha1"), "kind": kind, "metadata": {"name": name}, "spec": spec,
    })
    .to_string()
}

fn all_rules() -> impl Iterator<Item = &'static Rule> {
    [
        rules::MATCHER_METHOD,
        rules::DIRECTIVE_METHOD,
        rules::HEADER,
        rules::REWRITE,
        rules::REPLACE,
        rules::PATH_REGEXP,
        rules::URL,
        rules::ENDPOINT,
        rules::GROUP,
        rules::VERSION,
    ]
    .into_iter()
    .chain(rules::connectors::ALL.iter().copied())
    .flatten()
}

fn golden(name: &str, found: &str) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/suites/crds")
        .join(name);
    if std::env::var_os("GENKAN_REWRITE").is_some() {
        std::fs::write(&path, found)?;
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        recorded == found,
        "{name} has changed; GENKAN_REWRITE=1 rewrites it. Found:\n{found}"
    );
    Ok(())
}

fn reverse_proxy() -> String {
    "ReverseProxy".to_owned()
}
