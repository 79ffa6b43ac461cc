//! A person with a kubeconfig reaches a web UI behind genkan with a browser.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{Html, IntoResponse};
use axum::routing::{any, get, post};
use genkan_e2e::browser;
use genkan_e2e::callers::{bind, judging, token};
use genkan_e2e::http1;
use genkan_e2e::process::{Launch, Process};
use genkan_e2e::product::Proxy;
use genkan_e2e::publish::{apply, apply_only, reverse_proxy};
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
    let Some(browser) = browser::find() else {
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
    let to = format!("http://{}", proxies[0].listen);
    let open = Launch::new("open", &world.programs().genkan)
        .args(["open", "/proxy/ui/", "--kubeconfig"])
        .arg(own.display().to_string())
        .args(["--to", &to])
        .start(&folder)?;
    let printed = wait::until("genkan open prints its URLs", PATIENCE, || {
        let urls: Vec<String> = open.output().lines().map(ToOwned::to_owned).collect();
        async move { Ok(Some(urls).filter(|urls| urls.len() > 1)) }
    })
    .await?;
    let (by_host, by_path) = (&printed[0], printed[1].trim_start_matches("by path: "));
    ensure!(
        by_host.starts_with("http://ui.localhost:")
            && by_path.starts_with("http://127.0.0.1:")
            && by_path.ends_with("/proxy/ui/"),
        "{printed:?}"
    );

    // Where it has a host of its own, nothing of it is rewritten.
    for (url, link) in [(by_path, "/proxy/ui/about"), (by_host, "/about")] {
        seen.mark_unchanged();
        let profile = format!("profile-{}", link.len());
        let process = visit(browser, url, &folder, &profile)?;
        let result = tokio::time::timeout(PATIENCE, seen.changed()).await;
        result.with_context(|| format!("the page of {url} did not end:\n{}", process.tail(20)))??;
        let result = seen.borrow_and_update().clone().unwrap_or_default();
        let expected = json!({
            "link": link, "user": "system:serviceaccount:default:carol", "cookie": "session=1", "echo": "echo hello",
        });
        assert_eq!(result, expected, "{url}");
    }

    // A page of elsewhere must not borrow these rights.
    let address = by_path
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

/// With a profile of its own.
fn visit(browser: &str, url: &str, folder: &Path, profile: &str) -> Result<Process> {
    let profile = folder.join(profile).display().to_string();
    Launch::new("browser", browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ])
        .args([format!("--user-data-dir={profile}"), url.to_owned()])
        .start(folder)
}

/// Logs the reader in at its neighbour, and then asks for all that an answer could do to that.
const ATTACK: &str = r#"<!doctype html><title>a</title><script>
(async () => {
  const seen = {};
  await fetch("/proxy/b/login");
  await fetch("/proxy/a/attack");
  seen.neighbour = await (await fetch("/proxy/b/cookie")).text();
  seen.own = await (await fetch("/proxy/a/cookie")).text();
  const register = async (script, scope) => {
    try { await navigator.serviceWorker.register(script, { scope }); return "registered"; } catch (e) { return e.name; }
  };
  seen.workerOfNeighbour = await register("/proxy/a/sw.js", "/proxy/b/");
  seen.workerOfAll = await register("/proxy/a/sw.js", "/");
  seen.workerOfOwn = await register("/proxy/a/sw.js", "/proxy/a/");
  seen.workerOfExact = await register("/proxy/c.js", "/proxy/");
  await fetch("/proxy/a/result", { method: "POST", body: JSON.stringify(seen) });
})();
</script>"#;

/// One backend for all three: a hostile UI, its neighbour, and a single file of it beside both.
async fn neighbours(listener: TcpListener) -> watch::Receiver<Option<Value>> {
    let (result, seen) = watch::channel(None);
    let cookie = |headers: HeaderMap| async move {
        let value = headers.get(COOKIE).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let attack = || async {
        let mut headers = HeaderMap::new();
        for value in [
            "planted=1; Path=/",
            "stolen=1; Path=/proxy/b",
            "session=a; Path=/proxy/b",
        ] {
            headers.append(SET_COOKIE, HeaderValue::from_static(value));
        }
        let everything = HeaderValue::from_static("\"cookies\", \"storage\"");
        headers.insert("clear-site-data", everything);
        (headers, "done")
    };
    let worker = || async {
        let allowed = [
            ("content-type", "text/javascript"),
            ("service-worker-allowed", "/"),
        ];
        (allowed, "")
    };
    let save = |State(result): State<watch::Sender<Option<Value>>>, body: String| async move {
        result.send_replace(serde_json::from_str(&body).ok());
        "saved".into_response()
    };
    let router = Router::new()
        .route("/proxy/a/", get(|| async { Html(ATTACK) }))
        .route("/proxy/a/attack", get(attack))
        .route("/proxy/a/sw.js", get(worker))
        .route("/proxy/c.js", get(worker))
        .route("/proxy/a/cookie", get(cookie))
        .route("/proxy/a/result", post(save))
        .route(
            "/proxy/b/login",
            get(|| async { ([(SET_COOKIE, "session=b")], "in") }),
        )
        .route("/proxy/b/cookie", get(cookie))
        .with_state(result);
    tokio::spawn(async move { axum::serve(listener, router).await });
    seen
}

pub async fn no_ui_speaks_for_its_neighbour(world: Arc<World>) -> Result<()> {
    let Some(browser) = browser::find() else {
        println!("skipped: there is no browser; install chromium");
        return Ok(());
    };
    let client = world.control_plane.client();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = listener.local_addr()?.to_string();
    let mut seen = neighbours(listener).await;
    for (name, path) in [("a", "/proxy/a/*"), ("b", "/proxy/b/*"), ("c", "/proxy/c.js")] {
        let mut object = reverse_proxy(name, &format!("/proxy/{name}"), &url, json!({}));
        object["spec"]["matcher"]["path"] = path.into();
        object["spec"]["directives"] = json!({});
        // Others that were stopped are counted for a while; what this one serves is enough.
        apply_only(&client, &object).await?;
    }
    let folder = world.folder("neighbours")?;
    let flags = [
        "--authentication",
        "disabled",
        "--allow-upstream-cidr",
        "127.0.0.0/8",
    ];
    let operator = world.product().operator.grpc;
    let proxy = Proxy::new(world.programs(), &folder, 13, operator, (8022, 9422), &flags);
    proxy.start().await?;
    for path in ["/proxy/a/", "/proxy/b/cookie", "/proxy/c.js"] {
        wait::until("all of them are served", PATIENCE, || async {
            let answer = http1::send(proxy.listen, http1::Request::get(path)).await?;
            Ok((answer.status == 200).then_some(()))
        })
        .await?;
    }
    let url = format!("http://{}/proxy/a/", proxy.listen);
    let process = visit(browser, &url, &folder, "profile")?;
    let result = tokio::time::timeout(PATIENCE, seen.wait_for(Option::is_some)).await;
    let result = result
        .with_context(|| format!("the page did not end:\n{}", process.tail(20)))??
        .clone()
        .unwrap_or_default();
    let expected = json!({
        "neighbour": "session=b",
        "own": "planted=1; stolen=1; session=a",
        "workerOfNeighbour": "SecurityError",
        "workerOfAll": "SecurityError",
        "workerOfOwn": "registered",
        "workerOfExact": "TypeError",
    });
    assert_eq!(result, expected);
    proxy.stop().await
}
