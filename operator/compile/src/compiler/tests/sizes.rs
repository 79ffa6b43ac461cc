//! Sizes are verdicts: what one author makes too large harms nobody else.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use genkan_proto::codec::Content;
use genkan_routing::model::{Action, Matcher, ResourceBody};

use super::*;

fn with_budget(budget: usize) -> Rig {
    Rig {
        compiler: Compiler::new(budget),
        ..Rig::default()
    }
}

static CERTIFICATE: LazyLock<String> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(vec!["b.example".into()]).unwrap();
    made.cert.pem()
});

/// A ReverseProxy with a CA bundle of about so many bytes, which no other has.
fn mk_large(name: &str, bytes: usize, created: i64) -> Change {
    mk_trusting(name, &mk_bundle(name, bytes), created)
}

fn mk_bundle(name: &str, bytes: usize) -> String {
    format!("{name}\n{}", CERTIFICATE.repeat(bytes / CERTIFICATE.len() + 1))
}

fn mk_trusting(name: &str, bundle: &str, created: i64) -> Change {
    let bundle = STANDARD.encode(bundle);
    let spec = json!({
        "matcher": {"path": format!("/proxy/{name}/*"), "method": "*"},
        "upstream": {"url": "https://b.example", "caBundle": bundle},
    });
    let created = jiff::Timestamp::from_second(created).unwrap().to_string();
    let metadata = json!({"name": name, "uid": name, "creationTimestamp": created});
    mk_object(
        Kind::Published(Published::ReverseProxy),
        json!({"metadata": metadata, "spec": spec}),
    )
}

fn mk_small(name: &str) -> Change {
    mk_proxy(
        name,
        &format!("/proxy/{name}/*"),
        json!({"url": "http://b.example"}),
    )
}

impl Rig {
    /// The keys of what was compiled again, without bundles.
    fn moved(&mut self, changes: Vec<Change>) -> Vec<String> {
        let mut keys = self.take(changes);
        keys.retain(|key| !key.trim_start_matches('-').starts_with("Blob/"));
        keys
    }

    fn bundles(&self) -> usize {
        self.keys().iter().filter(|key| key.starts_with("Blob/")).count()
    }

    fn reasons(&self, names: &[&str]) -> Vec<&'static str> {
        names.iter().map(|name| self.accepted(name).reason).collect()
    }

    fn stub(&self, name: &str) -> Option<(String, String)> {
        let key = format!("ReverseProxy/{name}");
        let (bytes, _) = self.world.sent.get(&key)?;
        let Content::Resource(resource) = codec::decode(bytes).unwrap().content else {
            panic!("{key} is not known")
        };
        let ResourceBody::Route(route) = resource.body else {
            return None;
        };
        match (route.matcher, route.action) {
            (Matcher::ReverseProxy { path, .. }, Action::Unavailable(stub)) => Some((path, stub.reason)),
            _ => None,
        }
    }

    /// What is sent has room in the budget, and is sent.
    fn fits(&self, budget: usize) {
        let sent: usize = self.world.bytes().iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(sent <= budget && self.compiler.room().0 <= budget, "{sent} bytes");
    }
}

#[test]
fn an_object_over_a_mebibyte_is_refused_by_name_and_keeps_its_match() {
    let mut rig = Rig::default();
    rig.take(vec![
        mk_large("large", 1_100_000, 1),
        mk_large("good", 900_000, 1),
    ]);
    let (large, good) = (rig.accepted("large"), rig.accepted("good"));
    assert_eq!((large.reason, good.reason), ("TooLarge", "Accepted"));
    assert!(
        large.message.contains("one object may have 1048576"),
        "{}",
        large.message
    );
    assert_eq!(
        rig.stub("large"),
        Some(("/proxy/large/*".into(), "TooLarge".into()))
    );
    assert_eq!(rig.stub("good"), None);
    rig.take(vec![mk_large("large", 500_000, 1)]);
    assert_eq!(
        (rig.reasons(&["large"]), rig.stub("large")),
        (vec!["Accepted"], None)
    );
}

