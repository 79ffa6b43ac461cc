//! Forms alone; what is done with them is proved on a real API server.

use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;

use super::form::{MARK, Stored, of_authority, of_pair};
use super::*;

fn mk_pair() -> (Authority, Pair) {
    let now = SystemTime::now();
    let authority = Authority::make("test", now).unwrap();
    let pair = authority
        .sign(&Purpose::Client("genkan-dataplane".into()), now)
        .unwrap();
    (authority, pair)
}

#[test]
fn a_request_header_config_map_reads_as_that_of_kube_apiserver() {
    let (_, pair) = mk_pair();
    let client = "genkan-dataplane".to_owned();
    let told = Told::default().keep(&[&pair.ca], SystemTime::now());
    let data = Publication::RequestHeader { client }.data(&pair, &told);
    let keys: Vec<_> = data.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "requestheader-allowed-names",
            "requestheader-client-ca-file",
            "requestheader-extra-headers-prefix",
            "requestheader-group-headers",
            "requestheader-uid-headers",
            "requestheader-username-headers",
        ]
    );
    assert_eq!(data["requestheader-allowed-names"], r#"["genkan-dataplane"]"#);
    assert_eq!(
        data["requestheader-extra-headers-prefix"],
        r#"["X-Remote-Extra-"]"#
    );
    assert_eq!(data["requestheader-client-ca-file"], pair.ca);
    assert!(!data.values().any(|value| value.contains("PRIVATE")));
}

#[test]
fn a_pair_never_carries_the_key_of_its_authority() {
    let (authority, pair) = mk_pair();
    let data = of_pair(&pair);
    assert_eq!(data.keys().collect::<Vec<_>>(), ["ca.crt", "tls.crt", "tls.key"]);
    let key = authority.key.as_bytes();
    assert!(data.values().all(|value| value.0 != key));
    assert_eq!(of_authority(&authority).len(), 2);
}

#[test]
fn what_bears_no_mark_was_given() {
    let (authority, pair) = mk_pair();
    let mut secret = Secret {
        data: Some(of_pair(&pair)),
        metadata: ObjectMeta {
            labels: Some([(MARK.0.to_owned(), "Helm".to_owned())].into()),
            ..ObjectMeta::default()
        },
        ..Secret::default()
    };
    assert!(!Stored::new(secret.clone()).is_ours);
    secret.metadata.labels = Some([(MARK.0.to_owned(), MARK.1.to_owned())].into());
    let stored = Stored::new(secret);
    assert!(stored.is_ours);
    assert_eq!(stored.pair(), pair);
    let empty = Stored::new(Secret::default());
    assert!(!empty.is_ours);
    assert_eq!(
        empty
            .pair()
            .examine(&Purpose::Client(String::new()), SystemTime::now())
            .unwrap_err(),
        super::super::Flaw::Certificate
    );
    assert_eq!(authority.examine(SystemTime::now()), Ok(()));
}

const OVERLAP: Duration = Duration::from_secs(300);

/// Reads again what is written, as the next look does.
fn reread(told: &Told) -> Told {
    Told::read(&told.text(), Some(&told.note()))
}

#[test]
fn another_authority_is_known_after_the_overlap_and_the_old_one_leaves_later() {
    let now = SystemTime::now();
    let [old, new] = ["old", "new"].map(|name| Authority::make(name, now).unwrap().certificate);
    let told = reread(&Told::default().keep(&[&old], now));
    assert_eq!(
        (told.text(), told.known(now, OVERLAP)),
        (old.clone(), String::new())
    );
    let later = now + OVERLAP * 2;
    let told = reread(&told.keep(&[&old, &new], later));
    assert_eq!(told.text(), format!("{old}{new}"));
    assert_eq!(told.known(later, OVERLAP), old);
    assert_eq!(
        told.keep(&[&old, &new], later + OVERLAP),
        told,
        "nothing to write"
    );
    let switched = later + OVERLAP;
    assert_eq!(told.known(switched, OVERLAP), format!("{old}{new}"));
    let told = reread(&told.keep(&[&new], switched));
    assert_eq!(told.text(), format!("{old}{new}"));
    let hour = Duration::from_secs(3600);
    assert_eq!(told.keep(&[&new], switched + hour / 2).text(), told.text());
    assert_eq!(told.keep(&[&new], switched + hour).text(), new);
    // Needed again before it left: it was known all the time.
    let back = told.keep(&[&old, &new], switched + hour / 2);
    assert_eq!(back.known(switched + hour / 2, OVERLAP), format!("{old}{new}"));
}

