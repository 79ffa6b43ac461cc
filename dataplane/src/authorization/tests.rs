use std::collections::BTreeMap;
use std::time::Duration;

use genkan_routing::RequestInfo;
use genkan_routing::access::Door;
use genkan_routing::identity::ANONYMOUS;

use super::*;
use crate::kubernetes::{Source, UserInfo};
use crate::metrics::Metrics;

/// With an API server that is away.
fn mk_reviewer() -> Reviewer {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let text = "{current-context: c, contexts: [{name: c, context: {cluster: c}}], \
                clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]}";
    std::fs::write(&path, text).unwrap();
    let kubernetes = Arc::new(Kubernetes::new(Source::Kubeconfig(path)).unwrap());
    let limits = Limits::new(Duration::from_secs(300));
    Reviewer::new(kubernetes, Arc::default(), limits, Metrics::default().access)
}

fn mk_user(reviewer: &Reviewer, name: &str, extra: Option<&str>) -> User {
    let info = UserInfo {
        username: name.into(),
        extra: extra.map(|value| BTreeMap::from([("k".to_owned(), vec![value.to_owned()])])),
        ..UserInfo::default()
    };
    User::new(info, Vec::new(), &reviewer.keys)
}

/// As if the API server had said so.
async fn learn(reviewer: &Reviewer, user: &User, attributes: &Attributes<'_>, verdict: bool) {
    let answered = Answered {
        verdict,
        ends_in: None,
    };
    let key = reviewer.key(user, attributes);
    let review = || std::future::ready(Ok(answered));
    reviewer.decisions.ask(key, 1, review).await.unwrap();
}

const GRAFANA: Door<'_> = Door::ReverseProxy {
    path: "/proxy/grafana/*",
};

fn info(method: &'static str) -> RequestInfo<'static> {
    RequestInfo::parse(method, "/proxy/grafana/d", None).unwrap()
}

#[tokio::test(start_paused = true)]
async fn one_yes_is_enough_and_a_no_needs_every_answer() {
    for (first, then, known) in [
        (None, None, None),
        (Some(true), None, Some(true)),
        (Some(false), None, None),
        (None, Some(false), None),
        (None, Some(true), Some(true)),
        (Some(false), Some(true), Some(true)),
        (Some(false), Some(false), Some(false)),
    ] {
        let reviewer = mk_reviewer();
        let user = mk_user(&reviewer, "jane", None);
        let info = info("GET");
        let questions = Questions::of(GRAFANA, "GET", &info, Mode::Pattern);
        if let Some(verdict) = first {
            learn(&reviewer, &user, &questions.first, verdict).await;
        }
        if let Some(verdict) = then {
            learn(&reviewer, &user, questions.then.as_ref().unwrap(), verdict).await;
        }
        assert_eq!(reviewer.known(&user, &questions), known, "{first:?} {then:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn yes_holds_for_this_very_caller_and_verb() {
    let reviewer = mk_reviewer();
    let jane = mk_user(&reviewer, "jane", None);
    let (get, put) = (info("GET"), info("PUT"));
    let of_get = Questions::of(GRAFANA, "GET", &get, Mode::Pattern);
    learn(&reviewer, &jane, &of_get.first, true).await;
    assert_eq!(reviewer.known(&jane, &of_get), Some(true));
    let same = mk_user(&reviewer, "jane", None);
    assert_eq!(reviewer.known(&same, &of_get), Some(true));
    for other in [
        mk_user(&reviewer, "joe", None),
        mk_user(&reviewer, "jane", Some("v")),
    ] {
        assert_eq!(reviewer.known(&other, &of_get), None);
    }
    let of_put = Questions::of(GRAFANA, "PUT", &put, Mode::Pattern);
    assert_eq!(reviewer.known(&jane, &of_put), None);
}

#[tokio::test(start_paused = true)]
async fn who_was_let_in_is_let_in_while_the_api_server_is_away_and_nobody_else() {
    let reviewer = mk_reviewer();
    let jane = mk_user(&reviewer, "jane", None);
    let info = info("GET");
    let questions = Questions::of(GRAFANA, "GET", &info, Mode::Pattern);
    learn(&reviewer, &jane, &questions.first, true).await;
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(reviewer.known(&jane, &questions), None, "it has to be asked");
    let ask = async |user| {
        reviewer
            .ask(user, &questions, Mode::Pattern)
            .await
            .map_err(|answer| answer.code)
    };
    assert_eq!(ask(&jane).await, Ok(true));
    assert_eq!(
        reviewer.known(&jane, &questions),
        Some(true),
        "without another attempt"
    );
    let joe = mk_user(&reviewer, "joe", None);
    assert_eq!(ask(&joe).await, Err(503));
    tokio::time::advance(Duration::from_secs(300)).await;
    assert_eq!(ask(&jane).await, Err(503));
}

#[test]
fn nobody_is_told_to_send_a_token() {
    let reviewer = mk_reviewer();
    let info = info("GET");
    let questions = Questions::of(GRAFANA, "GET", &info, Mode::Pattern);
    let message = |name| denied(&mk_user(&reviewer, name, None), &questions).message();
    assert!(message(ANONYMOUS).ends_with("as somebody who may"));
    assert!(message("jane").ends_with(r#"verbs: ["get"]}"#));
}
