//! What the tree holds of each: the requests and directives of the vectors, and manifests.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

fn tree(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The cases of the vectors.
pub fn cases() -> Vec<Value> {
    let file = fs::read_to_string(tree("dataplane/vectors/kubesphere.jsonl")).unwrap();
    let cases: Vec<Value> = file
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(cases.len() > 100, "only {} cases", cases.len());
    cases
}

/// The targets that they send.
pub fn targets() -> Vec<Vec<u8>> {
    let of = |case: &Value| Some(case["request"]["target"].as_str()?.as_bytes().to_vec());
    let mut targets: Vec<_> = cases().iter().filter_map(of).collect();
    targets.sort();
    targets.dedup();
    targets
}

/// The heads that they send.
pub fn heads() -> Vec<Vec<u8>> {
    let mut heads: Vec<_> = cases().iter().filter_map(head).collect();
    heads.sort();
    heads.dedup();
    heads
}

fn head(case: &Value) -> Option<Vec<u8>> {
    let request = &case["request"];
    let (method, target) = (request["method"].as_str()?, request["target"].as_str()?);
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: gw.test\r\n");
    for pair in request["headers"].as_array().into_iter().flatten() {
        let (name, value) = (pair[0].as_str()?, pair[1].as_str()?);
        if !name.eq_ignore_ascii_case("host") {
            head += &format!("{name}: {value}\r\n");
        }
    }
    if let Some(body) = request["body"].as_str() {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    Some((head + "\r\n").into_bytes())
}

/// The manifests of the tests, of the examples, and those that others have published.
pub fn manifests() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for folder in [
        "operator/testdata",
        "operator/tools/tests",
        "examples",
        "crds/testdata",
    ] {
        yaml(&tree(folder), &mut files);
    }
    files.retain(|file| !file.to_string_lossy().ends_with(".out.yaml"));
    files.sort();
    assert!(files.len() > 40, "only {} manifests", files.len());
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn yaml(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            yaml(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
}
