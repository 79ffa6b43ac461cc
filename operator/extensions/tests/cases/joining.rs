use std::collections::BTreeMap;

use genkan_extensions::content::Content;
use genkan_extensions::join::{
    self as joins, Chain, Joined, Joining, Payload, Provider, Written, conflicts, join,
};
use genkan_extensions::revision::{Revision, definition_name};
use genkan_extensions::{Deploy, EntryType, Options, Package, Reason, read};
use genkan_routing::model::policy::{FailurePolicy, Mode, Override, PolicyDefinition, PolicyStep};
use serde_json::json;

use crate::zip::zip;

fn policy(name: &str, uses: &str) -> PolicyDefinition {
    PolicyDefinition {
        policy: name.to_owned(),
        version: "1.0.0".to_owned(),
        steps: vec![PolicyStep {
            uses: uses.to_owned(),
            ..PolicyStep::default()
        }],
        ..PolicyDefinition::default()
    }
}

fn written(name: &str, uses: &str) -> Written {
    Written {
        name: name.to_owned(),
        payload: Some(Payload::Policy(policy(name, uses))),
        ..Written::default()
    }
}

fn package() -> Package {
    let files = [
        (
            "manifest.json",
            r#"{"extension": {"files": [{"filename": "a.yaml", "type": "user-defined-policy-yaml"},
               {"filename": "js.yaml", "type": "user-defined-policy-yaml", "deploy": "immediate"}]}}"#,
        ),
        (
            "a.yaml",
            r#"{"policy": "1.0.0", "info": {"name": "a", "version": "1.0.0"}, "assembly": {"execute": [{"parse": {}}]}}"#,
        ),
        (
            "js.yaml",
            r#"{"policy": "1.0.0", "info": {"name": "js", "version": "1.0.0"},
               "assembly": {"execute": [{"gatewayscript": {"source": "1;"}}]}}"#,
        ),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    read(&zip(&files), &Options::default()).unwrap()
}

fn joined(package: Option<&Package>, written: &[Written]) -> Vec<Joined> {
    let options = Options::default();
    join(package, written, &joining(&options), &check).unwrap()
}

fn check(chain: Chain<'_>) -> Result<(), String> {
    match chain {
        Chain::Policy(policy) if policy.policy == "bad" => Err("steps[0]: no".to_owned()),
        Chain::Policy(_) | Chain::Hook(_) => Ok(()),
    }
}

fn joining(options: &Options) -> Joining<'_> {
    Joining {
        default_deploy: Deploy::Immediate,
        defer_all: false,
        failure_policy: FailurePolicy::FailClosed,
        is_archive_private: false,
        options,
    }
}

fn revision(extension: &str, entries: &[Joined]) -> Revision {
    joins::revision(extension, entries, None, &BTreeMap::new()).revision
}

fn find<'a>(joined: &'a [Joined], name: &str) -> &'a Joined {
    joined.iter().find(|entry| entry.name == name).unwrap()
}

fn reason(joined: &[Joined], name: &str) -> (Reason, String) {
    let refused = find(joined, name).outcome.as_ref().unwrap_err();
    (refused.reason, refused.message.clone())
}

#[test]
fn an_entry_without_payload_changes_one_of_the_archive() {
    let changed = Written {
        name: "a".to_owned(),
        deploy: Some(Deploy::Immediate),
        mode: Mode::Shadow,
        ..Written::default()
    };
    let joined = joined(Some(&package()), &[changed, written("b", "filter")]);
    let a = find(&joined, "a");
    assert_eq!((a.deploy, a.mode, a.order), (Deploy::Immediate, Mode::Shadow, 10));
    assert!(a.outcome.is_ok() && find(&joined, "b").outcome.is_ok());
}

#[test]
fn what_defers_all_entries_is_stronger_than_what_one_says() {
    let mut package = package();
    package.defer_all = true;
    let changed = Written {
        name: "a".to_owned(),
        deploy: Some(Deploy::Immediate),
        ..Written::default()
    };
    let written = [changed, written("b", "filter")];
    let entries = joined(Some(&package), &written);
    assert_eq!(find(&entries, "a").deploy, Deploy::Deferred);
    assert_eq!(find(&entries, "b").deploy, Deploy::Immediate);
    let options = Options::default();
    let joining = Joining {
        defer_all: true,
        ..joining(&options)
    };
    let entries = join(Some(&package), &written, &joining, &check).unwrap();
    assert_eq!(find(&entries, "b").deploy, Deploy::Deferred);
}

