use std::collections::BTreeMap;
use std::time::Duration;

use genkan_routing::RequestInfo;
use genkan_routing::access::RouteKind;
use genkan_routing::identity::ANONYMOUS;

use prometheus_client::registry::Registry;

use super::*;
use crate::kubernetes::UserInfo;

/// With an API server that is away.
fn mk_reviewer() -> AccessReviewer {
    let kubernetes = Arc::new(crate::kubernetes::away());
    let limits = Limits::new(Duration::from_secs(300));
    let [_, access] = crate::register(&mut Registry::default());
    AccessReviewer::new(kubernetes, Arc::default(), limits, access)
}

fn mk_user(reviewer: &AccessReviewer, name: &str, extra: Option<&str>) -> User {
    let info = UserInfo {
        username: name.into(),
        extra: extra.map(|value| BTreeMap::from([("k".to_owned(), vec![value.to_owned()])])),
        ..UserInfo::default()
    };
    User::new(info, Vec::new(), &reviewer.keys)
}

/// As if the API server had said so.
async fn learn(reviewer: &AccessReviewer, user: &User, attributes: &Attributes<'_>, verdict: bool) {
    let answered = Answered {
        verdict,
        ends_in: None,
    };
    let key = reviewer.key(user, attributes);
    let review = || std::future::ready(Ok(answered));
    reviewer.decisions.ask(key, 1, review).await.unwrap();
}

/// What is known, without the reading that was refused.
fn known(reviewer: &AccessReviewer, user: &User, questions: &Questions<'_>) -> Option<bool> {
    reviewer.known(user, questions).map(|known| known.is_ok())
}

const GRAFANA: RouteKind<'_> = RouteKind::ReverseProxy {
    path: "/proxy/grafana/*",
};

fn info(method: &'static str) -> RequestInfo<'static> {
    RequestInfo::parse(method, "/proxy/grafana/d", None).unwrap()
}

#[tokio::test(start_paused = true)]
async fn one_yes_is_enough_and_a_no_needs_every_answer() {
    for (first, then, expected) in [
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
        let questions = Questions::of(GRAFANA, "GET", &info, None, Mode::Pattern);
        if let Some(verdict) = first {
            learn(&reviewer, &user, &questions.first, verdict).await;
        }
        if let Some(verdict) = then {
            learn(&reviewer, &user, questions.then.as_ref().unwrap(), verdict).await;
        }
        assert_eq!(
            known(&reviewer, &user, &questions),
            expected,
            "{first:?} {then:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn yes_holds_for_this_very_caller_and_verb() {
    let reviewer = mk_reviewer();
    let jane = mk_user(&reviewer, "jane", None);
    let (get, put) = (info("GET"), info("PUT"));
    let of_get = Questions::of(GRAFANA, "GET", &get, None, Mode::Pattern);
    learn(&reviewer, &jane, &of_get.first, true).await;
    assert_eq!(known(&reviewer, &jane, &of_get), Some(true));
    let same = mk_user(&reviewer, "jane", None);
    assert_eq!(known(&reviewer, &same, &of_get), Some(true));
    for other in [
        mk_user(&reviewer, "joe", None),
        mk_user(&reviewer, "jane", Some("v")),
    ] {
        assert_eq!(known(&reviewer, &other, &of_get), None);
    }
    let of_put = Questions::of(GRAFANA, "PUT", &put, None, Mode::Pattern);
    assert_eq!(known(&reviewer, &jane, &of_put), None);
}

#[tokio::test(start_paused = true)]
async fn who_was_let_in_is_let_in_while_the_api_server_is_away_and_nobody_else() {
    let reviewer = mk_reviewer();
    let jane = mk_user(&reviewer, "jane", None);
    let info = info("GET");
    let questions = Questions::of(GRAFANA, "GET", &info, None, Mode::Pattern);
    learn(&reviewer, &jane, &questions.first, true).await;
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(known(&reviewer, &jane, &questions), None, "it has to be asked");
    let ask = async |user| {
        reviewer
            .ask(user, &questions, Mode::Pattern)
            .await
            .map(|asked| asked.is_ok())
            .map_err(|answer| answer.code)
    };
    assert_eq!(ask(&jane).await, Ok(true));
    assert_eq!(
        known(&reviewer, &jane, &questions),
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
    let questions = Questions::of(GRAFANA, "GET", &info, None, Mode::Pattern);
    let reading = questions.readings().next().unwrap();
    let message = |name| {
        denied(&mk_user(&reviewer, name, None), reading)
            .message()
            .to_owned()
    };
    assert!(message(ANONYMOUS).ends_with("as somebody who may"));
    assert!(message("jane").ends_with(r#"verbs: ["get"]}"#));
}

#[tokio::test(start_paused = true)]
async fn every_reading_of_a_path_has_to_be_allowed() {
    let path = "/kapis/shop.example/v1/namespaces/n/carts/x%2Fexec";
    let info = RequestInfo::parse("GET", path, None).unwrap();
    let questions = Questions::of(RouteKind::ApiService, "GET", &info, None, Mode::Pattern);
    let readings: Vec<_> = questions.readings().collect();
    assert_eq!(readings.len(), 2);
    for (itself, decoded, is_known, refused) in [
        (None, None, None, None),
        (Some(true), None, None, None),
        (None, Some(false), None, None),
        (Some(true), Some(true), Some(true), None),
        (Some(false), None, Some(false), Some(0)),
        (Some(false), Some(true), Some(false), Some(0)),
        (Some(true), Some(false), Some(false), Some(1)),
    ] {
        let reviewer = mk_reviewer();
        let user = mk_user(&reviewer, "jane", None);
        for (reading, verdict) in readings.iter().zip([itself, decoded]) {
            if let Some(verdict) = verdict {
                learn(&reviewer, &user, reading.first, verdict).await;
            }
        }
        assert_eq!(known(&reviewer, &user, &questions), is_known);
        let no = reviewer.known(&user, &questions).and_then(Result::err);
        assert_eq!(
            no,
            refused.map(|at: usize| readings[at]),
            "{itself:?} {decoded:?}"
        );
        if is_known.is_some() {
            let asked = reviewer.ask(&user, &questions, Mode::Pattern).await;
            assert_eq!(
                asked.ok().map(|asked| asked.is_ok()),
                is_known,
                "without a question"
            );
        }
    }
}