#[test]
fn over_the_budget_the_largest_are_refused_then_the_youngest_and_everybody_else_goes_on() {
    let budget = 100_000;
    let mut rig = with_budget(budget);
    rig.take(vec![
        mk_small("victim"),
        mk_large("huge", 60_000, 1),
        mk_large("young", 30_000, 3),
        mk_large("olden", 30_000, 1),
        mk_large("midst", 30_000, 2),
    ]);
    let names = ["huge", "midst", "olden", "victim", "young"];
    let all = ["TooLarge", "Accepted", "Accepted", "Accepted", "Accepted"];
    assert_eq!(rig.reasons(&names), all);
    assert!(
        rig.accepted("huge")
            .message
            .contains("100000 bytes of --snapshot-budget")
    );
    rig.take(vec![mk_large("small", 20_000, 9)]);
    assert_eq!(
        rig.reasons(&["small", "olden", "midst", "young"]),
        ["Accepted", "Accepted", "Accepted", "TooLarge"]
    );
    rig.fits(budget);
    rig.take(vec![
        mk_small("other"),
        delete(Kind::Published(Published::ReverseProxy), "victim"),
    ]);
    let keys = rig.keys();
    assert!(keys.contains(&"ReverseProxy/other") && !keys.contains(&"ReverseProxy/victim"));
    let moved = rig.moved(vec![delete(Kind::Published(Published::ReverseProxy), "small")]);
    assert_eq!(
        moved,
        ["-ReverseProxy/small", "ReverseProxy/young"],
        "only what moves is made again"
    );
    assert_eq!(rig.stub("young"), None);
    rig.fits(budget);
}

#[test]
fn an_old_object_that_grows_displaces_no_other() {
    let budget = 100_000;
    let mut rig = with_budget(budget);
    rig.take(vec![mk_large("grows", 10_000, 1), mk_large("stays", 70_000, 2)]);
    rig.take(vec![mk_large("grows", 40_000, 1)]);
    assert_eq!(rig.reasons(&["grows", "stays"]), ["TooLarge", "Accepted"]);
    assert!(
        rig.accepted("grows").message.contains("has grown to 4"),
        "{}",
        rig.accepted("grows").message
    );
    assert_eq!(
        rig.take(vec![mk_large("grows", 40_000, 1)]),
        ["ReverseProxy/grows"],
        "and again"
    );
    rig.take(vec![delete(Kind::Published(Published::ReverseProxy), "stays")]);
    assert_eq!(rig.reasons(&["grows"]), ["Accepted"]);
    rig.fits(budget);
}

#[test]
fn a_flood_of_the_smallest_leaves_a_snapshot_too() {
    let budget = 100_000;
    let mut rig = with_budget(budget);
    rig.take((0..500).map(|n| mk_small(&format!("n{n:03}"))).collect());
    rig.fits(budget);
    assert_eq!(rig.keys().len(), 97);
    let last = rig.compiler.verdict(&ObjectKey::reverse_proxy("n499")).unwrap();
    assert_eq!((last.accepted.reason, last.sent), ("TooLarge", false));
}

