//! Cases that are about what a status comes to say: resolving, conditions and probes.

use std::time::Duration;

use anyhow::{Result, bail};
use genkan_kit::wire::values;
use serde_json::{Value, json};

use super::document::{Document, id};
use super::far::{Mode, Taken};
use super::judge;
use super::objects::{self, CLASSES};
use super::stage::Stage;

/// What a case is about.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Resolve,
    Condition,
    Probe,
}

/// Nobody is asked in this time after all is decided.
const STILL: Duration = Duration::from_millis(300);

pub fn all(document: &Document) -> Vec<(Kind, &Value)> {
    let of = |kind, name| document.cases(name).into_iter().map(move |case| (kind, case));
    of(Kind::Resolve, "resolve_cases")
        .chain(of(Kind::Condition, "condition_cases"))
        .chain(of(Kind::Probe, "probe_cases"))
        .collect()
}

/// In what it did not come as it says.
pub async fn carry_out(stage: &Stage, document: &Document, kind: Kind, case: &Value) -> Result<Vec<String>> {
    match kind {
        Kind::Resolve if case["spec"]["connector"].is_null() => address(stage, case).await,
        Kind::Resolve => connector(stage, document, case).await,
        Kind::Condition => condition(stage, document, case).await,
        Kind::Probe => probe(stage, document, case).await,
    }
}

fn reference(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "name": name, "namespace": "connectors-system"})
}

async fn class(stage: &Stage, name: &str, spec: &Value, annotations: Value) -> Result<String> {
    let mut class = objects::made("ConnectorClass", name, spec);
    class["metadata"]["annotations"] = annotations;
    objects::create(&stage.client, CLASSES, &class).await?;
    Ok(format!("{CLASSES}/{name}"))
}

async fn tool(stage: &Stage, namespace: &str, name: &str, spec: &Value) -> Result<String> {
    let folder = objects::connectors(namespace);
    objects::create(&stage.client, &folder, &objects::made("Connector", name, spec)).await?;
    Ok(format!("{folder}/{name}"))
}

/// The address of the API of a class.
async fn address(stage: &Stage, case: &Value) -> Result<Vec<String>> {
    let (name, mut api) = (id(case).to_ascii_lowercase(), case["spec"].clone());
    if api["CACerts"].is_string() {
        api["CACerts"] = std::fs::read_to_string(&stage.far.ca)?.into();
    }
    let spec = json!({
        "address": {"name": "address", "type": "string"}, "api": api,
        "auth": {"types": [{"name": "basicAuth", "secretType": "kubernetes.io/basic-auth", "optional": true}]},
    });
    let path = class(stage, &name, &spec, Value::Null).await?;
    let expect = &case["expect"];
    let wrong = stage
        .until_right(&path, |object| {
            let url = &object["status"]["api"]["address"]["url"];
            let mut out = Vec::new();
            if objects::condition(object, "Ready").is_none() {
                out.push("nothing is said yet".to_owned());
            }
            if *url != expect["url"] {
                out.push(format!(
                    "status.api.address.url is {url}, expected {}",
                    expect["url"]
                ));
            }
            let ready = objects::condition(object, "APIReady").unwrap_or(&Value::Null);
            for (member, of) in [("APIReady", "status"), ("reason", "reason")] {
                if !expect[member].is_null() && ready[of] != expect[member] {
                    out.push(format!(
                        "the {of} of APIReady is {}, expected {}",
                        ready[of], expect[member]
                    ));
                }
            }
            out
        })
        .await?;
    objects::delete(&stage.client, &path).await?;
    Ok(wrong)
}

