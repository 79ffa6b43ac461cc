//! What cannot be said in one request. A row is on the page only while the tests that it names are there and are run.

use std::path::Path;

use super::{Row, Section};

#[path = "threats/rows.rs"]
mod rows;

use rows::THREATS;

struct Threat {
    name: &'static str,
    rule: &'static str,
    tests: &'static [Proof],
}

/// A file, and a test in it.
type Proof = (&'static str, &'static str);

const fn threat(name: &'static str, rule: &'static str, tests: &'static [Proof]) -> Threat {
    Threat { name, rule, tests }
}

pub fn section() -> Section {
    let preface = "What cannot be said in one request: threats to the control plane and to what is remembered. Each is proved \
                   by the tests in the last column; that they are there and are run is checked, what they find is not repeated.";
    let row = |threat: &Threat| Row {
        name: threat.name,
        sent: threat.rule.to_owned(),
        answer: threat.tests.iter().map(link).collect::<Vec<_>>().join(" "),
    };
    Section::new("Beyond one request", preface, THREATS.iter().map(row).collect())
}

fn link((file, test): &Proof) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text =
        std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{test}: {file}: {error}"));
    let lines: Vec<&str> = text.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.contains(&format!("fn {test}(")));
    let at = at.unwrap_or_else(|| panic!("{file} has no {test}"));
    let is_test = lines[..at]
        .iter()
        .rev()
        .take_while(|line| line.trim_start().starts_with("#["))
        .any(|line| line.contains("test"));
    // A scenario is listed by its suite, which is its own file or the one beside its folder.
    let folder = Path::new(file).parent().unwrap_or(&root);
    let suite = std::fs::read_to_string(root.join(folder).with_extension("rs")).unwrap_or_default();
    assert!(
        is_test || lists(&text, test) || lists(&suite, test),
        "{file}: nobody runs {test}"
    );
    format!("[`{test}`](../{file})")
}

fn lists(suite: &str, test: &str) -> bool {
    let list = suite.split_once("scenarios!(").unwrap_or_default().1;
    let list = list.split_once("),").unwrap_or_default().0;
    list.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .any(|word| word == test)
}
