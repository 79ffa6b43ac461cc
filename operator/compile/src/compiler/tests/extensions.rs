use std::collections::BTreeMap;

use genkan_extensions::status::EntryState;
use serde_json::Value;

use super::*;
use crate::index::Remembered;
use crate::verdict::EntryVerdict;

fn mk_rig() -> Rig {
    let mut rig = Rig {
        index: Index::of_operator(),
        ..Rig::default()
    };
    rig.take(vec![Change::Remembered(BTreeMap::new())]);
    rig
}

/// `age`: the lower, the older.
fn mk_extension(name: &str, age: u32, spec: Value) -> Change {
    mk_another(name, name, age, spec)
}

fn mk_another(name: &str, uid: &str, age: u32, spec: Value) -> Change {
    let created = format!("2026-01-01T00:00:{age:02}Z");
    let metadata = json!({"name": name, "uid": uid, "creationTimestamp": created});
    mk_object(
        Kind::Published(Published::GatewayExtension),
        json!({"metadata": metadata, "spec": spec}),
    )
}

fn mk_policy(entry: &str, policy: &str, version: &str) -> Value {
    let steps = json!([{"use": "set", "with": {"headers": {"set": {"x-by": entry}}}}]);
    json!({"name": entry, "type": "Policy", "policy": {"policy": policy, "version": version, "steps": steps}})
}

fn mk_using(entry: &str, policy: &str, uses: &str) -> Value {
    let steps = json!([{"use": uses}]);
    json!({"name": entry, "type": "Policy", "policy": {"policy": policy, "version": "1.0.0", "steps": steps}})
}

fn mk_hook(entry: &str, uses: &str) -> Value {
    json!({"name": entry, "type": "Hook", "hook": {"at": "PreRequest", "steps": [{"use": uses}]}})
}

fn mk_user(name: &str, uses: &str) -> Change {
    let spec = json!({
        "matcher": {"path": format!("/proxy/{name}/*"), "method": "*"},
        "upstream": {"url": "http://a.example"},
        "policies": [{"use": uses}],
    });
    mk_object(
        Kind::Published(Published::ReverseProxy),
        json!({"metadata": {"name": name, "uid": name}, "spec": spec}),
    )
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::cluster(Published::GatewayExtension, name)
}

impl Rig {
    fn said(&self, name: &str) -> &ExtensionVerdict {
        self.compiler
            .verdict(&key(name))
            .unwrap()
            .extension
            .as_deref()
            .unwrap()
    }

    fn entry(&self, extension: &str, name: &str) -> EntryVerdict {
        let entries = self.said(extension).entries.iter();
        entries.clone().find(|entry| entry.name == name).unwrap().clone()
    }

    /// `ENTRY POLICY@VERSION` of what is meant.
    fn meant(&self, extension: &str) -> Vec<String> {
        let target = self.said(extension).target();
        let entries = target.into_iter().flat_map(|target| &target.entries);
        let each =
            entries.map(|entry| format!("{} {}", entry.name, entry.running.content.provides().join(" ")));
        each.map(|text| text.trim_end().to_owned()).collect()
    }

    fn complete(&mut self, extension: &str) {
        let target = self.said(extension).target().unwrap();
        let revision = Some(Box::new((**target).clone()));
        self.take(vec![Change::Completed(extension.to_owned(), revision, false)]);
    }

    fn finding(&self, name: &str) -> &Finding {
        let verdict = self.compiler.verdict(&ObjectKey::reverse_proxy(name)).unwrap();
        match verdict.accepted.ok {
            true => &verdict.resolved,
            false => &verdict.accepted,
        }
    }
}

