use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use k8s_openapi::api::authentication::v1::TokenReviewStatus;

use super::super::review::tests::{mk_account, mk_answer};
use super::caller::{AGAIN, FIRST};
use super::*;

/// Says what it was told to say, and counts how often it was asked.
#[derive(Clone, Default)]
pub struct Scripted {
    pub answer: Arc<Mutex<Option<TokenReviewStatus>>>,
    pub asked: Arc<AtomicUsize>,
}

impl Scripted {
    pub fn says(answer: TokenReviewStatus) -> Self {
        let scripted = Self::default();
        scripted.set(Some(answer));
        scripted
    }

    pub fn set(&self, answer: Option<TokenReviewStatus>) {
        *self.answer.lock() = answer;
    }

    fn count(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl TokenReviewer for Scripted {
    fn review(&self, _: Token) -> BoxFuture<'static, Result<TokenReviewStatus, String>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answer.lock().clone();
        Box::pin(async move { answer.ok_or_else(|| "the API server is away".to_owned()) })
    }
}

pub struct Rig {
    pub gate: Arc<Gate>,
    pub reviewer: Scripted,
    pub pods: watch::Sender<Pods>,
    pub metrics: Arc<Metrics>,
}

pub fn mk_rig(pod: &str) -> Rig {
    let (pods, receiver) = watch::channel(Pods::default());
    let reviewer = Scripted::says(mk_answer(pod));
    let metrics = Arc::new(Metrics::new());
    let gate = Gate::new(reviewer.clone(), mk_account(), receiver, Arc::clone(&metrics));
    Rig {
        gate,
        reviewer,
        pods,
        metrics,
    }
}

pub fn mk_token(nonce: &str, life: i64) -> String {
    let exp = jiff::Timestamp::now().as_second() + life;
    let claims = URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{exp}}}"));
    format!("a{nonce}.{claims}.c")
}

fn mk_headers(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(AUTHORIZATION, value.parse().unwrap());
    }
    headers
}

fn bearer(nonce: &str) -> HeaderMap {
    mk_headers(&[&format!("Bearer {}", mk_token(nonce, 3600))])
}

fn uids(pods: &[&str]) -> Pods {
    Arc::new(pods.iter().map(|pod| format!("uid-of-{pod}")).collect())
}

#[tokio::test]
async fn without_one_good_token_nobody_is_asked() {
    let rig = mk_rig("edge");
    for (values, refusal) in [
        (&[][..], Refusal::NoToken),
        (&["Basic YTpi"], Refusal::Malformed),
        (&["Bearer x"], Refusal::Malformed),
        (&["Bearer a.b.c", "Bearer a.b.c"], Refusal::Malformed),
    ] {
        assert_eq!(rig.gate.admit(&mk_headers(values)).await.unwrap_err(), refusal);
    }
    assert_eq!(rig.reviewer.count(), 0);
}

#[tokio::test]
async fn answers_are_remembered_by_token() {
    let rig = mk_rig("edge");
    for _ in 0..3 {
        let caller = rig.gate.admit(&bearer("1")).await.unwrap();
        assert_eq!(caller.identity.pod, "edge");
    }
    assert_eq!(rig.reviewer.count(), 1);
    rig.reviewer.set(Some(TokenReviewStatus::default()));
    for _ in 0..3 {
        assert_eq!(rig.gate.admit(&bearer("2")).await.unwrap_err(), Refusal::Rejected);
    }
    assert_eq!(rig.reviewer.count(), 2, "a denial too, for a while");
    assert!(rig.gate.admit(&bearer("1")).await.is_ok(), "each for itself");
}

#[tokio::test]
async fn an_api_server_that_is_away_denies_nobody_for_later() {
    let rig = mk_rig("edge");
    rig.reviewer.set(None);
    assert_eq!(
        rig.gate.admit(&bearer("1")).await.unwrap_err(),
        Refusal::Unavailable
    );
    rig.reviewer.set(Some(mk_answer("edge")));
    assert!(rig.gate.admit(&bearer("1")).await.is_ok());
}

