//! Values of Secrets and tokens of callers are nowhere but where they have to be.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use genkan_e2e::http1::{self, Answer, Request};
use genkan_e2e::world::World;
use genkan_proto::decompress;
use serde_json::{Value, json};

use super::callers::{self, Caller};
use super::document::Document;
use super::far::Mode;
use super::objects::{self, CLASSES};
use super::stage::Stage;

const NAMESPACE: &str = "leaks";
const USER: &str = "heron-user-5b1d";
const PASSWORD: &str = "heron-password-93fe";
/// In a query it is written in another way.
const TOKEN: &str = "heron&token/c07a";
const ESCAPED: &str = "heron%26token%2Fc07a";
/// What shows a line end in a header is a value as well.
const BROKEN: &str = "heron-broken-11aa";
/// A token that nobody gave is one all the same.
const UNKNOWN: &str = "heron-unknown-77cc";
const SOON: Duration = Duration::from_secs(15);

/// What is looked for, and what it is.
struct Wanted(Vec<(String, String)>);

// === impl Wanted ===

impl Wanted {
    fn new(tokens: &[(&str, &str)]) -> Self {
        let mut all = Vec::new();
        for (what, value) in [
            ("a user", USER),
            ("a password", PASSWORD),
            ("a token of a tool", TOKEN),
            ("a broken value", BROKEN),
        ] {
            all.push((what.to_owned(), value.to_owned()));
            all.push((format!("{what} in base64"), STANDARD.encode(value)));
        }
        all.push(("a token of a tool in a query".to_owned(), ESCAPED.to_owned()));
        all.push((
            "a basic credential".to_owned(),
            STANDARD.encode(format!("{USER}:{PASSWORD}")),
        ));
        for (who, token) in tokens {
            all.push((format!("the token of {who}"), (*token).to_owned()));
            // The signature alone would do for a log that cuts.
            let signature = token.rsplit('.').next().unwrap_or(token);
            all.push((format!("the signature of {who}"), signature.to_owned()));
        }
        Self(all)
    }

    fn look(&self, place: &str, text: &[u8], found: &mut Vec<String>) {
        for (what, value) in &self.0 {
            if text.windows(value.len()).any(|window| window == value.as_bytes()) {
                found.push(format!("{what} is in {place}"));
            }
        }
    }

    fn look_into(&self, folder: &Path, found: &mut Vec<String>) -> Result<()> {
        for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                self.look_into(&path, found)?;
            } else {
                let place = path.display().to_string();
                let bytes = std::fs::read(&path)?;
                self.look(&place, &bytes, found);
                self.look(&place, &unpacked(&bytes), found);
            }
        }
        Ok(())
    }

    fn look_at(&self, place: &str, answer: &Answer, found: &mut Vec<String>) {
        self.look(place, &answer.body, found);
        for (name, value) in &answer.headers {
            self.look(&format!("header {name} of {place}"), value.as_bytes(), found);
        }
    }
}

/// What is compressed in it.
fn unpacked(bytes: &[u8]) -> Vec<u8> {
    const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    let mut all = Vec::new();
    for start in (0..bytes.len()).filter(|start| bytes[*start..].starts_with(&MAGIC)) {
        let ends = start + MAGIC.len()..=bytes.len();
        // What is cut off is no snapshot.
        if let Some(snapshot) = ends
            .into_iter()
            .find_map(|end| decompress(&bytes[start..end]).ok())
        {
            snapshot
                .upserts
                .iter()
                .for_each(|upsert| all.extend_from_slice(upsert));
        }
    }
    all
}

/// A call, and what it is answered with.
struct Call {
    connector: &'static str,
    path: &'static str,
    mode: Mode,
    status: u16,
}

const fn call(connector: &'static str, path: &'static str, status: u16) -> Call {
    let mode = Mode::Answers;
    Call {
        connector,
        path,
        mode,
        status,
    }
}

/// Successes, and the errors that there are.
const CALLS: &[Call] = &[
    call("basic", "x", 200),
    call("generated", "x", 200),
    call("generated-query", "x", 200),
    call("class-api", "x", 200),
    Call {
        connector: "basic",
        path: "x",
        mode: Mode::Echoes,
        status: 200,
    },
    Call {
        connector: "generated",
        path: "x",
        mode: Mode::Echoes,
        status: 200,
    },
    Call {
        connector: "generated-query",
        path: "x",
        mode: Mode::Echoes,
        status: 200,
    },
    call("none", "x", 404),
    call("basic", "no-api", 400),
    call("no-proxy", "x", 400),
    call("no-class", "x", 400),
    call("no-secret", "x", 400),
    call("another-type", "x", 400),
    call("no-key", "x", 400),
    call("no-reference", "x", 400),
    call("broken", "x", 400),
    call("basic", "no-address", 400),
    call("basic", "a/%2e%2e/b", 400),
    call("ambiguous", "x", 500),
    call("failing", "x", 500),
    call("refused", "x", 502),
    Call {
        connector: "basic",
        path: "x",
        mode: Mode::IsAnother,
        status: 502,
    },
    Call {
        connector: "basic",
        path: "x",
        mode: Mode::Hangs,
        status: 504,
    },
    Call {
        connector: "generated-query",
        path: "x",
        mode: Mode::Hangs,
        status: 504,
    },
];