#[test]
fn of_two_that_provide_a_policy_the_older_counts_and_the_other_comes_back_with_it_gone() {
    let mut rig = mk_rig();
    rig.take(vec![mk_extension(
        "b",
        2,
        json!({"entries": [mk_policy("one", "p", "1.0.0")]}),
    )]);
    assert_eq!(rig.meant("b"), ["one p@1.0.0"]);
    rig.take(vec![mk_extension(
        "a",
        1,
        json!({"entries": [mk_policy("two", "p", "1.0.0")]}),
    )]);
    assert_eq!(rig.meant("a"), ["two p@1.0.0"]);
    assert!(rig.meant("b").is_empty());
    let lost = rig.entry("b", "one");
    assert_eq!(
        (lost.state, lost.reason.as_deref()),
        (EntryState::Rejected, Some("Conflicted"))
    );
    assert_eq!(
        lost.message.as_deref(),
        Some("p@1.0.0 is provided by GatewayExtension a, entry two")
    );
    rig.take(vec![Change::Delete(
        Kind::Published(Published::GatewayExtension),
        (String::new(), "a".into()),
    )]);
    assert_eq!(rig.meant("b"), ["one p@1.0.0"]);
    assert_eq!(rig.entry("b", "one").state, EntryState::Accepted);
}

#[test]
fn a_form_that_conflicts_leaves_the_one_that_was_accepted() {
    let mut rig = mk_rig();
    rig.take(vec![
        mk_extension("a", 1, json!({"entries": [mk_policy("q", "q", "1.0.0")]})),
        mk_extension("b", 2, json!({"entries": [mk_policy("one", "p", "1.0.0")]})),
    ]);
    rig.take(vec![mk_extension(
        "b",
        2,
        json!({"entries": [mk_policy("one", "q", "1.0.0")]}),
    )]);
    assert_eq!(rig.meant("b"), ["one p@1.0.0"]);
    let entry = rig.entry("b", "one");
    assert_eq!(entry.reason.as_deref(), Some("Conflicted"));
    assert!(entry.message.unwrap().ends_with("; its last accepted form stays"));
}

/// In whatever order they come.
#[test]
fn entries_are_judged_with_all_that_there_is() {
    let own = json!({"entries": [mk_hook("hook", "p"), mk_policy("one", "p", "1.0.0")]});
    let mut rig = mk_rig();
    rig.take(vec![mk_extension("a", 1, own)]);
    assert_eq!(rig.meant("a").len(), 2);

    let mut rig = mk_rig();
    rig.take(vec![mk_extension(
        "a",
        1,
        json!({"entries": [mk_using("two", "t", "p@1")]}),
    )]);
    let entry = rig.entry("a", "two");
    assert_eq!(entry.state, EntryState::Rejected, "{entry:?}");
    rig.take(vec![mk_extension(
        "b",
        2,
        json!({"entries": [mk_policy("one", "p", "1.0.0")]}),
    )]);
    assert_eq!(rig.entry("a", "two").state, EntryState::Accepted);
    assert_eq!(rig.meant("a"), ["two t@1.0.0"]);
    // Both at once, as after a start of the operator.
    let mut rig = mk_rig();
    rig.take(vec![
        mk_extension("a", 1, json!({"entries": [mk_using("two", "t", "p@1")]})),
        mk_extension("b", 2, json!({"entries": [mk_policy("one", "p", "1.0.0")]})),
    ]);
    assert_eq!(rig.meant("a"), ["two t@1.0.0"]);
}

#[test]
fn what_uses_a_rejected_entry_is_rejected_too() {
    let bad = json!({"name": "bad", "type": "Policy", "policy": {
        "policy": "p", "version": "1.0.0", "steps": [{"use": "authorize", "with": {"cel": "1 +"}}],
    }});
    let mut rig = mk_rig();
    rig.take(vec![mk_extension(
        "a",
        1,
        json!({"entries": [mk_using("two", "t", "p"), bad]}),
    )]);
    assert!(rig.meant("a").is_empty());
    let message = rig.entry("a", "two").message.unwrap();
    assert!(message.contains("p@1.0.0: steps[0].with.cel"), "{message}");
}

