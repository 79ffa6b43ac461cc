//! Every `testdata/NAME.in.yaml` (the user's objects) compiles to `NAME.out.yaml` (what proxies are sent, and the
//! statuses once one proxy has acknowledged it). `GENKAN_REWRITE=1` writes the expectations anew.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use genkan_compile::Compiler;
use genkan_compile::index::{Dirty, Index};
use genkan_compile::verdict::Backend;
use genkan_operator::assess::{SetState, assess};
use genkan_operator::fleet::Fleet;
use genkan_operator::snapshot::{Resources, Scope, Since};
use genkan_proto::codec;
use genkan_routing::model::SetKey;
use genkan_tools::directory::Directory;
use serde_json::{Value, json};
use tokio::time::Instant;

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

/// The whole operator but for its clients, in one step.
fn run(input: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.yaml"), input).unwrap();
    let (changes, problems) = Directory::new(folder.path()).read().unwrap();
    assert_eq!(problems, []);
    let (mut index, mut dirty) = (Index::default(), Dirty::default());
    changes
        .into_iter()
        .for_each(|change| index.take(change, &mut dirty));
    let (mut compiler, mut world, mut fleet) = (Compiler::default(), Resources::default(), Fleet::default());
    let now = Instant::now();
    let out = compiler.compile(&index, &dirty);
    world.apply(out.upserts, &out.removals, now);
    fleet.connect("proxy", "1", 1, now);
    fleet.acknowledge("proxy", 1, world.sequence(), &Scope::Everything, vec![]);
    let since = Since {
        sequence: world.sequence(),
        at: now,
    };
    let sets: BTreeMap<SetKey, SetState> = out
        .sets
        .into_iter()
        .map(|(key, usable)| (key, SetState { usable, since }))
        .collect();
    let mut statuses = serde_json::Map::new();
    for (key, verdict) in compiler.verdicts() {
        let set = match &verdict.backend {
            Backend::Endpoints(set) => sets.get(set).copied(),
            Backend::Host(_) | Backend::None => None,
        };
        let assessment = assess(verdict, world.since(&key.clone().into()), &fleet, set, None, now);
        let mut status = assessment.status(verdict, &Value::Null, jiff::Timestamp::UNIX_EPOCH);
        for condition in status["conditions"].as_array_mut().unwrap() {
            condition.as_object_mut().unwrap().remove("lastTransitionTime");
        }
        statuses.insert(key.to_string(), status);
    }
    // In the order of keys, which is not that of buckets.
    let sent: BTreeMap<_, _> = world.encoded().collect();
    let resources: Vec<Value> = sent
        .into_values()
        .map(|bytes| match codec::decode(bytes).unwrap().content {
            codec::Content::Resource(resource) => bare(serde_json::to_value(resource).unwrap()),
            codec::Content::Stub(stub) => panic!("{stub:?}"),
        })
        .collect();
    json!({"resources": resources, "statuses": statuses})
}

/// Without what is empty or false, which would only hide the rest.
fn bare(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let full = map.into_iter().map(|(k, v)| (k, bare(v)));
            Value::Object(full.filter(|(_, v)| !is_nothing(v)).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(bare).collect()),
        other => other,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::String(s) => s.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(_) => false,
    }
}

#[tokio::test]
async fn goldens() {
    let rewrite = std::env::var_os("GENKAN_REWRITE").is_some();
    let mut names: Vec<String> = (std::fs::read_dir(testdata()).unwrap())
        .filter_map(|e| {
            e.unwrap()
                .file_name()
                .to_str()?
                .strip_suffix(".in.yaml")
                .map(str::to_string)
        })
        .collect();
    names.sort();
    assert!(names.len() > 10, "the inputs have gone: {names:?}");
    let mut wrong = Vec::new();
    for name in names {
        let input = std::fs::read_to_string(testdata().join(format!("{name}.in.yaml"))).unwrap();
        let path = testdata().join(format!("{name}.out.yaml"));
        let got = yaml(&run(&input));
        if rewrite {
            std::fs::write(&path, &got).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != got {
            wrong.push(format!("{name}: got\n{got}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "run `make golden` and read the difference:\n{}",
        wrong.join("\n")
    );
}

fn yaml(value: &Value) -> String {
    serde_yaml::to_string(value).unwrap()
}
