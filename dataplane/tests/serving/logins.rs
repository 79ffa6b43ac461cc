//! An origin for each web UI, and how people log in there.

use genkan_kit::wire::values;
use genkan_proto::v1alpha1::{Directives, Resource, SecretValue};
use tokio::time::timeout;

use crate::kit::{Answer, Backend, Client, PATIENCE};
use crate::listener::Files;
use crate::objects::{mk_host, mk_proxy, mk_secret, none};
use crate::process::Process;
use crate::reviews::ApiServer;

const FLAGS: [&str; 6] = [
    "--public-url",
    "https://gw.example",
    "--apps-domain",
    "apps.example",
    "--token-cookie",
    "token",
];
const NAVIGATION: &str = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";

/// What the operator makes for those who log in.
fn mk_key(key: &str) -> (Resource, SecretValue) {
    let (mut resource, mut value) = mk_secret("login", key);
    for name in [&mut resource.key, &mut value.key] {
        *name = "Secret/.genkan/login".to_owned();
    }
    (resource, value)
}

/// A data plane of a fleet with two web UIs, which asks who calls.
async fn start(api: &ApiServer, backend: &Backend, more: &[&str]) -> Process {
    let kubeconfig = api.kubeconfig();
    let flags = [&FLAGS, more].concat();
    let process = Process::start(&ApiServer::flags(&kubeconfig, &flags)).await;
    let (key, value) = mk_key("0123456789abcdef0123456789abcdef");
    *process.operator.heard().secrets.lock() = vec![value];
    let ui = |name: &str| {
        let stripped = Directives {
            strip_path_prefix: format!("/proxy/{name}"),
            ..none()
        };
        mk_proxy(
            name,
            &format!("/proxy/{name}/*"),
            mk_host(backend.address),
            stripped,
        )
    };
    process.operator.publish(vec![ui("ui"), ui("other"), key]).await;
    process
}

async fn get(process: &Process, host: &str, target: &str, lines: &str) -> Answer {
    ask(Client::connect(process.address).await, host, target, lines).await
}

async fn ask<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    mut client: Client<S>,
    host: &str,
    target: &str,
    lines: &str,
) -> Answer {
    client
        .send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"))
        .await;
    client.answer().await.unwrap()
}

fn location(answer: &Answer) -> &str {
    answer.header("location").unwrap_or_default()
}

/// Name and value of a cookie that an answer sets.
fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let mut all = values(&answer.headers, "set-cookie");
    let found = all.find(|line| line.starts_with(&format!("{name}=")))?;
    for attribute in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"] {
        assert!(found.contains(attribute), "{found}");
    }
    Some(found.split(';').next().unwrap_or_default().to_owned())
}

/// A browser on its way: what it has to bring back, and the address with the code.
struct Begun {
    cookie: String,
    login: String,
}

async fn begin(process: &Process, host: &str) -> Begun {
    let invited = get(process, host, "/a?b=1", NAVIGATION).await;
    assert_eq!(invited.status, 303, "{}", invited.text());
    assert_eq!(invited.header("x-genkan-reason"), Some("LoggedIn"));
    assert_eq!(invited.header("cache-control"), Some("no-store"));
    let login = location(&invited).strip_prefix("https://gw.example");
    let login = login.unwrap_or_else(|| panic!("{}", location(&invited)));
    Begun {
        cookie: cookie(&invited, "__Host-genkan-login").unwrap(),
        login: login.to_owned(),
    }
}