#[test]
fn what_was_told_before_anybody_took_notes_is_known_and_what_a_hand_adds_is_not() {
    let now = SystemTime::now();
    let [ours, hand] = ["ours", "hand"].map(|name| Authority::make(name, now).unwrap().certificate);
    let before = Told::read(&ours, None);
    assert_eq!(before.known(now, OVERLAP), ours);
    let noted = before.keep(&[&ours], now);
    let edited = Told::read(&format!("{hand}x{ours}"), Some(&noted.note()));
    assert_eq!(edited, noted);
    assert_eq!(Told::read("x", Some("{")), Told::default());
    // A clock that was ahead when it was noted.
    let ahead = Told::default().keep(&[&ours], now + OVERLAP * 100);
    let told = reread(&ahead).keep(&[&ours], now);
    assert_eq!(told.known(now + OVERLAP, OVERLAP), ours);
}

#[test]
fn an_authority_that_has_ended_is_not_kept() {
    let long_ago = SystemTime::now() - Duration::from_secs(3650 * 24 * 3600);
    let now = SystemTime::now();
    let old = Authority::make("old", long_ago).unwrap().certificate;
    let new = Authority::make("new", now).unwrap().certificate;
    let told = Told::read(&old, None).keep(&[&new], now + Duration::from_secs(60));
    assert_eq!(told.text(), new);
}

/// A given pair of another authority: what is in use stays in use until everybody can know the other.
#[test]
fn a_given_pair_waits_for_its_authority_to_be_known() {
    let now = SystemTime::now();
    let purpose = Purpose::service("genkan-operator", "genkan-system");
    let signed = |name: &str| Authority::make(name, now).unwrap().sign(&purpose, now).unwrap();
    let (used, given) = (signed("old"), signed("new"));
    let care = |serving, used: &Pair| Managed {
        kept: ManagedCertificate {
            secret: "genkan-stream".into(),
            config_map: "genkan-stream-ca".into(),
            purpose: purpose.clone(),
            publication: Publication::Authority,
            serving,
        },
        authority: None,
        used: Some(used.clone()),
        told: String::new(),
    };
    let serves = care(Some(Arc::default()), &used);
    let offer = Offer {
        seen: given.examine(&purpose, now).unwrap(),
        pair: given.clone(),
        next: None,
    };
    let at = |now| Terms {
        now,
        overlap: OVERLAP,
    };
    let told = Told::read(&used.ca, None).keep(&[&used.ca, &given.ca], now);
    let held = serves.hold_back(&offer, &told, at(now)).unwrap();
    assert_eq!(held.0, used);
    assert!(serves.hold_back(&offer, &told, at(now + OVERLAP)).is_none());
    // What others use is in their hands already, and so is what nobody would take any more.
    assert!(care(None, &used).hold_back(&offer, &told, at(now)).is_none());
    let broken = Pair {
        ca: given.ca.clone(),
        ..used.clone()
    };
    let unusable = care(Some(Arc::default()), &broken);
    assert!(unusable.hold_back(&offer, &told, at(now)).is_none());
    // A renewed certificate of a known authority is used at once.
    let renewed = Offer {
        pair: Pair {
            certificate: used.certificate.clone(),
            ..used.clone()
        },
        seen: used.examine(&purpose, now).unwrap(),
        next: None,
    };
    assert!(
        care(Some(Arc::default()), &given)
            .hold_back(&renewed, &told, at(now))
            .is_none()
    );
}
