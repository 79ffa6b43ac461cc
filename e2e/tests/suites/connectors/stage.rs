//! What the scenarios run on: the operator with the rights of its chart, one data plane that asks the real API server who
//! calls, and the far side.

use std::time::Duration;

use anyhow::Result;
use genkan_e2e::http1::{self, Answer, Request};
use genkan_e2e::namespace::know;
use genkan_e2e::product::{Operator, Proxy, Source};
use genkan_e2e::service::Service;
use genkan_e2e::wait;
use genkan_e2e::world::{self, World};
use kube::Client;
use serde_json::{Value, json};

use super::callers::Caller;
use super::document::Document;
use super::far::{ADDRESS, Far};
use super::objects::{self, CLASSES};

const FLAGS: [&str; 7] = [
    "enable-connector-apis-permissions",
    "enable-connector-apis-write-passthrough",
    "enable-connector-proxy-permissions",
    "enable-connectors-approval",
    "enable-multi-connector",
    "enable-custom-ca-certs",
    "enable-pod-image-pull-via-connector",
];
const SETTLE: Duration = Duration::from_secs(30);
/// How long a tool may be silent.
pub const SILENCE: &str = "3s";

pub struct Stage {
    pub client: Client,
    pub operator: Operator,
    pub proxy: Proxy,
    pub far: Far,
    /// May read the switches.
    administrator: Caller,
}

// === impl Stage ===

impl Stage {
    /// Starts everything, in a world that may have objects of an earlier one.
    pub async fn set(world: &World, document: &Document) -> Result<Self> {
        let folder = world.folder("connectors")?;
        let client = world.control_plane.client();
        world::install(world.kubectl(), world.programs()).await?;
        let kinds = [
            "crd/connectors.connectors.alauda.io",
            "crd/connectorclasses.connectors.alauda.io",
        ];
        let wanted = ["wait", "--for=condition=Established", "--timeout=30s"];
        world.kubectl().run(&[&wanted[..], &kinds].concat()).await?;
        let (mut names, ports) = document.hosts();
        for (namespace, name) in document.services() {
            names.insert(format!("{name}.{namespace}.svc.cluster.local"));
            objects::namespace(&client, &namespace).await?;
            let service = Service::new(&namespace, &name, 80, &[(ADDRESS, 80).into()]);
            world.kubectl().apply(&service.manifest()).await?;
        }
        know(&folder, &names, ADDRESS)?;
        let far = Far::start(&folder, &names, &ports).await?;
        let rights = |account| {
            world
                .control_plane
                .service_account_kubeconfig("genkan-system", account)
        };
        let operator = Operator::with(
            world.programs(),
            &folder,
            &Source::Kubernetes(rights("genkan-operator").await?),
            (9300, 9301),
            &["--grpc-plaintext", "--grpc-plaintext-secrets", "--log", "debug"],
        );
        let kubeconfig = rights("genkan-dataplane").await?.display().to_string();
        let address = format!("{ADDRESS}/24");
        let arguments = [
            "--authentication",
            "kubernetes",
            "--kubeconfig",
            &kubeconfig,
            "--allow-upstream-cidr",
            &address,
            "--upstream-read-timeout",
            SILENCE,
            "--drain-delay",
            "0s",
            "--drain-timeout",
            "1s",
            "--log",
            "debug",
        ];
        let proxy = Proxy::new(
            world.programs(),
            &folder,
            1,
            operator.grpc,
            (8001, 9401),
            &arguments,
        );
        let administrator = administrator(world, &client).await?;
        let stage = Self {
            client,
            operator,
            proxy: proxy.trusting(&far.ca),
            far,
            administrator,
        };
        stage.operator.start().await?;
        stage.proxy.start().await?;
        stage.switch(&[]).await?;
        Ok(stage)
    }

    pub async fn end(self) -> Result<()> {
        self.operator.expect_running()?;
        self.proxy.expect_running()?;
        self.proxy.stop().await?;
        self.operator.stop().await?;
        self.far.stop().await;
        Ok(())
    }

    /// A namespace whose Secrets the operator may read.
    pub async fn team(&self, namespace: &str) -> Result<()> {
        objects::namespace(&self.client, namespace).await?;
        let folder = objects::role_bindings(namespace);
        objects::apply(&self.client, &folder, &objects::secrets_binding()).await?;
        Ok(())
    }

