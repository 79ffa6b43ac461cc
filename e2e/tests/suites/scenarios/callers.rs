//! Who may call: refused with the rule that is missing, let in with it, and out again when it is gone.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use genkan_e2e::callers::{bind, judging, token};
use genkan_e2e::http1::{self, Answer, Request};
use genkan_e2e::product::Proxy;
use genkan_e2e::publish::{apply, reverse_proxy};
use genkan_e2e::wait;
use genkan_e2e::world::World;
use serde_json::json;
use tokio::time::Instant;

const PORTS: [(u16, u16); 2] = [(8011, 9411), (8012, 9412)];
const PATH: &str = "/proxy/callers/a/b";
/// As documented: a no is kept for 10 s, a yes for 60 s.
const DENIED: Duration = Duration::from_secs(10);
const ALLOWED: Duration = Duration::from_secs(60);
/// The API server itself keeps what it knows of a token for 10 s, and a change of its own takes a moment to reach it.
const OF_THE_API_SERVER: Duration = Duration::from_secs(11);

async fn call(proxy: &Proxy, token: &str) -> Result<Answer> {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    let headers = if token.is_empty() { &[][..] } else { &headers };
    let request = Request {
        headers,
        ..Request::get(PATH)
    };
    http1::send(proxy.listen, request).await
}

pub async fn a_caller_is_refused_with_the_rule_and_let_in_with_it(world: Arc<World>) -> Result<()> {
    let client = world.control_plane.client();
    let backend = world.backend("callers", 80).await?;
    let url = backend.address.to_string();
    let object = reverse_proxy("callers", "/proxy/callers", &url, json!({"authProxy": true}));
    let proxies = judging(&world, &PORTS, &[]).await?;
    apply(&client, &object).await?;
    let ann = token(&client, "ann").await?;
    let bob = token(&client, "bob").await?;

    let nobody = call(&proxies[0], "").await?;
    assert_eq!(
        (nobody.status, nobody.header("x-genkan-reason")),
        (403, Some("AccessDenied"))
    );
    let stranger = call(&proxies[0], "stranger").await?;
    assert_eq!(
        (stranger.status, stranger.header("www-authenticate")),
        (401, Some("Bearer"))
    );
    assert_eq!(backend.requests(), 0);

    for (name, token) in [("ann", &ann), ("bob", &bob)] {
        let refused = call(&proxies[0], token).await?;
        assert_eq!(refused.status, 403, "{}", refused.text());
        let message = refused.json()?["message"].as_str().unwrap_or_default().to_owned();
        let rule = message
            .find('{')
            .map(|at| &message[at..])
            .context(message.clone())?;
        bind(world.kubectl(), name, rule).await.context(message.clone())?;
    }
    let begin = Instant::now();
    for proxy in &proxies {
        for token in [&ann, &bob] {
            let what = "the rule of the refusal lets the caller in";
            wait::until_true(what, DENIED + Duration::from_secs(2), || async {
                Ok(call(proxy, token).await?.status == 200)
            })
            .await?;
        }
    }
    println!("let in after {:.1} s", begin.elapsed().as_secs_f64());
    let seen = call(&proxies[0], &ann).await?.text();
    ensure!(seen.contains("system:serviceaccount:default:ann"), "{seen}");
    ensure!(!seen.contains(&ann), "the token stays here: {seen}");

    // Both at once, for each takes a while: Ann loses her rights, Bob his account.
    world
        .kubectl()
        .run(&["delete", "clusterrolebinding", "ann"])
        .await?;
    world.kubectl().run(&["delete", "serviceaccount", "bob"]).await?;
    let begin = Instant::now();
    let (mut rights, mut account) = (None, None);
    let limit = ALLOWED + OF_THE_API_SERVER;
    while rights.is_none() || account.is_none() {
        ensure!(
            begin.elapsed() < limit,
            "still let in: rights {rights:?}, account {account:?}"
        );
        let mut codes = [[0; 2]; 2];
        for (n, proxy) in proxies.iter().enumerate() {
            codes[n] = [call(proxy, &ann).await?.status, call(proxy, &bob).await?.status];
        }
        for code in codes.iter().flatten() {
            if !matches!(code, 200 | 401 | 403) {
                bail!("answered {code}");
            }
        }
        if rights.is_none() && codes.iter().all(|code| code[0] == 403) {
            rights = Some(begin.elapsed());
        }
        if account.is_none() && codes.iter().all(|code| code[1] == 401) {
            account = Some(begin.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!(
        "refused by both proxies: a binding that is gone after {rights:.1?}, an account after {account:.1?}"
    );
    ensure!(
        rights.is_some_and(|after| after <= ALLOWED),
        "the binding: {rights:?}"
    );
    for proxy in &proxies {
        proxy.stop().await?;
    }
    Ok(())
}

pub async fn a_newcomer_follows_the_script_to_an_answer(world: Arc<World>) -> Result<()> {
    let backend = world.backend("newcomer", 80).await?;
    let url = backend.address.to_string();
    let proxies = judging(&world, &PORTS[..1], &[]).await?;
    let object = reverse_proxy("newcomer", "/proxy/newcomer", &url, json!({}));
    apply(&world.control_plane.client(), &object).await?;
    let kubectl = world.kubectl().program();
    let folder = kubectl.parent().unwrap_or(kubectl).display().to_string();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    let begin = Instant::now();
    let output = tokio::process::Command::new("sh")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/caller.sh"))
        .arg(format!("http://{}/proxy/newcomer/a", proxies[0].listen))
        .env("PATH", path)
        .env("KUBECONFIG", world.control_plane.admin_kubeconfig())
        .output()
        .await?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{printed}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(
        printed.contains("\n403\n") && printed.trim_end().ends_with("\n200"),
        "{printed}"
    );
    ensure!(
        printed.contains(r#"{nonResourceURLs: [\"/proxy/newcomer/*\"], verbs: [\"get\"]}"#),
        "{printed}"
    );
    let took = begin.elapsed();
    println!("from nobody to an answer in {:.1} s", took.as_secs_f64());
    // What kubectl takes comes on top.
    ensure!(took < DENIED + Duration::from_secs(8), "it took {took:?}");
    for proxy in &proxies {
        proxy.stop().await?;
    }
    Ok(())
}

pub async fn a_data_plane_may_ask_and_nothing_else(world: Arc<World>) -> Result<()> {
    world.kubectl().apply(genkan_e2e::world::RBAC).await?;
    let kubeconfig = world
        .control_plane
        .service_account_kubeconfig("genkan-system", "genkan-dataplane")
        .await?;
    let own = world.kubectl().with_kubeconfig(&kubeconfig);
    let listed = own.run(&["auth", "can-i", "--list", "--no-headers"]).await?;
    // Everybody who is known may ask about themselves and read what versions there are.
    let theirs = |line: &&str| !line.starts_with("selfsubject") && !line.trim_start().starts_with('[');
    let rights: Vec<&str> = listed.lines().filter(theirs).map(str::trim_end).collect();
    let words: Vec<Vec<&str>> = rights
        .iter()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let named = |resource: &str| {
        words
            .iter()
            .any(|line| line.first() == Some(&resource) && line.last() == Some(&"[create]"))
    };
    ensure!(
        words.len() == 2
            && named("tokenreviews.authentication.k8s.io")
            && named("subjectaccessreviews.authorization.k8s.io"),
        "its rights are\n{listed}"
    );
    let secret = own.output(&["auth", "can-i", "get", "secrets", "-A"], "").await?;
    ensure!(secret.stdout.trim() == "no", "{}", secret.stdout);
    Ok(())
}
