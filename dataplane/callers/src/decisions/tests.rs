use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::advance;

use super::*;

impl Cacheable for Option<&'static str> {
    fn is_allow(&self) -> bool {
        self.is_some()
    }
}

type Said = Option<&'static str>;

const OWNER: Owner = 1;

fn mk_decisions() -> Arc<Decisions<Said>> {
    Arc::new(Decisions::new(Limits::new(Duration::from_secs(300))))
}

fn key(number: u32) -> Key {
    *blake3::hash(&number.to_le_bytes()).as_bytes()
}

/// An answer that takes a while.
async fn says(verdict: Said) -> Result<Answered<Said>, Unavailable> {
    tokio::time::sleep(Duration::from_millis(5)).await;
    Ok(Answered {
        verdict,
        ends_in: None,
    })
}

async fn fails() -> Result<Answered<Said>, Unavailable> {
    Err(Unavailable::Away("away".into()))
}

async fn is_known(decisions: &Arc<Decisions<Said>>) -> bool {
    decisions.known(&key(0), Instant::now(), false).is_some()
}

#[tokio::test(start_paused = true)]
async fn yes_lives_a_minute_and_no_ten_seconds() {
    for (verdict, life) in [(Some("jane"), 60), (None, 10)] {
        let decisions = mk_decisions();
        assert_eq!(
            decisions.ask(key(0), OWNER, || says(verdict)).await.unwrap(),
            verdict
        );
        // The life begins when the question leaves, not when its answer comes.
        advance(Duration::from_secs(life) - Duration::from_millis(6)).await;
        assert!(is_known(&decisions).await, "{verdict:?}");
        advance(Duration::from_millis(2)).await;
        assert!(!is_known(&decisions).await, "{verdict:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_outlives_its_token() {
    let decisions = mk_decisions();
    let short = || async {
        Ok(Answered {
            verdict: Some("jane"),
            ends_in: Some(Duration::from_secs(20)),
        })
    };
    decisions.ask(key(0), OWNER, short).await.unwrap();
    advance(Duration::from_secs(19)).await;
    assert!(is_known(&decisions).await);
    advance(Duration::from_secs(1)).await;
    assert!(decisions.known(&key(0), Instant::now(), true).is_none());
    assert!(decisions.honoured(&key(0), Instant::now()).is_none());
}

#[tokio::test(start_paused = true)]
async fn question_is_asked_once_however_many_wait() {
    let decisions = mk_decisions();
    let asked = Arc::new(AtomicUsize::new(0));
    let waiting = (0..100).map(|_| {
        let (decisions, asked) = (Arc::clone(&decisions), Arc::clone(&asked));
        async move {
            let review = || {
                asked.fetch_add(1, Ordering::Relaxed);
                says(Some("jane"))
            };
            decisions.ask(key(0), OWNER, review).await.unwrap()
        }
    });
    let verdicts = futures::future::join_all(waiting).await;
    assert!(verdicts.iter().all(|verdict| *verdict == Some("jane")));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn answer_outlives_whoever_asked() {
    let decisions = mk_decisions();
    let asking = decisions.ask(key(0), OWNER, || says(Some("jane")));
    assert!(
        tokio::time::timeout(Duration::from_millis(1), asking)
            .await
            .is_err()
    );
    advance(Duration::from_millis(10)).await;
    tokio::task::yield_now().await;
    assert!(is_known(&decisions).await);
}

#[tokio::test(start_paused = true)]
async fn yes_is_due_at_half_its_life_for_one_caller() {
    let decisions = mk_decisions();
    decisions.ask(key(0), OWNER, || says(Some("jane"))).await.unwrap();
    let is_due = || decisions.known(&key(0), Instant::now(), false).unwrap().is_due;
    advance(Duration::from_secs(29)).await;
    assert!(!is_due());
    advance(Duration::from_secs(1)).await;
    assert!(is_due() && !is_due(), "one alone");
    advance(Duration::from_millis(1_000)).await;
    assert!(
        is_due(),
        "again after a while, for the first attempt may have failed"
    );
}

#[tokio::test(start_paused = true)]
async fn renewal_replaces_what_is_known() {
    let decisions = mk_decisions();
    decisions.ask(key(0), OWNER, || says(Some("jane"))).await.unwrap();
    decisions.renew(key(0), OWNER, || says(None));
    assert_eq!(
        decisions.known(&key(0), Instant::now(), false).unwrap().verdict,
        Some("jane")
    );
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(
        decisions.known(&key(0), Instant::now(), false).unwrap().verdict,
        None
    );
}

#[tokio::test(start_paused = true)]
async fn failure_is_told_and_not_kept() {
    let decisions = mk_decisions();
    assert!(decisions.ask(key(0), OWNER, fails).await.is_err());
    assert!(decisions.is_empty());
    assert_eq!(decisions.ask(key(0), OWNER, || says(None)).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn panic_in_a_review_leaves_nobody_waiting() {
    let decisions = mk_decisions();
    let panics = || async { panic!("a review that panics") };
    assert!(decisions.ask(key(0), OWNER, panics).await.is_err());
    assert!(
        decisions.ask(key(0), OWNER, || says(Some("jane"))).await.is_ok(),
        "the next may try"
    );
}

#[tokio::test(start_paused = true)]
async fn failed_renewal_leaves_a_yes_that_is_honoured_only_while_nobody_answers() {
    let decisions = mk_decisions();
    decisions.ask(key(0), OWNER, || says(Some("jane"))).await.unwrap();
    decisions.renew(key(0), OWNER, fails);
    advance(Duration::from_secs(61)).await;
    let at = Instant::now();
    assert!(decisions.known(&key(0), at, false).is_none());
    assert!(decisions.known(&key(0), at, true).unwrap().is_stale);
    assert_eq!(decisions.honoured(&key(0), at), Some(Some("jane")));
    advance(Duration::from_secs(300)).await;
    assert!(decisions.known(&key(0), Instant::now(), true).is_none());
}

#[tokio::test(start_paused = true)]
async fn no_is_never_honoured_beyond_its_life() {
    let decisions = mk_decisions();
    decisions.ask(key(0), OWNER, || says(None)).await.unwrap();
    advance(Duration::from_secs(10)).await;
    assert!(decisions.known(&key(0), Instant::now(), true).is_none());
}

#[tokio::test(start_paused = true)]
async fn one_owner_cannot_crowd_out_the_others() {
    let limits = Limits {
        most_of_one_owner: 8,
        ..Limits::new(Duration::ZERO)
    };
    let decisions = Arc::new(Decisions::<Said>::new(limits));
    decisions.ask(key(0), OWNER, || says(Some("jane"))).await.unwrap();
    for number in 1..200 {
        decisions.ask(key(number), 2, || says(None)).await.unwrap();
    }
    assert!(is_known(&decisions).await);
    assert_eq!(decisions.len(), 9);
    let latest = decisions.known(&key(199), Instant::now(), false);
    assert!(latest.is_some(), "the oldest go first");
}

#[tokio::test(start_paused = true)]
async fn renewal_by_another_does_not_change_whose_it_is() {
    let limits = Limits {
        most_of_one_owner: 2,
        ..Limits::new(Duration::ZERO)
    };
    let decisions = Arc::new(Decisions::<Said>::new(limits));
    for number in 0..2 {
        decisions
            .ask(key(number), 1, || says(Some("jane")))
            .await
            .unwrap();
    }
    decisions.renew(key(0), 2, || says(Some("jane")));
    tokio::time::sleep(Duration::from_millis(10)).await;
    decisions.ask(key(2), 1, || says(None)).await.unwrap();
    assert_eq!(decisions.len(), 2, "the oldest of the first owner has gone");
}

#[tokio::test(start_paused = true)]
async fn number_of_decisions_is_bounded() {
    let limits = Limits {
        most: 256,
        ..Limits::new(Duration::ZERO)
    };
    let decisions = Arc::new(Decisions::<Said>::new(limits));
    for number in 0..2_000 {
        decisions
            .ask(key(number), u64::from(number), || says(None))
            .await
            .unwrap();
        assert!(decisions.len() <= 256);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_over_is_swept_away_with_its_owner() {
    let decisions = mk_decisions();
    for number in 0..50 {
        decisions.ask(key(number), OWNER, || says(None)).await.unwrap();
    }
    advance(Duration::from_secs(11)).await;
    decisions.sweep(Instant::now());
    assert!(decisions.is_empty());
    assert!(decisions.owners.add(OWNER, key(0)).is_empty());
}

#[test]
fn parts_are_hashed_alike_however_long_they_are() {
    let keys = Keys::default();
    for length in [0, 1, 231, 239, 240, 241, 248, 249, 256, 257, 1_000] {
        let long = vec![7; length];
        let parts = [&b"x"[..], &long, b"y"];
        let mut hasher = blake3::Hasher::new_keyed(&keys.secret);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        assert_eq!(keys.of(parts), Key::from(hasher.finalize()), "{length}");
    }
}

#[test]
fn parts_cannot_be_shifted_into_each_other() {
    let keys = Keys::default();
    let of = |parts: &[&str]| keys.of(parts.iter().map(|part| part.as_bytes()));
    assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
    assert_ne!(of(&["a", ""]), of(&["a"]));
    assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
    assert_ne!(
        of(&["a"]),
        Keys::default().of([&b"a"[..]]),
        "another process, another key"
    );
}