#[test]
fn a_source_that_lacks_keeps_no_other_entry_waiting() {
    let mut rig = mk_rig();
    rig.take(vec![Change::Reset(Kind::Watched(Watched::ConfigMap), Vec::new())]);
    let source = json!({"configMap": {"namespace": "n", "name": "lacks", "key": "k"}});
    let lacking = json!({"name": "two", "type": "user-defined-policy-yaml", "source": source});
    rig.take(vec![mk_extension(
        "a",
        1,
        json!({"entries": [mk_policy("one", "p", "1.0.0"), lacking]}),
    )]);
    assert_eq!(rig.meant("a"), ["one p@1.0.0"]);
    assert_eq!(rig.entry("a", "two").state, EntryState::Pending);
    let unresolved = &rig.said("a").unresolved[0];
    assert_eq!(unresolved.reason, "SourceNotFound");
    assert!(
        unresolved.message.starts_with("entry two: "),
        "{}",
        unresolved.message
    );
}

#[test]
fn a_revision_of_before_needs_no_source() {
    let mut rig = mk_rig();
    rig.take(vec![Change::Reset(Kind::Watched(Watched::ConfigMap), Vec::new())]);
    rig.take(vec![mk_extension(
        "a",
        1,
        json!({"entries": [mk_policy("one", "p", "1.0.0")]}),
    )]);
    let first = rig.said("a").target().unwrap().id.clone();
    rig.take(vec![mk_extension(
        "a",
        1,
        json!({"entries": [mk_policy("one", "p", "2.0.0")]}),
    )]);
    assert_eq!(rig.meant("a"), ["one p@2.0.0"]);
    let source = json!({"configMap": {"namespace": "n", "name": "lacks", "key": "k"}});
    let broken = json!({"archive": {"source": source}, "rollbackTo": first});
    rig.take(vec![mk_extension("a", 1, broken)]);
    assert_eq!(rig.meant("a"), ["one p@1.0.0"]);
    assert_eq!(rig.said("a").entries[0].provides, ["p@1.0.0"]);
}

#[test]
fn what_is_only_planned_is_not_told_as_if_it_were_there() {
    let mut rig = mk_rig();
    rig.take(vec![mk_extension(
        "a",
        1,
        json!({"entries": [mk_policy("one", "p", "1.0.0")]}),
    )]);
    let planned = json!({"dryRun": true, "entries": [mk_policy("one", "p", "2.0.0")]});
    rig.take(vec![mk_extension("a", 1, planned)]);
    assert_eq!(rig.said("a").entries[0].provides, ["p@1.0.0"]);
    assert_eq!(rig.said("a").plan, ["change one, Immediate"]);
}

#[test]
fn another_object_of_the_same_name_has_nothing_of_it() {
    let mut rig = mk_rig();
    rig.take(vec![mk_extension(
        "a",
        1,
        json!({"entries": [mk_policy("one", "p", "1.0.0")]}),
    )]);
    let history = rig.said("a").history.clone();
    let source = json!({"configMap": {"namespace": "n", "name": "unknown", "key": "k"}});
    let pending = json!({"archive": {"source": source}});
    rig.take(vec![mk_another("a", "other", 1, pending.clone())]);
    assert!(rig.meant("a").is_empty());
    // Nor of what was kept of the one before.
    for (uid, expected) in [("other", 0), ("a", 1)] {
        let mut rig = Rig {
            index: Index::of_operator(),
            ..Rig::default()
        };
        let kept = Remembered {
            uid: "a".into(),
            revisions: history.clone(),
        };
        rig.take(vec![
            Change::Remembered([("a".to_owned(), kept)].into()),
            mk_another("a", uid, 1, pending.clone()),
        ]);
        assert_eq!(rig.meant("a").len(), expected, "{uid}");
    }
}