#[test]
fn endpoints_that_are_too_many_are_a_verdict_on_those_who_name_them() {
    let slice = |n: usize, count: usize| {
        let endpoint = |at: usize| json!({"addresses": [format!("10.{n}.{}.{}", at / 250, at % 250)]});
        let value = json!({
            "metadata": {"namespace": "n", "name": format!("s-{n}"), "labels": {"kubernetes.io/service-name": "s"}},
            "addressType": "IPv4", "ports": [{"port": 80}],
            "endpoints": (0..count).map(endpoint).collect::<Vec<_>>(),
        });
        mk_object(Kind::Watched(Watched::EndpointSlice), value)
    };
    let mut rig = Rig::default();
    rig.take(vec![
        mk_service("s", 80),
        mk_service("t", 80),
        mk_slice("t", "10.0.0.1"),
        mk_proxy("many", "/proxy/many", to("s")),
        mk_proxy("few", "/proxy/few", to("t")),
        slice(0, 1_000),
    ]);
    rig.take((1..10).map(|n| slice(n, 1_000)).collect());
    assert_eq!(
        (rig.stub("many"), rig.compiler.room().1),
        (None, 0),
        "10000 are fine"
    );
    rig.take((10..90).map(|n| slice(n, 1_000)).collect());
    let verdict = rig.compiler.verdict(&ObjectKey::reverse_proxy("many")).unwrap();
    assert!(verdict.accepted.ok);
    assert_eq!(
        (verdict.resolved.ok, verdict.resolved.reason),
        (false, "TooLarge")
    );
    assert!(
        verdict
            .resolved
            .message
            .starts_with("the endpoints of Service n/s have more")
    );
    assert_eq!(rig.stub("many"), Some(("/proxy/many".into(), "TooLarge".into())));
    assert_eq!(rig.stub("few"), None);
    let late = rig.take(vec![mk_proxy("late", "/proxy/late", to("s"))]);
    assert_eq!(
        (late, rig.stub("late").is_some()),
        (vec!["-Endpoints/n/s:80".into(), "ReverseProxy/late".into()], true)
    );
    let gone = |n: usize| {
        Change::Delete(
            Kind::Watched(Watched::EndpointSlice),
            ("n".into(), format!("s-{n}")),
        )
    };
    rig.take((20..90).map(gone).collect());
    assert_eq!((rig.stub("many"), rig.stub("late")), (None, None));
}

/// Without growth the outcome is that of a fresh compile of what exists.
#[test]
fn sizes_are_judged_alike_in_whatever_order_objects_came() {
    let budget = 60_000;
    let shared = |which: usize| mk_bundle(&format!("shared-{which}"), 1_000 * (which + 1));
    let change = |n: usize| match n % 3 {
        0 => mk_small(&format!("p{n}")),
        1 => mk_large(&format!("p{n}"), 1_000 * (n % 7 + 1), (n % 5) as i64),
        _ => mk_trusting(&format!("p{n}"), &shared(n % 4), (n % 5) as i64),
    };
    let mut fresh = with_budget(budget);
    fresh.take((0..40).map(change).collect());
    for step in [1, 3, 7, 9, 11, 13] {
        let mut rig = with_budget(budget);
        for n in 0..40 {
            rig.take(vec![
                change(n * step % 40),
                mk_trusting("passing", &shared(n % 5), 0),
            ]);
            rig.take(vec![delete(Kind::Published(Published::ReverseProxy), "passing")]);
            rig.fits(budget);
        }
        if step % 5 != 0 {
            assert_eq!(rig.keys(), fresh.keys());
            assert_eq!(rig.world.bytes(), fresh.world.bytes());
            assert!(rig.compiler.verdicts().eq(fresh.compiler.verdicts()));
        }
    }
}

#[test]
fn an_endpoint_change_judges_no_object_and_a_crowd_is_judged_by_its_winner() {
    let mut rig = Rig::default();
    rig.take(vec![mk_service("s", 80), mk_slice("s", "10.0.0.1")]);
    rig.take(
        (0..3_000)
            .map(|n| mk_proxy(&format!("n{n:04}"), "/proxy/x", to("s")))
            .collect(),
    );
    assert_eq!(rig.take(vec![mk_slice("s", "10.0.0.2")]), ["Endpoints/n/s:80"]);
    let joined = rig.take(vec![mk_proxy("z", "/proxy/x", to("s"))]);
    assert_eq!(
        joined,
        ["-ReverseProxy/z", "Endpoints/n/s:80", "ReverseProxy/n0000"]
    );
    assert!(rig.accepted("n0000").message.contains("n0001 and 2999 more"));
}

