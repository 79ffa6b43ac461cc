//! Tokens that a server grants, what a policy says that a request counts as, and what the status tells of a credential.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
use axum::{Json, Router};
use genkan_e2e::http1::{self, Request};
use genkan_e2e::process::Launch;
use genkan_e2e::wait;
use genkan_e2e::world::World;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::callers;
use super::document::Document;
use super::objects::{self, CLASSES};
use super::stage::Stage;

/// A tool that takes tokens, who grants them, and a tool that takes a key.
#[derive(Clone, Default)]
struct Office {
    granted: Arc<AtomicUsize>,
}

const NAMESPACE: &str = "granted";
const TARGET: &str = "/connectors/v1alpha1/granted/tool/path";
const SETTLE: Duration = Duration::from_secs(20);
/// `Basic` of the client `robot` with the password `s3cret-1`.
const CLIENT: &str = "Basic cm9ib3Q6czNjcmV0LTE=";

// === impl Office ===

impl Office {
    async fn open(self, address: SocketAddr) -> Result<SocketAddr> {
        let router = Router::new()
            .route("/token", post(grant))
            .route("/v2/issues", get(issues))
            .route("/tool/{*path}", get(enter).post(enter))
            .route("/user", get(enter))
            .with_state(self);
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(address)
    }
}

async fn grant(State(office): State<Office>, headers: HeaderMap) -> (StatusCode, Json<Value>) {
    if headers
        .get(header::AUTHORIZATION)
        .is_none_or(|value| value != CLIENT)
    {
        return (StatusCode::UNAUTHORIZED, Json(json!({"error": "invalid_client"})));
    }
    let number = office.granted.fetch_add(1, Ordering::SeqCst) + 1;
    let said = json!({"access_token": format!("granted-token-{number}"), "token_type": "Bearer", "expires_in": 3600});
    (StatusCode::OK, Json(said))
}

async fn enter(State(office): State<Office>, headers: HeaderMap) -> (StatusCode, Json<Value>) {
    let shown = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let number = shown.and_then(|shown| shown.strip_prefix("Bearer granted-token-")?.parse::<usize>().ok());
    match number {
        Some(number) if number <= office.granted.load(Ordering::SeqCst) => {
            (StatusCode::OK, Json(json!({"token": number})))
        }
        Some(_) | None => (StatusCode::UNAUTHORIZED, Json(json!({}))),
    }
}

async fn issues(headers: HeaderMap) -> (StatusCode, Json<Value>) {
    if headers.get("x-ticket-key").is_none_or(|key| key != "k-123456") {
        return (StatusCode::UNAUTHORIZED, Json(json!({})));
    }
    let all: Vec<Value> = (1..=30)
        .map(|n| json!({"title": format!("Ticket {n}")}))
        .collect();
    (StatusCode::OK, Json(all.into()))
}

pub async fn a_server_grants_the_token_of_a_tool(world: Arc<World>) -> Result<()> {
    let stage = Stage::set(&world, &Document::load()?).await?;
    let client = &stage.client;
    let office = Office::default();
    let tool = world.backend("spare", 8080).await?.address;
    let address = office.clone().open(SocketAddr::new(tool.ip(), 0)).await?;
    stage.team(NAMESPACE).await?;
    let caller = callers::reader(client, NAMESPACE).await?;
    let class = json!({
        "address": {"name": "address"},
        "auth": {"types": [{
            "name": "client", "secretType": "kubernetes.io/basic-auth",
            "generator": {"oauth2": {"tokenURL": format!("http://{address}/token"), "scopes": ["read"]}},
        }]},
        "authProbes": [{"authName": "client", "probe": {"http": {"path": "/user"}}}],
        "api": {"permissions": {"rego":
            "package permissions\nimport rego.v1\nresult := {\"verb\": \"read\"} if endswith(input.request.path, \"/search\")\n"}},
        "proxy": {"ref": {"name": "connectors-proxy-service", "namespace": "connectors-system"}},
    });
    objects::apply(
        client,
        CLASSES,
        &objects::made("ConnectorClass", "granted", &class),
    )
    .await?;
    let write = async |password: &str| {
        let values = [("username", "robot"), ("password", password)];
        let secret = objects::secret("tool", "kubernetes.io/basic-auth", &values);
        objects::apply(client, &objects::secrets(NAMESPACE), &secret).await
    };
    write("wrong").await?;
    let auth = json!({"name": "client", "secretRef": {"name": "tool"}});
    let spec =
        json!({"connectorClassName": "granted", "address": format!("http://{address}/tool"), "auth": auth});
    let folder = objects::connectors(NAMESPACE);
    objects::apply(client, &folder, &objects::made("Connector", "tool", &spec)).await?;
    let path = format!("{folder}/tool");

    // What the server says of the client stands in the condition and in the answer; the password does not.
    let said = stage
        .until_condition(&path, "AuthReady", "False", "AuthenticationFailed", SETTLE)
        .await?;
    let expected = format!("http://{address}/token grants no token: it answers 401 (invalid_client)");
    ensure!(said == format!("Authentication failed: {expected}"), "{said}");
    let refused = stage.until_answer(&format!("{TARGET}/x"), &caller, 502).await?;
    ensure!(refused.text().contains(&expected), "{}", refused.text());
    ensure!(
        refused.header("x-genkan-reason") == Some("TokenNotGranted"),
        "{:?}",
        refused.headers
    );

    write("s3cret-1").await?;
    stage.until_answer(&format!("{TARGET}/x"), &caller, 200).await?;
    stage.until_condition(&path, "Ready", "True", "", SETTLE).await?;
    let granted = office.granted.load(Ordering::SeqCst);
    for _ in 0..20 {
        let answer = stage.call(&format!("{TARGET}/x"), &caller).await?;
        ensure!(answer.status == 200, "{}", answer.text());
    }
    ensure!(
        office.granted.load(Ordering::SeqCst) == granted,
        "a token is used until it ends"
    );

    let credential = |object: &Value, what: &str| {
        let time = object["status"]["credential"][what].as_str();
        time.and_then(|time| time.parse::<jiff::Timestamp>().ok())
    };
    let shown = wait::until("its use is told", Duration::from_secs(90), || async {
        let object = objects::get(client, &path).await?;
        Ok(credential(&object, "lastUsed").map(|_| object))
    })
    .await?;
    let changed = credential(&shown, "changedAt").context("changedAt is missing")?;
    let age = jiff::Timestamp::now().as_second() - changed.as_second();
    ensure!((0..120).contains(&age), "it was changed {age} s ago");

    // Neither is anywhere else, at the log level where everything is told.
    let told = [stage.operator.output(), stage.proxy.output(), shown.to_string()];
    for secret in ["s3cret-1", "granted-token", "cm9ib3Q6czNjcmV0LTE="] {
        ensure!(!told.iter().any(|text| text.contains(secret)), "{secret} is told");
    }

    // A search by POST is a read for whoever may read, and nothing else is.
    stage
        .switch(&[
            "enable-connector-apis-write-passthrough",
            "enable-connector-apis-permissions",
        ])
        .await?;
    let grants = [
        json!({"namespace": NAMESPACE, "verbs": ["get"], "resources": ["connectors"]}),
        json!({"namespace": NAMESPACE, "verbs": ["get"], "resources": ["connectors/apis/granted"]}),
    ];
    let reading = callers::granted(client, "reading", &grants.each_ref()).await?;
    for (target, wanted) in [("search", 200), ("issues", 403)] {
        let bearer = format!("Bearer {}", reading.token);
        let headers = [("Authorization", bearer.as_str())];
        let path = format!("{TARGET}/{target}");
        let request = Request {
            method: "POST",
            headers: &headers,
            ..Request::get(&path)
        };
        let answer = http1::send(stage.proxy.listen, request).await?;
        ensure!(
            answer.status == wanted,
            "{target}: {} {}",
            answer.status,
            answer.text()
        );
    }
    stage.end().await
}

