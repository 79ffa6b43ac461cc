//! A person with a kubeconfig reaches a web UI behind genkan with a browser.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, header};
use axum::response::{Html, IntoResponse};
use axum::routing::{any, get, post};
use genkan_e2e::callers::{bind, judging, token};
use genkan_e2e::http1;
use genkan_e2e::process::Launch;
use genkan_e2e::publish::{apply, reverse_proxy};
use genkan_e2e::wait;
use genkan_e2e::world::World;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// As UIs are written that know of no proxy: everything is at the root.
const PAGE: &str = r#"<!doctype html><title>ui</title><body><a id="link" href="/about">about</a><script src="/app.js"></script>"#;
/// Where the page lies it learns from where its script came from.
const SCRIPT: &str = r#"
const base = new URL(".", document.currentScript.src);
(async () => {
  const seen = { link: document.getElementById("link").pathname };
  seen.user = await (await fetch(new URL("whoami", base))).text();
  seen.cookie = await (await fetch(new URL("cookie", base))).text();
  const socket = new WebSocket(new URL("ws", base).href.replace(/^http/, "ws"));
  seen.echo = await new Promise(done => {
    socket.onmessage = event => done(event.data);
    socket.onerror = () => done("error");
    socket.onopen = () => socket.send("hello");
  });
  await fetch(new URL("result", base), { method: "POST", body: JSON.stringify(seen) });
})();
"#;
const PORTS: [(u16, u16); 1] = [(8021, 9421)];
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const PATIENCE: Duration = Duration::from_secs(60);

/// A UI with a script, a session cookie and a WebSocket; what the page saw comes out of the channel.
async fn ui(listener: TcpListener) -> watch::Receiver<Option<Value>> {
    let (result, seen) = watch::channel(None);
    let text = |headers: &HeaderMap, name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let page = || async {
        (
            [(SET_COOKIE, "session=1; Path=/; HttpOnly; SameSite=Lax")],
            Html(PAGE),
        )
    };
    let whoami = move |headers: HeaderMap| async move { text(&headers, "x-remote-user") };
    let cookie = move |headers: HeaderMap| async move { text(&headers, COOKIE.as_str()) };
    let echo = |upgrade: WebSocketUpgrade| async move {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(message)) = socket.recv().await {
                if let Message::Text(text) = message
                    && socket
                        .send(Message::Text(format!("echo {text}").into()))
                        .await
                        .is_err()
                {
                    return;
                }
            }
        })
    };
    let save = |State(result): State<watch::Sender<Option<Value>>>, body: String| async move {
        result.send_replace(serde_json::from_str(&body).ok());
        "saved".into_response()
    };
    let router = Router::new()
        .route("/", get(page))
        .route(
            "/app.js",
            get(|| async { ([(header::CONTENT_TYPE, "text/javascript")], SCRIPT) }),
        )
        .route("/whoami", get(whoami))
        .route("/cookie", get(cookie))
        .route("/ws", any(echo))
        .route("/result", post(save))
        .with_state(result);
    tokio::spawn(async move { axum::serve(listener, router).await });
    seen
}

pub async fn a_browser_reaches_a_ui_with_the_rights_of_a_kubeconfig(world: Arc<World>) -> Result<()> {
    let Some(browser) = BROWSERS.into_iter().find(|name| runs(name)) else {
        println!("skipped: there is no browser; install chromium");
        return Ok(());
    };
    let client = world.control_plane.client();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = listener.local_addr()?.to_string();
    let mut seen = ui(listener).await;
    let directives = json!({ "stripPathPrefix": "/proxy/ui", "wrapTransport": true, "authProxy": true });
    apply(&client, &reverse_proxy("ui", "/proxy/ui", &url, directives)).await?;
    let proxies = judging(&world, &PORTS, &["--allow-upstream-cidr", "127.0.0.0/8"]).await?;
    token(&client, "carol").await?;
    bind(
        world.kubectl(),
        "carol",
        r#"{nonResourceURLs: ["/proxy/ui/*"], verbs: ["get", "post"]}"#,
    )
    .await?;

    let folder = world.folder("browser")?;
    let own = world
        .control_plane
        .service_account_kubeconfig("default", "carol")
        .await?;
    let launch = Launch::new("open", &world.programs().genkan)
        .args(["open", "/proxy/ui/", "--kubeconfig"])
        .arg(own.display().to_string())
        .args(["--to".to_owned(), format!("http://{}", proxies[0].listen)]);
    let open = launch.start(&folder)?;
    let printed = wait::until("genkan open prints a URL", PATIENCE, || {
        let url = open
            .output()
            .lines()
            .find(|line| line.starts_with("http://"))
            .map(ToOwned::to_owned);
        async move { Ok(url) }
    })
    .await?;
    ensure!(
        printed.starts_with("http://127.0.0.1:") && printed.ends_with("/proxy/ui/"),
        "{printed}"
    );

    let profile = folder.join("profile").display().to_string();
    let browser = Launch::new("browser", browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ])
        .args([format!("--user-data-dir={profile}"), printed.clone()]);
    let process = browser.start(&folder)?;
    let result = tokio::time::timeout(PATIENCE, seen.wait_for(Option::is_some)).await;
    let result = result
        .with_context(|| format!("the page did not end:\n{}", process.tail(20)))??
        .clone()
        .unwrap_or_default();
    let expected = json!({
        "link": "/proxy/ui/about", "user": "system:serviceaccount:default:carol", "cookie": "session=1", "echo": "echo hello",
    });
    assert_eq!(result, expected);

    // A page of elsewhere must not borrow these rights.
    let address = printed
        .trim_start_matches("http://")
        .split('/')
        .next()
        .unwrap_or_default()
        .parse()?;
    let request = http1::Request {
        headers: &[("Origin", "https://evil.example")],
        ..http1::Request::get("/proxy/ui/whoami")
    };
    let refused = http1::send(address, request).await?;
    assert_eq!(refused.status, 403, "{}", refused.text());
    for proxy in &proxies {
        proxy.stop().await?;
    }
    Ok(())
}

fn runs(program: &str) -> bool {
    let version = Command::new(program).arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}
