//! What a Connector stands on goes away, one after the other, and comes back.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use genkan_e2e::wait;
use genkan_e2e::world::World;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::callers::{self, Caller};
use super::document::Document;
use super::far::Mode;
use super::objects::{self, CLASSES};
use super::stage::Stage;

const SOON: Duration = Duration::from_secs(15);
/// Secrets of a namespace that are too many to be watched one by one.
const WATCHED_AS_A_WHOLE: usize = 60;
/// A watch that runs goes on when its right is taken away, and is begun again after 90 s at the latest.
const NEXT_WATCH: Duration = Duration::from_secs(110);

fn class(name: &str) -> Value {
    let basic = json!({"name": "basicAuth", "secretType": "kubernetes.io/basic-auth"});
    let proxy = json!({"ref": {"name": "connectors-proxy-service", "namespace": "connectors-system"}});
    objects::made(
        "ConnectorClass",
        name,
        &json!({"address": {"name": "address"}, "auth": {"types": [basic]}, "proxy": proxy}),
    )
}

fn secret() -> Value {
    objects::secret(
        "tool",
        "kubernetes.io/basic-auth",
        &[("username", "u"), ("password", "p")],
    )
}

fn connector(class: &str, reference: Value) -> Value {
    let auth = json!({"name": "basicAuth", "secretRef": reference});
    let spec = json!({"connectorClassName": class, "address": "https://tools.example.test", "auth": auth});
    objects::made("Connector", "tool", &spec)
}

/// A namespace with all of it, served; its path, and somebody who may use it.
pub async fn settled(stage: &Stage, name: &str) -> Result<(String, Caller)> {
    stage.team(name).await?;
    let caller = callers::reader(&stage.client, name).await?;
    objects::apply(&stage.client, CLASSES, &class(name)).await?;
    objects::apply(&stage.client, &objects::secrets(name), &secret()).await?;
    let folder = objects::connectors(name);
    objects::apply(&stage.client, &folder, &connector(name, json!({"name": "tool"}))).await?;
    stage.far.begin(Mode::Answers, Value::Null, &[]).await?;
    let path = format!("{folder}/tool");
    stage.until_condition(&path, "Ready", "True", "", SOON).await?;
    stage.until_answer(&target(name), &caller, 200).await?;
    Ok((path, caller))
}

pub fn target(namespace: &str) -> String {
    format!("/connectors/v1alpha1/{namespace}/tool/path/x")
}

/// The call is refused with this sentence, and nothing arrives.
async fn refused(
    stage: &Stage,
    namespace: &str,
    caller: &Caller,
    reason: &str,
    sentence: &str,
) -> Result<()> {
    let answer = stage.until_answer(&target(namespace), caller, 400).await?;
    let message = answer.json()?["message"].as_str().unwrap_or_default().to_owned();
    ensure!(
        answer.header("x-genkan-reason") == Some(reason) && message == sentence,
        "{:?}: {message}",
        answer.header("x-genkan-reason")
    );
    stage.far.forget();
    stage.until_answer(&target(namespace), caller, 400).await?;
    ensure!(stage.far.taken().is_empty(), "{:?}", stage.far.taken());
    Ok(())
}