#[test]
fn what_is_said_is_bounded_whatever_an_author_wrote() {
    let mut rig = Rig::default();
    let rules = vec!["\u{1}".repeat(900); 900];
    let spec = json!({
        "matcher": {"path": "/proxy/x", "method": "*"},
        "upstream": {"url": format!("http://{}", "b".repeat(500_000))},
        "directives": {"rewrite": rules},
    });
    let object = json!({"metadata": {"name": "x", "uid": "x"}, "spec": spec});
    rig.take(vec![mk_object(Kind::Published(Published::ReverseProxy), object)]);
    let accepted = rig.accepted("x");
    assert_eq!(accepted.reason, "Invalid");
    assert!(accepted.message.len() <= 1024 && !accepted.message.contains(char::is_control));
    assert!(rig.world.bytes().iter().all(|(_, bytes)| bytes.len() < 2_000));
}

#[test]
fn equal_bundles_are_sent_once_and_count_once() {
    let budget = 1_000_000;
    let mut rig = with_budget(budget);
    let bundle = mk_bundle("shared", 100_000);
    let names: Vec<String> = (0..300).map(|n| format!("n{n:03}")).collect();
    rig.take(names.iter().map(|name| mk_trusting(name, &bundle, 5)).collect());
    assert_eq!((rig.compiler.room().1, rig.bundles()), (0, 1));
    let sent: usize = rig.world.bytes().iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(sent < 100_000 + 300 * 400, "{sent} bytes");
    rig.fits(budget);

    // Whose it is changes, and nobody else is compiled for that.
    let deleted = rig.take(vec![delete(Kind::Published(Published::ReverseProxy), "n000")]);
    assert_eq!(deleted, ["-ReverseProxy/n000"]);
    assert_eq!(
        rig.take(vec![mk_trusting("older", &bundle, 1)]),
        ["ReverseProxy/older"]
    );
    let all: Vec<&String> = names[1..].iter().collect();
    let gone = |name: &str| delete(Kind::Published(Published::ReverseProxy), name);
    rig.take(all.iter().map(|name| gone(name)).collect());
    assert_eq!(rig.bundles(), 1);
    rig.take(vec![gone("older")]);
    assert_eq!((rig.keys().len(), rig.compiler.room().0), (0, 0));
}

#[test]
fn a_bundle_without_room_is_a_verdict_on_all_who_trust_it() {
    let mut rig = with_budget(100_000);
    let bundle = mk_bundle("shared", 60_000);
    rig.take(vec![
        mk_trusting("one", &bundle, 1),
        mk_trusting("two", &bundle, 2),
        mk_large("small", 50_000, 9),
    ]);
    assert_eq!(
        rig.reasons(&["one", "small", "two"]),
        ["TooLarge", "Accepted", "TooLarge"]
    );
    assert_eq!((rig.bundles(), rig.stub("two").is_some()), (1, true));
    rig.fits(100_000);
    rig.take(vec![delete(Kind::Published(Published::ReverseProxy), "small")]);
    assert_eq!(rig.reasons(&["one", "two"]), ["Accepted", "Accepted"]);
    assert_eq!((rig.bundles(), rig.stub("two")), (1, None));
}

/// Only who brings a larger bundle has grown: who comes later with the same one is new, and served as such.
#[test]
fn nobody_is_refused_because_another_grew_into_the_same_bundle() {
    let mut rig = with_budget(100_000);
    let bundle = mk_bundle("shared", 40_000);
    rig.take(vec![mk_large("old", 10_000, 1), mk_large("stays", 70_000, 2)]);
    rig.take(vec![mk_trusting("old", &bundle, 1)]);
    assert_eq!(rig.reasons(&["old", "stays"]), ["TooLarge", "Accepted"]);
    assert!(rig.accepted("old").message.contains("has grown"));
    rig.take(vec![mk_trusting("new", &bundle, 3)]);
    assert_eq!(
        rig.reasons(&["new", "old", "stays"]),
        ["Accepted", "Accepted", "TooLarge"]
    );
    assert_eq!((rig.bundles(), rig.stub("old")), (1, None));
    rig.fits(100_000);
}
