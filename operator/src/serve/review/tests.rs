use k8s_openapi::api::authentication::v1::UserInfo;

use super::*;

pub fn mk_account() -> Account {
    Account {
        namespace: "genkan-system".into(),
        name: "genkan-dataplane".into(),
    }
}

/// What the API server says of a good token that is bound to a Pod of this name.
pub fn mk_answer(pod: &str) -> TokenReviewStatus {
    let extra = [
        (POD_NAME.to_owned(), vec![pod.to_owned()]),
        (POD_UID.to_owned(), vec![format!("uid-of-{pod}")]),
    ];
    TokenReviewStatus {
        authenticated: Some(true),
        audiences: Some(vec![AUDIENCE.into()]),
        user: Some(UserInfo {
            username: Some(mk_account().user()),
            extra: Some(extra.into()),
            ..UserInfo::default()
        }),
        error: None,
    }
}

fn judged(change: impl FnOnce(&mut TokenReviewStatus)) -> Result<Identity, Refusal> {
    let mut answer = mk_answer("edge-1");
    change(&mut answer);
    judge(&answer, &mk_account())
}

fn extra(answer: &mut TokenReviewStatus, key: &str, values: &[&str]) {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    let user = answer.user.get_or_insert_default();
    user.extra.get_or_insert_default().insert(key.to_owned(), values);
}

#[test]
fn the_pod_of_a_good_token_is_who_calls() {
    let identity = judged(|_| {}).unwrap();
    assert_eq!(
        (identity.pod.as_str(), identity.uid.as_str()),
        ("edge-1", "uid-of-edge-1")
    );
    let more = judged(|a| a.audiences = Some(vec!["other".into(), AUDIENCE.into()]));
    assert!(more.is_ok());
}

#[test]
fn everything_else_is_refused() {
    assert_eq!(judged(|a| a.authenticated = None), Err(Refusal::Rejected));
    assert_eq!(judged(|a| a.authenticated = Some(false)), Err(Refusal::Rejected));
    assert_eq!(judged(|a| a.error = Some("no".into())), Err(Refusal::Rejected));
    assert_eq!(judged(|a| a.audiences = None), Err(Refusal::Audience));
    assert_eq!(judged(|a| a.audiences = Some(vec![])), Err(Refusal::Audience));
    let other = "https://kubernetes.default.svc".to_owned();
    assert_eq!(
        judged(|a| a.audiences = Some(vec![other])),
        Err(Refusal::Audience)
    );
    assert_eq!(judged(|a| a.user = None), Err(Refusal::Account(String::new())));
    for name in [
        "genkan-dataplane",
        "system:serviceaccount:default:genkan-dataplane",
        "system:serviceaccount:genkan-system:genkan-dataplane:x",
        "system:admin",
    ] {
        let judged = judged(|a| a.user.as_mut().unwrap().username = Some(name.into()));
        assert_eq!(judged, Err(Refusal::Account(name.into())));
    }
    assert_eq!(
        judged(|a| a.user.as_mut().unwrap().extra = None),
        Err(Refusal::Unbound)
    );
    assert_eq!(judged(|a| extra(a, POD_NAME, &[])), Err(Refusal::Unbound));
    assert_eq!(judged(|a| extra(a, POD_UID, &[""])), Err(Refusal::Unbound));
    assert_eq!(judged(|a| extra(a, POD_NAME, &["a", "b"])), Err(Refusal::Unbound));
}

#[test]
fn a_refusal_is_a_sentence_and_a_code() {
    assert_eq!(Refusal::NoToken.status().code(), Code::Unauthenticated);
    assert_eq!(
        Refusal::Account("x".into()).status().code(),
        Code::PermissionDenied
    );
    for passing in [Refusal::Unavailable, Refusal::Busy] {
        assert!(passing.is_passing());
        assert_eq!(passing.status().code(), Code::Unavailable);
    }
    assert!(Refusal::Audience.to_string().contains("stream.genkan.io"));
}