pub async fn what_is_missing_is_told_by_conditions_and_answers(world: Arc<World>) -> Result<()> {
    let stage = Stage::set(&world, &Document::load()?).await?;
    let name = "missing";
    let (path, caller) = settled(&stage, name).await?;
    let secret_path = format!("{}/tool", objects::secrets(name));

    objects::delete(&stage.client, &secret_path).await?;
    let said = stage
        .until_condition(&path, "SecretReady", "False", "SecretNotFound", SOON)
        .await?;
    stage
        .until_condition(&path, "Ready", "False", "SecretNotFound", SOON)
        .await?;
    // For want of a Secret it is served like any other.
    stage
        .until_condition(&path, "Programmed", "True", "Programmed", SOON)
        .await?;
    ensure!(said == "secrets \"tool\" not found", "{said}");
    refused(&stage, name, &caller, "CredentialUnusable", &said).await?;
    objects::apply(&stage.client, &objects::secrets(name), &secret()).await?;
    stage.until_condition(&path, "Ready", "True", "", SOON).await?;
    stage.until_answer(&target(name), &caller, 200).await?;

    objects::delete(&stage.client, &format!("{CLASSES}/{name}")).await?;
    let reason = "ConnectorClassNotFound";
    let said = stage
        .until_condition(&path, "ConnectorClassReady", "False", reason, SOON)
        .await?;
    stage
        .until_condition(&path, "Ready", "False", reason, SOON)
        .await?;
    ensure!(
        said == format!("connectorclass.connectors.alauda.io {name:?} not found"),
        "{said}"
    );
    let sentence = format!("connectorclass '{name}' not found");
    refused(&stage, name, &caller, "ConnectorUnresolved", &sentence).await?;
    objects::apply(&stage.client, CLASSES, &class(name)).await?;
    stage.until_condition(&path, "Ready", "True", "", SOON).await?;
    stage.until_answer(&target(name), &caller, 200).await?;
    stage.end().await
}

pub async fn a_right_that_is_taken_away_takes_the_value_with_it(world: Arc<World>) -> Result<()> {
    let stage = Stage::set(&world, &Document::load()?).await?;
    let name = "unbound";
    let (path, caller) = settled(&stage, name).await?;
    // So many that the namespace is watched as a whole: without the right to that each is tried by itself.
    for n in 0..WATCHED_AS_A_WHOLE {
        let reference = json!({"name": format!("absent-{n}")});
        let mut object = connector(name, reference);
        object["metadata"]["name"] = format!("c{n}").into();
        objects::apply(&stage.client, &objects::connectors(name), &object).await?;
    }
    wait::until_true("the namespace is watched", SOON, || async {
        Ok(stage
            .operator
            .output()
            .contains("the namespace is watched, without values"))
    })
    .await?;
    let binding = format!("{}/genkan-connector-secrets", objects::role_bindings(name));
    objects::delete(&stage.client, &binding).await?;
    let begin = Instant::now();
    let reason = "SecretNotPermitted";
    let said = stage
        .until_condition(&path, "SecretReady", "False", reason, NEXT_WATCH)
        .await?;
    let gone = begin.elapsed();
    stage
        .until_condition(&path, "Ready", "False", reason, SOON)
        .await?;
    let command = format!("kubectl create rolebinding genkan-connector-secrets -n {name}");
    ensure!(said.contains(&command), "{said}");
    refused(&stage, name, &caller, "CredentialUnusable", &said).await?;
    stage.team(name).await?;
    let begin = Instant::now();
    stage.until_condition(&path, "Ready", "True", "", SOON).await?;
    stage.until_answer(&target(name), &caller, 200).await?;
    println!(
        "a right that was taken away showed after {gone:?}, one that was given after {:?}",
        begin.elapsed()
    );
    stage.end().await
}

pub async fn the_secret_of_another_namespace_is_never_used(world: Arc<World>) -> Result<()> {
    let stage = Stage::set(&world, &Document::load()?).await?;
    let (own, foreign) = ("borrower", "lender");
    // The operator may read both.
    settled(&stage, foreign).await?;
    let (path, caller) = settled(&stage, own).await?;
    let folder = objects::connectors(own);
    let reference = json!({"name": "tool", "namespace": foreign});
    objects::apply(&stage.client, &folder, &connector(own, reference)).await?;
    let said = stage
        .until_condition(&path, "SecretReady", "False", "RefNotPermitted", SOON)
        .await?;
    let sentence = format!("spec.auth.secretRef.namespace: only a Secret of namespace {own} can be used");
    ensure!(said == sentence, "{said}");
    refused(&stage, own, &caller, "CredentialUnusable", &sentence).await?;
    let home = json!({"name": "tool", "namespace": own});
    objects::apply(&stage.client, &folder, &connector(own, home)).await?;
    stage.until_condition(&path, "Ready", "True", "", SOON).await?;
    stage.until_answer(&target(own), &caller, 200).await?;
    stage.end().await
}
