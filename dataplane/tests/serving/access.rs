//! What callers may do.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::identity::{send, serve};
use crate::kit::Backend;
use crate::objects::{mk_api, mk_host, mk_proxy, mk_stub, none};
use crate::process::Process;
use crate::reviews::{ApiServer, Verdict};

const JANE: &[&str] = &["Authorization: Bearer tok-jane"];

#[tokio::test]
async fn pattern_covers_what_is_below_and_is_asked_about_once() {
    let (process, _backend, api) = serve(&[]).await;
    api.allow(&["/proxy/*"]);
    for number in 0..20 {
        assert_eq!(
            send(&process, &format!("GET /proxy/{number}"), JANE).await.status,
            200
        );
    }
    assert_eq!(api.paths(), ["/proxy/*"]);
    assert_eq!(
        send(&process, "POST /proxy/1", &[JANE[0], "Content-Length: 0"])
            .await
            .status,
        200
    );
    let expected = json!({
        "user": "jane", "uid": "uid-jane", "groups": ["staff", "system:authenticated"],
        "nonResourceAttributes": { "path": "/proxy/*", "verb": "post" },
    });
    assert_eq!(api.questions()[1], expected, "another verb is another question");
}

#[tokio::test]
async fn refusal_prints_the_rule_and_is_kept_for_a_while() {
    let (process, backend, api) = serve(&[]).await;
    api.allow(&["/proxy/allowed"]);
    for _ in 0..3 {
        let answer = send(&process, "GET /proxy/secret%2Fplace", JANE).await;
        answer.assert_status(403);
        assert_eq!(answer.header("x-genkan-reason"), Some("AccessDenied"));
        let status: serde_json::Value = serde_json::from_str(&answer.text()).unwrap();
        let message = status["message"].as_str().unwrap();
        assert!(
            message.contains(r#"user "jane" cannot get path "/proxy/secret%2Fplace""#),
            "{message}"
        );
        assert!(
            message.ends_with(r#"{nonResourceURLs: ["/proxy/*"], verbs: ["get"]}"#),
            "{message}"
        );
    }
    assert_eq!(api.paths(), ["/proxy/*", "/proxy/secret%2Fplace"]);
    assert_eq!(
        send(&process, "GET /proxy/allowed", JANE).await.status,
        200,
        "the exact path suffices"
    );
    assert_eq!(backend.requests(), 1);
    let nobody = send(&process, "GET /proxy/x", &[]).await;
    assert!(
        nobody.text().contains("system:anonymous") && nobody.text().contains("no token"),
        "{nobody:?}"
    );
}

#[tokio::test]
async fn only_the_path_is_asked_about_where_that_is_wanted() {
    let (process, _backend, api) = serve(&["--access-review", "exact"]).await;
    api.allow(&["/proxy/*"]);
    assert_eq!(send(&process, "GET /proxy/a", JANE).await.status, 200);
    assert_eq!(api.paths(), ["/proxy/a"]);
}

#[tokio::test]
async fn resources_are_asked_about_as_such() {
    let (process, _backend, api) = serve(&[]).await;
    api.allow(&[]);
    let answer = send(
        &process,
        "GET /kapis/shop.example/v1/namespaces/n/carts?fieldSelector=metadata.name=c",
        JANE,
    )
    .await;
    answer.assert_status(403);
    assert!(
        answer.text().contains("in namespace") && answer.text().contains("apiGroups"),
        "{answer:?}"
    );
    assert_eq!(
        send(&process, "GET /kapis/shop.example/v1", JANE).await.status,
        403
    );
    let questions = api.questions();
    let expected = json!({ "verb": "list", "group": "shop.example", "version": "v1", "resource": "carts", "namespace": "n" });
    assert_eq!(questions[0]["resourceAttributes"], expected);
    assert_eq!(
        questions[1]["nonResourceAttributes"]["path"],
        "/kapis/shop.example/v1"
    );
}

#[tokio::test]
async fn path_of_an_api_is_allowed_in_every_reading_or_not_at_all() {
    const CARTS: &str = "/kapis/shop.example/v1/namespaces/n/carts";
    let (process, backend, api) = serve(&[]).await;
    api.allow(&["resource"]);
    for path in ["/x", "/x%20y", "/x;v=1", "/x/"] {
        let answer = send(&process, &format!("GET {CARTS}{path}"), JANE).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    assert_eq!(api.questions().len(), 4, "x once, and a space in both readings");
    for path in [
        "/x%2Fexec",
        "/x%2fexec",
        "/x%252Fexec",
        "/x//exec",
        "/x%2F%2Fexec",
    ] {
        for method in ["GET", "POST"] {
            let answer = send(
                &process,
                &format!("{method} {CARTS}{path}"),
                &[JANE[0], "Content-Length: 0"],
            )
            .await;
            answer.assert_status(403);
            let rule = r#"resources: [\"carts/exec\"]"#;
            assert!(answer.text().contains(rule), "{path}: {answer:?}");
        }
    }
    assert_eq!(backend.requests(), 4, "nothing of these was forwarded");
    let asked = api.questions().len();
    send(&process, &format!("GET {CARTS}/x%2Fexec"), JANE)
        .await
        .assert_status(403);
    assert_eq!(api.questions().len(), asked, "both answers are known");
    api.allow(&["resource", "subresource"]);
    let answer = send(
        &process,
        &format!("PUT {CARTS}/x%2Fexec"),
        &[JANE[0], "Content-Length: 0"],
    )
    .await;
    assert_eq!(answer.status, 200);
    assert!(
        backend
            .received()
            .contains(&format!("PUT {CARTS}/x%2Fexec HTTP/1.1")),
        "as it was sent"
    );
}

#[tokio::test]
async fn question_comes_before_what_the_object_says_and_after_its_match() {
    let (api, backend) = (ApiServer::start().await, Backend::ok().await);
    let process = Process::start(&ApiServer::flags(&api.kubeconfig(), &[])).await;
    let resources = vec![
        mk_stub("broken", "/proxy/broken/*", "BackendNotFound", "no Service"),
        mk_proxy("x", "/proxy/x/*", mk_host(backend.address), none()),
        mk_api("shop.example", "v1", mk_host(backend.address)),
    ];
    process.operator.publish(resources).await;
    api.allow(&[]);
    assert_eq!(send(&process, "GET /proxy/nothing", JANE).await.status, 404);
    assert_eq!(send(&process, "GET /proxy/x", JANE).await.status, 308);
    assert_eq!(send(&process, "GET /kapis", JANE).await.status, 200);
    assert!(api.questions().is_empty(), "none of these is asked about");
    assert_eq!(send(&process, "GET /proxy/broken/x", JANE).await.status, 403);
    api.allow(&["*"]);
    assert_eq!(
        send(
            &process,
            "GET /proxy/broken/x",
            &["Authorization: Bearer tok-joe"]
        )
        .await
        .status,
        503
    );
    let impersonating = ["Authorization: Bearer stolen", "Impersonate-User: root"];
    assert_eq!(
        send(&process, "GET /proxy/x/y", &impersonating).await.status,
        401,
        "first who calls"
    );
    let refused = send(&process, "GET /proxy/x/y", &[JANE[0], "Impersonate-User: root"]).await;
    assert_eq!(
        refused.header("x-genkan-reason"),
        Some("ImpersonationNotSupported")
    );
}

#[tokio::test]
async fn without_an_answer_nothing_is_allowed_and_nothing_kept() {
    let (process, backend, api) = serve(&[]).await;
    assert_eq!(
        send(&process, "GET /kapis/shop.example/v1/carts", JANE)
            .await
            .status,
        200
    );
    let before = backend.requests();
    let faults = [
        Verdict::Breaks,
        Verdict::Code(429),
        Verdict::Status(json!({ "allowed": false, "evaluationError": "webhook: no answer" })),
        Verdict::Status(json!("odd")),
    ];
    for fault in faults {
        api.fail(fault);
        let answer = send(&process, "GET /proxy/x", JANE).await;
        answer.assert_status(503);
        assert_eq!(answer.header("x-genkan-reason"), Some("AccessUnavailable"));
    }
    assert_eq!(backend.requests(), before);
    api.fail(Verdict::Status(json!({ "allowed": true, "denied": true })));
    assert_eq!(
        send(&process, "GET /proxy/x", JANE).await.status,
        403,
        "a no weighs more"
    );
    api.fail(Verdict::Status(
        json!({ "allowed": true, "evaluationError": "one role is missing" }),
    ));
    assert_eq!(send(&process, "OPTIONS /proxy/x", JANE).await.status, 200);
}

#[tokio::test]
async fn flood_of_invented_paths_is_cut_and_others_do_not_notice() {
    let (process, _backend, api) = serve(&[]).await;
    let joe = &["Authorization: Bearer tok-joe"];
    assert_eq!(send(&process, "GET /proxy/x", joe).await.status, 200);
    api.allow(&[]);
    let begin = Instant::now();
    let flood = (0..400).map(|number| {
        let process = &process;
        async move { send(process, &format!("GET /proxy/random-{number}"), JANE).await }
    });
    let answers = futures::future::join_all(flood).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(answers.iter().all(|answer| matches!(answer.status, 403 | 429)));
    assert!(refused.len() > 200, "{}", refused.len());
    assert!(refused[0].header("retry-after").is_some());
    let allowed = 1 + 14 + 10 * (begin.elapsed() + Duration::from_secs(1)).as_secs() as usize;
    assert!(api.paths().len() <= allowed, "{} of {allowed}", api.paths().len());
    assert_eq!(send(&process, "GET /proxy/x", joe).await.status, 200);
}
