use std::collections::BTreeMap;

use genkan_extensions::archive::Archive;
use genkan_extensions::order::{Placed, order};
use genkan_extensions::overrides::{self, Object, Ranked};
use genkan_extensions::policy::{self, Reading};
use genkan_extensions::revision::Revision;
use genkan_extensions::{
    EntryType, Layout, Limits, OnUnsupported, Options, Refused, glob, manifest, package, read,
};
use proptest::prelude::*;

use crate::zip::zip;

const POLICY: &str = r#"policy: 1.0.0
info: {name: a, version: 1.0, title: T}
properties:
  type: object
  properties: {limit: {label: L, type: string, enum: [5], exclusiveMinimum: true, minimum: 1}}
assembly:
  execute:
    - set-variable: {actions: [{set: message.headers.a, value: "$(local.parameter.b-c)"}, {clear: x}]}
    - switch: {case: [{condition: "a=1", execute: [{throw: {name: X}}]}, {otherwise: [{log: {}}]}]}
    - operation-switch: {case: [{operations: [{verb: get, path: "/a/{b}"}], execute: []}]}
    - invoke: {target-url: "https://a/$(b)", header-control: {type: blacklist, values: [a]}, timeout: 5}
    - ratelimit: {source: gateway-named, rate-limit: [{name: a, operation: inquire}], count-limit: [b]}
    - jwt-validate: {jwt: request.headers.x, jws-crypto: k}
    - redact: {redactions: [{action: remove, path: a}]}
  catch: [{errors: [ConnectionError], execute: [{log: {}}]}, {default: []}]
"#;

const MANIFEST: &str = r#"{"extension": {"properties": {"defer-all-override": true, "deploy-policies": ["if_1.5.0"]},
 "files": [{"filename": "a.yaml", "type": "user-defined-policy-yaml", "deploy": "immediate"},
 {"filename": "o.json", "type": "gwd_extension"}, {"filename": "x.zip", "type": "user-defined-policy"},
 {"filename": "v.zip", "type": "policy-v5", "catalog": ["a"]}]}}"#;

const OVERRIDES: &str = r#"{"apigw": {"_global": {"override": ["assembly-rate-limit a 5 1 minute on on on on on on \"$(b)\" 2"]}},
 "api-collection": {"_catalog": {"a": {"b": {"@exclusive": true, "collection": [], "_instance": {"x*": {"collection": ["echo"]}}}}}},
 "parse-settings": {"_instance": {"o": {"c": {"p": {"n": {"override": ["width 5"]}}}}}},
 "tls-client": {"_organization": {"a": {"profile": ["protocols TLSv1d2+TLSv1d3"]}}}, "registry": {"x": ["echo a"]}}"#;

fn archive() -> Vec<u8> {
    let file = |path: &str, text: &str| (path.to_owned(), text.as_bytes().to_vec());
    let inner = zip(&[file("a.yaml", POLICY), file("implementation/i.zip", "PK")]);
    zip(&[
        file("manifest.json", MANIFEST),
        file("a.yaml", POLICY),
        file("o.json", OVERRIDES),
        ("x.zip".to_owned(), inner.clone()),
        ("v.zip".to_owned(), inner),
        file("__MACOSX/._a", "x"),
        file("empty/", ""),
    ])
}

/// Some bytes of a text are others, gone, or there twice.
fn edited(text: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), any::<u8>(), 0..4_u8);
    prop::collection::vec(edit, 1..12).prop_map(move |edits| {
        let mut text = text.clone();
        for (at, byte, what) in edits {
            if text.is_empty() {
                break;
            }
            let at = at.index(text.len());
            match what {
                0 => text[at] = byte,
                1 => {
                    text.remove(at);
                }
                2 => text.insert(at, byte),
                _ => {
                    let more = text[at..].to_vec();
                    text.extend(more.into_iter().take(200));
                }
            }
        }
        text
    })
}

/// Whatever is made of characters that mean something in YAML.
const YAMLISH: &str =
    "([a-c0-9:,&*!|>'\"{}\\[\\]#%@`?~. \\n\\t-]|: |- |---\\n|policy: 1.0.0\\n|info:\\n|<<: ){0,80}";

fn options(skip: bool) -> Options {
    Options {
        layout: if skip { Layout::Lenient } else { Layout::Strict },
        on_unsupported: if skip {
            OnUnsupported::Skip
        } else {
            OnUnsupported::Reject
        },
        ..Options::default()
    }
}