#[test]
fn what_cannot_be_run_or_compiled_is_rejected_and_the_others_stand() {
    let later = Written {
        payload: Some(Payload::Policy(PolicyDefinition {
            steps: vec![PolicyStep {
                uses: "switch".to_owned(),
                with: json!({"cases": [{"when": "true", "steps": [{"use": "call"}]}]})
                    .as_object()
                    .unwrap()
                    .clone(),
                ..PolicyStep::default()
            }],
            ..policy("later", "set")
        })),
        ..written("later", "set")
    };
    let nothing = Written {
        name: "nothing".to_owned(),
        ..Written::default()
    };
    let other = Written {
        kind: Some(EntryType::Hook),
        ..written("other", "set")
    };
    let joined = joined(Some(&package()), &[written("bad", "set"), later, nothing, other]);
    assert!(find(&joined, "a").outcome.is_ok());
    let message = "js@1.0.0: steps[0]: script is run by a later version";
    assert_eq!(reason(&joined, "js"), (Reason::Unsupported, message.to_owned()));
    assert_eq!(
        reason(&joined, "bad"),
        (Reason::Invalid, "bad@1.0.0: steps[0]: no".to_owned())
    );
    let message = "later@1.0.0: steps[0].with.cases[0].steps[0]: call is run by a later version";
    assert_eq!(reason(&joined, "later").1, message);
    assert!(
        reason(&joined, "nothing")
            .1
            .starts_with("entry nothing: it has no payload")
    );
    assert_eq!(
        reason(&joined, "other").1,
        "entry other: its type is Hook, and it has policy"
    );
}

#[test]
fn a_name_that_stands_twice_is_refused() {
    let options = Options::default();
    let twice = [written("a", "set")];
    let error = join(Some(&package()), &twice, &joining(&options), &check).unwrap_err();
    assert_eq!(error.message, "entries: a appears twice");
}

#[test]
fn what_is_too_much_is_refused_with_both_numbers() {
    let step = PolicyStep {
        uses: "set".to_owned(),
        ..PolicyStep::default()
    };
    let long = Written {
        payload: Some(Payload::Policy(PolicyDefinition {
            steps: vec![step; 33],
            ..policy("long", "set")
        })),
        ..written("long", "set")
    };
    let message = "long@1.0.0: steps: 33 of them, the limit is 32";
    let joined = joined(None, &[long]);
    assert_eq!(
        reason(&joined, "long"),
        (Reason::LimitExceeded, message.to_owned())
    );
    let options = Options::default();
    let many: Vec<_> = (0..65)
        .map(|index| written(&format!("e{index}"), "set"))
        .collect();
    let error = join(None, &many, &joining(&options), &check).unwrap_err();
    assert_eq!(error.message, "entries: 65 of them, the limit is 64");
}

#[test]
fn a_file_that_comes_by_itself_is_converted_by_its_type() {
    let text = r#"{"apigw": {"_global": {"override": ["assembly-rate-limit r 5"]}}}"#;
    let fetched = Written {
        name: "o".to_owned(),
        kind: Some(EntryType::GwdExtension),
        payload: Some(Payload::Fetched {
            file: "o.json".to_owned(),
            bytes: text.into(),
        }),
        ..Written::default()
    };
    let joined = joined(None, &[fetched]);
    let outcome = find(&joined, "o").outcome.as_ref().unwrap();
    assert!(matches!(&outcome.content, Content::Overrides(overrides) if overrides.len() == 1));
}

#[test]
fn of_two_that_provide_one_policy_the_lower_name_wins() {
    let mut second = written("z", "set");
    second.payload = Some(Payload::Policy(policy("b", "set")));
    let joined = joined(None, &[second, written("b", "set")]);
    assert!(find(&joined, "b").outcome.is_ok());
    let message = "b@1.0.0 is provided by entry b";
    assert_eq!(reason(&joined, "z"), (Reason::Conflicted, message.to_owned()));
}

#[test]
fn the_older_extension_wins_and_a_person_over_both() {
    let provider = |extension: &str, entry: &str, policy: &str| Provider {
        extension: extension.to_owned(),
        entry: entry.to_owned(),
        provides: vec![policy.to_owned()],
    };
    let providers = [
        provider("old", "z", "a@1.0.0"),
        provider("new", "a", "a@1.0.0"),
        provider("new", "b", "b@1.0.0"),
    ];
    let written = BTreeMap::from([("b@1.0.0".to_owned(), "mine".to_owned())]);
    let losers = conflicts(&providers, &written);
    let told: Vec<_> = losers
        .iter()
        .map(|(index, why)| (*index, why.message.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (1, "a@1.0.0 is provided by GatewayExtension old, entry z"),
            (2, "b@1.0.0 is provided by PolicyDefinition mine"),
        ]
    );
}