#[test]
fn what_is_used_by_others_is_not_removed() {
    let mut rig = mk_rig();
    let by_person = mk_object(
        Kind::Published(Published::PolicyDefinition),
        json!({"metadata": {"name": "t", "uid": "t"}, "spec": {
            "policy": "t", "version": "1.0.0", "steps": [{"use": "p@1"}],
        }}),
    );
    rig.take(vec![
        mk_extension("a", 1, json!({"entries": [mk_policy("one", "p", "1.0.0")]})),
        by_person,
        mk_user("shop", "t"),
    ]);
    assert_eq!(rig.said("a").used_by, ["ReverseProxy shop"]);
    rig.take(vec![mk_extension(
        "a",
        1,
        json!({"entries": [mk_policy("other", "q", "1.0.0")]}),
    )]);
    assert_eq!(rig.meant("a"), ["other q@1.0.0", "one p@1.0.0"]);
    assert_eq!(rig.entry("a", "one").state, EntryState::Blocked);
    // It goes with the last who uses it.
    rig.take(vec![Change::Delete(
        Kind::Published(Published::ReverseProxy),
        (String::new(), "shop".into()),
    )]);
    assert_eq!(rig.meant("a"), ["other q@1.0.0"]);
    assert!(rig.said("a").used_by.is_empty());

    // Another extension is a user too.
    rig.take(vec![mk_extension(
        "b",
        2,
        json!({"entries": [mk_hook("hook", "q")]}),
    )]);
    assert_eq!(rig.said("a").used_by, ["GatewayExtension b"]);
}

#[test]
fn a_policy_that_is_not_deployed_everywhere_is_waited_for() {
    let mut rig = mk_rig();
    let deferred = json!({"deploy": {"default": "Deferred"}, "entries": [mk_policy("one", "p", "1.0.0")]});
    rig.take(vec![mk_extension("a", 1, deferred), mk_user("shop", "p@1")]);
    assert_eq!(rig.finding("shop").reason, "WaitingForExtension");
    rig.complete("a");
    assert!(rig.finding("shop").ok, "{:?}", rig.finding("shop"));
    // Of a newer form the one that is everywhere counts.
    let newer = json!({"deploy": {"default": "Deferred"}, "entries": [mk_policy("one", "p", "2.0.0")]});
    rig.take(vec![mk_extension("a", 1, newer), mk_user("other", "p@2")]);
    assert!(rig.finding("shop").ok, "{:?}", rig.finding("shop"));
    assert_eq!(rig.finding("other").reason, "WaitingForExtension");
}

/// A guard would be gone until its turn comes.
#[test]
fn what_becomes_deferred_acts_on() {
    let mut rig = mk_rig();
    rig.take(vec![
        mk_extension("a", 1, json!({"entries": [mk_policy("one", "p", "1.0.0")]})),
        mk_user("shop", "p@1"),
    ]);
    rig.complete("a");
    let deferred = json!({"deploy": {"deferAll": true}, "entries": [mk_policy("one", "p", "1.0.0")]});
    rig.take(vec![mk_extension("a", 1, deferred)]);
    assert!(rig.finding("shop").ok, "{:?}", rig.finding("shop"));
}

#[test]
fn an_edit_of_a_user_concerns_nobody_else() {
    let mut rig = mk_rig();
    rig.take(vec![
        mk_extension(
            "a",
            1,
            json!({"entries": [mk_policy("one", "p", "1.0.0"), mk_hook("hook", "p")]}),
        ),
        mk_user("shop", "p@1"),
        mk_user("other", "p@1"),
    ]);
    let made = rig.take(vec![mk_user("shop", "p")]);
    assert_eq!(made, ["ReverseProxy/shop"]);
}

#[test]
fn the_first_so_many_are_taken_whatever_comes_later() {
    let mut rig = mk_rig();
    let all = (0..33).map(|at| {
        let policy = format!("p{at}");
        mk_extension(
            &format!("e{at:02}"),
            at,
            json!({"entries": [mk_policy("one", &policy, "1.0.0")]}),
        )
    });
    rig.take(all.collect());
    assert!(rig.said("e32").archive_error.is_some() && rig.meant("e32").is_empty());
    assert!(rig.said("e00").archive_error.is_none());
    rig.take(vec![mk_extension(
        "e00",
        0,
        json!({"entries": [mk_policy("one", "p0", "2.0.0")]}),
    )]);
    assert_eq!(rig.meant("e00"), ["one p0@2.0.0"]);
}