    /// Exactly these switches are on; returns when the data plane knows.
    pub async fn switch(&self, on: &[&str]) -> Result<()> {
        let value = |flag: &&str| ((*flag).to_owned(), Value::from(on.contains(flag).to_string()));
        let data: Value = Value::Object(FLAGS.iter().map(value).collect());
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "connectors-config"}, "data": data,
        });
        objects::apply(&self.client, "/api/v1/namespaces/genkan-system/configmaps", &map).await?;
        wait::until_true("the switches are known", SETTLE, || async {
            let shown = self
                .call("/connectors-operator/featureflags", &self.administrator)
                .await?;
            Ok(shown.json().is_ok_and(|shown: Value| shown == data))
        })
        .await
    }

    /// GET with a token.
    pub async fn call(&self, target: &str, caller: &Caller) -> Result<Answer> {
        let bearer = format!("Bearer {}", caller.token);
        let headers = [("Authorization", bearer.as_str())];
        let request = Request {
            headers: &headers,
            ..Request::get(target)
        };
        http1::send(self.proxy.listen, request).await
    }

    /// Waits until the data plane serves what the operator compiled.
    pub async fn in_step(&self) -> Result<()> {
        wait::until_true("the data plane serves what was compiled", SETTLE, || async {
            Ok(self.proxy.config().await?.hash == self.operator.config().await?.hash)
        })
        .await
    }

    /// Waits until a condition has this status and reason, and returns its message.
    pub async fn until_condition(
        &self,
        path: &str,
        kind: &str,
        status: &str,
        reason: &str,
        limit: Duration,
    ) -> Result<String> {
        let what = format!("{path}: {kind}={status} {reason}");
        wait::until(&what, limit, || async {
            let object = objects::get(&self.client, path).await?;
            let seen = objects::condition(&object, kind);
            match seen.filter(|seen| seen["status"] == status && seen["reason"] == reason) {
                Some(seen) => Ok(Some(seen["message"].as_str().unwrap_or_default().to_owned())),
                None => anyhow::bail!("{}", objects::spoken(&object)),
            }
        })
        .await
    }

    /// Waits until a call is answered so, and returns the answer.
    pub async fn until_answer(&self, target: &str, caller: &Caller, status: u16) -> Result<Answer> {
        wait::until(&format!("{target} is answered with {status}"), SETTLE, || async {
            let answer = self.call(target, caller).await?;
            anyhow::ensure!(answer.status == status, "{} {}", answer.status, answer.text());
            Ok(Some(answer))
        })
        .await
    }

    /// Waits until nothing is wrong with an object, and says what was wrong last if that does not come.
    pub async fn until_right(
        &self,
        path: &str,
        wrong: impl Fn(&Value) -> Vec<String>,
    ) -> Result<Vec<String>> {
        let last = parking_lot::Mutex::new(Vec::new());
        let right = wait::until_true("it is right", Duration::from_secs(15), || async {
            let object = objects::get(&self.client, path).await?;
            let mut now = wrong(&object);
            let is_right = now.is_empty();
            now.push(objects::spoken(&object));
            *last.lock() = now;
            Ok(is_right)
        });
        Ok(match right.await {
            Ok(()) => Vec::new(),
            Err(_) => last.into_inner(),
        })
    }

    /// Everything of the fixtures, until each of it is decided and served.
    pub async fn install(&self, document: &Document) -> Result<()> {
        self.team("default").await?;
        let fixtures = &document.0["fixtures"];
        for secret in fixtures["secrets"].as_array().into_iter().flatten() {
            let object = json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret["metadata"]["name"]},
                "type": secret["type"], "data": secret["data"],
            });
            objects::apply(&self.client, &objects::secrets("default"), &object).await?;
        }
        let mut paths = Vec::new();
        for (what, kind, folder) in [
            ("connectorClasses", "ConnectorClass", CLASSES.to_owned()),
            ("connectors", "Connector", objects::connectors("default")),
        ] {
            for fixture in fixtures[what].as_array().into_iter().flatten() {
                let name = fixture["metadata"]["name"].as_str().unwrap_or_default();
                let mut object = objects::made(kind, name, &fixture["spec"]);
                for member in ["annotations", "labels"] {
                    if !fixture["metadata"][member].is_null() {
                        object["metadata"][member] = fixture["metadata"][member].clone();
                    }
                }
                objects::apply(&self.client, &folder, &object).await?;
                paths.push((format!("{folder}/{name}"), &fixture["status"]));
            }
        }
        for (path, status) in paths {
            let wrong = self
                .until_right(&path, |object| unsettled(object, status))
                .await?;
            anyhow::ensure!(wrong.is_empty(), "{path}: {}", wrong.join("; "));
        }
        self.in_step().await
    }
}

/// Why it is not what the fixture says, or is not decided yet.
fn unsettled(object: &Value, status: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let is = |kind: &str, words: &[&str]| {
        objects::condition(object, kind)
            .is_some_and(|condition| words.contains(&condition["status"].as_str().unwrap_or_default()))
    };
    if !is("Ready", &["True", "False"]) || !is("Programmed", &["True"]) {
        wrong.push("it is not decided, or not served".to_owned());
    }
    for pointer in ["/api/address/url", "/api/path", "/proxy/httpAddress/url"] {
        let (wanted, seen) = (status.pointer(pointer), object["status"].pointer(pointer));
        if wanted != seen {
            wrong.push(format!("status{pointer}: {seen:?}, expected {wanted:?}"));
        }
    }
    wrong
}

async fn administrator(world: &World, client: &Client) -> Result<Caller> {
    let account = "switches";
    let token = genkan_e2e::callers::token(client, account).await?;
    let rule = "{apiGroups: [connectors.alauda.io], resources: [connectorclasses], verbs: [list]}";
    genkan_e2e::callers::bind(world.kubectl(), account, rule).await?;
    Ok(Caller { token })
}
