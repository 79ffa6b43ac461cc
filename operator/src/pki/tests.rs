use std::time::Duration;

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn mk_service() -> Purpose {
    Purpose::service("genkan-operator", "genkan-system")
}

fn mk_pair(purpose: &Purpose) -> Pair {
    let now = SystemTime::now();
    Authority::make("test", now).unwrap().sign(purpose, now).unwrap()
}

#[test]
fn what_an_authority_signs_can_be_used() {
    let now = SystemTime::now();
    for purpose in [mk_service(), Purpose::Client("genkan-dataplane".into())] {
        let seen = mk_pair(&purpose).examine(&purpose, now).unwrap();
        assert_eq!(seen.misses, None);
        assert!(!seen.is_due(now));
        assert!(!seen.is_due(now + DAY * 59), "at two thirds of 90 days");
        assert!(seen.is_due(now + DAY * 60));
    }
}

#[test]
fn a_service_has_every_name_by_which_it_is_called() {
    let pair = mk_pair(&mk_service());
    for name in [
        "genkan-operator",
        "genkan-operator.genkan-system",
        "genkan-operator.genkan-system.svc",
        "genkan-operator.genkan-system.svc.cluster.local",
        "localhost",
        "127.0.0.1",
        "::1",
    ] {
        let seen = pair.examine(&Purpose::Server(vec![name.into()]), SystemTime::now());
        assert_eq!(seen.unwrap().misses, None, "{name}");
    }
}

#[test]
fn a_wrong_name_is_told_and_a_wrong_use_refused() {
    let pair = mk_pair(&mk_service());
    let other = Purpose::Server(vec!["elsewhere".into()]);
    let seen = pair.examine(&other, SystemTime::now()).unwrap();
    assert_eq!(seen.misses.as_deref(), Some("elsewhere"));
    let client = pair.examine(&Purpose::Client("x".into()), SystemTime::now());
    assert!(matches!(client, Err(Flaw::Other(_))), "{client:?}");
}

#[test]
fn each_flaw_names_its_key() {
    let (purpose, now) = (mk_service(), SystemTime::now());
    let (good, other) = (mk_pair(&purpose), mk_pair(&purpose));
    let cases = [
        (
            Pair {
                certificate: String::new(),
                ..good.clone()
            },
            now,
            Flaw::Certificate,
        ),
        (
            Pair {
                certificate: good.key.clone(),
                ..good.clone()
            },
            now,
            Flaw::Certificate,
        ),
        (
            Pair {
                key: String::new(),
                ..good.clone()
            },
            now,
            Flaw::Key,
        ),
        (
            Pair {
                key: other.key.clone(),
                ..good.clone()
            },
            now,
            Flaw::Key,
        ),
        (
            Pair {
                ca: String::new(),
                ..good.clone()
            },
            now,
            Flaw::Authority,
        ),
        (
            Pair {
                ca: other.ca.clone(),
                ..good.clone()
            },
            now,
            Flaw::Unsigned,
        ),
        (good.clone(), now + DAY * 91, Flaw::Expired),
        (good.clone(), now - DAY, Flaw::Early),
    ];
    for (pair, at, flaw) in cases {
        assert_eq!(pair.examine(&purpose, at).unwrap_err(), flaw);
        let said = flaw.to_string();
        assert!(
            ["tls.crt", "tls.key", "ca.crt"]
                .iter()
                .any(|key| said.contains(key)),
            "{said}"
        );
    }
}

#[test]
fn an_authority_is_only_what_can_sign_for_a_whole_life() {
    let now = SystemTime::now();
    let good = Authority::make("test", now).unwrap();
    assert_eq!(good.examine(now), Ok(()));
    assert_eq!(good.examine(now + DAY * 3600), Err(Flaw::Short));
    let other = Authority::make("test", now).unwrap();
    let mixed = Authority {
        key: other.key,
        ..good.clone()
    };
    assert_eq!(mixed.examine(now), Err(Flaw::Key));
    let leaf = good.sign(&mk_service(), now).unwrap();
    let leaf = Authority {
        certificate: leaf.certificate,
        key: leaf.key,
    };
    assert_eq!(leaf.examine(now), Err(Flaw::NotAnAuthority));
}

#[test]
fn an_authority_that_was_read_again_signs_for_the_same_clients() {
    let (purpose, now) = (mk_service(), SystemTime::now());
    let first = Authority::make("test", now).unwrap();
    let again = Authority {
        certificate: first.certificate.clone(),
        key: first.key.clone(),
    };
    let renewed = again.sign(&purpose, now + DAY * 60).unwrap();
    let trusted = Pair {
        ca: first.certificate,
        ..renewed
    };
    assert!(trusted.examine(&purpose, now + DAY * 100).is_ok());
}

#[test]
fn no_key_is_printed() {
    let authority = Authority::make("test", SystemTime::now()).unwrap();
    let pair = mk_pair(&mk_service());
    let printed = format!("{authority:?} {pair:?}");
    assert!(!printed.contains("PRIVATE"), "{printed}");
}