#[test]
fn while_it_is_suspended_it_has_its_secrets() {
    let mut rig = mk_rig();
    let secrets = json!([{"alias": "idp", "namespace": "n", "name": "idp"}]);
    let spec = |more: Value| {
        let mut spec = json!({"secrets": secrets, "entries": [mk_policy("one", "p", "1.0.0")]});
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        spec
    };
    rig.take(vec![Change::Reset(Kind::Watched(Watched::Secret), Vec::new())]);
    rig.take(vec![mk_extension("a", 1, spec(json!({})))]);
    let sent = rig.world.sent["GatewayExtension/a"].0.clone();
    let history = rig.said("a").history.clone();
    let mut again = Rig {
        index: Index::of_operator(),
        ..Rig::default()
    };
    let kept = Remembered {
        uid: "a".into(),
        revisions: history,
    };
    again.take(vec![
        Change::Reset(Kind::Watched(Watched::Secret), Vec::new()),
        Change::Remembered([("a".to_owned(), kept)].into()),
        mk_extension("a", 1, spec(json!({"suspend": true}))),
    ]);
    assert_eq!(again.world.sent["GatewayExtension/a"].0, sent);
}

/// What one data plane cannot serve is taken back on all.
#[test]
fn a_form_that_a_data_plane_refuses_gives_way_to_the_one_before() {
    let mut rig = mk_rig();
    let spec = |version: &str| json!({"entries": [mk_policy("one", "p", version)]});
    rig.take(vec![mk_extension("a", 1, spec("1.0.0"))]);
    rig.take(vec![mk_extension("a", 1, spec("2.0.0"))]);
    let digest = rig.said("a").target().unwrap().entries[0]
        .digest
        .as_str()
        .to_owned();
    rig.take(vec![Change::Refused {
        extension: "a".into(),
        digest,
        why: "data plane edge cannot serve it: no".into(),
    }]);
    assert_eq!(rig.meant("a"), ["one p@1.0.0"]);
    let entry = rig.entry("a", "one");
    assert_eq!(entry.state, EntryState::Rejected);
    assert_eq!(
        entry.message.as_deref(),
        Some("data plane edge cannot serve it: no; its last accepted form stays")
    );
    // Another form is another thing.
    rig.take(vec![mk_extension("a", 1, spec("3.0.0"))]);
    assert_eq!(rig.meant("a"), ["one p@3.0.0"]);
}

/// Also where it is used by somebody who may not name the Secret.
#[test]
fn an_entry_knows_the_secrets_and_files_of_its_extension() {
    let mut rig = mk_rig();
    let secret = json!({
        "metadata": {"namespace": "n", "name": "idp"}, "data": {"htpasswd": "YTokMmEkMTAk"},
    });
    rig.take(vec![
        Change::Reset(Kind::Watched(Watched::Secret), Vec::new()),
        mk_object(Kind::Watched(Watched::Secret), secret),
    ]);
    let entry = |name: &str, step: Value| json!({"name": name, "type": "Policy", "policy": {"policy": name, "version": "1.0.0", "steps": [step]}});
    let files =
        |name: &str, text: &str| json!({"name": name, "type": "Files", "files": {"files": {"a.json": text}}});
    let lookup = json!({"use": "lookup", "with": {"file": "data/a.json", "key": "x", "into": "y"}});
    let basic = json!({"use": "basic", "with": {"users": {"secret": "idp"}}});
    let secrets = json!([{"alias": "idp", "namespace": "n", "name": "idp"}]);
    rig.take(vec![
        mk_extension(
            "a",
            1,
            json!({"secrets": secrets, "entries": [entry("guard", basic)]}),
        ),
        mk_extension(
            "b",
            2,
            json!({"entries": [entry("look", lookup.clone()), files("data", "{}")]}),
        ),
        mk_extension("c", 3, json!({"entries": [entry("other", lookup)]})),
    ]);
    assert_eq!(rig.entry("b", "look").message, None);
    let message = rig.entry("a", "guard").message.unwrap_or_default();
    assert!(!message.contains("idp is none"), "{message}");
    let message = rig.entry("c", "other").message.unwrap();
    assert!(message.contains("there is no file data/a.json"), "{message}");
}