#[test]
fn a_revision_is_what_runs_and_not_when_or_in_which_order() {
    let one = joined(None, &[written("a", "set"), written("b", "filter")]);
    let other = joined(None, &[written("b", "filter"), written("a", "set")]);
    let (one, other) = (revision("corp", &one), revision("corp", &other));
    assert_eq!(one.id, other.id);
    assert!(one.id.starts_with("corp-") && one.id.len() == 13);
    let mut shadow = written("a", "set");
    shadow.mode = Mode::Shadow;
    assert_ne!(
        revision("corp", &joined(None, &[shadow, written("b", "filter")])).id,
        one.id
    );
    let parts = one.pack().unwrap();
    assert_eq!(Revision::unpack(parts.iter().map(Vec::as_slice)), Some(one));
    assert_eq!(Revision::unpack([&b"nothing"[..]]), None);
}

#[test]
fn what_was_accepted_before_stays_while_its_new_form_is_rejected_or_somebody_uses_it() {
    let before = joined(
        None,
        &[written("a", "set"), written("b", "filter"), written("c", "log")],
    );
    let before = revision("corp", &before);
    let mut bad = written("a", "set");
    bad.payload = Some(Payload::Policy(policy("bad", "set")));
    let users = vec!["ReverseProxy shop".to_owned()];
    let in_use = BTreeMap::from([("b".to_owned(), users)]);
    let next = joins::revision("corp", &joined(None, &[bad]), Some(&before), &in_use);
    let names: Vec<_> = next
        .revision
        .entries
        .iter()
        .map(|entry| entry.name.as_str())
        .collect();
    assert_eq!((names, next.kept), (vec!["a", "b"], vec!["a".to_owned()]));
    let message = "entry b cannot be removed: it is used by ReverseProxy shop";
    assert_eq!(next.blocked[0].message, message);
}

#[test]
fn a_large_revision_is_kept_in_parts() {
    // What does not get smaller by packing.
    let mut state = 1_u64;
    let mut bytes = vec![0_u8; 1_500_000];
    for byte in &mut bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *byte = (state >> 56) as u8;
    }
    let files = |copies: usize| Written {
        name: "f".to_owned(),
        payload: Some(Payload::Files(
            (0..copies).map(|n| (n.to_string(), rotated(&bytes, n))).collect(),
        )),
        ..Written::default()
    };
    let small = revision("corp", &joined(None, &[files(1)]));
    let parts = small.pack().unwrap();
    assert!(parts.len() > 1 && parts.iter().all(|part| part.len() <= 900 << 10));
    assert_eq!(Revision::unpack(parts.iter().map(Vec::as_slice)), Some(small));
    let error = revision("corp", &joined(None, &[files(6)])).pack().unwrap_err();
    assert_eq!(error.reason, Reason::LimitExceeded);
}

fn rotated(bytes: &[u8], by: usize) -> Vec<u8> {
    bytes
        .iter()
        .map(|byte| byte.wrapping_mul(2 * by as u8 + 1))
        .collect()
}

#[test]
fn definitions_have_names_that_an_api_server_takes() {
    assert_eq!(
        definition_name("partner-orders", "1.0.0"),
        "partner-orders-v1-0-0"
    );
    assert_eq!(definition_name("My_Policy", "2.1.0"), "my-policy-v2-1-0");
}

#[test]
fn settings_that_are_not_in_force_are_not_accepted() {
    let over = |least: &str, most: &str| {
        let settings = json!({"upstreamTLS": {"minVersion": least, "maxVersion": most}});
        let one = Override {
            settings: settings.as_object().unwrap().clone(),
            ..Override::default()
        };
        Written {
            name: "tls".to_owned(),
            payload: Some(Payload::Override(one)),
            ..Written::default()
        }
    };
    assert!(find(&joined(None, &[over("1.2", "1.3")]), "tls").outcome.is_ok());
    let joined = joined(None, &[over("1.3", "1.3")]);
    let (reason, message) = reason(&joined, "tls");
    assert_eq!(reason, Reason::Unsupported);
    assert!(message.starts_with("settings.upstreamTLS: "), "{message}");
}