fn is_told(refused: &Refused) -> bool {
    !refused.message.is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600), skip: bool) {
        let mut behind = b"PK\x03\x04".to_vec();
        behind.extend(&bytes);
        behind.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0\x2e\0\0\0\x04\0\0\0\0\0");
        for bytes in [&bytes, &behind] {
            prop_assert!(read(bytes, &options(skip)).err().is_none_or(|error| is_told(&error)));
            prop_assert_eq!(Revision::unpack([bytes.as_slice()]), None);
        }
    }

    #[test]
    fn archives_that_were_edited_are_read_or_refused(bytes in edited(archive()), skip: bool) {
        match read(&bytes, &options(skip)) {
            Ok(package) => prop_assert!(package.entries.len() <= 64),
            Err(error) => prop_assert!(is_told(&error)),
        }
    }

    #[test]
    fn nothing_is_unpacked_above_the_limits(bytes in edited(archive())) {
        let limits = Limits { unpacked: 2_000, file: 1_500, files: 8, ..Limits::default() };
        if let Ok(archive) = Archive::open(&bytes, None, &limits) {
            let view = archive.view("");
            let sizes = view.paths().filter_map(|path| view.get(path)).map(<[u8]>::len);
            prop_assert!(sizes.sum::<usize>() <= 2_000);
        }
    }

    #[test]
    fn manifests_that_were_edited_are_read_or_refused(text in edited(MANIFEST.as_bytes().to_vec())) {
        let files = ["manifest.json", "a.yaml", "o.json", "x.zip", "v.zip"];
        if let Err(error) = manifest::read(Some(&text), files, Layout::Strict, &Limits::default()) {
            let told = error.message.starts_with("manifest.json");
            prop_assert!(told, "{}", error.message);
        }
    }

    #[test]
    fn policies_that_were_edited_are_read_or_refused(text in edited(POLICY.as_bytes().to_vec())) {
        if let Err(error) = policy::read("a.yaml", &text, &Reading::default()) {
            prop_assert!(error.message.starts_with("a.yaml:"), "{}", error.message);
        }
    }

    #[test]
    fn texts_are_no_policies(text in YAMLISH) {
        let read = policy::read("a.yaml", text.as_bytes(), &Reading::default());
        let error = read.err().unwrap();
        prop_assert!(error.message.starts_with("a.yaml:"), "{}", error.message);
    }

    #[test]
    fn overrides_that_were_edited_are_read_or_refused(
        text in edited(OVERRIDES.as_bytes().to_vec()),
        skip: bool,
    ) {
        match overrides::read("o.json", &text, options(skip).on_unsupported) {
            Ok(converted) => {
                let object = Object { kind: "ReverseProxy".into(), name: "x".into(), labels: BTreeMap::new() };
                let ranked = converted.overrides.iter();
                let ranked = ranked.map(|settings| Ranked { order: 0, name: "o", settings });
                overrides::effective(ranked, &object);
            }
            Err(error) => prop_assert!(is_told(&error)),
        }
    }

    #[test]
    fn a_text_without_variables_is_that_text(text in "[a-z $()\"\\\\]{0,20}") {
        let yaml = serde_json::json!({
            "policy": "1.0.0", "info": {"name": "a", "version": "1"},
            "assembly": {"execute": [{"set-variable": {"actions": [{"set": "message.body", "value": text}]}}]},
        });
        let read = policy::read("a.yaml", yaml.to_string().as_bytes(), &Reading::default());
        let policy::PolicyFile::Policy(policy) = read.unwrap() else {
            return Err(TestCaseError::fail("it is a policy"));
        };
        let body = policy.steps[0].with["body"].as_str().unwrap();
        if body.contains("{{") {
            prop_assert!(text.contains("$("));
        } else {
            prop_assert_eq!(body, text);
        }
    }

    #[test]
    fn globs_match_as_they_are_defined(pattern in "[ab*?]{0,7}", text in "[ab]{0,9}") {
        fn naive(pattern: &[u8], text: &[u8]) -> bool {
            match pattern.split_first() {
                None => text.is_empty(),
                Some((b'*', rest)) => (0..=text.len()).any(|at| naive(rest, &text[at..])),
                Some((c, rest)) => text
                    .split_first()
                    .is_some_and(|(first, text)| (*c == b'?' || c == first) && naive(rest, text)),
            }
        }
        prop_assert_eq!(glob::matches(&pattern, &text), naive(pattern.as_bytes(), text.as_bytes()));
    }

    #[test]
    fn what_is_depended_on_comes_first(edges in prop::collection::vec((0..8_usize, 0..8_usize), 0..12)) {
        let names: Vec<String> = (0..8).map(|index| format!("e{index}")).collect();
        let needs = |index: usize| -> Vec<String> {
            let own = edges.iter().filter(|(from, _)| *from == index);
            own.map(|(_, on)| names[*on].clone()).collect()
        };
        let needs: Vec<_> = (0..8).map(needs).collect();
        let placed: Vec<_> = names.iter().zip(&needs).map(|(name, depends_on)| Placed {
            name, kind: EntryType::Policy, order: None, depends_on,
        }).collect();
        match order(&placed) {
            Ok(sorted) => {
                let at = |name: &String| sorted.iter().position(|known| known == name).unwrap();
                prop_assert_eq!(sorted.len(), 8);
                for (name, needs) in names.iter().zip(&needs) {
                    prop_assert!(needs.iter().all(|on| at(on) < at(name)));
                }
            }
            Err(error) => prop_assert!(error.message.contains("depend"), "{}", error.message),
        }
    }
}

#[test]
fn the_archive_that_is_edited_is_a_good_one() {
    let package = package::read(&archive(), &Options::default()).unwrap();
    let told: Vec<_> = package.entries.iter().map(|entry| &entry.outcome).collect();
    assert!(told.iter().all(|outcome| outcome.is_ok()), "{told:#?}");
}