/// As a v5 policy is, whose manifest says where it can be used.
#[test]
fn a_policy_of_some_catalogs_is_for_their_objects_alone() {
    let mut first = mk_rig();
    first.take(vec![mk_extension(
        "a",
        1,
        json!({"entries": [mk_policy("one", "p", "1.0.0")]}),
    )]);
    let mut revision = (**first.said("a").target().unwrap()).clone();
    revision.entries[0].running.catalogs = vec!["prod".to_owned()];
    let kept = Remembered {
        uid: "a".into(),
        revisions: vec![std::sync::Arc::new(revision)],
    };
    let user = |name: &str, catalog: &str| {
        let spec = json!({
            "matcher": {"path": format!("/proxy/{name}/*"), "method": "*"},
            "upstream": {"url": "http://a.example"}, "policies": [{"use": "p"}],
        });
        let metadata = json!({"name": name, "uid": name, "labels": {"gateway.genkan.io/catalog": catalog}});
        mk_object(
            Kind::Published(Published::ReverseProxy),
            json!({"metadata": metadata, "spec": spec}),
        )
    };
    let source = json!({"configMap": {"namespace": "n", "name": "unknown", "key": "k"}});
    let mut rig = Rig {
        index: Index::of_operator(),
        ..Rig::default()
    };
    rig.take(vec![
        Change::Remembered([("a".to_owned(), kept)].into()),
        mk_extension("a", 1, json!({"archive": {"source": source}})),
        user("inside", "prod"),
        user("outside", "test"),
    ]);
    assert!(rig.finding("inside").ok, "{:?}", rig.finding("inside"));
    let finding = rig.finding("outside");
    assert_eq!(finding.reason, "PolicyNotFound");
    assert!(finding.message.contains("is one of: prod"), "{}", finding.message);
}

/// Data planes are sent what is referred to, and nothing else of a Secret.
#[test]
fn of_a_secret_only_the_keys_that_are_named_are_sent() {
    let secret = |keys: &[&str]| {
        let data: serde_json::Map<String, Value> = keys
            .iter()
            .map(|key| ((*key).to_owned(), json!("YQ==")))
            .collect();
        let value = json!({"metadata": {"namespace": "n", "name": "keys"}, "data": data});
        mk_object(Kind::Watched(Watched::Secret), value)
    };
    let user = |name: &str, key: Option<&str>| {
        let mut alias = json!({"alias": "k", "namespace": "n", "name": "keys"});
        if let Some(key) = key {
            alias["key"] = json!(key);
        }
        let spec = json!({
            "matcher": {"path": format!("/proxy/{name}/*"), "method": "*"},
            "upstream": {"url": "http://a.example"}, "policySecrets": [alias],
            "policies": [{"use": "apiKey", "with": {"keys": {"secret": "k"}}}],
        });
        mk_object(
            Kind::Published(Published::ReverseProxy),
            json!({"metadata": {"name": name, "uid": name}, "spec": spec}),
        )
    };
    let mut rig = mk_rig();
    let mut sent = |changes: Vec<Change>| {
        let mut dirty = Dirty::default();
        changes
            .into_iter()
            .for_each(|change| rig.index.take(change, &mut dirty));
        let out = rig.compiler.compile(&rig.index, &dirty);
        let keys = |secret: Option<genkan_routing::model::Secret>| {
            secret.map(|secret| secret.data.keys().cloned().collect::<Vec<_>>().join(","))
        };
        let all = out.secrets.into_iter().map(|(_, secret)| keys(secret));
        all.collect::<Vec<_>>()
    };
    let all = vec![
        Change::Reset(Kind::Watched(Watched::Secret), Vec::new()),
        secret(&["a", "b", "c"]),
        user("one", Some("a")),
    ];
    assert_eq!(sent(all), [Some("a".to_owned())]);
    assert_eq!(sent(vec![user("two", Some("b"))]), [Some("a,b".to_owned())]);
    assert_eq!(sent(vec![user("three", None)]), [Some("a,b,c".to_owned())]);
    let gone = |name: &str| {
        Change::Delete(
            Kind::Published(Published::ReverseProxy),
            (String::new(), name.into()),
        )
    };
    assert_eq!(sent(vec![gone("three")]), [Some("a,b".to_owned())]);
    assert_eq!(sent(vec![gone("one")]), [Some("b".to_owned())]);
    assert_eq!(sent(vec![gone("two")]), [None]);
}