/// The addresses of a Connector.
async fn connector(stage: &Stage, document: &Document, case: &Value) -> Result<Vec<String>> {
    let (name, spec) = (id(case).to_ascii_lowercase(), &case["spec"]);
    let mut base = document.fixture("connectorClasses", "registry")?["spec"].clone();
    base["proxy"] = match &spec["exposed"] {
        _ if spec.get("proxy").is_some_and(Value::is_null) => Value::Null,
        Value::String(uri) => json!({"uri": uri, "forwardAuthorization": true}),
        _ => json!({"ref": reference("connectors-proxy-service")}),
    };
    let resolver = json!({"connectors.cpaas.io/proxy-resolver": spec["resolver"]});
    let annotations = if spec["resolver"].is_null() {
        Value::Null
    } else {
        resolver
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (namespace, own) = (
        text(&spec["connector"]["namespace"]),
        text(&spec["connector"]["name"]),
    );
    let made = class(stage, &name, &base, annotations).await?;
    let wanted = json!({
        "connectorClassName": name, "address": "https://tools.example.test", "auth": {"name": "basicAuth"},
    });
    let path = tool(stage, &namespace, &own, &wanted).await?;
    let wrong = stage
        .until_right(&path, |object| {
            let mut out = Vec::new();
            for (place, wanted) in case["expect"].as_object().into_iter().flatten() {
                if place == "condition" {
                    out.extend(differs(object, wanted));
                    continue;
                }
                let seen = object
                    .pointer(&format!("/{}", place.replace('.', "/")))
                    .unwrap_or(&Value::Null);
                let is_nothing = seen.as_object().is_some_and(serde_json::Map::is_empty);
                if seen != wanted && !(wanted.is_null() && is_nothing) {
                    out.push(format!("{place} is {seen}, expected {wanted}"));
                }
            }
            if objects::condition(object, "Ready").is_none() {
                out.push("nothing is said yet".to_owned());
            }
            out
        })
        .await?;
    objects::delete(&stage.client, &path).await?;
    objects::delete(&stage.client, &made).await?;
    Ok(wrong)
}

/// How a condition differs from what is wanted of it.
fn differs(object: &Value, wanted: &Value) -> Vec<String> {
    let kind = wanted["type"].as_str().unwrap_or_default();
    let seen = objects::condition(object, kind).unwrap_or(&Value::Null);
    let members = ["status", "reason"].into_iter();
    members
        .filter(|member| !wanted[*member].is_null() && wanted[*member] != seen[*member])
        .map(|member| {
            format!(
                "the {member} of {kind} is {}, expected {}",
                seen[member], wanted[member]
            )
        })
        .collect()
}

/// How `Ready` follows from the others.
async fn condition(stage: &Stage, document: &Document, case: &Value) -> Result<Vec<String>> {
    let name = id(case).to_ascii_lowercase();
    let wanted: Vec<&Value> = case["dependents"].as_array().into_iter().flatten().collect();
    let is = |kind: &str, status: &str| {
        wanted
            .iter()
            .any(|one| one["type"] == kind && one["status"] == status)
    };
    let has = |reason: &str| wanted.iter().any(|one| one["reason"] == reason);
    let (path, made) = if wanted.iter().any(|one| one["type"] == "APIReady") {
        let spec = json!({
            "address": {"name": "address", "type": "string"}, "proxy": {"ref": reference("connectors-proxy-service")},
        });
        (class(stage, &name, &spec, Value::Null).await?, None)
    } else {
        let mut base = document.fixture("connectorClasses", "registry")?["spec"].clone();
        if is("LivenessReady", "Unknown") {
            stage.far.begin(Mode::Hangs, Value::Null, &[]).await?;
            base["livenessProbe"] = json!({"http": {"path": "/live"}});
        }
        let unknown = [
            "SecretReady",
            "AuthReady",
            "ConnectorClassReady",
            "ProxyServiceReady",
        ];
        if unknown
            .iter()
            .any(|kind| is(kind, "Unknown") || is(kind, "False"))
            || is("LivenessReady", "False")
        {
            bail!("this is not brought about here; leave the case out by its name");
        }
        stage.team(&name).await?;
        let secret = objects::secret(
            "tool",
            "kubernetes.io/basic-auth",
            &[("username", "u"), ("password", "p")],
        );
        objects::create(&stage.client, &objects::secrets(&name), &secret).await?;
        let made = class(stage, &name, &base, Value::Null).await?;
        let mut auth = json!({"name": "basicAuth", "secretRef": {"name": "tool"}});
        if has("SecretOptional") {
            auth["secretRef"] = Value::Null;
        }
        let spec = json!({"connectorClassName": name, "address": "https://tools.example.test", "auth": auth});
        (tool(stage, &name, "tool", &spec).await?, Some(made))
    };
    let wrong = stage
        .until_right(&path, |object| {
            let mut out: Vec<String> = wanted.iter().flat_map(|wanted| differs(object, wanted)).collect();
            for (kind, wanted) in case["expect"].as_object().into_iter().flatten() {
                let mut wanted = wanted.clone();
                wanted["type"] = kind.as_str().into();
                out.extend(differs(object, &wanted));
            }
            out
        })
        .await?;
    for path in [Some(path), made].into_iter().flatten() {
        objects::delete(&stage.client, &path).await?;
    }
    stage.far.begin(Mode::Answers, Value::Null, &[]).await?;
    Ok(wrong)
}

/// What a tool is asked, and what its answer makes of the condition.
async fn probe(stage: &Stage, document: &Document, case: &Value) -> Result<Vec<String>> {
    let (name, given) = (id(case).to_ascii_lowercase(), &case["given"]);
    let (_, fixture) = given["connector"]
        .as_str()
        .unwrap_or_default()
        .split_once('/')
        .unwrap_or_default();
    let mut spec = document.fixture("connectors", fixture)?["spec"].clone();
    let mut base = document.fixture(
        "connectorClasses",
        spec["connectorClassName"].as_str().unwrap_or_default(),
    )?["spec"]
        .clone();
    base["livenessProbe"] = given["livenessProbe"].clone();
    if !given["authProbe"].is_null() {
        base["authProbes"] = json!([{"authName": spec["auth"]["name"], "probe": given["authProbe"]}]);
    }
    if !given["auth_params"].is_null() {
        spec["auth"]["params"] = given["auth_params"].clone();
    }
    let far = [&given["tool"], &given["plugin"]]
        .into_iter()
        .find(|far| !far.is_null());
    let far = far.cloned().unwrap_or_default();
    let closed: &[u16] = if far["connect_error"] == true { &[443] } else { &[] };
    let answer = if far["sequence"].is_null() {
        far
    } else {
        far["sequence"].clone()
    };
    stage.far.begin(Mode::Answers, answer, closed).await?;
    stage.team(&name).await?;
    if let Some(secret) = spec["auth"]["secretRef"]["name"].as_str() {
        let stored = document.fixture("secrets", secret)?;
        let copy = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret},
            "type": stored["type"], "data": stored["data"],
        });
        objects::create(&stage.client, &objects::secrets(&name), &copy).await?;
    }
    let made = class(stage, &name, &base, Value::Null).await?;
    spec["connectorClassName"] = name.as_str().into();
    let path = tool(stage, &name, fixture, &spec).await?;
    let expect = &case["expect"];
    let condition = if given["authProbe"].is_null() {
        "LivenessReady"
    } else {
        "AuthReady"
    };
    let mut wrong = stage
        .until_right(&path, |object| {
            let decided = objects::condition(object, condition).unwrap_or(&Value::Null);
            let mut out = differs(object, &expect["condition"]);
            if decided["status"] != "True" && decided["status"] != "False" {
                out.push(format!("{condition} is not decided: {decided}"));
            }
            out
        })
        .await?;
    if !expect["no_request"].is_null() {
        tokio::time::sleep(STILL).await;
    }
    wrong.extend(asked(expect, &stage.far.asked()));
    for path in [path, made] {
        objects::delete(&stage.client, &path).await?;
    }
    stage.far.begin(Mode::Answers, Value::Null, &[]).await?;
    Ok(wrong)
}

/// In what the questions that arrived differ from what is wanted.
fn asked(expect: &Value, asked: &[Taken]) -> Vec<String> {
    let urls: Vec<&str> = asked.iter().map(|taken| taken.url.as_str()).collect();
    if expect["no_request"] == true {
        let none = asked.is_empty();
        return (!none)
            .then(|| format!("somebody was asked: {urls:?}"))
            .into_iter()
            .collect();
    }
    let mut out = Vec::new();
    if !expect["request"].is_null() {
        match asked.first() {
            Some(taken) => out.extend(judge::request(&expect["request"], taken)),
            None => out.push("nobody was asked".to_owned()),
        }
    }
    if let Some(wanted) = expect["requests"].as_array().filter(|wanted| **wanted != urls) {
        out.push(format!("{urls:?} were asked, expected {wanted:?}"));
    }
    let second = asked.get(1).map(|taken| &taken.headers);
    for name in expect["second_request_headers_absent"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let name = name.as_str().unwrap_or_default();
        match second {
            Some(headers) if values(headers, name).next().is_none() => {}
            _ => out.push(format!(
                "the second question had {name}, or there was none: {urls:?}"
            )),
        }
    }
    out
}
