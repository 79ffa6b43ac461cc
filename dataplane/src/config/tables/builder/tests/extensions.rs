//! What is active of extensions, and how that changes.

use genkan_routing::model::policy::{ActiveRevisions, ExtensionEntry, ExtensionRevision};
use genkan_routing::model::policy::{RevisionEntries, RevisionEntry};
use genkan_routing::model::{EntryKey, Objection, Published};
use serde_json::json;

use super::*;
use crate::tables::EntryState;

/// `stamp` in the form of the digest, as a hook on everything.
fn mk_entry(digest: &str) -> Resource {
    let step = match digest {
        "broken" => json!({"use": "nothing"}),
        _ => json!({"use": "set", "with": {"headers": {"set": {"x-revision": digest}}}}),
    };
    let entry = json!({"hooks": [{"at": "PreRequest", "steps": [step]}]});
    Resource::entry(
        EntryKey {
            extension: "corp".into(),
            entry: "stamp".into(),
            digest: digest.into(),
        },
        serde_json::from_value::<ExtensionEntry>(entry).unwrap(),
    )
}

fn mk_revision(id: &str, is_immediate: bool) -> RevisionEntries {
    RevisionEntries {
        id: format!("corp-{id}"),
        entries: vec![RevisionEntry {
            entry: "stamp".into(),
            digest: id.into(),
            is_immediate,
        }],
    }
}

fn mk_extension(target: &str, stable: Option<&str>, restores_stable: bool) -> Resource {
    Resource::revision(ExtensionRevision {
        object: ObjectRef::new(ObjectKey::cluster(Published::GatewayExtension, "corp"), "u", 1),
        target: mk_revision(target, false),
        stable: stable.map(|id| mk_revision(id, false)),
        restores_stable,
        allow_fail_open: Vec::new(),
        secrets: Vec::new(),
    })
}

/// One object, and these entries of an extension.
fn mk_world(extension: Option<Resource>, digests: &[&str]) -> Vec<Resource> {
    let mut world = vec![mk_proxy("a", "/proxy/a/*", "s", 1), mk_endpoints("s", 1)];
    world.extend(extension);
    world.extend(digests.iter().map(|digest| mk_entry(digest)));
    world
}

struct Rig {
    builder: Builder,
    current: Current,
}

impl Rig {
    fn new() -> Self {
        Self {
            builder: mk_builder(),
            current: Current::default(),
        }
    }

    /// Everything is this now.
    fn serve(&mut self, world: &[Resource]) {
        let world: BTreeMap<String, Bytes> = world
            .iter()
            .map(|resource| (resource.key.to_string(), codec::encode(resource)))
            .collect();
        let all: Vec<Bytes> = world.values().cloned().collect();
        let everything = Change {
            base: None,
            upserts: &all,
            removals: &[],
            announced: &hash_of(&world).0,
        };
        self.builder.apply(everything).unwrap().publish(&self.current);
    }

    fn activate(&mut self, revision: &str) -> Result<(), String> {
        let applied = self.builder.activate("corp", revision)?;
        applied.publish(&self.current);
        Ok(())
    }

    /// The revision that is active, and the digests of what acts of it and of what waits.
    fn shown(&self) -> (String, Vec<(String, EntryState)>) {
        let tables = self.current.load();
        let [extension] = &*tables.extensions else {
            return Default::default();
        };
        let entries = extension.entries.iter();
        let entries = entries.map(|entry| (entry.digest.clone(), entry.state.clone()));
        (extension.revision.clone(), entries.collect())
    }

    /// Whether the plan of the object has a step.
    fn is_acting(&self) -> bool {
        let tables = self.current.load();
        let route = &tables.routes[&ObjectKey::reverse_proxy("a")];
        let linked = route.linked.load();
        linked.as_deref().is_some_and(|linked| linked.plan().is_ok())
    }
}

fn active(digest: &str) -> (String, EntryState) {
    (digest.to_owned(), EntryState::Active)
}