impl Begun {
    /// The code comes back in the address of the session, which is given without its host.
    async fn log_in(&self, process: &Process) -> String {
        let lines = format!("{NAVIGATION}Cookie: token=tok-jane\r\n");
        let sent = get(process, "gw.example", &self.login, &lines).await;
        assert_eq!(sent.status, 303, "{}", sent.text());
        assert_eq!(sent.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(values(&sent.headers, "set-cookie").count(), 0);
        let back = location(&sent).strip_prefix("https://ui.apps.example");
        let back = back.unwrap_or_else(|| panic!("{}", location(&sent)));
        assert!(!back.contains("tok-jane"));
        back.to_owned()
    }

    fn line(&self) -> String {
        format!("Cookie: {}\r\n", self.cookie)
    }
}

#[tokio::test]
async fn a_browser_logs_in_by_way_of_the_front() {
    let (api, backend) = (ApiServer::start().await, Backend::ok().await);
    api.refuse_anonymous();
    let process = start(&api, &backend, &[]).await;
    let begun = begin(&process, "ui.apps.example").await;
    let back = begun.log_in(&process).await;
    assert!(back.ends_with("&to=/a%3Fb%3D1"), "{back}");
    let session = get(&process, "ui.apps.example", &back, &begun.line()).await;
    assert_eq!((session.status, location(&session)), (303, "/a?b=1"));
    assert_eq!(
        cookie(&session, "__Host-genkan-login").as_deref(),
        Some("__Host-genkan-login=")
    );
    let held = cookie(&session, "__Host-genkan").unwrap();
    assert!(!held.contains("tok-jane"), "{held}");
    assert_eq!(session.header("cross-origin-opener-policy"), Some("same-origin"));
    // From now on the cookie says who calls; its backend never sees it.
    let lines = format!("Cookie: mine=1; {held}\r\n");
    let before = backend.lengths();
    let served = get(&process, "ui.apps.example", "/a?b=1", &lines).await;
    assert_eq!(served.status, 200);
    let told = backend.received_since(&before);
    assert!(
        told.starts_with("GET /a?b=1 ") && told.contains("Cookie: mine=1\r\n") && !told.contains("tok-jane"),
        "{told}"
    );
    // A change has to come from a page of this very host.
    for (origin, expected) in [
        ("https://ui.apps.example", 200),
        ("https://other.apps.example", 403),
    ] {
        let mut client = Client::connect(process.address).await;
        client
            .send(format!(
                "POST /a HTTP/1.1\r\nHost: ui.apps.example\r\nOrigin: {origin}\r\nCookie: {held}\r\nContent-Length: 0\r\n\r\n"
            ))
            .await;
        assert_eq!(client.answer().await.unwrap().status, expected, "{origin}");
    }
    // On each host its own cookie counts alone, and that of one UI is nothing at another, nor is a token in its place.
    for (host, target, line, reason) in [
        ("gw.example", "/proxy/ui/a", held.as_str(), "AccessDenied"),
        (
            "gw.example",
            "/proxy/ui/a",
            "__Host-genkan=tok-jane",
            "AccessDenied",
        ),
        ("ui.apps.example", "/a", "token=tok-jane", "AccessDenied"),
        ("other.apps.example", "/a", held.as_str(), "TokenRejected"),
        ("ui.apps.example", "/a", "__Host-genkan=tok-jane", "TokenRejected"),
        (
            "ui.apps.example",
            "/a",
            "__Host-genkan=x; __Host-genkan=y",
            "CredentialNotUnderstood",
        ),
        (
            "gw.example",
            "/proxy/ui/a",
            "token=tok-jane; token=x",
            "CredentialNotUnderstood",
        ),
    ] {
        let refused = get(&process, host, target, &format!("Cookie: {line}\r\n")).await;
        assert_eq!(refused.header("x-genkan-reason"), Some(reason), "{host} {line}");
    }
    for bearer in [&held["__Host-genkan=".len()..], "x"] {
        let lines = format!("Authorization: Bearer {bearer}\r\n");
        let refused = get(&process, "gw.example", "/proxy/ui/a", &lines).await;
        assert_eq!(refused.header("x-genkan-reason"), Some("TokenRejected"));
    }
    // A session that has ended begins anew, and scripts are told so.
    let ended = "Cookie: __Host-genkan=AAAA\r\n";
    let refused = get(&process, "ui.apps.example", "/a", ended).await;
    assert_eq!(refused.status, 401);
    let invited = get(&process, "ui.apps.example", "/a", &format!("{NAVIGATION}{ended}")).await;
    assert_eq!(invited.status, 303);
    for secret in ["tok-jane", "code=", "state="] {
        assert!(!process.log().contains(secret), "{secret} in {}", process.log());
    }
}

#[tokio::test]
async fn a_code_is_of_use_to_nobody_else() {
    let (api, backend) = (ApiServer::start().await, Backend::ok().await);
    api.refuse_anonymous();
    let process = start(&api, &backend, &[]).await;
    let second = start(&api, &backend, &[]).await;
    let begun = begin(&process, "ui.apps.example").await;
    let thief = begin(&process, "ui.apps.example").await;
    // Stolen: the thief's browser has another cookie, or none. Forged for another host: it is not of that.
    for (host, line) in [
        ("ui.apps.example", thief.line()),
        ("ui.apps.example", String::new()),
        ("other.apps.example", begun.line()),
    ] {
        let back = begun.log_in(&process).await;
        let refused = get(&process, host, &back, &line).await;
        assert_eq!(refused.status, 400, "{host} {line}");
        assert_eq!(refused.header("x-genkan-reason"), Some("LoginRefused"));
        assert_eq!(values(&refused.headers, "set-cookie").count(), 0);
        assert_eq!(refused.header("cross-origin-opener-policy"), Some("same-origin"));
        assert!(!refused.text().contains("cookie"), "{}", refused.text());
        // Nobody can use it any more, but where it is not that host's it was never opened.
        let late = get(&process, "ui.apps.example", &back, &begun.line()).await;
        assert_eq!(late.status, if host == "ui.apps.example" { 400 } else { 303 });
    }
    // A UI that begins for its reader, by a cookie of its own making, and whose backend brings the code that its scripts have
    // read, gets a session of its own host, which it has anyway, and never the token.
    let own = "0123456789abcdef";
    let state = genkan_callers::login::state_of(own);
    let login = format!("/.genkan/login?app=ui&state={state}&to=/");
    let lines = format!("{NAVIGATION}Cookie: token=tok-jane\r\n");
    let sent = get(&process, "gw.example", &login, &lines).await;
    let read = location(&sent).strip_prefix("https://ui.apps.example").unwrap();
    let line = format!("Cookie: __Host-genkan-login={own}\r\n");
    let taken = get(&process, "ui.apps.example", read, &line).await;
    let stolen = cookie(&taken, "__Host-genkan").unwrap();
    assert!(!taken.text().contains("tok-jane") && !stolen.contains("tok-jane"));
    for (host, target, expected) in [
        ("ui.apps.example", "/a", 200),
        ("other.apps.example", "/a", 401),
        ("gw.example", "/proxy/other/a", 403),
    ] {
        let lines = format!("Cookie: {stolen}\r\n");
        assert_eq!(
            get(&process, host, target, &lines).await.status,
            expected,
            "{host}"
        );
    }
    let back = begun.log_in(&process).await;
    // It is good once, at each data plane.
    assert_eq!(
        get(&process, "ui.apps.example", &back, &begun.line())
            .await
            .status,
        303
    );
    assert_eq!(
        get(&process, "ui.apps.example", &back, &begun.line())
            .await
            .status,
        400
    );
    assert_eq!(
        get(&second, "ui.apps.example", &back, &begun.line()).await.status,
        303
    );
    assert_eq!(
        get(&second, "ui.apps.example", &back, &begun.line()).await.status,
        400
    );
    // Neither is another host told by a front that is not asked in a window of its own.
    for lines in [
        "Cookie: token=tok-jane\r\n",
        "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\nCookie: token=tok-jane\r\n",
    ] {
        let refused = get(&process, "gw.example", &begun.login, lines).await;
        assert_eq!((refused.status, refused.header("location")), (403, None));
    }
    let unpublished = begun.login.replace("app=ui", "app=nobody");
    let lines = format!("{NAVIGATION}Cookie: token=tok-jane\r\n");
    assert_eq!(
        get(&process, "gw.example", &unpublished, &lines).await.status,
        404
    );
}

#[tokio::test]
async fn another_key_ends_what_was_sealed_and_none_says_so() {
    let (api, backend) = (ApiServer::start().await, Backend::ok().await);
    api.refuse_anonymous();
    let process = start(&api, &backend, &[]).await;
    let begun = begin(&process, "ui.apps.example").await;
    let back = begun.log_in(&process).await;
    let (key, value) = mk_key("another-key-another-key-another-");
    *process.operator.heard().secrets.lock() = vec![value];
    let ui = Directives {
        strip_path_prefix: "/proxy/ui".into(),
        ..none()
    };
    let ui = mk_proxy("ui", "/proxy/ui/*", mk_host(backend.address), ui);
    process.operator.publish(vec![ui.clone(), key]).await;
    assert_eq!(
        get(&process, "ui.apps.example", &back, &begun.line())
            .await
            .status,
        400
    );
    process.operator.publish(vec![ui]).await;
    // Nobody is sent where nobody can be helped.
    let refused = get(&process, "ui.apps.example", "/a", NAVIGATION).await;
    assert_eq!(refused.status, 503);
    assert_eq!(get(&process, "ui.apps.example", "/a", "").await.status, 403);
    let lines = format!("{NAVIGATION}Cookie: token=tok-jane\r\n");
    let refused = get(&process, "gw.example", &begun.login, &lines).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("x-genkan-reason"), Some("LoginUnavailable"));
}

