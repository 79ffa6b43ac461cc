//! Web UIs with names of their own: a person logs in there with a browser, and authors learn what their pages ask for in vain.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::http::{HeaderMap, header};
use axum::response::Html;
use axum::routing::get;
use genkan_e2e::browser::{self, Browser};
use genkan_e2e::callers::{bind, bind_to, token};
use genkan_e2e::http1::{self, Answer, Request};
use genkan_e2e::namespace::know;
use genkan_e2e::pki::Authority;
use genkan_e2e::product::{Operator, Proxy, Source};
use genkan_e2e::publish::{apply, reverse_proxy};
use genkan_e2e::scenarios;
use genkan_e2e::suite::{Stage, Suite};
use genkan_e2e::wait;
use genkan_e2e::world::{self, World};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub fn suite() -> Suite {
    Suite {
        name: "logins",
        stage: Stage::Programs,
        apart: false,
        scenarios: scenarios!(
            together: [],
            alone: [
                a_person_logs_in_to_a_ui_by_its_name,
                pages_that_ask_in_vain_are_told_of_in_the_status,
            ],
        ),
    }
}

const PATIENCE: Duration = Duration::from_secs(60);
const PUBLIC: &str = "https://gw.test:8443";
const APPS: &str = "apps.test";
/// As a page of the front that logs people in: the token stands behind the number sign.
const DOOR: &str = r#"<!doctype html><title>door</title><body><script>
document.cookie = `token=${location.hash.slice(1)}; Path=/; Secure`;
document.body.append("you are in");
</script>"#;

/// The operator and one data plane, told how people reach them.
struct Front {
    operator: Operator,
    proxy: Proxy,
}

impl Front {
    async fn start(world: &World) -> Result<Self> {
        let folder = world.folder("front")?;
        world::install(world.kubectl(), world.programs()).await?;
        let names = ["gw.test", "ui.apps.test", "other.apps.test", "nobody.apps.test"];
        let names: BTreeSet<String> = names.map(ToOwned::to_owned).into();
        know(&folder, &names, Ipv4Addr::LOCALHOST.into())?;
        let authority = Authority::new(&folder, "front")?;
        let front = authority.server("gw", &["gw.test"])?;
        let apps = authority.server("apps", &["*.apps.test"])?;
        let rights = |account| {
            world
                .control_plane
                .service_account_kubeconfig("genkan-system", account)
        };
        let told = ["--public-url", PUBLIC, "--apps-domain", APPS];
        let source = Source::Kubernetes(rights("genkan-operator").await?);
        let plain = ["--grpc-plaintext", "--grpc-plaintext-secrets"];
        let operator = Operator::with(
            world.programs(),
            &folder,
            &source,
            (9300, 9301),
            &[&plain[..], &told].concat(),
        );
        let kubeconfig = rights("genkan-dataplane").await?.display().to_string();
        let files = [&front, &apps].map(|pair| {
            (
                pair.certificate.display().to_string(),
                pair.key.display().to_string(),
            )
        });
        let mut arguments = vec!["--authentication", "kubernetes", "--kubeconfig", &kubeconfig];
        arguments.extend(["--allow-upstream-cidr", "127.0.0.0/8", "--token-cookie", "token"]);
        arguments.extend(["--drain-delay", "0s", "--drain-timeout", "1s"]);
        arguments.extend(["--tls-listen", "127.0.0.1:8443"]);
        for (certificate, key) in &files {
            arguments.extend(["--tls-cert-file", certificate, "--tls-key-file", key]);
        }
        arguments.extend(told);
        let proxy = Proxy::new(
            world.programs(),
            &folder,
            1,
            operator.grpc,
            (8001, 9401),
            &arguments,
        );
        operator.start().await?;
        proxy.start().await?;
        Ok(Self { operator, proxy })
    }

    async fn end(self) -> Result<()> {
        self.operator.expect_running()?;
        self.proxy.expect_running()?;
        self.proxy.stop().await?;
        self.operator.stop().await
    }
}