fn waiting(digest: &str) -> (String, EntryState) {
    (digest.to_owned(), EntryState::Waiting)
}

#[tokio::test]
async fn who_begins_takes_what_is_to_be_restored() {
    for (stable, restores_stable, expected) in [
        (Some("one"), false, "corp-two"),
        (Some("one"), true, "corp-one"),
        (None, false, "corp-two"),
        (None, true, ""),
    ] {
        let mut rig = Rig::new();
        let extension = mk_extension("two", stable, restores_stable);
        rig.serve(&mk_world(Some(extension), &["one", "two"]));
        assert_eq!(rig.shown().0, expected, "{stable:?} {restores_stable}");
        assert_eq!(rig.is_acting(), !expected.is_empty());
    }
}

#[tokio::test]
async fn who_serves_already_takes_nothing_of_what_it_is_not_told() {
    let mut rig = Rig::new();
    rig.serve(&mk_world(None, &[]));
    let world = |target, stable| {
        let digests: Vec<&str> = [Some(target), stable].into_iter().flatten().collect();
        mk_world(Some(mk_extension(target, stable, false)), &digests)
    };
    rig.serve(&world("one", None));
    assert_eq!(rig.shown(), (String::new(), vec![waiting("one")]));
    assert!(!rig.is_acting());
    rig.activate("corp-one").unwrap();
    assert!(rig.is_acting());
    // The resource is another one now, and what is active is what was.
    rig.serve(&world("two", Some("one")));
    assert_eq!(
        rig.shown(),
        ("corp-one".to_owned(), vec![active("one"), waiting("two")])
    );
    // Nobody sends it any more.
    rig.serve(&world("three", Some("two")));
    assert_eq!(
        rig.shown(),
        ("corp-one".to_owned(), vec![active("one"), waiting("three")])
    );
    assert!(rig.is_acting());
    rig.activate("corp-two").unwrap();
    assert_eq!(
        rig.activate("corp-one").unwrap_err(),
        "there is no revision corp-one in the configuration that is served"
    );
    assert_eq!(rig.builder.active()["corp"], "corp-two");
    rig.activate("").unwrap();
    assert_eq!(rig.shown(), (String::new(), vec![waiting("three")]));
    assert!(!rig.is_acting());
    rig.serve(&mk_world(None, &[]));
    assert!(rig.builder.active().is_empty() && rig.shown().1.is_empty());
    assert_eq!(
        rig.activate("corp-two").unwrap_err(),
        "there is no extension corp in the configuration that is served"
    );
}

#[tokio::test]
async fn an_immediate_entry_acts_whatever_is_active() {
    let mut rig = Rig::new();
    rig.serve(&mk_world(None, &[]));
    let extension = Resource::revision(ExtensionRevision {
        object: ObjectRef::new(ObjectKey::cluster(Published::GatewayExtension, "corp"), "u", 1),
        target: mk_revision("one", true),
        stable: None,
        restores_stable: false,
        allow_fail_open: Vec::new(),
        secrets: Vec::new(),
    });
    rig.serve(&mk_world(Some(extension), &["one"]));
    assert_eq!(rig.shown(), (String::new(), vec![active("one")]));
    assert!(rig.is_acting());
}

#[tokio::test]
async fn activating_twice_changes_nothing_and_requests_keep_their_plans() {
    let mut rig = Rig::new();
    rig.serve(&mk_world(
        Some(mk_extension("two", Some("one"), true)),
        &["one", "two"],
    ));
    let linked = |rig: &Rig| {
        let tables = rig.current.load();
        tables.routes[&ObjectKey::reverse_proxy("a")]
            .linked
            .load_full()
            .unwrap()
    };
    let tally = |rig: &Rig| Arc::clone(&rig.current.load().extensions[0].tally);
    let (before, counted) = (linked(&rig), tally(&rig));
    rig.activate("corp-one").unwrap();
    assert!(Arc::ptr_eq(&before, &linked(&rig)) && Arc::ptr_eq(&counted, &tally(&rig)));
    rig.activate("corp-two").unwrap();
    assert!(!Arc::ptr_eq(&before, &linked(&rig)) && before.plan().is_ok());
    assert!(!Arc::ptr_eq(&counted, &tally(&rig)), "it is counted anew");
    let after = linked(&rig);
    rig.activate("corp-two").unwrap();
    assert!(Arc::ptr_eq(&after, &linked(&rig)));
}