#[tokio::test]
async fn a_token_that_has_expired_is_good_for_nothing() {
    let rig = mk_rig("edge");
    let expired = mk_headers(&[&format!("Bearer {}", mk_token("1", -1))]);
    assert_eq!(rig.gate.admit(&expired).await.unwrap_err(), Refusal::Expired);
}

#[tokio::test(start_paused = true)]
async fn reviews_are_limited_and_who_waits_too_long_may_come_again() {
    let rig = mk_rig("edge");
    let _all = rig
        .gate
        .turns
        .acquire_many(u32::try_from(REVIEWS).unwrap())
        .await
        .unwrap();
    assert_eq!(rig.gate.admit(&bearer("1")).await.unwrap_err(), Refusal::Busy);
    assert_eq!(rig.reviewer.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_its_token_is_not_accepted_any_more() {
    let rig = mk_rig("edge");
    let caller = rig.gate.admit(&bearer("1")).await.unwrap();
    let began = Instant::now();
    rig.reviewer.set(Some(TokenReviewStatus::default()));
    assert_eq!(caller.lapse().await, Refusal::Rejected);
    assert_eq!(began.elapsed(), FIRST);
    assert_eq!(
        rig.gate.admit(&bearer("1")).await.unwrap_err(),
        Refusal::Rejected,
        "not from the cache"
    );
}

#[tokio::test(start_paused = true)]
async fn reviews_of_a_stream_go_on_and_outlast_the_api_server() {
    let rig = mk_rig("edge");
    let caller = rig.gate.admit(&bearer("1")).await.unwrap();
    let lapse = tokio::spawn(async move { caller.lapse().await });
    tokio::time::sleep(FIRST + Duration::from_secs(1)).await;
    assert_eq!(rig.reviewer.count(), 2);
    rig.reviewer.set(None);
    tokio::time::sleep(AGAIN * 2).await;
    assert!(!lapse.is_finished(), "nobody said that the token is bad");
    assert!(
        rig.reviewer.count() > 10,
        "asked again soon: {}",
        rig.reviewer.count()
    );
    rig.reviewer.set(Some(mk_answer("another")));
    assert_eq!(
        lapse.await.unwrap(),
        Refusal::Rejected,
        "it is that of another Pod now"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_its_token() {
    let rig = mk_rig("edge");
    let caller = rig.gate.admit(&bearer("1")).await.unwrap();
    let began = Instant::now();
    assert_eq!(caller.lapse().await, Refusal::Expired);
    let took = began.elapsed();
    assert!(
        took <= Duration::from_secs(3600) && took > Duration::from_secs(3590),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_its_pod_at_once_and_stays_closed() {
    let rig = mk_rig("edge");
    let caller = rig.gate.admit(&bearer("1")).await.unwrap();
    let lapse = tokio::spawn(async move { caller.lapse().await });
    let soon = || tokio::time::sleep(Duration::from_millis(1));
    // It is seen late, which is no reason to end the stream; others come and go.
    for pods in [&["other"][..], &["edge", "other"], &["edge"]] {
        rig.pods.send_replace(uids(pods));
        soon().await;
        assert!(!lapse.is_finished());
    }
    rig.pods.send_replace(uids(&["other"]));
    soon().await;
    assert_eq!(lapse.await.unwrap(), Refusal::PodGone("edge".into()));
    tokio::time::sleep(LIMITS.allow - Duration::from_secs(1)).await;
    let again = rig.gate.admit(&bearer("1")).await.unwrap_err();
    assert_eq!(
        again,
        Refusal::PodGone("edge".into()),
        "though the API server still says yes"
    );
}

#[tokio::test(start_paused = true)]
async fn refusals_are_all_counted_and_told_of_now_and_then() {
    let rig = mk_rig("edge");
    for _ in 0..3 {
        rig.gate.refused(&Refusal::NoToken, "/x", "peer");
    }
    let text = rig.metrics.text();
    assert!(
        text.contains("refused_streams_total{reason=\"NoToken\"} 3"),
        "{text}"
    );
    assert!(!rig.gate.may_tell("NoToken"));
    tokio::time::sleep(QUIET).await;
    assert!(rig.gate.may_tell("NoToken"));
}
