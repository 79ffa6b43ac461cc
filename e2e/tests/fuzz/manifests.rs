//! Manifests, as the directory source and lint read them.

use genkan_compile::Compiler;
use genkan_compile::index::{Change, Dirty, Index};
use genkan_compile::object::{Kind, Object};
use genkan_tools::directory::documents;
use genkan_tools::lint::lint;

use super::seeds;
use super::target::Target;

const PIECES: &[&str] = &[
    "\n",
    "\n---\n",
    "--- ",
    "...\n",
    "  ",
    "\t",
    ": ",
    "- ",
    "? ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&a ",
    "*a",
    "!!str ",
    "!!binary ",
    "<<: *a\n",
    "|\n",
    ">-\n",
    "'",
    "\"",
    "#",
    "%YAML 1.1\n",
    "null",
    "~",
    "true",
    "1e999",
    "0x7f",
    "-0",
    "18446744073709551616",
    "é",
    "\u{feff}",
    "\u{2028}",
    "kind: List\nitems:\n",
    "kind: ReverseProxy\n",
    "kind: APIService\n",
    "kind: Service\n",
    "kind: EndpointSlice\n",
    "metadata: {name: x}\n",
    "spec:\n",
    "matcher: {path: /proxy/x/*, method: '*'}\n",
    "upstream: {url: 'http://a.example'}\n",
    "directives:\n",
    "pathRegexp: ['^/(a|b)+ /$1']\n",
    "caBundle: AAAA\n",
    "creationTimestamp: 2024-01-01T00:00:00Z\n",
];

const BREAKS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

#[test]
fn manifests_are_read_or_complained_of() {
    Target {
        name: "manifests",
        seeds: seeds::manifests(),
        pieces: PIECES,
        judge,
        accepted: 80,
    }
    .run();
}

fn judge(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (values, problems) = documents(&text);
    let (mut index, mut dirty) = (Index::default(), Dirty::default());
    let mut objects = 0;
    for (line, value) in &values {
        assert!(
            *line <= text.lines().count() + 1,
            "a document begins behind the end"
        );
        // JSON is YAML, but for what ends lines in YAML 1.1 alone: what was read is read again.
        let json = BREAKS.iter().fold(value.to_string(), |json, letter| {
            json.replace(*letter, &format!("\\u{:04x}", u32::from(*letter)))
        });
        let (again, complaints) = documents(&json);
        let is_list = value["kind"] == "List" || value.is_null();
        assert!(
            is_list || (complaints.is_empty() && again.len() == 1 && again[0].1 == *value),
            "{value} is read as {again:?}, {complaints:?}"
        );
        let (group, kind) = (value["apiVersion"].as_str(), value["kind"].as_str());
        let kind = Kind::of(group.unwrap_or_default(), kind.unwrap_or_default());
        if let Some(Ok(object)) = kind.map(|kind| Object::read(kind, value.clone())) {
            index.take(Change::Apply(Box::new(object)), &mut dirty);
            objects += 1;
        }
    }
    let output = Compiler::default().compile(&index, &dirty);
    assert_eq!(
        output.judged.len(),
        index.published.len(),
        "each object has a verdict"
    );
    lint(&[("fuzz.yaml".to_owned(), text)]);
    objects > 0 && problems.is_empty()
}