#[tokio::test]
async fn what_stands_in_the_way_is_found_by_whose_step_it_is() {
    let mut rig = Rig::new();
    rig.serve(&mk_world(
        Some(mk_extension("broken", Some("one"), true)),
        &["broken", "one"],
    ));
    let verify = |rig: &Rig, revision: &str| rig.builder.verify("corp", revision);
    assert_eq!(verify(&rig, "corp-one"), Ok(()));
    assert_eq!(
        verify(&rig, "corp-broken").unwrap_err(),
        "the revision \"corp-broken\" of corp is not active"
    );
    rig.activate("corp-broken").unwrap();
    let sentence = "ReverseProxy a: corp/stamp: there is no policy nothing";
    assert_eq!(verify(&rig, "corp-broken").unwrap_err(), sentence);
    let tables = rig.current.load();
    assert_eq!(tables.objections()["corp/stamp"], sentence);
    let verdicts: Vec<Objection> = rig
        .builder
        .verdicts()
        .into_iter()
        .filter_map(codec::objection_from_wire)
        .collect();
    assert_eq!(verdicts.len(), 1);
    rig.activate("corp-one").unwrap();
    assert_eq!(verify(&rig, "corp-one"), Ok(()));
    assert!(rig.builder.verdicts().is_empty());
}

/// An entry with policies, and an object that uses one of them.
fn mk_policies(digest: &str, policies: serde_json::Value) -> Resource {
    Resource::entry(
        EntryKey {
            extension: "corp".into(),
            entry: "stamp".into(),
            digest: digest.into(),
        },
        serde_json::from_value::<ExtensionEntry>(json!({"policies": policies})).unwrap(),
    )
}

fn using(resource: Resource, steps: serde_json::Value) -> Resource {
    let ResourceBody::Route(mut route) = resource.body else {
        panic!()
    };
    route.policies = Some(Box::new(model::Policies {
        steps: serde_json::from_value(steps).unwrap(),
        ..model::Policies::default()
    }));
    Resource::route(*route)
}

#[tokio::test]
async fn a_revision_that_its_users_do_not_fit_is_not_verified() {
    let policy = |name: &str, more: serde_json::Value| {
        let mut policy = json!({"policy": name, "version": "1.0.0", "steps": [{"use": "set"}]});
        policy
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        policy
    };
    let strict = json!({"parameters": {"type": "object", "required": ["zone"]}});
    let many: Vec<_> = (0..40).map(|_| json!({"use": "set"})).collect();
    for (policies, said) in [
        (json!([policy("p", json!({}))]), None),
        (
            json!([policy("p", strict)]),
            Some("ReverseProxy a: spec.policies[0].with"),
        ),
        (
            json!([policy("q", json!({}))]),
            Some("ReverseProxy a: there is no policy p"),
        ),
        (
            json!([policy("p", json!({"steps": many}))]),
            Some("ReverseProxy a: 82 steps"),
        ),
        // Nobody uses it yet.
        (
            json!([
                policy("p", json!({})),
                policy("q", json!({"steps": [{"use": "nothing"}]}))
            ]),
            Some("corp/stamp: q@1.0.0: spec.steps[0]: there is no policy nothing"),
        ),
        (
            json!([
                policy("p", json!({})),
                policy("q", json!({"script": {"source": "1"}}))
            ]),
            None,
        ),
    ] {
        let mut rig = Rig::new();
        let user = using(
            mk_proxy("a", "/proxy/a/*", "s", 1),
            json!([{"use": "p"}, {"use": "p"}]),
        );
        rig.serve(&[
            user,
            mk_proxy("b", "/proxy/b", "s", 1),
            mk_endpoints("s", 1),
            mk_extension("two", Some("one"), true),
            mk_policies("one", json!([policy("p", json!({}))])),
            mk_policies("two", policies.clone()),
        ]);
        assert_eq!(rig.builder.verify("corp", "corp-one"), Ok(()));
        // Whatever is repeated says the same.
        for _ in 0..2 {
            rig.activate("corp-two").unwrap();
            let verdict = rig.builder.verify("corp", "corp-two");
            match said {
                None => assert_eq!(verdict, Ok(()), "{policies}"),
                Some(said) => {
                    let why = verdict.unwrap_err();
                    assert!(why.starts_with(said), "{policies}: {why}");
                }
            }
        }
    }
}

