//! Cases about one function.

use genkan_routing::directives::{clean_path as clean, rewrite_pattern_matches};
use genkan_routing::{RequestInfo, Scope, Target, canonicalize};

use super::case::{Case, Outcome, outcome, refusal, same, text};
use super::world;

pub fn clean_path(case: &Case) -> Outcome {
    let input = text(&case.json["input"]);
    let cleaned = clean(input.as_bytes(), case.json["mergeSlashes"].as_bool().unwrap());
    let cleaned = String::from_utf8(cleaned.into_owned()).unwrap();
    outcome(same("the path", cleaned, text(case.expect())))
}

/// The matcher gets the path as it stands, dot segments included, so the part that refuses them is kept out of the way.
pub fn rewrite_pattern(case: &Case) -> Outcome {
    let target = text(&case.json["requestTarget"]);
    let path = target
        .split('/')
        .map(|segment| match segment {
            "." | ".." => segment.to_owned(),
            segment => canonicalize(segment.as_bytes()).unwrap().into_owned(),
        })
        .collect::<Vec<_>>()
        .join("/");
    let matched = rewrite_pattern_matches(&text(&case.json["pattern"]), &path);
    outcome(same("match", matched, case.expect()["match"].as_bool().unwrap()))
}

pub fn endpoint(case: &Case) -> Outcome {
    let endpoint = world::endpoint(&case.json["endpoint"], "spec.upstream");
    if !case.json["admission"].is_null() {
        return refusal(case, &endpoint.err().into_iter().collect::<Vec<_>>());
    }
    let endpoint = match endpoint {
        Ok(endpoint) => endpoint,
        Err(problem) => return Outcome::Failed(format!("refused: {problem:?}")),
    };
    let got = (
        endpoint.scheme.as_str().to_owned(),
        endpoint.authority,
        endpoint.base_path,
    );
    let expected = case.expect();
    let expected = (
        text(&expected["scheme"]),
        text(&expected["authority"]),
        text(&expected["basePath"]),
    );
    outcome(same("the endpoint", got, expected))
}

pub fn request_info(case: &Case) -> Outcome {
    let target = Target::parse(case.target()).unwrap();
    let info = RequestInfo::parse(case.method(), &target.path, target.query);
    let expected = case.expect();
    if !expected["status"].is_null() {
        let code = info.map_or_else(|error| u64::from(error.code()), |_| 200);
        let allowed = match &expected["status"] {
            serde_json::Value::Array(codes) => codes.iter().filter_map(serde_json::Value::as_u64).collect(),
            code => vec![code.as_u64().unwrap()],
        };
        return outcome(same("the status is allowed", allowed.contains(&code), true));
    }
    let info = match info {
        Ok(info) => info,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let flag = |name: &str| expected[name].as_bool().unwrap_or_default();
    let known = [
        ("verb", &*info.verb),
        ("path", &*info.path),
        ("prefix", info.prefix),
        ("group", info.group),
        ("version", info.version),
        ("workspace", &*info.workspace),
        ("namespace", info.namespace),
        ("resource", info.resource),
        ("subresource", info.subresource),
        ("name", info.name),
        ("cluster", info.cluster),
        ("scope", info.scope.map(Scope::as_str).unwrap_or_default()),
    ];
    let unknown = expected.as_object().unwrap().keys().find(|key| {
        !["isResource", "isKubernetes"].contains(&key.as_str()) && known.iter().all(|(name, _)| name != key)
    });
    if let Some(unknown) = unknown {
        return Outcome::Failed(format!("unknown attribute {unknown}"));
    }
    let judge = || {
        for (name, got) in known {
            same(name, got.to_owned(), text(&expected[name]))?;
        }
        same("isResource", info.is_resource, flag("isResource"))?;
        same("isKubernetes", info.is_kubernetes, flag("isKubernetes"))
    };
    outcome(judge())
}