#[tokio::test]
async fn a_connection_is_for_one_door() {
    let (api, backend, files) = (ApiServer::start().await, Backend::ok().await, Files::new());
    files.write("b", "*.apps.example");
    let more = files.flags();
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    let process = start(&api, &backend, &more).await;
    for (name, host, target, expected) in [
        ("ui.apps.example", "ui.apps.example", "/a", 200),
        // One connection may be for several web UIs.
        ("other.apps.example", "ui.apps.example", "/a", 200),
        ("gw.example", "gw.example", "/proxy/ui/a", 200),
        ("gw.example", "ui.apps.example", "/a", 421),
        ("ui.apps.example", "gw.example", "/proxy/ui/a", 421),
        ("ui.apps.example", "UI.apps.example", "/a", 404),
        ("ui.apps.example", "ui.apps.example.", "/a", 404),
        ("ui.apps.example", "nobody.apps.example", "/a", 404),
    ] {
        let mut caller = files.client();
        caller.name = name;
        let connection = timeout(PATIENCE, caller.connect(&process))
            .await
            .unwrap()
            .unwrap();
        let answer = ask(Client::new(connection), host, target, "Connection: close\r\n").await;
        assert_eq!(answer.status, expected, "{host} by {name}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_name_is_one_ui_and_the_front_has_all_of_them() {
    let (api, backend) = (ApiServer::start().await, Backend::ok().await);
    let process = start(&api, &backend, &["--apps-only"]).await;
    let before = backend.lengths();
    for target in ["/api/v1/pods", "/proxy/other/", "/version", "/kapis/x/v1/y"] {
        let served = get(&process, "ui.apps.example", target, "").await;
        assert_eq!(served.status, 200, "{target}");
    }
    let told = backend.received_since(&before);
    assert!(told.contains("GET /proxy/other/ HTTP"), "{told}");
    assert!(!told.to_lowercase().contains("x-forwarded-prefix"), "{told}");
    for (target, to) in [
        ("/proxy/ui/a?b=1", "https://ui.apps.example/a?b=1"),
        ("/clusters/host/proxy/ui/a", ""),
    ] {
        let sent = get(&process, "gw.example", target, "").await;
        assert_eq!(location(&sent), to, "{target} {}", sent.text());
    }
    // A rebound name is the main door, as it was; a UI by its name is not.
    let rebound = get(&process, "evil.example", "/proxy/ui/a", "").await;
    assert_eq!(location(&rebound), "https://ui.apps.example/a");
}