/// What does not work is asked for by nobody else than its own policies say.
#[tokio::test]
async fn a_stub_has_its_hooks_and_judges_its_tokens_itself() {
    use genkan_routing::decide::{Place as At, Policies};

    let jwt = json!({"use": "jwt", "with": {"keys": {"url": "https://idp.example/jwks"}}});
    let stub = |steps: serde_json::Value| {
        let ResourceBody::Route(mut route) = using(mk_proxy("a", "/proxy/a/*", "s", 1), steps).body else {
            panic!()
        };
        route.action = Action::Unavailable(model::Unavailable::new("Invalid", "no"));
        Resource::route(*route)
    };
    let hooks = json!([
        {"at": "PreRequest", "position": "BeforeBuiltin", "steps": [{"use": "set"}]},
        {"at": "OnError", "steps": [{"use": "respond"}]},
    ]);
    let entry = serde_json::from_value::<ExtensionEntry>(json!({"hooks": hooks})).unwrap();
    let key = EntryKey {
        extension: "corp".into(),
        entry: "stamp".into(),
        digest: "one".into(),
    };
    for steps in [json!([jwt]), json!([jwt, {"use": "nothing"}])] {
        let mut rig = Rig::new();
        rig.serve(&[
            stub(steps),
            mk_endpoints("s", 1),
            mk_extension("one", None, false),
            Resource::entry(key.clone(), entry.clone()),
        ]);
        let tables = rig.current.load();
        let linked = tables.routes[&ObjectKey::reverse_proxy("a")]
            .linked
            .load_full()
            .unwrap();
        assert!(linked.claims_authorization());
        assert!(linked.acts(At::BeforeReview));
        let plan = linked.plan().unwrap();
        assert!(plan.is_for_errors() && !plan.before_review.is_empty() && plan.after_review.is_empty());
        assert!(rig.builder.verdicts().is_empty(), "the stub itself says more");
    }
}

#[tokio::test]
async fn what_has_not_come_is_not_verified() {
    let mut rig = Rig::new();
    rig.serve(&mk_world(Some(mk_extension("two", Some("one"), false)), &["one"]));
    let why = "its content has not come";
    assert_eq!(
        rig.shown().1,
        [("two".to_owned(), EntryState::Missing(why.to_owned()))]
    );
    assert_eq!(
        rig.builder.verify("corp", "corp-two").unwrap_err(),
        format!("corp/stamp: {why}")
    );
}

#[tokio::test]
async fn a_restart_goes_on_with_what_was_active() {
    let world = mk_world(Some(mk_extension("two", Some("one"), false)), &["one", "two"]);
    for (kept, expected) in [("corp-one", "corp-one"), ("", ""), ("corp-gone", "corp-two")] {
        let mut rig = Rig::new();
        rig.builder
            .keep_active(ActiveRevisions::from([("corp".into(), kept.into())]));
        rig.serve(&world);
        assert_eq!(rig.shown().0, expected, "{kept}");
    }
}