pub async fn no_credential_is_where_it_has_no_business(world: Arc<World>) -> Result<()> {
    let stage = Stage::set(&world, &Document::load()?).await?;
    stage.team(NAMESPACE).await?;
    let caller = callers::reader(&stage.client, NAMESPACE).await?;
    let stranger = callers::granted(&stage.client, "stranger", &[]).await?;
    let wanted = Wanted::new(&[
        ("a caller", &caller.token),
        ("a stranger", &stranger.token),
        ("nobody", UNKNOWN),
    ]);
    let mut found = Vec::new();
    wanted.look(
        "what was planted",
        format!("a {PASSWORD} b").as_bytes(),
        &mut found,
    );
    ensure!(found.len() == 1, "the scanner finds nothing: {found:?}");
    found.clear();

    install(&stage).await?;
    let mut was_used = false;
    for call in CALLS {
        stage.far.begin(call.mode, Value::Null, &[]).await?;
        let target = format!(
            "/connectors/v1alpha1/{NAMESPACE}/{}/path/{}?copy={}",
            call.connector, call.path, caller.token
        );
        let answer = stage.call(&target, &caller).await?;
        let place = format!("the answer to {}/{} ({:?})", call.connector, call.path, call.mode);
        ensure!(
            answer.status == call.status,
            "{place}: {} {}",
            answer.status,
            answer.text()
        );
        let taken = stage.far.taken();
        was_used |= taken
            .iter()
            .any(|taken| taken.headers.iter().any(|(_, value)| value.contains(TOKEN)));
        if call.mode == Mode::Echoes {
            // What a tool says in a body is its own; in a header it is masked.
            let head = Answer {
                body: Vec::new(),
                ..answer
            };
            wanted.look_at(&place, &head, &mut found);
        } else {
            wanted.look_at(&place, &answer, &mut found);
        }
        let arrived = format!("{taken:?}");
        ensure!(
            !arrived.contains(&caller.token),
            "{place}: the token of the caller arrived"
        );
    }
    ensure!(was_used, "no tool has got the credential");
    for (headers, method, status) in refusals(&stranger) {
        let target = format!("/connectors/v1alpha1/{NAMESPACE}/basic/path/x");
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let request = Request {
            method,
            headers: &headers,
            ..Request::get(&target)
        };
        let answer = http1::send(stage.proxy.listen, request).await?;
        ensure!(answer.status == status, "{} {}", answer.status, answer.text());
        wanted.look_at(&format!("an answer of {status}"), &answer, &mut found);
    }
    look_around(&stage, &wanted, &mut found).await?;
    ensure!(found.is_empty(), "{} leaks:\n{}", found.len(), found.join("\n"));
    stage.end().await
}