pub async fn the_example_of_a_class_api_answers(world: Arc<World>) -> Result<()> {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: python3 is not installed");
        return Ok(());
    }
    let stage = Stage::set(&world, &Document::load()?).await?;
    let client = &stage.client;
    let spare = world.backend("spare", 8080).await?.address;
    let address = Office::default().open(SocketAddr::new(spare.ip(), 0)).await?;
    let api = SocketAddr::new(spare.ip(), 8095);
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/class-api.py");
    let server = Launch::new("class-api", "python3").args([example.to_owned(), api.to_string()]);
    let mut server = server.start(&world.folder("class-api")?)?;
    stage.team("exampled").await?;
    let caller = callers::reader(client, "exampled").await?;
    let class = json!({
        "address": {"name": "address"},
        "auth": {"types": [{"name": "keyAuth", "secretType": "Opaque", "params": [{"name": "key"}]}]},
        "api": {"uri": format!("http://{api}"), "openapi": {"openapi": "3.0.1", "paths": {
            "/tickets/mine": {"get": {"x-provider-type": "api"}}, "/tickets": {"get": {"x-provider-type": "api"}},
        }}},
    });
    objects::apply(
        client,
        CLASSES,
        &objects::made("ConnectorClass", "exampled", &class),
    )
    .await?;
    let secret = objects::secret("tool", "Opaque", &[("key", "k-123456")]);
    objects::apply(client, &objects::secrets("exampled"), &secret).await?;
    let auth = json!({"name": "keyAuth", "secretRef": {"name": "tool"}});
    let spec =
        json!({"connectorClassName": "exampled", "address": format!("http://{address}"), "auth": auth});
    let folder = objects::connectors("exampled");
    objects::apply(client, &folder, &objects::made("Connector", "tool", &spec)).await?;
    let plain = format!("{CLASSES}/exampled");
    let kind = "CredentialsEncrypted";
    stage
        .until_condition(&plain, kind, "False", "PlainHTTP", SETTLE)
        .await?;

    let target = "/connectors/v1alpha1/exampled/tool/path";
    for (behind, total, first, count) in [
        ("/tickets/mine", 30, "Ticket 1", 20),
        ("/tickets/mine?page=2", 30, "Ticket 21", 10),
        ("/tickets/mine?page=0&itemsPerPage=-5", 30, "Ticket 1", 20),
        ("/tickets/mine?itemsPerPage=3&page=4", 30, "Ticket 10", 3),
        ("/tickets/mine?search=ticket%202", 11, "Ticket 2", 11),
    ] {
        let answer = stage
            .until_answer(&format!("{target}{behind}"), &caller, 200)
            .await?;
        let list: Value = answer.json()?;
        let items = list["items"].as_array().context("it is no list")?;
        let seen = (
            &list["listMeta"]["totalItems"],
            items.first().map(|item| &item["name"]),
            items.len(),
        );
        ensure!(
            seen == (&json!(total), Some(&json!(first)), count),
            "{behind}: {list}"
        );
    }
    let answer = stage
        .until_answer(&format!("{target}/tickets"), &caller, 404)
        .await?;
    let status: Value = answer.json()?;
    ensure!(
        status["kind"] == "Status" && status["reason"] == "NotFound",
        "{status}"
    );
    let said = server.output();
    ensure!(
        !said.contains("k-123456") && !said.contains("azEtMTIzNDU2"),
        "the example logs a credential"
    );
    server.expect_running()?;
    server.kill();
    stage.end().await
}
