//! Authorities that administrators trust for all Connectors.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use genkan_e2e::world::World;
use serde_json::{Value, json};

use super::document::Document;
use super::far::Mode;
use super::objects;
use super::removal::{settled, target};
use super::stage::Stage;

const NAMESPACE: &str = "trusting";
const SETTLE: Duration = Duration::from_secs(45);

pub async fn what_administrators_trust_counts_beside_the_roots(world: Arc<World>) -> Result<()> {
    let stage = Stage::set(&world, &Document::load()?).await?;
    let client = &stage.client;
    let (_, caller) = settled(&stage, NAMESPACE).await?;
    let target = format!("{}/x", target(NAMESPACE));

    // Nobody has signed for it that anybody trusts.
    stage.far.begin(Mode::IsAnother, Value::Null, &[]).await?;
    let answer = stage.until_answer(&target, &caller, 502).await?;
    ensure!(
        answer.header("x-genkan-reason") == Some("BackendTLSVerify"),
        "{}",
        answer.text()
    );

    stage.team("genkan-system").await?;
    let folder: PathBuf = stage.far.ca.with_file_name("another-ca.crt");
    let pem = std::fs::read_to_string(&folder)?;
    let mut secret = objects::secret("tools-ca", "Opaque", &[("ca.crt", pem.as_str())]);
    secret["metadata"]["labels"] = json!({"connectors.cpaas.io/ca-cert": "true"});
    let secrets = objects::secrets("genkan-system");
    objects::apply(client, &secrets, &secret).await?;
    // The label means nothing where tenants write.
    objects::apply(client, &objects::secrets(NAMESPACE), &secret).await?;
    // It counts behind its switch.
    let answer = stage.call(&target, &caller).await?;
    ensure!(answer.status == 502, "{} {}", answer.status, answer.text());
    stage.switch(&["enable-custom-ca-certs"]).await?;
    wait_for(&stage, &target, &caller, 200).await?;

    // The roots count as before.
    stage.far.begin(Mode::Answers, Value::Null, &[]).await?;
    wait_for(&stage, &target, &caller, 200).await?;

    stage.far.begin(Mode::IsAnother, Value::Null, &[]).await?;
    objects::delete(client, &format!("{secrets}/tools-ca")).await?;
    wait_for(&stage, &target, &caller, 502).await?;
    stage.end().await
}

async fn wait_for(stage: &Stage, target: &str, caller: &super::callers::Caller, status: u16) -> Result<()> {
    genkan_e2e::wait::until(&format!("{target} is {status}"), SETTLE, || async {
        let answer = stage.call(target, caller).await?;
        ensure!(answer.status == status, "{} {}", answer.status, answer.text());
        Ok(Some(()))
    })
    .await
}
