//! What an edit sends to the data planes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use genkan_e2e::rogue::{self, Named, Rogue};
use genkan_e2e::world::World;
use serde_json::{Value, json};

use super::callers;
use super::document::Document;
use super::objects::{self, CLASSES};
use super::stage::Stage;

const NAMESPACE: &str = "edited";
const CONNECTORS: usize = 200;
/// Nothing comes for so long when all has come.
const SILENCE: Duration = Duration::from_secs(2);
const SOON: Duration = Duration::from_secs(30);

fn class(paths: Value) -> Value {
    let basic = json!({"name": "basicAuth", "secretType": "kubernetes.io/basic-auth"});
    objects::made(
        "ConnectorClass",
        NAMESPACE,
        &json!({
            "address": {"name": "address"}, "auth": {"types": [basic]}, "api": {"openapi": {"paths": paths}},
            "proxy": {"ref": {"name": "connectors-proxy-service", "namespace": "connectors-system"}},
        }),
    )
}

fn secret(password: &str) -> Value {
    objects::secret(
        "tool",
        "kubernetes.io/basic-auth",
        &[("username", "u"), ("password", password)],
    )
}

pub async fn an_edit_of_a_class_sends_the_class_alone(world: Arc<World>) -> Result<()> {
    let stage = Stage::set(&world, &Document::load()?).await?;
    let client = &stage.client;
    stage.team(NAMESPACE).await?;
    let caller = callers::reader(client, NAMESPACE).await?;
    objects::apply(client, CLASSES, &class(json!({}))).await?;
    objects::apply(client, &objects::secrets(NAMESPACE), &secret("p")).await?;
    let folder = objects::connectors(NAMESPACE);
    let auth = json!({"name": "basicAuth", "secretRef": {"name": "tool"}});
    let spec =
        json!({"connectorClassName": NAMESPACE, "address": "https://tools.example.test", "auth": auth});
    futures::stream::iter((0..CONNECTORS).map(|n| objects::made("Connector", &format!("tool-{n}"), &spec)))
        .map(|object| {
            let (client, folder) = (client.clone(), folder.clone());
            async move { objects::apply(&client, &folder, &object).await }
        })
        .buffer_unordered(8)
        .try_collect::<Vec<_>>()
        .await?;
    for n in [0, CONNECTORS - 1] {
        stage
            .until_condition(&format!("{folder}/tool-{n}"), "Ready", "True", "", SOON)
            .await?;
    }
    let target = |path: &str| {
        format!(
            "/connectors/v1alpha1/{NAMESPACE}/tool-{}/path/{path}",
            CONNECTORS - 1
        )
    };
    stage.until_answer(&target("own"), &caller, 200).await?;
    stage.in_step().await?;

    let channel = rogue::connect_plain(stage.operator.grpc).await?;
    let named = Named {
        name: "counting",
        instance: "1",
    };
    let mut stream = Rogue::open(&channel, None, named).await.context("the stream")?;
    let (all, whole) = stream.received(SILENCE).await?;
    let connectors = |keys: &[String]| keys.iter().filter(|key| key.starts_with("Connector/")).count();
    ensure!(
        connectors(&all) >= CONNECTORS,
        "only {} Connectors came",
        connectors(&all)
    );

    let paths = json!({"/own": {"get": {"x-provider-type": "api"}}});
    objects::apply(client, CLASSES, &class(paths)).await?;
    let (keys, bytes) = stream.received(SILENCE).await?;
    println!("{CONNECTORS} Connectors are {whole} bytes, an edit of their class is {bytes}");
    ensure!(keys == [format!("ConnectorClass/{NAMESPACE}")], "{keys:?}");
    // What it says is in force for all of them.
    stage.until_answer(&target("own"), &caller, 400).await?;

    objects::apply(client, &objects::secrets(NAMESPACE), &secret("q")).await?;
    let (keys, _) = stream.received(SILENCE).await?;
    ensure!(keys == [format!("Secret/{NAMESPACE}/tool")], "{keys:?}");
    drop(stream);
    stage.end().await
}
