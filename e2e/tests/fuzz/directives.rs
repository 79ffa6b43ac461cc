//! Directives and a request, one word in front of each line: what it is.

use std::borrow::Cow;

use genkan_routing::{DirectiveSpec, Directives, Input, canonicalize};
use http::HeaderMap;
use serde_json::Value;

use super::seeds;
use super::target::Target;

const PIECES: &[&str] = &[
    "\n",
    "\nrewrite ",
    "\nreplace ",
    "\npathRegexp ",
    "\nheaderUp ",
    "\nheaderDown ",
    "\nstripPathPrefix ",
    "\nstripPathSuffix ",
    "\nmethod ",
    "\npath /proxy/",
    "\nquery ",
    "\nhost ",
    "/",
    "*",
    "%*",
    "%2f",
    "%",
    "[",
    "]",
    "^",
    "a-z",
    "\\",
    "?",
    "{path}",
    "{query}",
    "{",
    "}",
    "$1",
    "${1}",
    "(",
    ")",
    "+",
    ".",
    "..",
    " ",
    "&",
    "=",
    "#",
    "é",
    "{2}",
    "{1000}",
    "\\Q",
    "\\E",
    "(?i)",
    "(?:",
    "|",
    "-",
    "{http.request.host}",
    "{http.request.uri}",
    "X-A b",
];

#[test]
fn directives_make_canonical_paths_or_refuse() {
    Target {
        name: "directives",
        seeds: cases(),
        pieces: PIECES,
        judge,
        accepted: 100,
    }
    .run();
}

fn cases() -> Vec<Vec<u8>> {
    let mut cases: Vec<_> = seeds::cases().iter().flat_map(case).collect();
    cases.sort();
    cases.dedup();
    assert!(cases.len() > 50, "only {} cases with directives", cases.len());
    cases
}

fn case(case: &Value) -> Option<Vec<u8>> {
    let proxies = case["config"]["reverseProxies"].as_array()?;
    let directives = proxies
        .iter()
        .find_map(|proxy| proxy["spec"]["directives"].as_object())?;
    let mut lines = String::new();
    for (field, value) in directives {
        let items = value
            .as_array()
            .map_or(std::slice::from_ref(value), Vec::as_slice);
        for item in items.iter().filter_map(Value::as_str) {
            lines += &format!("{field} {item}\n");
        }
    }
    let target = case["request"]["target"].as_str().unwrap_or("/proxy/x");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    lines += &format!("path {path}\nquery {query}\nhost gw.test");
    Some(lines.into_bytes())
}

fn judge(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let (mut spec, mut path, mut query, mut host) = (DirectiveSpec::default(), "", None, "");
    for line in text.lines() {
        let (field, value) = line.split_once(' ').unwrap_or((line, ""));
        let owned = || value.to_owned();
        match field {
            "rewrite" => spec.rewrite.push(owned()),
            "replace" => spec.replace.push(owned()),
            "pathRegexp" => spec.path_regexp.push(owned()),
            "headerUp" => spec.header_up.push(owned()),
            "headerDown" => spec.header_down.push(owned()),
            "stripPathPrefix" => spec.strip_path_prefix = Some(owned()),
            "stripPathSuffix" => spec.strip_path_suffix = Some(owned()),
            "method" => spec.method = Some(owned()),
            "path" => path = value,
            "query" => query = Some(value.as_bytes()),
            "host" => host = value,
            _ => {}
        }
    }
    let directives = match Directives::compile(&spec) {
        Ok(directives) => directives,
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a word");
            return false;
        }
    };
    let mut headers = HeaderMap::new();
    headers.insert("x-a", "1".parse().unwrap());
    directives.header_up.apply(&mut headers);
    directives.header_down.apply(&mut headers);
    let Ok(canonical) = canonicalize(path.as_bytes()) else {
        return false;
    };
    let input = Input {
        method: "GET",
        path: &canonical,
        query,
        host,
    };
    let Ok(outgoing) = directives.rewrite_request(input) else {
        return false;
    };
    assert!(
        matches!(canonicalize(outgoing.path.as_bytes()), Ok(Cow::Borrowed(_))),
        "{} is not canonical",
        outgoing.path
    );
    let target = outgoing.target("/base");
    assert!(target.starts_with(b"/base/"));
    if query.is_none_or(<[u8]>::is_empty) {
        let ends = |byte: &u8| byte.is_ascii_control() || *byte == b' ';
        assert!(!target.iter().any(ends), "{}", target.escape_ascii());
    }
    true
}