/// Pages of a UI that say who reads them, and the page that logs people in.
async fn ui() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let who = |headers: HeaderMap| async move {
        let text = |name: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or("none").to_owned()
        };
        let (user, cookies) = (text("x-remote-user"), text(header::COOKIE.as_str()));
        Html(format!(
            "<!doctype html><title>ui</title><p>user {user}, cookies {cookies}"
        ))
    };
    let router = Router::new()
        .route("/door", get(|| async { Html(DOOR) }))
        .route("/a", get(who).post(who));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn a_person_logs_in_to_a_ui_by_its_name(world: Arc<World>) -> Result<()> {
    let Some(program) = browser::find() else {
        println!("skipped: there is no browser; install chromium");
        return Ok(());
    };
    let front = Front::start(&world).await?;
    let client = world.control_plane.client();
    let backend = ui().await?;
    for name in ["ui", "other", "door"] {
        let directives = json!({ "authProxy": true });
        apply(
            &client,
            &reverse_proxy(name, &format!("/proxy/{name}"), &backend, directives),
        )
        .await?;
    }
    let shown = world
        .kubectl()
        .run(&["get", "rp", "ui", "-o", "jsonpath={.status.urls}"])
        .await?;
    let urls: Value = serde_json::from_str(&shown).with_context(|| shown.clone())?;
    assert_eq!(
        urls,
        json!(["https://ui.apps.test:8443/", "https://gw.test:8443/proxy/ui/"])
    );
    let wide = world.kubectl().run(&["get", "rp", "ui", "-o", "wide"]).await?;
    ensure!(wide.contains("https://ui.apps.test:8443/"), "{wide}");
    let secret = token(&client, "carol").await?;
    let rule = r#"{nonResourceURLs: ["/proxy/ui/*", "/proxy/other/*"], verbs: ["get", "post"]}"#;
    bind(world.kubectl(), "carol", rule).await?;
    let nobody =
        json!({"kind": "Group", "name": "system:unauthenticated", "apiGroup": "rbac.authorization.k8s.io"});
    let rule = r#"{nonResourceURLs: ["/proxy/door/*"], verbs: ["get"]}"#;
    bind_to(world.kubectl(), "door", rule, &nobody).await?;

    let folder = world.folder("browser")?;
    let browser = Browser::start_with(program, &folder, &["--ignore-certificate-errors"])?;
    let page = browser.page(PATIENCE).await?;
    // Who is not known is told to log in, and where.
    page.navigate("https://ui.apps.test:8443/a?b=1").await?;
    page.wait_said("log in, and open ui again").await?;
    page.navigate(&format!("{PUBLIC}/proxy/door/door#{secret}"))
        .await?;
    page.wait_said("you are in").await?;
    page.navigate("https://ui.apps.test:8443/a?b=1").await?;
    page.wait_said("user system:serviceaccount:default:carol, cookies none")
        .await?;
    let seen = page.evaluate("[location.href, document.cookie]").await?;
    assert_eq!(seen, json!(["https://ui.apps.test:8443/a?b=1", ""]));
    // A change of its own page is let through; that of its neighbour is not, and cannot be read either.
    let posts =
        "(await fetch('https://ui.apps.test:8443/a', {method: 'POST', credentials: 'include'})).status";
    assert_eq!(page.evaluate(posts).await?, json!(200));
    page.navigate("https://other.apps.test:8443/a").await?;
    page.wait_said("carol").await?;
    let reads = format!("await (async () => {{ try {{ return {posts} }} catch (e) {{ return e.name }} }})()");
    assert_eq!(page.evaluate(&reads).await?, json!("TypeError"));
    // A name that nobody has is nothing, and never the main front.
    page.navigate("https://nobody.apps.test:8443/proxy/door/door")
        .await?;
    page.wait_said("404").await?;
    page.close().await?;
    ensure!(!front.proxy.output().contains(&secret), "the token is in the log");
    front.end().await
}

async fn pages_that_ask_in_vain_are_told_of_in_the_status(world: Arc<World>) -> Result<()> {
    let front = Front::start(&world).await?;
    let client = world.control_plane.client();
    let backend = ui().await?;
    apply(
        &client,
        &reverse_proxy("blind", "/proxy/blind", &backend, json!({})),
    )
    .await?;
    let secret = token(&client, "dave").await?;
    let rule = r#"{nonResourceURLs: ["/proxy/blind/*"], verbs: ["get"]}"#;
    bind(world.kubectl(), "dave", rule).await?;
    let bearer = format!("Bearer {secret}");
    let ask = async |path: &str, authorization: Option<&str>| -> Result<Answer> {
        let mut headers = vec![
            ("Sec-Fetch-Site", "same-origin"),
            ("Referer", "https://gw.test:8443/proxy/blind/page"),
        ];
        headers.extend(authorization.map(|value| ("Authorization", value)));
        let request = Request {
            headers: &headers,
            ..Request::get(path)
        };
        http1::send(front.proxy.listen, request).await
    };
    let sentence = "pages of blind ask for /_dash-layout outside of /proxy/blind: the UI does not know its prefix; set its base \
                    path, or open https://blind.apps.test:8443/";
    let told = wait::until("who may is told", PATIENCE, || async {
        let answer = ask("/_dash-layout?x", Some(&bearer)).await?;
        Ok(answer.text().contains("blind").then_some(answer))
    })
    .await?;
    ensure!(
        told.status == 404 && told.text().contains(sentence),
        "{}",
        told.text()
    );
    let stranger = ask("/_dash-layout?x", None).await?;
    ensure!(
        stranger.status == 404 && !stranger.text().contains("blind"),
        "{}",
        stranger.text()
    );
    let message = "jsonpath={.status.conditions[?(@.type==\"Ready\")].message}";
    wait::until("the status says so", PATIENCE, || async {
        let said = world
            .kubectl()
            .run(&["get", "rp", "blind", "-o", message])
            .await?;
        Ok(said.contains(sentence).then_some(()))
    })
    .await?;
    wait::until("an Event says so", PATIENCE, || async {
        let wanted = [
            "get",
            "events",
            "-o",
            "jsonpath={range .items[*]}{.reason} {.message}{\"\\n\"}{end}",
        ];
        let events = world.kubectl().run(&wanted).await?;
        Ok(events
            .contains(&format!("PrefixUnknown {sentence}"))
            .then_some(()))
    })
    .await?;
    let metrics = http1::get(front.proxy.admin, "/metrics").await?.text();
    let counted = metrics.lines().find_map(|line| {
        line.strip_prefix(
            r#"genkan_dataplane_escaped_requests_total{kind="ReverseProxy",namespace="",name="blind"} "#,
        )
    });
    let counted: u64 = counted.context("it is counted")?.parse()?;
    ensure!(counted >= 1, "{counted}");
    front.end().await
}