#[test]
fn no_more_revisions_are_kept_than_are_wanted() {
    let mut rig = mk_rig();
    for version in 1..=9 {
        let entry = mk_policy("one", "p", &format!("{version}.0.0"));
        rig.take(vec![mk_extension(
            "a",
            1,
            json!({"revisionHistoryLimit": 2, "entries": [entry]}),
        )]);
        // They differ in immediate entries alone: what is deferred of them is stable.
        rig.complete("a");
    }
    assert_eq!(rig.said("a").history.len(), 2);
}

#[test]
fn limits_that_cannot_be_read_are_refused() {
    let mut rig = mk_rig();
    let with = |limits: Value| {
        let mut entry = mk_policy("one", "p", "1.0.0");
        entry["limits"] = limits;
        json!({"entries": [entry]})
    };
    for (limits, expected) in [
        (json!({"deadline": "1x"}), "limits.deadline: \"1x\""),
        (json!({"maxBody": "lots"}), "limits.maxBody: \"lots\""),
    ] {
        rig.take(vec![mk_extension("a", 1, with(limits))]);
        let message = rig.entry("a", "one").message.unwrap();
        assert!(message.starts_with(expected), "{message}");
    }
    rig.take(vec![mk_extension(
        "a",
        1,
        with(json!({"deadline": "1s", "maxBody": "64Ki"})),
    )]);
    assert_eq!(rig.entry("a", "one").message, None);
}

/// As a table of a megabyte is.
#[test]
fn large_files_travel_in_pieces_and_go_with_the_entry() {
    let mut rig = mk_rig();
    let file = |length: usize| {
        let files = json!({"a.json": "x".repeat(length), "b.json": "{}"});
        json!({"entries": [{"name": "data", "type": "Files", "files": {"files": files}}]})
    };
    let pieces = |rig: &Rig| {
        let keys = rig.keys().into_iter();
        let keys = keys.filter(|key| key.starts_with("Blob/"));
        keys.map(|key| key.rsplit('/').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    rig.take(vec![mk_extension("a", 1, file(1000))]);
    assert!(pieces(&rig).is_empty(), "small ones are in the entry");
    rig.take(vec![mk_extension("a", 1, file(600 << 10))]);
    assert_eq!(pieces(&rig), ["0", "1"]);
    // The same content again is neither sent nor removed.
    let same = rig.take(vec![mk_extension("b", 2, file(600 << 10))]);
    assert!(same.iter().all(|key| !key.starts_with("Blob/")), "{same:?}");
    rig.take(vec![delete(Kind::Published(Published::GatewayExtension), "a")]);
    assert_eq!(pieces(&rig), ["0", "1"], "the other has it still");
    rig.take(vec![delete(Kind::Published(Published::GatewayExtension), "b")]);
    assert!(pieces(&rig).is_empty());
}