/// Headers, method, and the answer.
type Refusal = (Vec<(&'static str, String)>, &'static str, u16);

fn refusals(stranger: &Caller) -> [Refusal; 6] {
    let bearer = |token: &str| vec![("Authorization", format!("Bearer {token}"))];
    let basic = format!("Basic {}", STANDARD.encode(format!("{USER}:{}", stranger.token)));
    [
        (Vec::new(), "GET", 401),
        (vec![("Authorization", basic)], "GET", 401),
        (bearer(UNKNOWN), "GET", 401),
        (vec![("Cookie", format!("token={}", stranger.token))], "GET", 401),
        (bearer(&stranger.token), "GET", 403),
        (bearer(&stranger.token), "POST", 405),
    ]
}

/// Logs, metrics, statuses, Events, and what is on disk.
async fn look_around(stage: &Stage, wanted: &Wanted, found: &mut Vec<String>) -> Result<()> {
    let (operator, proxy) = (stage.operator.output(), stage.proxy.output());
    ensure!(
        proxy.contains("connectors") && !operator.is_empty(),
        "there are no logs"
    );
    wanted.look("the log of the operator", operator.as_bytes(), found);
    wanted.look("the log of the data plane", proxy.as_bytes(), found);
    for admin in [stage.operator.admin, stage.proxy.admin] {
        for path in ["/metrics", "/config", "/readyz"] {
            wanted.look_at(
                &format!("{path} of {admin}"),
                &http1::get(admin, path).await?,
                found,
            );
        }
    }
    for path in [
        CLASSES,
        "/apis/connectors.alauda.io/v1alpha1/connectors",
        "/apis/events.k8s.io/v1/events",
        "/api/v1/events",
        "/api/v1/configmaps",
    ] {
        let listed = objects::get(&stage.client, path).await?.to_string();
        wanted.look(path, listed.as_bytes(), found);
    }
    let state = stage.proxy.state();
    let kept = unpacked(&std::fs::read(state.join("configuration"))?);
    let key = format!("Connector/{NAMESPACE}/generated");
    ensure!(
        kept.windows(key.len()).any(|window| window == key.as_bytes()),
        "{} cannot be read",
        state.display()
    );
    wanted.look_into(&state, found)
}

fn class(auth: Value) -> Value {
    json!({
        "address": {"name": "address"}, "auth": {"types": [auth]},
        "proxy": {"ref": {"name": "connectors-proxy-service", "namespace": "connectors-system"}},
        "api": {"openapi": {"paths": {
            "/no-api": {"get": {"x-provider-type": "api"}},
            "/no-address": {"get": {"x-openapi-address": "missing"}},
        }}},
    })
}

fn generator(position: &str, rule: &str) -> Value {
    let rego = format!(
        "package proxy\nimport rego.v1\nauth := {{\"position\": \"{position}\", \"auth\": {rule}}}\n"
    );
    json!({
        "name": "auth", "secretType": "Opaque", "params": [{"name": "token"}], "generator": {"rego": rego},
    })
}

async fn install(stage: &Stage) -> Result<()> {
    let client = &stage.client;
    let secrets = objects::secrets(NAMESPACE);
    let basic = [("username", USER), ("password", PASSWORD)];
    let broken = format!("{BROKEN}\r\nX-Evil: 1");
    for secret in [
        objects::secret("basic", "kubernetes.io/basic-auth", &basic),
        objects::secret("token", "Opaque", &[("token", TOKEN), ("other", PASSWORD)]),
        objects::secret("keyless", "Opaque", &[("other", TOKEN)]),
        objects::secret(
            "broken",
            "connectors.cpaas.io/bearer-token",
            &[("token", &broken)],
        ),
    ] {
        objects::apply(client, &secrets, &secret).await?;
    }
    let by_type = json!({"name": "auth", "secretType": "kubernetes.io/basic-auth"});
    let bearer = json!({"name": "auth", "secretType": "connectors.cpaas.io/bearer-token", "params": [{"name": "token"}]});
    let ambiguous = format!(
        "package proxy\nimport rego.v1\nauth := {{\"position\": \"header\", \"auth\": {{\"X-A\": input.data.token}}}}\n\
         auth := {{\"position\": \"header\", \"auth\": {{\"X-A\": input.data.other}}}}{}",
        "\n"
    );
    let mut two = generator("header", "{}");
    two["generator"]["rego"] = ambiguous.into();
    let mut no_proxy = class(by_type.clone());
    no_proxy["proxy"] = Value::Null;
    let mut own_api = class(by_type.clone());
    own_api["api"] = json!({
        "ref": {"name": "connectors-git-plugin", "namespace": "connectors-system"},
        "openapi": {"paths": {"/x": {"get": {"x-provider-type": "api"}}}},
    });
    let header = "{\"X-Key\": input.data.token}";
    let failing = "{\"X-Key\": to_number(input.data.token)}";
    for (name, spec) in [
        ("basic", class(by_type)),
        ("bearer", class(bearer)),
        ("header", class(generator("header", header))),
        ("query", class(generator("query", "{\"key\": input.data.token}"))),
        ("failing", class(generator("header", failing))),
        ("two", class(two)),
        ("no-proxy", no_proxy),
        ("own-api", own_api),
    ] {
        let name = format!("leaks-{name}");
        objects::apply(client, CLASSES, &objects::made("ConnectorClass", &name, &spec)).await?;
    }
    let folder = objects::connectors(NAMESPACE);
    for (name, class, secret) in [
        ("basic", "basic", "basic"),
        ("generated", "header", "token"),
        ("generated-query", "query", "token"),
        ("class-api", "own-api", "basic"),
        ("no-proxy", "no-proxy", "basic"),
        ("no-class", "none", "basic"),
        ("no-secret", "basic", "none"),
        ("another-type", "basic", "token"),
        ("no-key", "header", "keyless"),
        ("no-reference", "basic", ""),
        ("broken", "bearer", "broken"),
        ("ambiguous", "two", "token"),
        ("failing", "failing", "token"),
        ("refused", "basic", "basic"),
    ] {
        let mut auth = json!({"name": "auth"});
        if !secret.is_empty() {
            auth["secretRef"] = json!({ "name": secret });
        }
        let port = if name == "refused" { ":444" } else { "" };
        let address = format!("https://tools.example.test{port}");
        let spec = json!({"connectorClassName": format!("leaks-{class}"), "address": address, "auth": auth});
        objects::apply(client, &folder, &objects::made("Connector", name, &spec)).await?;
    }
    for name in [
        "basic",
        "generated",
        "generated-query",
        "class-api",
        "refused",
        "failing",
        "ambiguous",
    ] {
        stage
            .until_condition(&format!("{folder}/{name}"), "SecretReady", "True", "", SOON)
            .await?;
        stage
            .until_condition(
                &format!("{folder}/{name}"),
                "Programmed",
                "True",
                "Programmed",
                SOON,
            )
            .await?;
    }
    for (name, reason) in [
        ("no-secret", "SecretNotFound"),
        ("another-type", "SecretTypeMismatch"),
        ("no-key", "SecretKeyMissing"),
        ("no-reference", "SecretNotFound"),
    ] {
        stage
            .until_condition(&format!("{folder}/{name}"), "SecretReady", "False", reason, SOON)
            .await?;
    }
    stage.in_step().await
}
